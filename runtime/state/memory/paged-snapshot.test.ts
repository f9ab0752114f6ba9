/**
 * What a checkpoint costs the turn of its barrier, in pages: nothing that grows with the state. Which records a snapshot
 * holds is the matter of `keyed-state.test.ts`.
 */
import { expect, test, vi } from 'vitest'
import type { SnapshotSink } from '../../operators/keyed-state.ts'
import { CurrentKey } from './current-key.ts'
import { PagedMapTable } from './map-table.ts'
import { TableInfo } from './page.ts'
import type { TableKind } from './page.ts'
import { PagedSnapshot } from './paged-snapshot.ts'
import { Pager } from './pager.ts'
import { readBlock } from './section.ts'
import { Table } from './table.ts'
import { PagedValueTable } from './value-table.ts'

const keyGroups = { start: 0, end: 127 }

function open(kind: TableKind) {
  const current = new CurrentKey(keyGroups, 128)
  const pager = new Pager({ current, limit: Infinity, store: undefined, clock: () => 0 })
  const table = new Table(new TableInfo('state', kind, 0), current, pager, keyGroups)
  const taken = { entries: 0, pages: 0, bytes: 0 }
  const sink: SnapshotSink = {
    keyed(state, _keyGroup, bytes) {
      taken.bytes += bytes.length
      for (const section of readBlock(bytes, state).sections) {
        taken.pages++
        taken.entries += section.count
      }
    },
    list() {},
  }
  return { current, pager, table, taken, begin: (since = 0) => new PagedSnapshot(pager, [table], sink, since) }
}

const written = (snapshot: PagedSnapshot) => vi.spyOn(snapshot, 'write')
const finish = (snapshot: PagedSnapshot) => {
  for (let steps = 1; ; steps++) if (snapshot.step(1024)) return steps
}
const keys = 100_000
/** Records of a turn, each of a page of its own, nearly. */
const turn = 1000
const spread = (i: number) => (i * 7919) % keys

test('a turn of updates writes no page of values', () => {
  const { current, table, taken, begin } = open('value')
  const values = new PagedValueTable(table)
  for (let i = 0; i < keys; i++) {
    current.set(i)
    values.put(0, { count: i })
  }
  const snapshot = begin()
  const write = written(snapshot)
  for (let i = 0; i < turn; i++) {
    current.set(spread(i))
    const held = values.get(0) as { count: number }
    held.count = -1
    values.put(0, held)
  }
  expect(write).toHaveBeenCalledTimes(0)
  finish(snapshot)
  expect(taken).toMatchObject({ entries: keys, pages: write.mock.calls.length })
  expect(taken.pages).toBeGreaterThan(256)
})

test('a turn of updates, iterations and clears writes no page of maps', () => {
  const { current, table, taken, begin } = open('map')
  const maps = new PagedMapTable(table)
  for (let i = 0; i < keys; i++) {
    current.set(i >> 1)
    maps.put(0, i & 1, { i })
  }
  const snapshot = begin()
  const write = written(snapshot)
  for (let i = 0; i < turn; i++) {
    current.set(spread(i) >> 1)
    if (i % 4 === 0) for (const [, value] of maps.entries(0)) (value as { i: number }).i = -1
    else if (i % 4 === 1) maps.clear(0)
    else if (i % 4 === 2) maps.remove(0, 1)
    else maps.put(0, 1, { i: -1 })
  }
  expect(write).toHaveBeenCalledTimes(0)
  finish(snapshot)
  expect(taken.entries).toBe(keys)
})

test('what is kept of a page is bounded: then the page is written', () => {
  const { current, table, begin } = open('value')
  const values = new PagedValueTable(table)
  for (let i = 0; i < 10_000; i++) {
    current.set(i)
    values.put(0, { i })
  }
  const snapshot = begin()
  const write = written(snapshot)
  for (let i = 0; i < 10_000; i++) {
    current.set(i)
    values.get(0)
  }
  const pages = write.mock.calls.length
  expect(pages).toBeGreaterThan(0)
  finish(snapshot)
  expect(write).toHaveBeenCalledTimes(pages)
})

test('a step visits as many pages as its budget allows, and the beginning none, however many windows there are', () => {
  const { current, pager, table, taken, begin } = open('value')
  const values = new PagedValueTable(table)
  const windows = 20_000
  for (let i = 0; i < windows; i++) {
    current.set(i % 100)
    values.put(i, i)
  }
  const visit = vi.spyOn(pager, 'copy')
  const snapshot = begin()
  expect(visit).toHaveBeenCalledTimes(0)
  expect(snapshot.step(1000)).toBe(false)
  expect(visit).toHaveBeenCalledTimes(200)

  // Windows come faster than the snapshot visits them. It does not run after them.
  let steps = 0
  for (let done = false, next = windows; !done; steps++) {
    for (let i = 0; i < 2000; i++) values.put(next++, 0)
    done = snapshot.step(1000)
    if (steps > 1000) throw new Error('runs after what is new for ever')
  }
  expect(taken.entries).toBe(windows)
  expect(visit).toHaveBeenCalledTimes(windows)
})

test('blocks are handed on in slices too', () => {
  const { current, table, taken, begin } = open('value')
  const values = new PagedValueTable(table)
  for (let i = 0; i < keys; i++) {
    current.set(i)
    values.put(0, `${'text '.repeat(5)}${i}`)
  }
  const snapshot = begin()
  let most = 0
  for (let done = false; !done; ) {
    const before = taken.bytes
    done = snapshot.step(1024)
    most = Math.max(most, taken.bytes - before)
  }
  expect(taken.entries).toBe(keys)
  expect(taken.bytes).toBeGreaterThan(2_000_000)
  expect(most).toBeLessThan(600_000)
})

test('a snapshot of changes holds what was touched since, wherever it is by now, and passes by what was not', () => {
  const { current, pager, table, taken, begin } = open('value')
  const values = new PagedValueTable(table)
  const put = (i: number) => {
    current.set(i)
    values.put(0, { i })
  }
  for (let i = 0; i < keys; i++) put(i)
  finish(begin())
  const since = pager.epoch
  taken.entries = taken.pages = 0
  for (let i = 0; i < 100; i++) put(i)
  finish(begin(since))
  expect(taken.entries).toBe(100)
  expect(taken.pages).toBeLessThanOrEqual(100)

  // Twice as many: pages split, and half of them hold what came and what was there.
  taken.entries = 0
  for (let i = keys; i < keys * 2; i++) put(i)
  finish(begin(since))
  expect(taken.entries).toBe(100 + keys)

  // Passing by costs a step little.
  expect(finish(begin(pager.epoch))).toBe(1)
})

test('reading a number is no change, and neither is what is changed after the snapshot began', () => {
  const { current, pager, table, taken, begin } = open('value')
  const values = new PagedValueTable(table)
  for (let i = 0; i < 1000; i++) {
    current.set(i)
    values.put(0, i)
  }
  finish(begin())
  taken.entries = 0
  for (let i = 0; i < 1000; i++) {
    current.set(i)
    values.get(0)
  }
  current.set(1)
  values.put(0, -1)
  const snapshot = begin(pager.epoch)
  for (let i = 0; i < 10; i++) {
    current.set(i)
    values.put(0, -2)
  }
  finish(snapshot)
  expect(taken.entries).toBe(1)
})
