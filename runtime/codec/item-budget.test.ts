import { expect, test } from 'vitest'
import { ColumnSetOut } from './columns-out.ts'
import { tooManyItems } from './item-budget.ts'
import { ShapeInference, type Shape } from './shape.ts'

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
