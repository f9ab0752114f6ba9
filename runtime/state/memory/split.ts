/** Splits a page in two by the next bit of its entries' hashes, again and again until each half is small enough. */
import { canonicalKey } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { fieldPageHash } from './current-key.ts'
import { Entry, mapsOf, Page, replaceWithHalves } from './page.ts'
import type { Fields, PageEntries } from './page.ts'
import { mostEntries } from './value-entries.ts'

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
  if (page.depth === hashBits || !differ(page)) {
    page.splitAbove = page.count * 2
    return
  }
  for (const half of halves(page, owner)) if (half.count > half.splitAbove) splitPage(half, owner)
}

/** Whether two hashes (unsigned) that belong to the page would be in the same half of it. */
export function sameHalf(page: Page, first: number, last: number): boolean {
  return page.depth < hashBits && ((first ^ last) & bitOf(page)) === 0
}

/** Splits a page once, for what is to come into one of the halves. It must be in memory, and can be split. */
export function halvePage(page: Page, owner: PageOwner): void {
  halves(page, owner)
}

/** The bit of a hash that says into which half it goes. */
function bitOf({ depth }: Page): number {
  return 1 << (hashBits - 1 - depth)
}

function halves(page: Page, owner: PageOwner): Page[] {
  const { entries, pack, root } = page
  const bit = bitOf(page)
  // Before, or each half would be written to a running snapshot once more.
  owner.copy(page)
  const low = new Page(root, page.prefix, page.depth + 1, page.epoch)
  const high = new Page(root, page.prefix | bit, page.depth + 1, page.epoch)
  if (pack !== undefined) {
    const packs = pack.split(bit)
    low.count = packs.low.count
    high.count = packs.high.count
    if (low.count > 0) low.pack = packs.low
    if (high.count > 0) high.pack = packs.high
  }
  if (entries === undefined) {
    if (low.pack !== undefined) low.entries = undefined
    if (high.pack !== undefined) high.entries = undefined
  } else if (root.table.kind === 'value') splitValues(page, entries, low, high, bit)
  else splitMaps(page, entries, low, high, bit)
  low.bytes = page.objects === 0 ? 0 : Math.round((page.bytes * low.objects) / page.objects)
  high.bytes = page.bytes - low.bytes
  low.splitAbove = mostEntries(low)
  high.splitAbove = mostEntries(high)
  low.changed = high.changed = page.changed
  low.packChanged = high.packChanged = page.packChanged
  low.hits = low.seen = high.hits = high.seen = page.hits
  replaceWithHalves(page, low, high)
  owner.drop(page)
  owner.adopt(low)
  owner.adopt(high)
  return [low, high]
}

function splitValues(page: Page, entries: PageEntries, low: Page, high: Page, bit: number): void {
  const ofHigh = entries.countWith(bit)
  if (page.pack === undefined && ofHigh === 0) return giveAll(page, low)
  if (page.pack === undefined && ofHigh === entries.size) return giveAll(page, high)
  const [ofLower, ofUpper] = entries.split(bit)
  for (const [half, objects] of [[low, ofLower], [high, ofUpper]] as const) {
    half.entries = objects
    half.objects = objects.size
    half.count += objects.size
    if (page.keys !== undefined) half.keys = keysAmong(page.keys, objects)
  }
}

function keysAmong(keys: ReadonlyMap<CanonicalKey, unknown>, objects: PageEntries): Map<CanonicalKey, unknown> | undefined {
  const among = new Map<CanonicalKey, unknown>()
  for (const canonical of objects.keys()) if (keys.has(canonical)) among.set(canonical, keys.get(canonical))
  return among.size === 0 ? undefined : among
}

function splitMaps(page: Page, entries: PageEntries, low: Page, high: Page, bit: number): void {
  const hashes = fieldHashes(page, entries)
  if (page.pack === undefined && hashes.every(hash => (hash & bit) === 0)) return giveAll(page, low)
  if (page.pack === undefined && hashes.every(hash => (hash & bit) !== 0)) return giveAll(page, high)
  const canonical = entries.keys()
  const ownHashes = entries.hashes()
  let at = 0
  mapsOf(page).forEach((entry, i) => {
    for (const field of (entry.value as Fields).values()) putField(((hashes[at++] as number) & bit) === 0 ? low : high, canonical[i] as CanonicalKey, ownHashes[i] as number, entry, field)
  })
}

/** The other half stays empty. */
function giveAll(page: Page, half: Page): void {
  half.entries = page.entries
  half.keys = page.keys
  half.count = half.objects = page.objects
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

/** Of the fields of a map page. */
function fieldHashes(page: Page, entries: PageEntries): number[] {
  const own = entries.hashes()
  const hashes: number[] = []
  for (const [i, entry] of mapsOf(page).entries()) {
    const hash = own[i] as number
    for (const field of (entry.value as Fields).values()) hashes.push(fieldPageHash(hash, field.key))
  }
  return hashes
}

/** Whether not all that is in the page has one hash. */
function differ(page: Page): boolean {
  const { entries, pack } = page
  const hashes = entries === undefined ? [] : page.root.table.kind === 'value' ? entries.hashes() : fieldHashes(page, entries)
  const first = hashes[0] ?? pack?.hashAt(0)
  if (hashes.some(hash => hash !== first)) return true
  for (let row = 0; row < (pack?.count ?? 0); row++) if (pack?.hashAt(row) !== first) return true
  return false
}
