import { expect, test } from 'vitest'
import { collectSink } from '../connectors/console.ts'
import { job, noWatermarks, tumbling, valueState } from '../index.ts'
import { endOfInput, runThreeWays, testingSource, watermark } from './index.ts'

const never = () => {
  throw new Error('this source is replaced in tests')
}
const numbers = { kind: 'source' as const, name: 'numbers', bounded: false, createEnumerator: never, createReader: never }
const input = testingSource([1, 2, 3, 4, 5, 6, 7, 8, 9, endOfInput()])

const counting = job('count in state', env => {
  env
    .fromSource<number>(numbers)
    .keyBy(n => n % 2)
    .process({
      state: { seen: valueState<number>({ default: 0 }) },
      process(n, ctx, out) {
        ctx.state.seen.update(ctx.state.seen.value() + 1)
        out.collect([n, ctx.state.seen.value()])
      },
    })
    .sinkTo(collectSink())
    .uid('counts')
})

test('state survives the kill and the change of parallelism', async () => {
  const three = await runThreeWays(counting, { sources: { numbers: input } })
  expect(three).toBeConsistent()
  expect(three.ways.map(({ name, outputs }) => [name, outputs.get('counts')?.length])).toEqual([['straight', 9], ['killed', 9], ['rescaled', 9]])
})

test('a count that is not in state begins again, and that is found in both ways', async () => {
  const forgetful = job('count in a variable', env => {
    env.setParallelism(1)
    let seen = 0
    env.fromSource<number>(numbers).map(n => [n, ++seen]).sinkTo(collectSink()).uid('counts')
  })
  const three = await runThreeWays(forgetful, { sources: { numbers: input } })
  const difference = { output: 'counts', missing: [[6, 6], [7, 7], [8, 8], [9, 9]], unexpected: [[6, 1], [7, 2], [8, 3], [9, 4]] }
  expect(three.differences).toEqual([{ way: 'killed', ...difference }, { way: 'rescaled', ...difference }])
  expect(three).not.toBeConsistent()
  expect(() => expect(three).toBeConsistent()).toThrowError('killed: "counts" is not what it is in the straight run')
})

test('a source that stays open, and windows that are not complete', async () => {
  const windows = job('windows', env => {
    env
      .fromSource<number>(numbers, { timestamp: n => n, watermark: noWatermarks() })
      .keyBy(() => 'all')
      .window(tumbling(4))
      .process({ process: (all, ctx, out) => out.collect([ctx.window.start, ...all]) })
      .sinkTo(collectSink())
      .uid('windows')
  })
  const three = await runThreeWays(windows, { sources: { numbers: testingSource([1, 2, 3, watermark(3), 4, 5, watermark(7), 9]) } })
  expect(three).toBeConsistent()
  expect(three.ways[0]?.outputs.get('windows')).toEqual([[0, 1, 2, 3], [4, 4, 5]])
})

test('a job that throws', async () => {
  const fails = job('fails', env => void env.fromSource<number>(numbers).map((n): number => { throw new TypeError(`no ${n}`) }).sinkTo(collectSink()))
  await expect(runThreeWays(fails, { sources: { numbers: input } })).rejects.toThrowError(/no 1/)
})
