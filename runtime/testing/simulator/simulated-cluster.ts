/**
 * A cluster in one thread: the real JobManager, TaskManagers and slots, with virtual time, a network that only delays, and
 * one disk. Without delays and faults it is the embedded cluster behind `runJob`; with seeded ones it is the simulator.
 *
 * A killed process loses everything but the disk. One that ends is started again after a while, as the supervisor of a
 * local cluster sees to. Connections are first in, first out, like the sockets they stand for.
 */
import { FlinkError } from '../../core/errors.ts'
import type { FileSystem } from '../../core/files.ts'
import type { Random } from '../../core/random.ts'
import { translate } from '../../graph/translate.ts'
import type { JobConfig } from '../../graph/config.ts'
import type { JobDefinition } from '../../graph/transformation.ts'
import { EmbeddedCoordinatorHost } from '../../job-manager/coordinators/embedded-coordinator-host.ts'
import { JobManager, jobManagerDefaults, type JobSubmission } from '../../job-manager/job-manager.ts'
import { SnapshotDirectory } from '../../job-manager/checkpoint/snapshot-directory.ts'
import { EventJournal } from '../../metrics/journal.ts'
import type { SlotDeployment } from '../../protocol/slot.ts'
import type { ToTaskManager } from '../../protocol/task-executor.ts'
import { DirectSnapshotFiles } from '../../task-manager/direct-snapshot-files.ts'
import { TaskManager } from '../../task-manager/task-manager.ts'
import { Connection, type ConnectionEnd } from './connection.ts'
import { DataNetwork } from './data-network.ts'
import { lateRenames, type PlantedBugs, type Told } from './planted-bugs.ts'
import { SimulatedSlot } from './simulated-slot.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface ClusterOptions {
  readonly taskManagers: number
  readonly slotsPerTaskManager: number
  readonly projectDirectory: string
  readonly files: FileSystem
  readonly random: Random
  readonly time: VirtualTime
  readonly delays: Delays
  /** Evaluates the job of a bundle: new functions each time, as in a worker of its own. `told` is there in a slot only. */
  evaluate(bundlePath: string, config: JobConfig, told?: Told): JobDefinition
  readonly heartbeat?: { readonly heartbeatInterval: number; readonly heartbeatTimeout: number }
  /** Planted on purpose, to prove that they are found. */
  readonly bugs?: PlantedBugs
}

/** ms of virtual time, drawn for each message, turn and start of a process. */
export interface Delays {
  /** Of the control connection with this number; each has its own. */
  control(connection: number): number
  /** Between the data sockets of two slots. */
  data(from: string, to: string): number
  /** Of the slot with this data socket. */
  turn(slot: string): number
  restart(): number
}
export const noDelays: Delays = { control: () => 0, data: () => 0, turn: () => 0, restart: () => 0 }

export class SimulatedCluster {
  readonly journal = new EventJournal()
  readonly options: ClusterOptions
  readonly #network: DataNetwork
  #jobManager: JobManagerProcess | undefined
  readonly #taskManagers: (TaskManagerProcess | undefined)[]
  #nextTaskManager = 1
  #nextConnection = 1

  constructor(options: ClusterOptions) {
    this.options = options
    this.#network = new DataNetwork(options.time, (from, to) => options.delays.data(from, to), options.bugs?.noFencing ?? false)
    this.#taskManagers = Array.from({ length: options.taskManagers }, () => undefined)
    this.#startJobManager()
    for (let index = 0; index < options.taskManagers; index++) this.#startTaskManager(index)
  }

  get jobManager(): JobManager | undefined {
    return this.#jobManager?.jobManager
  }

  submit(submission: JobSubmission): string {
    if (this.#jobManager === undefined) throw new Error('the JobManager is not running')
    return this.#jobManager.jobManager.submit(submission)
  }

  /** `kill -9`; another TaskManager takes its place. */
  killTaskManager(index: number): void {
    const process = this.#taskManagers[index]
    if (process === undefined) return
    this.#taskManagers[index] = undefined
    process.kill()
    this.options.time.after(this.options.delays.restart(), () => this.#startTaskManager(index))
  }

  /** One slot of a TaskManager does nothing for a while, because user code blocks it, or all, because the machine is busy. Its main thread goes on. */
  stall(index: number, slot: number | 'all', millis: number): void {
    this.#taskManagers[index]?.stall(slot, millis)
  }

  /** SIGSTOP, and SIGCONT later: the process then finds all that came meanwhile, and may not know yet that it was given up. */
  freezeTaskManager(index: number, millis: number): void {
    this.#taskManagers[index]?.freeze(millis)
  }

  /** Nothing reaches these ends of a TaskManager's control connection for a while. */
  cutTaskManager(index: number, ends: readonly ConnectionEnd[], millis: number): void {
    this.#taskManagers[index]?.cut(ends, millis)
  }

  /** `kill -9` of the JobManager; it comes back with the next epoch. */
  killJobManager(): void {
    const process = this.#jobManager
    if (process === undefined) return
    this.#jobManager = undefined
    process.kill()
    this.options.time.after(this.options.delays.restart(), () => this.#startJobManager())
  }

  /** Every process dies at one instant; what they find of the disk when they come back is up to `disk`. */
  powerOff(disk: () => void): void {
    this.killJobManager()
    for (let index = 0; index < this.#taskManagers.length; index++) this.killTaskManager(index)
    disk()
  }

  /** Opens a connection if the JobManager is there. */
  connect(taskManager: TaskManagerProcess): Connection | undefined {
    const jobManager = this.#jobManager
    return jobManager === undefined ? undefined : jobManager.accept(this.#nextConnection++, taskManager)
  }

  #startJobManager(): void {
    try {
      this.#jobManager = new JobManagerProcess(this.options, this.journal, () => this.killJobManager())
    } catch (error) {
      // Its disk fails: it ends with an error, and is started again.
      if (!(error instanceof FlinkError)) throw error
      this.options.time.after(50 + this.options.delays.restart(), () => this.#startJobManager())
      return
    }
    for (const taskManager of this.#taskManagers) taskManager?.connect()
  }

  #startTaskManager(index: number): void {
    const process = new TaskManagerProcess(this, this.#network, `tm-${this.#nextTaskManager++}`, () => this.killTaskManager(index))
    this.#taskManagers[index] = process
    process.connect()
  }
}

const clusterId = 'simulated'
const token = 'token'

class JobManagerProcess {
  readonly jobManager: JobManager
  readonly #options: ClusterOptions
  readonly #connections = new Map<number, Connection>()
  #alive = true
  #cancelWake: () => void = () => {}

  constructor(options: ClusterOptions, journal: EventJournal, exit: () => void) {
    const { time, files: disk, random, projectDirectory, evaluate, delays, bugs } = options
    this.#options = options
    const files = bugs?.notifyBeforeDurable ? lateRenames(disk, action => time.after(5 + delays.restart(), () => this.#alive && action())) : disk
    const host = new EmbeddedCoordinatorHost(files, start => {
      const definition = evaluate(start.bundlePath, start.graph.config)
      return { definition, graph: translate(definition, start.graph.config) }
    })
    this.jobManager = new JobManager(
      { ...jobManagerDefaults, ...options.heartbeat, clusterId, token, projectDirectory, epoch: 1 },
      {
        now: () => time.now,
        random: () => random.next(),
        files,
        snapshots: new SnapshotDirectory(files),
        coordinatorHost: host,
        journal,
        send: (connection, message) => this.#connections.get(connection)?.toTaskManager(message),
        close: connection => this.#connections.get(connection)?.close('JobManager'),
        wakeAt: at => {
          this.#cancelWake()
          if (at !== Infinity && this.#alive) {
            this.#cancelWake = time.at(at, () => {
              if (this.#alive) this.jobManager.tick()
            })
          }
        },
        shutdown: exit,
      },
    )
    this.jobManager.start()
  }

  accept(number: number, taskManager: TaskManagerProcess): Connection {
    const { time, delays, bugs } = this.#options
    const connection = new Connection({
      time,
      delay: () => delays.control(number),
      toJobManager: message => {
        if (this.#alive) this.jobManager.onMessage(number, message)
      },
      toTaskManager: message => taskManager.whenRunning(() => taskManager.received(connection, message)),
      closed: end => {
        if (end === 'TaskManager') return taskManager.whenRunning(() => taskManager.disconnected(connection))
        this.#connections.delete(number)
        if (this.#alive) this.jobManager.onClosed(number)
      },
      believe: bugs?.noFencing ? jobId => ({ epoch: this.jobManager.epoch, attempt: this.jobManager.job(jobId)?.attempt ?? 0 }) : undefined,
    })
    this.#connections.set(number, connection)
    return connection
  }

  kill(): void {
    this.#alive = false
    this.#cancelWake()
    for (const connection of [...this.#connections.values()]) connection.close('JobManager')
  }
}

class TaskManagerProcess {
  readonly #cluster: SimulatedCluster
  readonly taskManager: TaskManager
  readonly #slots: readonly SimulatedSlot[]
  readonly #stalledUntil: number[]
  /** What came while the process was stopped; undefined while it runs. */
  #inbox: (() => void)[] | undefined
  #connection: Connection | undefined
  #alive = true

  constructor(cluster: SimulatedCluster, network: DataNetwork, id: string, exit: () => void) {
    this.#cluster = cluster
    const { time, files, random, delays, evaluate, bugs, slotsPerTaskManager } = cluster.options
    const world = {
      time,
      network,
      files,
      random,
      evaluate: (deployment: SlotDeployment, told: Told) => evaluate(deployment.bundlePath, deployment.graph.config, told),
      faults: { noAlignment: bugs?.noAlignment ?? false, noSupersede: bugs?.noSupersede ?? false },
      snapshotByReference: bugs?.snapshotByReference ?? false,
    }
    const slotSockets = Array.from({ length: slotsPerTaskManager }, (_, index) => `${id}/${index}`)
    this.#stalledUntil = slotSockets.map(() => 0)
    this.#slots = slotSockets.map((socket, index) => new SimulatedSlot({ ...world, turnTime: () => delays.turn(socket), stalledUntil: () => this.#stalledUntil[index] as number }, socket))
    this.taskManager = new TaskManager(
      { clusterId, token, id, pid: 0, slotSockets, cancelGraceMs: 10_000 },
      {
        now: () => time.now,
        after: (delay, run) => {
          let wanted = true
          const takeBack = time.after(delay, () => this.whenRunning(() => wanted && run()))
          return () => {
            wanted = false
            takeBack()
          }
        },
        send: (message, flushed) => {
          this.#connection?.toJobManager(message)
          if (flushed !== undefined) time.after(0, flushed)
        },
        dropConnection: () => this.#connection?.close('TaskManager'),
        rssBytes: () => 0,
        slots: this.#slots,
        snapshots: new DirectSnapshotFiles(files),
        die: exit,
        exit,
      },
    )
  }

  /** Does something in this process: now, when it goes on, or never if it is dead. */
  whenRunning(work: () => void): void {
    if (!this.#alive) return
    if (this.#inbox === undefined) work()
    else this.#inbox.push(work)
  }

  stall(slot: number | 'all', millis: number): void {
    const until = this.#cluster.options.time.now + millis
    this.#stalledUntil.forEach((before, index) => {
      if (slot === 'all' || slot === index) this.#stalledUntil[index] = Math.max(before, until)
    })
  }

  freeze(millis: number): void {
    if (this.#inbox !== undefined) return
    this.#inbox = []
    this.stall('all', millis)
    this.#cluster.options.time.after(millis, () => {
      const inbox = this.#inbox ?? []
      this.#inbox = undefined
      for (const work of inbox) this.whenRunning(work)
    })
  }

  cut(ends: readonly ConnectionEnd[], millis: number): void {
    this.#connection?.cut(ends, millis)
  }

  connect(): void {
    this.whenRunning(() => {
      if (this.#connection !== undefined) return
      this.#connection = this.#cluster.connect(this)
      if (this.#connection !== undefined) this.taskManager.connected()
    })
  }

  received(connection: Connection, message: ToTaskManager): void {
    if (this.#connection === connection) this.taskManager.receive(message)
  }

  disconnected(connection: Connection): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.taskManager.disconnected()
    // It goes on trying, as the real one does.
    this.#cluster.options.time.after(50, () => this.connect())
  }

  kill(): void {
    this.#alive = false
    for (const slot of this.#slots) slot.kill()
    this.#connection?.close('TaskManager')
  }
}
