/**
 * Moves pages between memory, the store and a running snapshot. Every access to a page goes through `open`, which loads
 * what was evicted. While a snapshot runs and has not written the page yet (`awaited`), an entry is kept as it is before
 * it is changed or handed out (copy on access), so that a snapshot is of one instant although `get` hands out live
 * objects. What the snapshot still awaits is written before it is split, dropped or evicted, or when much of it is kept.
 *
 * `maintain` evicts by the clock algorithm with a second chance until memory is within its limit again, in slices. A page
 * that is unchanged in the store is only dropped. Nothing is evicted in between, so a value stays live during a turn and
 * memory may exceed the limit by what one turn touches. While the store has too much to write, changed pages wait; if
 * memory runs away meanwhile, they are written before the call returns: the slot goes no faster than its disk.
 *
 * Pages whose accesses have no locality are a bad bargain: a hundred entries are decoded for one hit and written back.
 * Where few entries of the pages that a table loads are used, its pages are split down to a few entries as they leave.
 */
import { assert } from '../../core/assert.ts'
import { pageHash, type CurrentKey } from './current-key.ts'
import { Entries } from './entries.ts'
import { Entry, insertValue, largestPage, Page, smallestPage } from './page.ts'
import type { Fields } from './page.ts'
import type { PageStore } from './page-store.ts'
import { decodeMaps, decodeValues, encodeSection, encodeSectionBefore, readSection } from './section.ts'
import { canonicalKey } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { Kept } from './kept.ts'
import { splitPage } from './split.ts'

/** Takes the section of a page as it was when the snapshot began. */
export interface CopyTarget {
  write(page: Page, section: Uint8Array): void
}

export interface PagerOptions {
  readonly current: CurrentKey
  /** Bytes. */
  readonly limit: number
  /** undefined: everything stays in memory. */
  readonly store: PageStore | undefined
  /** ms, any origin; bounds the slices of `maintain`. */
  readonly clock: () => number
}

const sliceMs = 1
/** When memory is this far above its limit, slices are longer, and at last as long as it takes. */
const urgentAbove = 1.1
const urgentSliceMs = 10
const runawayAbove = 1.5
/** The bound of a slice where the clock stands still, as in the simulator. */
const pagesPerSlice = 64
const urgentPagesPerSlice = 1024
/** Evictions of loaded pages after which a table's page limit is judged. */
const localityWindow = 64
/** Loading an entry and writing it back pays if one in so many is used. */
const entriesPerAccess = 8
/** A page of which the running snapshot keeps more than one entry in so many, and a few besides, is written: that bounds what is kept. */
const entriesPerKept = 16
const fewKept = 4

export class Pager {
  readonly #current: CurrentKey
  readonly #limit: number
  readonly #store: PageStore | undefined
  readonly #clock: () => number
  readonly #resident: Page[] = []
  #hand = 0
  #snapshot: CopyTarget | undefined
  /** Number of the last snapshot that began. */
  epoch = 0
  /** The same while it runs, else 0. */
  #running = 0
  /** Entries of pages that it awaits. */
  readonly #kept = new Map<Page, Kept>()
  bytes = 0
  entries = 0
  evictions = 0
  loads = 0

  constructor(options: PagerOptions) {
    this.#current = options.current
    this.#limit = options.limit
    this.#store = options.store
    this.#clock = options.clock
  }

  get bytesInStore(): number {
    return this.#store?.bytes ?? 0
  }

  /** The entries of a page, to be read or changed now. */
  open(page: Page): Entries {
    page.hits = (page.hits + 1) | 0
    return page.entries ?? this.#load(page)
  }

  /** The running snapshot has still to write the page: what is changed or handed out must be kept before. */
  awaited(page: Page): boolean {
    return page.epoch < this.#running
  }

  /** Keeps a value of an awaited page of a value table; undefined: there is none. */
  keepValue(page: Page, canonical: CanonicalKey, hash: number, value: unknown): void {
    const kept = this.#keptOf(page)
    if (kept.has(canonical, hash)) return
    const key = page.keys?.get(canonical) ?? canonical
    kept.set(canonical, hash, key, page.root.table.copy(value))
    this.#boundKept(page, kept)
  }

  /** Keeps a field of an awaited page of a map table. `owner` has the key as state holds it. */
  keepField(page: Page, canonical: CanonicalKey, owner: Entry, canonicalField: CanonicalKey, field: Entry | undefined): void {
    const kept = this.#keptOf(page)
    if (kept.hasField(canonical, canonicalField)) return
    kept.setField(canonical, owner.key, canonicalField, field?.key, page.root.table.copy(field?.value))
    this.#boundKept(page, kept)
  }

  #keptOf(page: Page): Kept {
    let kept = this.#kept.get(page)
    if (kept === undefined) this.#kept.set(page, (kept = new Kept()))
    return kept
  }

  #boundKept(page: Page, kept: Kept): void {
    if (kept.size > page.count / entriesPerKept + fewKept) this.copy(page)
  }

  /** A new page came into being. */
  adopt(page: Page): void {
    this.bytes += page.bytes
    this.entries += page.count
    if (this.#store !== undefined) this.#resident.push(page)
  }

  /** The page is no longer part of its table; a snapshot that runs still gets it. */
  drop(page: Page): void {
    this.copy(page)
    if (page.entries !== undefined) this.#forget(page)
    if (page.stored > 0) this.#store?.remove(page)
    page.dropped = true
  }

  changeBytes(page: Page, by: number): void {
    page.bytes += by
    this.bytes += by
  }

  startSnapshot(target: CopyTarget): void {
    assert(this.#snapshot === undefined, 'a snapshot begins while another is under way')
    this.#snapshot = target
    this.#running = ++this.epoch
    this.#current.serial++
  }

  endSnapshot(): void {
    this.#kept.clear()
    this.#snapshot = undefined
    this.#running = 0
  }

  /** Writes the page to the running snapshot, if that has still to be done. */
  copy(page: Page): void {
    if (page.epoch >= this.#running || this.#snapshot === undefined) return
    page.epoch = this.#running
    const kept = this.#kept.get(page)
    if (kept !== undefined) {
      this.#kept.delete(page)
      const section = encodeSectionBefore(page, kept)
      if (section !== undefined) this.#snapshot.write(page, section)
    } else if (page.count > 0) this.#snapshot.write(page, page.entries === undefined ? this.#read(page) : encodeSection(page))
  }

  /**
   * A page that is only going to be read: if it is evicted, a copy that takes no room in memory for longer than its reader
   * needs, and that no snapshot awaits.
   */
  peek(page: Page): Page {
    if (page.entries !== undefined) {
      this.open(page)
      return page
    }
    this.loads++
    const copy = new Page(page.root, page.prefix, page.depth, this.epoch)
    fill(copy, this.#read(page))
    return copy
  }

  maintain(): void {
    if (this.#store === undefined) return
    this.#store.check()
    if (this.bytes <= this.#limit) return
    const urgent = this.bytes > this.#limit * urgentAbove
    const runaway = this.bytes > this.#limit * runawayAbove
    const end = this.#clock() + (runaway ? Infinity : urgent ? urgentSliceMs : sliceMs)
    let left = runaway ? Infinity : urgent ? urgentPagesPerSlice : pagesPerSlice
    const store = this.#store
    this.#sweep(page => {
      const wait = page.dirty && !store.ready
      if (wait && !urgent) return 'stop'
      this.#evict(page, blob => (wait ? store.writeNow(page, blob) : store.write(page, blob)))
      return --left > 0 && ((left & 7) !== 0 || this.#clock() < end) ? 'evicted' : 'last'
    })
  }

  /** During a restore: makes room at once, waiting for the disk. */
  makeRoom(): void {
    if (this.#store === undefined || this.bytes <= this.#limit) return
    const store = this.#store
    this.#sweep(page => {
      this.#evict(page, blob => store.writeNow(page, blob))
      return 'evicted'
    })
  }

  #load(page: Page): Entries {
    const blob = this.#read(page)
    if (page.epoch < this.#running) {
      page.epoch = this.#running
      this.#snapshot?.write(page, blob)
    }
    const entries = fill(page, blob)
    page.loadedAt = page.hits - 1
    page.dirty = false
    this.loads++
    this.adopt(page)
    return entries
  }

  #read(page: Page): Uint8Array {
    assert(this.#store !== undefined && page.stored > 0, 'an evicted page is in no store')
    return this.#store.read(page)
  }

  /** Passes pages that had no access since the hand came by last to `evict` until memory is within its limit or it says so. */
  #sweep(evict: (page: Page) => 'evicted' | 'last' | 'stop'): void {
    // Twice round: the first may find a second chance everywhere.
    for (let steps = this.#resident.length * 2; steps > 0 && this.bytes > this.#limit && this.#resident.length > 0; steps--) {
      if (this.#hand >= this.#resident.length) this.#hand = 0
      const page = this.#resident[this.#hand] as Page
      if (page.dropped || page.entries === undefined) {
        this.#removeAtHand()
      } else if (page.hits !== page.seen) {
        page.seen = page.hits
        this.#hand++
      } else if (page.count > page.root.table.pageLimit * 2 && page.splitAbove <= largestPage) {
        this.#removeAtHand()
        // The halves come to the end of the ring; they go when the hand finds them.
        splitPage(page, this)
      } else {
        const outcome = evict(page)
        if (outcome === 'stop') break
        this.#removeAtHand()
        if (outcome === 'last') break
      }
    }
    this.#current.serial++
  }

  #removeAtHand(): void {
    const last = this.#resident.pop() as Page
    if (this.#hand < this.#resident.length) this.#resident[this.#hand] = last
  }

  #evict(page: Page, write: (blob: Uint8Array) => void): void {
    if (this.#kept.has(page)) this.copy(page)
    if (page.dirty || page.stored === 0) {
      const blob = encodeSection(page)
      if (page.epoch < this.#running) {
        page.epoch = this.#running
        this.#snapshot?.write(page, blob)
      }
      write(blob)
      page.dirty = false
    } else this.copy(page)
    this.#forget(page)
    page.entries = undefined
    page.keys = undefined
    this.evictions++
    if (page.loadedAt >= 0) observeLocality(page, page.hits - page.loadedAt)
  }

  #forget(page: Page): void {
    this.bytes -= page.bytes
    this.entries -= page.count
  }
}

function observeLocality(page: Page, accesses: number): void {
  const { table } = page.root
  table.reloads++
  table.reloadedEntries += page.count
  table.accesses += accesses
  if (table.reloads < localityWindow) return
  if (table.accesses * entriesPerAccess < table.reloadedEntries) table.pageLimit = Math.max(smallestPage, table.pageLimit >> 2)
  else if (table.accesses > table.reloadedEntries) table.pageLimit = Math.min(largestPage, table.pageLimit << 1)
  table.reloads = table.reloadedEntries = table.accesses = 0
}

/** Gives a page the entries of its blob. */
function fill(page: Page, blob: Uint8Array): Entries {
  const { section } = readSection(blob, 0, `state "${page.root.table.name}"`)
  const entries = new Entries()
  page.entries = entries
  if (page.root.table.kind === 'value') {
    const { keys, values } = decodeValues(section)
    for (let i = 0; i < keys.length; i++) insertValue(page, entries, canonicalKey(keys[i]), pageHash(keys[i]), keys[i], values[i])
    return entries
  }
  for (const { key, fields, values } of decodeMaps(section)) {
    const map: Fields = new Map()
    for (let i = 0; i < fields.length; i++) map.set(canonicalKey(fields[i]), new Entry(fields[i], values[i]))
    entries.insert(canonicalKey(key), pageHash(key), new Entry(key, map))
  }
  return entries
}
