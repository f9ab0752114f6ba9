/**
 * Time as the runtime speaks it: epoch milliseconds in a `number`. Durations are parsed once, at the edge, into
 * milliseconds. Flink's `Long.MIN_VALUE` and `Long.MAX_VALUE` are `-Infinity` and `Infinity` in memory, so that
 * `end - 1` and `maxTimestamp + lateness` saturate by themselves.
 */
import { FlinkError } from './errors.ts'

/** Epoch milliseconds. */
export type Timestamp = number
/** A length of time in milliseconds. */
export type Millis = number

/** The watermark before any was seen; also the timestamp of a record that has none (Flink: `Long.MIN_VALUE`). */
export const MIN_TIMESTAMP = -Infinity
/** The watermark at the end of a bounded input (Flink: `Long.MAX_VALUE`). */
export const MAX_TIMESTAMP = Infinity
/** A record without a timestamp carries this in its batch. */
export const NO_TIMESTAMP = MIN_TIMESTAMP

/** Whether a record may carry it: a whole number of ms, or none at all. */
export function isTimestamp(value: unknown): value is Timestamp {
  return Number.isSafeInteger(value) || value === NO_TIMESTAMP
}

/** A duration as users write it: milliseconds, or text such as `'5 s'`, `'100 ms'`, `'10 min'`, `'1 h'`, `'30 d'`. */
export type Duration = number | `${number} ${DurationUnit}`
export type DurationUnit = 'ms' | 's' | 'min' | 'h' | 'd'

const unitMillis: Readonly<Record<DurationUnit, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** Parses a duration to whole milliseconds. `what` names the option in the error. */
export function parseDuration(duration: Duration, what: string): Millis {
  let millis: number | undefined
  if (typeof duration === 'number') millis = duration
  else {
    const match = /^(-?\d+(?:\.\d+)?) (ms|s|min|h|d)$/.exec(String(duration))
    if (match) millis = Number(match[1]) * unitMillis[match[2] as DurationUnit]
  }
  if (millis === undefined || !Number.isSafeInteger(millis)) {
    throw new FlinkError('INVALID_DURATION', `${what}: ${JSON.stringify(duration)} is not a duration`)
  }
  return millis
}

/** Milliseconds as text that `parseDuration` reads: the largest unit that divides it. */
export function formatDuration(millis: Millis): string {
  for (const unit of ['d', 'h', 'min', 's'] as const) {
    if (millis !== 0 && millis % unitMillis[unit] === 0) return `${millis / unitMillis[unit]} ${unit}`
  }
  return `${millis} ms`
}

/** Start of the window that holds `timestamp` (Flink `TimeWindow.getWindowStartWithOffset`; negatives included). */
export function windowStart(timestamp: Timestamp, offset: Millis, size: Millis): Timestamp {
  const remainder = (timestamp - offset) % size
  return remainder < 0 ? timestamp - (remainder + size) : timestamp - remainder
}
