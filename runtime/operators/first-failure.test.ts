/**
 * User code that catches what `collect` throws cannot lose the records that were on their way: the chain fails, and with
 * what went wrong first. Whether the next operator is fused, in the chain or behind a side output makes no difference.
 */
import { expect, test } from 'vitest'
import type { Collector, ProcessContext } from '../api/functions.ts'
import { BatchPool } from '../core/batch.ts'
import { PagedState } from '../state/memory/paged-state.ts'
import { ChainHarness, type HarnessOptions, type Step } from './chain-harness.ts'
import { FirstFailure } from './first-failure.ts'
import { Output } from './output.ts'

const openState: HarnessOptions['openState'] = (keyGroups, maxParallelism) => new PagedState({ keyGroups, maxParallelism, memoryLimit: 1 << 30, store: undefined, clock: () => 0 })
const ways = [1, 2, 512].flatMap(batchSize => [true, false].map(fusion => ({ batchSize, fusion })))

const trying = (work: () => void) => {
  try {
    work()
  } catch {}
}
const side = { kind: 'outputTag', id: 'side' } as const
const key = { description: 'all', select: () => 0 }
const catching: Readonly<Record<string, Step>> = {
  'a flatMap': { kind: 'flatMap', fn: (v, out) => trying(() => out.collect(v)) },
  'a process function': { kind: 'process', fn: { process: (v, _ctx, out: Collector<unknown>) => trying(() => out.collect(v)) } },
  'a keyed process function': { kind: 'keyedProcess', key, fn: { process: (v: unknown, _ctx: unknown, out: Collector<unknown>) => trying(() => out.collect(v)) } } as Step,
}
const boom = (v: unknown) => {
  if ((v as number) >= 3) throw new Error(`no ${String(v)}`)
  return v
}
const failing: Readonly<Record<string, Step>> = {
  'a map': { kind: 'map', name: 'next', fn: boom },
  'a reduce': { kind: 'reduce', name: 'next', key: { description: 'all', select: boom }, fn: a => a },
}

const cases = Object.keys(catching).flatMap(catches => Object.keys(failing).flatMap(fails => ways.map(way => ({ catches, fails, ...way }))))
test.for(cases)('$catches catches what $fails behind it throws: $batchSize, fused $fusion', ({ catches, fails, ...exchange }) => {
  const h = new ChainHarness({ steps: [catching[catches]!, failing[fails]!], exchange, openState })
  expect(() => h.records(...[1, 2, 3, 4, 5].map(n => [n, n] as const)).watermark(9)).toThrow(expect.objectContaining({ code: 'USER_CODE_FAILED', message: expect.stringMatching(/"next" threw: no 3$/) }))
})

test.for(ways)('behind a side output too: $batchSize, fused $fusion', exchange => {
  const splits: Step = { kind: 'process', fn: { process: (v, ctx: ProcessContext) => trying(() => ctx.output(side, v)) } }
  const h = new ChainHarness({ steps: [splits, { ...failing['a map']!, input: 0, tag: 'side' }], exchange, openState })
  expect(() => h.records([1, 1], [3, 2], [4, 3])).toThrow(expect.objectContaining({ message: 'map "next" threw: no 3' }))
})

test('whoever catches it and then fails for another reason is not what is told', () => {
  const catches: Step = {
    kind: 'flatMap',
    fn(v, out) {
      trying(() => out.collect(v))
      if (v === 4) throw new Error('something else')
    },
  }
  for (const exchange of ways) {
    const h = new ChainHarness({ steps: [catches, failing['a map']!], exchange: { ...exchange, batchSize: 1 }, openState })
    expect(() => h.records([3, 1], [4, 2])).toThrow(expect.objectContaining({ message: 'map "next" threw: no 3' }))
  }
})

test('what a channel refuses, a value that is no plain data for example, is kept as well', () => {
  const failure = new FirstFailure()
  const refusal = new TypeError('refused')
  const out = new Output(new BatchPool(2), [], { emit: () => {}, emitBatch: () => { throw refusal } }, failure)
  out.emit(1, 0)
  expect(() => out.emit(2, 0)).toThrow(refusal)
  expect(() => failure.check()).toThrow(refusal)
  expect(failure.keep(new Error('a later one'))).toBe(refusal)
})
