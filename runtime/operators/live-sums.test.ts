/** Sums that are found past state: nobody can tell, neither by what is emitted nor by what a snapshot holds. */
import { expect, test } from 'vitest'
import { seededRandom, type Random } from '../core/random.ts'
import { spreadKeyHash } from '../core/key-group.ts'
import { PagedState } from '../state/memory/paged-state.ts'
import { MemoryPageStore } from '../testing/memory-page-store.ts'
import { ChainHarness, fieldKey } from './chain-harness.ts'
import type { KeyedBlock } from './keyed-state.ts'
import { LiveSums } from './live-sums.ts'

interface Row {
  k: unknown
  note?: string | null
  tags?: string[]
  n: number
}
const sum = { kind: 'reduce', sumOf: 'n', key: fieldKey('k'), fn: (a: unknown, b: unknown) => ({ ...(a as Row), n: (a as Row).n + (b as Row).n }) } as const
const limits = { 'all in memory': 1 << 30, 'some packed': 20_000, 'some in the store': 2_000 }

// "Aa" and "BB" have one hash.
const texts = ['Aa', 'BB', 'AaAa', 'BBBB', 'AaBB', 'BBAa']
const keys: unknown[] = [...texts, ...texts.map(text => `a text that is cut from others ${text}`), 0, 7, -1, 2 ** 40, 1.5, 7n, true, ...Array.from({ length: 600 }, (_, i) => `key-${i}`), [1, 'x'], { a: 1 }]

function randomRow(random: Random): Row {
  // Few keys often, all of them now and then.
  const k = random.chance(0.8) ? keys[random.int(40)] : random.pick(keys)
  const n = random.pick([1, 2, -3, 0.5, -0, 2 ** 31])
  const sort = random.int(20)
  return sort === 0 ? { n, k } : sort === 1 ? { k, tags: ['a'], n } : sort === 2 ? { k, note: null, n } : { k, note: `of ${nameOf(k)}`, n }
}

function batchOf(rows: readonly Row[]) {
  return { size: rows.length, values: [...rows], timestamps: Float64Array.from(rows, (_, i) => i), keyHashes: Int32Array.from(rows, ({ k }) => spreadKeyHash(k)) }
}

const nameOf = (k: unknown) => (typeof k === 'object' ? JSON.stringify(k) : `${typeof k} ${k as string}`)

test.for(Object.entries(limits))('emitted are the sums, and a snapshot holds those of its barrier whatever comes while it is written: %s', ([, memoryLimit]) => {
  for (const seed of [1, 2, 3]) {
    const random = seededRandom(seed)
    const open = (keyGroups = { start: 0, end: 127 }) => new PagedState({ keyGroups, maxParallelism: 128, memoryLimit, store: new MemoryPageStore(), clock: () => 0, alwaysChanges: true })
    const h = new ChainHarness({ steps: [sum], openState: open })
    const expected = new Map<string, Row>()
    const files = new Map<number, { readonly since: number | undefined; readonly blocks: KeyedBlock[] }>()
    const process = () => {
      const rows = Array.from({ length: 1 + random.int(60) }, () => randomRow(random))
      const sums = rows.map(row => {
        const name = nameOf(row.k)
        const before = expected.get(name)
        const after = before === undefined ? row : { ...before, n: before.n + row.n }
        expected.set(name, after)
        return after
      })
      const from = h.values.length
      h.chain.processBatch(batchOf(structuredClone(rows)), 0)
      expect(h.values.slice(from), `seed ${seed}`).toEqual(sums)
      // Nobody who was given a sum sees the next one.
      expect(h.values.slice(0, from)).toEqual(emitted)
      emitted = structuredClone(h.values)
    }
    let emitted: unknown[] = []
    for (let checkpointId = 1; checkpointId <= 8; checkpointId++) {
      for (let i = random.int(8); i >= 0; i--) {
        process()
        if (random.chance(0.5)) h.chain.maintain()
      }
      h.values.length = 0
      emitted = []
      const barrier = { checkpointId, timestamp: 0, kind: 'checkpoint', since: checkpointId > 1 ? checkpointId - 1 : undefined } as const
      const blocks: KeyedBlock[] = []
      const atBarrier = new Map(expected)
      const run = h.chain.snapshot(barrier, () => ({ keyed: (state, keyGroup, bytes) => void blocks.push({ state, keyGroup, bytes }), list: () => {} }))
      while (!run.step(10)) {
        if (random.chance(0.3)) process()
        if (random.chance(0.3)) h.chain.maintain()
      }
      const since = run.since?.['op0']
      files.set(checkpointId, { since, blocks })
      // Read back, with all that it goes on from.
      const chain: KeyedBlock[][] = []
      for (let id: number | undefined = checkpointId; id !== undefined; id = files.get(id)?.since) chain.unshift(files.get(id)?.blocks ?? [])
      const restored = open()
      restored.restore(chain.flatMap((each, link) => each.map(block => ({ ...block, link }))), checkpointId)
      expect(new Map([...restored.values('reduce').entries(0)].map(([k, row]) => [nameOf(k), row])), `seed ${seed}`).toEqual(atBarrier)
    }
  }
})

test('what is found is of this key, this hash and this age', () => {
  const sums = LiveSums.of('n') as LiveSums
  expect(sums.begin(1)).toBe(true)
  const held = { k: 'a', n: 1 }
  sums.note('a', 5, held, 1)
  expect([sums.find('a', 5, 1), sums.find('b', 5, 1), sums.find('a', 6, 1), sums.find('a', 5, 2)]).toEqual([held, undefined, undefined, undefined])
  expect([sums.add(held, { k: 'x', n: 2 }), held]).toEqual([{ k: 'a', n: 3 }, { k: 'a', n: 3 }])
})

test.for([
  ['another set of names', { k: 'b', m: 1, n: 1 }],
  ['names in another order', { n: 1, k: 'b' }],
  ['a field that is no primitive', { k: ['b'], n: 1 }],
  ['null in a field', { k: null, n: 1 }],
  ['an object of a class', new (class { k = 'b'; n = 1 })()],
  ['no object', 1],
])('not noted is %s', ([, other]) => {
  const sums = LiveSums.of('n') as LiveSums
  sums.begin(1)
  sums.note('a', 1, { k: 'a', n: 1 }, 0)
  sums.note('b', 2, other, 0)
  expect(sums.find('b', 2, 0)).toBeUndefined()
})

test('all keys but a few of a crowd are found, however many have come before: what finds no room takes the place of an older one', () => {
  const sums = LiveSums.of('n') as LiveSums
  sums.begin(1)
  const found = (from: number) => {
    let count = 0
    for (let i = from; i < from + 10_000; i++) if ((sums.find(i, spreadKeyHash(i), 0) as Row | undefined)?.k === i) count++
    return count
  }
  for (let from = 0; from < 100_000; from += 10_000) {
    for (let i = from; i < from + 10_000; i++) sums.note(i, spreadKeyHash(i), { k: i, n: 0 }, 0)
    expect(found(from)).toBeGreaterThan(8_500)
  }
  expect(found(0)).toBeLessThan(5_000)
})

test('where little is found nothing is looked for, until the next try', () => {
  const sums = LiveSums.of('n') as LiveSums
  let looked = 0
  for (let i = 0; i < 8_000_000; i += 512) {
    if (!sums.begin(512)) continue
    looked += 512
    if (sums.find('a', 1, i) === undefined) sums.note('a', 1, { k: 'a', n: 0 }, i)
    for (let k = 1; k < 512; k++) sums.find(k, k, i)
  }
  // Tries of 64 Ki keys, at 0, 1, 3 and 7 million.
  expect(Math.round(looked / (64 * 1024))).toBe(4)
})
