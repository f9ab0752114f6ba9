/**
 * The JobManager: takes jobs, knows the TaskManagers, brings the two together (Flink `Dispatcher`, `ResourceManager`,
 * `JobMaster` in one process). Production, the embedded cluster and the simulator run this class; only its ports differ.
 *
 * It never reads a clock, opens a socket or sets a timer: what happens outside is told by the `on...` methods and `tick`,
 * and everything is handled to the end before the next thing is looked at.
 */
import { unreachable } from '../core/assert.ts'
import type { CheckpointKind } from '../core/batch.ts'
import { errorToData, FlinkError, type ErrorData } from '../core/errors.ts'
import type { FileSystem } from '../core/files.ts'
import type { Millis, Timestamp } from '../core/time.ts'
import { randomHex } from '../core/random.ts'
import type { StandbyProcess } from '../deploy/process-events.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import { executionPlan } from '../graph/plan.ts'
import type { RuntimeEventBody } from '../metrics/event.ts'
import type { EventJournal } from '../metrics/journal.ts'
import type { FromTaskManager } from '../protocol/job-master.ts'
import type { RestSubmitRequest } from '../protocol/rest.ts'
import type { ToTaskManager } from '../protocol/task-executor.ts'
import type { SnapshotResult } from './checkpoint/checkpoint-coordinator.ts'
import type { SnapshotDirectory } from './checkpoint/snapshot-directory.ts'
import type { CoordinatorHost } from './coordinators/coordinator-protocol.ts'
import { JobStore, noProgress, type Progress, type Submission } from './dispatcher/job-store.ts'
import { JobRunner, type JobRunnerPorts } from './job-master/job-runner.ts'
import { taskTable } from './job-master/task-table.ts'
import { ResourceManager, type ResourceCommand, type ResourceEvent, type TaskManagerView } from './resource-manager/resource-manager.ts'

export interface JobManagerOptions {
  readonly clusterId: string
  /** What TaskManagers must present. */
  readonly token: string
  /** Where the job store is; absolute. */
  readonly projectDirectory: string
  /** At least this; the store's own count of starts wins if it is higher. */
  readonly epoch: number
  readonly heartbeatInterval: Millis
  readonly heartbeatTimeout: Millis
  /** How long a job waits for slots before it fails with NOT_ENOUGH_SLOTS. */
  readonly slotTimeout: Millis
  /** How long tasks may take to stop before their TaskManager is given up; longer than its own grace time. */
  readonly cancelTimeout: Millis
}
export const jobManagerDefaults = { heartbeatInterval: 1_000, heartbeatTimeout: 5_000, slotTimeout: 300_000, cancelTimeout: 30_000 } as const

export interface JobManagerPorts {
  /** Epoch ms that never go backwards (production: `monotonicMs`, from the epoch on). */
  now(): Timestamp
  /** Uniform in [0, 1). */
  random(): number
  readonly files: FileSystem
  readonly snapshots: SnapshotDirectory
  readonly coordinatorHost: CoordinatorHost
  readonly journal: EventJournal
  /** In order per connection; dropped if it is closed. */
  send(connection: number, message: ToTaskManager): void
  /** Closes it once what was sent has left. `onClosed` may follow; it changes nothing any more. */
  close(connection: number): void
  /** Call `tick` at that time; replaces the time given before. Infinity: not at all. */
  wakeAt(at: Timestamp): void
  /** DELETE /cluster: end the process in good order. */
  shutdown(): void
}

export type JobSubmission = RestSubmitRequest

/** Jobs that run at once; and jobs that are over and still listed, oldest forgotten first. */
const maxJobs = 100
const keptFinishedJobs = 50
/** Messages that come by the thousand and are only passed on. */
const onlyTold: ReadonlySet<FromTaskManager['kind']> = new Set<FromTaskManager['kind']>(['heartbeat', 'metrics', 'print', 'collect', 'log'])
/** Reasons of ended TaskManagers that are remembered. */
const maxEndings = 100

export class JobManager {
  readonly options: JobManagerOptions
  readonly journal: EventJournal
  readonly #ports: JobManagerPorts
  readonly #store: JobStore
  readonly #resources: ResourceManager
  readonly #jobPorts: JobRunnerPorts
  readonly #running = new Map<string, JobRunner>()
  readonly #finished = new Map<string, JobRunner>()
  /** Run to completion: what happens while something is being handled waits. */
  readonly #queue: (() => void)[] = []
  #busy = false
  #moved = false
  readonly #endings = new Map<string, ErrorData>()
  #epoch = 0
  #standby: StandbyProcess | undefined
  #staleMessages = 0

  constructor(options: JobManagerOptions, ports: JobManagerPorts) {
    this.options = options
    this.journal = ports.journal
    this.#ports = ports
    this.#store = new JobStore(ports.files, `${options.projectDirectory}/.flink-ts/jobs`)
    this.#resources = new ResourceManager(options)
    this.#jobPorts = {
      now: () => this.now(),
      random: () => ports.random(),
      files: ports.files,
      snapshots: ports.snapshots,
      host: ports.coordinatorHost,
      send: (taskManager, message) => this.#send(taskManager, message),
      requestSlots: (jobId, count) => this.#later(() => this.#resource({ kind: 'requestSlots', jobId, count })),
      releaseSlots: jobId => this.#later(() => this.#resource({ kind: 'releaseSlots', jobId })),
      abandonTaskManager: (taskManager, reason) => this.#later(() => this.#resource({ kind: 'abandon', taskManager, reason })),
      event: body => this.#event(body),
      saveProgress: (jobId, progress) => this.#store.saveProgress(jobId, progress),
      over: job => this.#over(job),
    }
    ports.coordinatorHost.onMessage((jobId, message) => this.#later(() => this.#running.get(jobId)?.onCoordinatorMessage(message)))
  }

  /**
   * Takes the next epoch and goes on with the jobs of the last one. Before anything else.
   *
   * @throws {FlinkError} STORAGE_FAILED or DISK_FULL if the job store cannot be used
   */
  start(): void {
    this.#epoch = this.#store.raiseEpoch(this.options.epoch)
    const { jobs, unreadable } = this.#store.recover()
    this.#later(() => {
      this.#event({ kind: 'clusterStarted', clusterId: this.options.clusterId, epoch: this.#epoch })
      for (const { jobId, error } of unreadable) this.#event({ kind: 'log', level: 'error', message: `job ${jobId} could not be recovered: ${error.message}`, error })
      for (const { submission, progress } of jobs) {
        try {
          this.#run(submission, progress, true)
        } catch (error) {
          if (!(error instanceof FlinkError)) throw error
          this.#event({ kind: 'log', level: 'error', message: `job ${submission.jobId} could not be recovered: ${error.message}`, error: errorToData(error, 'INVALID_GRAPH') })
        }
      }
    })
  }

  // --- what happens outside ---

  onMessage(connection: number, message: FromTaskManager): void {
    this.#later(() => {
      if (message.kind === 'register') return this.#resource({ ...message, connection })
      this.#resource({ kind: 'alive', connection, ...(message.kind === 'heartbeat' && { rssBytes: message.rssBytes }) })
      if (message.kind === 'heartbeat') return
      const taskManager = this.#resources.taskManagerOf(connection)
      const job = message.jobId === undefined ? undefined : this.#running.get(message.jobId)
      if (taskManager !== undefined && job) return job.onMessage(taskManager, message)
      if (taskManager !== undefined && message.kind === 'log') return this.#event({ kind: 'output', jobId: message.jobId, stream: message.stream, text: message.text })
      this.#staleMessages++
    }, onlyTold.has(message.kind))
  }

  onClosed(connection: number): void {
    this.#later(() => this.#resource({ kind: 'closed', connection }))
  }

  /** Why a TaskManager's process ended, which its socket does not say (`OUT_OF_MEMORY`); before or after its connection closed. */
  onTaskManagerEnded(taskManager: string, error: ErrorData): void {
    this.#later(() => {
      const connection = this.#resources.connectionOf(taskManager)
      this.#endings.set(taskManager, error)
      if (this.#endings.size > maxEndings) this.#endings.delete(this.#endings.keys().next().value as string)
      if (connection !== undefined) return this.#resource({ kind: 'closed', connection })
      for (const job of this.#running.values()) job.onLossExplained(taskManager, error)
    })
  }

  /** A TaskManager process that stands by, or none any more: only to be shown, it has no slots. */
  onStandby(process: StandbyProcess | undefined): void {
    if (process?.pid === this.#standby?.pid) return
    this.#standby = process
    this.#event({ kind: 'standby', ...(process && { process }) })
  }

  tick(): void {
    this.#later(() => {
      this.#resource({ kind: 'tick' })
      for (const job of [...this.#running.values()]) job.tick()
    })
  }

  nextWakeAt(): Timestamp {
    let at = this.#resources.nextWakeAt()
    for (const job of this.#running.values()) at = Math.min(at, job.nextWakeAt())
    return at
  }

  // --- what people ask for ---

  /** @throws {FlinkError} INVALID_OPTION, INVALID_GRAPH, DISK_FULL, STORAGE_FAILED */
  submit(request: JobSubmission): string {
    const jobId = request.jobId ?? randomHex(() => this.#ports.random(), 32)
    if (!/^[0-9a-f]{32}$/.test(jobId)) throw new FlinkError('INVALID_OPTION', `"${jobId}" is not a job id: 32 lower-case hex digits`)
    if (this.job(jobId)) throw new FlinkError('INVALID_OPTION', `a job with the id ${jobId} exists already`)
    if (this.#running.size >= maxJobs) throw new FlinkError('INVALID_OPTION', `${maxJobs} jobs are running, which is the limit of a cluster`)
    refuseMalformed(request.jobGraph)
    const submission = this.#store.add({
      jobId,
      graph: request.jobGraph,
      bundlePath: request.bundlePath,
      bundleHash: undefined,
      projectDirectory: request.projectDirectory,
      savepointPath: request.savepointPath,
      allowNonRestoredState: request.allowNonRestoredState ?? false,
      submittedAt: this.now(),
    })
    this.#later(() => this.#run(submission, noProgress, false))
    return jobId
  }

  /** @throws {FlinkError} JOB_NOT_FOUND */
  cancel(jobId: string): void {
    const job = this.#existing(jobId)
    this.#later(() => job.cancel())
  }

  /**
   * Starts a checkpoint, a savepoint or a stop with savepoint; the result is found with the id that comes back.
   *
   * @param directory absolute, or relative to the project; a directory of its own is made in it
   * @throws {FlinkError} JOB_NOT_FOUND
   */
  requestSnapshot(jobId: string, kind: CheckpointKind, directory?: string, triggerId = randomHex(() => this.#ports.random(), 32)): string {
    const job = this.#existing(jobId)
    const absolute = directory === undefined || directory.startsWith('/') ? directory : `${job.submission.projectDirectory}/${directory}`
    this.#later(() => job.requestSnapshot(kind, absolute, triggerId))
    return triggerId
  }

  /** @throws {FlinkError} JOB_NOT_FOUND */
  snapshotResult(jobId: string, triggerId: string): SnapshotResult | 'pending' | 'unknown' {
    return this.#existing(jobId).snapshotResult(triggerId)
  }

  shutdown(): void {
    this.#ports.shutdown()
  }

  /** Whole ms: times and lengths in Flink's JSON are integers. */
  now(): Timestamp {
    return Math.floor(this.#ports.now())
  }
  get epoch(): number {
    return this.#epoch
  }
  /** Running or not, as long as it is remembered. */
  job(jobId: string): JobRunner | undefined {
    return this.#running.get(jobId) ?? this.#finished.get(jobId)
  }
  /** Running ones first. */
  get jobs(): readonly JobRunner[] {
    return [...this.#running.values(), ...[...this.#finished.values()].reverse()]
  }
  get taskManagers(): readonly TaskManagerView[] {
    return this.#resources.taskManagers
  }
  get standby(): StandbyProcess | undefined {
    return this.#standby
  }
  /** `flinkts_stale_messages_total` */
  get staleMessages(): number {
    return this.jobs.reduce((sum, job) => sum + job.staleMessages, this.#staleMessages)
  }

  // --- inside ---

  /** `quiet`: decides nothing, so what was waited for stays the same. */
  #later(work: () => void, quiet = false): void {
    this.#queue.push(work)
    if (!quiet) this.#moved = true
    if (this.#busy) return
    this.#busy = true
    try {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) next()
    } finally {
      this.#busy = false
    }
    if (!this.#moved) return
    this.#moved = false
    this.#ports.wakeAt(this.nextWakeAt())
  }

  #event(body: RuntimeEventBody): void {
    this.#ports.journal.append(this.now(), body)
  }

  #send(taskManager: string, message: ToTaskManager): void {
    const connection = this.#resources.connectionOf(taskManager)
    if (connection !== undefined) this.#ports.send(connection, message)
  }

  #resource(event: ResourceEvent): void {
    for (const command of this.#resources.handle(event, this.now())) this.#doResource(command)
  }

  #doResource(command: ResourceCommand): void {
    const { clusterId, heartbeatInterval, heartbeatTimeout } = this.options
    switch (command.kind) {
      case 'registered': {
        const { connection, taskManager } = command
        this.#ports.send(connection, { kind: 'registered', clusterId, epoch: this.#epoch, heartbeatIntervalMs: heartbeatInterval, heartbeatTimeoutMs: heartbeatTimeout })
        return this.#event({ kind: 'taskManagerRegistered', taskManager: taskManager.id, pid: taskManager.pid, slots: taskManager.slots.length })
      }
      case 'shutdown':
        this.#ports.send(command.connection, { kind: 'shutdown', reason: command.reason })
        return this.#ports.close(command.connection)
      case 'heartbeat':
        return this.#ports.send(command.connection, { kind: 'heartbeat', sequence: command.sequence })
      case 'lost': {
        const { id, pid } = command.taskManager
        this.#event({ kind: 'taskManagerLost', taskManager: id, reason: command.reason })
        const error: ErrorData = this.#endings.get(id) ?? { code: 'PROCESS_LOST', message: `TaskManager ${id} (pid ${pid}) was lost: ${command.reason}` }
        for (const job of [...this.#running.values()]) job.onTaskManagerLost(id, error)
        return
      }
      case 'slotsGranted': {
        const job = this.#running.get(command.jobId)
        if (job) job.onSlotsGranted(command.slots)
        else this.#resource({ kind: 'releaseSlots', jobId: command.jobId })
        return
      }
      default:
        return unreachable(command)
    }
  }

  #run(submission: Submission, progress: Progress, recovered: boolean): void {
    const { clusterId, slotTimeout, cancelTimeout } = this.options
    refuseMalformed(submission.graph)
    const job = new JobRunner({ clusterId, epoch: this.#epoch, submission, progress, recovered, slotTimeout, cancelTimeout }, this.#jobPorts)
    this.#running.set(submission.jobId, job)
    job.start()
  }

  #over(job: JobRunner): void {
    this.#running.delete(job.jobId)
    this.#finished.set(job.jobId, job)
    if (this.#finished.size > keptFinishedJobs) this.#finished.delete(this.#finished.keys().next().value as string)
    try {
      this.#store.remove(job.submission)
    } catch (error) {
      const data = errorToData(error, 'STORAGE_FAILED')
      this.#event({ kind: 'log', level: 'warn', message: `job ${job.jobId} is over, but could not be removed from the job store: ${data.message}`, error: data })
    }
  }

  #existing(jobId: string): JobRunner {
    const job = this.job(jobId)
    if (!job) throw new FlinkError('JOB_NOT_FOUND', `there is no job ${jobId}`)
    return job
  }
}

/** A graph comes from outside, so what everything else relies on is tried once before it is believed. */
function refuseMalformed(graph: JobGraph): void {
  try {
    taskTable(executionPlan(graph))
    const ids = graph.vertices.flatMap(vertex => vertex.operators.map(({ id }) => id))
    if (graph.vertices.length === 0 || new Set(ids).size !== ids.length) throw new Error('it has no operators, or two with one id')
  } catch (error) {
    throw new FlinkError('INVALID_GRAPH', `the job graph cannot be run: ${(error as Error).message}`, { cause: error })
  }
}
