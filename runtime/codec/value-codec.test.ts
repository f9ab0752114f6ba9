import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FlinkError } from '../core/errors.ts'
import { seededRandom } from '../core/random.ts'
import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import { copyValue, createCopier, ownText } from './copy.ts'
import { anyValue, differs, oddValues, refusedValues } from './test-values.ts'
import { plainText, text } from './text.ts'
import { SharedShapes } from './shared-shapes.ts'
import { ValueReader } from './value-reader.ts'
import { ValueWriter } from './value-writer.ts'
import { appendValue, decodeEntries, decodeValue, encodeEntries, encodeValue } from './value-codec.ts'

/** `CODEC_SEED=123` repeats a run. */
const seed = Number(process.env['CODEC_SEED']) || Math.trunc(Math.random() * 2 ** 31)
console.log(`codec values: CODEC_SEED=${seed}`)

test.for(oddValues)('%s arrives equal, and is copied equal', ([, value]) => {
  const bytes = encodeValue(value, 'record')
  expect(differs(value, decodeValue(bytes))).toBeUndefined()
  expect(encodeValue(decodeValue(bytes), 'record')).toEqual(bytes)
  const copy = createCopier()
  for (const copied of [copyValue(value, 'record'), copy(value), copy(value), createCopier({ ownText: true })(value)]) {
    expect(differs(value, copied)).toBeUndefined()
    if (typeof value === 'object' && value !== null) expect(copied).not.toBe(value)
  }
})

test.for(refusedValues)('%s is refused with its path', ([name, value, at, thing]) => {
  const attempts = [() => encodeValue(value, 'record'), () => encodeEntries([1, 2], [1, value], 'record')]
  // What an object deep inside hides is looked for where it is encoded, not where it is copied.
  if (name !== 'a nested accessor' && name !== 'a symbol as a name') attempts.push(() => copyValue(value, 'record') as never, () => createCopier()(value) as never)
  for (const attempt of attempts) {
    const error = thrown(attempt)
    expect(error).toBeInstanceOf(FlinkError)
    expect(error).toMatchObject({ code: 'UNSUPPORTED_VALUE', detail: `Found at record${at}.` })
    expect((error as FlinkError).message).toContain(thing)
  }
})

test('10,000 random values arrive equal, alone and as pages, and equal values give equal bytes', () => {
  fc.assert(
    fc.property(fc.array(anyValue, { minLength: 1, maxLength: 20 }), values => {
      for (const value of values) {
        const bytes = encodeValue(value, 'v')
        const back = decodeValue(bytes)
        expect(differs(value, back)).toBeUndefined()
        expect(encodeValue(copyValue(value, 'v'), 'v')).toEqual(bytes)
        expect(differs(value, createCopier()(value))).toBeUndefined()
      }
      const keys = values.map((_, i) => `k${i}`)
      const page = encodeEntries(keys, values)
      const back = decodeEntries(page)
      expect(differs({ keys, values }, back)).toBeUndefined()
      expect(encodeEntries(back.keys, back.values)).toEqual(page)
    }),
    { seed, numRuns: 1000 },
  )
})

test('random pages have the same bytes in whatever order they are encoded', () => {
  const item = fc.oneof(fc.record({ x: fc.integer(), y: fc.constantFrom(1, 0.5, null) }), fc.constantFrom(1, 'text'))
  const list = fc.oneof(fc.array(fc.integer(), { maxLength: 2 }), fc.array(fc.record({ x: fc.integer(), y: fc.integer() }), { maxLength: 2 }), fc.array(item, { maxLength: 2 }))
  const field = fc.oneof(fc.integer(), fc.constantFrom(0.5, 2, null, undefined, 'text', true), list)
  const entry = fc.oneof(fc.record({ a: field, b: fc.integer() }), fc.record({ a: fc.integer(), b: fc.oneof(fc.integer(), fc.double()) }, { requiredKeys: ['a'] }), field)
  const pages = fc.array(fc.oneof(fc.array(list, { maxLength: 4 }), fc.array(entry, { maxLength: 4 }), fc.array(fc.record({ a: fc.integer(), b: fc.integer() }))), { minLength: 2, maxLength: 6 })
  fc.assert(
    fc.property(pages, all => {
      const encode = (page: unknown[]) => encodeEntries(page.map((_, i) => i), page)
      const forwards = all.map(encode)
      expect(all.toReversed().map(encode).toReversed()).toEqual(forwards)
      for (const [i, page] of all.entries()) expect(differs(page, decodeEntries(forwards[i] as Uint8Array).values)).toBeUndefined()
    }),
    { seed, numRuns: 500 },
  )
})

test('lists whose items are alike are columns, and arrays that hide something are refused among them', () => {
  const bids = (count: number) => Array.from({ length: count }, (_, i) => ({ auction: i, price: i + 0.5, url: `https://example.com/${i}`, channel: i % 3 === 0 ? null : 'x' }))
  const values = Array.from({ length: 40 }, (_, i) => bids(i % 11))
  const keys = values.map((_, i) => [i, -i])
  const page = encodeEntries(keys, values)
  expect(differs({ keys, values }, decodeEntries(page))).toBeUndefined()
  expect(page[0]).toBe(0x82)
  expect(page.length).toBeLessThan(values.flat().length * 45)
  const hole = [1]
  hole[2] = 3
  const cycle: unknown[] = [[1]]
  cycle.push(cycle)
  for (const [refused, path] of [[[Object.assign([1], { extra: 1 })], '[0].extra'], [[[1], hole], '[1]'], [[[1], cycle], '[1]'], [[[1], [1, () => 1]], '[1]']] as const) {
    expect(() => encodeEntries(refused.map((_, i) => i), refused), path).toThrow(FlinkError)
  }
  expect(differs(decodeEntries(encodeEntries(keys, values)), { keys, values })).toBeUndefined()
})

test('a page does not depend on the pages before it', () => {
  const ints = () => encodeEntries(['a', 'b'], [{ n: 1 }, { n: 2 }])
  const before = ints()
  encodeEntries(['a', 'b'], [{ n: 1.5 }, { n: 'x', more: true }])
  expect(ints()).toEqual(before)
})

test('a page of lists with too many items for columns is one of values, whatever pages were before', () => {
  const many = Array.from({ length: 2 ** 19 + 1 }, (_, i) => i % 100)
  const encode = (first: number) => encodeEntries(['a', 'b'], [{ of: [first, ...many] }, { of: many }])
  const page = encode(1)
  expect(page.length).toBeLessThan(many.length * 2.2)
  encodeEntries(['a', 'b'], [{ of: [1] }, { of: [2] }])
  expect(Buffer.compare(encode(1), page)).toBe(0)
  expect(decodeEntries(page).values.map(value => (value as { of: number[] }).of.length)).toEqual([many.length + 1, many.length])
})

test('names that look alike as bytes are told apart, however often they were read', () => {
  for (let round = 0; round < 100; round++) {
    for (const value of [{ 'Ã¼': 1, b: 2 }, { 'ü': 1, b: 2 }, { b: 1, 'ü': 2 }, { '\ud800': 1 }, { ['n'.repeat(70)]: 1 }, JSON.parse('{"__proto__": 1, "a": 2}')]) {
      expect(differs(value, decodeValue(encodeValue(value, 'v')))).toBeUndefined()
    }
  }
})

test('a page of nothing, and a page of a thousand', () => {
  expect(decodeEntries(encodeEntries([], []))).toEqual({ keys: [], values: [] })
  const keys = Array.from({ length: 1000 }, (_, i) => `key-${i}`)
  const values = keys.map((_, i) => ({ count: i, sum: i / 3, last: i % 2 ? null : `v${i}`, ...(i % 5 ? {} : { flag: true }) }))
  expect(differs({ keys, values }, decodeEntries(encodeEntries(keys, values)))).toBeUndefined()
})

test('altered bytes are a DecodeError or another value, never anything else', () => {
  const random = seededRandom(seed)
  const samples = fc.sample(fc.array(anyValue, { minLength: 1, maxLength: 10 }), { seed, numRuns: 300 })
  for (const values of samples) {
    const value = encodeValue(values, 'v')
    const page = encodeEntries(values.map((_, i) => i), values)
    for (const [bytes, decode] of [[value, decodeValue], [page, decodeEntries]] as const) {
      for (let round = 0; round < 20; round++) {
        const altered = bytes.slice(0, random.chance(0.3) ? random.int(bytes.length + 1) : bytes.length)
        for (let n = random.int(3) + 1; n > 0 && altered.length > 0; n--) altered[random.int(altered.length)] = random.int(256)
        const error = thrown(() => decode(altered))
        if (error !== undefined && !(error instanceof DecodeError)) throw error
      }
    }
  }
})

test('many values are appended to one buffer and read back one after another', () => {
  const writer = new ValueWriter(new ByteWriter())
  for (const [, value] of oddValues) appendValue(writer, value, 'v')
  const reader = new ByteReader(writer.out.take())
  for (const [name, value] of oddValues) expect(differs(value, new ValueReader(reader).read()), name).toBeUndefined()
  expect(reader.atEnd).toBe(true)
})

test('bytes of another version are refused', () => {
  expect(() => decodeValue(new Uint8Array([9, 0]))).toThrow(DecodeError)
  expect(() => decodeEntries(encodeValue(1, 'v'))).toThrow('pages of version 1 are not known')
})

test('text is written alike with and without the native functions', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' })), value => {
      const [native, plain] = [text, plainText].map(codec => {
        const bytes = new Uint8Array(value.length * 3)
        const length = codec.writeUtf8(bytes, value.toWellFormed(), 0)
        const wide = new Uint8Array(value.length * 2)
        codec.writeUcs2(wide, value, 0)
        return { bytes, length, wide, read: codec.readUtf8(bytes, 0, length), readWide: codec.readUcs2(wide, 0, wide.length) }
      })
      expect(plain).toEqual(native)
      expect(plain).toMatchObject({ read: value.toWellFormed(), readWide: value })
    }),
    { seed, numRuns: 1000 },
  )
})

test('damaged text of an odd number of bytes, wherever it lies, is read alike and does not write into other memory', () => {
  // Node 24.21 does, and malloc notices sooner or later.
  const bytes = new Uint8Array(4096).fill(0x61)
  for (let length = 0; length < 2000; length++) {
    for (const start of [0, 1]) expect(text.readUcs2(bytes, start, start + length)).toBe(plainText.readUcs2(bytes, start, start + length))
  }
})

test('text that is cut from a batch is given memory of its own', () => {
  for (const text of ['short', 'a text of twenty chars', 'Grüße aus Köln am Rhein', 'x\ud800'.repeat(10), 'y'.repeat(9000)]) expect(ownText(text)).toBe(text)
})

test('a copier goes on copying when shapes change all the time', () => {
  const copy = createCopier()
  for (let i = 0; i < 40; i++) {
    const value = { [`f${i % 13}`]: { n: i }, t: 'x' }
    const copied = copy(value)
    expect(copied).toEqual(value)
    expect(Object.values(copied as object)[0]).not.toBe(Object.values(value)[0])
  }
})

function thrown(action: () => unknown): unknown {
  try {
    action()
    return undefined
  } catch (error) {
    return error
  }
}

test('documents with shared names hold none, and text that is repeated takes a byte', () => {
  const shared = new SharedShapes()
  const out = new ByteWriter()
  const writer = new ValueWriter(out, shared)
  const values = [{ word: 'a', count: 1 }, { word: 'b', count: 2, of: { word: 'c', count: 3 } }, { word: 'repeated text', count: 4 }]
  writer.repeated = 'repeated text'
  for (const value of values) appendValue(writer, value, 'value')
  const bytes = out.take()
  expect(bytes.length).toBe(5 + 10 + 4)
  const again = new SharedShapes(shared.names)
  const reader = new ByteReader(bytes)
  const read = Array.from(values, () => {
    const input = new ValueReader(reader, again)
    input.repeated = 'repeated text'
    return input.read()
  })
  expect(read).toEqual(values)
  expect(() => new ValueReader(new ByteReader(bytes), new SharedShapes()).read()).toThrow('shape 0 is not there')
  const last = new ValueReader(new ByteReader(Uint8Array.of(20)))
  expect(() => last.read()).toThrow('nothing to repeat')
})
