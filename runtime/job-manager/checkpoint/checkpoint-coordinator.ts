/**
 * Decides when checkpoints and savepoints are taken, when one is complete, and what is kept of them (Flink
 * `CheckpointCoordinator`, `CheckpointFailureManager`, `DefaultCheckpointPlanCalculator`).
 *
 * A snapshot goes through three stages:
 *
 *     coordinators   the split enumerators are asked for their state
 *     tasks          barriers go to the tasks without running inputs; every task that is not finished acknowledges
 *     persisting     the manifest is written; only after `persisted` is anybody notified
 *
 * At most one is under way. It is pure: an event and `now` in, commands out. `persist` must be answered with `persisted`
 * or `persistFailed` before any other event: nothing may come between the decision and the durable fact.
 */
import { assert, unreachable } from '../../core/assert.ts'
import type { CheckpointBarrier, CheckpointKind } from '../../core/batch.ts'
import type { ErrorCode, ErrorData } from '../../core/errors.ts'
import type { Millis, Timestamp } from '../../core/time.ts'
import type { CheckpointConfig } from '../../graph/config.ts'
import type { SnapshotTimings, TaskSnapshot, TaskStatus } from '../../protocol/slot.ts'
import { pendingCheckpoint, pendingSnapshot, type PendingCheckpoint, type PendingSnapshot, type SnapshotRequest } from './pending-checkpoint.ts'
import { PeriodicSchedule } from './periodic-schedule.ts'

export interface CheckpointCoordinatorOptions {
  readonly config: CheckpointConfig
  /** By task: indexes of the tasks that send to it. */
  readonly producers: readonly (readonly number[])[]
  /** First task of each vertex; then a last entry with the number of tasks. */
  readonly firstTask: readonly number[]
  /** Ids of the source operators, whose enumerators have state. */
  readonly coordinators: readonly string[]
  /** Ids go on from here and are never reused (C14). */
  readonly nextCheckpointId: number
  /** Completed checkpoints of an earlier life of the JobManager, oldest first. */
  readonly completed: readonly CompletedCheckpoint[]
  /** The snapshot that the user started the job from; ours to read, never to delete. */
  readonly initial: CompletedCheckpoint | undefined
}

/** A checkpoint or savepoint whose manifest is durable. */
export interface CompletedCheckpoint {
  readonly id: number
  readonly kind: CheckpointKind
  readonly path: string
  readonly triggeredAt: Timestamp
  readonly completedAt: Timestamp
  readonly bytes: number
}

export type CheckpointEvent =
  /** New tasks are being deployed: all are CREATED again. */
  | { readonly kind: 'attemptStarted' }
  /** The tasks are cancelled or gone: whatever was under way is aborted. */
  | { readonly kind: 'attemptEnded'; readonly reason: string; readonly over: boolean }
  | { readonly kind: 'taskStatus'; readonly task: number; readonly status: TaskStatus }
  | { readonly kind: 'endOfData'; readonly task: number }
  | { readonly kind: 'request'; readonly requestId: string; readonly checkpointKind: CheckpointKind; readonly directory: string | undefined }
  | { readonly kind: 'coordinatorSnapshot'; readonly checkpointId: number; readonly operatorId: string; readonly state: Uint8Array }
  | { readonly kind: 'acknowledge'; readonly task: number; readonly checkpointId: number; readonly file: TaskSnapshot; readonly timings: SnapshotTimings }
  | { readonly kind: 'decline'; readonly task: number; readonly checkpointId: number; readonly error: ErrorData }
  | { readonly kind: 'beginFailed'; readonly checkpointId: number; readonly error: ErrorData }
  | { readonly kind: 'persisted'; readonly checkpointId: number; readonly path: string; readonly bytes: number }
  | { readonly kind: 'persistFailed'; readonly checkpointId: number; readonly error: ErrorData }
  | { readonly kind: 'tick' }

export type CheckpointCommand =
  /** Make `nextCheckpointId` durable, where it is not yet, and the directory, then ask every enumerator for its state. On trouble: `beginFailed`. */
  | { readonly kind: 'begin'; readonly checkpointId: number; readonly checkpointKind: CheckpointKind; readonly directory: string | undefined; readonly nextCheckpointId: number }
  /** `injectInto` are the tasks without running inputs; `expected` all that will acknowledge. */
  | { readonly kind: 'trigger'; readonly barrier: CheckpointBarrier; readonly injectInto: readonly number[]; readonly expected: readonly number[] }
  | { readonly kind: 'acknowledged'; readonly checkpointId: number; readonly task: number; readonly file: TaskSnapshot; readonly timings: SnapshotTimings }
  | { readonly kind: 'persist'; readonly snapshot: PendingSnapshot }
  | { readonly kind: 'completed'; readonly checkpoint: CompletedCheckpoint }
  /** To all tasks; never for a plain savepoint, which commits nothing (C13b). */
  | { readonly kind: 'notifyComplete'; readonly checkpointId: number }
  /** `missed` is false when the end of the job or of a task overtook it, and for a savepoint when it is tried again: no failure. */
  | { readonly kind: 'aborted'; readonly checkpointId: number; readonly checkpointKind: CheckpointKind; readonly reason: string; readonly triggered: boolean; readonly missed: boolean }
  /** No longer retained: its files may go. */
  | { readonly kind: 'subsume'; readonly checkpoint: CompletedCheckpoint }
  | { readonly kind: 'answer'; readonly requestId: string; readonly result: SnapshotResult }
  /** Too many failures in a row, or a stop with drain that failed halfway: the attempt must end. */
  | { readonly kind: 'failAttempt'; readonly error: ErrorData }
  /** The job's last snapshot is durable; tasks finish now, and nothing may restart them. */
  | { readonly kind: 'stopped'; readonly path: string }

export type SnapshotResult =
  | { readonly kind: 'completed'; readonly checkpointId: number; readonly path: string }
  | { readonly kind: 'failed'; readonly error: ErrorData }

/** Requests that wait for their turn; more are refused. */
export const maxQueuedRequests = 16
/** Until a final checkpoint that failed is tried again. */
const finalRetryDelay: Millis = 1_000
/**
 * How long tasks that have ended get to finish before another final checkpoint is begun: the last one may have covered
 * them, which only they know when their report crossed its barrier.
 */
const settleTime: Millis = 20

export class CheckpointCoordinator {
  readonly #options: CheckpointCoordinatorOptions
  readonly #tasks: TaskStatus[]
  readonly #periodic: PeriodicSchedule
  #commands: CheckpointCommand[] = []
  #pending: PendingCheckpoint | undefined
  #requests: SnapshotRequest[] = []
  #nextId: number
  #completed: CompletedCheckpoint[]
  #initial: CompletedCheckpoint | undefined
  /** The last checkpoint of the job that these tasks took, or were restored from, and that is retained: the next may go on from it. */
  #base: number | undefined
  #restoredId: number | undefined
  #failuresInARow = 0
  #finalNotBefore: Timestamp = -Infinity
  #ended = new Set<number>()
  /** Tasks whose end is in a completed checkpoint: they finish by themselves. */
  #covered = new Set<number>()
  #active = false
  #stopped = false

  constructor(options: CheckpointCoordinatorOptions) {
    this.#options = options
    this.#tasks = options.producers.map(() => 'CREATED' as const)
    this.#nextId = options.nextCheckpointId
    this.#completed = [...options.completed]
    this.#initial = options.initial
    this.#periodic = new PeriodicSchedule(options.config)
  }

  /** What an attempt may start from, best first: automatic checkpoints, then the snapshot the job was started from (C13). */
  get restorePoints(): readonly CompletedCheckpoint[] {
    const points = [...this.#completed].reverse()
    if (this.#initial) points.push(this.#initial)
    return points
  }
  /** Retained, oldest first. */
  get completed(): readonly CompletedCheckpoint[] {
    return this.#completed
  }
  /** What an attempt starts from, where it is a checkpoint of the job: its first may go on from that. */
  get restored(): CompletedCheckpoint | undefined {
    return this.#completed.find(({ id }) => id === this.#restoredId)
  }
  get nextCheckpointId(): number {
    return this.#nextId
  }
  /** After a restore from an older checkpoint than the newest: the newer ones could not be read. */
  restoredFrom(id: number): void {
    this.#restoredId = id
    if (this.#completed.some(checkpoint => checkpoint.id === id)) this.#completed = this.#completed.filter(checkpoint => checkpoint.id <= id)
    this.#nextId = Math.max(this.#nextId, id + 1)
  }

  handle(event: CheckpointEvent, now: Timestamp): CheckpointCommand[] {
    if (this.#pending?.stage === 'persisting') {
      assert(event.kind === 'persisted' || event.kind === 'persistFailed', `${event.kind} before the manifest of checkpoint ${this.#pending.id} was answered for`)
    }
    this.#apply(event, now)
    this.#expire(now)
    this.#beginIfDue(now)
    const commands = this.#commands
    this.#commands = []
    return commands
  }

  nextWakeAt(): Timestamp {
    let at = Infinity
    for (const request of this.#requests) at = Math.min(at, request.deadline)
    if (this.#pending) return this.#pending.stage === 'persisting' ? at : Math.min(at, this.#pending.triggeredAt + this.#options.config.timeout)
    if (!this.#ready()) return at
    if (!this.#stopped) at = Math.min(at, this.#periodic.dueAt)
    return this.#finalNeeded() ? Math.min(at, this.#finalNotBefore) : at
  }

  #apply(event: CheckpointEvent, now: Timestamp): void {
    switch (event.kind) {
      case 'attemptStarted':
        this.#tasks.fill('CREATED')
        this.#ended = new Set()
        this.#covered = new Set()
        this.#base = this.restored?.id
        this.#active = true
        this.#failuresInARow = 0
        this.#periodic.attemptStarted()
        this.#finalNotBefore = -Infinity
        return
      case 'attemptEnded':
        this.#active = false
        this.#abandon(event.reason, event.over)
        return
      case 'taskStatus':
        return this.#taskStatus(event.task, event.status, now)
      case 'endOfData':
        this.#ended.add(event.task)
        return
      case 'request':
        return this.#request(event, now)
      case 'coordinatorSnapshot': {
        const pending = this.#pendingIn(event.checkpointId, 'coordinators')
        if (!pending || !this.#options.coordinators.includes(event.operatorId)) return
        pending.coordinatorStates.set(event.operatorId, event.state)
        if (pending.coordinatorStates.size === this.#options.coordinators.length) this.#trigger(pending, now)
        return
      }
      case 'acknowledge': {
        const pending = this.#pendingIn(event.checkpointId, 'tasks')
        // Twice, late, or never asked for: counted once per task and id (N5).
        if (!pending?.waiting.delete(event.task)) return
        pending.files[event.task] = event.file
        this.#commands.push({ kind: 'acknowledged', checkpointId: pending.id, task: event.task, file: event.file, timings: event.timings })
        if (pending.waiting.size === 0) this.#persist(pending)
        return
      }
      case 'decline': {
        const pending = this.#pendingIn(event.checkpointId, 'tasks')
        if (pending?.waiting.has(event.task)) this.#fail(pending, event.error, now)
        return
      }
      case 'beginFailed': {
        // Without enumerators the barriers are decided on in the same breath.
        const pending = this.#pendingIn(event.checkpointId, 'coordinators') ?? this.#pendingIn(event.checkpointId, 'tasks')
        if (pending) this.#fail(pending, event.error, now)
        return
      }
      case 'persisted':
        return this.#complete(event, now)
      case 'persistFailed': {
        const pending = this.#pendingIn(event.checkpointId, 'persisting')
        if (pending) this.#fail(pending, event.error, now)
        return
      }
      case 'tick':
        return
      default:
        return unreachable(event)
    }
  }

  #pendingIn(checkpointId: number, stage: PendingCheckpoint['stage']): PendingCheckpoint | undefined {
    return this.#pending?.id === checkpointId && this.#pending.stage === stage ? this.#pending : undefined
  }

  #taskStatus(task: number, status: TaskStatus, now: Timestamp): void {
    const wasReady = this.#ready()
    this.#tasks[task] = status
    if (!wasReady && this.#ready()) this.#periodic.allRun(now, this.restored)
    // It finished before the barrier reached it. Without it the same snapshot can be taken at once: no failure, a new plan.
    if (status === 'FINISHED' && this.#pending?.stage === 'tasks' && this.#pending.waiting.has(task)) this.#startOver(this.#pending, now)
  }

  #request(event: Extract<CheckpointEvent, { kind: 'request' }>, now: Timestamp): void {
    const refuse = (message: string) => this.#answerFailure(event.requestId, event.checkpointKind, message)
    if (!this.#active) return refuse('the job is not running')
    if (this.#stopped) return refuse('the job is stopping')
    if (this.#requests.length >= maxQueuedRequests) return refuse(`${maxQueuedRequests} snapshots are waiting already`)
    const { requestId, checkpointKind, directory } = event
    this.#requests.push({ requestId, checkpointKind, directory, deadline: now + this.#options.config.timeout })
  }

  #answerFailure(requestId: string, checkpointKind: CheckpointKind, message: string, cause?: ErrorData): void {
    const code = checkpointKind === 'checkpoint' ? 'CHECKPOINT_FAILED' : 'SAVEPOINT_FAILED'
    this.#commands.push({ kind: 'answer', requestId, result: { kind: 'failed', error: { ...cause, code, message } } })
  }

  /** All tasks RUNNING or FINISHED, and at least one RUNNING (C9). */
  #ready(): boolean {
    let running = false
    for (const status of this.#tasks) {
      if (status === 'RUNNING') running = true
      else if (status !== 'FINISHED') return false
    }
    return this.#active && running
  }

  /**
   * Tasks that reached the end of their data wait for one more checkpoint, so that what they wrote is committed (C11).
   * As long as others run on, the periodic ones serve; when all wait, none should have to wait for the interval.
   */
  #finalNeeded(): boolean {
    let uncovered = false
    for (let task = 0; task < this.#tasks.length; task++) {
      if (this.#tasks[task] === 'FINISHED') continue
      if (!this.#ended.has(task)) return false
      if (!this.#covered.has(task)) uncovered = true
    }
    return uncovered
  }

  #expire(now: Timestamp): void {
    const pending = this.#pending
    const { timeout } = this.#options.config
    if (pending && pending.stage !== 'persisting' && now >= pending.triggeredAt + timeout) {
      const waiting = pending.stage === 'tasks' ? `${pending.waiting.size} of ${this.#tasks.length} tasks did not acknowledge` : 'a split enumerator did not answer'
      this.#fail(pending, { code: 'CHECKPOINT_FAILED', message: `checkpoint ${pending.id} expired after ${timeout} ms: ${waiting}` }, now)
    }
    const late = this.#requests.filter(request => now >= request.deadline)
    if (late.length === 0) return
    this.#requests = this.#requests.filter(request => now < request.deadline)
    for (const request of late) this.#answerFailure(request.requestId, request.checkpointKind, `not all tasks were running within ${timeout} ms`)
  }

  #beginIfDue(now: Timestamp): void {
    if (this.#pending || !this.#ready()) return
    const request = this.#stopped ? undefined : this.#requests.shift()
    const periodic = !this.#stopped && now >= this.#periodic.dueAt
    if (!request && !periodic && !(this.#finalNeeded() && now >= this.#finalNotBefore)) return
    this.#periodic.begun(now, request !== undefined)
    const pending = pendingCheckpoint(this.#nextId++, request, this.#tasks.length, now)
    this.#pending = pending
    this.#commands.push({ kind: 'begin', checkpointId: pending.id, checkpointKind: pending.checkpointKind, directory: request?.directory, nextCheckpointId: this.#nextId })
    if (this.#options.coordinators.length === 0) this.#trigger(pending, now)
  }

  #trigger(pending: PendingCheckpoint, now: Timestamp): void {
    if (!this.#ready()) return this.#startOver(pending, now)
    const finished = new Set<number>()
    const expected: number[] = []
    this.#tasks.forEach((status, task) => (status === 'FINISHED' ? finished.add(task) : expected.push(task)))
    const injectInto = expected.filter(task => (this.#options.producers[task] ?? []).every(producer => finished.has(producer)))
    assert(injectInto.length > 0, 'a running task without running inputs exists in every graph without cycles')
    for (const task of expected) pending.waiting.add(task)
    pending.finished = finished
    pending.ended = new Set(this.#ended)
    pending.stage = 'tasks'
    // Who has a savepoint in hand needs nothing else.
    const since = pending.checkpointKind === 'checkpoint' && this.#options.config.incremental ? this.#base : undefined
    this.#commands.push({ kind: 'trigger', barrier: { checkpointId: pending.id, timestamp: pending.triggeredAt, kind: pending.checkpointKind, since }, injectInto, expected })
  }

  #persist(pending: PendingCheckpoint): void {
    pending.stage = 'persisting'
    this.#commands.push({ kind: 'persist', snapshot: pendingSnapshot(pending, this.#options.firstTask) })
  }

  #complete(event: Extract<CheckpointEvent, { kind: 'persisted' }>, now: Timestamp): void {
    const pending = this.#pendingIn(event.checkpointId, 'persisting')
    assert(pending, `checkpoint ${event.checkpointId} was persisted, but nobody asked for it`)
    const { id, checkpointKind, triggeredAt } = pending
    const checkpoint: CompletedCheckpoint = { id, kind: checkpointKind, path: event.path, triggeredAt, completedAt: now, bytes: event.bytes }
    this.#pending = undefined
    this.#periodic.ended(now)
    this.#finalNotBefore = now + settleTime
    this.#commands.push({ kind: 'completed', checkpoint })
    if (checkpointKind !== 'savepoint') {
      for (const task of checkpointKind === 'checkpoint' ? pending.ended : this.#ended) this.#covered.add(task)
      this.#commands.push({ kind: 'notifyComplete', checkpointId: id })
    }
    if (checkpointKind === 'checkpoint') this.#retain(checkpoint)
    if (pending.request) this.#commands.push({ kind: 'answer', requestId: pending.request.requestId, result: { kind: 'completed', checkpointId: id, path: event.path } })
    if (checkpointKind === 'stop' || checkpointKind === 'stop-drain') {
      this.#stopped = true
      for (const request of this.#requests.splice(0)) this.#answerFailure(request.requestId, request.checkpointKind, 'the job is stopping')
      this.#commands.push({ kind: 'stopped', path: event.path })
    }
  }

  #retain(checkpoint: CompletedCheckpoint): void {
    this.#failuresInARow = 0
    this.#completed.push(checkpoint)
    this.#base = checkpoint.id
    // From here on the job has checkpoints of its own; the user's snapshot is left alone.
    this.#initial = undefined
    while (this.#completed.length > this.#options.config.retained) {
      this.#commands.push({ kind: 'subsume', checkpoint: this.#completed.shift() as CompletedCheckpoint })
    }
  }

  #abort(pending: PendingCheckpoint, reason: string, missed = true): void {
    this.#pending = undefined
    const { id: checkpointId, checkpointKind } = pending
    this.#commands.push({ kind: 'aborted', checkpointId, checkpointKind, reason, triggered: pending.stage !== 'coordinators', missed })
  }

  #startOver(pending: PendingCheckpoint, now: Timestamp): void {
    this.#abort(pending, 'a task finished before its barrier', false)
    this.#finalNotBefore = now + settleTime
    if (pending.request) this.#requests.unshift(pending.request)
    else if (this.#tasks.some((status, task) => status !== 'FINISHED' && !this.#ended.has(task))) this.#periodic.startOver()
  }

  /** A failure that counts: declined, expired, or not to be written (C8). Savepoints never count. */
  #fail(pending: PendingCheckpoint, cause: ErrorData, now: Timestamp): void {
    this.#abort(pending, cause.message)
    this.#periodic.ended(now)
    this.#finalNotBefore = now + finalRetryDelay
    if (pending.request) this.#answerFailure(pending.request.requestId, pending.checkpointKind, cause.message, cause)
    switch (pending.checkpointKind) {
      case 'savepoint':
      // Tasks that have stopped go on when they hear that it was given up.
      case 'stop':
        return
      case 'stop-drain':
        // Event time may have ended already, and cannot be taken back: only a restart brings the job back.
        this.#active = false
        this.#commands.push({ kind: 'failAttempt', error: { ...cause, code: codeFor(cause, 'SAVEPOINT_FAILED'), message: `stop with savepoint failed: ${cause.message}` } })
        return
      case 'checkpoint': {
        const { tolerableFailures } = this.#options.config
        if (++this.#failuresInARow <= tolerableFailures) return
        this.#active = false
        const message = tolerableFailures === 0 ? cause.message : `${this.#failuresInARow} checkpoints failed in a row; the last: ${cause.message}`
        this.#commands.push({ kind: 'failAttempt', error: { ...cause, code: codeFor(cause, 'CHECKPOINT_FAILED'), message } })
        return
      }
      default:
        return unreachable(pending.checkpointKind)
    }
  }

  #abandon(reason: string, over: boolean): void {
    const pending = this.#pending
    if (pending) {
      this.#abort(pending, reason, !over || pending.request !== undefined)
      if (pending.request) this.#answerFailure(pending.request.requestId, pending.checkpointKind, reason)
    }
    for (const request of this.#requests.splice(0)) this.#answerFailure(request.requestId, request.checkpointKind, reason)
  }
}

/** A full disk is what a person can mend, so it keeps its name and its exit code. */
function codeFor(cause: ErrorData, otherwise: ErrorCode): ErrorCode {
  return cause.code === 'DISK_FULL' ? cause.code : otherwise
}
