import type { Timestamp } from './time.ts'

/**
 * The unit of work: at most `exchange.batch-size` values (512) with their timestamps in parallel. `values` and `timestamps` may
 * be longer than `size`. A record without a timestamp has `NO_TIMESTAMP`. Who hands over a batch gives it up.
 */
export interface Batch {
  size: number
  readonly values: unknown[]
  readonly timestamps: Float64Array
}

/** What flows through a channel, in order. Everything but records splits the batches. */
export type StreamElement =
  | { readonly kind: 'records'; readonly batch: Batch }
  | { readonly kind: 'watermark'; readonly timestamp: Timestamp }
  | { readonly kind: 'idle' }
  | { readonly kind: 'active' }
  | { readonly kind: 'barrier'; readonly barrier: CheckpointBarrier }
  /** No more records follow; `drained` says that event time may end too (a MAX watermark came before). Barriers may still follow. */
  | { readonly kind: 'endOfData'; readonly drained: boolean }
  /** Nothing follows: the producing task is finished. */
  | { readonly kind: 'endOfPartition' }

/** What a checkpoint is for; decides what sinks may commit and what sources do after it. */
export type CheckpointKind = 'checkpoint' | 'savepoint' | 'stop' | 'stop-drain'

export interface CheckpointBarrier {
  readonly checkpointId: number
  readonly timestamp: Timestamp
  readonly kind: CheckpointKind
}

export const maxFrameBytes = 32 * 1024

export function createBatch(capacity: number): Batch {
  return { size: 0, values: [], timestamps: new Float64Array(capacity) }
}
