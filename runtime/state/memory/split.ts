/** Splits a page in two by the next bit of its entries' hashes, again and again until each half is small enough. */
import { canonicalKey } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { fieldPageHash } from './current-key.ts'
import { Entry, insertValue, keysOf, mapsOf, Page, replaceWithHalves } from './page.ts'
import type { Fields } from './page.ts'
import type { Pack } from './pack.ts'

/** What becomes of the parts; the pager. */
export interface PageOwner {
  adopt(page: Page): void
  /** Writes the page to the running snapshot, if that has still to be done. */
  copy(page: Page): void
  drop(page: Page): void
}

const hashBits = 32

/** The page must be in memory: its objects, its pack or both. */
export function splitPage(page: Page, owner: PageOwner): void {
  const hashes = hashesOf(page)
  if (page.depth === hashBits || !differ(hashes, page.pack)) {
    page.splitAbove = page.count * 2
    return
  }
  for (const half of halves(page, hashes, owner)) if (half.count > half.splitAbove) splitPage(half, owner)
}

/** Whether two hashes (unsigned) that belong to the page would be in the same half of it. */
export function sameHalf(page: Page, first: number, last: number): boolean {
  return page.depth < hashBits && ((first ^ last) & (1 << (hashBits - 1 - page.depth))) === 0
}

/** Splits a page once, for what is to come into one of the halves. It must be in memory, and can be split. */
export function halvePage(page: Page, owner: PageOwner): void {
  halves(page, hashesOf(page), owner)
}

/** `hashes`: of its objects. */
function halves(page: Page, hashes: readonly number[], owner: PageOwner): Page[] {
  const { entries, pack } = page
  // Before, or each half would be written to a running snapshot once more.
  owner.copy(page)
  const { root } = page
  const low = new Page(root, page.prefix, page.depth + 1, page.epoch)
  const high = new Page(root, page.prefix | (1 << (hashBits - 1 - page.depth)), page.depth + 1, page.epoch)
  let at = 0
  if (pack !== undefined) {
    const packs = pack.split(1 << (hashBits - 1 - page.depth))
    low.count = packs.low.count
    high.count = packs.high.count
    if (low.count > 0) low.pack = packs.low
    if (high.count > 0) high.pack = packs.high
  }
  if (entries === undefined) {
    if (low.pack !== undefined) low.entries = undefined
    if (high.pack !== undefined) high.entries = undefined
  } else if (pack === undefined && hashes.every(hash => sideOf(hash) === low)) giveAll(low)
  else if (pack === undefined && hashes.every(hash => sideOf(hash) === high)) giveAll(high)
  else if (root.table.kind === 'value') {
    const canonical = entries.keys()
    const keys = keysOf(page)
    const values = entries.values()
    const stamps = entries.stamps()
    for (; at < keys.length; at++) {
      const hash = hashes[at] as number
      const half = sideOf(hash)
      insertValue(half, half.entries ?? entries, canonical[at] as CanonicalKey, hash, keys[at], values[at], stamps[at] as number)
      half.count++
      half.objects++
    }
  } else {
    const canonical = entries.keys()
    const ownHashes = entries.hashes()
    mapsOf(page).forEach((entry, i) => {
      for (const field of (entry.value as Fields).values()) putField(sideOf(hashes[at++] as number), canonical[i] as CanonicalKey, ownHashes[i] as number, entry, field)
    })
  }
  low.bytes = page.objects === 0 ? 0 : Math.round((page.bytes * low.objects) / page.objects)
  high.bytes = page.bytes - low.bytes
  low.changed = high.changed = page.changed
  low.packChanged = high.packChanged = page.packChanged
  low.hits = low.seen = high.hits = high.seen = page.hits
  replaceWithHalves(page, low, high)
  owner.drop(page)
  owner.adopt(low)
  owner.adopt(high)
  return [low, high]

  /** The other half stays empty. */
  function giveAll(half: Page): void {
    half.entries = page.entries
    half.keys = page.keys
    half.count = half.objects = page.objects
  }

  function sideOf(hash: number): Page {
    return (hash & (1 << (hashBits - 1 - page.depth))) === 0 ? low : high
  }
}

function putField(page: Page, canonical: CanonicalKey, hash: number, owner: Entry, field: Entry): void {
  let entry = page.entries?.get(canonical, hash) as Entry | undefined
  if (entry === undefined) {
    entry = new Entry(owner.key, new Map() satisfies Fields)
    page.entries?.insert(canonical, hash, entry)
  }
  ;(entry.value as Fields).set(canonicalKey(field.key), field)
  page.count++
  page.objects++
}

/** Of its objects. */
function hashesOf(page: Page): number[] {
  const own = page.entries?.hashes() ?? []
  if (page.root.table.kind === 'value') return own
  const hashes: number[] = []
  for (const [i, entry] of mapsOf(page).entries()) {
    const hash = own[i] as number
    for (const field of (entry.value as Fields).values()) hashes.push(fieldPageHash(hash, field.key))
  }
  return hashes
}

function differ(hashes: readonly number[], pack: Pack | undefined): boolean {
  const first = hashes[0] ?? pack?.hashAt(0)
  if (hashes.some(hash => hash !== first)) return true
  for (let row = 0; row < (pack?.count ?? 0); row++) if (pack?.hashAt(row) !== first) return true
  return false
}
