/** Which pages of a table that is written by `update` have rows. That nobody can see it otherwise is the matter of `rows.test.ts`. */
import { expect, test, vi } from 'vitest'
import { createCopier } from '../../codec/copy.ts'
import { FlinkError } from '../../core/errors.ts'
import { keyGroupOf } from '../../core/key-group.ts'
import { seededRandom } from '../../core/random.ts'
import type { KeyedBlock } from '../../operators/keyed-state.ts'
import { CurrentKey } from './current-key.ts'
import { largestPage, pagesOf, TableInfo, type Page } from './page.ts'
import { PagedSnapshot } from './paged-snapshot.ts'
import { Pager } from './pager.ts'
import { rowLayout } from './row-layout.ts'
import { decodeValues, readBlock } from './section.ts'
import { Table } from './table.ts'
import { PagedValueTable } from './value-table.ts'

const keyGroups = { start: 0, end: 15 }
const copy = (value: unknown) => structuredClone(value)

function open() {
  const current = new CurrentKey(keyGroups, 16)
  const pager = new Pager({ current, limit: Infinity, store: undefined, clock: () => 0 })
  const table = new Table(new TableInfo('state', 'value', 0), current, pager, keyGroups)
  const values = new PagedValueTable(table)
  return {
    current,
    pager,
    table,
    values,
    pages: (): Page[] => table.namespaces().flatMap(namespace => table.roots(namespace)).flatMap(root => [...pagesOf(root)]),
    put(key: unknown, value: unknown) {
      current.set(key)
      values.update(0, value, copy)
    },
  }
}

type Opened = ReturnType<typeof open>

function snapshotOf({ pager, table }: Opened): KeyedBlock[] {
  const blocks: KeyedBlock[] = []
  const run = new PagedSnapshot(pager, [table], { keyed: (state, keyGroup, bytes) => void blocks.push({ state, keyGroup, bytes }), list: () => {} })
  while (!run.step(1000)) {}
  return blocks
}

const seed = Number(process.env['SEED'] ?? 4711)
const distinct = (count: number) => {
  const random = seededRandom(seed)
  const numbers = new Set<number>()
  while (numbers.size < count) numbers.add(random.int(2 ** 31))
  return [...numbers]
}
const inOrder = (count: number) => Array.from({ length: count }, (_, n) => n)

test.each([
  ['numbers in order', () => inOrder(100_000)],
  ['numbers at random', () => distinct(100_000)],
  ['pairs in order', () => inOrder(100_000).map(n => [n % 1000, Math.floor(n / 1000)])],
  ['pairs at random', () => distinct(100_000).map(n => [n, n % 7919])],
])(`all entries lie in rows, however many come: %s (seed ${seed})`, (_, keys) => {
  const { table, pages, put } = open()
  keys().forEach((key, n) => put(key, { a: n, b: -n }))
  expect(table.info.rows?.refused).toBe(0)
  expect(pages().filter(page => page.entries?.kind !== 'rows')).toEqual([])
  expect(pages().reduce((sum, page) => sum + page.count, 0)).toBe(100_000)
})

test('what was restored lies as it lay: in large pages of rows, which take other values afterwards', () => {
  const written = open()
  const keys = distinct(50_000)
  keys.forEach(key => written.put(key, { a: key }))
  const restored = open()
  for (const { keyGroup, bytes } of snapshotOf(written)) {
    for (const section of readBlock(bytes, 'state').sections) restored.values.restore(section.namespace, keyGroup, decodeValues(section))
  }
  const lie = (opened: Opened) => opened.pages().map(({ root, prefix, depth, count, entries }) => `${root.keyGroup} ${prefix >>> 0}/${depth} ${count} ${entries?.kind}`)
  expect(lie(restored)).toEqual(lie(written))
  expect(restored.pages().length).toBeLessThan(40)

  const odd = keys[123] as number
  restored.put(odd, { a: 'text' })
  restored.put(keys[7] as number, { a: 0.5 })
  expect(new Map(restored.values.entries(0) as Iterable<[unknown, unknown]>)).toEqual(new Map([...keys.map(key => [key, { a: key }] as const), [keys[7], { a: 0.5 }], [odd, { a: 'text' }]]))
})

test('what hangs on a list is not lost without a word: the result of a match is refused, and a list with a property is no row', () => {
  const { current, pages, values, put } = open()
  const own = createCopier({ what: 'state' })
  for (let key = 0; key < 1000; key++) put(key, [{ a: key }])
  expect(pages().map(page => page.entries?.kind)).not.toContain('objects')
  current.set(500)
  expect(() => values.update(0, Object.assign([{ a: 1 }], { index: 3 }), own)).toThrow(FlinkError)
  expect(values.get(0)).toEqual([{ a: 500 }])

  for (const property of ['index', 'extra', Symbol('s')]) expect(rowLayout(Object.assign([{ a: 1 }], { [property]: 3 }), 'one')).toBeUndefined()
  expect(rowLayout([{ a: 1 }], 'one')).toBeDefined()
})

test('a page of rows that become objects is split at once', () => {
  const { table, values, pages, put } = open()
  const keys = inOrder(40_000)
  for (const key of keys) put(key, { a: key })
  expect(Math.max(...pages().map(page => page.count))).toBeGreaterThan(2000)
  for (let group = 0; group < 16; group++) put(keys.find(key => keyGroupOf(key, 16) === group), { a: 'text' })
  for (const { count, entries } of pages()) if (entries?.kind === 'objects') expect(count).toBeLessThanOrEqual(largestPage)
  expect(pages().reduce((sum, page) => sum + page.count, 0)).toBe(40_000)
  // Lookups that were under way do not use what was split.
  put(keys[5], { a: -5 })
  expect(values.get(0)).toEqual({ a: -5 })
  expect(table.roots(0).reduce((sum, root) => sum + root.count, 0)).toBe(40_000)
  expect([...values.entries(0)].filter(([, value]) => (value as { a: unknown }).a === 'text')).toHaveLength(16)
})

test('a step counts all of a page of rows: its section, what was kept besides, and slots that are free', () => {
  const opened = open()
  const { pager, table, values, current, pages, put } = opened
  const keys = inOrder(50_000)
  for (const key of keys) put(key, { a: key })
  expect(pages()).toHaveLength(16)
  const visit = vi.spyOn(pager, 'copy')
  const visitedBy = (changes: () => void) => {
    const run = new PagedSnapshot(pager, [table], { keyed: () => {}, list: () => {} })
    changes()
    visit.mockClear()
    run.step(1000)
    const visited = visit.mock.calls.length
    run.abort()
    return visited
  }
  // 3,125 rows each, at 16 for 1, and 8,192 slots, at 64 for 1; then six that were kept; then only the slots.
  expect(visitedBy(() => {})).toBe(4)
  expect(visitedBy(() => keys.slice(0, 100).forEach(key => put(key, { a: -1 })))).toBe(3)
  for (const key of keys.slice(16)) {
    current.set(key)
    values.remove(0)
  }
  expect(visitedBy(() => {})).toBe(8)
})
