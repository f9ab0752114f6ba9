/**
 * The life of one job: when its tasks are deployed, what a failure means, when it is over (Flink `JobMaster`,
 * `DefaultScheduler`). Pure: an event and `now` in, commands out.
 *
 * An attempt is one deployment of all tasks. A failure ends the attempt as a whole: everything is cancelled, and only
 * when every slot is free or lost is it decided what happens next, because by then the real cause is known. (When user
 * code throws in one slot, its neighbours often report the broken link first.)
 */
import { assert, unreachable } from '../../core/assert.ts'
import { errorTable, type ErrorData } from '../../core/errors.ts'
import type { Millis, Timestamp } from '../../core/time.ts'
import { terminalJobStatuses, type JobStatus } from '../../metrics/event.ts'
import type { TaskStatus } from '../../protocol/slot.ts'
import { isHopeless, type RestartStrategy } from './restart-strategy.ts'

/** The one table of moves. */
const moves: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  INITIALIZING: ['CREATED', 'FAILED', 'CANCELED'],
  // RESTARTING: a job of an earlier JobManager whose first attempt with this one could not be prepared.
  CREATED: ['RUNNING', 'RESTARTING', 'FAILING', 'CANCELLING'],
  RUNNING: ['FINISHED', 'RESTARTING', 'FAILING', 'CANCELLING'],
  RESTARTING: ['RUNNING', 'FAILING', 'CANCELLING'],
  FAILING: ['FAILED', 'CANCELLING'],
  CANCELLING: ['CANCELED'],
  SUSPENDED: [],
  RECONCILING: [],
  FAILED: [],
  CANCELED: [],
  FINISHED: [],
}

/** A task's own moves; anything else from a task of this attempt is late news and ignored. */
const taskOrder: Readonly<Record<TaskStatus, number>> = {
  CREATED: 0, SCHEDULED: 1, DEPLOYING: 2, INITIALIZING: 3, RUNNING: 4, CANCELING: 5, FINISHED: 9, CANCELED: 9, FAILED: 9,
}
const taskEnded = (status: TaskStatus) => taskOrder[status] === 9

/** A physical slot, as the resource manager grants it. */
export interface GrantedSlot {
  readonly taskManager: string
  readonly slotIndex: number
  readonly dataSocket: string
}

export interface JobMasterOptions {
  /** Logical slot of each task. */
  readonly slotOfTask: readonly number[]
  readonly slots: number
  /** The attempt that comes next: attempts go on over restarts of the JobManager. */
  readonly nextAttempt: number
  readonly strategy: RestartStrategy
  /** How long to wait for slots. */
  readonly slotTimeout: Millis
  /** How long a slot may take to stop before its TaskManager is given up. */
  readonly cancelTimeout: Millis
}

export type JobEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'slotsGranted'; readonly slots: readonly GrantedSlot[] }
  /** The snapshot could not be read or does not fit, or a file of ours could not be written. */
  | { readonly kind: 'deployFailed'; readonly error: ErrorData }
  | { readonly kind: 'taskStatus'; readonly task: number; readonly status: TaskStatus; readonly error: ErrorData | undefined }
  | { readonly kind: 'slotFree'; readonly taskManager: string; readonly slotIndex: number; readonly error: ErrorData | undefined }
  | { readonly kind: 'taskManagerLost'; readonly taskManager: string; readonly error: ErrorData }
  /** Later news about a TaskManager that was lost. */
  | { readonly kind: 'lossExplained'; readonly taskManager: string; readonly error: ErrorData }
  /** From the checkpoint coordinator or the host of the split enumerators. */
  | { readonly kind: 'attemptFailed'; readonly error: ErrorData }
  | { readonly kind: 'checkpointCompleted' }
  | { readonly kind: 'stopSavepointCompleted'; readonly path: string }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'tick' }

export type JobCommand =
  | { readonly kind: 'jobStatus'; readonly status: JobStatus; readonly error: ErrorData | undefined }
  /** Find the newest snapshot that can be read and prepare the enumerators from it; on trouble `deployFailed`. */
  | { readonly kind: 'prepareAttempt'; readonly attempt: number }
  | { readonly kind: 'requestSlots'; readonly count: number }
  /** All of the job's slots, and its request if there is one. */
  | { readonly kind: 'releaseSlots' }
  | { readonly kind: 'deploy'; readonly attempt: number; readonly slots: readonly GrantedSlot[] }
  | { readonly kind: 'taskStatus'; readonly task: number; readonly status: TaskStatus; readonly error: ErrorData | undefined }
  /** The attempt is over for everybody who works beside the tasks: checkpoints, enumerators. */
  /** `over`: the job is finished or cancelled, and nothing that was under way is missed. */
  | { readonly kind: 'attemptEnded'; readonly reason: string; readonly over: boolean }
  | { readonly kind: 'cancelTasks'; readonly taskManagers: readonly string[] }
  | { readonly kind: 'abandonTaskManager'; readonly taskManager: string; readonly reason: string }
  | { readonly kind: 'failure'; readonly error: ErrorData; readonly task: number | undefined; readonly taskManager: string | undefined }
  | { readonly kind: 'restartScheduled'; readonly attempt: number; readonly delay: Millis; readonly cause: ErrorData; readonly repeats: number }
  | { readonly kind: 'finished'; readonly status: 'FINISHED' | 'FAILED' | 'CANCELED'; readonly error: ErrorData | undefined }

interface HeldSlot {
  readonly slot: GrantedSlot
  state: 'deployed' | 'free' | 'lost'
}

export class JobMaster {
  readonly #options: JobMasterOptions
  #status: JobStatus = 'INITIALIZING'
  #attempt: number
  #tasks: TaskStatus[]
  #slots: HeldSlot[] = []
  /** What ended this attempt; the most telling one so far. */
  #cause: ErrorData | undefined
  #failedAt: Timestamp = 0
  /** Why the attempt before was restarted, and how many in a row were for that reason. */
  #lastCause: ErrorData | undefined
  #repeats = 0
  #stoppedAt: string | undefined
  #slotsDeadline: Timestamp = Infinity
  #cancelDeadline: Timestamp = Infinity
  #restartAt: Timestamp = Infinity
  #commands: JobCommand[] = []

  constructor(options: JobMasterOptions) {
    this.#options = options
    this.#attempt = options.nextAttempt - 1
    this.#tasks = options.slotOfTask.map(() => 'CREATED' as const)
  }

  get status(): JobStatus {
    return this.#status
  }
  /** Of the tasks that were deployed last. */
  get attempt(): number {
    return this.#attempt
  }
  get taskStatuses(): readonly TaskStatus[] {
    return this.#tasks
  }
  /** By logical slot; empty before the first deployment. */
  get slots(): readonly GrantedSlot[] {
    return this.#slots.map(held => held.slot)
  }
  /** Whether tasks of the current attempt may still be told something. */
  get deployed(): boolean {
    return this.#slots.some(held => held.state === 'deployed')
  }
  /** Where the job was stopped to, once that savepoint is durable. */
  get stoppedAt(): string | undefined {
    return this.#stoppedAt
  }

  handle(event: JobEvent, now: Timestamp): JobCommand[] {
    if (!terminalJobStatuses.has(this.#status)) {
      this.#apply(event, now)
      this.#timeouts(now)
    }
    const commands = this.#commands
    this.#commands = []
    return commands
  }

  nextWakeAt(): Timestamp {
    return Math.min(this.#slotsDeadline, this.#cancelDeadline, this.#restartAt)
  }

  #apply(event: JobEvent, now: Timestamp): void {
    switch (event.kind) {
      case 'start':
        this.#move('CREATED')
        return this.#request(now)
      case 'slotsGranted':
        return this.#deploy(event.slots)
      case 'deployFailed':
      case 'attemptFailed':
        return this.#fail(event.error, now)
      case 'taskStatus':
        return this.#taskStatus(event, now)
      case 'slotFree': {
        const number = this.#slots.findIndex(held => held.state === 'deployed' && held.slot.taskManager === event.taskManager && held.slot.slotIndex === event.slotIndex)
        const held = this.#slots[number]
        if (!held) return
        held.state = 'free'
        const unfinished = this.#endTasksOf(number, this.#status === 'RUNNING' ? 'FAILED' : 'CANCELED')
        if (unfinished && (this.#status === 'RUNNING' || event.error)) {
          this.#fail(event.error ?? { code: 'PROCESS_LOST', message: `slot ${event.slotIndex} of ${event.taskManager} ended before its tasks did` }, now, undefined, event.taskManager)
        }
        return this.#settle()
      }
      case 'taskManagerLost': {
        let unfinished = false
        this.#slots.forEach((held, number) => {
          if (held.slot.taskManager !== event.taskManager || held.state !== 'deployed') return
          held.state = 'lost'
          if (this.#endTasksOf(number, 'FAILED')) unfinished = true
        })
        if (unfinished) this.#fail(event.error, now, undefined, event.taskManager)
        // A peer may have told before that its connection broke: this is why.
        this.#explainLoss(event.taskManager, event.error)
        return this.#settle()
      }
      case 'lossExplained':
        return this.#explainLoss(event.taskManager, event.error)
      case 'checkpointCompleted':
        return this.#options.strategy.onProgress()
      case 'stopSavepointCompleted':
        this.#stoppedAt = event.path
        return
      case 'cancel':
        return this.#cancel(now)
      case 'tick':
        return
      default:
        return unreachable(event)
    }
  }

  #move(status: JobStatus, error?: ErrorData): void {
    assert(moves[this.#status].includes(status), `a job cannot go from ${this.#status} to ${status}`)
    this.#status = status
    this.#commands.push({ kind: 'jobStatus', status, error })
    if (status === 'FINISHED' || status === 'FAILED' || status === 'CANCELED') {
      this.#slotsDeadline = this.#cancelDeadline = this.#restartAt = Infinity
      this.#commands.push({ kind: 'releaseSlots' }, { kind: 'finished', status, error })
    }
  }

  #request(now: Timestamp): void {
    this.#cause = undefined
    this.#slots = []
    this.#tasks = this.#options.slotOfTask.map(() => 'SCHEDULED' as const)
    this.#slotsDeadline = now + this.#options.slotTimeout
    this.#commands.push({ kind: 'prepareAttempt', attempt: this.#attempt + 1 }, { kind: 'requestSlots', count: this.#options.slots })
  }

  #deploy(slots: readonly GrantedSlot[]): void {
    // Granted while a cancel or a failure was on its way: given back.
    if (this.#slotsDeadline === Infinity) return void this.#commands.push({ kind: 'releaseSlots' })
    assert(slots.length === this.#options.slots, `asked for ${this.#options.slots} slots and got ${slots.length}`)
    this.#slotsDeadline = Infinity
    this.#attempt++
    this.#slots = slots.map(slot => ({ slot, state: 'deployed' as const }))
    this.#tasks = this.#options.slotOfTask.map(() => 'DEPLOYING' as const)
    this.#move('RUNNING')
    this.#commands.push({ kind: 'deploy', attempt: this.#attempt, slots })
  }

  #taskStatus(event: Extract<JobEvent, { kind: 'taskStatus' }>, now: Timestamp): void {
    const before = this.#tasks[event.task]
    assert(before !== undefined, `task ${event.task} is not in the job`)
    if (taskOrder[event.status] <= taskOrder[before]) return
    this.#tasks[event.task] = event.status
    this.#commands.push({ kind: 'taskStatus', task: event.task, status: event.status, error: event.error })
    if (event.status === 'FAILED') {
      const slot = this.#slots[this.#options.slotOfTask[event.task] as number]
      this.#fail(event.error ?? { code: 'JOB_FAILED', message: 'a task failed without saying why' }, now, event.task, slot?.slot.taskManager)
    } else if (event.status === 'CANCELED' && this.#status === 'RUNNING') {
      this.#fail({ code: 'PROCESS_LOST', message: 'a task was cancelled, but nobody asked for it' }, now, event.task)
    }
    if (this.#tasks.every(status => status === 'FINISHED')) {
      // From here on only the slots have to come back; one that does not is left behind.
      this.#cancelDeadline = now + this.#options.cancelTimeout
      this.#settle()
    }
  }

  #explainLoss(taskManager: string, error: ErrorData): void {
    if (this.#cause?.code === 'PROCESS_LOST' && this.#slots.some(held => held.state === 'lost' && held.slot.taskManager === taskManager)) this.#cause = error
  }

  /** The slot is gone; tasks in it that had not ended are `status` now. Returns whether there were any. */
  #endTasksOf(slot: number, status: TaskStatus): boolean {
    let unfinished = false
    this.#tasks.forEach((before, task) => {
      if (this.#options.slotOfTask[task] !== slot || taskEnded(before)) return
      unfinished = true
      this.#tasks[task] = status
      this.#commands.push({ kind: 'taskStatus', task, status, error: undefined })
    })
    return unfinished
  }

  #fail(error: ErrorData, now: Timestamp, task?: number, taskManager?: string): void {
    if (this.#status === 'CANCELLING') return
    this.#commands.push({ kind: 'failure', error, task, taskManager })
    if (this.#status === 'FAILING' || (this.#status === 'RESTARTING' && this.#cause)) {
      if (weight(error) > weight(this.#cause)) this.#cause = error
      if (this.#status === 'RESTARTING' && this.#final(error)) this.#move('FAILING', this.#cause)
      return
    }
    this.#cause = error
    this.#failedAt = now
    // A job that never ran fails at once, so that whoever started it sees why; one that did is not lost to a moment's trouble.
    if (this.#final(error) || (this.#status === 'CREATED' && this.#attempt === 0)) this.#move('FAILING', error)
    else if (this.#status !== 'RESTARTING') this.#move('RESTARTING', error)
    this.#end(now, 'the job failed')
  }

  #final(error: ErrorData): boolean {
    return isHopeless(error.code) || this.#stoppedAt !== undefined || !this.#options.strategy.canRestart(this.#failedAt)
  }

  #cancel(now: Timestamp): void {
    if (this.#status === 'CANCELLING') return
    const ending = this.#status === 'FAILING' || (this.#status === 'RESTARTING' && this.#cause !== undefined)
    this.#move('CANCELLING')
    if (ending) {
      this.#restartAt = Infinity
      this.#settle()
    } else this.#end(now, 'the job was cancelled')
  }

  #end(now: Timestamp, reason: string): void {
    this.#slotsDeadline = Infinity
    this.#restartAt = Infinity
    this.#commands.push({ kind: 'attemptEnded', reason, over: this.#status === 'CANCELLING' })
    const taskManagers = [...new Set(this.#slots.filter(held => held.state === 'deployed').map(held => held.slot.taskManager))]
    if (taskManagers.length > 0) {
      this.#cancelDeadline = now + this.#options.cancelTimeout
      this.#commands.push({ kind: 'cancelTasks', taskManagers })
    }
    this.#settle()
  }

  /** What comes after an attempt of which no slot is left running. */
  #settle(): void {
    if (this.deployed) return
    this.#cancelDeadline = Infinity
    switch (this.#status) {
      case 'RUNNING':
        if (this.#tasks.every(status => status === 'FINISHED')) {
          this.#commands.push({ kind: 'attemptEnded', reason: 'the job is finished', over: true })
          this.#move('FINISHED')
        }
        return
      case 'CANCELLING':
        return this.#move('CANCELED')
      case 'FAILING':
        return this.#move('FAILED', this.#finalError(undefined))
      case 'RESTARTING': {
        if (this.#restartAt !== Infinity || !this.#cause) return
        const decision = this.#options.strategy.onFailure(this.#failedAt, this.#cause.code === 'PROCESS_LOST')
        if (decision.kind === 'fail') {
          this.#move('FAILING', this.#cause)
          return this.#move('FAILED', this.#finalError(decision.reason))
        }
        this.#restartAt = this.#failedAt + decision.delay
        this.#repeats = isSameFailure(this.#cause, this.#lastCause) ? this.#repeats + 1 : 1
        this.#lastCause = this.#cause
        this.#commands.push({ kind: 'releaseSlots' }, { kind: 'restartScheduled', attempt: this.#attempt + 1, delay: decision.delay, cause: this.#cause, repeats: this.#repeats })
        return
      }
      default:
        return
    }
  }

  #finalError(reason: string | undefined): ErrorData {
    const cause = this.#cause
    assert(cause, 'a job that fails has a cause')
    if (this.#stoppedAt !== undefined) {
      return { ...cause, detail: `${cause.detail === undefined ? '' : `${cause.detail} `}The savepoint was complete before: ${this.#stoppedAt}.`, hint: 'Start the job from that savepoint; nothing is lost.' }
    }
    if (reason === undefined) return cause
    const note = `The job was not restarted: ${reason}.`
    return { ...cause, detail: cause.detail === undefined ? note : `${cause.detail} ${note}` }
  }

  #timeouts(now: Timestamp): void {
    if (now >= this.#restartAt) {
      this.#restartAt = Infinity
      this.#request(now)
    }
    if (now >= this.#slotsDeadline) {
      const waited = `within ${Math.round(this.#options.slotTimeout / 1000)} s`
      this.#fail({ code: 'NOT_ENOUGH_SLOTS', message: `the job needs ${this.#options.slots} slots, and they were not free ${waited}`, hint: errorTable.NOT_ENOUGH_SLOTS.hint }, now)
    }
    if (now >= this.#cancelDeadline) {
      const finished = this.#tasks.every(status => status === 'FINISHED')
      const stuck = [...new Set(this.#slots.filter(held => held.state === 'deployed').map(held => held.slot.taskManager))]
      for (const held of this.#slots) if (held.state === 'deployed') held.state = 'lost'
      for (const taskManager of stuck) {
        const reason = `a slot did not ${finished ? 'end' : 'stop'} within ${this.#options.cancelTimeout} ms`
        this.#commands.push({ kind: 'abandonTaskManager', taskManager, reason })
      }
      this.#settle()
    }
  }
}

/** How much an error tells: hopeless before what user code threw before the silence of a neighbour. */
function weight(error: ErrorData | undefined): number {
  if (!error) return -1
  if (isHopeless(error.code)) return 2
  return error.code === 'PROCESS_LOST' ? 0 : 1
}

/** The same code at the same place; messages may name another record each time. */
function isSameFailure(one: ErrorData, other: ErrorData | undefined): boolean {
  if (one.code !== other?.code) return false
  if (one.at === undefined || other.at === undefined) return one.at === other.at && one.message === other.message
  return one.at.file === other.at.file && one.at.line === other.at.line
}
