/**
 * A job in the embedded cluster for tests that look at more than its result: its checkpoints, metrics and restarts, at a
 * virtual time that the test moves. `runJob` is the short way for everybody else.
 */
import { evaluateJob, type Job, type JobArguments } from '../api/job.ts'
import { seededRandom } from '../core/random.ts'
import { defaultJobConfig, type JobConfig } from '../graph/config.ts'
import { translate } from '../graph/translate.ts'
import type { JobRunner } from '../job-manager/job-master/job-runner.ts'
import { terminalJobStatuses, type RuntimeEvent } from '../metrics/event.ts'
import { CommittedRecords } from './committed-records.ts'
import { MemoryFiles } from './memory-files.ts'
import { prepareJob } from './prepare-job.ts'
import { noDelays, SimulatedCluster } from './simulator/simulated-cluster.ts'
import { VirtualTime } from './simulator/virtual-time.ts'
import type { Hold, TestingSource } from './testing-source.ts'

type EventOf<K extends RuntimeEvent['kind']> = Extract<RuntimeEvent, { kind: K }>

export interface EmbeddedJobOptions {
  readonly parallelism: number
  readonly config?: Partial<JobConfig>
  readonly savepointPath?: string
  /** Disk and sinks of an earlier job, to go on from. */
  readonly after?: EmbeddedJob
  /** ms of virtual time that a turn of a slot takes; 0 unless told. */
  readonly turnTime?: number
  readonly taskManagers?: number
  readonly sources?: Readonly<Record<string, TestingSource<unknown>>>
  readonly args?: JobArguments
  readonly hold?: Hold
}

export class EmbeddedJob {
  readonly time = new VirtualTime(0)
  readonly files: MemoryFiles
  readonly cluster: SimulatedCluster
  readonly jobId: string
  readonly #events = new Map<RuntimeEvent['kind'], RuntimeEvent[]>()
  readonly #committed: CommittedRecords
  readonly #definition: ReturnType<typeof prepareJob>

  constructor(job: Job, options: EmbeddedJobOptions) {
    const { parallelism, after, savepointPath, turnTime = 0, taskManagers = 1, sources = {}, args = {}, hold } = options
    const committed = after === undefined ? new CommittedRecords() : after.#committed
    this.#committed = committed
    this.files = after?.files ?? new MemoryFiles()
    const config: JobConfig = { ...defaultJobConfig, state: { ...defaultJobConfig.state, backend: 'hashmap' }, ...options.config, parallelism }
    const evaluate = () => prepareJob(evaluateJob(job, args), sources, id => committed.sink(id), hold)
    this.#definition = evaluate()
    const jobGraph = translate(this.#definition, config)
    const slots = jobGraph.vertices.reduce((sum, vertex) => sum + vertex.parallelism, 0)
    this.cluster = new SimulatedCluster({
      taskManagers,
      slotsPerTaskManager: Math.ceil(slots / taskManagers),
      projectDirectory: '/project',
      files: this.files,
      random: seededRandom(1),
      time: this.time,
      delays: { ...noDelays, turn: () => turnTime },
      evaluate,
    })
    this.cluster.journal.subscribe(event => {
      const events = this.#events.get(event.kind)
      if (events === undefined) this.#events.set(event.kind, [event])
      else events.push(event)
    })
    this.jobId = this.cluster.submit({ jobGraph, bundlePath: '/project/job.mjs', projectDirectory: '/project', ...(savepointPath !== undefined && { savepointPath }) })
  }

  get runner(): JobRunner {
    const runner = this.cluster.jobManager?.job(this.jobId)
    if (runner === undefined) throw new Error('the JobManager does not know the job')
    return runner
  }

  /** All events of a kind so far. */
  all<K extends RuntimeEvent['kind']>(kind: K): readonly EventOf<K>[] {
    return (this.#events.get(kind) ?? []) as EventOf<K>[]
  }

  /** Lets the cluster work until something holds; fails when nothing is left to do, or after an hour of virtual time. */
  until(what: string, holds: () => boolean): void {
    const deadline = this.time.now + 3_600_000
    while (!holds()) if (!this.time.step(deadline)) throw new Error(`it never came to this: ${what}; the job is ${this.runner.status}, ${JSON.stringify(this.runner.error)}`)
  }

  /** Lets so much virtual time pass. */
  pass(millis: number): void {
    const until = this.time.now + millis
    this.time.at(until, () => {})
    while (this.time.step(until)) if (this.runner.over) return
  }

  /** Until the job is over; returns its last status. */
  finish(): JobRunner['status'] {
    this.until('the end of the job', () => terminalJobStatuses.has(this.runner.status))
    return this.runner.status
  }

  /** Stops the job with a savepoint and gives its path. */
  stop(): string {
    this.cluster.jobManager?.requestSnapshot(this.jobId, 'stop')
    this.finish()
    const path = this.all('checkpointCompleted').find(event => event.checkpointKind === 'stop')?.path
    if (path === undefined) throw new Error(`the job was not stopped with a savepoint: ${JSON.stringify(this.runner.error)}`)
    return path
  }

  sink(id: string): unknown[] {
    return this.#committed.ofSink(this.#definition, id)
  }

  /** Everything that was committed, by what it went to: sinks, and side outputs that something reads. */
  outputs(): Map<string, unknown[]> {
    return this.#committed.all(this.#definition)
  }
}
