/** Checkpoints of what has changed, through a whole job: what they take, and that nothing is missing when they are restored. */
import { expect, test } from 'vitest'
import { job } from '../index.ts'
import { collectSink } from '../connectors/console.ts'
import { generatorSource } from '../connectors/datagen.ts'
import { defaultJobConfig } from '../graph/config.ts'
import { SnapshotFileReader } from '../state/snapshot/snapshot-file.ts'
import { readSnapshot } from '../state/snapshot/manifest.ts'
import { EmbeddedJob } from './embedded-job.ts'

const keys = 30_000
const hot = 50
/** First all keys, then for a while a few of them, then all once more: so every count is seen that was restored. */
const keyOf = (index: number) => (index < keys ? index : index < 2 * keys ? index % hot : index - 2 * keys)

const counting = job('counting', env => {
  env.enableCheckpointing('100 ms')
  env
    .fromSource(generatorSource({ count: 3 * keys, ratePerSecond: 50_000, generate: index => ({ key: `k${keyOf(index)}`, count: 1 }) }))
    .setParallelism(1)
    .keyBy('key')
    .reduce((a, b) => ({ key: a.key, count: a.count + b.count }))
    .uid('counts')
    .sinkTo(collectSink())
    .uid('out')
})

const isHot = (key: string) => Number(key.slice(1)) < hot
const expected = new Map(Array.from({ length: keys }, (_, key) => [`k${key}`, isHot(`k${key}`) ? 2 + keys / hot : 2]))

/** The highest count of each key; what the jobs before have committed is in the sink too. */
function counts(run: EmbeddedJob): Map<string, number> {
  const highest = new Map<string, number>()
  for (const { key, count } of run.sink('out') as { key: string; count: number }[]) highest.set(key, Math.max(count, highest.get(key) ?? 0))
  return highest
}

/** Of each subtask: bytes of counts in the file of the snapshot itself, and how many others it goes on from. */
function countsIn(run: EmbeddedJob, path: string): { readonly bytes: number; readonly earlier: number }[] {
  const operator = readSnapshot(run.files, path, true).operators.find(({ uid }) => uid === 'counts')
  return (operator?.subtasks ?? []).flatMap(subtask => {
    if (subtask.kind !== 'file') return []
    const { name, bytes, sha256, earlier = [] } = subtask
    const reader = new SnapshotFileReader(run.files, { path: `${path}/${name}`, bytes, sha256 })
    reader.close()
    const counts = reader.index.filter(({ operatorId }) => operatorId === operator?.id)
    return { bytes: counts.reduce((sum, { length }) => sum + length, 0), earlier: earlier.length }
  })
}

function stoppedWhileFewChange(incremental: boolean) {
  const run = new EmbeddedJob(counting, { parallelism: 2, config: { checkpointing: { ...defaultJobConfig.checkpointing, incremental, onCancellation: 'retain' } } })
  run.pass(1_050)
  return { run, path: run.all('checkpointCompleted').at(-1)?.path as string }
}

function wholeCheckpoint(): [EmbeddedJob, string] {
  const { run, path } = stoppedWhileFewChange(false)
  return [run, path]
}

test('a checkpoint while few keys change is small, and restores everything at another parallelism', () => {
  const { run, path } = stoppedWhileFewChange(true)
  const all = countsIn(...wholeCheckpoint())
  countsIn(run, path).forEach(({ bytes, earlier }, subtask) => {
    expect(bytes).toBeLessThan((all[subtask]?.bytes ?? 0) / 100)
    expect(earlier).toBeGreaterThan(0)
  })
  run.runner.cancel()
  run.pass(100)
  const second = new EmbeddedJob(counting, { parallelism: 3, savepointPath: path, after: run })
  expect(second.finish()).toBe('FINISHED')
  expect(counts(second)).toEqual(expected)
})

test('a savepoint in between has everything in its own directory', () => {
  const { run } = stoppedWhileFewChange(true)
  const savepointPath = run.stop()
  expect(countsIn(run, savepointPath).map(({ earlier }) => earlier)).toEqual([0, 0])
  const second = new EmbeddedJob(counting, { parallelism: 1, savepointPath, after: run })
  expect(second.finish()).toBe('FINISHED')
  expect(counts(second)).toEqual(expected)
})

test('execution.checkpointing.incremental: false writes everything each time', () => {
  expect(countsIn(...wholeCheckpoint()).map(({ earlier }) => earlier)).toEqual([0, 0])
})
