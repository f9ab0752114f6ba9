import { expect, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { NO_TIMESTAMP } from '../../core/time.ts'
import type { Collector, ProcessContext } from '../../api/functions.ts'
import { PagedState } from '../../state/memory/paged-state.ts'
import { ChainHarness, type HarnessOptions, type Step } from '../chain-harness.ts'
import { BatchPool } from '../../core/batch.ts'
import { FirstFailure } from '../first-failure.ts'
import { Output } from '../output.ts'
import { generateProgram, programText } from './generate.ts'

const openState: HarnessOptions['openState'] = (keyGroups, maxParallelism) => new PagedState({ keyGroups, maxParallelism, memoryLimit: 1 << 30, store: undefined, clock: () => 0 })
const ways = [1, 2, 512].flatMap(batchSize => [true, false].map(fusion => ({ batchSize, fusion })))

const plus = (n: number): Step => ({ kind: 'map', fn: v => (v as number) + n })
const even: Step = { kind: 'filter', fn: v => (v as number) % 2 === 0 }
const twice: Step = { kind: 'flatMap', fn: v => [v, (v as number) * 10] }
const late = { kind: 'outputTag', id: 'odd' } as const
const split: Step = {
  kind: 'process',
  fn: {
    process(value, ctx, out) {
      if ((value as number) % 2 === 0) out.collect(value)
      else ctx.output(late, value)
    },
  },
}

test.for(ways)('map, filter and flatMap keep order and timestamps (X10): $batchSize, fused $fusion', exchange => {
  const h = new ChainHarness({ steps: [plus(1), even, twice, plus(100)], exchange, openState })
  h.records([1, 10], [2, 11], [3, 12], [5, NO_TIMESTAMP]).watermark(20)
  expect(h.take().join(' ')).toBe('102@10 120@10 104@12 140@12 106@- 160@- wm 20')
})

test.for(ways)('flatMap takes an array, a generator, a collector, or nothing: $batchSize, fused $fusion', exchange => {
  const flatMap: Step = {
    kind: 'flatMap',
    fn(value, out) {
      if (value === 'array') return ['a1', 'a2']
      if (value === 'generator') return (function* () { yield 'g1'; yield 'g2' })()
      if (value === 'set') return new Set(['s1'])
      if (value === 'collector') { out.collect('c1'); out.collect('c2') }
      return undefined
    },
  }
  const h = new ChainHarness({ steps: [flatMap, { kind: 'map', fn: v => `${String(v)}!` }], exchange, openState })
  h.records(['array', 1], ['collector', 2], ['nothing', 3], ['generator', 4], ['set', 5])
  expect(h.take().join(' ')).toBe('a1!@1 a2!@1 c1!@2 c2!@2 g1!@4 g2!@4 s1!@5')
})

test.for(ways)('X6 side outputs go by tag id, from inside a segment too; unread tags are dropped: $batchSize, fused $fusion', exchange => {
  const read = new ChainHarness({ steps: [plus(0), split, plus(1)], leaving: [[1, 'odd'], [2, undefined]], exchange, openState })
  read.records([1, 5], [2, 6], [3, 7]).watermark(8)
  expect(read.take().sort()).toEqual(['3@6', 'odd: 1@5', 'odd: 3@7', 'wm 8'])
  const unread = new ChainHarness({ steps: [plus(0), split, plus(1)], exchange, openState })
  unread.records([1, 5], [2, 6])
  expect(unread.take()).toEqual(['3@6'])
})

/** Writes down what it is given, and when it must be through. */
function noting(seen: string[], refused?: unknown): Step {
  const write = (value: unknown, timestamp: number) => {
    if (value === refused) throw new Error(`no ${String(value)}`)
    seen.push(`${String(value)}@${timestamp}`)
  }
  return { kind: 'sink', name: 'out', sink: { kind: 'sink', name: 'out', createWriter: () => ({ write, flush: () => void seen.push('flush') }) } }
}
const before: Readonly<Record<string, readonly Step[]>> = {
  'a map and a filter': [plus(1), even],
  'a flatMap': [even, twice],
  'a process function with a side output': [twice, split],
  'a function that collects': [{ kind: 'process', fn: { process: (v, _ctx, out: Collector<unknown>) => [v, v].forEach(each => out.collect(each)) } }],
}

test.for(Object.keys(before).flatMap(what => ways.map(way => ({ what, ...way }))))('a sink behind $what is given each record once, in order, before its flush: $batchSize, fused $fusion', ({ what, ...exchange }) => {
  const seen: string[] = []
  const read = new ChainHarness({ steps: before[what]!, openState })
  const written = new ChainHarness({ steps: [...before[what]!, noting(seen)], exchange, openState })
  const records = Array.from({ length: 1_100 }, (_, i) => [i, i * 10] as const)
  for (const h of [read, written]) h.records(...records)
  expect(seen).toEqual(read.take())
  expect(seen.length).toBeGreaterThan(512)
  written.snapshot(1)
  expect(seen.at(-1)).toBe('flush')
})

test.for(Object.keys(before).flatMap(what => ways.map(way => ({ what, ...way }))))('what a sink throws is told of the sink, behind $what: $batchSize, fused $fusion', ({ what, ...exchange }) => {
  const seen: string[] = []
  const h = new ChainHarness({ steps: [...before[what]!, noting(seen, 4)], exchange, openState })
  expect(() => h.records([3, 1], [4, 2], [5, 3])).toThrow(expect.objectContaining({ code: 'USER_CODE_FAILED', message: 'sink "out" threw: no 4' }))
})

test.for(ways)('an output with several consumers gives each of them everything: $batchSize, fused $fusion', exchange => {
  // 0 map -> 1 map, 2 filter, and out; 1 reads a side output of 3.
  const h = new ChainHarness({
    steps: [plus(0), plus(10), { ...even, input: 0 }, { ...split, input: 0 }, { ...plus(1000), input: 3, tag: 'odd' }],
    leaving: [[0, undefined], [1, undefined], [2, undefined], [4, undefined]],
    exchange,
    openState,
  })
  h.records([1, 1], [2, 2], [3, 3])
  const log = h.take()
  expect(log.filter(line => line.startsWith('0:'))).toEqual(['0: 1@1', '0: 2@2', '0: 3@3'])
  expect(log.filter(line => line.startsWith('1:'))).toEqual(['1: 11@1', '1: 12@2', '1: 13@3'])
  expect(log.filter(line => line.startsWith('2:'))).toEqual(['2: 2@2'])
  expect(log.filter(line => !line.includes(':'))).toEqual(['1001@1', '1003@3'])
})

test.for(ways)('T11 a watermark passes row-wise operators unchanged, after the records before it, and not twice (T3): $batchSize, fused $fusion', exchange => {
  const h = new ChainHarness({ steps: [plus(1), twice, plus(0)], exchange, openState })
  h.records([1, 1]).watermark(5).watermark(5).watermark(3)
  h.chain.processIdle(true, 0)
  h.chain.processIdle(false, 0)
  expect(h.take()).toEqual(['2@1', '20@1', 'wm 5', 'idle', 'active'])
})

test.for(ways)('a process function sees the watermark, the time and the timestamp of its record: $batchSize, fused $fusion', exchange => {
  const seen: Step = {
    kind: 'process',
    fn: {
      process(_value, ctx: ProcessContext, out: Collector<unknown>) {
        out.collect([ctx.timestamp ?? 'none', ctx.currentWatermark(), ctx.currentProcessingTime()].map(String))
      },
    },
  }
  const h = new ChainHarness({ steps: [seen], exchange, openState, now: 77 })
  h.records([0, 5], [0, NO_TIMESTAMP]).watermark(6).records([0, 7])
  expect(h.take()).toEqual(['["5","-Infinity","77"]@5', '["none","-Infinity","77"]@-', 'wm 6', '["7","6","77"]@7'])
})

test.for(ways)('T1 T2 timestamps in mid-stream: watermarks come on the tick, largest - bound - 1; upstream ones end here, but for the last: $batchSize, fused $fusion', exchange => {
  const strategy = { timestamp: (v: unknown) => v as number, policy: { kind: 'bounded', bound: 10 } as const, idleness: 500 }
  const h = new ChainHarness({ steps: [plus(0), { kind: 'timestamps', strategy }, plus(0)], exchange, openState })
  h.records([100, NO_TIMESTAMP], [90, NO_TIMESTAMP]).watermark(1_000)
  expect(h.take()).toEqual(['100@100', '90@90'])
  expect(h.time(199)).toBe(200)
  expect(h.take()).toEqual([])
  expect(h.time(200)).toBe(400)
  expect(h.take()).toEqual(['wm 89'])
  h.records([95, NO_TIMESTAMP])
  h.time(400)
  expect(h.take()).toEqual(['95@95']) // no progress
  for (const now of [600, 800, 900, 1100]) h.time(now)
  expect(h.take()).toEqual(['idle'])
  h.records([300, NO_TIMESTAMP])
  h.time(1300)
  expect(h.take()).toEqual(['active', '300@300', 'wm 289'])
  h.end()
  expect(h.take()).toEqual(['wm Infinity'])
})

test.for(ways)('a timestamp that is not a number fails and names the operator: $batchSize, fused $fusion', exchange => {
  const strategy = { timestamp: () => undefined as unknown as number, policy: { kind: 'bounded', bound: 0 } as const, idleness: undefined }
  const h = new ChainHarness({ steps: [{ kind: 'timestamps', name: 'times', strategy }], exchange, openState })
  expect(() => h.records([1, 1])).toThrow(expect.objectContaining({ code: 'MISSING_TIMESTAMP', message: 'timestamps "times": its timestamp function returned undefined' }))
})

test.for(ways)('a custom generator moves the watermark right behind the record that says so: $batchSize, fused $fusion', exchange => {
  const create = () => ({ onEvent: (value: unknown, timestamp: number) => (value === 'mark' ? timestamp : undefined), onPeriodic: () => undefined })
  const strategy = { timestamp: undefined, policy: { kind: 'custom', create } as const, idleness: undefined }
  const h = new ChainHarness({ steps: [{ kind: 'map', fn: v => v }, { kind: 'timestamps', strategy }, { kind: 'map', fn: v => v }], exchange, openState })
  h.records(['a', 1], ['mark', 2], ['b', 3], ['mark', 1], ['c', 4], ['mark', 9])
  expect(h.take().join(' ')).toBe('a@1 mark@2 wm 2 b@3 mark@1 c@4 mark@9 wm 9')
})

test.for(ways)('what user code throws names the operator and its line, wherever it sits in the segment: $batchSize, fused $fusion', exchange => {
  const boom = (when: number): Step => ({ kind: 'map', name: `boom ${when}`, fn: v => { if (v === when) throw new Error(`no ${when}`); return v } })
  for (const [at, steps] of [
    [1, [plus(0), boom(2), twice, boom(20)]],
    [3, [plus(0), boom(99), twice, boom(20)]],
    [3, [plus(0), boom(99), { kind: 'flatMap', fn: (v, out) => { out.collect(v); out.collect((v as number) * 10) } } as Step, boom(20)]],
  ] as const) {
    const h = new ChainHarness({ steps, exchange, openState })
    const name = steps[at].name as string
    const number = name.slice(5)
    expect(() => h.records([1, 1], [2, 2])).toThrow(expect.objectContaining({ code: 'USER_CODE_FAILED', message: `map "${name}" threw: no ${number}`, at: { file: 'job.ts', line: at + 1 }, cause: new Error(`no ${number}`) }))
  }
  const iterable = new ChainHarness({ steps: [plus(0), { kind: 'flatMap', name: 'number', fn: () => 7 as never }], exchange, openState })
  expect(() => iterable.records([1, 1])).toThrow(/^flatMap "number" threw: .*not iterable/)
})

test('the line comes from the stack when the error was thrown in a file of the project', () => {
  const h = new ChainHarness({ steps: [{ kind: 'map', fn: () => { throw new Error('here') } }], openState, projectDirectory: import.meta.dirname })
  expect(() => h.records([1, 1])).toThrow(expect.objectContaining({ at: expect.objectContaining({ file: import.meta.filename }) }))
})

test('a name cannot break out of the generated code', () => {
  const name = '*/\nthrow new Error("out")\u2028throw 1 \ud800 ${x}'
  const h = new ChainHarness({ steps: [{ ...plus(1), name }], openState })
  h.records([1, 1])
  expect(h.take()).toEqual(['2@1'])
  const text = programText([{ kind: 'map', fn: (v: unknown) => v }], name)
  expect(text.split('\n').at(-1)).toMatch(/^\/\/# sourceURL=flink-ts-fused\/[\w%.!~*'()-]+$/)
})

test('the generated function reads as one loop', () => {
  const text = programText([{ kind: 'filter', fn: () => true }, { kind: 'map', fn: (v: unknown) => v }], 'Filter -> Map')
  expect(text).toMatchInlineSnapshot(`
    "'use strict'
    let at = -1
    const f0 = rows[0].fn
    const f1 = rows[1].fn
    return (values, timestamps, size) => {
    let n = 0, outValues = out.values, outTimestamps = out.timestamps
    const capacity = out.capacity
    try {
    for (let i = 0; i < size; i++) {
    let v = values[i], t = timestamps[i]
    at = 0; if (!f0(v)) continue
    at = 1; v = f1(v)
    outValues[n] = v; outTimestamps[n] = t; n++
    if (n === capacity) { at = -1; out.size = n; n = 0; out.flush(); outValues = out.values; outTimestamps = out.timestamps }
    }
    } catch (error) { throw fail(error, at) }
    out.size = n
    }
    //# sourceURL=flink-ts-fused/%22Filter%20-%3E%20Map%22"
  `)
})

test('an error behind the segment is not blamed on it', () => {
  const bug = new TypeError('a bug downstream')
  const out = new Output(new BatchPool(1), [{ processBatch: () => { throw bug }, processWatermark() {}, processIdle() {} }], undefined, new FirstFailure())
  const fail = (error: unknown, at: number) => (at < 0 ? error : new Error('blamed'))
  for (const rows of [[{ kind: 'map', fn: (v: unknown) => v }], [{ kind: 'flatMap', fn: (v: unknown) => [v] }]] as const) {
    expect(() => generateProgram(rows, out, fail, 'x')([1], Float64Array.of(1), 1)).toThrow(bug)
  }
})

test('random segments give the same at batch size 1, 2 and 512, fused or not, longer than one function too', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed)
    const steps: Step[] = Array.from({ length: 1 + random.int(25) }, () => random.pick([plus(1), plus(3), even, twice, split]))
    const records = Array.from({ length: 30 }, (_, i) => [random.int(50), i] as const)
    const runs = ways.map(exchange => {
      // Not every flatMap: 25 in a row would make 33 million records of one.
      const h = new ChainHarness({ steps: [plus(0), ...steps.filter((step, i) => step !== twice || i % 4 === 0)], exchange, openState })
      h.records(...records.slice(0, 17)).watermark(16).records(...records.slice(17))
      return h.take()
    })
    for (const run of runs) expect(run, `seed ${seed}`).toEqual(runs[0])
  }
})
