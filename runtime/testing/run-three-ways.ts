/**
 * Runs a job three times in the embedded cluster: straight through, with its TaskManager killed after a checkpoint, and
 * stopped with a savepoint and gone on at another parallelism. What was committed should be the same.
 *
 * Kill and stop come when the sources have played half of their steps and the job has worked all of that off.
 */
import type { Job, JobArguments } from '../api/job.ts'
import { errorFromData } from '../core/errors.ts'
import { terminalJobStatuses } from '../metrics/event.ts'
import { EmbeddedJob, type EmbeddedJobOptions } from './embedded-job.ts'
import { difference } from './multiset.ts'
import type { TestingSource } from './testing-source.ts'

export interface RunThreeWaysOptions {
  /** By name or uid of the source. Kill and restore mean something only to a job that has some. */
  // oxlint-disable-next-line no-explicit-any -- sources of any type stand in one record
  readonly sources: Readonly<Record<string, TestingSource<any>>>
  readonly args?: JobArguments
  /** Of the first two ways, and of the third up to its savepoint; 2 unless told. */
  readonly parallelism?: number
  /** After the savepoint; 3 unless told. */
  readonly restoredParallelism?: number
}

export interface Way {
  readonly name: 'straight' | 'killed' | 'rescaled'
  /** What was committed, by sink and by side output. */
  readonly outputs: ReadonlyMap<string, readonly unknown[]>
}

export interface ThreeWays {
  /** The straight one first. */
  readonly ways: readonly Way[]
  /** Where another way differs from the straight one, as multisets; empty if it nowhere does. */
  readonly differences: readonly WayDifference[]
}

export interface WayDifference {
  readonly way: Way['name']
  readonly output: string
  readonly missing: readonly unknown[]
  readonly unexpected: readonly unknown[]
}

/** Virtual ms in which a job works off whatever its sources have played. */
const whileToSettle = 10_000

/**
 * Runs a job straight, killed after a checkpoint, and rescaled from a savepoint, and compares what each committed. Throws
 * the job's own error if it fails.
 *
 * Watermarks are not state: after a restore, lateness is judged afresh, as in Flink. A record that comes right after the
 * middle of the steps and is late only by a watermark before it is late in the straight run alone.
 *
 * @example
 * await expect(runThreeWays(job, { sources: { orders } })).resolves.toBeConsistent()
 */
export async function runThreeWays(job: Job, options: RunThreeWaysOptions): Promise<ThreeWays> {
  const { sources, args = {}, parallelism = 2, restoredParallelism = 3 } = options
  const hold = { half: false }
  const start = (more: Partial<EmbeddedJobOptions>) => new EmbeddedJob(job, { parallelism, sources, args, hold, turnTime: 1, config: { checkpointing }, ...more })

  const straight = start({})
  finish(straight)

  hold.half = true
  const killed = start({})
  settle(killed)
  if (!killed.runner.over) {
    const before = killed.all('checkpointCompleted').length
    killed.cluster.jobManager?.requestSnapshot(killed.jobId, 'checkpoint')
    killed.until('a checkpoint', () => killed.all('checkpointCompleted').length > before || killed.runner.over)
    killed.cluster.killTaskManager(0)
  }
  hold.half = false
  finish(killed)

  hold.half = true
  const stopped = start({})
  settle(stopped)
  const savepointPath = stopped.runner.over ? undefined : stopped.stop()
  hold.half = false
  const rescaled = savepointPath === undefined ? stopped : start({ parallelism: restoredParallelism, savepointPath, after: stopped })
  finish(rescaled)

  const ways: Way[] = [
    { name: 'straight', outputs: straight.outputs() },
    { name: 'killed', outputs: killed.outputs() },
    { name: 'rescaled', outputs: rescaled.outputs() },
  ]
  return { ways, differences: ways.slice(1).flatMap(({ name, outputs }) => differencesOf(name, outputs, straight.outputs())) }
}

/** Checkpoints come when they are asked for; that there are any makes the job restart. */
const checkpointing = { interval: 3_600_000, timeout: 600_000, minPause: 0, tolerableFailures: 0, retained: 1, incremental: true, mode: 'exactly-once', onCancellation: 'retain' } as const

function settle(run: EmbeddedJob): void {
  run.until('that its tasks run', () => run.runner.status === 'RUNNING' || run.runner.over)
  run.pass(whileToSettle)
}

/** To its end; a job with an open source is stopped when it has worked off what there was. */
function finish(run: EmbeddedJob): void {
  settle(run)
  for (let more = 0; more < 10 && !run.runner.over && run.runner.graph.vertices.some(({ operators }) => operators.some(({ source }) => source)); more++) run.pass(whileToSettle)
  if (!terminalJobStatuses.has(run.runner.status)) run.stop()
  const { error } = run.runner
  if (error !== undefined) throw errorFromData(error)
}

function differencesOf(way: Way['name'], actual: ReadonlyMap<string, readonly unknown[]>, expected: ReadonlyMap<string, readonly unknown[]>): WayDifference[] {
  return [...expected].flatMap(([output, records]) => {
    const { missing, unexpected } = difference(actual.get(output) ?? [], records)
    return missing.length + unexpected.length === 0 ? [] : [{ way, output, missing, unexpected }]
  })
}
