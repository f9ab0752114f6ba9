/**
 * Batching is invisible: random jobs over random streams give the same result at batch size 1, 2 and 512, fused or not,
 * handed over by reference or by bytes, at any parallelism, and equal the reference interpreter.
 */
import { expect, test } from 'vitest'
import { evaluateJob } from '../api/job.ts'
import { seededRandom } from '../core/random.ts'
import { defaultJobConfig, type ExchangeConfig } from '../graph/config.ts'
import { collectSink } from '../connectors/console.ts'
import { interpret } from './interpreter/interpreter.ts'
import { difference } from './multiset.ts'
import { prepareJob } from './prepare-job.ts'
import { runJob } from './run-job.ts'
import { randomJob } from './simulator/random-job.ts'

const jobs = Number(process.env.FLINK_TS_RANDOM_JOBS ?? 2000)
const firstSeed = Number(process.env.FLINK_TS_SEED ?? 1)

const exchanges: readonly Partial<ExchangeConfig>[] = [1, 2, 512].flatMap(batchSize =>
  [true, false].flatMap(fusion => (['reference', 'bytes'] as const).map(handover => ({ batchSize, fusion, handover }))),
)

/** Runs one random job and compares every sink with the interpreter's. */
async function check(seed: number, exchange: Partial<ExchangeConfig>, parallelism: number): Promise<void> {
  const random = randomJob(seed)
  const definition = prepareJob(evaluateJob(random.job), random.sources, () => collectSink())
  const expected = interpret(definition)
  const what = `seed ${seed}: ${JSON.stringify(exchange)}, parallelism ${parallelism}: ${random.description}`
  try {
    const result = await runJob(random.job, { sources: random.sources, parallelism, config: { exchange: { ...defaultJobConfig.exchange, ...exchange } } })
    for (const node of definition.transformations) {
      if (node.kind !== 'sink' || node.uid === undefined) continue
      expect(difference(result.sink(node.uid), expected.sinks.get(node.id) ?? []), `${what}: ${node.uid}`).toEqual({ missing: [], unexpected: [] })
    }
  } catch (error) {
    throw new Error(`${what}\nAgain with: FLINK_TS_SEED=${seed} FLINK_TS_RANDOM_JOBS=1 npx vitest run runtime/testing/invariance.test.ts`, { cause: error })
  }
}

test(`${jobs} random jobs from seed ${firstSeed} on, each at one random setting`, { timeout: 600_000 }, async () => {
  for (let seed = firstSeed; seed < firstSeed + jobs; seed++) {
    const random = seededRandom(seed).fork('setting')
    await check(seed, random.pick(exchanges), 1 + random.int(4))
  }
})

test.for([1, 3])('30 random jobs at every setting, parallelism %i', { timeout: 600_000 }, async parallelism => {
  for (let seed = firstSeed; seed < firstSeed + Math.min(30, jobs); seed++) {
    for (const exchange of exchanges) await check(seed, exchange, parallelism)
  }
})
