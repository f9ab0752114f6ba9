/**
 * One job in a JobManager: wires the decisions (`JobMaster`, `CheckpointCoordinator`, `SourceCoordinator`) to the outside
 * and keeps what people want to know. All I/O of a job is here; nothing is decided here.
 */
import { unreachable } from '../../core/assert.ts'
import type { CheckpointKind } from '../../core/batch.ts'
import { errorToData, FlinkError, type ErrorData } from '../../core/errors.ts'
import type { FileSystem } from '../../core/files.ts'
import { sameFence, type Fence, type SubtaskRef } from '../../core/ids.ts'
import { randomHex } from '../../core/random.ts'
import type { Timestamp } from '../../core/time.ts'
import { executionPlan } from '../../graph/plan.ts'
import type { ExecutionPlan, JobGraph } from '../../graph/job-graph.ts'
import { CheckpointStatistics } from '../../metrics/checkpoint-statistics.ts'
import { terminalJobStatuses, type JobStatus, type RuntimeEventBody } from '../../metrics/event.ts'
import { RateMeter } from '../../metrics/rates.ts'
import type { FromTaskManager } from '../../protocol/job-master.ts'
import type { ToTaskManager } from '../../protocol/task-executor.ts'
import { CheckpointCoordinator, type CheckpointCommand, type CheckpointEvent, type CompletedCheckpoint, type PendingSnapshot, type SnapshotResult } from '../checkpoint/checkpoint-coordinator.ts'
import { JobSnapshots } from '../checkpoint/job-snapshots.ts'
import { restoreOfSlot, type RestorePlan } from '../checkpoint/restore-plan.ts'
import type { SnapshotDirectory } from '../checkpoint/snapshot-directory.ts'
import type { CoordinatorHost, FromCoordinatorHost } from '../coordinators/coordinator-protocol.ts'
import { SourceCoordinator, type Assignment, type SourceEvent } from '../coordinators/source-coordinator.ts'
import type { Progress, Submission } from '../dispatcher/job-store.ts'
import { ExecutionHistory } from './execution-history.ts'
import { JobMaster, type GrantedSlot, type JobCommand, type JobEvent } from './job-master.ts'
import { effectiveRestart, RestartStrategy } from './restart-strategy.ts'
import { taskIndex, taskTable, type TaskTable } from './task-table.ts'

export interface JobRunnerPorts {
  now(): Timestamp
  random(): number
  readonly files: FileSystem
  readonly snapshots: SnapshotDirectory
  readonly host: CoordinatorHost
  send(taskManager: string, message: ToTaskManager): void
  requestSlots(jobId: string, count: number): void
  releaseSlots(jobId: string): void
  abandonTaskManager(taskManager: string, reason: string): void
  event(body: RuntimeEventBody): void
  saveProgress(jobId: string, progress: Progress): void
  /** Terminal; called once. */
  over(job: JobRunner): void
}

export interface JobRunnerOptions {
  readonly clusterId: string
  readonly epoch: number
  readonly submission: Submission
  readonly progress: Progress
  /** The JobManager was restarted. */
  readonly recovered: boolean
  readonly slotTimeout: number
  readonly cancelTimeout: number
}

type AboutJob = Extract<FromTaskManager, { readonly jobId: string | undefined }>
/** Results of savepoints that were asked for; older ones are forgotten. */
const keptTriggers = 100

export class JobRunner {
  readonly submission: Submission
  readonly plan: ExecutionPlan
  readonly table: TaskTable
  readonly history: ExecutionHistory
  readonly statistics = new CheckpointStatistics()
  readonly rates = new RateMeter()
  readonly #options: JobRunnerOptions
  readonly #ports: JobRunnerPorts
  readonly #master: JobMaster
  readonly #checkpoints: CheckpointCoordinator
  readonly #sources = new SourceCoordinator()
  readonly #snapshots: JobSnapshots
  readonly #sourceOperators: readonly { readonly operatorId: string; readonly transformation: number; readonly parallelism: number }[]
  readonly #triggers = new Map<string, SnapshotResult | undefined>()
  #attempt: number
  #stoppedAt: string | undefined
  /** The snapshot named at submission cannot be read. */
  #startError: ErrorData | undefined
  #restore: RestorePlan | undefined
  #restoredFrom: CompletedCheckpoint | undefined
  /** An attempt is being prepared: the snapshot is read in slices, and slots are asked for when it is found good. */
  #search: ReturnType<JobSnapshots['restorePoint']> | undefined
  #slotsWanted: number | undefined
  #announced = false
  #begun: { readonly id: number; readonly directory: string } | undefined
  #staleMessages = 0
  #error: ErrorData | undefined

  constructor(options: JobRunnerOptions, ports: JobRunnerPorts) {
    const { submission, progress } = options
    const { config } = submission.graph
    this.#options = options
    this.#ports = ports
    this.submission = submission
    this.plan = executionPlan(submission.graph)
    this.table = taskTable(this.plan)
    this.history = new ExecutionHistory(this.table.tasks.length)
    this.#attempt = progress.attempt
    this.#stoppedAt = progress.stoppedAt
    this.#snapshots = new JobSnapshots(ports.files, ports.snapshots, submission, (message, error) => ports.event({ kind: 'log', level: 'warn', message, error }))
    this.#sourceOperators = submission.graph.vertices.flatMap(({ operators, parallelism }) =>
      operators.flatMap(({ id, source, transformation }) => (source ? [{ operatorId: id, transformation, parallelism }] : [])),
    )
    const initial = this.#initialSnapshot()
    this.#checkpoints = new CheckpointCoordinator({
      config: config.checkpointing,
      producers: this.table.tasks.map(task => task.producers),
      firstTask: [...this.table.firstTask, this.table.tasks.length],
      coordinators: this.#sourceOperators.map(({ operatorId }) => operatorId),
      nextCheckpointId: Math.max(progress.nextCheckpointId, (initial?.id ?? 0) + 1),
      completed: progress.completed,
      initial: progress.completed.length === 0 ? initial : undefined,
    })
    this.#master = new JobMaster({
      slotOfTask: this.table.tasks.map(task => task.slot),
      slots: this.plan.slots.length,
      nextAttempt: progress.attempt + 1,
      strategy: new RestartStrategy(effectiveRestart(config), () => ports.random()),
      slotTimeout: options.slotTimeout,
      cancelTimeout: options.cancelTimeout,
    })
    this.history.statusAt.INITIALIZING = submission.submittedAt
  }

  get jobId(): string {
    return this.submission.jobId
  }
  get graph(): JobGraph {
    return this.submission.graph
  }
  get status(): JobStatus {
    return this.#master.status
  }
  /** What a vertex runs with: that of its restored state, if it has any. */
  maxParallelismOf(vertex: number): number | undefined {
    return this.#restore?.maxParallelism[vertex] ?? this.graph.vertices[vertex]?.maxParallelism
  }
  get over(): boolean {
    return terminalJobStatuses.has(this.#master.status)
  }
  get attempt(): number {
    return this.#master.attempt
  }
  /** Why it failed, or is failing or restarting. */
  get error(): ErrorData | undefined {
    return this.#error
  }
  /** Messages of an earlier life that were dropped. */
  get staleMessages(): number {
    return this.#staleMessages
  }
  get retainedCheckpoints(): readonly CompletedCheckpoint[] {
    return this.#checkpoints.completed
  }

  start(): void {
    if (this.#options.recovered) this.#snapshots.sweep(this.#checkpoints.completed)
    this.#ports.event({ kind: 'jobSubmitted', jobId: this.jobId, name: this.graph.name, graph: this.graph })
    if (this.#stoppedAt !== undefined) this.#job({ kind: 'stopSavepointCompleted', path: this.#stoppedAt })
    this.#job({ kind: 'start' })
  }

  cancel(): void {
    this.#job({ kind: 'cancel' })
  }

  /** Starts a snapshot; `triggerId` finds the result later. `directory` is absolute and the parent of what is made. */
  requestSnapshot(checkpointKind: CheckpointKind, directory: string | undefined, triggerId: string): void {
    this.#triggers.set(triggerId, undefined)
    if (this.#triggers.size > keptTriggers) this.#triggers.delete(this.#triggers.keys().next().value as string)
    const path = checkpointKind === 'checkpoint' ? undefined : this.#snapshots.savepointDirectory(directory, randomHex(this.#ports.random, 12))
    this.#checkpoint({ kind: 'request', requestId: triggerId, checkpointKind, directory: path })
  }

  /** `unknown` if there was no such request; `pending` until it is answered. */
  snapshotResult(triggerId: string): SnapshotResult | 'pending' | 'unknown' {
    return this.#triggers.has(triggerId) ? (this.#triggers.get(triggerId) ?? 'pending') : 'unknown'
  }

  onSlotsGranted(slots: readonly GrantedSlot[]): void {
    this.#job({ kind: 'slotsGranted', slots })
  }

  onTaskManagerLost(taskManager: string, error: ErrorData): void {
    this.#job({ kind: 'taskManagerLost', taskManager, error })
  }

  onLossExplained(taskManager: string, error: ErrorData): void {
    this.#job({ kind: 'lossExplained', taskManager, error })
  }

  onMessage(taskManager: string, message: AboutJob): void {
    if (message.fence === undefined || !sameFence(message.fence, this.#fence())) return void this.#staleMessages++
    switch (message.kind) {
      case 'taskStatus': {
        const task = this.#task(message.task)
        if (task !== undefined) this.#job({ kind: 'taskStatus', task, status: message.status, error: message.error })
        return
      }
      case 'slotFree':
        return this.#job({ kind: 'slotFree', taskManager, slotIndex: message.slotIndex, error: message.error })
      case 'endOfData': {
        const task = this.#task(message.task)
        if (task !== undefined) this.#checkpoint({ kind: 'endOfData', task })
        return
      }
      case 'acknowledge': {
        const task = this.#task(message.task)
        if (task !== undefined) this.#checkpoint({ kind: 'acknowledge', task, checkpointId: message.checkpointId, file: message.file, timings: message.timings })
        return
      }
      case 'decline': {
        const task = this.#task(message.task)
        if (task !== undefined) this.#checkpoint({ kind: 'decline', task, checkpointId: message.checkpointId, error: message.error })
        return
      }
      case 'requestSplit':
        return this.#source({ kind: 'requestSplit', operatorId: message.operatorId, subtask: message.subtask })
      case 'metrics':
        this.rates.add(message.at, message.tasks)
        return this.#ports.event({ kind: 'metrics', jobId: this.jobId, tasks: message.tasks })
      case 'print':
        return this.#ports.event({ kind: 'output', jobId: this.jobId, stream: 'stdout', text: message.text })
      case 'collect':
        return this.#ports.event({ kind: 'collected', jobId: this.jobId, operatorId: message.operatorId, subtask: message.subtask, value: message.value })
      case 'log':
        return this.#ports.event({ kind: 'output', jobId: this.jobId, stream: message.stream, text: message.text })
      default:
        return unreachable(message)
    }
  }

  onCoordinatorMessage(message: FromCoordinatorHost): void {
    if (message.attempt !== this.#attempt) return void this.#staleMessages++
    switch (message.kind) {
      case 'addSplit':
      case 'noMoreSplits': {
        const { operatorId, subtask } = message
        const assignment: Assignment = message.kind === 'addSplit' ? { kind: 'addSplit', operatorId, subtask, split: message.split } : { kind: 'noMoreSplits', operatorId, subtask }
        return this.#source({ kind: 'assignment', assignment })
      }
      case 'snapshot':
        // First the gate, then the coordinator: its answer may be the trigger that opens the gate again.
        this.#source({ kind: 'snapshotTaken', operatorId: message.operatorId, checkpointId: message.checkpointId })
        return this.#checkpoint({ kind: 'coordinatorSnapshot', checkpointId: message.checkpointId, operatorId: message.operatorId, state: message.state })
      case 'failed':
        return this.#job({ kind: 'attemptFailed', error: message.error })
      default:
        return unreachable(message)
    }
  }

  tick(): void {
    this.#job({ kind: 'tick' })
    if (this.#search) this.#prepareOn()
    if (!this.over) this.#checkpoint({ kind: 'tick' })
  }
  nextWakeAt(): Timestamp {
    if (this.#search) return -Infinity
    return this.over ? Infinity : Math.min(this.#master.nextWakeAt(), this.#checkpoints.nextWakeAt())
  }

  // --- deciding and doing ---

  #job(event: JobEvent): void {
    for (const command of this.#master.handle(event, this.#ports.now())) this.#doJob(command)
  }
  #checkpoint(event: CheckpointEvent): void {
    for (const command of this.#checkpoints.handle(event, this.#ports.now())) this.#doCheckpoint(command)
  }
  #source(event: SourceEvent): void {
    for (const command of this.#sources.handle(event)) {
      if (command.kind === 'send') this.#sendSplit(command.assignment)
      else if (command.kind === 'fail') this.#job({ kind: 'attemptFailed', error: command.error })
      else this.#ports.host.send(this.jobId, { kind: 'requestSplit', attempt: this.#attempt, operatorId: command.operatorId, subtask: command.subtask })
    }
  }

  #doJob(command: JobCommand): void {
    const now = this.#ports.now()
    const { jobId } = this
    switch (command.kind) {
      case 'jobStatus':
        this.history.statusAt[command.status] = now
        if (command.error) this.#error = command.error
        else if (command.status === 'RUNNING' || command.status === 'FINISHED') this.#error = undefined
        return this.#ports.event({ kind: 'jobStatus', jobId, status: command.status, attempt: this.attempt, ...(command.error && { error: command.error }) })
      case 'prepareAttempt':
        return this.#prepare(command.attempt)
      case 'requestSlots':
        if (this.#search) this.#slotsWanted = command.count
        else this.#ports.requestSlots(jobId, command.count)
        return
      case 'releaseSlots':
        return this.#ports.releaseSlots(jobId)
      case 'deploy':
        return this.#deploy(command.attempt, command.slots)
      case 'taskStatus': {
        const { ref } = this.table.tasks[command.task] as { readonly ref: SubtaskRef }
        this.history.taskStatus(command.task, command.status, now)
        const { taskManager, slotIndex } = this.history.tasks[command.task] as { readonly taskManager: string; readonly slotIndex: number }
        this.#ports.event({ kind: 'taskStatus', jobId, attempt: this.attempt, vertex: ref.vertex, subtask: ref.subtask, status: command.status, taskManager, slotIndex })
        this.#announceRestored(now)
        return this.#checkpoint({ kind: 'taskStatus', task: command.task, status: command.status })
      }
      case 'attemptEnded':
        // It may have a file open.
        this.#search?.return(undefined)
        this.#search = this.#slotsWanted = undefined
        this.#checkpoint({ kind: 'attemptEnded', reason: command.reason, over: command.over })
        this.#source({ kind: 'attemptEnded' })
        return this.#ports.host.send(jobId, { kind: 'stop' })
      case 'cancelTasks':
        for (const taskManager of command.taskManagers) this.#ports.send(taskManager, { kind: 'cancel', fence: this.#fence(), jobId })
        return
      case 'abandonTaskManager':
        return this.#ports.abandonTaskManager(command.taskManager, command.reason)
      case 'failure':
        return this.history.failure({ at: now, error: command.error, task: command.task, taskManager: command.taskManager, attempt: this.attempt })
      case 'restartScheduled':
        this.history.restarts++
        return this.#ports.event({ kind: 'restartScheduled', jobId, attempt: command.attempt, delayMs: command.delay, cause: command.cause, repeats: command.repeats })
      case 'finished':
        this.#cleanUp(command.status)
        return this.#ports.over(this)
      default:
        return unreachable(command)
    }
  }

  #doCheckpoint(command: CheckpointCommand): void {
    const now = this.#ports.now()
    const { jobId } = this
    switch (command.kind) {
      case 'begin':
        return this.#begin(command)
      case 'trigger': {
        const { barrier } = command
        if (this.#begun?.id !== barrier.checkpointId) return
        this.statistics.triggered(barrier.checkpointId, barrier.kind, command.expected.length, barrier.timestamp)
        this.#ports.event({ kind: 'checkpointTriggered', jobId, checkpointId: barrier.checkpointId, checkpointKind: barrier.kind })
        const taskManagers = new Set(command.expected.map(task => this.history.tasks[task]?.taskManager as string))
        for (const taskManager of taskManagers) this.#ports.send(taskManager, { kind: 'trigger', fence: this.#fence(), jobId, barrier, directory: this.#begun.directory })
        return this.#source({ kind: 'released', checkpointId: barrier.checkpointId })
      }
      case 'acknowledged':
        return this.statistics.acknowledged(command.checkpointId, command.task, command.file.bytes, command.timings, now)
      case 'persist':
        return this.#persist(command.snapshot)
      case 'completed': {
        const { id, kind, path, triggeredAt, bytes } = command.checkpoint
        this.statistics.completed(id, path, bytes, now)
        if (kind === 'checkpoint') this.#job({ kind: 'checkpointCompleted' })
        return this.#ports.event({ kind: 'checkpointCompleted', jobId, checkpointId: id, checkpointKind: kind, durationMs: now - triggeredAt, bytes, path })
      }
      case 'notifyComplete':
        return this.#broadcast({ kind: 'checkpointComplete', fence: this.#fence(), jobId, checkpointId: command.checkpointId })
      case 'aborted': {
        const { checkpointId, checkpointKind, reason } = command
        this.#source({ kind: 'released', checkpointId })
        if (command.triggered) this.#broadcast({ kind: 'checkpointAborted', fence: this.#fence(), jobId, checkpointId })
        if (this.#begun?.id === checkpointId) this.#snapshots.discard(this.#begun.directory)
        this.#begun = undefined
        if (!command.missed) return this.statistics.abandoned(checkpointId)
        this.statistics.failed(checkpointId, reason, now)
        return this.#ports.event({ kind: 'checkpointFailed', jobId, checkpointId, checkpointKind, reason })
      }
      case 'subsume':
        this.statistics.discarded(command.checkpoint.id)
        return this.#snapshots.subsume(command.checkpoint.path)
      case 'answer':
        return void this.#triggers.set(command.requestId, command.result)
      case 'failAttempt':
        return this.#job({ kind: 'attemptFailed', error: command.error })
      case 'stopped':
        this.#stoppedAt = command.path
        return this.#job({ kind: 'stopSavepointCompleted', path: command.path })
      default:
        return unreachable(command)
    }
  }

  // --- an attempt ---

  #prepare(attempt: number): void {
    this.#attempt = attempt
    this.#restore = undefined
    this.#restoredFrom = undefined
    try {
      this.#refuseHopelessStart()
    } catch (error) {
      return this.#job({ kind: 'deployFailed', error: errorToData(error, 'STORAGE_FAILED') })
    }
    this.#search = this.#snapshots.restorePoint(this.#checkpoints.restorePoints)
    this.#prepareOn()
  }

  /** One slice of the search; the next comes with the next tick. */
  #prepareOn(): void {
    try {
      const found = this.#search?.next()
      if (found?.done !== true) return
      this.#search = undefined
      if (found.value) {
        this.#restore = found.value.plan
        this.#restoredFrom = found.value.checkpoint
        this.#checkpoints.restoredFrom(found.value.checkpoint.id)
      }
      this.#snapshots.goOnFrom(this.#checkpoints.restored)
    } catch (error) {
      this.#search = undefined
      return this.#job({ kind: 'deployFailed', error: errorToData(error, 'STORAGE_FAILED') })
    }
    this.#source({ kind: 'attemptPrepared' })
    const { jobId, submission: { bundlePath, projectDirectory, graph } } = this
    this.#ports.host.send(jobId, {
      kind: 'start', jobId, attempt: this.#attempt, bundlePath, projectDirectory, graph,
      sources: this.#sourceOperators.map(source => ({ ...source, restored: this.#restore?.coordinators.get(source.operatorId) })),
    })
    const slots = this.#slotsWanted
    this.#slotsWanted = undefined
    if (slots !== undefined) this.#ports.requestSlots(jobId, slots)
  }

  #refuseHopelessStart(): void {
    const { recovered, progress } = this.#options
    if (this.#startError) throw new FlinkError(this.#startError.code, this.#startError.message, this.#startError)
    if (this.#stoppedAt !== undefined) throw new FlinkError('PROCESS_LOST', 'the JobManager was lost while the job was stopping')
    const { config } = this.graph
    const restarts = effectiveRestart(config).kind !== 'none' || config.checkpointing.interval !== undefined
    if (recovered && progress.attempt > 0 && this.#attempt === progress.attempt + 1 && !restarts) {
      throw new FlinkError('PROCESS_LOST', 'the JobManager was lost, and without checkpoints there is nothing to go on from', { hint: "Run the job again; with env.enableCheckpointing('10 s') it would go on by itself." })
    }
  }

  #deploy(attempt: number, slots: readonly GrantedSlot[]): void {
    const now = this.#ports.now()
    const { jobId, submission: { bundlePath, projectDirectory, graph } } = this
    this.#announced = false
    this.rates.reset()
    this.table.tasks.forEach((row, task) => {
      const { taskManager, slotIndex } = slots[row.slot] as GrantedSlot
      this.history.deployed(task, attempt, taskManager, slotIndex, now)
      this.#ports.event({ kind: 'taskStatus', jobId, attempt, vertex: row.ref.vertex, subtask: row.ref.subtask, status: 'DEPLOYING', taskManager, slotIndex })
    })
    try {
      // Durable before anything runs: an attempt's number is in the names of what its sinks write.
      this.#saveProgress()
    } catch (error) {
      // Nothing was sent, so the slots are as free as they were.
      this.#job({ kind: 'attemptFailed', error: errorToData(error, 'STORAGE_FAILED') })
      for (const { taskManager, slotIndex } of slots) this.#job({ kind: 'slotFree', taskManager, slotIndex, error: undefined })
      return
    }
    this.#checkpoint({ kind: 'attemptStarted' })
    const peers = slots.map(slot => slot.dataSocket)
    slots.forEach((slot, number) => {
      this.#ports.send(slot.taskManager, {
        kind: 'deploy',
        slotIndex: slot.slotIndex,
        checkpointDirectory: this.#snapshots.directory,
        deployment: {
          fence: this.#fence(), clusterId: this.#options.clusterId, jobId, bundlePath, projectDirectory, graph,
          slot: number, peers, finishedVertices: this.#restore?.finishedVertices ?? [], restore: this.#restore && restoreOfSlot(this.#restore, this.plan, number),
          ...(this.#restore && Object.keys(this.#restore.maxParallelism).length > 0 && { maxParallelism: this.#restore.maxParallelism }),
        },
      })
    })
    this.#source({ kind: 'deployed' })
  }

  /** Once per attempt, when all its tasks run. */
  #announceRestored(now: Timestamp): void {
    const checkpoint = this.#restoredFrom
    if (this.#announced || !checkpoint || !this.#master.taskStatuses.every(status => status === 'RUNNING' || status === 'FINISHED')) return
    this.#announced = true
    const savepoint = checkpoint.kind !== 'checkpoint'
    this.statistics.restoredFrom({ id: checkpoint.id, at: now, savepoint, path: checkpoint.path })
    this.#ports.event({ kind: 'jobRestored', jobId: this.jobId, attempt: this.attempt, checkpointId: checkpoint.id, savepoint })
  }

  // --- snapshots ---

  #begin(command: Extract<CheckpointCommand, { kind: 'begin' }>): void {
    const { checkpointId } = command
    const directory = command.directory ?? this.#snapshots.checkpointDirectory(checkpointId)
    try {
      this.#saveProgress()
      this.#snapshots.prepare(directory)
    } catch (error) {
      return this.#checkpoint({ kind: 'beginFailed', checkpointId, error: errorToData(error, 'STORAGE_FAILED') })
    }
    this.#begun = { id: checkpointId, directory }
    if (this.#sourceOperators.length > 0) this.#ports.host.send(this.jobId, { kind: 'snapshot', attempt: this.#attempt, checkpointId })
  }

  #persist(pending: PendingSnapshot): void {
    const { checkpointId, checkpointKind, triggeredAt } = pending
    const directory = this.#begun?.directory as string
    const now = this.#ports.now()
    let bytes: number
    try {
      const written = this.#snapshots.write(directory, {
        jobId: this.jobId, graph: this.graph, firstTask: this.table.firstTask, maxParallelism: this.#restore?.maxParallelism ?? {}, completedAt: now, pending,
      })
      bytes = written.bytes
      this.statistics.written(checkpointId, written.stateBytes)
      // The pointer before the notification: what sinks commit must never be newer than where a new JobManager goes on from.
      const completed: CompletedCheckpoint = { id: checkpointId, kind: checkpointKind, path: directory, triggeredAt, completedAt: now, bytes }
      if (checkpointKind === 'checkpoint') {
        this.#saveProgress({ completed: [...this.#checkpoints.completed, completed] })
        this.#snapshots.retain(written)
      } else if (checkpointKind !== 'savepoint') this.#saveProgress({ stoppedAt: directory })
    } catch (error) {
      return this.#checkpoint({ kind: 'persistFailed', checkpointId, error: errorToData(error, 'STORAGE_FAILED') })
    }
    this.#begun = undefined
    this.#checkpoint({ kind: 'persisted', checkpointId, path: directory, bytes })
  }

  #initialSnapshot(): CompletedCheckpoint | undefined {
    try {
      return this.#snapshots.initial()
    } catch (error) {
      // Once the job has checkpoints of its own, nobody needs it any more.
      if (this.#options.progress.completed.length === 0) this.#startError = errorToData(error, 'SNAPSHOT_NOT_FOUND')
      return undefined
    }
  }

  #saveProgress(change: Partial<Progress> = {}): void {
    this.#ports.saveProgress(this.jobId, {
      attempt: this.#master.attempt, nextCheckpointId: this.#checkpoints.nextCheckpointId, completed: this.#checkpoints.completed, stoppedAt: this.#stoppedAt, ...change,
    })
  }

  /** A failed job keeps its checkpoints, so that a person can go on from them. */
  #cleanUp(status: 'FINISHED' | 'FAILED' | 'CANCELED'): void {
    this.#ports.host.send(this.jobId, { kind: 'stop' })
    if (status === 'FAILED' || this.graph.config.checkpointing.onCancellation === 'retain') return
    for (const checkpoint of this.#checkpoints.completed) this.statistics.discarded(checkpoint.id)
    this.#snapshots.discardAll()
  }

  // --- small things ---

  #fence(): Fence {
    return { epoch: this.#options.epoch, attempt: this.#master.attempt }
  }
  #task(ref: SubtaskRef): number | undefined {
    const task = taskIndex(this.table, ref)
    if (task === undefined) this.#staleMessages++
    return task
  }
  /** To every TaskManager that has a slot of this attempt. */
  #broadcast(message: ToTaskManager): void {
    for (const taskManager of new Set(this.#master.slots.map(slot => slot.taskManager))) this.#ports.send(taskManager, message)
  }
  #sendSplit(assignment: Assignment): void {
    const vertex = this.graph.vertices.findIndex(each => each.operators.some(operator => operator.id === assignment.operatorId))
    const task = taskIndex(this.table, { vertex, subtask: assignment.subtask })
    const row = task === undefined ? undefined : this.table.tasks[task]
    const slot = row && this.#master.slots[row.slot]
    if (!row || !slot) return void this.#staleMessages++
    this.#ports.send(slot.taskManager, { ...assignment, fence: this.#fence(), jobId: this.jobId, slot: row.slot })
  }
}
