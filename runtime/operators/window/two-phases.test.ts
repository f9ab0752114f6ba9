/**
 * Windows in two phases: what the local one sends and when, what the global one makes of it, and that the two are one.
 * Records are `[key, n]`; a partial shows as JSON.
 */
import { describe, expect, test } from 'vitest'
import { combineAggregations, count, max, sum } from '../../api/aggregations.ts'
import type { AggregateFunction } from '../../api/functions.ts'
import { seededRandom } from '../../core/random.ts'
import type { WindowPhase } from '../../graph/job-graph.ts'
import type { WindowAggregate, WindowFunctionSpec } from '../../graph/transformation.ts'
import { PagedState } from '../../state/memory/paged-state.ts'
import { ChainHarness, type HarnessOptions, type Step } from '../chain-harness.ts'
import { partialLayout } from './partials.ts'

const openState: HarnessOptions['openState'] = (keyGroups, maxParallelism) => new PagedState({ keyGroups, maxParallelism, memoryLimit: 1 << 30, store: undefined, clock: () => 0 })

type Row = readonly [key: string, n: number]
const counts = combineAggregations<Row>({ rows: count(), most: max(([, n]) => n) })
const sums = combineAggregations<Row>({ total: sum(([, n]) => n) })
/** The accumulator is the texts that came, in order. */
const texts: AggregateFunction<Row, { of: string }, string> = {
  createAccumulator: () => ({ of: '' }),
  add([, n], accumulator) {
    accumulator.of += ` ${n}`
    return accumulator
  },
  getResult: ({ of }) => of,
  merge: (a, b) => ({ of: a.of + b.of }),
}

const windows = (aggregate: WindowAggregate, phase?: WindowPhase): Step => {
  const fn: WindowFunctionSpec = {
    kind: 'aggregate',
    aggregate,
    result: { process: (results, ctx, out) => out.collect(`${String(ctx.key)} until ${ctx.window.end}: ${JSON.stringify([...results][0])}`) },
  }
  const key = { description: '0', select: (value: unknown) => (value as Row)[0] }
  return { kind: 'window', name: 'per ten', key, assigner: { kind: 'tumbling', size: 10, offset: 0 }, allowedLateness: 0, fn, ...(phase === undefined ? {} : { phase }) }
}
const local = (aggregate: WindowAggregate, options: Partial<HarnessOptions> = {}) => new ChainHarness({ steps: [windows(aggregate, 'local')], openState, ...options })
const el = (key: string, n: number, timestamp: number) => [[key, n], timestamp] as const

describe('the local phase', () => {
  test('sends the partials of a window before the watermark that ends it, those of later windows after a while', () => {
    const h = local(counts).records(el('a', 3, 1), el('b', 1, 9), el('a', 5, 2), el('a', 7, 11)).watermark(8)
    expect(h.take()).toEqual(['wm 8'])
    h.watermark(9)
    expect(h.take()).toEqual(['{"key":"a","records":2,"n0":2,"n1":5}@9', '{"key":"b","records":1,"n0":1,"n1":1}@9', 'wm 9'])
    expect(h.time(99)).toBe(100)
    expect(h.take()).toEqual([])
    expect(h.time(100)).toBe(Infinity)
    expect(h.take()).toEqual(['{"key":"a","records":1,"n0":1,"n1":7}@19'])
  })

  test.for<[when: string, then: (h: ChainHarness) => void, followedBy: string[]]>([
    ['a barrier', h => void h.snapshot(1), []],
    ['the stream is idle', h => h.chain.processIdle(true, 0), ['idle']],
    ['the end of the input', h => h.chain.endInput(), []],
    ['the end of event time', h => void h.end(), ['wm Infinity']],
  ])('sends all of them before %s', ([, then, followedBy]) => {
    const h = local(texts).records(el('a', 2, 25), el('a', 1, 5))
    then(h)
    expect(h.take()).toEqual(['{"key":"a","records":1,"accumulator":{"of":" 1"}}@9', '{"key":"a","records":1,"accumulator":{"of":" 2"}}@29', ...followedBy])
    then(h)
    expect(h.take()).toEqual([])
  })

  test('holds nothing when a snapshot is taken', () => {
    const snapshot = local(counts).records(el('a', 1, 1)).snapshot(1)
    expect([snapshot.keyed, snapshot.lists]).toEqual([[], []])
  })

  test('a record whose window has ended goes at once', () => {
    const h = local(counts).records(el('a', 1, 11)).watermark(9)
    h.take()
    h.records(el('a', 2, 3), el('a', 3, 4))
    expect(h.take()).toEqual(['{"key":"a","records":1,"n0":1,"n1":2}@9', '{"key":"a","records":1,"n0":1,"n1":3}@9'])
  })

  test('sums of what is not whole are not grouped: from the first such number on each goes by itself', () => {
    const h = local(sums).records(el('a', 1, 1), el('a', 2, 1), el('b', 9, 1), el('a', 0.1, 1), el('a', 3, 1), el('b', 4, 1))
    expect(h.take()).toEqual([
      '{"key":"a","records":2,"n0":3}@9',
      '{"key":"b","records":1,"n0":9}@9',
      '{"key":"a","records":1,"n0":0.1}@9',
      '{"key":"a","records":1,"n0":3}@9',
      '{"key":"b","records":1,"n0":4}@9',
    ])
  })
  test('nor beyond what a double counts exactly', () => {
    const h = local(sums).records(el('a', Number.MAX_SAFE_INTEGER, 1), el('a', 1, 1), el('a', 1, 1))
    expect(h.take()).toEqual([`{"key":"a","records":1,"n0":${Number.MAX_SAFE_INTEGER}}@9`, '{"key":"a","records":1,"n0":1}@9', '{"key":"a","records":1,"n0":1}@9'])
  })

  test('there are never more than 32 Ki of them; where keys do not repeat, records then go by themselves for a while', () => {
    const h = local(counts)
    const send = (from: number, many: number) => {
      for (let i = from; i < from + many; i += 512) h.records(...Array.from({ length: 512 }, (_, j) => el(`key ${i + j}`, 1, 1)))
      return h.take().length
    }
    expect(send(0, 32 * 1024 - 512)).toBe(0)
    expect(send(32 * 1024 - 512, 512)).toBe(32 * 1024)
    expect(send(0, 256 * 1024)).toBe(256 * 1024)
    expect(send(0, 512)).toBe(0)
    h.watermark(9)
    expect(h.take().length).toBe(513)
  })

  test('errors are those of the window: no timestamp, no key, what add throws', () => {
    const at = { file: 'job.ts', line: 1 }
    expect(() => local(counts).records(el('a', 1, -Infinity))).toThrow(expect.objectContaining({ code: 'MISSING_TIMESTAMP', message: 'window "per ten": a record without timestamp cannot be in a window of event time', at }))
    expect(() => local(counts).records([[undefined, 1], 1])).toThrow(expect.objectContaining({ code: 'INVALID_KEY', message: expect.stringMatching(/^keyBy of "per ten": /), at }))
    const throws = { ...texts, add: () => { throw new Error('no more') } }
    expect(() => local(throws).records(el('a', 1, 1))).toThrow(expect.objectContaining({ code: 'USER_CODE_FAILED', message: 'window "per ten" threw: no more' }))
  })
})

test('a partial has its numbers as fields, whether code may be generated or not', () => {
  for (const generate of [true, false]) {
    const layout = partialLayout({ numbers: 2 }, generate)
    const partial = layout.wrap('a', 3, [7, 0.5])
    expect(JSON.stringify(partial)).toBe('{"key":"a","records":3,"n0":7,"n1":0.5}')
    expect(layout.unwrap(partial)).toEqual([7, 0.5])
  }
})

describe('the global phase', () => {
  const global = (aggregate: WindowAggregate) => new ChainHarness({ steps: [windows(aggregate, 'global')], openState })

  test('merges partials in the order in which they come', () => {
    const h = global(texts)
    h.records([{ key: 'a', records: 2, accumulator: { of: ' 1 2' } }, 9], [{ key: 'a', records: 1, accumulator: { of: ' 3' } }, 9]).watermark(9)
    expect(h.take()).toEqual(['a until 10: " 1 2 3"@9', 'wm 9'])
  })
  test('counts the records of a late partial', () => {
    const h = global(counts).watermark(9).records([{ key: 'a', records: 5, n0: 5, n1: 1 }, 9])
    expect(h.chain.metrics().lateRecordsDropped).toBe(5)
  })
  test('a merge that returns nothing is the fault of the function', () => {
    const h = global({ ...texts, merge: () => undefined }).records([{ key: 'a', records: 1, accumulator: { of: '' } }, 9])
    expect(() => h.records([{ key: 'a', records: 1, accumulator: { of: '' } }, 9])).toThrow(expect.objectContaining({ message: 'window "per ten" threw: merge of the aggregate function returned undefined' }))
  })
})

test.each([[counts], [sums], [texts]])('both phases give what one gives, at every record, watermark, tick, barrier and pause: %#', aggregate => {
  for (let seed = 1; seed <= 100; seed++) {
    const random = seededRandom(seed)
    const h = { one: new ChainHarness({ steps: [windows(aggregate)], openState }), local: local(aggregate), global: new ChainHarness({ steps: [windows(aggregate, 'global')], openState }) }
    let watermark = 0
    let now = 0
    const pass = () => {
      const values = h.local.values.splice(0)
      for (const entry of h.local.take()) {
        if (entry.startsWith('wm ')) h.global.watermark(Number(entry.slice(3)))
        else h.global.records([values.shift(), Number(entry.slice(entry.lastIndexOf('@') + 1))])
      }
    }
    for (let i = 0; i < 200; i++) {
      const step = random.int(20)
      if (step < 15) {
        const record = el(random.pick(['a', 'b', 'c']), random.chance(0.005) ? random.int(100) / 7 : random.int(100), watermark - 5 + random.int(30))
        h.one.records(record)
        h.local.records(record)
      } else if (step < 18) {
        watermark += random.int(8)
        h.one.watermark(watermark)
        h.local.watermark(watermark)
      } else if (step === 18) h.local.time((now += 40))
      else h.local.snapshot(i)
      pass()
    }
    h.one.end()
    h.local.end()
    pass()
    const late = (harness: ChainHarness) => harness.chain.metrics().lateRecordsDropped
    expect(h.global.take().sort(), `seed ${seed}`).toEqual(h.one.take().sort())
    expect(late(h.global), `seed ${seed}`).toBe(late(h.one))
  }
})
