/**
 * The sink at the end of a chain: the writer, and the committer if what is written becomes visible only with a checkpoint
 * (two phases; Flink `SinkWriterOperator` and `CommitterOperator` in one).
 *
 * The life of a committable: before the barrier of checkpoint n the writer hands it out (P1); it is part of snapshot n,
 * tagged n; it is committed when a checkpoint m >= n is known to be complete, in ascending order of the tags (P2), or
 * right after a restore from m, before any input, again (P3).
 *
 * A savepoint that is not a stop commits nothing. Its committables are tagged and snapshotted like any other, so that a
 * job started from it commits them and continues behind them; in the job that goes on they stay pending until the next
 * checkpoint completes. If that job fails first, it restarts from the checkpoint before, writes those records again, and
 * the savepoint's committables are not in its state: they are left over and removed with `cleanUp`.
 *
 * Without checkpointing everything is committed at the end of input (P5).
 */
import type { Batch, CheckpointBarrier } from '../core/batch.ts'
import { FlinkError } from '../core/errors.ts'
import type { Timestamp } from '../core/time.ts'
import type { Committer, SinkWriter, WriterContext } from '../api/connector.ts'
import { decodeValue, encodeValue } from '../codec/value-codec.ts'
import type { JobOperator } from '../graph/job-graph.ts'
import type { SinkTransformation } from '../graph/transformation.ts'
import type { ChainContext } from './chain.ts'
import type { SnapshotSink } from './keyed-state.ts'
import type { Operator, OperatorStats } from './operator.ts'
import type { Outputs } from './output.ts'
import { blameOf, userError, type Blame } from './user-error.ts'

const committablesState = 'committables'
/** Tag of what is committed at the end of input without a checkpoint. */
const endOfInputId = Number.MAX_SAFE_INTEGER

interface Pending {
  readonly checkpointId: number
  readonly committable: unknown
}

export class SinkOperator implements Operator {
  readonly commits: boolean
  readonly #context: ChainContext
  readonly #id: string
  readonly #transformation: SinkTransformation
  readonly #outputs: Outputs
  readonly #blame: Blame
  #writer: SinkWriter<unknown, unknown> | undefined
  #committer: Committer<unknown> | undefined
  /** Ascending by id. Grows by what one checkpoint interval writes for each checkpoint that does not complete; the job fails over before long then. */
  #pending: Pending[] = []
  /** Savepoints that must not commit, should anybody say that they are complete. */
  readonly #savepoints = new Set<number>()
  #cleanedUp = false

  constructor(context: ChainContext, operator: JobOperator, transformation: SinkTransformation, outputs: Outputs) {
    this.#context = context
    this.#id = operator.id
    this.#transformation = transformation
    this.#outputs = outputs
    this.#blame = blameOf(context, operator, transformation)
    this.commits = transformation.sink.createCommitter !== undefined
  }

  /** From `open` on. Generated code gives it each record itself. */
  get writer(): SinkWriter<unknown, unknown> {
    return this.#writer as SinkWriter<unknown, unknown>
  }

  open(): void {
    const { sink } = this.#transformation
    const writerContext = this.#writerContext()
    this.#guard(() => {
      this.#committer = sink.createCommitter?.(writerContext)
      for (const bytes of this.#context.restored.list(this.#id, committablesState)) this.#pending.push(decodeValue(bytes) as Pending)
      if (this.#pending.length > 0 && this.#committer === undefined) throw this.#nothingToCommitWith()
      // Several old subtasks' lists may come together (P9).
      this.#pending.sort((a, b) => a.checkpointId - b.checkpointId)
      this.#commitUpTo(Infinity)
      this.#writer = sink.createWriter(writerContext)
    })
  }

  #nothingToCommitWith(): FlinkError {
    const { name, at } = this.#blame
    return new FlinkError('SNAPSHOT_INCOMPATIBLE', `sink ${JSON.stringify(name)} has output in the snapshot that is not committed yet, but this sink does not commit`, {
      hint: 'Restore with the sink as it was, let a checkpoint or `flink-ts stop` complete, and change it then.',
      ...(at === undefined ? {} : { at }),
    })
  }

  #writerContext(): WriterContext {
    const context = this.#context
    const operatorId = this.#id
    const { subtask, parallelism, jobId, attempt, projectDirectory, files } = context
    return {
      subtask,
      parallelism,
      operatorId,
      jobId,
      attempt,
      restoredCheckpointId: context.restored.checkpointId,
      projectDirectory,
      files,
      now: () => context.now(),
      print: text => context.print(operatorId, text),
      collect: value => context.collect(operatorId, value),
    }
  }

  processBatch(batch: Batch): void {
    const { values, timestamps, size } = batch
    const { writer } = this
    try {
      for (let i = 0; i < size; i++) writer.write(values[i], timestamps[i] as Timestamp)
    } catch (error) {
      throw userError(error, this.#blame)
    }
  }

  processWatermark(timestamp: Timestamp): void {
    this.#outputs.watermark(timestamp)
  }
  processIdle(idle: boolean): void {
    this.#outputs.idle(idle)
  }

  prepareSnapshot(barrier: CheckpointBarrier): void {
    if (barrier.kind === 'savepoint') this.#savepoints.add(barrier.checkpointId)
    this.#prepare(barrier.checkpointId, false)
  }

  #prepare(checkpointId: number, endOfInput: boolean): void {
    const { writer } = this
    this.#guard(() => {
      writer.flush?.(endOfInput)
      if (!this.commits) return
      for (const committable of writer.prepareCommit?.(checkpointId) ?? []) this.#pending.push({ checkpointId, committable })
    })
  }

  snapshot(sink: SnapshotSink): undefined {
    if (this.commits) sink.list(committablesState, this.#pending.map(pending => encodeValue(pending, 'a committable')))
  }

  /** Notifications may be lost: one for n stands for all up to n (P2, P4). */
  checkpointComplete(checkpointId: number): void {
    if (!this.commits || this.#savepoints.has(checkpointId)) return
    for (const savepoint of this.#savepoints) if (savepoint < checkpointId) this.#savepoints.delete(savepoint)
    this.#guard(() => {
      this.#commitUpTo(checkpointId)
      this.#cleanUpOnce()
    })
  }

  #cleanUpOnce(): void {
    if (this.#cleanedUp) return
    this.#cleanedUp = true
    this.#committer?.cleanUp?.()
  }

  /** One call of the committer per checkpoint, ascending; each is forgotten only when it was committed. */
  #commitUpTo(checkpointId: number): void {
    while (this.#pending.length > 0) {
      const id = (this.#pending[0] as Pending).checkpointId
      if (id > checkpointId) return
      const end = this.#pending.findIndex(pending => pending.checkpointId !== id)
      const count = end < 0 ? this.#pending.length : end
      this.#committer?.commit(this.#pending.slice(0, count).map(pending => pending.committable))
      this.#pending.splice(0, count)
    }
  }

  /** With checkpointing the final checkpoint flushes and commits what is left. */
  endInput(): void {
    if (this.#context.checkpointing && this.commits) {
      this.#guard(() => this.#writer?.flush?.(true))
      return
    }
    this.#prepare(endOfInputId, true)
    this.#guard(() => {
      this.#commitUpTo(Infinity)
      this.#cleanUpOnce()
    })
  }

  stats(): OperatorStats {
    return { pendingCommittables: this.#pending.length }
  }

  close(): void {
    try {
      this.#writer?.close?.()
    } finally {
      this.#committer?.close?.()
    }
  }

  #guard<T>(call: () => T): T {
    try {
      return call()
    } catch (error) {
      throw userError(error, this.#blame)
    }
  }
}
