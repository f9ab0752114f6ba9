/**
 * `--json`: one event, one line. Keys never disappear within a `schemaVersion`. What JSON has no word for is written as
 * Flink's REST API writes it: a watermark before any record is "-9223372036854775808", after the last
 * "9223372036854775807"; bigints are text.
 */
import type { RuntimeEvent } from '../../runtime/metrics/event.ts'
import type { ProfileReport } from './profile-report.ts'

export const schemaVersion = 1

/** The only line of `run -d`. */
export interface StartedLine {
  readonly schemaVersion: typeof schemaVersion
  readonly jobId: string
  readonly name: string
  readonly clusterId: string
  /** With `--profile`: where the profiles will be. */
  readonly profiles?: string | undefined
}

/** The last line of `run --profile`. */
export interface ProfileLine extends ProfileReport {
  readonly schemaVersion: typeof schemaVersion
  readonly kind: 'profile'
}

export function eventToJsonLine(event: RuntimeEvent): string {
  return toJsonLine({ schemaVersion, ...event })
}

/** One line of JSON in which nothing can move a cursor or break the line. */
export function toJsonLine(value: unknown): string {
  return escapeUnsafe(JSON.stringify(value, jsonValue))
}

function jsonValue(key: string, value: unknown): unknown {
  switch (typeof value) {
    case 'bigint':
      return value.toString()
    case 'number':
      if (Number.isFinite(value)) return value
      if (key === 'currentInputWatermark' || key === 'currentOutputWatermark') return value < 0 ? '-9223372036854775808' : '9223372036854775807'
      return String(value)
    case 'object':
      if (value instanceof Map) return [...value]
      if (value instanceof Set) return [...value]
      return value
    default:
      return value
  }
}

// What JSON.stringify leaves as it is: DEL, C1, bidi controls, zero-width characters, line separators.
const unsafe = /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g

function escapeUnsafe(json: string): string {
  return json.replace(unsafe, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
