import fc from 'fast-check'
import { pack, Packr, unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import { seededRandom } from '../core/random.ts'
import { DecodeError } from './bytes.ts'
import { packMessage, unpackMessage } from './control.ts'
import { differs, ownFields } from './test-values.ts'

const seed = Number(process.env['CODEC_SEED']) || Math.trunc(Math.random() * 2 ** 31)
console.log(`control: CODEC_SEED=${seed}`)

const message: fc.Arbitrary<unknown> = fc.letrec(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, undefined, true, false, -0, NaN, Infinity),
    fc.integer(),
    fc.double(),
    fc.maxSafeInteger(),
    fc.string({ unit: 'binary' }).filter(text => text.isWellFormed()),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.array(fc.tuple(fc.oneof(fc.constantFrom('__proto__', 'constructor', 'toString', '1'), fc.string()), tie('value')), { maxLength: 20 }).map(ownFields),
  ),
})).value

test('messages arrive equal, and plain msgpackr reads them', () => {
  fc.assert(
    fc.property(message, value => {
      const bytes = packMessage(value)
      expect(differs(value, unpackMessage(bytes))).toBeUndefined()
      unpack(bytes)
    }),
    { seed, numRuns: 1000 },
  )
})

test('what msgpackr packs can be read', () => {
  const value = { a: 1, b: [true, null, -5, 1e10, 2 ** 40, 'x'.repeat(300)], bytes: new Uint8Array(70_000), f: 1.5, u: undefined }
  expect(unpackMessage(new Packr({ useRecords: false }).pack(value))).toEqual(value)
})

test('long text, bytes and lists', () => {
  for (const length of [0, 31, 32, 255, 256, 65_535, 65_536]) {
    const value = { text: 'ü'.repeat(length), bytes: new Uint8Array(length).fill(1), list: Array.from({ length }, () => 1), map: Object.fromEntries(Array.from({ length }, (_, i) => [`k${i}`, i])) }
    expect(differs(value, unpackMessage(packMessage(value)))).toBeUndefined()
  }
})

test('what is not plain data is refused with its path', () => {
  for (const [value, at] of [[{ a: [() => 1] }, '.a[0]'], [{ d: new Date(0) }, '.d'], [{ m: new Map() }, '.m'], [1n, ''], [{ s: Symbol('x') }, '.s']] as const) {
    expect(() => packMessage(value)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_VALUE', detail: `Found at message${at}.` }))
  }
  const cycle: unknown[] = []
  cycle.push(cycle)
  expect(() => packMessage(cycle)).toThrow('nested deeper than 64 levels')
})

test('a lone surrogate in the text of an error does not stop the report', () => {
  expect(unpackMessage(packMessage({ error: 'a\ud800b' }))).toEqual({ error: 'a\ufffdb' })
})

test('own names that every object has are data', () => {
  const back = unpackMessage(packMessage(JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 2}'))) as object
  expect(Object.keys(back)).toEqual(['__proto__', 'constructor'])
  expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
})

test.for([
  ['a million empty maps and more', new Uint8Array([0xdd, 0, 0x1e, 0x84, 0x80, ...new Uint8Array(2_000_000).fill(0x80)]), 'too many values'],
  ['an array of 2^32 items', new Uint8Array([0xdd, 255, 255, 255, 255]), 'no more items than bytes'],
  ['a map of 2^32 entries', new Uint8Array([0xdf, 255, 255, 255, 255, 1]), 'no more items than bytes'],
  ['bin of 2^32 bytes', new Uint8Array([0xc6, 255, 255, 255, 255]), '4294967295 bytes expected'],
  ['text of 2^32 bytes', new Uint8Array([0xdb, 255, 255, 255, 255]), '4294967295 bytes expected'],
  ['nested 10,000 deep', new Uint8Array(10_000).fill(0x91), 'nested deeper than 64 levels'],
  ['a name that is no text', new Uint8Array([0x81, 1, 1]), 'expected text'],
  ['something behind the message', new Uint8Array([1, 1]), 'bytes too many'],
  ['nothing', new Uint8Array(0), 'cut short'],
  ['an int64 beyond 53 bits', new Uint8Array([0xcf, 255, 255, 255, 255, 255, 255, 255, 255]), 'a number that JavaScript can hold'],
] as const)('a bomb is refused: %s', ([, bytes, text]) => {
  expect(() => unpackMessage(bytes)).toThrow(DecodeError)
  expect(() => unpackMessage(bytes)).toThrow(text)
})

test('every extension is refused but undefined', () => {
  for (let type = 0; type < 256; type++) {
    for (const bytes of [[0xd4, type, 1], [0xd5, type, 0, 0], [0xd6, type, 0, 0, 0, 0], [0xd7, type, ...new Uint8Array(8)], [0xd8, type, ...new Uint8Array(16)], [0xc7, 1, type, 0], [0xc8, 0, 1, type, 0], [0xc9, 0, 0, 0, 1, type, 0]]) {
      expect(() => unpackMessage(new Uint8Array(bytes))).toThrow(DecodeError)
    }
  }
  expect(unpackMessage(new Uint8Array([0xd4, 0, 0]))).toBeUndefined()
  expect(() => unpackMessage(pack(new Date(0)))).toThrow(DecodeError)
})

test('altered messages are a DecodeError or another message, never anything else', () => {
  const random = seededRandom(seed)
  for (const value of fc.sample(message, { seed, numRuns: 500 })) {
    const bytes = packMessage(value)
    for (let round = 0; round < 20; round++) {
      const altered = bytes.slice()
      for (let n = random.int(4); n > 0; n--) altered[random.int(altered.length)] = random.int(256)
      try {
        unpackMessage(altered)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
      }
    }
  }
})
