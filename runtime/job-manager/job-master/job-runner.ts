/**
 * One job in a JobManager: wires its decisions to the outside and keeps what people want to know. What the `JobMaster`
 * decides is done here; what the `CheckpointCoordinator` and the `SourceCoordinator` decide is done by runners of their
 * own. Nothing is decided here.
 */
import { unreachable } from '../../core/assert.ts'
import type { CheckpointKind } from '../../core/batch.ts'
import { errorToData, FlinkError, type ErrorData } from '../../core/errors.ts'
import type { FileSystem } from '../../core/files.ts'
import { sameFence, type Fence, type SubtaskRef } from '../../core/ids.ts'
import type { Timestamp } from '../../core/time.ts'
import { executionPlan } from '../../graph/plan.ts'
import type { ExecutionPlan, JobGraph } from '../../graph/job-graph.ts'
import { terminalJobStatuses, type JobStatus, type RuntimeEventBody } from '../../metrics/event.ts'
import { RateMeter } from '../../metrics/rates.ts'
import type { FromTaskManager } from '../../protocol/job-master.ts'
import type { ToTaskManager } from '../../protocol/task-executor.ts'
import type { CompletedCheckpoint, SnapshotResult } from '../checkpoint/checkpoint-coordinator.ts'
import { JobSnapshots } from '../checkpoint/job-snapshots.ts'
import { restoreOfSlot } from '../checkpoint/restore-plan.ts'
import type { SnapshotDirectory } from '../checkpoint/snapshot-directory.ts'
import type { CoordinatorHost, FromCoordinatorHost } from '../coordinators/coordinator-protocol.ts'
import type { Assignment } from '../coordinators/source-coordinator.ts'
import type { Progress, Submission } from '../dispatcher/job-store.ts'
import { CheckpointRunner } from './checkpoint-runner.ts'
import { ExecutionHistory } from './execution-history.ts'
import { JobMaster, type GrantedSlot, type JobCommand, type JobEvent } from './job-master.ts'
import { effectiveRestart, RestartStrategy } from './restart-strategy.ts'
import { RestoreSearch } from './restore-search.ts'
import { SourceRunner } from './source-runner.ts'
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

export class JobRunner {
  readonly submission: Submission
  readonly plan: ExecutionPlan
  readonly table: TaskTable
  readonly history: ExecutionHistory
  readonly rates = new RateMeter()
  readonly #options: JobRunnerOptions
  readonly #ports: JobRunnerPorts
  readonly #master: JobMaster
  readonly #checkpoints: CheckpointRunner
  readonly #sources: SourceRunner
  readonly #snapshots: JobSnapshots
  readonly #restore: RestoreSearch
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
    this.#snapshots = new JobSnapshots(ports.files, ports.snapshots, submission, (message, error) => ports.event({ kind: 'log', level: 'warn', message, error }))
    this.#restore = new RestoreSearch(this.#snapshots)
    const { table } = this
    const fence = () => this.#fence()
    const send = (taskManager: string, message: ToTaskManager) => ports.send(taskManager, message)
    const onFailure = (error: ErrorData) => this.#job({ kind: 'attemptFailed', error })
    this.#sources = new SourceRunner(
      { submission, table, host: ports.host, fence, send, onFailure, taskManagerOfSlot: slot => this.#master.slots[slot]?.taskManager, onStaleMessage: () => void this.#staleMessages++ },
      progress.attempt,
    )
    this.#checkpoints = new CheckpointRunner(
      {
        submission, table, fence, send, onFailure,
        sources: this.#sources.operators.map(({ operatorId }) => operatorId),
        maxParallelism: () => this.#restore.plan?.maxParallelism ?? {},
        taskManagerOf: task => this.history.tasks[task]?.taskManager as string,
        broadcast: message => this.#broadcast(message),
        snapshotSources: checkpointId => this.#sources.snapshot(checkpointId),
        released: checkpointId => this.#sources.handle({ kind: 'released', checkpointId }),
        onCheckpointCompleted: () => this.#job({ kind: 'checkpointCompleted' }),
        onStopSavepoint: path => this.#job({ kind: 'stopSavepointCompleted', path }),
        now: () => ports.now(),
        random: () => ports.random(),
        event: body => ports.event(body),
        saveProgress: saved => ports.saveProgress(submission.jobId, saved),
      },
      this.#snapshots,
      progress,
    )
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
    return this.#restore.plan?.maxParallelism[vertex] ?? this.graph.vertices[vertex]?.maxParallelism
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
    return this.#checkpoints.retained
  }
  get statistics(): CheckpointRunner['statistics'] {
    return this.#checkpoints.statistics
  }

  start(): void {
    if (this.#options.recovered) this.#checkpoints.sweep()
    this.#ports.event({ kind: 'jobSubmitted', jobId: this.jobId, name: this.graph.name, graph: this.graph })
    const { stoppedAt } = this.#checkpoints
    if (stoppedAt !== undefined) this.#job({ kind: 'stopSavepointCompleted', path: stoppedAt })
    this.#job({ kind: 'start' })
  }

  cancel(): void {
    this.#job({ kind: 'cancel' })
  }

  /** Starts a snapshot; `triggerId` finds the result later. `directory` is absolute and the parent of what is made. */
  requestSnapshot(checkpointKind: CheckpointKind, directory: string | undefined, triggerId: string): void {
    this.#checkpoints.request(checkpointKind, directory, triggerId)
  }

  /** `unknown` if there was no such request; `pending` until it is answered. */
  snapshotResult(triggerId: string): SnapshotResult | 'pending' | 'unknown' {
    return this.#checkpoints.result(triggerId)
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
        if (task !== undefined) this.#checkpoints.handle({ kind: 'endOfData', task })
        return
      }
      case 'acknowledge': {
        const task = this.#task(message.task)
        if (task !== undefined) this.#checkpoints.handle({ kind: 'acknowledge', task, checkpointId: message.checkpointId, file: message.file, timings: message.timings })
        return
      }
      case 'decline': {
        const task = this.#task(message.task)
        if (task !== undefined) this.#checkpoints.handle({ kind: 'decline', task, checkpointId: message.checkpointId, error: message.error })
        return
      }
      case 'requestSplit':
        return this.#sources.handle({ kind: 'requestSplit', operatorId: message.operatorId, subtask: message.subtask })
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
    if (message.attempt !== this.#sources.attempt) return void this.#staleMessages++
    switch (message.kind) {
      case 'addSplit':
      case 'noMoreSplits': {
        const { operatorId, subtask } = message
        const assignment: Assignment = message.kind === 'addSplit' ? { kind: 'addSplit', operatorId, subtask, split: message.split } : { kind: 'noMoreSplits', operatorId, subtask }
        return this.#sources.handle({ kind: 'assignment', assignment })
      }
      case 'snapshot':
        // First the gate, then the coordinator: its answer may be the trigger that opens the gate again.
        this.#sources.handle({ kind: 'snapshotTaken', operatorId: message.operatorId, checkpointId: message.checkpointId })
        return this.#checkpoints.handle({ kind: 'coordinatorSnapshot', checkpointId: message.checkpointId, operatorId: message.operatorId, state: message.state })
      case 'failed':
        return this.#job({ kind: 'attemptFailed', error: message.error })
      default:
        return unreachable(message)
    }
  }

  tick(): void {
    this.#job({ kind: 'tick' })
    if (this.#restore.underWay) this.#prepareOn()
    if (!this.over) this.#checkpoints.handle({ kind: 'tick' })
  }
  nextWakeAt(): Timestamp {
    if (this.#restore.underWay) return -Infinity
    return this.over ? Infinity : Math.min(this.#master.nextWakeAt(), this.#checkpoints.nextWakeAt())
  }

  // --- deciding and doing ---

  #job(event: JobEvent): void {
    for (const command of this.#master.handle(event, this.#ports.now())) this.#doJob(command)
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
        if (!this.#restore.waitForSlots(command.count)) this.#ports.requestSlots(jobId, command.count)
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
        return this.#checkpoints.handle({ kind: 'taskStatus', task: command.task, status: command.status })
      }
      case 'attemptEnded':
        this.#restore.stop()
        this.#checkpoints.handle({ kind: 'attemptEnded', reason: command.reason, over: command.over })
        this.#sources.handle({ kind: 'attemptEnded' })
        return this.#sources.stop()
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
        this.#sources.stop()
        this.#checkpoints.cleanUp(command.status)
        return this.#ports.over(this)
      default:
        return unreachable(command)
    }
  }

  // --- an attempt ---

  #prepare(attempt: number): void {
    this.#sources.prepare(attempt)
    this.#restore.forget()
    try {
      this.#refuseHopelessStart()
    } catch (error) {
      return this.#job({ kind: 'deployFailed', error: errorToData(error, 'STORAGE_FAILED') })
    }
    this.#restore.begin(this.#checkpoints.restorePoints)
    this.#prepareOn()
  }

  /** One slice of the search; the next comes with the next tick. */
  #prepareOn(): void {
    try {
      if (!this.#restore.slice()) return
      this.#checkpoints.startsFrom(this.#restore.checkpoint)
    } catch (error) {
      return this.#job({ kind: 'deployFailed', error: errorToData(error, 'STORAGE_FAILED') })
    }
    this.#sources.start(this.#restore.plan)
    const slots = this.#restore.takeSlotsWanted()
    if (slots !== undefined) this.#ports.requestSlots(this.jobId, slots)
  }

  #refuseHopelessStart(): void {
    const { recovered, progress } = this.#options
    const { startError, stoppedAt } = this.#checkpoints
    if (startError) throw new FlinkError(startError.code, startError.message, startError)
    if (stoppedAt !== undefined) throw new FlinkError('PROCESS_LOST', 'the JobManager was lost while the job was stopping')
    const { config } = this.graph
    const restarts = effectiveRestart(config).kind !== 'none' || config.checkpointing.interval !== undefined
    if (recovered && progress.attempt > 0 && this.#sources.attempt === progress.attempt + 1 && !restarts) {
      throw new FlinkError('PROCESS_LOST', 'the JobManager was lost, and without checkpoints there is nothing to go on from', { hint: "Run the job again; with env.enableCheckpointing('10 s') it would go on by itself." })
    }
  }

  #deploy(attempt: number, slots: readonly GrantedSlot[]): void {
    const now = this.#ports.now()
    const { jobId, submission: { bundlePath, projectDirectory, graph } } = this
    this.#restore.deployed()
    const restore = this.#restore.plan
    this.rates.reset()
    this.table.tasks.forEach((row, task) => {
      const { taskManager, slotIndex } = slots[row.slot] as GrantedSlot
      this.history.deployed(task, attempt, taskManager, slotIndex, now)
      this.#ports.event({ kind: 'taskStatus', jobId, attempt, vertex: row.ref.vertex, subtask: row.ref.subtask, status: 'DEPLOYING', taskManager, slotIndex })
    })
    try {
      // Durable before anything runs: an attempt's number is in the names of what its sinks write.
      this.#checkpoints.saveProgress()
    } catch (error) {
      // Nothing was sent, so the slots are as free as they were.
      this.#job({ kind: 'attemptFailed', error: errorToData(error, 'STORAGE_FAILED') })
      for (const { taskManager, slotIndex } of slots) this.#job({ kind: 'slotFree', taskManager, slotIndex, error: undefined })
      return
    }
    this.#checkpoints.handle({ kind: 'attemptStarted' })
    const peers = slots.map(slot => slot.dataSocket)
    const graphText = JSON.stringify(graph)
    slots.forEach((slot, number) => {
      this.#ports.send(slot.taskManager, {
        kind: 'deploy',
        slotIndex: slot.slotIndex,
        checkpointDirectory: this.#snapshots.directory,
        deployment: {
          fence: this.#fence(), clusterId: this.#options.clusterId, jobId, bundlePath, projectDirectory, graph: graphText,
          slot: number, peers, finishedVertices: restore?.finishedVertices ?? [], restore: restore && restoreOfSlot(restore, this.plan, number),
          ...(restore && Object.keys(restore.maxParallelism).length > 0 && { maxParallelism: restore.maxParallelism }),
        },
      })
    })
    this.#sources.handle({ kind: 'deployed' })
  }

  /** Once per attempt, when all its tasks run. */
  #announceRestored(now: Timestamp): void {
    if (!this.#master.taskStatuses.every(status => status === 'RUNNING' || status === 'FINISHED')) return
    const checkpoint = this.#restore.takeAnnouncement()
    if (!checkpoint) return
    const savepoint = checkpoint.kind !== 'checkpoint'
    this.statistics.restoredFrom({ id: checkpoint.id, at: now, savepoint, path: checkpoint.path })
    this.#ports.event({ kind: 'jobRestored', jobId: this.jobId, attempt: this.attempt, checkpointId: checkpoint.id, savepoint })
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
}
