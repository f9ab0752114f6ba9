/** Where entries are: as objects, packed, in the store. What they are is the matter of `keyed-state.test.ts`. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { MemoryPageStore } from '../../testing/memory-page-store.ts'
import { CurrentKey } from './current-key.ts'
import { PagedMapTable } from './map-table.ts'
import { pagesOf, TableInfo, type Page, type TableKind } from './page.ts'
import { Pager } from './pager.ts'
import { Table } from './table.ts'
import { PagedValueTable } from './value-table.ts'

const keyGroups = { start: 0, end: 7 }

function open(kind: TableKind, limit: number) {
  const current = new CurrentKey(keyGroups, 8)
  const store = new MemoryPageStore()
  const pager = new Pager({ current, limit, store, clock: () => 0 })
  const table = new Table(new TableInfo('state', kind, 0), current, pager, keyGroups)
  const pages = (): Page[] => table.namespaces().flatMap(namespace => table.roots(namespace).flatMap(root => [...pagesOf(root)]))
  const count = () => {
    const counts = { objects: 0, packed: 0, stored: 0 }
    for (const page of pages()) {
      counts.objects += page.objects
      if (page.entries === undefined && page.pack === undefined) counts.stored += page.count
      else counts.packed += page.count - page.objects
    }
    return counts
  }
  return { current, pager, table, pages, count, store }
}

const counter = (i: number) => ({ word: `word-${1_000_000 + i}`, count: 1 })

function fill(values: PagedValueTable, current: CurrentKey, pager: Pager, keys: number): void {
  for (let i = 0; i < keys; i++) {
    current.set(counter(i).word)
    values.put(0, counter(i))
    if (i % 500 === 499) pager.maintain()
  }
  for (let i = 0; i < 8; i++) pager.maintain()
}

test('what fits as objects stays objects; what fits as bytes stays in memory; the rest goes to the store', () => {
  for (const [limit, expected] of [
    [10_000_000, { packed: 0, stored: 0 }],
    [1_500_000, { stored: 0 }],
  ] as const) {
    const { current, pager, table, count } = open('value', limit)
    fill(new PagedValueTable(table), current, pager, 20_000)
    expect(count()).toMatchObject(expected)
    expect(pager.bytes).toBeLessThanOrEqual(limit)
    if (limit < 2_000_000) expect(count().packed).toBeGreaterThan(10_000)
  }
  const { current, pager, table, count, store } = open('value', 300_000)
  fill(new PagedValueTable(table), current, pager, 20_000)
  expect(pager.bytes).toBeLessThanOrEqual(300_000)
  const { packed, stored } = count()
  expect(packed).toBeGreaterThan(4000)
  expect(stored).toBeGreaterThan(8000)
  // An entry with its hash: key, value and a place among the hashes.
  expect(store.bytes / 20_000).toBeLessThan(30)
})

test('an access takes one entry out, and it goes back alone', () => {
  const { current, pager, table, count } = open('value', 1_500_000)
  const values = new PagedValueTable(table)
  fill(values, current, pager, 20_000)
  const before = count()
  let taken = 0
  for (let i = 0; i < 1000; i++) {
    current.set(counter(i * 20).word)
    const objects = count().objects
    expect(values.get(0)).toEqual(counter(i * 20))
    taken += count().objects - objects
    if (i === 20) break
  }
  expect(taken).toBeLessThanOrEqual(21)
  expect(count().objects - before.objects).toBe(taken)
  expect(pager.loads).toBe(0)
})

test('a page that the store holds unchanged is only dropped', () => {
  const { current, pager, table, store } = open('value', 100_000)
  const values = new PagedValueTable(table)
  fill(values, current, pager, 20_000)
  let writes = 0
  const write = store.write.bind(store)
  store.write = (page, blob) => {
    writes++
    write(page, blob)
  }
  // What is still dirty in memory goes first.
  for (const changes of [true, false]) {
    writes = 0
    for (let i = 0; i < 20_000; i += 7) {
      current.set(counter(i).word)
      values.get(0)
      if (i % 70 === 0) pager.maintain()
    }
    if (!changes) expect(writes).toBe(0)
  }
  expect(pager.evictions).toBeGreaterThan(100)
})

test.each([['value', 1], ['value', 2], ['map', 3], ['map', 4]] as const)('what pages say they hold and take adds up: %s, seed %i', (kind, seed) => {
  const random = seededRandom(seed)
  const { current, pager, table, pages } = open(kind, 60_000)
  const values = new PagedValueTable(table)
  const maps = new PagedMapTable(table)
  let snapshot = false
  for (let step = 0; step < 30_000; step++) {
    current.set(`key ${random.int(3000)}`)
    const namespace = random.int(2)
    if (kind === 'value') {
      if (random.chance(0.15)) values.remove(namespace)
      else if (random.chance(0.7)) values.put(namespace, { n: step, text: 'x'.repeat(random.int(60)) })
      else values.get(namespace)
    } else {
      const field = random.int(10)
      if (random.chance(0.2)) maps.remove(namespace, field)
      else if (random.chance(0.02)) maps.clear(namespace)
      else if (random.chance(0.6)) maps.put(namespace, field, { n: step })
      else maps.get(namespace, field)
    }
    if (random.chance(0.01)) pager.maintain()
    if (random.chance(0.001)) table.clear(namespace)
    if (random.chance(0.001)) {
      if (snapshot) pager.endSnapshot()
      else pager.startSnapshot({ write: () => {}, changed: () => {} }, random.chance(0.5) ? pager.epoch : 0)
      snapshot = !snapshot
    }
    if (step % 1000 !== 0) continue
    let [bytes, entries, roots] = [0, 0, 0]
    for (const page of pages()) {
      const inMemory = page.entries !== undefined || page.pack !== undefined
      bytes += page.bytes + (page.pack?.byteLength ?? 0)
      entries += inMemory ? page.count : 0
      roots += page.count
      expect(page.objects + (page.pack === undefined ? 0 : page.pack.count - page.pack.out)).toBe(inMemory ? page.count : 0)
      expect(page.bytes).toBeGreaterThanOrEqual(0)
    }
    expect(pager.bytes).toBe(bytes)
    expect(pager.entries).toBe(entries)
    expect(table.namespaces().flatMap(each => table.roots(each)).reduce((sum, root) => sum + root.count, 0)).toBe(roots)
  }
  expect(pager.evictions).toBeGreaterThan(0)
})
