import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalPair } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { Entries } from './entries.ts'

type Step = { readonly key: CanonicalKey; readonly remove: boolean }

/** The same steps on a `Map`, which is what this stands for. */
function run(steps: readonly Step[], hashOf: (key: CanonicalKey) => number): void {
  const entries = new Entries()
  const expected = new Map<CanonicalKey, number>()
  steps.forEach(({ key, remove }, i) => {
    if (remove) {
      entries.delete(key, hashOf(key))
      expected.delete(key)
    } else {
      const position = entries.find(key, hashOf(key))
      if (position < 0) entries.insert(key, hashOf(key), i, i + 1)
      else {
        entries.setAt(position, i)
        entries.setStamp(position, i + 1)
      }
      expected.set(key, i)
    }
    expect(entries.size).toBe(expected.size)
    expect(entries.get(key, hashOf(key))).toBe(expected.get(key))
  })
  const keys = entries.keys()
  const values = entries.values()
  const hashes = entries.hashes()
  expect(new Map(keys.map((key, i) => [key, values[i] as number]))).toEqual(expected)
  expect(keys).toHaveLength(expected.size)
  expect(hashes).toEqual(keys.map(hashOf))
  expect(entries.stamps()).toEqual(values.map(value => (value as number) + 1))
  for (const [key, value] of expected) expect(entries.get(key, hashOf(key))).toBe(value)
}

const keys = fc.oneof(fc.integer({ min: 0, max: 400 }), fc.string({ maxLength: 2 }), fc.constantFrom(NaN, true, false, 1n, '1', 1))
const steps = fc.array(fc.record({ key: keys, remove: fc.boolean() }), { maxLength: 1500 })
const spread = (key: CanonicalKey) => Math.imul(String(key).split('').reduce((hash, each) => hash * 31 + each.charCodeAt(0), 7), 0x85ebca6b) | 0

test.each<[string, (key: CanonicalKey) => number]>([
  ['hashes as they come', spread],
  ['hashes that differ in their lowest bits only', key => spread(key) & 3],
  ['hashes that differ in their highest bits only', key => spread(key) & -0x10000000],
  ['hashes that are all equal', () => 42],
])('does what a Map does, with %s', (_, hashOf) => {
  fc.assert(fc.property(steps, list => run(list, hashOf)), { numRuns: 60 })
})

test('gaps go: a page whose entries come and go does not grow', () => {
  run(Array.from({ length: 20_000 }, (_, i): Step => ({ key: `k${(i >> 1) % 7000}`, remove: i % 2 === 1 })).concat({ key: 'last', remove: false }), spread)
})

test.each([0, 1, 8, 9, 200, 700])('room for %i entries is made at once, and what is there stays', more => {
  for (const before of [0, 3, 8, 40]) {
    const entries = new Entries()
    for (let i = 0; i < before; i++) entries.insert(i, spread(i), `old ${i}`, i)
    entries.reserve(more)
    for (let i = before; i < before + more; i++) entries.insert(i, spread(i), `new ${i}`, i)
    expect(entries.size).toBe(before + more)
    for (let i = 0; i < before + more; i++) {
      const at = entries.find(i, spread(i))
      expect([entries.valueAt(at), entries.stampAt(at)]).toEqual([`${i < before ? 'old' : 'new'} ${i}`, i])
    }
    expect(entries.find(-1, spread(-1))).toBe(-1)
  }
})

test.each<[string, (key: CanonicalKey) => number]>([['their hashes', spread], ['equal hashes', () => 42]])('pairs are found by their numbers among other keys, with %s', (_, hashOf) => {
  for (const count of [3, 8, 100]) {
    const entries = new Entries()
    for (let i = 0; i < count; i++) {
      entries.insert(canonicalPair(i, -i), hashOf(canonicalPair(i, -i)), i)
      entries.insert(i, hashOf(i), 'a number')
    }
    for (let i = 0; i < count; i++) expect(entries.valueAt(entries.findPair(i, -i, hashOf(canonicalPair(i, -i))))).toBe(i)
    expect(entries.findPair(1, 1, hashOf(canonicalPair(1, 1)))).toBe(-1)
  }
})
