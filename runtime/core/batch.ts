import type { Timestamp } from './time.ts'

/**
 * The unit of work: at most `exchange.batch-size` values (512) with their timestamps in parallel. The arrays may be longer
 * than `size`. A record without a timestamp has `NO_TIMESTAMP`. Who hands over a batch gives it up.
 */
export interface Batch {
  size: number
  values: unknown[]
  readonly timestamps: Float64Array
  /** Set if the batch came by key: of each record, the hash that chose its key group (`spreadKeyHash`). State looks its key up with it. */
  readonly keyHashes?: Int32Array | undefined
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
  /** The complete checkpoint that this one may go on from: what has not changed since need not be written again. */
  readonly since?: number | undefined
}

/** What a frame costs besides its bytes is that of some hundred records: 512 wide ones should fit. */
export const maxFrameBytes = 128 * 1024

export function createBatch(capacity: number, keyed = false): Batch {
  return { size: 0, values: new Array(capacity), timestamps: new Float64Array(capacity), keyHashes: keyed ? new Int32Array(capacity) : undefined }
}

/** Free batches of each kind that are kept. */
const keptBatches = 64

const noValues: unknown[] = []

/**
 * The batches of one slot that are free, to be filled again: their columns of numbers are memory outside the heap, and making
 * them costs more than all that a short chain does with its records. Whoever is done with a batch that was given to it
 * gives it back.
 *
 * Values are another matter. An array that lives on becomes old, and V8 has to note each young object that is put into an
 * old one: a new array for every batch that fills is cheaper.
 */
export class BatchPool {
  /** Records. */
  readonly capacity: number
  readonly #plain: Batch[] = []
  readonly #keyed: Batch[] = []

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Empty; of `capacity`. */
  take(keyed = false): Batch {
    const batch = (keyed ? this.#keyed : this.#plain).pop()
    if (batch === undefined) return createBatch(this.capacity, keyed)
    if (batch.values === noValues) batch.values = new Array(this.capacity)
    return batch
  }

  give(batch: Batch): void {
    const { values, timestamps } = batch
    const free = batch.keyHashes === undefined ? this.#plain : this.#keyed
    // One that came from elsewhere, and is not of our size, goes.
    if (timestamps.length !== this.capacity || values.length !== this.capacity || free.length === keptBatches) return
    // A free batch keeps no record alive.
    if (batch.size * 8 < this.capacity) values.fill(undefined, 0, batch.size)
    else batch.values = noValues
    batch.size = 0
    free.push(batch)
  }
}
