/**
 * Tables that are written by `update`: objects of numbers lie in rows (`memory/row-entries.ts`), and nobody can see it. Whatever else
 * comes in between, a plain map and every snapshot of one instant agree with state.
 */
import { describe, expect, test } from 'vitest'
import { canonicalKey, keyGroupOf } from '../core/key-group.ts'
import { seededRandom, type Random } from '../core/random.ts'
import type { KeyedBlock, KeyedStateBackend } from '../operators/keyed-state.ts'
import { largestRowPage } from './memory/page.ts'
import { backends, collect, maxParallelism, open, settle, type BackendCase } from './test-state.ts'

const copy = (value: unknown) => structuredClone(value)
const name = (key: unknown) => `${typeof key} ${String(key)}`
const sorted = (entries: Iterable<readonly [unknown, unknown]>) => [...entries].map(([key, value]) => [canonicalKey(key), value] as const).sort((a, b) => (name(a[0]) < name(b[0]) ? -1 : 1))

/** Kinds of keys, alone and mixed. */
const keyKinds = {
  'whole numbers': (n: number) => n * 7 - 50,
  'pairs of whole numbers': (n: number) => [n, -n * n],
  text: (n: number) => (n % 9 === 0 ? `\u0001${n}` : `key ${n}`),
  'triples and other tuples': (n: number) => (n % 2 === 0 ? [n, 1, 2] : [n, 'x']),
  'of all kinds': (n: number) => [n, [n, n], `${n}`, [n, n, n], n / 2, n % 2 === 0, { n }][n % 7],
} as const

/** Values that rows can hold, that make their layout wider, and that have to be objects. */
const rare = [[{ a: 1, b: 2 }], [{ a: 1, b: 2 }, { a: 3, b: 4 }], [], { a: 1, b: -0 }, { a: NaN, b: 2 }, { a: Infinity, b: 2 ** 40 }, { b: 1, a: 2 }, { a: 1 }, { a: 1, b: 2, c: 3 }, { a: 1, b: 'x' }, { a: 1, b: null }, 7, 'text', [1, 2], { a: 1, b: { c: 1 } }]
const wide = rare.slice(3, 6)

describe.each(backends)('rows, $name', backendCase => {
  test.each(Object.keys(keyKinds) as (keyof typeof keyKinds)[])('keys are %s: random use agrees with a plain map, and snapshots are of one instant', async kind => {
    const seed = Number(process.env['SEED'] ?? 4711)
    for (let round = 0; round < 6; round++) {
      try {
        // Of the rounds one has only what fits, one what makes rows wider, one everything: of objects, and of lists of one.
        const inList = round >= 3
        const others = [[], wide, rare][round % 3] as readonly unknown[]
        await modelRound(backendCase, seededRandom(seed + round), keyKinds[kind], inList && round < 5 ? others.map(other => [other]) : others, inList)
      } catch (error) {
        throw new Error(`seed ${seed}, round ${round} (run again with SEED=${seed})`, { cause: error })
      }
    }
  })

  test('keys whose hashes are all equal, and what is given stays the caller\'s', () => {
    const backend = open(backendCase)
    const values = backend.values('v')
    // "Aa" and "BB" hash alike in Java.
    const keys = Array.from({ length: 256 }, (_, i) => i.toString(2).padStart(8, '0').replaceAll('0', 'Aa').replaceAll('1', 'BB'))
    const value = { n: 0 }
    for (let round = 0; round < 2; round++) {
      keys.forEach((key, i) => {
        backend.setCurrentKey(key)
        value.n = i + round
        values.update(0, value, copy)
        value.n = -1
        expect(values.get(0)).toEqual({ n: i + round })
      })
    }
    expect([...values.entries(0)]).toHaveLength(256)
  })
})

test('what is read of a row is a copy', () => {
  const backend = open(backends[0])
  const values = backend.values('v')
  for (let i = 0; i < 1000; i++) {
    backend.setCurrentKey(i)
    values.update(0, { a: i, b: 2 }, copy)
  }
  const read = values.get(0) as { a: number }
  read.a = -1
  expect(values.get(0)).toEqual({ a: 999, b: 2 })
  values.update(0, read, copy)
  expect(values.get(0)).toEqual({ a: -1, b: 2 })
})

test('each value keeps the order of its own fields', () => {
  const backend = open(backends[0])
  const values = backend.values('v')
  const valueOf = (i: number) => (i % 7 === 3 && i > 500 ? { b: 2, a: i } : { a: i, b: 2 })
  for (let i = 0; i < 1000; i++) {
    backend.setCurrentKey(i)
    values.update(0, valueOf(i), copy)
  }
  for (let i = 0; i < 1000; i++) {
    backend.setCurrentKey(i)
    expect(JSON.stringify(values.get(0))).toBe(JSON.stringify(valueOf(i)))
  }
})

test('many rows of one key group: snapshots of one instant while they change, and a value that is no row among them', () => {
  const [hashmap, lmdb] = [open(backends[0]), open(backends[1])]
  const values = hashmap.values('v')
  const keys = Array.from({ length: 200_000 }, (_, i) => i).filter(key => keyGroupOf(key, maxParallelism) === 5)
  expect(keys.length).toBeGreaterThan(2 * largestRowPage)
  const put = (key: number, value: unknown) => {
    hashmap.setCurrentKey(key)
    values.update(0, value, copy)
  }
  const model = new Map<number, unknown>()
  const chain: KeyedBlock[] = []
  for (const [link, round] of [0, 1, 2].entries()) {
    keys.forEach((key, i) => {
      if (round > 0 && i % 7 !== round) return
      const value = round === 2 && i === 9 ? { a: 'text' } : { a: key, b: round }
      put(key, value)
      model.set(key, value)
    })
    const { blocks, sink } = collect()
    const run = hashmap.startSnapshot(sink, { checkpointId: link + 1, since: link === 0 ? undefined : link })
    expect(run.since).toBe(link === 0 ? undefined : link)
    for (let i = 0; !run.step(20); i++) {
      const key = keys[(i * 37) % keys.length] as number
      put(key, { a: -1, b: -1 })
      hashmap.setCurrentKey(keys[(i * 41) % keys.length])
      values.remove(0)
    }
    chain.push(...blocks.map(block => ({ ...block, link })))
    for (const backend of [open(backends[0]), link === 2 ? lmdb : open(backends[1])]) {
      backend.restore(chain, link + 1)
      expect(sorted(backend.values('v').entries(0))).toEqual(sorted(model))
    }
    model.clear()
    for (const [key, value] of values.entries(0)) model.set(key as number, copy(value))
  }
})

test('a page that is read alone is not part of what has changed', async () => {
  const backend = open(backends[0])
  const values = backend.values('v')
  for (let i = 0; i < 1000; i++) {
    backend.setCurrentKey([i, i])
    values.update(0, { a: i }, copy)
  }
  const first = collect()
  while (!backend.startSnapshot(first.sink, { checkpointId: 1, since: undefined }).step(Infinity)) {}
  for (let i = 0; i < 1000; i++) {
    backend.setCurrentKey([i, i])
    values.get(0)
  }
  backend.setCurrentKey([5, 5])
  values.update(0, { a: -5 }, copy)
  const second = collect()
  while (!backend.startSnapshot(second.sink, { checkpointId: 2, since: 1 }).step(Infinity)) {}
  await settle(backend)
  expect(second.blocks).toHaveLength(1)
})

async function modelRound(backendCase: BackendCase, random: Random, keyOf: (n: number) => unknown, others: readonly unknown[], inList: boolean): Promise<void> {
  const backend = open(backendCase)
  const values = backend.values('v')
  const model = new Map<unknown, readonly [key: unknown, value: unknown]>()
  const range = random.pick([60, 1000, 2000])
  let run: ReturnType<KeyedStateBackend['startSnapshot']> | undefined
  let blocks: KeyedBlock[] = []
  let expected: (readonly [unknown, unknown])[] = []
  let checkpointId = 0
  let changes = 0
  /** Blocks of complete snapshots, with those that they go on from before them. */
  const complete = new Map<number, readonly KeyedBlock[]>()
  for (let step = 0; step < 2_500; step++) {
    const key = keyOf(random.int(range))
    backend.setCurrentKey(key)
    const choice = random.int(1000)
    if (choice < 900) {
      const held = values.get(0)
      expect(held).toEqual(model.get(canonicalKey(key))?.[1])
      let value: unknown = inList ? [{ a: step, b: -step }] : { a: step, b: -step }
      if (others.length > 0 && random.chance(0.01)) value = copy(random.pick(others))
      else if (typeof held === 'object' && random.chance(0.5)) {
        // Changed in place before it is given back, as user code does.
        if (!Array.isArray(held)) (held as { a: number }).a = step
        else if (random.chance(others === rare ? 0.02 : 0)) held.push({ a: 0, b: step })
        else held[0] = { ...held[0], a: step }
        value = held
      }
      if (value === held || random.chance(0.7)) {
        model.set(canonicalKey(key), [key, copy(value)])
        values.update(0, value, (given, old) => (given === old ? given : copy(given)))
      }
    } else if (choice < 930) {
      values.remove(0)
      model.delete(canonicalKey(key))
    } else if (choice < 960) {
      backend.maintain()
    } else if (choice < 980) {
      await new Promise(resolve => setImmediate(resolve))
    } else if (run === undefined) {
      blocks = []
      expected = sorted([...model.values()].map(([held, value]) => [held, copy(value)] as const))
      const since = [...complete.keys()].at(-1)
      run = backend.startSnapshot({ keyed: (state, keyGroup, bytes) => void blocks.push({ state, keyGroup, bytes }), list: () => {} }, { checkpointId: ++checkpointId, since })
      if (run.since !== undefined) changes++
    } else if (run.step(200)) {
      const before = run.since === undefined ? [] : (complete.get(run.since) as readonly KeyedBlock[])
      const link = before.length === 0 ? 0 : Math.max(...before.map(block => block.link ?? 0)) + 1
      const chain = [...before, ...blocks.map(block => ({ ...block, link }))]
      complete.set(checkpointId, chain)
      run = undefined
      const restored = open(backendCase)
      restored.restore(chain, checkpointId)
      expect(sorted(restored.values('v').entries(0))).toEqual(expected)
      // What was restored goes into rows when it is used.
      for (const [held, value] of [...model.values()].slice(0, 40)) {
        restored.setCurrentKey(held)
        restored.values('v').update(0, value, copy)
        expect(restored.values('v').get(0)).toEqual(value)
      }
    }
  }
  expect(sorted(values.entries(0))).toEqual(sorted(model.values()))
  expect(complete.size).toBeGreaterThan(0)
  expect(changes).toBeGreaterThan(0)
}
