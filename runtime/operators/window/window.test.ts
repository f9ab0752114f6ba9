/** Tumbling windows of event time, row by row of flink.md 2.1. A record is `[key, n]` at a timestamp; results show their window. */
import { expect, test } from 'vitest'
import type { KeySelector } from '../../api/functions.ts'
import type { WindowFunctionSpec } from '../../graph/transformation.ts'
import { PagedState } from '../../state/memory/paged-state.ts'
import { ChainHarness, fieldKey, type HarnessOptions, type Step } from '../chain-harness.ts'

const openState: HarnessOptions['openState'] = (keyGroups, maxParallelism) => new PagedState({ keyGroups, maxParallelism, memoryLimit: 1 << 30, store: undefined, clock: () => 0 })
const ways = [1, 2, 512].flatMap(batchSize => [true, false].map(fusion => ({ batchSize, fusion })))

const result: WindowFunctionSpec['result'] = {
  process(elements, { key, window }, out) {
    out.collect(`[${window.start},${window.end}) ${String(key)}=${[...elements].map(e => (Array.isArray(e) ? e[1] : e)).join('+')}`)
  },
}
const list: WindowFunctionSpec = { kind: 'process', result }
const sum: WindowFunctionSpec = { kind: 'reduce', reduce: (a, b) => [(a as [string, number])[0], (a as [string, number])[1] + (b as [string, number])[1]], result }
const inPlace: WindowFunctionSpec = {
  kind: 'aggregate',
  aggregate: {
    createAccumulator: () => ({ n: 0 }),
    add(value, acc) {
      ;(acc as { n: number }).n += (value as [string, number])[1]
      return acc
    },
    getResult: acc => (acc as { n: number }).n,
  },
  result,
}
const win = (fn: WindowFunctionSpec, more: Partial<{ size: number; offset: number; allowedLateness: number; lateTag: string; key: KeySelector }> = {}): Step => {
  const { size = 10, offset = 0, allowedLateness = 0, lateTag, key = { description: '0', select: v => (v as unknown[])[0] } } = more
  return { kind: 'window', key, assigner: { kind: 'tumbling', size, offset }, allowedLateness, fn, ...(lateTag === undefined ? {} : { lateTag }) }
}
const el = (key: string, n: number, timestamp: number) => [[key, n], timestamp] as const
const harness = (steps: Step[], options: Partial<HarnessOptions> = {}) => new ChainHarness({ steps, openState, ...options })

test.for(ways.flatMap(exchange => [{ ...exchange, fn: sum, kind: 'reduce' }, { ...exchange, fn: inPlace, kind: 'aggregate' }]))(
  'W1 W2 T10 a window fires at the watermark end - 1, not before, with the timestamp end - 1, and before that watermark: $kind, $batchSize, fused $fusion',
  ({ fn, batchSize, fusion }) => {
    const h = harness([win(fn)], { exchange: { batchSize, fusion } })
    h.records(el('a', 1, 0), el('a', 2, 9), el('b', 5, 3), el('a', 4, 10)).watermark(8)
    expect(h.take()).toEqual(['wm 8'])
    h.watermark(9)
    expect(h.take().sort()).toEqual(['[0,10) a=3@9', '[0,10) b=5@9', 'wm 9'])
    h.end()
    expect(h.take()).toEqual(['[10,20) a=4@19', 'wm Infinity'])
  },
)

test('a process function gets all elements in their order, and sees the new watermark', () => {
  const seen: number[] = []
  const h = harness([win({ kind: 'process', result: { process: (elements, ctx, out) => { seen.push(ctx.currentWatermark()); result.process(elements, ctx, out) } } })])
  h.records(el('a', 3, 5), el('a', 1, 2), el('a', 2, 9)).watermark(50)
  expect(h.take()).toEqual(['[0,10) a=3+1+2@9', 'wm 50'])
  expect(seen).toEqual([50])
})

test.for([
  { size: 10, offset: 0, timestamp: -1, window: '[-10,0)' },
  { size: 10, offset: 0, timestamp: -10, window: '[-10,0)' },
  { size: 10, offset: 3, timestamp: 2, window: '[-7,3)' },
  { size: 10, offset: 3, timestamp: 3, window: '[3,13)' },
  { size: 10, offset: -3, timestamp: 6, window: '[-3,7)' },
  { size: 10, offset: -3, timestamp: 7, window: '[7,17)' },
  { size: 86_400_000, offset: -28_800_000, timestamp: 1_700_000_000_000, window: '[1699977600000,1700064000000)' },
])('W3 W4 $timestamp with size $size and offset $offset is in $window', ({ size, offset, timestamp, window }) => {
  const h = harness([win(list, { size, offset })])
  h.records(el('a', 1, timestamp)).end()
  expect(h.take()[0]).toMatch(`${window} a=1`)
})

test.for(ways)('W6 a record without a timestamp fails: $batchSize, fused $fusion', exchange => {
  const h = harness([{ ...win(sum), name: 'hourly' }], { exchange })
  expect(() => h.records(el('a', 1, -Infinity))).toThrow(expect.objectContaining({ code: 'MISSING_TIMESTAMP', at: { file: 'job.ts', line: 1 } }))
})

test.for(ways)('W7 W8 an element behind the watermark counts as long as its window lives; then it is dropped and counted: $batchSize, fused $fusion', exchange => {
  const h = harness([win(sum)], { exchange })
  h.records(el('a', 1, 5)).watermark(8).records(el('a', 2, 3)).watermark(9).records(el('a', 4, 9), el('a', 8, 0), el('a', 16, 10)).watermark(19)
  expect(h.take()).toEqual(['wm 8', '[0,10) a=3@9', 'wm 9', '[10,20) a=16@19', 'wm 19'])
  expect(h.chain.metrics().lateRecordsDropped).toBe(2)
})

test.for(ways)('W9 a late side output takes late elements with their timestamp, and then nothing is counted: $batchSize, fused $fusion', exchange => {
  const h = harness([win(sum, { lateTag: 'late' })], { exchange, leaving: [[0, 'late'], [0, undefined]] })
  h.watermark(9).records(el('a', 1, 9), el('a', 2, 10))
  expect(h.take()).toEqual(['wm 9', 'late: ["a",1]@9'])
  expect(h.chain.metrics().lateRecordsDropped).toBe(0)
})

test.for(ways.flatMap(exchange => [{ ...exchange, fn: sum, kind: 'reduce' }, { ...exchange, fn: inPlace, kind: 'aggregate' }]))(
  'W10 W11 W12 within the lateness each element fires at once with all that accumulated, until end - 1 + lateness: $kind, $batchSize, fused $fusion',
  ({ fn, batchSize, fusion }) => {
    const h = harness([win(fn, { allowedLateness: 5 })], { exchange: { batchSize, fusion } })
    h.records(el('a', 1, 5)).watermark(9).records(el('a', 2, 6), el('b', 7, 1)).watermark(13).records(el('a', 4, 0)).watermark(14).records(el('a', 8, 0))
    expect(h.take()).toEqual(['[0,10) a=1@9', 'wm 9', '[0,10) a=3@9', '[0,10) b=7@9', 'wm 13', '[0,10) a=7@9', 'wm 14'])
    expect(h.chain.metrics().lateRecordsDropped).toBe(1)
  },
)

test('W11 with an infinite lateness (Long.MAX saturates, N1) a window is never cleaned up', () => {
  const h = harness([win(sum, { allowedLateness: Infinity })])
  h.records(el('a', 1, 5)).watermark(1e15).records(el('a', 2, 5))
  expect(h.take()).toEqual(['[0,10) a=1@9', 'wm 1000000000000000', '[0,10) a=3@9'])
})

test('W12 one watermark over the end and the lateness fires the window once and then forgets it', () => {
  const h = harness([win(sum, { allowedLateness: 5 })])
  h.records(el('a', 1, 5)).watermark(100).records(el('a', 1, 5))
  expect(h.take()).toEqual(['[0,10) a=1@9', 'wm 100'])
})

test('W13 a firing does not purge: late results hold the earlier elements, in a list too', () => {
  const h = harness([win(list, { allowedLateness: 5 })])
  h.records(el('a', 1, 5)).watermark(9).records(el('a', 2, 6))
  expect(h.take()).toEqual(['[0,10) a=1@9', 'wm 9', '[0,10) a=1+2@9'])
})

test('W14 windows without elements do not exist', () => {
  const h = harness([win(sum)])
  h.records(el('a', 1, 5), el('a', 1, 55)).watermark(100)
  expect(h.take()).toEqual(['[0,10) a=1@9', '[50,60) a=1@59', 'wm 100'])
})

test('M3 windows fire by ascending end, whatever the order in which they began', () => {
  const h = harness([win(sum)])
  h.records(...[35, 5, 25, 15, 45].map(timestamp => el('a', timestamp, timestamp))).watermark(39)
  expect(h.take()).toEqual(['[0,10) a=5@9', '[10,20) a=15@19', '[20,30) a=25@29', '[30,40) a=35@39', 'wm 39'])
})

test('W26 behind reduce and aggregate the function gets exactly one element', () => {
  const count: WindowFunctionSpec['result'] = { process: (elements, _ctx, out) => out.collect([...elements].length) }
  for (const fn of [sum, inPlace]) {
    const h = harness([win({ ...fn, result: count })])
    h.records(el('a', 1, 1), el('a', 1, 2)).end()
    expect(h.take()).toEqual(['1@9', 'wm Infinity'])
  }
})

test.for(ways)('a result that is the accumulator itself does not change when the window fires again: $batchSize, fused $fusion', exchange => {
  const fn: WindowFunctionSpec = {
    kind: 'reduce',
    reduce(a, b) {
      ;(a as unknown[])[1] = ((a as unknown[])[1] as number) + ((b as unknown[])[1] as number)
      return a
    },
    result: { process: ([first], _ctx, out) => out.collect(first) },
  }
  const h = harness([win(fn, { allowedLateness: 100 })], { exchange })
  const input = [el('a', 1, 1), el('a', 2, 2), el('a', 3, 3)]
  h.records(...input.slice(0, 1)).watermark(9).records(...input.slice(1))
  expect(h.values).toEqual([['a', 1], ['a', 3], ['a', 6]])
  expect(input.map(([[, n]]) => n)).toEqual([1, 2, 3])
})

test('a window function has side outputs; they carry end - 1', () => {
  const h = harness([win({ kind: 'process', result: { process: (_e, ctx) => ctx.output({ kind: 'outputTag', id: 'side' }, 'x') } })], { leaving: [[0, 'side'], [0, undefined]] })
  h.records(el('a', 1, 1)).watermark(9)
  expect(h.take()).toEqual(['side: x@9', 'wm 9'])
})

test('errors name the window or its key', () => {
  const fail = () => { throw new Error('no') }
  expect(() => harness([{ ...win({ kind: 'reduce', reduce: fail, result }), name: 'hourly' }]).records(el('a', 1, 1), el('a', 1, 1))).toThrow('window "hourly" threw: no')
  expect(() => harness([{ ...win({ kind: 'process', result: { process: fail } }), name: 'hourly' }]).records(el('a', 1, 1)).watermark(9)).toThrow('window "hourly" threw: no')
  expect(() => harness([{ ...win(sum, { key: fieldKey('zz') }), name: 'hourly' }]).records(el('a', 1, 1))).toThrow('keyBy of "hourly": undefined cannot be a key')
})

test('T17 after a restore, at another parallelism too, pending windows fire although watermarks begin again', () => {
  const names = Array.from({ length: 30 }, (_, i) => `key ${i}`)
  const h = harness([win(sum)])
  h.records(...names.map((name, i) => el(name, i, 5)), el('key 0', 100, 15)).watermark(7)
  const snapshot = h.snapshot(1)
  const fired = [0, 1].flatMap(subtask => {
    const part = harness([win(sum)], { restore: [snapshot], subtask, parallelism: 2 })
    part.watermark(8)
    expect(part.take()).toEqual(['wm 8'])
    part.watermark(9)
    part.end()
    return part.take().filter(line => !line.startsWith('wm'))
  })
  expect(fired.sort()).toEqual([...names.map((name, i) => `[0,10) ${name}=${i}@9`), '[10,20) key 0=100@19'].sort())
})

test('T17 a window that had fired and is kept for its lateness fires again after a restore for the keys with a new element only, through two restores', () => {
  const step = win(sum, { allowedLateness: 100 })
  const h = harness([step])
  h.records(el('a', 1, 5), el('b', 2, 5)).watermark(12).records(el('c', 4, 25))
  expect(h.take()).toEqual(expect.arrayContaining(['[0,10) a=1@9', '[0,10) b=2@9']))
  const second = harness([step], { restore: [h.snapshot(1)] })
  second.records(el('a', 10, 6), el('d', 3, 7))
  expect(second.take()).toEqual([])
  const third = harness([step], { restore: [second.snapshot(2)] })
  third.watermark(5)
  third.watermark(30)
  expect(third.take().sort()).toEqual(['[0,10) a=11@9', '[0,10) d=3@9', '[20,30) c=4@29', 'wm 30', 'wm 5'])
  third.records(el('b', 1, 5))
  expect(third.take()).toEqual(['[0,10) b=3@9'])
  third.watermark(109)
  third.records(el('b', 1, 5))
  expect(third.take()).toEqual(['wm 109'])
})

test('state is gone with the window: nothing is left after the last', () => {
  const h = harness([win(list)])
  for (let i = 0; i < 100; i++) h.records(el(`k${i % 7}`, i, i)).watermark(i - 1)
  h.watermark(1000)
  expect(h.snapshot(1).keyed.filter(({ state }) => !state.startsWith('_'))).toEqual([])
})
