/**
 * A sink that takes some 100 records a second from a source that could give any number: the source waits, what is under
 * way stays bounded, checkpoints complete (or expire when they may not take so long), and nothing is lost or restarted.
 */
import { expect, test } from 'vitest'
import { job } from '../index.ts'
import { collectSink } from '../connectors/console.ts'
import { generatorSource } from '../connectors/datagen.ts'
import { defaultJobConfig, type JobConfig } from '../graph/config.ts'
import { EmbeddedJob } from './embedded-job.ts'

const records = 6_000
/** Of the run under test; there is one at a time. */
const seen = { generated: 0, passed: 0 }
const slow = job('slow', env => {
  env
    .fromSource(generatorSource({ count: records, generate: index => (seen.generated++, index) }))
    .filter(() => ++seen.passed > 0)
    .slotSharingGroup('slow')
    .sinkTo(collectSink())
    .uid('out')
})

const exchange = { ...defaultJobConfig.exchange, batchSize: 10, credits: 2, bufferTimeout: 5 }
const config = (checkpointing: Partial<JobConfig['checkpointing']>): Partial<JobConfig> => ({ exchange, checkpointing: { ...defaultJobConfig.checkpointing, interval: 1_000, ...checkpointing } })

/** The process of the sink runs for a ms in each 200: two batches or so. */
function crawl(run: EmbeddedJob, millis: number, look: () => void): void {
  for (const end = run.time.now + millis; run.time.now < end; ) {
    run.cluster.stall(1, 'all', 200)
    run.pass(201)
    look()
  }
}

function start(checkpointing: Partial<JobConfig['checkpointing']>): EmbeddedJob {
  seen.generated = seen.passed = 0
  const run = new EmbeddedJob(slow, { parallelism: 1, taskManagers: 2, turnTime: 1, config: config(checkpointing) })
  expect(run.runner.graph.vertices.length).toBe(2)
  run.until('it runs', () => run.runner.history.tasks.every(task => task.status === 'RUNNING'))
  expect(run.runner.history.tasks.map(task => task.taskManager)).toEqual(['tm-1', 'tm-2'])
  return run
}

test('the source waits for the sink, and checkpoints go through what lies between them', () => {
  const run = start({})
  crawl(run, 5_000, () => {})
  const before = run.runner.rates.latest(0, 0)
  const passedBefore = seen.passed
  let mostUnderWay = 0
  crawl(run, 20_000, () => (mostUnderWay = Math.max(mostUnderWay, seen.generated - seen.passed)))
  const after = run.runner.rates.latest(0, 0)
  const rate = (seen.passed - passedBefore) / 20
  expect(rate).toBeGreaterThan(30)
  expect(rate).toBeLessThan(250)
  // One piece of work of the source (512 records), and what has credit: two batches.
  expect(mostUnderWay).toBeLessThanOrEqual(512 + exchange.credits * exchange.batchSize)
  expect((after?.backPressuredMs ?? 0) - (before?.backPressuredMs ?? 0)).toBeGreaterThan(18_000)
  expect(run.runner.rates.rates(0, 0).backPressured).toBeGreaterThan(0.9)
  // A barrier waits for what is under way before it, some five seconds of the sink's work.
  const durations = run.all('checkpointCompleted').map(event => event.durationMs)
  expect(durations.length).toBeGreaterThan(3)
  expect(Math.max(...durations)).toBeLessThan(10_000)
  expect(run.all('checkpointFailed')).toEqual([])
  expect(run.all('taskManagerLost')).toEqual([])
  expect(run.runner.attempt).toBe(1)
  // Once the sink is quick, all that is left comes, once each.
  expect(run.finish()).toBe('FINISHED')
  expect((run.sink('out') as number[]).sort((a, b) => a - b)).toEqual(Array.from({ length: records }, (_, index) => index))
})

test('a checkpoint that may not take so long expires, and the job goes on', () => {
  const run = start({ timeout: 150, tolerableFailures: 1_000 })
  crawl(run, 15_000, () => {})
  const failed = run.all('checkpointFailed')
  expect(failed.length).toBeGreaterThan(5)
  for (const { reason } of failed) expect(reason).toMatch(/expired|150 ms/)
  expect(run.all('taskManagerLost')).toEqual([])
  expect([run.runner.status, run.runner.attempt]).toEqual(['RUNNING', 1])
  const here = seen.passed
  crawl(run, 5_000, () => {})
  expect(seen.passed).toBeGreaterThan(here + 100)
  expect(run.finish()).toBe('FINISHED')
  expect((run.sink('out') as number[]).sort((a, b) => a - b)).toEqual(Array.from({ length: records }, (_, index) => index))
})
