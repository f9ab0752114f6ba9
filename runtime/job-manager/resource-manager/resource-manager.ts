/**
 * Which TaskManagers there are, whether they are alive, and who has their slots (Flink `ResourceManager`,
 * `SlotManager`, heartbeats). Pure: an event and `now` in, commands out.
 *
 * A TaskManager is lost when its connection closes or it is silent for the heartbeat timeout. One that lost its
 * connection may come back under its id: it has ended its slots by itself. One that was silent, or did not stop when it
 * was told, is never trusted again: when it wakes up (a zombie), it is told to shut down.
 *
 * A job gets all the slots it asked for at once or none, so two jobs never hold half of what each needs.
 */
import { unreachable } from '../../core/assert.ts'
import type { Millis, Timestamp } from '../../core/time.ts'
import { protocolVersion, type TaskManagerInfo } from '../../protocol/job-master.ts'
import { Heartbeat } from '../../rpc/heartbeat.ts'
import { sameToken } from '../../rpc/token.ts'
import type { GrantedSlot } from '../job-master/job-master.ts'

export interface ResourceManagerOptions {
  readonly clusterId: string
  readonly token: string
  readonly heartbeatInterval: Millis
  readonly heartbeatTimeout: Millis
}

export type ResourceEvent =
  | { readonly kind: 'register'; readonly connection: number; readonly clusterId: string; readonly token: string; readonly protocolVersion: number; readonly taskManager: TaskManagerInfo }
  /** Any message of a TaskManager is a sign of life; a heartbeat also carries its memory. */
  | { readonly kind: 'alive'; readonly connection: number; readonly rssBytes?: number }
  | { readonly kind: 'closed'; readonly connection: number }
  /** The job gave it up: it did not stop when it was told. */
  | { readonly kind: 'abandon'; readonly taskManager: string; readonly reason: string }
  | { readonly kind: 'requestSlots'; readonly jobId: string; readonly count: number }
  | { readonly kind: 'releaseSlots'; readonly jobId: string }
  | { readonly kind: 'tick' }

export type ResourceCommand =
  | { readonly kind: 'registered'; readonly connection: number; readonly taskManager: TaskManagerInfo }
  /** Tell it why and close the connection. */
  | { readonly kind: 'shutdown'; readonly connection: number; readonly reason: string }
  | { readonly kind: 'heartbeat'; readonly connection: number; readonly sequence: number }
  | { readonly kind: 'lost'; readonly taskManager: TaskManagerInfo; readonly reason: string }
  | { readonly kind: 'slotsGranted'; readonly jobId: string; readonly slots: readonly GrantedSlot[] }

export interface TaskManagerView {
  readonly info: TaskManagerInfo
  readonly connection: number
  readonly registeredAt: Timestamp
  readonly lastSeenAt: Timestamp
  readonly rssBytes: number
  /** By slot index: the job that has it. */
  readonly slots: readonly (string | undefined)[]
}
interface TaskManager {
  readonly info: TaskManagerInfo
  readonly connection: number
  readonly registeredAt: Timestamp
  lastSeenAt: Timestamp
  readonly heartbeat: Heartbeat
  nextTickAt: Timestamp
  rssBytes: number
  readonly slots: (string | undefined)[]
}

/** Ids of lost TaskManagers that are remembered; an older zombie would only be registered afresh. */
const maxLostIds = 10_000
const maxTaskManagers = 1_000

export class ResourceManager {
  readonly #options: ResourceManagerOptions
  /** In order of registration. */
  readonly #byId = new Map<string, TaskManager>()
  readonly #byConnection = new Map<number, TaskManager>()
  readonly #lost = new Set<string>()
  /** First come, first served; but one that does not fit does not hold up one that does. */
  readonly #requests = new Map<string, number>()
  #commands: ResourceCommand[] = []

  constructor(options: ResourceManagerOptions) {
    this.#options = options
  }

  get taskManagers(): readonly TaskManagerView[] {
    return [...this.#byId.values()]
  }
  connectionOf(taskManager: string): number | undefined {
    return this.#byId.get(taskManager)?.connection
  }
  taskManagerOf(connection: number): string | undefined {
    return this.#byConnection.get(connection)?.info.id
  }

  handle(event: ResourceEvent, now: Timestamp): ResourceCommand[] {
    this.#apply(event, now)
    this.#heartbeats(now)
    this.#grant()
    const commands = this.#commands
    this.#commands = []
    return commands
  }

  nextWakeAt(): Timestamp {
    let at = Infinity
    for (const taskManager of this.#byId.values()) at = Math.min(at, taskManager.nextTickAt)
    return at
  }

  #apply(event: ResourceEvent, now: Timestamp): void {
    switch (event.kind) {
      case 'register':
        return this.#register(event, now)
      case 'alive': {
        const taskManager = this.#byConnection.get(event.connection)
        if (!taskManager) return void this.#commands.push({ kind: 'shutdown', connection: event.connection, reason: 'this TaskManager was declared lost, or never registered' })
        taskManager.lastSeenAt = now
        taskManager.heartbeat.heard()
        if (event.rssBytes !== undefined) taskManager.rssBytes = event.rssBytes
        return
      }
      case 'closed': {
        const taskManager = this.#byConnection.get(event.connection)
        if (taskManager) this.#remove(taskManager, 'its connection closed')
        return
      }
      case 'abandon': {
        const taskManager = this.#byId.get(event.taskManager)
        if (!taskManager) return
        return this.#distrust(taskManager, event.reason)
      }
      case 'requestSlots':
        this.#requests.set(event.jobId, event.count)
        return
      case 'releaseSlots':
        this.#requests.delete(event.jobId)
        for (const taskManager of this.#byId.values()) {
          taskManager.slots.forEach((jobId, index) => {
            if (jobId === event.jobId) taskManager.slots[index] = undefined
          })
        }
        return
      case 'tick':
        return
      default:
        return unreachable(event)
    }
  }

  #register(event: Extract<ResourceEvent, { kind: 'register' }>, now: Timestamp): void {
    const { connection, taskManager: info } = event
    const refuse = (reason: string) => void this.#commands.push({ kind: 'shutdown', connection, reason })
    if (!sameToken(event.token, this.#options.token)) return refuse('wrong token')
    if (event.clusterId !== this.#options.clusterId) return refuse(`this is cluster ${this.#options.clusterId}`)
    if (event.protocolVersion !== protocolVersion) return refuse(`the JobManager speaks protocol version ${protocolVersion}, the TaskManager version ${event.protocolVersion}`)
    if (this.#lost.has(info.id)) return refuse('a TaskManager of this id was declared lost; a new process needs a new id')
    if (this.#byConnection.has(connection)) return refuse('this connection has registered a TaskManager already')
    const earlier = this.#byId.get(info.id)
    if (earlier) this.#remove(earlier, 'it connected again')
    if (this.#byId.size >= maxTaskManagers) return refuse(`${maxTaskManagers} TaskManagers are registered, which is the limit`)
    const taskManager: TaskManager = {
      info,
      connection,
      registeredAt: now,
      lastSeenAt: now,
      heartbeat: new Heartbeat({ intervalMs: this.#options.heartbeatInterval, timeoutMs: this.#options.heartbeatTimeout }, now),
      nextTickAt: now + this.#options.heartbeatInterval,
      rssBytes: 0,
      slots: info.slots.map(() => undefined),
    }
    this.#byId.set(info.id, taskManager)
    this.#byConnection.set(connection, taskManager)
    this.#commands.push({ kind: 'registered', connection, taskManager: info })
  }

  #remove(taskManager: TaskManager, reason: string): void {
    const { info, connection } = taskManager
    this.#byId.delete(info.id)
    this.#byConnection.delete(connection)
    this.#commands.push({ kind: 'lost', taskManager: info, reason })
  }

  #distrust(taskManager: TaskManager, reason: string): void {
    this.#lost.add(taskManager.info.id)
    if (this.#lost.size > maxLostIds) this.#lost.delete(this.#lost.values().next().value as string)
    this.#commands.push({ kind: 'shutdown', connection: taskManager.connection, reason })
    this.#remove(taskManager, reason)
  }

  #heartbeats(now: Timestamp): void {
    for (const taskManager of [...this.#byId.values()]) {
      if (now < taskManager.nextTickAt) continue
      taskManager.nextTickAt = now + this.#options.heartbeatInterval
      for (const command of taskManager.heartbeat.tick(now)) {
        if (command.kind === 'send') this.#commands.push({ kind: 'heartbeat', connection: taskManager.connection, sequence: command.sequence })
        else this.#distrust(taskManager, `no heartbeat for ${command.silentMs} ms`)
      }
    }
  }

  #grant(): void {
    for (const [jobId, count] of this.#requests) {
      const slots = this.#choose(count)
      if (!slots) continue
      this.#requests.delete(jobId)
      for (const { taskManager, slotIndex } of slots) (this.#byId.get(taskManager) as TaskManager).slots[slotIndex] = jobId
      this.#commands.push({ kind: 'slotsGranted', jobId, slots })
    }
  }

  /** Spreads evenly: each next logical slot goes to the TaskManager with the most slots free. */
  #choose(count: number): GrantedSlot[] | undefined {
    const free = [...this.#byId.values()].map(taskManager => ({
      taskManager,
      indexes: taskManager.slots.flatMap((jobId, index) => (jobId === undefined ? [index] : [])),
    }))
    if (free.reduce((sum, { indexes }) => sum + indexes.length, 0) < count) return undefined
    const chosen: GrantedSlot[] = []
    while (chosen.length < count) {
      const best = free.reduce((a, b) => (b.indexes.length > a.indexes.length ? b : a))
      const slotIndex = best.indexes.shift() as number
      const { info } = best.taskManager
      chosen.push({ taskManager: info.id, slotIndex, dataSocket: info.slots[slotIndex] as string })
    }
    return chosen
  }
}
