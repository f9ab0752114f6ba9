/**
 * The contract between a chain of operators (this room) and the task that drives it (`slot/`).
 *
 * The task owns what is alike for every chain: channels, alignment, the watermark valve, the mailbox, when to snapshot.
 * The chain owns what is special: user functions, state, timers, fusion. All of it is synchronous; nothing here reads
 * the clock but through `ChainContext.now`, which stands still during a turn.
 */
import type { Batch, BatchPool, CheckpointBarrier } from '../core/batch.ts'
import type { FileSystem } from '../core/files.ts'
import type { Millis, Timestamp } from '../core/time.ts'
import type { PollResult } from '../api/connector.ts'
import type { Transformation } from '../graph/transformation.ts'
import type { ExchangeConfig } from '../graph/config.ts'
import type { JobOperator } from '../graph/job-graph.ts'
import type { KeyedStateBackend, RestoredState, SnapshotSink } from './keyed-state.ts'

export interface ChainContext {
  readonly jobId: string
  readonly attempt: number
  readonly subtask: number
  readonly parallelism: number
  readonly maxParallelism: number
  /** As a tree; `operators[0]` is the head. */
  readonly operators: readonly JobOperator[]
  transformation(id: number): Transformation
  readonly exchange: ExchangeConfig
  /** Batches of `exchange.batchSize`, shared with the channels. */
  readonly batches: BatchPool
  readonly autoWatermarkInterval: Millis
  readonly checkpointing: boolean
  readonly projectDirectory: string
  readonly files: FileSystem
  /** Epoch ms, read once per turn. */
  now(): Timestamp
  /** Where an operator's output leaves the chain; undefined if nothing reads it there. */
  output(operator: number, tag: string | undefined): ChainOutput | undefined
  /** The chain's keyed state; opened only when an operator asks for it, which closes it. */
  keyedState(operatorId: string): KeyedStateBackend
  readonly restored: RestoredState
  requestSplit(operatorId: string): void
  print(operatorId: string, text: string): void
  collect(operatorId: string, value: unknown): void
}

/** A leaving output: partitioner, codec and channels are behind it. */
export interface ChainOutput {
  /** The batch is given up, and its values: they are not changed by anybody afterwards. */
  emitBatch(batch: Batch): void
  emit(value: unknown, timestamp: Timestamp): void
}

export interface Chain {
  /** Restores state and opens every operator, from the last to the head. */
  open(): void
  /** `input` is 0, or 0 and 1 for operators with two inputs. The batch is the caller's again afterwards; its values are given up. */
  processBatch(batch: Batch, input: number): void
  /** The combined watermark of an input; event-time timers fire, then it is passed on: `watermark` of the outputs is called when it leaves. */
  processWatermark(timestamp: Timestamp, input: number): void
  processIdle(idle: boolean, input: number): void
  /** For a chain whose head is a source. */
  pollSource(maxRecords: number): PollResult
  addSplit(operatorId: string, split: unknown): void
  noMoreSplits(operatorId: string): void
  /** Fires what is due at `now` (processing-time timers, periodic watermarks, idleness); returns the next time to be called, or Infinity. */
  onTime(now: Timestamp): Timestamp
  /** All input ended: operators finish from the head to the last (flush sinks; pending processing-time timers are dropped). A MAX watermark came before, if event time ended too. */
  endInput(): void
  /** Before the barrier goes out: operators may still emit; sinks flush and prepare to commit. */
  prepareSnapshot(barrier: CheckpointBarrier): void
  /** The state of every operator at this instant. The run is stepped between turns until it is done. */
  snapshot(barrier: CheckpointBarrier, sink: (operatorId: string) => SnapshotSink): ChainSnapshot
  notifyCheckpointComplete(checkpointId: number): void
  notifyCheckpointAborted(checkpointId: number): void
  /** Evicts state, slice by slice; called once per turn. */
  maintain(): void
  /** Whether something in it commits in two phases; then a bounded job ends with a final checkpoint. */
  readonly commits: boolean
  /** After success and after failure; never throws over an earlier error. */
  close(): void
  metrics(): ChainMetrics
}

export interface ChainSnapshot {
  /** Of operators that give only what has changed since an earlier checkpoint: that. By operator id. */
  readonly since?: Readonly<Record<string, number>>
  step(budget: number): boolean
  abort(): void
}

/** How watermarks leave a chain: once per chain, to all channels of all outputs. */
export interface ChainWatermarks {
  watermark(timestamp: Timestamp, operator: number): void
  idle(idle: boolean, operator: number): void
}

/** Cumulative, since the task started. */
export interface ChainMetrics {
  /** Of a source: read from outside. */
  readonly recordsIn: number
  readonly recordsOut: number
  readonly lateRecordsDropped: number
  readonly currentInputWatermark: Timestamp
  readonly currentOutputWatermark: Timestamp
  readonly stateBytes: number
  readonly stateEvictions: number
  readonly stateLoads: number
  readonly pendingCommittables: number
}

export type CreateChain = (context: ChainContext, watermarks: ChainWatermarks) => Chain
