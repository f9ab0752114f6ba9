/** Watermark strategies and window assigners as data; parsed once, so below the API every duration is in milliseconds. */
import type { Millis, Timestamp } from '../core/time.ts'

/**
 * Decides watermarks of one split. `onEvent` sees each record's timestamp in order; what either method returns is a
 * watermark to emit now (a lower one than before is ignored). `onPeriodic` is called each `pipeline.auto-watermark-interval`.
 * Flink `WatermarkGenerator`.
 */
export interface WatermarkGenerator<T> {
  onEvent(value: T, timestamp: Timestamp): Timestamp | undefined | void
  onPeriodic(): Timestamp | undefined | void
}

export type WatermarkPolicy<T = unknown> =
  /** Emits the largest timestamp - bound - 1 on the tick (`BoundedOutOfOrdernessWatermarks`; bound 0 is `AscendingTimestampsWatermarks`). */
  | { readonly kind: 'bounded'; readonly bound: Millis }
  | { readonly kind: 'custom'; readonly create: () => WatermarkGenerator<T> }
  | { readonly kind: 'none' }

/** A strategy in normal form. */
export interface ResolvedWatermarkStrategy {
  readonly timestamp: ((value: unknown, recordTimestamp: Timestamp) => Timestamp) | undefined
  readonly policy: WatermarkPolicy
  /** A split without records for so long is idle and holds nothing back. */
  readonly idleness: Millis | undefined
}

/** Windows of event time in normal form. The other kinds come with a later issue. */
export interface TumblingWindows {
  readonly kind: 'tumbling'
  readonly size: Millis
  readonly offset: Millis
}
export type WindowAssignerSpec = TumblingWindows
