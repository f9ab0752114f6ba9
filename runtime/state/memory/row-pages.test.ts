/** Which pages of a table that is written by `update` have rows. That nobody can see it otherwise is the matter of `rows.test.ts`. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { CurrentKey } from './current-key.ts'
import { pagesOf, TableInfo, type Page } from './page.ts'
import { Pager } from './pager.ts'
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
    table,
    values,
    pages: (): Page[] => table.namespaces().flatMap(namespace => table.roots(namespace)).flatMap(root => [...pagesOf(root)]),
    put(key: unknown, value: unknown) {
      current.set(key)
      values.update(0, value, copy)
    },
  }
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
