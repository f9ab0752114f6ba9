/**
 * A cluster in one thread: the real JobManager, TaskManagers and slots, with virtual time, a network that only delays, and
 * one disk. Without delays and faults it is the embedded cluster behind `runJob`; with seeded ones it is the simulator.
 *
 * A killed process loses everything but the disk. Connections are first in, first out, like the sockets they stand for.
 */
import type { FileSystem } from '../../core/files.ts'
import type { Fence } from '../../core/ids.ts'
import type { Random } from '../../core/random.ts'
import { packMessage, unpackMessage } from '../../codec/control.ts'
import { translate } from '../../graph/translate.ts'
import type { JobConfig } from '../../graph/config.ts'
import type { JobDefinition } from '../../graph/transformation.ts'
import { EmbeddedCoordinatorHost } from '../../job-manager/coordinators/embedded-coordinator-host.ts'
import { JobManager, jobManagerDefaults, type JobSubmission } from '../../job-manager/job-manager.ts'
import { SnapshotDirectory } from '../../job-manager/checkpoint/snapshot-directory.ts'
import { EventJournal } from '../../metrics/journal.ts'
import type { FromTaskManager } from '../../protocol/job-master.ts'
import type { ToTaskManager } from '../../protocol/task-executor.ts'
import { DirectSnapshotFiles } from '../../task-manager/direct-snapshot-files.ts'
import { TaskManager } from '../../task-manager/task-manager.ts'
import { DataNetwork } from './data-network.ts'
import type { PlantedBugs } from './planted-bugs.ts'
import { SimulatedSlot, type Told } from './simulated-slot.ts'
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
  /** Planted on purpose, to prove that they are found. */
  readonly bugs?: PlantedBugs
}

/** ms of virtual time, drawn for each message, turn and start of a process. */
export interface Delays {
  control(): number
  /** How much slower than the others the control connection of a TaskManager is; drawn once for each. */
  controlFactor(): number
  data(): number
  turn(): number
  restart(): number
}
export const noDelays: Delays = { control: () => 0, controlFactor: () => 1, data: () => 0, turn: () => 0, restart: () => 0 }

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
    this.#network = new DataNetwork(options.time, () => options.delays.data(), options.bugs?.noFencing ?? false)
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

  /** `kill -9`; another TaskManager takes its place after a while, as the supervisor of a local cluster sees to. */
  killTaskManager(index: number): void {
    const process = this.#taskManagers[index]
    if (process === undefined) return
    this.#taskManagers[index] = undefined
    process.kill()
    this.options.time.after(this.options.delays.restart(), () => this.#startTaskManager(index))
  }

  /** The slots of a TaskManager do nothing for a while: user code blocks, or the machine is busy. Its main thread goes on. */
  stallTaskManager(index: number, millis: number): void {
    this.#taskManagers[index]?.stall(millis)
  }

  /** `kill -9` of the JobManager; it comes back with the next epoch. */
  killJobManager(): void {
    const process = this.#jobManager
    if (process === undefined) return
    this.#jobManager = undefined
    process.kill()
    this.options.time.after(this.options.delays.restart(), () => {
      this.#startJobManager()
      for (const taskManager of this.#taskManagers) taskManager?.connect()
    })
  }

  /** Opens a connection if the JobManager is there. */
  connect(taskManager: TaskManagerProcess): Connection | undefined {
    if (this.#jobManager === undefined) return undefined
    const connection = new Connection(this.options, this.#nextConnection++, this.#jobManager, taskManager)
    this.#jobManager.connections.set(connection.number, connection)
    return connection
  }

  #startJobManager(): void {
    this.#jobManager = new JobManagerProcess(this.options, this.journal)
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
  readonly connections = new Map<number, Connection>()
  #alive = true
  #cancelWake: () => void = () => {}

  constructor({ time, files: disk, random, projectDirectory, evaluate, delays, bugs }: ClusterOptions, journal: EventJournal) {
    const files = bugs?.notifyBeforeDurable ? lateRenames(disk, action => time.after(5 + delays.restart(), () => this.#alive && action())) : disk
    const host = new EmbeddedCoordinatorHost(files, start => {
      const definition = evaluate(start.bundlePath, start.config)
      return { definition, graph: translate(definition, start.config) }
    })
    this.jobManager = new JobManager(
      { ...jobManagerDefaults, clusterId, token, projectDirectory, epoch: 1 },
      {
        now: () => time.now,
        random: () => random.next(),
        files,
        snapshots: new SnapshotDirectory(files),
        coordinatorHost: host,
        journal,
        send: (connection, message) => this.connections.get(connection)?.toTaskManager(message),
        close: connection => this.connections.get(connection)?.close(),
        wakeAt: at => {
          this.#cancelWake()
          if (at !== Infinity && this.#alive) {
            this.#cancelWake = time.at(at, () => {
              if (this.#alive) this.jobManager.tick()
            })
          }
        },
        shutdown: () => this.kill(),
      },
    )
    this.jobManager.start()
  }

  get alive(): boolean {
    return this.#alive
  }

  kill(): void {
    this.#alive = false
    this.#cancelWake()
    for (const connection of [...this.connections.values()]) connection.close()
  }
}

class TaskManagerProcess {
  readonly #cluster: SimulatedCluster
  readonly taskManager: TaskManager
  readonly #slots: readonly SimulatedSlot[]
  #stalledUntil = 0
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
      turnTime: () => delays.turn(),
      stalledUntil: () => this.#stalledUntil,
      evaluate: (deployment: { bundlePath: string; config: JobConfig }, told: Told) => evaluate(deployment.bundlePath, deployment.config, told),
      faults: { noAlignment: bugs?.noAlignment ?? false, noSupersede: bugs?.noSupersede ?? false },
      snapshotByReference: bugs?.snapshotByReference ?? false,
    }
    const slotSockets = Array.from({ length: slotsPerTaskManager }, (_, index) => `${id}/${index}`)
    this.#slots = slotSockets.map(socket => new SimulatedSlot(world, socket))
    this.taskManager = new TaskManager(
      { clusterId, token, id, pid: 0, slotSockets, cancelGraceMs: 10_000 },
      {
        now: () => time.now,
        after: (delay, run) =>
          time.after(delay, () => {
            if (this.#alive) run()
          }),
        send: (message, flushed) => {
          this.#connection?.toJobManager(message)
          if (flushed !== undefined) time.after(0, flushed)
        },
        dropConnection: () => this.#connection?.close(),
        rssBytes: () => 0,
        slots: this.#slots,
        snapshots: new DirectSnapshotFiles(files),
        die: exit,
        exit,
      },
    )
  }

  get alive(): boolean {
    return this.#alive
  }

  stall(millis: number): void {
    this.#stalledUntil = this.#cluster.options.time.now + millis
  }

  connect(): void {
    if (!this.#alive || this.#connection !== undefined) return
    this.#connection = this.#cluster.connect(this)
    if (this.#connection !== undefined) this.taskManager.connected()
  }

  disconnected(): void {
    if (!this.#alive || this.#connection === undefined) return
    this.#connection = undefined
    this.taskManager.disconnected()
    // It goes on trying, as the real one does.
    this.#cluster.options.time.after(50, () => this.connect())
  }

  kill(): void {
    this.#alive = false
    for (const slot of this.#slots) slot.kill()
    this.#connection?.close()
  }
}

/** Messages arrive in order and packed, as through a socket; after `close` nothing that was not there yet arrives. */
class Connection {
  readonly number: number
  readonly #options: ClusterOptions
  readonly #jobManager: JobManagerProcess
  readonly #taskManager: TaskManagerProcess
  #closed = false
  readonly #factor: number
  #lastToJobManager = 0
  #lastToTaskManager = 0
  /** Of what the TaskManager was told to run last. */
  #deployed: Fence | undefined

  constructor(options: ClusterOptions, number: number, jobManager: JobManagerProcess, taskManager: TaskManagerProcess) {
    this.#options = options
    this.number = number
    this.#factor = options.delays.controlFactor()
    this.#jobManager = jobManager
    this.#taskManager = taskManager
  }

  toJobManager(message: FromTaskManager): void {
    if (this.#closed) return
    const bytes = packMessage(message)
    this.#lastToJobManager = this.#plan(this.#lastToJobManager, () => {
      const { alive, jobManager } = this.#jobManager
      if (alive) jobManager.onMessage(this.number, this.#believed(unpackMessage(bytes) as FromTaskManager, jobId => ({ epoch: jobManager.epoch, attempt: jobManager.job(jobId)?.attempt ?? 0 })))
    })
  }

  toTaskManager(message: ToTaskManager): void {
    if (this.#closed) return
    const bytes = packMessage(message)
    this.#lastToTaskManager = this.#plan(this.#lastToTaskManager, () => {
      if (!this.#taskManager.alive || this.#closed) return
      const received = unpackMessage(bytes) as ToTaskManager
      if (received.kind === 'deploy') this.#deployed = received.deployment.fence
      this.#taskManager.taskManager.receive(this.#believed(received, () => this.#deployed))
    })
  }

  /** Planted bug: the message passes for one of the present attempt. */
  #believed<M extends FromTaskManager | ToTaskManager>(message: M, present: (jobId: string) => Fence | undefined): M {
    if (!this.#options.bugs?.noFencing || !('fence' in message) || message.jobId === undefined) return message
    return { ...message, fence: present(message.jobId) ?? message.fence }
  }

  /** What was sent before still arrives; then both ends learn of it, unless they are gone. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#plan(this.#lastToJobManager, () => {
      this.#jobManager.connections.delete(this.number)
      if (this.#jobManager.alive) this.#jobManager.jobManager.onClosed(this.number)
    })
    this.#plan(this.#lastToTaskManager, () => this.#taskManager.disconnected())
  }

  #plan(last: number, action: () => void): number {
    const { time, delays } = this.#options
    const at = Math.max(time.now + delays.control() * this.#factor, last)
    time.at(at, action)
    return at
  }
}

/** Planted bug: what a JobManager goes on from gets its name some time after it believes so, and not at all if it is killed before. */
function lateRenames(files: FileSystem, later: (action: () => void) => void): FileSystem {
  return {
    stat: path => files.stat(path),
    list: directory => files.list(directory),
    openRead: path => files.openRead(path),
    create: path => files.create(path),
    rename(from, to) {
      if (!/_metadata|progress/.test(to)) return files.rename(from, to)
      later(() => {
        if (files.stat(from) !== undefined) files.rename(from, to)
      })
    },
    remove: path => files.remove(path),
    makeDirectory: path => files.makeDirectory(path),
    syncDirectory: path => files.syncDirectory(path),
  }
}
