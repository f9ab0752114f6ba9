/**
 * What runs in a chain, as the chain itself sees it (internal to this room; `chain.ts` is the contract with the task).
 *
 * An operator works on whole batches. A batch that it is handed is lent: it may read it during the call, but neither
 * change nor keep it, because its siblings in the tree read the same one. What it emits goes to its `Outputs`.
 */
import type { Batch, CheckpointBarrier } from '../core/batch.ts'
import type { Timestamp } from '../core/time.ts'
import type { SnapshotOrder, SnapshotRun, SnapshotSink } from './keyed-state.ts'

export interface Operator {
  /** Restores its state; everything downstream of it is open already. */
  open?(): void
  processBatch(batch: Batch): void
  /** Timers fire first, then the watermark goes on: results precede the watermark that produced them (T10). */
  processWatermark(timestamp: Timestamp): void
  processIdle(idle: boolean): void
  /** Fires what is due; returns when it wants to be called again, `Infinity` for never. */
  onTime?(now: Timestamp): Timestamp
  endInput?(): void
  prepareSnapshot?(barrier: CheckpointBarrier): void
  /** Captures its state as it is now; small things are written at once, large ones by the run that is returned. */
  snapshot?(sink: SnapshotSink, order: SnapshotOrder): SnapshotRun | undefined
  checkpointComplete?(checkpointId: number): void
  maintain?(): void
  close?(): void
  stats?(): OperatorStats
}

/** Operators that have nothing to say leave a field out. */
export interface OperatorStats {
  readonly lateRecordsDropped?: number
  readonly stateBytes?: number
  readonly stateEvictions?: number
  readonly stateLoads?: number
  readonly pendingCommittables?: number
}
