/** Rows as a snapshot holds them: what is read is what was written, whatever their layout, and damage is noticed. */
import { describe, expect, test } from 'vitest'
import { canonicalKey } from '../../core/key-group.ts'
import { encodeValue } from '../../codec/value-codec.ts'
import { pageHash } from './current-key.ts'
import { RowEntries } from './row-entries.ts'
import { rowLayout, type RowKeys } from './row-layout.ts'
import { decodeRows, encodeRows } from './row-section.ts'

const shapes = {
  'whole numbers': (n: number) => ({ a: n, b: 7 - n }),
  'one field, of 64 bits': (n: number) => ({ a: n + 0.5 }),
  'both, and a field that is named like the prototype': (n: number) => ({ a: n, ['__proto__']: n * 2 ** 40, c: n % 3 === 0 ? -0 : NaN }),
  'lists of one': (n: number) => [{ a: n, b: n * 2 ** 40 }],
} as const
const keyKinds: Record<Exclude<RowKeys, 'others'>, (n: number) => unknown> = { one: n => n - 500, two: n => [n - 500, 7 - n] }

function rowsOf(keys: keyof typeof keyKinds, valueOf: (n: number) => unknown, count: number): RowEntries {
  const entries = new RowEntries(rowLayout(valueOf(1), keys)!)
  for (let n = 0; n < count; n++) {
    const key = keyKinds[keys](n)
    expect(entries.insert(canonicalKey(key), pageHash(key), valueOf(n), n % 5)).toBeGreaterThanOrEqual(0)
  }
  return entries
}

describe.each(Object.keys(keyKinds) as (keyof typeof keyKinds)[])('keys of %s', keys => {
  test.each(Object.entries(shapes))('%s', (_, valueOf) => {
    const entries = rowsOf(keys, valueOf, 5000)
    for (const [since, until] of [[0, 5], [1, 3], [4, 4]] as const) {
      const written = encodeRows(entries, since, until, 7)
      const expected = Array.from({ length: 5000 }, (_, n) => n).filter(n => n % 5 >= since && n % 5 < until)
      expect(written?.count ?? 0).toBe(expected.length)
      if (written === undefined) continue
      const { keys: readKeys, values } = decodeRows(written.bytes.subarray(7))
      const found = new Map(readKeys.map((key, i) => [canonicalKey(key), values[i]]))
      expect(found.size).toBe(expected.length)
      for (const n of expected) expect(found.get(canonicalKey(keyKinds[keys](n)))).toStrictEqual(valueOf(n))
    }
  })
})

test('what is cut off is refused', () => {
  const { bytes } = encodeRows(rowsOf('two', shapes['whole numbers'], 3), 0, 9, 0)!
  for (let length = 0; length < bytes.length; length++) {
    const rows = bytes.length - length
    // A layout and some whole rows are all that can be right.
    if (rows % 24 === 0 && rows <= 3 * 24) expect(decodeRows(bytes.subarray(0, length)).keys).toHaveLength(3 - rows / 24)
    else expect(() => decodeRows(bytes.subarray(0, length))).toThrow()
  }
})

test('what says it is a layout and is none is refused', () => {
  const layout = encodeValue(['one', ['a'], ['yes'], false], 'test')
  const bytes = new Uint8Array(4 + layout.length)
  new DataView(bytes.buffer).setUint32(0, layout.length, true)
  bytes.set(layout, 4)
  expect(() => decodeRows(bytes)).toThrow('layout')
})

test('when rows were touched is not written, so equal state is equal bytes', () => {
  const entries = () => rowsOf('one', shapes['whole numbers'], 100)
  const later = entries()
  for (let n = 0; n < 100; n++) later.setStamp(later.find(canonicalKey(keyKinds.one(n)), pageHash(keyKinds.one(n))), 7)
  expect(encodeRows(later, 0, 9, 0)).toEqual(encodeRows(entries(), 0, 9, 0))
})

test('a few layouts in turn are each made once', () => {
  const written = Array.from({ length: 4 }, (_, n) => encodeRows(rowsOf('one', i => ({ [`field ${n}`]: i }), 10), 0, 9, 0)!.bytes)
  const layouts = written.map(bytes => decodeRows(bytes).layout)
  written.forEach((bytes, n) => expect(decodeRows(bytes).layout).toBe(layouts[n]))
})
