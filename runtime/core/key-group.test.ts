import { expect, test } from 'vitest'
import { seededRandom } from './random.ts'
import { canonicalKey, canonicalPair, isCanonicalPair, isPair, keyOfShortTuple, defaultMaxParallelism, keyGroupOf, keyGroupRangeOf, keyHash, murmurHash, subtaskOfKeyGroup } from './key-group.ts'

// Check values of Flink's own functions (reference: K1, K2).
test.for([
  ['a', 97, 1455541201, 81, [1, 1, 2, 5]],
  ['b', 98, 516420758, 22, [0, 0, 0, 1]],
  ['c', 99, 1219591486, 62, [0, 1, 1, 3]],
  ['hello', 99162322, 1715862179, 35, [0, 0, 1, 2]],
  ['world', 113318802, 2116508994, 66, [1, 1, 2, 4]],
  ['flink', 97520992, 1330823394, 98, [1, 2, 3, 6]],
  ['user-1', -836031825, 1662039673, 121, [1, 2, 3, 7]],
  [0, 0, 593689054, 94, [1, 2, 2, 5]],
  [42, 42, 1134849565, 29, [0, 0, 0, 1]],
  [-1, -1, 1982413648, 80, [1, 1, 2, 5]],
] as const)('K1 K2: key %j hashes to %i and belongs to the key group that Flink gives it', ([key, hash, murmur, group, subtasks]) => {
  expect(keyHash(key)).toBe(hash)
  expect(murmurHash(hash)).toBe(murmur)
  expect(keyGroupOf(key, 128)).toBe(group)
  expect([2, 3, 4, 8].map(p => subtaskOfKeyGroup(group, p, 128))).toEqual(subtasks)
})

test('K3: the ranges of all subtasks cover every key group once and agree with the owner', () => {
  for (const parallelism of [1, 2, 3, 4, 5, 7, 128]) {
    const seen: number[] = []
    for (let i = 0; i < parallelism; i++) {
      const { start, end } = keyGroupRangeOf(i, parallelism, 128)
      for (let g = start; g <= end; g++) {
        expect(subtaskOfKeyGroup(g, parallelism, 128)).toBe(i)
        seen.push(g)
      }
    }
    expect(seen).toEqual(Array.from({ length: 128 }, (_, g) => g))
  }
  expect([0, 1, 2].map(i => keyGroupRangeOf(i, 3, 128))).toEqual([{ start: 0, end: 42 }, { start: 43, end: 85 }, { start: 86, end: 127 }])
})

test('K4: the default max parallelism', () => {
  expect([1, 85, 86, 200, 40000].map(defaultMaxParallelism)).toEqual([128, 128, 256, 512, 32768])
})

test('K6: numbers, bigints, booleans and composites hash as their Java counterparts', () => {
  expect(keyHash(4294967296)).toBe(1) // Long: (int)(v ^ v >>> 32)
  expect(keyHash(4294967296n)).toBe(1)
  expect(keyHash(1.5)).toBe(1073217536) // Double.hashCode(1.5)
  expect(keyHash(true)).toBe(1231)
  expect(keyHash(['a', 1])).toBe((31 * (31 * 1 + 97) + 1) | 0) // Arrays.hashCode / List.hashCode
})

test('0 and -0 are one key, NaN is one key, and text never meets a composite', () => {
  expect(keyHash(-0)).toBe(keyHash(0))
  expect(Object.is(canonicalKey(-0), 0)).toBe(true)
  expect(canonicalKey([0])).toBe(canonicalKey([-0]))
  expect(canonicalKey({ a: 1, b: 'x' })).toBe(canonicalKey({ a: 1, b: 'x' }))
  expect(canonicalKey([1])).not.toBe(canonicalKey(['1']))
  for (const tuple of [[0, 0], [1, -1], [2 ** 31 - 1, -(2 ** 31)], [70_000, 3, -5]]) expect(keyOfShortTuple(canonicalKey(tuple))).toEqual(tuple)
  for (const other of [[1], [1, 'x'], [1, 0.5], [1, 2, 3, 4], { a: 1, b: 2 }, 'text', '\u0001\u0002text', 7, true]) expect(keyOfShortTuple(canonicalKey(other))).toBe(undefined)
  expect(canonicalKey(String(canonicalKey([1])))).not.toBe(canonicalKey([1]))
})

test('K1: a pair of whole numbers hashes as the polynomial over its parts, as every other composite key', () => {
  const parts = [0, -0, 1, -1, 20_000, 2 ** 31 - 1, -(2 ** 31)]
  for (const a of parts) for (const b of parts) expect(keyHash([a, b])).toBe(Number(BigInt.asIntN(32, (31n + BigInt(a)) * 31n + BigInt(b))))
  expect(keyHash({ a: 7, b: -3 })).toBe(keyHash([7, -3]))
})

test('a pair of whole numbers is told from every other key by its numbers', () => {
  const parts = [0, 1, -1, 65_535, 65_536, 2 ** 31 - 1, -(2 ** 31)]
  const pairs = parts.flatMap(a => parts.map((b): [number, number] => [a, b]))
  for (const [a, b] of pairs) {
    expect(canonicalPair(a, b)).toBe(canonicalKey([a, b]))
    expect(pairs.filter(other => isCanonicalPair(canonicalKey(other), a, b))).toEqual([[a, b]])
  }
  expect([[0, -0], [1, 2 ** 31], [1, 0.5], [1, NaN], [1], [1, 2, 3], ['1', 2], [1, undefined], { 0: 1, 1: 2, length: 2 }, '12', 1].map(isPair)).toEqual([true, ...Array.from({ length: 10 }, () => false)])
  for (const other of [[1, 2, 0], [[1, 2]], ['1', 2], '\u0001\u0002\u0000\u0001\u0000\u0002', 12, 12n, true]) expect(isCanonicalPair(canonicalKey(other), 1, 2)).toBe(false)
})

test('two keys have one canonical form just when they are equal, however they are nested', () => {
  const seed = 20_26
  const random = seededRandom(seed)
  const parts = [0, -0, 1, -1, 65_536, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 1.5, NaN, Infinity, 1n, -1n, true, false, '', '1', 'true', 'NaN', '1:1', ',', ']', '[1,]', '\u0001\u0002', '\u0000', 'ä\ud800']
  const key = (depth: number): unknown => {
    if (depth === 0 || random.chance(0.3)) return random.pick(parts)
    const inner = Array.from({ length: random.int(4) }, () => key(depth - 1))
    return random.chance(0.7) ? inner : Object.fromEntries(inner.map((part, i) => [random.pick(['a', 'b', '1:a=', `f${i}`]), part]))
  }
  // What JSON cannot tell apart is told apart; fields count in their order, as they do in the hash.
  const plain = (part: unknown): string => JSON.stringify(part, (_name, value: unknown) => (typeof value === 'bigint' ? `bigint ${value}` : typeof value === 'string' ? `text ${value}` : typeof value === 'number' && !Number.isFinite(value) ? `number ${value}` : value))
  const byCanonical = new Map<unknown, string>()
  const byText = new Map<string, unknown>()
  for (let i = 0; i < 30_000; i++) {
    const one = random.chance(0.4) ? Array.from({ length: 1 + random.int(3) }, () => random.pick(parts)) : key(3)
    const canonical = canonicalKey(one)
    const text = plain(one)
    expect(byCanonical.get(canonical) ?? text, `seed ${seed}, ${text}`).toBe(text)
    expect(byText.has(text) ? byText.get(text) : canonical, `seed ${seed}, ${text}`).toBe(canonical)
    byCanonical.set(canonical, text)
    byText.set(text, canonical)
  }
  expect(byText.size).toBeGreaterThan(5_000)
})

test('K7: what cannot be a key is refused with its path', () => {
  expect(() => keyHash(null)).toThrow('null cannot be a key')
  expect(() => keyHash(undefined)).toThrow('undefined cannot be a key')
  expect(() => canonicalKey({ a: [1, new Map()] })).toThrow(expect.objectContaining({ message: 'a Map cannot be a key', detail: 'Found at key.a[1].' }))
  expect(() => canonicalKey([1, undefined])).toThrow(expect.objectContaining({ message: 'undefined cannot be a key', detail: 'Found at key[1].' }))
})
