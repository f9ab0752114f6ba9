/** A scripted source: what the reader emits is a list of steps, one poll per inner list. */
import { expect, test } from 'vitest'
import type { PollResult, Source, SourceOutput, SourceReader } from '../api/connector.ts'
import type { ResolvedWatermarkStrategy } from '../api/time.ts'
import { PagedState } from '../state/memory/paged-state.ts'
import { ChainHarness, listItems, type HarnessOptions, type Step } from './chain-harness.ts'

const openState: HarnessOptions['openState'] = (keyGroups, maxParallelism) => new PagedState({ keyGroups, maxParallelism, memoryLimit: 1 << 30, store: undefined, clock: () => 0 })
const sizes = [{ batchSize: 1 }, { batchSize: 2 }, { batchSize: 512 }]

/** `split value@time`, `end split`, `split wm time`, or how the poll ends. */
type Script = readonly (string | Exclude<PollResult, string>)[]

/** Plays the polls in order; after the last it waits. */
function scripted(...polls: readonly Script[]) {
  const calls: string[] = []
  const splits: unknown[] = []
  const reader: SourceReader<unknown, unknown> = {
    start: () => calls.push('start'),
    addSplit: split => { calls.push(`split ${String(split)}`); splits.push(split) },
    noMoreSplits: () => calls.push('no more'),
    poll(out) {
      let result: PollResult = 'waiting'
      for (const step of polls[played++] ?? []) {
        if (step === 'more' || step === 'end' || step === 'waiting' || typeof step === 'object') result = step
        else play(step, out)
      }
      return result
    },
    snapshot: () => splits,
    close: () => calls.push('close'),
  }
  let played = 0
  const source: Source<unknown> = { kind: 'source', name: 'scripted', bounded: true, createEnumerator: () => { throw new Error('not here') }, createReader: () => reader }
  return { source, calls }
}
function play(step: string, out: SourceOutput<unknown>): void {
  const [first = '', second = '', third = ''] = step.split(' ')
  if (first === 'end') return out.endSplit(second)
  if (first !== '-') out.beginSplit(first)
  if (second === 'wm') return out.emitWatermark(Number(third))
  const [value, time] = second.split('@')
  if (time === undefined) out.collect(value)
  else out.collect(value, Number(time))
}

const bounded = (bound: number, idleness?: number): ResolvedWatermarkStrategy => ({ timestamp: undefined, policy: { kind: 'bounded', bound }, idleness })
const source = (from: Source<unknown>, strategy?: ResolvedWatermarkStrategy): Step => ({ kind: 'source', source: from, ...(strategy === undefined ? {} : { strategy }) })
const harness = (steps: Step[], options: Partial<HarnessOptions> = {}) => new ChainHarness({ steps, openState, ...options })

test.for(sizes)('T1 T2 watermarks come on the tick: largest - bound - 1, nothing before the first record: $batchSize', exchange => {
  const { source: s } = scripted(['a x@100', 'a y@90', 'more'], ['a z@105', 'more'])
  const h = harness([source(s, bounded(10))], { exchange })
  expect(h.time(200)).toBe(400)
  expect(h.take()).toEqual([])
  h.poll()
  expect(h.take()).toEqual(['x@100', 'y@90'])
  h.time(399)
  h.time(400)
  expect(h.take()).toEqual(['wm 89'])
  h.poll()
  h.time(600)
  expect(h.take()).toEqual(['z@105', 'wm 94'])
})

test('T1 monotonous timestamps are bound 0', () => {
  const h = harness([source(scripted(['a x@100']).source, bounded(0))])
  h.poll()
  h.time(200)
  expect(h.take()).toEqual(['x@100', 'wm 99'])
})

test.for(sizes)('T2 T16 a fast bounded source ends before any tick: only MAX appears, and once, the task may say it too: $batchSize', exchange => {
  const { source: s } = scripted(['a x@1', 'a y@2', 'end a', 'end'])
  const h = harness([source(s, bounded(0))], { exchange })
  expect(h.poll()).toBe('end')
  h.end()
  expect([h.take(), h.poll(), h.time(1000)]).toEqual([['x@1', 'y@2', 'wm Infinity'], 'end', Infinity])
})

test('X14 a subtask that never had a split ends with MAX', () => {
  const h = harness([source(scripted(['end']).source, bounded(0))])
  h.poll()
  expect(h.take()).toEqual(['wm Infinity'])
})

test.for(sizes)('T13 the watermark is the minimum over the splits; a finished split holds nothing back: $batchSize', exchange => {
  const { source: s } = scripted(['a a1@100', 'b b1@10', 'more'], ['b b2@20', 'more'], ['end b', 'more'])
  const h = harness([source(s, bounded(0))], { exchange })
  h.poll()
  h.time(200)
  h.poll()
  h.time(400)
  h.poll()
  expect(h.take()).toEqual(['a1@100', 'b1@10', 'wm 9', 'b2@20', 'wm 19', 'wm 99'])
})

test.for(sizes)('T3 a split that comes late cannot take the watermark back: $batchSize', exchange => {
  const { source: s } = scripted(['a a1@100', 'more'], ['b b1@10', 'more'], ['b b2@200', 'a a2@300', 'more'])
  const h = harness([source(s, bounded(0))], { exchange })
  for (const now of [200, 400, 600]) {
    h.poll()
    h.time(now)
  }
  expect(h.take()).toEqual(['a1@100', 'wm 99', 'b1@10', 'b2@200', 'a2@300', 'wm 199'])
})

test.for(sizes)('T5 a quiet split is idle after its idleness and holds nothing back; when all are, the source is; the next record ends it first: $batchSize', exchange => {
  const { source: s } = scripted(['a a1@100', 'b b1@10', 'waiting'], ['a a2@200', 'waiting'], ['b b2@150', 'waiting'])
  const h = harness([source(s, bounded(0, 500))], { exchange })
  h.poll()
  for (const now of [200, 400]) h.time(now)
  h.poll() // a again
  expect(h.take()).toEqual(['a1@100', 'b1@10', 'wm 9', 'a2@200'])
  for (const now of [600, 800]) h.time(now)
  expect(h.take()).toEqual(['wm 199']) // b idle since 200 + 500
  for (const now of [1000, 1200]) h.time(now)
  expect(h.take()).toEqual(['idle'])
  h.poll()
  h.time(1400)
  expect(h.take()).toEqual(['active', 'b2@150'])
})

test('T12 a source that has more but was not asked (back-pressure) does not become idle', () => {
  const { source: s } = scripted(['a a1@100', 'more'], ['a a2@101', 'waiting'])
  const h = harness([source(s, bounded(0, 500))])
  h.poll()
  for (let now = 200; now <= 3000; now += 200) h.time(now)
  expect(h.take()).toEqual(['a1@100', 'wm 99'])
  h.poll()
  for (let now = 3200; now <= 3800; now += 200) h.time(now)
  expect(h.take()).toEqual(['a2@101', 'wm 100', 'idle'])
})

test('T14 a subtask without splits is idle: at once when no more will come, else after a tick without one', () => {
  const done = harness([source(scripted(['waiting']).source, bounded(0))])
  done.chain.noMoreSplits('op0')
  done.poll()
  expect(done.take()).toEqual(['idle'])

  const { source: s } = scripted(['waiting'], ['a x@5', 'waiting'])
  const open = harness([source(s, bounded(0))])
  open.poll()
  open.time(199)
  expect(open.take()).toEqual([])
  open.time(200)
  expect(open.take()).toEqual(['idle'])
  open.poll()
  open.time(400)
  expect(open.take()).toEqual(['active', 'x@5', 'wm 4'])
})

test('T14 a split that has emitted nothing yet is waited for, unless it is quiet for its idleness', () => {
  for (const [idleness, expected] of [[undefined, []], [500, ['idle']]] as const) {
    const h = harness([source(scripted(['waiting'], ['waiting']).source, bounded(0, idleness))])
    h.chain.addSplit('op0', 'a')
    h.chain.noMoreSplits('op0')
    h.poll()
    for (const now of [200, 400, 600]) h.time(now)
    expect(h.take()).toEqual(expected)
  }
})

test.for(sizes)('a custom generator that marks record 7 splits the batch there: $batchSize', exchange => {
  const create = () => ({ onEvent: (value: unknown, timestamp: number) => (value === 'v7' ? timestamp : undefined), onPeriodic: () => undefined })
  const { source: s } = scripted([...Array.from({ length: 9 }, (_, i) => `a v${i + 1}@${i + 1}`), 'more'])
  const h = harness([source(s, { timestamp: undefined, policy: { kind: 'custom', create }, idleness: undefined })], { exchange })
  h.poll()
  expect(h.take().join(' ')).toBe('v1@1 v2@2 v3@3 v4@4 v5@5 v6@6 v7@7 wm 7 v8@8 v9@9')
})

test.for(sizes)('a source may emit watermarks itself: per split, in their place, instead of the generator’s: $batchSize', exchange => {
  for (const strategy of [undefined, bounded(0)]) {
    const { source: s } = scripted(['a x@5', 'a wm 3', 'a y@6', 'b z@1', 'a wm 7', 'b wm 4', 'more'])
    const h = harness([source(s, strategy)], { exchange })
    h.poll()
    h.time(200)
    expect(h.take()).toEqual(['x@5', 'wm 3', 'y@6', 'z@1', 'wm 4'])
  }
})

test('the strategy’s timestamps override those of the source; without a strategy records keep theirs, and there are no watermarks', () => {
  const timed = harness([source(scripted(['a 7@1', '- 8']).source, { ...bounded(0), timestamp: value => Number(value) * 10 })])
  timed.poll()
  expect(timed.take()).toEqual(['7@70', '8@80'])
  const plain = harness([source(scripted(['a 7@1', '- 8', 'waiting']).source)])
  plain.poll()
  expect(plain.time(1000)).toBe(Infinity)
  expect(plain.take()).toEqual(['7@1', '8@-'])
})

test.each([NaN, 1.5, Infinity, 2 ** 53, '7', undefined, null, 7n])('a timestamp %s fails the job, from the function and from the reader', timestamp => {
  const what = { code: 'MISSING_TIMESTAMP', hint: expect.stringContaining('whole number of epoch milliseconds') }
  const given = () => timestamp as number
  const policies = [bounded(0), { policy: { kind: 'custom' as const, create: () => ({ onEvent: () => undefined, onPeriodic: () => undefined }) }, idleness: undefined }]
  for (const policy of policies) {
    const broken = harness([source(scripted(['a 7@1']).source, { ...policy, timestamp: given })])
    expect(() => broken.poll()).toThrow(expect.objectContaining(what))
    for (const fusion of [true, false]) {
      const inMidStream = harness([{ kind: 'timestamps', strategy: { ...policy, timestamp: given } }], { exchange: { fusion } })
      expect(() => inMidStream.records(['a', 1])).toThrow(expect.objectContaining(what))
    }
  }
  // From a reader undefined means that the record has none.
  if (timestamp === undefined) return
  const emits: SourceReader<unknown, unknown> = { start() {}, addSplit() {}, noMoreSplits() {}, snapshot: () => [], poll: out => (out.collect('a', given()), 'waiting') }
  for (const strategy of [undefined, { ...bounded(0), timestamp: () => 1 }]) {
    const reader = harness([source({ ...scripted().source, createReader: () => emits }, strategy)])
    expect(() => reader.poll()).toThrow(expect.objectContaining(what))
  }
})

test('splits in progress are snapshotted one by one and given back, to other subtasks too, before the reader starts', () => {
  const first = scripted()
  const h = harness([source(first.source)])
  for (const split of ['a', 'b', 'c']) h.chain.addSplit('op0', split)
  const snapshot = h.snapshot(1)
  expect(listItems(snapshot, 'splits')).toEqual(['a', 'b', 'c'])
  const calls = [0, 1].map(subtask => {
    const part = scripted()
    harness([source(part.source)], { restore: [snapshot], subtask, parallelism: 2 })
    return part.calls
  })
  expect(calls).toEqual([['split a', 'split c', 'start'], ['split b', 'start']])
  h.chain.close()
  expect(first.calls).toEqual(['start', 'split a', 'split b', 'split c', 'close'])
})

test('what the source throws names it; a downstream error keeps its own name', () => {
  const { source: s } = scripted(['a x@1'])
  const broken: Source<unknown> = { ...s, createReader: () => ({ start() {}, addSplit() {}, noMoreSplits() {}, snapshot: () => [], poll: () => { throw new Error('no') } }) }
  expect(() => harness([{ ...source(broken), name: 'in' }]).poll()).toThrow('source "in" threw: no')
  const down = harness([source(s), { kind: 'map', name: 'm', fn: () => { throw new Error('down') } }], { exchange: { batchSize: 1 } })
  expect(() => down.poll()).toThrow('map "m" threw: down')
})

const fanOut = (fan: number): Step => ({ kind: 'flatMap', fn: (value, out) => { for (let i = 0; i < fan; i++) out.collect(value) } })
const fanOutAside = (fan: number): Step => ({ kind: 'process', fn: { process: (value, ctx) => { for (let i = 0; i < fan; i++) ctx.output({ kind: 'outputTag', id: 'side' }, value) } } })

/** How many records a source is asked for, poll by poll, if `fans` come of each in the chain; it has all that it is asked for. */
function asked(fan: number, leaving: readonly (readonly [number, string | undefined])[], available = Infinity, fans = fanOut(fan)): number[] {
  const sizes: number[] = []
  const reader: SourceReader<unknown, unknown> = {
    start: () => {},
    addSplit: () => {},
    noMoreSplits: () => {},
    poll(out, maxRecords) {
      sizes.push(maxRecords)
      for (let i = 0; i < Math.min(maxRecords, available); i++) out.collect(i)
      return 'more'
    },
    snapshot: () => [],
    close: () => {},
  }
  const from: Source<unknown> = { kind: 'source', name: 'asked', bounded: false, createEnumerator: () => { throw new Error('not here') }, createReader: () => reader }
  const h = harness([source(from), fans, { kind: 'filter', fn: () => true }], { leaving })
  for (let i = 0; i < 8; i++) h.poll(1024)
  return sizes
}

test.each([
  [1, [64, 128, 256, 512, 1024, 1024, 1024, 1024]],
  [10, [64, 128, 256, 512, 512, 512, 512, 512]],
  [1_000, [64, 8, 8, 8, 8, 8, 8, 8]],
  [20_000, [64, 1, 1, 1, 1, 1, 1, 1]],
])('a source is asked for less where a flatMap makes %i records of one: what leaves in a turn stays bounded', (fan, sizes) => {
  expect(asked(fan, [[2, undefined]])).toEqual(sizes)
})

test('by a side output too', () => {
  expect(asked(1_000, [[1, 'side']], Infinity, fanOutAside(1_000))).toEqual([64, 8, 8, 8, 8, 8, 8, 8])
})

test('what only passes on inside the chain waits nowhere: there may be more of it', () => {
  expect(asked(1_000, [])).toEqual([64, 64, 64, 64, 64, 64, 64, 64])
})

test('a source that has little is asked for no more than it has shown what becomes of', () => {
  expect(asked(1, [[2, undefined]], 10)).toEqual([64, 64, 64, 64, 64, 64, 64, 64])
})
