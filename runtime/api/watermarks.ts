/**
 * Watermark strategies: where a record's event time is read, and how far event time may be said to have come. A strategy
 * is a plain object; nothing has to be extended. Semantics: Flink `WatermarkStrategy`.
 */
import type { Duration, Timestamp } from '../core/time.ts'
import { durationOption, functionOption, refuse } from './refuse.ts'
import type { ResolvedWatermarkStrategy, WatermarkGenerator, WatermarkPolicy } from './time.ts'

/**
 * How a stream gets event time.
 *
 * @example
 * env.fromSource(orders, { timestamp: order => order.time, watermark: boundedOutOfOrderness('5 s'), idleness: '30 s' })
 */
export interface WatermarkStrategy<T> {
  /**
   * Event time of a record in epoch ms; it must be a whole number, else the job fails with MISSING_TIMESTAMP.
   * `recordTimestamp` is what the source said (`-Infinity`: nothing); `(_, recordTimestamp) => recordTimestamp` keeps it.
   */
  readonly timestamp: (value: T, recordTimestamp: Timestamp) => Timestamp
  readonly watermark: WatermarkPolicy<T>
  /** A split without records for so long holds back nobody's event time. Flink `withIdleness`. Default: never. */
  readonly idleness?: Duration
}

/**
 * Records may arrive up to `bound` out of order: the watermark is the largest timestamp seen, minus `bound`, minus 1 ms,
 * emitted each `pipeline.auto-watermark-interval`. Flink `WatermarkStrategy.forBoundedOutOfOrderness`.
 * Throws INVALID_DURATION if `bound` is negative.
 *
 * @example
 * { timestamp: r => r.time, watermark: boundedOutOfOrderness('10 s') }
 */
export function boundedOutOfOrderness(bound: Duration): WatermarkPolicy {
  return Object.freeze({ kind: 'bounded', bound: durationOption(bound, 'boundedOutOfOrderness', 0) })
}

/**
 * Timestamps never go back within a split: the watermark is the largest timestamp minus 1 ms.
 * Flink `WatermarkStrategy.forMonotonousTimestamps`. A record that does come out of order is late.
 *
 * @example
 * { timestamp: r => r.time, watermark: monotonousTimestamps() }
 */
export function monotonousTimestamps(): WatermarkPolicy {
  return Object.freeze({ kind: 'bounded', bound: 0 })
}

/**
 * Timestamps without watermarks: event time stands still until the input ends (then all windows fire).
 * Flink `WatermarkStrategy.noWatermarks`.
 *
 * @example
 * { timestamp: r => r.time, watermark: noWatermarks() }
 */
export function noWatermarks(): WatermarkPolicy {
  return Object.freeze({ kind: 'none' })
}

/**
 * Watermarks by your own rule: `create` is called once per split (or subtask). What `onEvent` and `onPeriodic` return is
 * a watermark in epoch ms: "no later record has a timestamp at or below this". Flink `WatermarkStrategy.forGenerator`.
 *
 * @example
 * // a record that says itself that its minute is complete
 * const punctuated = watermarkGenerator<Reading>(() => ({
 *   onEvent: (reading, timestamp) => (reading.complete ? timestamp : undefined),
 *   onPeriodic: () => undefined,
 * }))
 */
export function watermarkGenerator<T>(create: () => WatermarkGenerator<T>): WatermarkPolicy<T> {
  functionOption(create, 'watermarkGenerator')
  return Object.freeze({ kind: 'custom', create })
}

/** Checks a strategy and brings it into normal form. `what` names the call in errors. */
export function resolveWatermarkStrategy<T>(strategy: WatermarkStrategy<T>, what: string): ResolvedWatermarkStrategy {
  if (typeof strategy !== 'object' || strategy === null) refuse('INVALID_OPTION', `${what} needs { timestamp, watermark }`, { hint: example })
  functionOption(strategy.timestamp, `${what}: timestamp`)
  const kind: string | undefined = strategy.watermark?.kind
  if (kind !== 'bounded' && kind !== 'custom' && kind !== 'none') refuse('INVALID_OPTION', `${what}: watermark is missing`, { hint: example })
  return Object.freeze({
    // Below the API values are unknown: only the compiler knew their type.
    timestamp: strategy.timestamp as (value: unknown, recordTimestamp: Timestamp) => Timestamp,
    policy: strategy.watermark as WatermarkPolicy,
    idleness: strategy.idleness === undefined ? undefined : durationOption(strategy.idleness, `${what}: idleness`, 1),
  })
}

const example = "For example { timestamp: r => r.time, watermark: boundedOutOfOrderness('5 s') }."
