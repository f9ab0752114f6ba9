/** Splits a page in two by the next bit of its entries' hashes, again and again until each half is small enough. */
import { canonicalKey } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { fieldPageHash, pageHash } from './current-key.ts'
import { Entry, keysOf, mapsOf, Page, replaceWithHalves, setValue } from './page.ts'
import type { Entries, Fields } from './page.ts'

/** What becomes of the parts; the pager. */
export interface PageOwner {
  adopt(page: Page): void
  drop(page: Page): void
}

const hashBits = 32

/** The page must be in memory, and written if a snapshot runs. */
export function splitPage(page: Page, owner: PageOwner): void {
  const entries = page.entries as Entries
  const hashes = hashesOf(page)
  if (page.depth === hashBits || !differ(hashes)) {
    page.splitAbove = page.count * 2
    return
  }
  const { root } = page
  const low = new Page(root, page.prefix, page.depth + 1, page.epoch)
  const high = new Page(root, page.prefix | (1 << (hashBits - 1 - page.depth)), page.depth + 1, page.epoch)
  let at = 0
  if (root.table.kind === 'value') {
    const keys = keysOf(page)
    for (const [canonical, value] of entries) {
      const half = sideOf(hashes[at] as number)
      setValue(half, half.entries as Entries, canonical, keys[at++], value)
      half.count++
    }
  } else {
    for (const [canonical, entry] of mapsOf(page)) {
      for (const field of (entry.value as Fields).values()) putField(sideOf(hashes[at++] as number), canonical, entry, field)
    }
  }
  low.bytes = (page.bytes * low.count) / page.count
  high.bytes = page.bytes - low.bytes
  low.hits = low.seen = high.hits = high.seen = page.hits
  replaceWithHalves(page, low, high)
  owner.drop(page)
  for (const half of [low, high]) {
    owner.adopt(half)
    if (half.count > half.splitAbove) splitPage(half, owner)
  }

  function sideOf(hash: number): Page {
    return (hash & (1 << (hashBits - 1 - page.depth))) === 0 ? low : high
  }
}

function putField(page: Page, canonical: CanonicalKey, owner: Entry, field: Entry): void {
  let entry = page.entries?.get(canonical) as Entry | undefined
  if (entry === undefined) {
    entry = new Entry(owner.key, new Map() satisfies Fields)
    page.entries?.set(canonical, entry)
  }
  ;(entry.value as Fields).set(canonicalKey(field.key), field)
  page.count++
}

function hashesOf(page: Page): number[] {
  if (page.root.table.kind === 'value') return keysOf(page).map(pageHash)
  const hashes: number[] = []
  for (const [, entry] of mapsOf(page)) {
    const hash = pageHash(entry.key)
    for (const field of (entry.value as Fields).values()) hashes.push(fieldPageHash(hash, field.key))
  }
  return hashes
}

function differ(hashes: readonly number[]): boolean {
  return hashes.some(hash => hash !== hashes[0])
}
