import { expect, test } from 'vitest'
import { CurrentKey } from './current-key.ts'
import { TableInfo } from './page.ts'
import { Pager } from './pager.ts'
import { SnapshotChains } from './snapshot-chains.ts'
import { Table } from './table.ts'
import { PagedValueTable } from './value-table.ts'

const keyGroups = { start: 0, end: 7 }
const entries = 1000

/** A state of 1,000 entries of which each snapshot tells the same bytes an entry. */
function open() {
  const current = new CurrentKey(keyGroups, 8)
  const pager = new Pager({ current, limit: Infinity, store: undefined, clock: () => 0 })
  const table = new Table(new TableInfo('state', 'value', 0), current, pager, keyGroups)
  const values = new PagedValueTable(table)
  const chains = new SnapshotChains(pager, false)
  const touch = (from: number, count: number) => {
    for (let i = from; i < from + count; i++) {
      current.set(i)
      values.put(0, i)
    }
  }
  const remove = (from: number, count: number) => {
    for (let i = from; i < from + count; i++) {
      current.set(i)
      values.remove(0)
    }
  }
  const take = (checkpointId: number, since: number | undefined, bytes: number) => {
    const next = chains.next({ checkpointId, since })
    pager.startSnapshot({ write: () => {}, changed: () => {} }, next.epoch)
    pager.endSnapshot()
    next.written(bytes)
    return next.since
  }
  touch(0, entries)
  return { touch, remove, take, pager, chains }
}

test('the first holds everything; then changes, as long as they are few', () => {
  const { touch, take } = open()
  expect(take(1, undefined, 100_000)).toBe(undefined)
  touch(0, 500)
  expect(take(2, 1, 50_000)).toBe(1)
  touch(0, 501)
  expect(take(3, 2, 100_000)).toBe(undefined)
})

test('a chain ends when its changes are as large as its first snapshot', () => {
  const { touch, take } = open()
  take(1, undefined, 100_000)
  const held = [2, 3, 4, 5, 6, 7].map(id => {
    touch(0, 300)
    return take(id, id - 1, 30_000)
  })
  // Each counts 4 KiB for its file.
  expect(held).toEqual([1, 2, 3, undefined, 5, undefined])
})

test('what is new takes the place of nothing: a state that only grows is written once', () => {
  const { touch, take } = open()
  take(1, undefined, 100_000)
  let all = entries
  for (let id = 2; id <= 64; id++) {
    touch(all, 700)
    all += 700
    expect(take(id, id - 1, 70_000)).toBe(id - 1)
  }
})

test('beside what is new the rest still counts: a chain holds no more than twice the state', () => {
  const { touch, take } = open()
  take(1, undefined, 100_000)
  let chain = 100_000
  let all = entries
  for (let id = 2; id <= 40; id++) {
    touch(0, 300)
    touch(all, 100)
    all += 100
    chain = take(id, id - 1, 40_000) === undefined ? all * 100 : chain + 40_000
    expect(chain / (all * 100)).toBeLessThan(2.3)
  }
})

test('a large value that changes each time is not made up for by small ones that are new', () => {
  const { touch, take } = open()
  take(1, undefined, 1_000_000)
  let all = entries
  const held = [2, 3, 4, 5].map(id => {
    // One of 900,000 bytes, and ten of ten.
    touch(0, 1)
    touch(all, 10)
    all += 10
    return take(id, id - 1, 900_100)
  })
  expect(held).toEqual([1, 2, undefined, 4])
})

test('a chain has a bound, however small its changes are', () => {
  const { touch, take } = open()
  take(1, undefined, 1e9)
  let length = 1
  for (let id = 2; ; id++, length++) {
    touch(0, 1)
    if (take(id, id - 1, 10) === undefined) break
  }
  expect(length).toBe(64)
})

test('only from what is complete and known: an aborted one is passed over, an unknown one gives everything', () => {
  const { touch, take } = open()
  take(1, undefined, 100_000)
  touch(0, 10)
  expect(take(2, 1, 1000)).toBe(1)
  touch(10, 10)
  expect(take(3, 1, 2000)).toBe(1)
  expect(take(4, 3, 0)).toBe(3)
  // Since 3 was complete, 1 is forgotten.
  expect(take(5, 1, 100_000)).toBe(undefined)
  expect(take(6, 77, 100_000)).toBe(undefined)
})

test('removals are remembered for as long as somebody may ask, and no more of them than entries', () => {
  const { touch, remove, take, pager } = open()
  take(1, undefined, 100_000)
  remove(0, 100)
  expect(pager.removals?.count).toBe(100)
  expect(take(2, 1, 1000)).toBe(1)
  expect(pager.removals?.count).toBe(100)
  expect(take(3, 2, 1000)).toBe(2)
  expect(pager.removals?.count).toBe(0)
  for (let round = 0; round < 11; round++) {
    touch(0, 1000)
    remove(0, 1000)
  }
  expect(pager.removals?.count).toBeLessThan(10_001)
  expect(take(4, 3, 100_000)).toBe(undefined)
})

test('what was restored goes on: as long a chain, of as many bytes', () => {
  for (const [length, changes, since] of [[3, 50_000, 7], [64, 50_000, undefined], [3, 100_000, undefined]] as const) {
    const { chains, take, touch } = open()
    chains.restored(7, { length, whole: 100_000, changes, wholeEntries: entries, changedEntries: 500 })
    touch(0, 10)
    expect(take(8, 7, 1000)).toBe(since)
  }
})
