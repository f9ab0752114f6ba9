/** A pack against a plain list of what it should hold; through the table, packs are the matter of `keyed-state.test.ts`. */
import { expect, test } from 'vitest'
import { seededRandom, type Random } from '../../core/random.ts'
import { differs, oddValues } from '../../codec/test-values.ts'
import { SharedShapes } from '../../codec/shared-shapes.ts'
import { Pack } from './pack.ts'
import { BodyReader, bodiesIn, Records } from './records.ts'

const shapes = new SharedShapes()

interface Held {
  readonly hash: number
  readonly key: string
  value: unknown
}

/** What is in, in order. */
function contents(pack: Pack): Held[] {
  return Array.from({ length: pack.count }, (_, row) => row).filter(row => pack.isIn(row)).map(row => {
    const body = new BodyReader(pack.bytes, pack.bodyAt(row), shapes)
    return { hash: pack.hashAt(row), key: body.key as string, value: body.next() }
  })
}

function put(pack: Pack, entries: readonly Held[]): void {
  const records = new Records('state "test"', shapes)
  for (const { hash, key, value } of entries) records.add(hash, key, value)
  pack.takeIn(records)
}

const valueOf = (random: Random, key: string) =>
  random.pick([() => random.int(300), () => ({ word: key, count: random.int(100_000) }), () => 'x'.repeat(random.int(random.pick([10, 100, 400]))), () => [key, null, { deep: { of: key } }]])()

test.each([1, 2, 3, 4, 5, 6, 7, 8])('holds what was put into it, in order, whatever is taken out, changed and dropped: seed %i', seed => {
  const random = seededRandom(seed)
  let pack = new Pack()
  let held: Held[] = []
  let out: Held[] = []
  let named = 0
  // Few hashes, so that many are equal. Bit 0 is the pack's own.
  const hashes = random.pick([2, 50, 1_000_000_000])
  for (let step = 0; step < 600; step++) {
    for (let taken = random.int(5); taken > 0 && pack.count > pack.out; taken--) {
      const wanted = random.pick(held.filter(each => !out.includes(each)))
      let row = pack.find(wanted.hash, 0)
      for (; row >= 0; row = pack.find(wanted.hash, row + 1)) if (new BodyReader(pack.bytes, pack.bodyAt(row), shapes).key === wanted.key) break
      expect(row).toBeGreaterThanOrEqual(0)
      pack.takeOut(row)
      out.push(wanted)
    }
    if (random.chance(0.3)) {
      const dropped = out.filter(() => random.chance(0.3))
      const changed = out.filter(each => !dropped.includes(each))
      for (const each of changed) each.value = valueOf(random, each.key)
      const fresh = Array.from({ length: random.int(12) }, (): Held => {
        const key = `key ${named++}`
        return { hash: random.int(hashes) * 2, key, value: valueOf(random, key) }
      })
      put(pack, [...changed, ...fresh])
      held = [...held.filter(each => !dropped.includes(each)), ...fresh]
      out = []
      expect(new Map(contents(pack).map(each => [each.key, each]))).toEqual(new Map(held.map(each => [each.key, each])))
      expect(pack.out).toBe(0)
      if (hashes > 50) expect(contents(pack).map(each => each.key)).toEqual(held.map(each => each.key))
      const live = bodiesIn(pack.recordsWith(new Records('state "test"', shapes), 0), shapes).map(body => [body.key, body.next()])
      expect(live).toEqual(contents(pack).map(({ key, value }) => [key, value]))
      if (random.chance(0.2)) {
        const again = Pack.fromBlob(pack.toBlob())
        expect(contents(again as Pack)).toEqual(contents(pack))
        pack = again as Pack
      }
    }
    if (random.chance(0.01) && held.length > 40) {
      const bit = 2 << random.int(6)
      held = held.filter(each => !out.includes(each) && (each.hash & bit) === 0)
      out = []
      const { low, high } = pack.split(bit)
      expect(low.count + high.count).toBe(pack.count - pack.out)
      expect(contents(high).every(({ hash }) => (hash & bit) !== 0)).toBe(true)
      pack = low
      expect(new Set(contents(pack).map(each => each.key))).toEqual(new Set(held.map(each => each.key)))
    }
  }
  expect(named).toBeGreaterThan(300)
})

test('every value comes back equal, also where it holds its own key', () => {
  for (const [name, value] of oddValues) {
    const pack = new Pack()
    put(pack, [{ hash: 2, key: 'key', value }, { hash: 4, key: 'key', value: { key: 'key', nested: [value, 'key'] } }])
    const [plain, nested] = contents(pack)
    expect(differs(value, plain?.value), name).toBeUndefined()
    expect(differs({ key: 'key', nested: [value, 'key'] }, nested?.value), name).toBeUndefined()
  }
})

test('what cannot be stored is refused by its path, and what is packed afterwards is whole', () => {
  const records = new Records('state "test"', shapes)
  expect(() => records.add(2, 'key', { run: [() => {}] })).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_VALUE', detail: expect.stringContaining('run[0]') }))
  const pack = new Pack()
  records.clear().add(2, 'key', { run: [1] })
  pack.takeIn(records)
  expect(contents(pack)).toEqual([{ hash: 2, key: 'key', value: { run: [1] } }])
})

test('a counter takes a tenth of what it takes as objects, and its place is used again', () => {
  const pack = new Pack()
  const counters = Array.from({ length: 200 }, (_, i): Held => ({ hash: i * 2, key: `word-${10_000_000 + i}`, value: { word: `word-${10_000_000 + i}`, count: 1 } }))
  put(pack, counters)
  const bytes = pack.byteLength
  expect(bytes / 200).toBeLessThan(36)
  for (let round = 0; round < 50; round++) {
    for (const row of [3, 70, 199]) pack.takeOut(row)
    put(pack, [3, 70, 199].map(i => ({ ...counters[i] as Held, value: { word: counters[i]?.key, count: round } })))
  }
  expect(pack.byteLength).toBe(bytes)
})

test('a blob with a byte that has changed, or cut short, is noticed', () => {
  const pack = new Pack()
  put(pack, [{ hash: 2, key: 'a', value: 1 }, { hash: 4, key: 'b', value: { b: 2 } }])
  const blob = pack.toBlob()
  for (let i = 0; i < blob.length; i++) {
    const damaged = blob.slice()
    damaged[i] = (damaged[i] as number) ^ 4
    expect(Pack.fromBlob(damaged)).toBeUndefined()
    expect(Pack.fromBlob(blob.subarray(0, i))).toBeUndefined()
  }
  expect(contents(Pack.fromBlob(blob) as Pack)).toHaveLength(2)
})
