/** Before an attempt starts, the snapshot is looked at; whatever its size, the JobManager goes on answering meanwhile. */
import { expect, test } from 'vitest'
import { job } from '../index.ts'
import { collectSink } from '../connectors/console.ts'
import { generatorSource } from '../connectors/datagen.ts'
import { defaultJobConfig } from '../graph/config.ts'
import { readAll } from '../state/snapshot/durable-file.ts'
import { EmbeddedJob } from './embedded-job.ts'

const megabyte = 'x'.repeat(1 << 20)
const hoarding = (records: number) =>
  job('hoarding', env => {
    env.enableCheckpointing('1 s')
    env
      .fromSource(generatorSource({ ratePerSecond: records, generate: index => index % records }))
      .keyBy(index => index)
      .map(index => ({ index, text: megabyte }))
      .keyBy('index')
      .reduce(a => a)
      .filter(() => false)
      .sinkTo(collectSink())
  })

function damage({ files }: EmbeddedJob, directory: string): string {
  const path = files.list(directory).filter(name => name.endsWith('.snapshot')).map(name => `${directory}/${name}`).sort((a, b) => (files.stat(b)?.size ?? 0) - (files.stat(a)?.size ?? 0))[0] as string
  const bytes = readAll(files, path)
  const at = bytes.length >> 1
  bytes[at] = (bytes[at] as number) ^ 1
  files.remove(path)
  const file = files.create(path)
  file.write(bytes)
  file.close()
  return path
}

test("a person's savepoint is verified in slices of some 32 MB before anything is deployed", () => {
  const first = new EmbeddedJob(hoarding(100), { parallelism: 1 })
  first.pass(2_500)
  const savepointPath = first.stop()
  const second = new EmbeddedJob(hoarding(100), { parallelism: 1, savepointPath, after: first })
  const slices: number[] = []
  while (second.runner.status === 'CREATED') {
    const before = second.files.bytesRead
    expect(second.time.step()).toBe(true)
    const read = Math.round((second.files.bytesRead - before) / megabyte.length)
    if (read > 0) slices.push(read)
  }
  expect(second.runner.status).toBe('RUNNING')
  expect(slices).toMatchInlineSnapshot(`
    [
      33,
      32,
      3,
    ]
  `)
  second.cluster.jobManager?.cancel(second.jobId)
  expect(second.finish()).toBe('CANCELED')
  // A job that is cancelled meanwhile does not go on with it.
  const third = new EmbeddedJob(hoarding(100), { parallelism: 1, savepointPath, after: first })
  third.until('a file is being read', () => third.files.openReaders > 0)
  third.cluster.jobManager?.cancel(third.jobId)
  expect(third.finish()).toBe('CANCELED')
  expect(third.files.openReaders).toBe(0)
  expect(third.all('taskStatus')).toEqual([])

  damage(first, savepointPath)
  const refused = new EmbeddedJob(hoarding(100), { parallelism: 1, savepointPath, after: first })
  expect(refused.finish()).toBe('FAILED')
  expect(refused.runner.error).toMatchObject({ code: 'SNAPSHOT_CORRUPT' })
  expect(refused.all('taskStatus')).toEqual([])
})

test.each([[1, 'FAILED'], [3, 'RUNNING']] as const)('after a failure, with %i checkpoints retained and the last one damaged, the job is %s', (retained, status) => {
  const config = { checkpointing: { ...defaultJobConfig.checkpointing, retained } }
  const run = new EmbeddedJob(hoarding(3), { parallelism: 1, config })
  run.until('some checkpoints', () => run.all('checkpointCompleted').length >= 3)
  const path = damage(run, run.all('checkpointCompleted').at(-1)?.path as string)
  run.cluster.killTaskManager(0)
  run.until('the end of the attempt', () => run.all('jobRestored').length > 0 || run.runner.over)
  expect(run.runner.status).toBe(status)
  if (status === 'FAILED') expect(run.runner.error).toMatchObject({ code: 'SNAPSHOT_CORRUPT', message: expect.stringContaining(path.split('/').at(-1) as string) })
  else expect(run.all('jobRestored').at(-1)?.checkpointId).toBe(run.all('checkpointCompleted').at(-2)?.checkpointId)
})

test('a disk that fails for a moment while a damaged checkpoint gives way to an older one costs the job nothing, whichever call it is', () => {
  const config = { checkpointing: { ...defaultJobConfig.checkpointing, retained: 3 } }
  let failed = 0
  for (let n = 1; n <= 60; n++) {
    const run = new EmbeddedJob(hoarding(1), { parallelism: 1, config })
    run.until('some checkpoints', () => run.all('checkpointCompleted').length >= 3)
    damage(run, run.all('checkpointCompleted').at(-1)?.path as string)
    // From here on: the search for a checkpoint to restart from follows the loss at once.
    run.files.failCall(n)
    run.cluster.killTaskManager(0)
    run.until('the job runs again, or is over', () => run.all('jobRestored').length > 0 || run.runner.over)
    expect(run.runner.status, `call ${n}: ${run.runner.error?.message}`).toBe('RUNNING')
    if (run.all('restartScheduled').some(({ cause }) => cause.code === 'STORAGE_FAILED')) failed++
  }
  expect(failed).toBeGreaterThan(5)
})
