/** Runs a whole job in a test: the classes of a real cluster in one thread, with virtual time, in a few milliseconds. */
import { evaluateJob, type Job, type JobArguments } from '../api/job.ts'
import { errorFromData, FlinkError } from '../core/errors.ts'
import { seededRandom } from '../core/random.ts'
import { defaultJobConfig, type JobConfig } from '../graph/config.ts'
import { translate } from '../graph/translate.ts'
import { terminalJobStatuses } from '../metrics/event.ts'
import { CommittedRecords } from './committed-records.ts'
import { MemoryFiles } from './memory-files.ts'
import { prepareJob } from './prepare-job.ts'
import { noDelays, SimulatedCluster } from './simulator/simulated-cluster.ts'
import { VirtualTime } from './simulator/virtual-time.ts'
import type { TestingSource } from './testing-source.ts'

export interface RunJobOptions {
  /** By name or uid of the source; every source of the job that is not named runs as it is. */
  // oxlint-disable-next-line no-explicit-any -- sources of any type stand in one record
  readonly sources?: Readonly<Record<string, TestingSource<any>>>
  /** Of operators that do not set their own; 1 unless told. */
  readonly parallelism?: number
  readonly args?: JobArguments
  /** Settings beneath those that the job makes in code. */
  readonly config?: Partial<JobConfig>
}

export interface JobResult {
  /** What was committed to a sink, found by its uid or name: in order per subtask, the subtasks one after the other. */
  sink(id: string): unknown[]
  /** What went to a side output of that tag, if anything reads it. */
  sideOutput(id: string): unknown[]
}

/**
 * Runs a job to its end, or, if a source stays open, until nothing moves any more. Every sink is replaced by one that keeps
 * what is committed. Throws the job's own error if it fails.
 *
 * @example
 * const result = await runJob(job, { sources: { orders: testingSource([order(1), endOfInput()]) } })
 * expect(result.sink('totals')).toEqual([{ customer: 'a', total: 1 }])
 */
export async function runJob(job: Job, options: RunJobOptions = {}): Promise<JobResult> {
  const committed = new CommittedRecords()
  const config: JobConfig = { ...defaultJobConfig, ...options.config, state: { ...defaultJobConfig.state, backend: 'hashmap', ...options.config?.state }, parallelism: options.parallelism ?? 1 }
  const evaluate = () => prepareJob(evaluateJob(job, options.args ?? {}), options.sources ?? {}, id => committed.sink(id))
  const definition = evaluate()
  const graph = translate(definition, config)

  const time = new VirtualTime(0)
  const slots = graph.vertices.reduce((sum, vertex) => sum + vertex.parallelism, 0)
  const cluster = new SimulatedCluster({
    taskManagers: 1,
    slotsPerTaskManager: slots,
    projectDirectory: '/project',
    files: new MemoryFiles(),
    random: seededRandom(1),
    time,
    delays: noDelays,
    evaluate,
  })
  const jobId = cluster.submit({ jobGraph: graph, bundlePath: '/project/job.mjs', projectDirectory: '/project' })
  let stopping = false
  let quietUntil = Infinity
  for (;;) {
    const status = cluster.jobManager?.job(jobId)?.status
    if (status !== undefined && terminalJobStatuses.has(status)) break
    // An open source leaves only timers and heartbeats; after a virtual minute of them, the job is asked to stop.
    if (status === 'RUNNING' && quietUntil === Infinity) quietUntil = time.now + 60_000
    if (!stopping && time.now >= quietUntil) {
      stopping = true
      cluster.jobManager?.requestSnapshot(jobId, 'stop')
    }
    if (!time.step()) throw new FlinkError('JOB_FAILED', 'the job stands still')
  }
  const ended = cluster.journal.read(0, Infinity).filter(event => event.kind === 'jobStatus').at(-1)
  if (ended?.kind === 'jobStatus' && ended.error !== undefined) throw errorFromData(ended.error)
  return { sink: id => committed.ofSink(definition, id), sideOutput: id => committed.ofSideOutput(definition, id) }
}
