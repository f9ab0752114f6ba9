/**
 * A TaskManager: registers with the JobManager, runs what it is told in its slots, and passes mails and reports on.
 * The real process, the embedded cluster and the simulator run this class; only its ports differ.
 *
 * Everything is fenced. A message of an older epoch or attempt is dropped and counted, in both directions: what a slot of
 * the last attempt still says never reaches the JobManager under the name of the new one. A lost connection ends all
 * slots: the JobManager has given them up too and starts them again from the last checkpoint.
 */
import type { ErrorData } from '../core/errors.ts'
import { sameFence, type Fence, type SubtaskRef } from '../core/ids.ts'
import type { Millis } from '../core/time.ts'
import { unreachable } from '../core/assert.ts'
import { protocolVersion, type FromTaskManager } from '../protocol/job-master.ts'
import type { DeploymentText } from '../protocol/deployment-text.ts'
import type { SlotMail, SlotReport, TaskStatus } from '../protocol/slot.ts'
import type { ToTaskManager } from '../protocol/task-executor.ts'
import { Heartbeat } from '../rpc/heartbeat.ts'
import { PendingSnapshots } from './pending-snapshots.ts'
import type { ReportLoad, RunningSlot, SlotRunner, SnapshotFiles } from './slot-runner.ts'

export interface TaskManagerOptions {
  readonly clusterId: string
  readonly token: string
  readonly id: string
  readonly pid: number
  /** Data socket of each slot. */
  readonly slotSockets: readonly string[]
  /** How long a slot may take to stop before the whole TaskManager is given up. */
  readonly cancelGraceMs: Millis
}

export interface TaskManagerPorts {
  /** Monotonic, ms. */
  now(): Millis
  /** Calls back once; the function that is returned takes it back. */
  after(delay: Millis, run: () => void): () => void
  /** To the JobManager; dropped when there is no connection. */
  send(message: FromTaskManager, flushed?: () => void): void
  /** The JobManager is silent: end the connection. `disconnected` follows. */
  dropConnection(reason: string): void
  rssBytes(): number
  readonly slots: readonly SlotRunner[]
  readonly snapshots: SnapshotFiles
  /** A slot cannot be stopped: the process must go, whatever its threads do. */
  die(error: ErrorData): void
  /** Asked to shut down, and all slots are free. */
  exit(): void
}

/** One deployment in a slot, from `deploy` to `slotFree`. */
interface Assignment {
  readonly deployment: DeploymentText
  readonly fence: Fence
  readonly run: RunningSlot
  /** By `vertex:subtask`, as the slot reported them. */
  readonly tasks: Map<string, { readonly task: SubtaskRef; status: TaskStatus }>
  readonly snapshots: PendingSnapshots
  /** Set while it is being ended. */
  giveUp?: () => void
}

type Deploy = Extract<ToTaskManager, { kind: 'deploy' }>
const terminal: ReadonlySet<TaskStatus> = new Set<TaskStatus>(['FINISHED', 'CANCELED', 'FAILED'])

export class TaskManager {
  readonly #options: TaskManagerOptions
  readonly #ports: TaskManagerPorts
  readonly #assignments: (Assignment | undefined)[]
  /** Waits for the slot to be free; a newer one takes the place. */
  readonly #waiting: (Deploy | undefined)[]
  /** Of the JobManager that accepted us; undefined while not registered. */
  #epoch: number | undefined
  #heartbeat: { readonly machine: Heartbeat; stop(): void } | undefined
  #shuttingDown = false
  #staleMessages = 0

  constructor(options: TaskManagerOptions, ports: TaskManagerPorts) {
    this.#options = options
    this.#ports = ports
    this.#assignments = ports.slots.map(() => undefined)
    this.#waiting = ports.slots.map(() => undefined)
  }

  /** Messages of another epoch, attempt or job that were dropped (`flinkts_stale_messages_total`). */
  get staleMessages(): number {
    return this.#staleMessages
  }

  /** There is a connection to a JobManager. */
  connected(): void {
    const { clusterId, token, id, pid, slotSockets } = this.#options
    this.#ports.send({ kind: 'register', clusterId, token, protocolVersion, taskManager: { id, pid, slots: slotSockets } })
  }

  disconnected(): void {
    this.#epoch = undefined
    this.#heartbeat?.stop()
    this.#heartbeat = undefined
    this.#waiting.fill(undefined)
    this.#assignments.forEach((_, slotIndex) => this.#end(slotIndex))
  }

  receive(message: ToTaskManager): void {
    this.#heartbeat?.machine.heard()
    switch (message.kind) {
      case 'registered':
        if (message.clusterId !== this.#options.clusterId) return this.#ports.dropConnection(`it belongs to another cluster: ${message.clusterId}`)
        this.#epoch = message.epoch
        return this.#beat(message.heartbeatIntervalMs, message.heartbeatTimeoutMs)
      case 'heartbeat':
        return
      case 'deploy':
        return this.#deploy(message)
      case 'cancel':
        this.#waiting.forEach((waiting, slotIndex) => {
          if (waiting && concerns(waiting.deployment, message)) this.#cancelWaiting(slotIndex, waiting)
        })
        return this.#forEach(message, (_, slotIndex) => this.#end(slotIndex), true)
      case 'trigger':
        return this.#forEach(message, assignment => {
          assignment.snapshots.triggered(message.barrier.checkpointId, message.directory)
          assignment.run.receive({ kind: 'trigger', barrier: message.barrier })
        })
      case 'checkpointComplete':
        return this.#forEach(message, assignment => {
          assignment.snapshots.completed(message.checkpointId)
          assignment.run.receive({ kind: 'checkpointComplete', checkpointId: message.checkpointId })
        })
      case 'checkpointAborted':
        return this.#forEach(message, assignment => {
          assignment.snapshots.aborted(message.checkpointId)
          assignment.run.receive({ kind: 'checkpointAborted', checkpointId: message.checkpointId })
        })
      case 'addSplit':
        return this.#toSlot(message, { kind: 'addSplit', operatorId: message.operatorId, subtask: message.subtask, split: message.split })
      case 'noMoreSplits':
        return this.#toSlot(message, { kind: 'noMoreSplits', operatorId: message.operatorId, subtask: message.subtask })
      case 'shutdown':
        return this.shutdown()
      default:
        unreachable(message)
    }
  }

  /** Ends all slots, then the process. */
  shutdown(): void {
    this.#shuttingDown = true
    this.#waiting.fill(undefined)
    this.#assignments.forEach((_, slotIndex) => this.#end(slotIndex))
    this.#exitWhenFree()
  }

  /** The process must go, for a reason that concerns all that runs in it: tells the JobManager why, then dies. */
  abandon(error: ErrorData): void {
    for (const assignment of this.#assignments) if (assignment !== undefined) this.#failTasks(assignment, error)
    this.#ports.die(error)
  }

  // --- from the JobManager ---

  #deploy(message: Deploy): void {
    const { slotIndex, deployment } = message
    const current = this.#assignments[slotIndex]
    const newest = this.#waiting[slotIndex]?.deployment ?? current?.deployment
    const slotExists = slotIndex >= 0 && slotIndex < this.#assignments.length
    const stale = deployment.fence.epoch !== this.#epoch || (newest !== undefined && newest.jobId === deployment.jobId && !isNewer(deployment.fence, newest.fence))
    if (!slotExists || stale || this.#shuttingDown) {
      this.#staleMessages++
    } else if (current === undefined) {
      this.#start(slotIndex, message)
    } else {
      this.#waiting[slotIndex] = message
      this.#end(slotIndex)
    }
  }

  #start(slotIndex: number, { deployment, checkpointDirectory }: Deploy): void {
    const runner = this.#ports.slots[slotIndex]
    if (runner === undefined) return
    const { fence, jobId } = deployment
    const snapshots = new PendingSnapshots(this.#ports.snapshots, fence, checkpointDirectory, {
      now: () => this.#ports.now(),
      acknowledge: (task, checkpointId, file, timings) => this.#send({ kind: 'acknowledge', fence, jobId, task, checkpointId, file, timings }),
      decline: (task, checkpointId, error) => this.#send({ kind: 'decline', fence, jobId, task, checkpointId, error }),
    })
    // A runner may report before `start` returns (in one thread); what it says then waits for the assignment.
    const early: (() => void)[] = []
    let assignment: Assignment | undefined
    const whenAssigned = (work: (assignment: Assignment) => void) => {
      if (assignment === undefined) early.push(() => assignment && work(assignment))
      else work(assignment)
    }
    const run = runner.start(deployment, {
      report: (report, load) => whenAssigned(it => this.#report(it, report, load)),
      log: (stream, text) => whenAssigned(() => this.#send({ kind: 'log', fence, jobId, slot: deployment.slot, stream, text })),
      ended: error => whenAssigned(it => this.#ended(slotIndex, it, error)),
    })
    assignment = { deployment, fence, run, tasks: new Map(), snapshots }
    this.#assignments[slotIndex] = assignment
    for (const work of early) work()
  }

  /** Asks a slot to end; if it does not within the grace time, user code blocks it and only the end of the process helps. */
  #end(slotIndex: number): void {
    const assignment = this.#assignments[slotIndex]
    if (assignment === undefined || assignment.giveUp !== undefined) return
    const { deployment } = assignment
    assignment.giveUp = this.#ports.after(this.#options.cancelGraceMs, () => {
      const message = `slot ${slotIndex} of ${this.#options.id} did not stop within ${this.#options.cancelGraceMs} ms: user code blocks it; its process is ended`
      this.#send({ kind: 'log', fence: assignment.fence, jobId: deployment.jobId, slot: deployment.slot, stream: 'stderr', text: message })
      this.#ports.die({ code: 'PROCESS_LOST', message })
    })
    assignment.run.receive({ kind: 'cancel' })
  }

  #cancelWaiting(slotIndex: number, { deployment }: Deploy): void {
    this.#waiting[slotIndex] = undefined
    this.#send({ kind: 'slotFree', fence: deployment.fence, jobId: deployment.jobId, slotIndex })
  }

  #toSlot(message: { readonly fence: Fence; readonly jobId: string; readonly slot: number }, mail: SlotMail): void {
    this.#forEach(message, assignment => {
      if (assignment.deployment.slot === message.slot) assignment.run.receive(mail)
    })
  }

  /** Every slot that runs this attempt of this job. None: the message is stale, unless it says so itself (a cancel that crossed the end). */
  #forEach(message: { readonly fence: Fence; readonly jobId: string }, work: (assignment: Assignment, slotIndex: number) => void, mayBeGone = false): void {
    let found = false
    this.#assignments.forEach((assignment, slotIndex) => {
      if (assignment === undefined || !concerns(assignment.deployment, message)) return
      found = true
      work(assignment, slotIndex)
    })
    if (!found && !mayBeGone) this.#staleMessages++
  }

  // --- from the slots ---

  #report(assignment: Assignment, report: SlotReport, load: ReportLoad | undefined): void {
    const { fence, deployment: { jobId } } = assignment
    const taken = () => load && assignment.run.taken(load)
    switch (report.kind) {
      case 'status':
        assignment.tasks.set(`${report.task.vertex}:${report.task.subtask}`, { task: report.task, status: report.status })
        return this.#send({ kind: 'taskStatus', fence, jobId, task: report.task, status: report.status, ...(report.error && { error: report.error }) })
      case 'snapshotBlock':
        return assignment.snapshots.block(report.task, report.checkpointId, report.block, taken)
      case 'snapshotDone':
        return assignment.snapshots.done(report.task, report.checkpointId, report.timings, report.since)
      case 'snapshotDeclined':
        return assignment.snapshots.declined(report.task, report.checkpointId, report.error)
      case 'endOfData':
      case 'requestSplit':
      case 'metrics':
        return this.#send({ ...report, fence, jobId })
      case 'print':
      case 'collect':
        return this.#send({ ...report, fence, jobId }, taken)
      default:
        unreachable(report)
    }
  }

  #ended(slotIndex: number, assignment: Assignment, error: ErrorData | undefined): void {
    if (this.#assignments[slotIndex] !== assignment) return
    assignment.giveUp?.()
    this.#assignments[slotIndex] = undefined
    const { fence, deployment: { jobId } } = assignment
    if (error !== undefined) {
      assignment.snapshots.discardAll()
      this.#failTasks(assignment, error)
    }
    this.#send({ kind: 'slotFree', fence, jobId, slotIndex, ...(error && { error }) })
    const next = this.#waiting[slotIndex]
    this.#waiting[slotIndex] = undefined
    if (next !== undefined) this.#start(slotIndex, next)
    this.#exitWhenFree()
  }

  #failTasks({ tasks, fence, deployment: { jobId } }: Assignment, error: ErrorData): void {
    for (const entry of tasks.values()) {
      if (terminal.has(entry.status)) continue
      entry.status = 'FAILED'
      this.#send({ kind: 'taskStatus', fence, jobId, task: entry.task, status: 'FAILED', error })
    }
  }

  /** Only what belongs to the JobManager that we are registered with. */
  #send(message: FromTaskManager, flushed?: () => void): void {
    if ('fence' in message && message.fence !== undefined && message.fence.epoch !== this.#epoch) {
      this.#staleMessages++
      flushed?.()
      return
    }
    this.#ports.send(message, flushed)
  }

  #exitWhenFree(): void {
    if (this.#shuttingDown && this.#assignments.every(assignment => assignment === undefined)) this.#ports.exit()
  }

  #beat(intervalMs: Millis, timeoutMs: Millis): void {
    this.#heartbeat?.stop()
    const machine = new Heartbeat({ intervalMs, timeoutMs }, this.#ports.now())
    let cancel = () => {}
    const tick = () => {
      cancel = this.#ports.after(intervalMs, tick)
      for (const command of machine.tick(this.#ports.now())) {
        if (command.kind === 'send') this.#ports.send({ kind: 'heartbeat', sequence: command.sequence, rssBytes: this.#ports.rssBytes() })
        else this.#ports.dropConnection(`the JobManager was silent for ${command.silentMs} ms`)
      }
    }
    cancel = this.#ports.after(intervalMs, tick)
    this.#heartbeat = { machine, stop: () => cancel() }
  }
}

function concerns(deployment: DeploymentText, message: { readonly fence: Fence; readonly jobId: string }): boolean {
  return deployment.jobId === message.jobId && sameFence(deployment.fence, message.fence)
}

function isNewer(a: Fence, b: Fence): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.attempt > b.attempt)
}
