/** The row-wise operators that can be fused: each takes one record and emits zero or more, and keeps no state of its own. */
import type { Timestamp } from '../../core/time.ts'
import type { SinkWriter } from '../../api/connector.ts'
import type { Collector, ProcessFunction } from '../../api/functions.ts'
import type { RowContext } from '../row-context.ts'
import type { WatermarkTracker } from '../watermark-tracker.ts'

export type RowOperator =
  | { readonly kind: 'map'; readonly fn: (value: unknown) => unknown }
  | { readonly kind: 'filter'; readonly fn: (value: unknown) => boolean }
  | { readonly kind: 'flatMap'; readonly fn: (value: unknown, out: Collector<unknown>) => Iterable<unknown> | void }
  | { readonly kind: 'process'; readonly fn: ProcessFunction<unknown, unknown>; readonly context: RowContext }
  | {
      readonly kind: 'timestamps'
      readonly fn: ((value: unknown, recordTimestamp: Timestamp) => Timestamp) | undefined
      readonly tracker: WatermarkTracker
      /** Its input was idle and is not any more: says so downstream, before the record. */
      readonly wake: () => void
      readonly invalid: (timestamp: unknown) => Error
    }

/** Runs a whole batch. Results then are in the segment's output, not flushed, or where a sink ends the rows, written to it. */
export type RowProgram = (values: readonly unknown[], timestamps: Float64Array, size: number) => void

/** The sink behind the last row, where no other operator reads it: records go from one to the other without a batch between. */
export interface RecordSink {
  /** From `open` on. */
  readonly writer: SinkWriter<unknown, unknown>
}

/** Turns what was thrown while operator `at` ran (behind the rows: the sink) into the error to throw; `at` is -1 while records are handed on. */
export type Fail = (error: unknown, at: number) => unknown
