/**
 * Batching is invisible: random jobs over random streams give the same result at batch size 1, 2 and 512, fused or not,
 * windows in one phase or two, handed over by reference or by bytes, at any parallelism, with any memory for state, and equal
 * the reference interpreter.
 */
import { describe, expect, test } from 'vitest'
import flights from '../../fixtures/jobs/flights.ts'
import fraud from '../../fixtures/jobs/fraud.ts'
import wordCount from '../../fixtures/jobs/word-count.ts'
import { evaluateJob, type Job } from '../api/job.ts'
import { seededRandom } from '../core/random.ts'
import { defaultJobConfig, type ExchangeConfig } from '../graph/config.ts'
import { collectSink } from '../connectors/console.ts'
import { keptSideOutput } from './committed-records.ts'
import { interpret } from './interpreter/interpreter.ts'
import { difference } from './multiset.ts'
import { prepareJob } from './prepare-job.ts'
import { runJob } from './run-job.ts'
import { randomJob } from './simulator/random-job.ts'
import { endOfInput, testingSource, watermark, type TestingSource } from './testing-source.ts'

const jobs = Number(process.env.FLINK_TS_RANDOM_JOBS ?? 2000)
const firstSeed = Number(process.env.FLINK_TS_SEED ?? 1)

const exchanges: readonly Partial<ExchangeConfig>[] = [1, 2, 512].flatMap(batchSize =>
  [true, false].flatMap(fusion =>
    (['reference', 'bytes'] as const).map((handover): Partial<ExchangeConfig> => ({ batchSize, fusion, handover, combining: (batchSize === 2) !== (fusion === (handover === 'bytes')) })),
  ),
)

/** Bytes in a slot; what does not fit goes to its disk. undefined: all there is. */
const stateMemories = [undefined, 1, 2_000]

/** Runs a job once and compares every sink with the interpreter's. */
async function compare(job: Job, sources: Readonly<Record<string, TestingSource<unknown>>>, exchange: Partial<ExchangeConfig>, memory: number | undefined, parallelism: number, what: string): Promise<void> {
  const definition = prepareJob(evaluateJob(job), sources, () => collectSink())
  const expected = interpret(definition)
  const state = memory === undefined ? {} : { state: { backend: 'lmdb', memoryLimit: memory } as const }
  const result = await runJob(job, { sources, parallelism, config: { exchange: { ...defaultJobConfig.exchange, ...exchange }, ...state } })
  for (const node of definition.transformations) {
    if (node.kind !== 'sink') continue
    const sideOutput = keptSideOutput(node)
    const actual = sideOutput === undefined ? result.sink(node.uid ?? node.name) : result.sideOutput(sideOutput.tag)
    expect(difference(actual, expected.sinks.get(node.id) ?? []), `${what}: ${node.uid ?? node.name}`).toEqual({ missing: [], unexpected: [] })
  }
}

async function check(seed: number, exchange: Partial<ExchangeConfig>, memory: number | undefined, parallelism: number): Promise<void> {
  const random = randomJob(seed)
  try {
    await compare(random.job, random.sources, exchange, memory, parallelism, 'the result')
  } catch (error) {
    const what = `seed ${seed}: ${JSON.stringify(exchange)}, memory ${memory}, parallelism ${parallelism}: ${random.description}`
    throw new Error(`${what}\nAgain with: FLINK_TS_SEED=${seed} FLINK_TS_RANDOM_JOBS=1 npx vitest run runtime/testing/invariance.test.ts`, { cause: error })
  }
}

test(`${jobs} random jobs from seed ${firstSeed} on, each at one random setting`, { timeout: 600_000 }, async () => {
  for (let seed = firstSeed; seed < firstSeed + jobs; seed++) {
    const random = seededRandom(seed).fork('setting')
    await check(seed, random.pick(exchanges), random.pick(stateMemories), 1 + random.int(4))
  }
})

test.for([1, 3])('30 random jobs at every setting, parallelism %i', { timeout: 600_000 }, async parallelism => {
  for (let seed = firstSeed; seed < firstSeed + Math.min(30, jobs); seed++) {
    for (const [i, exchange] of exchanges.entries()) await check(seed, exchange, stateMemories[(seed + i) % stateMemories.length], parallelism)
  }
})

/** It is there for comparison, so it must give the same as the columnar one. */
test.for([[1, 1], [2, 2], [2, 512], [3, 7]] as const)('40 random jobs with the record codec, parallelism %i, batch size %i', async ([parallelism, batchSize]) => {
  for (let seed = 5_001; seed <= 5_040; seed++) await check(seed, { codec: 'record', handover: 'bytes', batchSize }, stateMemories[seed % stateMemories.length], parallelism)
})

const flight = (origin: string, minute: number, delay: number) => ({ origin, date: minute * 60_000, delay, distance: 100, destination: 'JFK' })

describe('the jobs of the fixtures at every setting', () => {
  test.for<[string, Job, Record<string, TestingSource<unknown>>, readonly number[]]>([
    ['word count', wordCount, {}, [1, 2, 3]],
    // With more, its records are spread before they are keyed, and the large amount may come before the small one.
    ['fraud', fraud, {}, [1]],
    [
      'flights',
      flights,
      {
        flights: testingSource([
          ...Array.from({ length: 40 }, (_, i) => flight(i % 3 === 0 ? 'ATL' : 'ORD', 7 * i, i % 11)),
          watermark(130 * 60_000),
          flight('ATL', 118, 40),
          flight('ORD', 20, 50),
          watermark(131 * 60_000),
          flight('ATL', 119, 60),
          flight('ATL', 121, 70),
          endOfInput(),
        ]),
      },
      [1, 2, 3],
    ],
  ])('%s', async ([name, job, sources, parallelisms]) => {
    for (const parallelism of parallelisms) for (const exchange of exchanges) {
      for (const memory of stateMemories) await compare(job, sources, exchange, memory, parallelism, `${name}, ${JSON.stringify(exchange)}, memory ${memory}, parallelism ${parallelism}`)
    }
  })
})
