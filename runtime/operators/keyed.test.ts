/** Rolling reduce and keyed process functions: keys, ownership, state with time to live, timers, snapshots. */
import { expect, test } from 'vitest'
import type { Collector, KeySelector, KeyedContext, OnTimerContext } from '../api/functions.ts'
import type { MapState, StateDescriptors, ValueState } from '../api/state.ts'
import { spreadKeyHash } from '../core/key-group.ts'
import { PagedState } from '../state/memory/paged-state.ts'
import { ChainHarness, fieldKey, type HarnessOptions, type Snapshot, type Step } from './chain-harness.ts'

const openState: HarnessOptions['openState'] = (keyGroups, maxParallelism) => new PagedState({ keyGroups, maxParallelism, memoryLimit: 1 << 30, store: undefined, clock: () => 0 })
const ways = [1, 2, 512].flatMap(batchSize => [true, false].map(fusion => ({ batchSize, fusion })))
const key = fieldKey('k')

interface Row {
  k: string
  n: number
}
const row = (k: string, n: number, timestamp = n) => [{ k, n }, timestamp] as const

/** Any context: the tests declare their states by hand. */
interface Ctx {
  readonly key: unknown
  readonly timestamp: number | undefined
  readonly timeDomain?: string
  readonly state: Record<string, ValueState<unknown> & MapState<unknown, unknown>>
  readonly timers: KeyedContext<unknown, StateDescriptors>['timers']
  output(tag: { readonly kind: 'outputTag'; readonly id: string }, value: unknown): void
}
function keyed(state: StateDescriptors, process: (value: Row, ctx: Ctx, out: Collector<unknown>) => void, onTimer?: (time: number, ctx: Ctx, out: Collector<unknown>) => void): Step {
  const asCtx = (ctx: KeyedContext<unknown, StateDescriptors> | OnTimerContext<unknown, StateDescriptors>) => ctx as unknown as Ctx
  return {
    kind: 'keyedProcess',
    key,
    fn: {
      state,
      process: (value, ctx, out) => process(value as Row, asCtx(ctx), out),
      ...(onTimer === undefined ? {} : { onTimer: (time, ctx, out) => onTimer(time, asCtx(ctx), out) }),
    },
  }
}

// Reduce.

test.for(ways)('X2 the first element of a key passes as it is, then each result with the timestamp of its element: $batchSize, fused $fusion', exchange => {
  const h = new ChainHarness({ steps: [{ kind: 'reduce', key, fn: (a, b) => ({ k: (a as Row).k, n: (a as Row).n + (b as Row).n }) }], exchange, openState })
  h.records(row('a', 1), row('b', 5), row('a', 2), row('a', 3)).watermark(9)
  expect(h.take()).toEqual(['{"k":"a","n":1}@1', '{"k":"b","n":5}@5', '{"k":"a","n":3}@2', '{"k":"a","n":6}@3', 'wm 9'])
})

test.for(ways)('a reducer that changes and returns its accumulator emits 1, 3, 6, and no other consumer of its input sees it: $batchSize, fused $fusion', exchange => {
  const inPlace = (a: unknown, b: unknown) => {
    ;(a as Row).n += (b as Row).n
    return a
  }
  const h = new ChainHarness({
    steps: [{ kind: 'map', fn: v => v }, { kind: 'reduce', key, fn: inPlace }, { kind: 'map', fn: v => v }, { kind: 'filter', fn: () => true, input: 0 }],
    leaving: [[2, undefined], [3, undefined]],
    exchange,
    openState,
  })
  const input = [row('a', 1), row('a', 2), row('a', 3)]
  h.records(...input)
  const [reduced, beside] = [h.values.filter((_, i) => h.log[i]?.startsWith('2: ')), h.values.filter((_, i) => !h.log[i]?.startsWith('2: '))] as Row[][]
  expect((reduced as Row[]).map(({ n }) => n)).toEqual([1, 3, 6])
  expect((beside as Row[]).map(({ n }) => n)).toEqual([1, 2, 3])
  expect(input.map(([{ n }]) => n)).toEqual([1, 2, 3])
})

test.for(ways)('a reducer that returns its second argument does not make it state: $batchSize, fused $fusion', exchange => {
  // Keeps the larger one and counts in it.
  const fn = (a: unknown, b: unknown) => {
    const [keep, other] = (b as Row).n > (a as Row).n ? [b, a] : [a, b]
    return Object.assign(keep as object, { seen: ((other as { seen?: number }).seen ?? 1) + 1 })
  }
  const h = new ChainHarness({ steps: [{ kind: 'reduce', key, fn }], exchange, openState })
  h.records(row('a', 1), row('a', 5), row('a', 2))
  expect(h.values.at(0)).toEqual({ k: 'a', n: 1 })
})

// As `sum` of the API makes it.
const sum = { kind: 'reduce', sumOf: 'n', key, fn: (a: unknown, b: unknown) => ({ ...(a as Row), n: (a as Row).n + (b as Row).n }) } as const

test.for(ways)('a sum keeps the other fields of the first element, and what it emitted never changes: $batchSize, fused $fusion', exchange => {
  const h = new ChainHarness({ steps: [sum], exchange, openState })
  const input = [{ k: 'a', note: 'first', n: 1 }, { n: 2, k: 'a' }, { k: 'a', note: 'third', n: 0.5 }]
  h.records(...input.map((value, i): [unknown, number] => [value, i]))
  expect(h.values.map(value => JSON.stringify(value))).toEqual(['{"k":"a","note":"first","n":1}', '{"k":"a","note":"first","n":3}', '{"k":"a","note":"first","n":3.5}'])
  expect(input[0]).toEqual({ k: 'a', note: 'first', n: 1 })
})

test('a sum of a field the first element lacks, and with object reuse, is what its function says', () => {
  const emitted = (values: unknown[], objectReuse: boolean) => {
    const h = new ChainHarness({ steps: [sum], exchange: { objectReuse }, openState })
    h.records(...values.map((value, i): [unknown, number] => [value, i]))
    return h.values
  }
  for (const values of [[{ k: 1 }, { k: 1, n: 2 }], [{ k: 1, n: 1 }, { k: 1, n: 2 }]]) {
    const [first, second] = values
    for (const objectReuse of [false, true]) expect(emitted(values, objectReuse)).toEqual([first, sum.fn(first, second)])
  }
})

test('with object reuse nothing is copied', () => {
  const h = new ChainHarness({ steps: [{ kind: 'reduce', key, fn: a => a }], exchange: { objectReuse: true }, openState })
  const [first] = row('a', 1)
  h.records([first, 1], row('a', 2))
  expect(h.values[0]).toBe(first)
  expect(h.values[1]).toBe(first)
})

test.for(ways)('errors of key, reducer and process function name what threw: $batchSize, fused $fusion', exchange => {
  const thrown = (steps: Step[], value: unknown, next = value) => {
    const h = new ChainHarness({ steps, exchange, openState })
    try {
      h.records([value, 1], [next, 2])
    } catch (error) {
      return `${(error as { code: string }).code} ${(error as Error).message}`
    }
    return 'nothing'
  }
  const fail = () => { throw new Error('no') }
  expect(thrown([{ kind: 'reduce', name: 'total', key, fn: fail }], { k: 'a' })).toBe('USER_CODE_FAILED reduce "total" threw: no')
  expect(thrown([{ kind: 'reduce', name: 'total', key, fn: () => undefined }], { k: 'a' })).toBe('USER_CODE_FAILED reduce "total" threw: the function returned undefined')
  expect(thrown([{ kind: 'reduce', name: 'total', sumOf: 'n', key, fn: fail }], { k: 'a', n: 1 }, { k: 'a', n: 1n })).toMatch(/^USER_CODE_FAILED sum "total" threw: Cannot mix BigInt/)
  expect(thrown([{ kind: 'reduce', name: 'total', key: { description: 'f', select: fail }, fn: a => a }], 1)).toBe('USER_CODE_FAILED keyBy of "total" threw: no')
  expect(thrown([{ kind: 'reduce', name: 'total', key, fn: a => a }], {})).toBe('INVALID_KEY keyBy of "total": undefined cannot be a key')
  expect(thrown([{ ...keyed({}, fail), name: 'detect' }], { k: 'a' })).toBe('USER_CODE_FAILED process "detect" threw: no')
  expect(thrown([{ ...keyed({}, (_, ctx) => ctx.timers.registerEventTimeTimer(1.5)), name: 'detect' }], { k: 'a' })).toMatch(/process "detect" threw: a timer cannot be set to 1.5/)
})

test('a key selector that gives another key than it gave the sender is noticed', () => {
  let calls = 0
  const restless: KeySelector = { description: 'calls', select: () => calls++ }
  const h = new ChainHarness({ steps: [{ kind: 'reduce', name: 'total', key: restless, fn: a => a }], openState })
  const keyHashes = Int32Array.of(spreadKeyHash(1000))
  const batch = { size: 1, values: [{}], timestamps: Float64Array.of(1), keyHashes }
  calls = 1000
  h.chain.processBatch(batch, 0)
  // A sample of the keys is looked at: it takes some records.
  expect(() => { for (let i = 0; i < 10_000; i++) h.chain.processBatch(batch, 0) }).toThrow(expect.objectContaining({
    code: 'INVALID_KEY', message: 'keyBy of "total": the same record gave another key when it was sent', hint: expect.stringContaining('deterministic'),
  }))
})

test('ctx.state has what was declared and nothing else', () => {
  const step = keyed({ n: { kind: 'value', defaultValue: 0 }, hasOwn: { kind: 'value', defaultValue: 7 } }, (_, ctx, out) => {
    out.collect([Object.keys(ctx.state), ctx.state['hasOwn']?.value(), ctx.state['toString'], ctx.state['constructor'], ctx.state['__proto__'], 'hasOwnProperty' in ctx.state])
  })
  const h = new ChainHarness({ steps: [step], exchange: ways[0]!, openState })
  h.records([{ k: 1 }, 1])
  expect(h.take()).toMatchInlineSnapshot(`
    [
      "[["n","hasOwn"],7,null,null,null,false]@1",
    ]
  `)
})

test.for(ways)('0 and -0 are one key, and it is 0: $batchSize, fused $fusion', exchange => {
  const step = keyed({ n: { kind: 'value', defaultValue: 0 } }, (_, ctx, out) => {
    const n = (ctx.state['n']?.value() as number) + 1
    ctx.state['n']?.update(n)
    out.collect(`${Object.is(ctx.key, 0) ? '0' : '-0'} ${n}`)
  })
  const h = new ChainHarness({ steps: [step], exchange, openState })
  h.records([{ k: -0 }, 1], [{ k: 0 }, 2])
  expect(h.take()).toEqual(['0 1@1', '0 2@2'])
})

// State.

test.for(ways)('state is per key, with a default that nobody can spoil: $batchSize, fused $fusion', exchange => {
  const step = keyed({ list: { kind: 'value', defaultValue: [] }, seen: { kind: 'map' } }, ({ n }, ctx, out) => {
    const list = ctx.state['list']?.value() as number[]
    list.push(n)
    ctx.state['list']?.update(list)
    ctx.state['seen']?.put(n, true)
    out.collect(`${String(ctx.key)} ${list.join()} ${[...(ctx.state['seen']?.keys() ?? [])].length}`)
  })
  const h = new ChainHarness({ steps: [step], exchange, openState })
  h.records(row('a', 1), row('b', 2), row('a', 3), row('a', 3), row('c', 4))
  expect(h.take()).toEqual(['a 1 1@1', 'b 2 1@2', 'a 1,3 2@3', 'a 1,3,3 2@3', 'c 4 1@4'])
})

test.for(ways)('what is put into state, and what state emits, is no one else’s: $batchSize, fused $fusion', exchange => {
  const step = keyed({ last: { kind: 'value' } }, (value, ctx, out) => {
    const last = ctx.state['last']?.value() as Row | undefined
    if (last === undefined) ctx.state['last']?.update(value)
    else {
      last.n += value.n
      ctx.state['last']?.update(last)
    }
    out.collect(ctx.state['last']?.value())
  })
  const h = new ChainHarness({ steps: [{ kind: 'map', fn: v => v }, step, { kind: 'filter', fn: () => true, input: 0 }], leaving: [[1, undefined], [2, undefined]], exchange, openState })
  const input = [row('a', 1), row('a', 2), row('a', 3)]
  h.records(...input)
  expect(h.values.filter((_, i) => h.log[i]?.startsWith('1: ')).map(v => (v as Row).n)).toEqual([1, 3, 6])
  expect(input.map(([{ n }]) => n)).toEqual([1, 2, 3])
})

test('S7t time to live: set by a write, not by a read; expired values are never seen; map entries expire one by one', () => {
  const seen: string[] = []
  const step = keyed({ v: { kind: 'value', ttl: 100, defaultValue: 'none' }, m: { kind: 'map', ttl: 100 } }, ({ n }, ctx) => {
    const { v, m } = ctx.state as { v: Ctx['state'][string]; m: Ctx['state'][string] }
    if (n > 0) {
      v.update(`v${n}`)
      m.put(`m${n}`, n)
    }
    seen.push([String(v.value()), [...m.entries()].map(([k, x]) => `${String(k)}=${String(x)}`).join(), m.has('m1'), m.isEmpty(), m.get('m1')].join(' '))
  })
  const h = new ChainHarness({ steps: [step], openState })
  const at = (now: number, n: number) => {
    h.now = now
    h.records(row('a', n))
  }
  at(0, 1)
  at(60, 0) // a read keeps nothing alive
  at(99, 2)
  at(100, 0)
  const snapshot = h.snapshot(1)
  at(199, 0)
  expect(seen).toEqual(['v1 m1=1 true false 1', 'v1 m1=1 true false 1', 'v2 m1=1,m2=2 true false 1', 'v2 m2=2 false false ', 'none  false true '])
  seen.length = 0
  const restored = new ChainHarness({ steps: [step], openState, restore: [snapshot], now: 150 })
  restored.records(row('a', 0))
  restored.now = 199
  restored.records(row('a', 0))
  expect(seen).toEqual(['v2 m2=2 false false ', 'none  false true '])
})

// Timers.

const log = (time: number, ctx: Ctx, out: Collector<unknown>) => out.collect(`${String(ctx.key)} ${time} ${ctx.timeDomain} ${ctx.timestamp}`)
const register = keyed({}, ({ n }, ctx) => ctx.timers.registerEventTimeTimer(n), log)

test.for(ways)('M1 M3 T10 timers fire once each, by time over all keys, before the watermark; X10 with their own timestamp: $batchSize, fused $fusion', exchange => {
  const h = new ChainHarness({ steps: [register], exchange, openState })
  h.records(row('b', 7), row('a', 5), row('a', 5), row('a', 9), row('c', 12)).watermark(9)
  expect(h.take()).toEqual(['a 5 event 5@5', 'b 7 event 7@7', 'a 9 event 9@9', 'wm 9'])
})

test('M2 a timer in the past fires when the watermark advances next; one registered while firing fires in the same pass', () => {
  const step = keyed({}, ({ n }, ctx) => ctx.timers.registerEventTimeTimer(n), (time, ctx, out) => {
    out.collect(`${time}/${ctx.timers.currentWatermark()}`)
    if (time < 30) ctx.timers.registerEventTimeTimer(time + 10)
    if (time === 15) ctx.timers.registerEventTimeTimer(3)
  })
  const h = new ChainHarness({ steps: [step], openState })
  h.watermark(20).records(row('a', 5))
  expect(h.take()).toEqual(['wm 20'])
  h.watermark(21)
  expect(h.take()).toEqual(['5/21@5', '15/21@15', '3/21@3', '13/21@13', 'wm 21'])
  h.watermark(40)
  expect(h.take()).toEqual(['23/40@23', '25/40@25', '33/40@33', '35/40@35', 'wm 40'])
})

test('M4 state in onTimer belongs to the key of the timer', () => {
  const step = keyed({ n: { kind: 'value' } }, ({ n }, ctx) => { ctx.state['n']?.update(n); ctx.timers.registerEventTimeTimer(100) }, (_, ctx, out) => out.collect(`${String(ctx.key)}=${String(ctx.state['n']?.value())}`))
  const h = new ChainHarness({ steps: [step], openState })
  h.records(row('a', 1), row('b', 2), row('c', 3)).watermark(100)
  expect(h.take().sort()).toEqual(['a=1@100', 'b=2@100', 'c=3@100', 'wm 100'])
})

test('M5 a processing-time timer fires once the clock is past its time; X10 its results have no timestamp, its side outputs have the timer’s', () => {
  const step = keyed({}, ({ n }, ctx) => ctx.timers.registerProcessingTimeTimer(n), (time, ctx, out) => {
    log(time, ctx, out)
    ctx.output({ kind: 'outputTag', id: 'side' }, 's')
  })
  const h = new ChainHarness({ steps: [step], leaving: [[0, 'side'], [0, undefined]], openState })
  h.records(row('a', 50), row('b', 20), row('b', 20))
  expect(h.time(20)).toBe(21)
  expect(h.take()).toEqual([])
  expect(h.time(21)).toBe(51)
  expect(h.take()).toEqual(['b 20 processing 20@-', 'side: s@20'])
  expect(h.time(1000)).toBe(Infinity)
  expect(h.take()).toEqual(['a 50 processing 50@-', 'side: s@50'])
})

test('M1 deleted timers do not fire', () => {
  const step = keyed({}, ({ n }, ctx) => {
    if (n > 0) { ctx.timers.registerEventTimeTimer(n); ctx.timers.registerProcessingTimeTimer(n) }
    else { ctx.timers.deleteEventTimeTimer(-n); ctx.timers.deleteProcessingTimeTimer(-n) }
  }, log)
  const h = new ChainHarness({ steps: [step], openState })
  h.records(row('a', 5), row('b', 5), row('a', -5), row('b', -6)).watermark(10)
  h.time(10)
  expect(h.take()).toEqual(['b 5 event 5@5', 'wm 10', 'b 5 processing 5@-'])
})

test('M8 at the end of input event-time timers fire, Infinity included; those of processing time are dropped', () => {
  const step = keyed({}, ({ n }, ctx) => { ctx.timers.registerEventTimeTimer(n); ctx.timers.registerEventTimeTimer(Infinity); ctx.timers.registerProcessingTimeTimer(n) }, log)
  const h = new ChainHarness({ steps: [step], openState })
  h.records(row('a', 5)).end()
  expect(h.time(1000)).toBe(Infinity)
  expect(h.take()).toEqual(['a 5 event 5@5', 'a Infinity event Infinity@Infinity', 'wm Infinity'])
})

test('M7 T17 timers and state come back with their key group at another parallelism; overdue processing time fires at once, event time waits', () => {
  const step = keyed({ n: { kind: 'value' } }, ({ n }, ctx) => { ctx.state['n']?.update(n); ctx.timers.registerEventTimeTimer(n); ctx.timers.registerProcessingTimeTimer(n) }, (time, ctx, out) => out.collect(`${String(ctx.key)} ${time} ${ctx.timeDomain} ${String(ctx.state['n']?.value())}`))
  const names = Array.from({ length: 40 }, (_, i) => `key ${i}`)
  const h = new ChainHarness({ steps: [step], openState })
  h.records(...names.map((name, i) => row(name, 100 + i))).watermark(50)
  const snapshot = h.snapshot(3)
  const fired: string[] = []
  let owners = 0
  for (const subtask of [0, 1, 2]) {
    const part = new ChainHarness({ steps: [step], openState, restore: [snapshot], subtask, parallelism: 3, now: 1000 })
    part.time(1000)
    const processing = part.take()
    expect(processing.every(line => line.includes('processing'))).toBe(true)
    part.watermark(99)
    expect(part.take()).toEqual(['wm 99'])
    part.watermark(200)
    const event = part.take().filter(line => !line.startsWith('wm'))
    expect(event.length).toBe(processing.length)
    if (event.length > 0) owners++
    fired.push(...event)
  }
  expect(owners).toBe(3)
  expect(fired.sort()).toEqual(names.map((name, i) => `${name} ${100 + i} event ${100 + i}@${100 + i}`).sort())
})

test('a snapshot holds the timers of its instant, whatever fires or is registered while it is written', () => {
  const h = new ChainHarness({ steps: [register], openState })
  h.records(row('a', 5), row('b', 6))
  const blocks: Snapshot['keyed'][number][] = []
  const run = h.chain.snapshot({ checkpointId: 1, timestamp: 0, kind: 'checkpoint' }, operatorId => ({ keyed: (state, keyGroup, bytes) => blocks.push({ operatorId, state, keyGroup, bytes }), list: () => {} }))
  h.watermark(5).records(row('c', 7))
  while (!run.step(1));
  const restored = new ChainHarness({ steps: [register], openState, restore: [{ checkpointId: 1, keyed: blocks, lists: [] }] })
  restored.watermark(100)
  expect(restored.take()).toEqual(['a 5 event 5@5', 'b 6 event 6@6', 'wm 100'])
})
