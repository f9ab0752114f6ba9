/** How the API refuses a mistake while a job is built: with the code, what is wrong, and the user's line. */
import { FlinkError, type ErrorCode, type ErrorOptions } from '../core/errors.ts'
import { parseDuration, type Duration, type Millis } from '../core/time.ts'
import { userPosition } from './position.ts'

export function refuse(code: ErrorCode, message: string, options: ErrorOptions = {}): never {
  const at = options.at ?? userPosition()
  throw new FlinkError(code, message, { ...options, ...(at === undefined ? {} : { at }) })
}

/** A duration in whole ms of at least `min`. */
export function durationOption(duration: Duration, what: string, min: Millis): Millis {
  let millis: Millis
  try {
    millis = parseDuration(duration, what)
  } catch (error) {
    if (error instanceof FlinkError) refuse(error.code, error.message)
    throw error
  }
  if (millis < min) refuse('INVALID_DURATION', `${what}: ${JSON.stringify(duration)} is too short`, { hint: `It must be at least ${min} ms.` })
  return millis
}

/** Flink's upper bound of key groups (`KeyGroupRangeAssignment.UPPER_BOUND_MAX_PARALLELISM`). */
const highestParallelism = 32_768

export function parallelismOption(value: number, what: string): number {
  if (!Number.isInteger(value) || value < 1 || value > highestParallelism) {
    refuse('INVALID_OPTION', `${what}: ${String(value)} is not a parallelism`, { hint: `A whole number from 1 to ${highestParallelism}.` })
  }
  return value
}

/** The compiler finds most of these; plain JavaScript and casts get here. */
export function functionOption(value: unknown, what: string): void {
  if (typeof value !== 'function') refuse('INVALID_OPTION', `${what} needs a function, not ${describe(value)}`, { hint: 'See the example in the documentation of the method.' })
}

export function textOption(value: unknown, what: string): void {
  if (typeof value !== 'string' || value.trim() === '') refuse('INVALID_OPTION', `${what} needs a text, not ${describe(value)}`, { hint: 'Give it a name that is not empty.' })
}

export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return JSON.stringify(value)
  const what = typeof value === 'object' ? (value.constructor?.name ?? 'object without a class') : typeof value
  return `${/^[aeiou]/i.test(what) ? 'an' : 'a'} ${what}`
}

export function checkSink(sink: unknown, what: string): void {
  checkConnector(sink, 'sink', 'createWriter', what)
}
export function checkSource(source: unknown, what: string): void {
  checkConnector(source, 'source', 'createReader', what)
}
function checkConnector(connector: unknown, kind: string, method: string, what: string) {
  if (typeof connector === 'object' && connector !== null && 'kind' in connector && connector.kind === kind && method in connector) return
  refuse('INVALID_OPTION', `${what} needs a ${kind}, not ${describe(connector)}`, { hint: `Make one with a connector, for example file${kind === 'sink' ? 'Sink' : 'Source'} of 'flink-ts/connectors/file'.` })
}
