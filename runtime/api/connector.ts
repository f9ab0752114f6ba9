/**
 * Sources and sinks as an interface. Semantics of Flink's Source V2 (FLIP-27: enumerator, splits, readers) and Sink V2
 * (writer, committer). Everything here is synchronous: a reader or writer is called from the slot's turn, is handed its
 * file system and its clock, and never blocks longer than a read of the local disk.
 *
 * A split is plain data: it travels from the enumerator to a reader and into checkpoints.
 */
import type { FileSystem } from '../core/files.ts'
import type { Timestamp } from '../core/time.ts'

export interface Source<T, Split = unknown, EnumeratorState = unknown> {
  readonly kind: 'source'
  /** Type of the connector, for example `file`; the default name of the operator. */
  readonly name: string
  readonly bounded: boolean
  /** Runs once per job, in the coordinator host. `restored` is what `snapshot()` gave in the checkpoint, or undefined at a fresh start. */
  createEnumerator(ctx: EnumeratorContext<Split>, restored: EnumeratorState | undefined): SplitEnumerator<EnumeratorState>
  createReader(ctx: ReaderContext): SourceReader<T, Split>
  readonly _t?: (value: T) => T
}

export interface EnumeratorContext<Split> {
  readonly parallelism: number
  /** Relative paths of the job are resolved against this. */
  readonly projectDirectory: string
  readonly files: FileSystem
  assignSplit(subtask: number, split: Split): void
  signalNoMoreSplits(subtask: number): void
}

export interface SplitEnumerator<State> {
  /** Once, before anything else; finds the splits. May throw a `FlinkError`, for example INPUT_NOT_FOUND. */
  start(): void
  /** A reader wants work: assign a split, or say that there are no more. */
  handleSplitRequest(subtask: number): void
  /** Splits not assigned yet (and what else is needed to go on); plain data. */
  snapshot(): State
  close?(): void
}

export interface ReaderContext {
  readonly subtask: number
  readonly parallelism: number
  readonly projectDirectory: string
  readonly files: FileSystem
  now(): Timestamp
  /** Asks the enumerator for one more split; the answer comes as `addSplit` or `noMoreSplits`. */
  requestSplit(): void
}

/** `more`: call again soon. `waiting`: nothing until a split comes. `at`: nothing before that time. `end`: nothing will ever come. */
export type PollResult = 'more' | 'waiting' | 'end' | { readonly at: Timestamp }

export interface SourceReader<T, Split> {
  /** Called once, after restored splits were added. A reader without splits asks for one here. */
  start(): void
  addSplit(split: Split): void
  noMoreSplits(): void
  /** Emits at most about `max` records. Between two calls the slot may take a snapshot. */
  poll(out: SourceOutput<T>, max: number): PollResult
  /** The splits in progress with the position after the last record emitted; plain data. */
  snapshot(): Split[]
  close?(): void
}

export interface SourceOutput<T> {
  /** Records that follow belong to this split: watermarks are generated per split. */
  beginSplit(splitId: string): void
  /** The split is done and holds no watermark back any more. */
  endSplit(splitId: string): void
  /** `timestamp` is the record's own, if the source knows one; a watermark strategy may override it. */
  collect(value: T, timestamp?: Timestamp): void
  /** For a source that knows the watermark of the current split itself (Flink `ReaderOutput.emitWatermark`); it takes effect between the records before and after it. */
  emitWatermark(timestamp: Timestamp): void
}

export interface Sink<T, Committable = unknown> {
  readonly kind: 'sink'
  readonly name: string
  createWriter(ctx: WriterContext): SinkWriter<T, Committable>
  /** Absent: what is written is visible at once, and a restart may write it again. */
  createCommitter?(ctx: WriterContext): Committer<Committable>
  readonly _t?: (value: T) => void
}

export interface WriterContext {
  readonly subtask: number
  readonly parallelism: number
  /** Of the sink operator, unique in the job; stable over restarts and savepoints. */
  readonly operatorId: string
  readonly jobId: string
  readonly attempt: number
  /** The checkpoint this attempt started from; undefined at a fresh start. */
  readonly restoredCheckpointId: number | undefined
  readonly projectDirectory: string
  readonly files: FileSystem
  now(): Timestamp
  /** Text for the terminal, as one or more whole lines. */
  print(text: string): void
  /** A record for whoever collects this sink's results (`collect`); plain data. */
  collect(value: unknown): void
}

export interface SinkWriter<T, Committable> {
  write(value: T, timestamp: Timestamp): void
  /** Before a barrier and at the end of input: what was written must reach its medium. */
  flush?(endOfInput: boolean): void
  /** After `flush`: closes what belongs to checkpoint `checkpointId` and returns how to commit it; plain data. */
  prepareCommit?(checkpointId: number): Committable[]
  close?(): void
}

export interface Committer<Committable> {
  /** Must be idempotent: it is repeated after a restore. Throws to fail the job. */
  commit(committables: readonly Committable[]): void
  /** Once per attempt, after the restored committables were committed and the first checkpoint of this attempt completed: removes what earlier attempts left uncommitted. */
  cleanUp?(): void
  close?(): void
}
