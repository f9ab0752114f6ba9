/** State that goes on at another parallelism: max parallelism is the snapshot's (Flink K5), and every key finds its state. */
import { expect, test } from 'vitest'
import { job } from '../index.ts'
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
