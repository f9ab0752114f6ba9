/**
 * One simulated life of a job: a seed decides which faults there are and when; afterwards every record must be in the
 * committed output exactly once. Everything that runs is the product: JobManager, TaskManagers, slots, file source, file
 * sink, snapshots on a disk in memory.
 *
 * `world.ts` draws what happens, `ledger-job.ts` is what runs, `ledger-checker.ts` says whether all is well.
 */
import { evaluateJob } from '../../api/job.ts'
import { FlinkError } from '../../core/errors.ts'
import { murmur128 } from '../../core/murmur.ts'
import { seededRandom, type Random } from '../../core/random.ts'
import { unreachable } from '../../core/assert.ts'
import { defaultJobConfig, type JobConfig } from '../../graph/config.ts'
import { translate } from '../../graph/translate.ts'
import { terminalJobStatuses, type JobStatus, type RuntimeEvent } from '../../metrics/event.ts'
import { MemoryFiles } from '../memory-files.ts'
import { LedgerChecker } from './ledger-checker.ts'
import { ledgerJob, projectDirectory, writeInput } from './ledger-job.ts'
import { noPlantedBugs, type PlantedBugs, type Told } from './planted-bugs.ts'
import { SimulatedCluster } from './simulated-cluster.ts'
import { VirtualTime } from './virtual-time.ts'
import { drawWorld, type Fault, type World } from './world.ts'

export interface Simulation {
  readonly seed: number
  /** Of everything that happened, in order: equal for equal seeds. */
  readonly traceHash: string
  /** What went wrong; empty if all is well. */
  readonly problems: readonly string[]
  /** What was drawn and what came of it, for a person to read. */
  readonly summary: string
}

const start = 1_000_000
/** How long a job may take once nothing disturbs it any more; its slowest restart included. */
const patience = 60_000

export function simulate(seed: number, bugs: PlantedBugs = noPlantedBugs): Simulation {
  const random = seededRandom(seed)
  const world = drawWorld(random.fork('world'))
  const life = new Life(world, random, bugs)
  life.run()
  return { seed, traceHash: life.traceHash, problems: life.problems, summary: `${world.description}; ${life.outcome}` }
}

class Life {
  readonly #world: World
  readonly #time = new VirtualTime(start)
  readonly #disk: MemoryFiles
  readonly #cluster: SimulatedCluster
  readonly #checker: LedgerChecker
  readonly #evaluate: (told?: Told) => ReturnType<typeof evaluateJob>
  #jobId = ''
  #status: JobStatus = 'INITIALIZING'
  #lives = 1
  #submissions = 0
  /** Where the present job was stopped to, and where it came from. */
  #stoppedAt: string | undefined
  #startedFrom: string | undefined
  #attempt = 0

  constructor(world: World, random: Random, bugs: PlantedBugs) {
    this.#world = world
    const time = this.#time
    this.#disk = new MemoryFiles({ now: () => time.now })
    this.#checker = new LedgerChecker(this.#disk, world.job)
    writeInput(this.#disk, world.job)
    this.#evaluate = told => evaluateJob(ledgerJob(world.job, bugs.commitOnlyNotified ? told : undefined))
    this.#cluster = new SimulatedCluster({
      taskManagers: world.taskManagers,
      slotsPerTaskManager: world.slotsPerTaskManager,
      projectDirectory,
      files: this.#disk,
      random: random.fork('cluster'),
      time,
      delays: world.delays(() => time.now >= start + world.faultsEnd),
      evaluate: (_path, _config, told) => this.#evaluate(told),
      heartbeat: world.heartbeat,
      bugs,
    })
    this.#cluster.journal.subscribe(event => {
      this.#checker.onEvent(event)
      if (event.kind === 'jobStatus' && event.jobId === this.#jobId) {
        this.#status = event.status
        this.#attempt = event.attempt
      }
      if (event.kind === 'checkpointCompleted' && event.checkpointKind === 'stop') this.#stoppedAt = event.path
    })
    this.#submit(undefined)
    const chance = random.fork('disk')
    for (const fault of world.faults) time.at(start + fault.at, () => this.#strike(fault, chance))
    time.at(start + world.faultsEnd, () => {
      this.#disk.failCall(undefined)
      this.#disk.capacity = Infinity
    })
  }

  get problems(): readonly string[] {
    return this.#checker.problems
  }

  get traceHash(): string {
    return murmur128(JSON.stringify(this.#events().map(({ sequence: _, ...event }) => (event.kind === 'jobSubmitted' ? event.name : event))))
  }

  get outcome(): string {
    const events = this.#events()
    const count = (kind: RuntimeEvent['kind']) => events.filter(event => event.kind === kind).length
    return `${count('checkpointCompleted')} checkpoints, ${count('checkpointFailed')} failed ones, ${count('jobRestored')} restores, ${this.#lives} lives, ${this.#time.steps} steps, ${this.#time.now - start} ms`
  }

  run(): void {
    const deadline = start + this.#world.faultsEnd + patience
    for (;;) {
      if (terminalJobStatuses.has(this.#status)) {
        if (this.#stoppedAt !== undefined) this.#submit(this.#stoppedAt)
        // A job that could not even be started is started again, by whoever did before.
        else if (this.#status === 'FAILED' && this.#attempt === 0) this.#submit(this.#startedFrom)
        else break
      }
      if (!this.#time.step(deadline)) {
        this.#checker.problem(`the job is ${this.#status} and does not end, ${patience} ms after the last fault: ${this.#lastError()}`)
        break
      }
    }
    if (terminalJobStatuses.has(this.#status) && this.#status !== 'FINISHED') this.#checker.problem(`the job ended as ${this.#status}: ${this.#lastError()}`)
    this.#checker.finish()
  }

  /** The first job, or the one that goes on from where the last was stopped. */
  #submit(savepointPath: string | undefined): void {
    const { parallelisms, job, checkpointTimeout, batchSize, credits, bufferTimeout, handover, stateMemory } = this.#world
    const jobManager = this.#cluster.jobManager
    if (jobManager === undefined) return
    const config: JobConfig = {
      ...defaultJobConfig,
      parallelism: parallelisms[savepointPath === undefined ? 0 : this.#lives % parallelisms.length] ?? 1,
      // As many keys' state moves between subtasks as there are key groups.
      maxParallelism: 128,
      state: stateMemory === undefined ? { ...defaultJobConfig.state, backend: 'hashmap' } : { backend: 'lmdb', memoryLimit: stateMemory },
      checkpointing: { ...defaultJobConfig.checkpointing, interval: job.checkpointInterval, timeout: checkpointTimeout, tolerableFailures: 1_000_000 },
      restart: { kind: 'exponential-delay', initial: 20, max: 2_000, multiplier: 1.5, jitter: 0.1, resetAfter: 3_600_000, attempts: undefined },
      exchange: { ...defaultJobConfig.exchange, batchSize, credits, bufferTimeout, handover },
    }
    const before = { jobId: this.#jobId, status: this.#status }
    // A job may be over before `submit` returns.
    const jobId = (this.#jobId = String(++this.#submissions).padStart(8, '0').padEnd(32, '0'))
    this.#status = 'INITIALIZING'
    this.#attempt = 0
    try {
      jobManager.submit({ jobId, jobGraph: translate(this.#evaluate(), config), bundlePath: `${projectDirectory}/job.mjs`, projectDirectory, ...(savepointPath !== undefined && { savepointPath }) })
    } catch (error) {
      // The disk fails: whoever submits tries again.
      if (!(error instanceof FlinkError)) throw error
      this.#jobId = before.jobId
      this.#status = before.status
      return
    }
    if (savepointPath !== this.#startedFrom) this.#lives++
    this.#startedFrom = savepointPath
    this.#stoppedAt = undefined
  }

  #strike(fault: Fault, chance: Random): void {
    const cluster = this.#cluster
    switch (fault.kind) {
      case 'killTaskManager':
        return cluster.killTaskManager(fault.index)
      case 'killJobManager':
        return cluster.killJobManager()
      case 'powerOff':
        return cluster.powerOff(() => this.#disk.crash(chance))
      case 'stall':
        return cluster.stall(fault.index, fault.slot, fault.millis)
      case 'freeze':
        return cluster.freezeTaskManager(fault.index, fault.millis)
      case 'cut':
        return cluster.cutTaskManager(fault.index, fault.ends, fault.millis)
      case 'storageError':
        return this.#disk.failCall(fault.call)
      case 'diskFull':
        this.#disk.capacity = this.#disk.usedBytes + fault.room
        return void this.#time.after(fault.millis, () => (this.#disk.capacity = Infinity))
      case 'savepoint':
      case 'rescale':
        if (cluster.jobManager?.job(this.#jobId)) cluster.jobManager.requestSnapshot(this.#jobId, fault.kind === 'savepoint' ? 'savepoint' : 'stop')
        return
      default:
        return unreachable(fault)
    }
  }

  #events(): RuntimeEvent[] {
    return this.#cluster.journal.read(0, Number.MAX_SAFE_INTEGER)
  }

  #lastError(): string {
    for (const event of this.#events().reverse()) if ((event.kind === 'jobStatus' || event.kind === 'log') && event.error !== undefined) return `${event.error.code} ${event.error.message}`
    return 'no error was told'
  }
}
