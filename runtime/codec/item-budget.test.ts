import { expect, test } from 'vitest'
import { frameType } from '../protocol/data.ts'
import { ByteWriter, DecodeError } from './bytes.ts'
import { ColumnarDecoder } from './columnar.ts'
import { ColumnSetOut } from './columns-out.ts'
import { tooManyItems } from './item-budget.ts'
import { packArrayHeader, packBin, packNil, packNumber } from './msgpack.ts'
import { packShape, ShapeInference, type Shape } from './shape.ts'

const numbers: Shape = { layout: 'single', columns: [{ name: '', kind: 'i32', absent: 0 }] }
const listsOf = (items: Shape): Shape => ({ layout: 'single', columns: [{ name: '', kind: 'list', absent: 0, items }] })
const limit = 2 ** 20

/** So many records, and how many items of them were looked at. */
function watched(records: number, each: number, wrap: (list: unknown) => unknown = list => list) {
  let items = 0
  const list = Array.from({ length: each }, () => 1)
  Object.defineProperty(list, 0, { get: () => (items += each, 1), enumerable: true })
  return { values: Array.from({ length: records }, () => wrap(list)), items: () => items }
}

const gatherings: readonly (readonly [name: string, gather: (values: readonly unknown[], shape: Shape) => void])[] = [
  ['columns, generated', (values, shape) => new ColumnSetOut(shape, true).fill(values, values.length)],
  ['columns, closures', (values, shape) => new ColumnSetOut(shape, false).fill(values, values.length)],
  ['shapes', values => new ShapeInference().addAll(values, values.length)],
]

test.for(gatherings)('%s: lists are gathered up to the items of a frame and no further', ([, gather]) => {
  for (const [{ values, items }, shape] of [
    [watched(1024, 10_000), listsOf(numbers)],
    [watched(1024, 100, list => Array.from({ length: 100 }, () => list)), listsOf(listsOf(numbers))],
  ] as const) {
    expect(() => gather(values, shape)).toThrow(tooManyItems)
    expect(items()).toBeGreaterThan(0)
    // The last list may be begun.
    expect(items()).toBeLessThan(limit + 10_000)
  }
  expect(() => gather(watched(16, limit / 16).values, listsOf(numbers))).not.toThrow()
})

const nulls: Shape = { layout: 'single', columns: [{ name: '', kind: 'none', absent: 4 }] }
const recordOf = (columns: number, items: Shape): Shape => ({
  layout: 'object',
  columns: Array.from({ length: columns }, (_, i) => ({ name: `f${i}`, kind: 'list', absent: 0, items })),
})

/** Decodes one record whose columns have these lengths, a few bytes for as many items as they say. */
function decode(shape: Shape, generate: boolean, columns: readonly (readonly number[])[]) {
  const out = new ByteWriter()
  const decoder = new ColumnarDecoder({ generate })
  packArrayHeader(out, 4)
  for (const number of [frameType.schema, 1, 0]) packNumber(out, number)
  packShape(out, shape)
  decoder.decode(out.take())
  packArrayHeader(out, 6 + columns.length)
  for (const number of [frameType.records, 1, 0, 1]) packNumber(out, number)
  packNil(out)
  packNil(out)
  for (const lengths of columns) packBin(out, new Uint8Array(Int32Array.from(lengths).buffer))
  return decoder.decode(out.take())?.values[0] as Readonly<Record<string, readonly unknown[]>>
}

test.for([true, false])('a damaged frame of a few bytes brings no more items than one frame may have, generated: %s', generate => {
  expect(decode(recordOf(2, nulls), generate, [[limit / 2], [limit / 2]])['f1']).toHaveLength(limit / 2)
  const rows: readonly (readonly [Shape, readonly (readonly number[])[]])[] = [
    [recordOf(1, nulls), [[limit + 1]]],
    [recordOf(2, nulls), [[limit / 2], [limit / 2 + 1]]],
    [recordOf(1, listsOf(nulls)), [[2], [limit / 2, limit / 2]]],
    [recordOf(2, listsOf(nulls)), [[1], [limit / 2], [1], [limit / 2]]],
  ]
  for (const [shape, columns] of rows) expect(() => decode(shape, generate, columns)).toThrow(DecodeError)
})
