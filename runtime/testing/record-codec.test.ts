/** `exchange.codec: record` is there for comparison, so it must give the same as the columnar one: random jobs against the interpreter. */
import { expect, test } from 'vitest'
import { evaluateJob } from '../api/job.ts'
import { collectSink } from '../connectors/console.ts'
import { defaultJobConfig } from '../graph/config.ts'
import { interpret } from './interpreter/interpreter.ts'
import { difference } from './multiset.ts'
import { prepareJob } from './prepare-job.ts'
import { runJob } from './run-job.ts'
import { randomJob } from './simulator/random-job.ts'

test.each([[1, 1], [2, 2], [2, 512], [3, 7]])('the record codec at parallelism %i and batch size %i', async (parallelism, batchSize) => {
  const config = { exchange: { ...defaultJobConfig.exchange, codec: 'record', handover: 'bytes', batchSize } } as const
  for (let seed = 5_001; seed <= 5_040; seed++) {
    const random = randomJob(seed)
    const definition = prepareJob(evaluateJob(random.job), random.sources, () => collectSink())
    const expected = interpret(definition)
    const result = await runJob(random.job, { sources: random.sources, parallelism, config })
    for (const node of definition.transformations) {
      if (node.kind !== 'sink' || node.uid === undefined) continue
      expect(difference(result.sink(node.uid), expected.sinks.get(node.id) ?? []), `seed ${seed}: ${node.uid}: ${random.description}`).toEqual({ missing: [], unexpected: [] })
    }
  }
})
