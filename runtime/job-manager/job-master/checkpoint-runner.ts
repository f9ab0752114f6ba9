/**
 * The snapshots of one job: does what its `CheckpointCoordinator` decides, and keeps what people ask about it. What
 * must be durable before something else may happen is written here, in that order; nothing is decided here.
 */
import { unreachable } from '../../core/assert.ts'
import type { CheckpointKind } from '../../core/batch.ts'
import { errorToData, type ErrorData } from '../../core/errors.ts'
import type { Fence } from '../../core/ids.ts'
import { randomHex } from '../../core/random.ts'
import type { Timestamp } from '../../core/time.ts'
import { CheckpointStatistics } from '../../metrics/checkpoint-statistics.ts'
import type { RuntimeEventBody } from '../../metrics/event.ts'
import type { ToTaskManager } from '../../protocol/task-executor.ts'
import { CheckpointCoordinator, type CheckpointCommand, type CheckpointEvent, type CompletedCheckpoint, type SnapshotResult } from '../checkpoint/checkpoint-coordinator.ts'
import type { JobSnapshots } from '../checkpoint/job-snapshots.ts'
import type { PendingSnapshot } from '../checkpoint/pending-checkpoint.ts'
import type { Progress, Submission } from '../dispatcher/job-store.ts'
import type { TaskTable } from './task-table.ts'

/** What snapshots need of the job they are of. */
export interface CheckpointedJob {
  readonly submission: Submission
  readonly table: TaskTable
  /** Source operators, whose enumerators have state. */
  readonly sources: readonly string[]
  fence(): Fence
  /** By vertex, where it is not the graph's. */
  maxParallelism(): Readonly<Record<number, number>>
  taskManagerOf(task: number): string
  send(taskManager: string, message: ToTaskManager): void
  /** To every TaskManager that has a slot of this attempt. */
  broadcast(message: ToTaskManager): void
  /** The enumerators of this attempt give their state. */
  snapshotSources(checkpointId: number): void
  /** The barriers of this checkpoint are on their way, or it was given up. */
  released(checkpointId: number): void
  onCheckpointCompleted(): void
  onStopSavepoint(path: string): void
  onFailure(error: ErrorData): void
  now(): Timestamp
  random(): number
  event(body: RuntimeEventBody): void
  saveProgress(progress: Progress): void
}

/** Results of savepoints that were asked for; older ones are forgotten. */
const keptTriggers = 100

export class CheckpointRunner {
  readonly statistics = new CheckpointStatistics()
  readonly #job: CheckpointedJob
  readonly #snapshots: JobSnapshots
  readonly #coordinator: CheckpointCoordinator
  readonly #triggers = new Map<string, SnapshotResult | undefined>()
  #stoppedAt: string | undefined
  /** The snapshot named at submission cannot be read. */
  #startError: ErrorData | undefined
  #begun: { readonly id: number; readonly directory: string } | undefined
  /** Ids below are durably taken. */
  #taken: number

  constructor(job: CheckpointedJob, snapshots: JobSnapshots, progress: Progress) {
    this.#job = job
    this.#snapshots = snapshots
    this.#stoppedAt = progress.stoppedAt
    this.#taken = progress.nextCheckpointId
    const initial = this.#initialSnapshot(progress)
    this.#coordinator = new CheckpointCoordinator({
      config: job.submission.graph.config.checkpointing,
      producers: job.table.tasks.map(task => task.producers),
      firstTask: [...job.table.firstTask, job.table.tasks.length],
      coordinators: job.sources,
      nextCheckpointId: Math.max(progress.nextCheckpointId, (initial?.id ?? 0) + 1),
      completed: progress.completed,
      initial: progress.completed.length === 0 ? initial : undefined,
    })
  }

  get retained(): readonly CompletedCheckpoint[] {
    return this.#coordinator.completed
  }
  /** What an attempt may start from, best first. */
  get restorePoints(): readonly CompletedCheckpoint[] {
    return this.#coordinator.restorePoints
  }
  /** Where the job was stopped to, once that savepoint is durable. */
  get stoppedAt(): string | undefined {
    return this.#stoppedAt
  }
  /** Why there is nothing to start from, although a snapshot was named. */
  get startError(): ErrorData | undefined {
    return this.#startError
  }
  nextWakeAt(): Timestamp {
    return this.#coordinator.nextWakeAt()
  }

  /** Removes what a JobManager that was killed left. */
  sweep(): void {
    this.#snapshots.sweep(this.#coordinator.completed)
  }

  /** Starts a snapshot; `triggerId` finds the result later. `directory` is absolute and the parent of what is made. */
  request(checkpointKind: CheckpointKind, directory: string | undefined, triggerId: string): void {
    this.#triggers.set(triggerId, undefined)
    if (this.#triggers.size > keptTriggers) this.#triggers.delete(this.#triggers.keys().next().value as string)
    const path = checkpointKind === 'checkpoint' ? undefined : this.#snapshots.savepointDirectory(directory, randomHex(() => this.#job.random(), 12))
    this.handle({ kind: 'request', requestId: triggerId, checkpointKind, directory: path })
  }

  /** `unknown` if there was no such request; `pending` until it is answered. */
  result(triggerId: string): SnapshotResult | 'pending' | 'unknown' {
    return this.#triggers.has(triggerId) ? (this.#triggers.get(triggerId) ?? 'pending') : 'unknown'
  }

  /** An attempt starts from this snapshot, or from none: its first checkpoint goes on from there where it can. */
  startsFrom(checkpoint: CompletedCheckpoint | undefined): void {
    if (checkpoint) this.#coordinator.restoredFrom(checkpoint.id)
    this.#snapshots.goOnFrom(this.#coordinator.restored)
  }

  handle(event: CheckpointEvent): void {
    for (const command of this.#coordinator.handle(event, this.#job.now())) this.#do(command)
  }

  /**
   * Takes the id of the next snapshot along: when its time comes, it begins without a wait for the disk. A JobManager that
   * was killed before goes on one id later.
   *
   * @throws {FlinkError} DISK_FULL, STORAGE_FAILED
   */
  saveProgress(change: Partial<Progress> = {}): void {
    const nextCheckpointId = this.#coordinator.nextCheckpointId + 1
    this.#job.saveProgress({
      attempt: this.#job.fence().attempt, nextCheckpointId, completed: this.#coordinator.completed, stoppedAt: this.#stoppedAt, ...change,
    })
    this.#taken = nextCheckpointId
  }

  /** A failed job keeps its checkpoints, so that a person can go on from them. */
  cleanUp(status: 'FINISHED' | 'FAILED' | 'CANCELED'): void {
    if (status === 'FAILED' || this.#job.submission.graph.config.checkpointing.onCancellation === 'retain') return
    for (const checkpoint of this.#coordinator.completed) this.statistics.discarded(checkpoint.id)
    this.#snapshots.discardAll()
  }

  #do(command: CheckpointCommand): void {
    const job = this.#job
    const { jobId } = job.submission
    const now = job.now()
    switch (command.kind) {
      case 'begin':
        return this.#begin(command)
      case 'trigger': {
        const { barrier } = command
        if (this.#begun?.id !== barrier.checkpointId) return
        this.statistics.triggered(barrier.checkpointId, barrier.kind, command.expected.length, barrier.timestamp)
        job.event({ kind: 'checkpointTriggered', jobId, checkpointId: barrier.checkpointId, checkpointKind: barrier.kind })
        const taskManagers = new Set(command.expected.map(task => job.taskManagerOf(task)))
        for (const taskManager of taskManagers) job.send(taskManager, { kind: 'trigger', fence: job.fence(), jobId, barrier, directory: this.#begun.directory })
        return job.released(barrier.checkpointId)
      }
      case 'acknowledged':
        return this.statistics.acknowledged(command.checkpointId, command.task, command.file.bytes, command.timings, now)
      case 'persist':
        return this.#persist(command.snapshot)
      case 'completed': {
        const { id, kind, path, triggeredAt, bytes } = command.checkpoint
        this.statistics.completed(id, path, bytes, now)
        if (kind === 'checkpoint') job.onCheckpointCompleted()
        return job.event({ kind: 'checkpointCompleted', jobId, checkpointId: id, checkpointKind: kind, durationMs: now - triggeredAt, bytes, path })
      }
      case 'notifyComplete':
        return job.broadcast({ kind: 'checkpointComplete', fence: job.fence(), jobId, checkpointId: command.checkpointId })
      case 'aborted': {
        const { checkpointId, checkpointKind, reason } = command
        job.released(checkpointId)
        if (command.triggered) job.broadcast({ kind: 'checkpointAborted', fence: job.fence(), jobId, checkpointId })
        if (this.#begun?.id === checkpointId) this.#snapshots.discard(this.#begun.directory)
        this.#begun = undefined
        if (!command.missed) return this.statistics.abandoned(checkpointId)
        this.statistics.failed(checkpointId, reason, now)
        return job.event({ kind: 'checkpointFailed', jobId, checkpointId, checkpointKind, reason })
      }
      case 'subsume':
        this.statistics.discarded(command.checkpoint.id)
        return this.#snapshots.subsume(command.checkpoint.path)
      case 'answer':
        return void this.#triggers.set(command.requestId, command.result)
      case 'failAttempt':
        return job.onFailure(command.error)
      case 'stopped':
        this.#stoppedAt = command.path
        return job.onStopSavepoint(command.path)
      default:
        return unreachable(command)
    }
  }

  #begin(command: Extract<CheckpointCommand, { kind: 'begin' }>): void {
    const { checkpointId } = command
    const directory = command.directory ?? this.#snapshots.checkpointDirectory(checkpointId)
    try {
      // It was not there to be taken along: the last one failed, or was a savepoint.
      if (command.nextCheckpointId > this.#taken) this.saveProgress()
      this.#snapshots.prepare(directory)
    } catch (error) {
      return this.handle({ kind: 'beginFailed', checkpointId, error: errorToData(error, 'STORAGE_FAILED') })
    }
    this.#begun = { id: checkpointId, directory }
    if (this.#job.sources.length > 0) this.#job.snapshotSources(checkpointId)
  }

  #persist(pending: PendingSnapshot): void {
    const { checkpointId, checkpointKind, triggeredAt } = pending
    const { submission: { jobId, graph }, table } = this.#job
    const directory = this.#begun?.directory as string
    const now = this.#job.now()
    let bytes: number
    try {
      const written = this.#snapshots.write(directory, { jobId, graph, firstTask: table.firstTask, maxParallelism: this.#job.maxParallelism(), completedAt: now, pending })
      bytes = written.bytes
      this.statistics.written(checkpointId, written.stateBytes)
      // The pointer before the notification: what sinks commit must never be newer than where a new JobManager goes on from.
      const completed: CompletedCheckpoint = { id: checkpointId, kind: checkpointKind, path: directory, triggeredAt, completedAt: now, bytes }
      if (checkpointKind === 'checkpoint') {
        this.saveProgress({ completed: [...this.#coordinator.completed, completed] })
        this.#snapshots.retain(written)
      } else if (checkpointKind !== 'savepoint') this.saveProgress({ stoppedAt: directory })
    } catch (error) {
      return this.handle({ kind: 'persistFailed', checkpointId, error: errorToData(error, 'STORAGE_FAILED') })
    }
    this.#begun = undefined
    this.handle({ kind: 'persisted', checkpointId, path: directory, bytes })
  }

  #initialSnapshot(progress: Progress): CompletedCheckpoint | undefined {
    try {
      return this.#snapshots.initial()
    } catch (error) {
      // Once the job has checkpoints of its own, nobody needs it any more.
      if (progress.completed.length === 0) this.#startError = errorToData(error, 'SNAPSHOT_NOT_FOUND')
      return undefined
    }
  }
}
