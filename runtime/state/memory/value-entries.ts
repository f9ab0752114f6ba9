/**
 * Where the entries of a value page lie: as objects (`entries.ts`), or in rows of numbers (`row-entries.ts`) where who uses the table
 * gives and takes copies (`ValueTable.update`) and all values are objects of the same few numbers, or lists of one of these. A page begins with objects, and
 * has rows when there are enough of them to be worth arrays; what does not fit makes its layout wider or, for good, objects of its rows.
 */
import { isShortTuple } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { largestPage, type Page, type PageEntries } from './page.ts'
import { RowEntries, rowKeysOf } from './row-entries.ts'
import { hasRoom, rowLayout, widened, type RowLayout, type TableRows } from './row-layout.ts'

/** With fewer entries, arrays of their own would cost more than they save. */
const fewestRows = 8
/** After so many pages that could have no rows a table has none any more. */
const mostRefused = 16

/** One more entry of a value page that is open; returns where it lies in `page.entries`, which may be others than before. `key` is state's own copy. */
export function insertValue(page: Page, canonical: CanonicalKey, hash: number, key: unknown, value: unknown, stamp: number): number {
  if (canonical !== key && key === key && key !== 0 && !isShortTuple(canonical)) (page.keys ??= new Map()).set(canonical, key)
  const entries = page.entries as PageEntries
  if (entries.kind === 'objects') intoRows(page, canonical, value)
  for (;;) {
    const position = (page.entries as PageEntries).insert(canonical, hash, value, stamp)
    if (position >= 0) return position
    makeRoom(page, canonical, value)
  }
}

/** Another value for an entry of a value page that is open; returns where it lies in `page.entries`, which may be others than before. */
export function setValue(page: Page, position: number, canonical: CanonicalKey, hash: number, value: unknown): number {
  while (!(page.entries as PageEntries).setAt(position, value)) {
    makeRoom(page, canonical, value)
    position = (page.entries as PageEntries).find(canonical, hash)
  }
  return position
}

/** Makes rows of a page of objects if it is to have rows; `value` is to be among them. */
export function intoRows(page: Page, canonical: CanonicalKey, value: unknown): boolean {
  const { rows } = page.root.table
  const { entries } = page
  if (rows === undefined || rows.refused >= mostRefused || page.plain || entries === undefined || entries.size < fewestRows) return false
  const layout = layoutFor(rows, canonical, value)
  const made = layout === undefined ? undefined : rowsOf(entries, layout)
  if (made === undefined) refuse(page, rows)
  else useRows(page, rows, made)
  return made !== undefined
}

/** A page that is open and empty is to have rows from the start, for `count` entries of which this is one. */
export function beginRows(page: Page, canonical: CanonicalKey, value: unknown, count: number): void {
  const { rows } = page.root.table
  if (rows === undefined || rows.refused >= mostRefused || page.plain || page.count > 0 || count < fewestRows) return
  const layout = layoutFor(rows, canonical, value)
  if (layout !== undefined) useRows(page, rows, new RowEntries(layout))
}

/** The rows of a page have no room for `value`. */
export function makeRoom(page: Page, canonical: CanonicalKey, value: unknown): void {
  const rows = page.root.table.rows as TableRows
  const entries = page.entries as RowEntries
  const layout = layoutFor(rows, canonical, value)
  // Where it has room already, it is hashes that are equal.
  const made = layout === undefined || layout === entries.layout ? undefined : rowsOf(entries, layout)
  if (made !== undefined) return useRows(page, rows, made)
  page.entries = entries.toObjects()
  page.splitAbove = largestPage
  refuse(page, rows)
}

function layoutFor({ layout }: TableRows, canonical: CanonicalKey, value: unknown): RowLayout | undefined {
  const keys = rowKeysOf(canonical)
  if (layout === undefined) return rowLayout(value, keys)
  return hasRoom(layout, value, keys) ? layout : widened(layout, value, keys)
}

/** undefined: they cannot lie in rows. */
function rowsOf(entries: PageEntries, layout: RowLayout): RowEntries | undefined {
  const rows = new RowEntries(layout)
  rows.reserve(entries.size)
  const [hashes, keys, values, stamps] = [entries.hashes(), entries.keys(), entries.values(), entries.stamps()]
  for (let i = 0; i < hashes.length; i++) {
    const key = keys[i] as CanonicalKey
    if (rows.insert(key, hashes[i] as number, values[i], stamps[i]) >= 0) continue
    const wider = hasRoom(layout, values[i], rowKeysOf(key)) ? undefined : widened(layout, values[i], rowKeysOf(key))
    return wider === undefined ? undefined : rowsOf(entries, wider)
  }
  return rows
}

function useRows(page: Page, rows: TableRows, made: RowEntries): void {
  rows.layout = made.layout
  page.entries = made
  page.splitAbove = mostEntries(page)
}

/** A page with more of them splits. */
export function mostEntries({ entries, root }: Page): number {
  // Lists may grow, and then objects are made of all the rows of their page.
  return entries?.kind === 'rows' && entries.layout.keys !== 'others' && !entries.layout.list ? (root.table.rows as TableRows).largestPage : largestPage
}

function refuse(page: Page, rows: TableRows): void {
  page.plain = true
  rows.refused++
}
