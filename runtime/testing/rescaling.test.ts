/** State that goes on at another parallelism: max parallelism is the snapshot's (Flink K5), and every key finds its state. */
import { expect, test } from 'vitest'
import { job, monotonousTimestamps } from '../index.ts'
import { collectSink } from '../connectors/console.ts'
import { generatorSource } from '../connectors/datagen.ts'
import { defaultJobConfig } from '../graph/config.ts'
import { readSnapshot } from '../state/snapshot/manifest.ts'
import { EmbeddedJob } from './embedded-job.ts'
import { difference } from './multiset.ts'

const records = 2_000
const keys = 97

const counting = job('counting', env => {
  env.enableCheckpointing('500 ms')
  env
    .fromSource(generatorSource({ count: records, ratePerSecond: 1_000, generate: index => ({ key: `k${index % keys}`, count: 1 }) }))
    .keyBy('key')
    .reduce((a, b) => ({ key: a.key, count: a.count + b.count }))
    .uid('counts')
    .sinkTo(collectSink())
    .uid('out')
})

// 10,000 channels are flushed seldom.
const config = { exchange: { ...defaultJobConfig.exchange, bufferTimeout: 200 } }

/** A running count shows every loss: each key's counts are 1, 2, 3, ... to its number of records. */
const expected = Array.from({ length: records }, (_, index) => ({ key: `k${index % keys}`, count: Math.floor(index / keys) + 1 }))

const countsIn = (run: EmbeddedJob, path: string) => readSnapshot(run.files, path, true).operators.find(operator => operator.uid === 'counts')

test.each([
  { saved: 4, max: 128, restored: 100 },
  // 100 subtasks would have 256 key groups by themselves, and 4 would have 128.
  { saved: 100, max: 256, restored: 4 },
])('a savepoint at parallelism $saved restored at $restored keeps max parallelism $max and is exact', ({ saved, max, restored }) => {
  const first = new EmbeddedJob(counting, { parallelism: saved, config })
  first.pass(1_200)
  const savepointPath = first.stop()
  expect(countsIn(first, savepointPath)).toMatchObject({ parallelism: saved, maxParallelism: max })

  const second = new EmbeddedJob(counting, { parallelism: restored, savepointPath, after: first, config })
  second.until('a checkpoint', () => second.all('checkpointCompleted').length > 0)
  expect(countsIn(second, second.all('checkpointCompleted')[0]?.path as string)).toMatchObject({ parallelism: restored, maxParallelism: max })
  const vertex = second.runner.graph.vertices.findIndex(({ operators }) => operators.some(({ uid }) => uid === 'counts'))
  expect(second.runner.maxParallelismOf(vertex)).toBe(max)
  expect(second.finish()).toBe('FINISHED')
  expect(difference(second.sink('out'), expected)).toEqual({ missing: [], unexpected: [] })
})

/** Each key sets one timer and keeps nothing else: all that a savepoint has of the operator is its timers. */
const reminding = job('reminding', env => {
  env.enableCheckpointing('500 ms')
  env
    .fromSource(generatorSource({ count: 2_000, ratePerSecond: 1_000, generate: index => index }), { timestamp: index => index, watermark: monotonousTimestamps() })
    .keyBy(index => `k${index % 500}`)
    .process<string>({
      process(index, ctx) {
        // Set twice for the first keys, at one time: a timer is there once.
        if (index < 600) ctx.timers.registerEventTimeTimer(100_000 + (index % 500))
      },
      onTimer: (timestamp, ctx, out) => out.collect(`${ctx.key}@${timestamp}`),
    })
    .uid('counts')
    .sinkTo(collectSink())
    .uid('out')
})

test.each([[2, 5], [5, 2], [3, 90]])('timers alone, without declared state, go with their keys from parallelism %i to %i', (saved, restored) => {
  const first = new EmbeddedJob(reminding, { parallelism: saved, config })
  // Most timers are set before the savepoint, the others after it.
  first.pass(1_100)
  const savepointPath = first.stop()
  expect(first.sink('out')).toEqual([])
  const states = countsIn(first, savepointPath)?.states
  expect(states).toEqual([{ name: '_timers/event', kind: 'keyed' }])

  const second = new EmbeddedJob(reminding, { parallelism: restored, savepointPath, after: first, config })
  expect(second.finish()).toBe('FINISHED')
  const all = Array.from({ length: 500 }, (_, key) => `k${key}@${100_000 + key}`)
  expect(difference(second.sink('out'), all)).toEqual({ missing: [], unexpected: [] })
})
