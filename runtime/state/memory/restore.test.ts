/** How sections of a snapshot become pages again. What is in them then is the matter of `keyed-state.test.ts`. */
import { expect, test } from 'vitest'
import type { KeyedBlock } from '../../operators/keyed-state.ts'
import { pagesOf } from './page.ts'
import type { Page, TableKind } from './page.ts'
import { CurrentKey } from './current-key.ts'
import { PagedMapTable } from './map-table.ts'
import { TableInfo } from './page.ts'
import { PagedSnapshot } from './paged-snapshot.ts'
import { Pager } from './pager.ts'
import { decodeMaps, decodeValues, readBlock } from './section.ts'
import { Table } from './table.ts'
import { PagedValueTable } from './value-table.ts'

const keyGroups = { start: 0, end: 3 }

function open(kind: TableKind) {
  const current = new CurrentKey(keyGroups, 4)
  const pager = new Pager({ current, limit: Infinity, store: undefined, clock: () => 0 })
  const table = new Table(new TableInfo('state', kind, 0), current, pager, keyGroups)
  return { current, pager, table, values: new PagedValueTable(table), maps: new PagedMapTable(table) }
}
type Opened = ReturnType<typeof open>

const pages = ({ table }: Opened): Page[] => table.namespaces().flatMap(namespace => table.roots(namespace)).flatMap(root => [...pagesOf(root)])
/** Where entries lie: key group, depth and how many, of each page that holds any. */
const layout = (opened: Opened) => pages(opened).filter(page => page.count > 0).map(({ root, prefix, depth, count }) => `${root.keyGroup} ${prefix >>> 0}/${depth} ${count}`)

function snapshot({ pager, table }: Opened): KeyedBlock[] {
  const blocks: KeyedBlock[] = []
  const run = new PagedSnapshot(pager, [table], { keyed: (state, keyGroup, bytes) => void blocks.push({ state, keyGroup, bytes }), list: () => {} })
  while (!run.step(1000)) {}
  return blocks
}

/** `order`: of all sections. */
function restore(kind: TableKind, blocks: readonly KeyedBlock[], order: <T>(sections: T[]) => T[] = sections => sections): Opened {
  const opened = open(kind)
  const sections = blocks.flatMap(({ state, keyGroup, bytes }) => [...readBlock(bytes, state).sections].map(section => ({ keyGroup, section })))
  for (const { keyGroup, section } of order(sections)) {
    if (kind === 'map') opened.maps.restore(section.namespace, keyGroup, decodeMaps(section))
    else opened.values.restore(section.namespace, keyGroup, decodeValues(section))
  }
  return opened
}

test('blocks whose sections had another header are refused by their version', () => {
  const written = open('value')
  written.current.set(1)
  written.values.put(0, { count: 1 })
  const [{ bytes }] = snapshot(written) as [KeyedBlock]
  for (const version of [0, 1, 2, 5]) {
    bytes[0] = version
    expect(() => readBlock(bytes, 'state')).toThrow(`block version ${version} is not known`)
  }
})

test.each<[string, (i: number) => unknown]>([
  ['numbers', i => i],
  ['text', i => `a longer text as a key ${i}`],
  ['tuples', i => [i, `${i}`]],
])('values come back into the pages they were in, in any order: keys that are %s', (_, keyOf) => {
  const written = open('value')
  for (let i = 0; i < 5000; i++) {
    written.current.set(keyOf(i))
    written.values.put(i % 2, { count: i })
  }
  const blocks = snapshot(written)
  for (const order of [<T>(all: T[]) => all, <T>(all: T[]) => all.toReversed(), <T>(all: T[]) => all.toSorted((a, b) => all.indexOf(a) % 7 - all.indexOf(b) % 7)]) {
    const opened = restore('value', blocks, order)
    expect(layout(opened)).toEqual(layout(written))
    expect(opened.pager.entries).toBe(5000)
    expect(pages(opened).reduce((sum, page) => sum + page.bytes, 0)).toBe(opened.pager.bytes)
    for (let i = 0; i < 5000; i++) {
      opened.current.set(keyOf(i))
      expect([opened.values.get(i % 2), opened.values.get(1 - (i % 2))]).toEqual([{ count: i }, undefined])
    }
  }
})

test('maps too, small ones and one that has pages for itself', () => {
  const written = open('map')
  const fieldsOf = (key: number) => (key === 7 ? 3000 : 5)
  for (let key = 0; key < 300; key++) {
    written.current.set(key)
    for (let field = 0; field < fieldsOf(key); field++) written.maps.put(0, `field ${field}`, key * field)
  }
  const blocks = snapshot(written)
  for (const order of [<T>(all: T[]) => all, <T>(all: T[]) => all.toReversed()]) {
    const opened = restore('map', blocks, order)
    expect(layout(opened)).toEqual(layout(written))
    expect(opened.pager.entries).toBe(written.pager.entries)
    for (let key = 0; key < 300; key++) {
      opened.current.set(key)
      expect([...opened.maps.entries(0)]).toHaveLength(fieldsOf(key))
      for (let field = 0; field < fieldsOf(key); field++) expect(opened.maps.get(0, `field ${field}`)).toBe(key * field)
    }
  }
})

test('keys with equal hashes, which no page can part, come back beside others', () => {
  // "Aa" and "BB" have the same hash in Java, and so has whatever is put together of them.
  const equal = Array.from({ length: 1024 }, (_, i) => Array.from({ length: 10 }, (_, bit) => ((i >> bit) & 1 ? 'Aa' : 'BB')).join(''))
  const keys = [...equal, ...Array.from({ length: 2000 }, (_, i) => `other ${i}`)]
  const written = open('value')
  for (const key of keys) {
    written.current.set(key)
    written.values.put(0, key.length)
  }
  for (const order of [<T>(all: T[]) => all, <T>(all: T[]) => all.toReversed()]) {
    const opened = restore('value', snapshot(written), order)
    expect(opened.pager.entries).toBe(keys.length)
    for (const key of keys) {
      opened.current.set(key)
      expect(opened.values.get(0)).toBe(key.length)
    }
  }
})
