/** What a job that is over has counted: the last report of each task is whole, however short the job was. */
import { describe, expect, test } from 'vitest'
import { job } from '../index.ts'
import { collectSink } from '../connectors/console.ts'
import { generatorSource } from '../connectors/datagen.ts'
import { EmbeddedJob } from './embedded-job.ts'

const counting = (count: number, ratePerSecond?: number, boom = Infinity) =>
  job('counting', env => {
    env
      .fromSource(generatorSource({ count, ...(ratePerSecond !== undefined && { ratePerSecond }), generate: index => index }))
      .keyBy(index => index % 7)
      .process({
        process: (value, _ctx, out) => {
          if (value === boom) throw new Error('boom')
          if (value % 2 === 0) out.collect(value)
        },
      })
      .sinkTo(collectSink())
      .uid('out')
  })

/** Records in and out by vertex, over its subtasks, as REST and the command line sum them. */
function counts(run: EmbeddedJob): { in: number; out: number }[] {
  const { runner } = run
  return runner.graph.vertices.map((vertex, v) => {
    const metrics = Array.from({ length: vertex.parallelism }, (_, subtask) => runner.rates.latest(v, subtask))
    return { in: metrics.reduce((sum, each) => sum + (each?.recordsIn ?? 0), 0), out: metrics.reduce((sum, each) => sum + (each?.recordsOut ?? 0), 0) }
  })
}

describe('when a job is over, its counts are exact', () => {
  test.each([
    ['in the ms in which it began', 100_000, undefined, 0],
    ['within its first second', 700, 1_000, 0],
    ['between two reports', 5_300, 1_000, 3],
    ['with one record', 1, undefined, 0],
  ])('%s', (_when, count, rate, turnTime) => {
    for (const parallelism of [1, 3]) {
      const run = new EmbeddedJob(counting(count, rate), { parallelism, turnTime })
      expect(run.finish()).toBe('FINISHED')
      const [source, process] = counts(run)
      expect(source).toEqual({ in: count, out: count })
      expect(process).toMatchObject({ in: count })
    }
  })

  test('also what was read before it failed, or was cancelled', () => {
    const failing = new EmbeddedJob(counting(1_000, 1_000, 500), { parallelism: 1 })
    expect(failing.finish()).toBe('FAILED')
    // The batch with the record that failed was read; nothing behind it was.
    expect(counts(failing)[0]?.out).toBeGreaterThan(500)
    const cancelled = new EmbeddedJob(counting(10_000, 1_000), { parallelism: 2 })
    cancelled.until('it runs', () => cancelled.runner.status === 'RUNNING')
    cancelled.pass(1_900)
    const before = counts(cancelled)[0]?.out as number
    cancelled.cluster.jobManager?.cancel(cancelled.jobId)
    expect(cancelled.finish()).toBe('CANCELED')
    expect(before).toBeLessThan(1_500)
    expect(counts(cancelled)[0]?.out).toBeGreaterThan(1_800)
  })
})
