/**
 * Keeps the entries of all pages within the memory limit, in three places: as objects while they are used, packed into bytes
 * (`pack.ts`) while they are not, and in the store when even that is too much.
 *
 * `open` and `take...` bring an entry to where it is used: its page is loaded if it is in the store, as bytes and whole, and it
 * alone becomes objects. `maintain` goes the other way, by the clock algorithm with a second chance, in slices: it packs the
 * objects of one page after the other until memory is within its limit again; when objects take little memory already, it
 * moves packed pages to the store, and only drops them if they are there unchanged. Nothing moves in between, so a value
 * stays live during a turn, and memory may exceed the limit by what one turn touches. Slices grow with what is over the limit.
 * While the store has too much to write, changed pages wait; if memory runs away meanwhile, they are written before the call
 * returns: the slot goes no faster than its disk.
 *
 * Every object has a stamp: the number of the snapshot that began last before it was touched (changed, or handed out as an
 * object that may be changed). It says what a snapshot of changes has to hold. And while a snapshot runs and has not written
 * the page yet, an entry that has not its number is kept as it is before it is touched (copy on access), so that a snapshot
 * is of one instant although `get` hands out live objects. What the snapshot still awaits is written when it is loaded, and
 * before it is split, dropped, packed or moved to the store, and when much of it is kept.
 */
import { assert } from '../../core/assert.ts'
import { FlinkError } from '../../core/errors.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import type { CurrentKey } from './current-key.ts'
import { Entries } from './entries.ts'
import { Kept } from './kept.ts'
import { Pack } from './pack.ts'
import { packObjects, takeAll, takeField, takeKey, takeValue } from './packing.ts'
import { keyAt, largestPage, largestRowPage, mapOverhead } from './page.ts'
import type { Entry, Page, PageEntries, Root } from './page.ts'
import type { PageStore } from './page-store.ts'
import type { Removals } from './removals.ts'
import { encodeSection, rowSection, valuesWith } from './section.ts'
import { splitPage } from './split.ts'

/** Takes the section of a page as it was when the snapshot began. */
export interface CopyTarget {
  write(page: Page, section: Uint8Array): void
  /** Entries of a page of a value table, in place of a section; the lists are given up. */
  changed(root: Root, keys: unknown[], values: unknown[]): void
}

export interface PagerOptions {
  readonly current: CurrentKey
  /** Bytes. */
  readonly limit: number
  /** undefined: everything stays in memory, as objects. */
  readonly store: PageStore | undefined
  /** ms, any origin; bounds the slices of `maintain`. */
  readonly clock: () => number
}

const sliceMs = 1
/** The further memory is above its limit, the longer are the slices: here ten times as long, and at last as long as it takes. */
const urgentAbove = 1.1
const runawayAbove = 1.5
/** What work costs, in visits of a page that is passed by: about 10 ns. */
const costOfObject = 30
const costOfPacking = 100
const costOfMoving = 600
/** The bound of a slice where the clock stands still, as in the simulator, and how often it is looked at. */
const costOfSlice = 50_000
const costBetweenLooks = 5_000
/** Objects may take this part of the limit when packed pages have to leave memory. */
const shareOfObjects = 1 / 8
/** Pages of fewer entries go to the store at once: a pack would save nothing. */
const smallestPack = 8
/** Pages whose pack is larger split. */
const largestPack = 64 * 1024
/** Keys with equal hashes, which no split can part, are looked for among objects. */
const crowded = 2 * largestPage
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
  /** It holds what has this stamp or a larger one. */
  #since = 0
  /** Entries of pages that it awaits. */
  readonly #kept = new Map<Page, Kept>()
  /** undefined: no snapshot of changes will be asked for. */
  removals: Removals | undefined
  /** Entries that were touched, each once between two snapshots. */
  touched = 0
  /** Of all objects and of all packs. */
  #objectBytes = 0
  #packBytes = 0
  /** In memory. */
  entries = 0
  #entriesInStore = 0
  /** Pages that left memory, and that came back. */
  evictions = 0
  loads = 0

  constructor(options: PagerOptions) {
    this.#current = options.current
    this.#limit = options.limit
    this.#store = options.store
    this.#clock = options.clock
  }

  /** What goes to disk goes by pages: those stay small. */
  get largestRowPage(): number {
    return this.#store === undefined ? largestRowPage : largestPage
  }
  get bytes(): number {
    return this.#objectBytes + this.#packBytes
  }

  /** In memory and in the store. */
  get allEntries(): number {
    return this.entries + this.#entriesInStore
  }

  get bytesInStore(): number {
    return this.#store?.bytes ?? 0
  }

  /** The objects of a page, to be read or changed now. What is not among them may be in its pack. */
  open(page: Page): PageEntries {
    page.hits = (page.hits + 1) | 0
    return page.entries ?? this.#makeEntries(page)
  }

  #makeEntries(page: Page): PageEntries {
    if (page.pack === undefined) this.#load(page)
    const entries = (page.entries = new Entries())
    const { pack } = page
    if (pack === undefined || page.count <= crowded) return entries
    takeAll(page, pack, entries)
    this.#took(page, pack, pack.count)
    return page.entries
  }

  /** Takes an entry of a value page, which is open, out of its pack; where it lies in `page.entries` then, -1 if it is not there. */
  takeValue(page: Page, canonical: CanonicalKey, hash: number): number {
    const { pack } = page
    if (pack === undefined || page.entries === undefined) return -1
    const position = takeValue(page, pack, canonical, hash)
    if (position >= 0) this.#took(page, pack, 1)
    return position
  }

  /** Takes a field of a map page, which is open, out of its pack. `hash` is the key's own. */
  takeField(page: Page, canonical: CanonicalKey, hash: number, canonicalField: CanonicalKey, fieldHash: number): Entry | undefined {
    const { pack, entries } = page
    if (pack === undefined || entries === undefined) return undefined
    const keys = entries.size
    const field = takeField(page, pack, entries, canonical, hash, canonicalField, fieldHash)
    if (field !== undefined) this.#took(page, pack, 1, (entries.size - keys) * mapOverhead)
    return field
  }

  /** Takes all fields of a key. */
  takeKey(page: Page, canonical: CanonicalKey, hash: number): void {
    const { pack, entries } = page
    if (pack === undefined || entries === undefined) return
    const before = pack.out
    const keys = entries.size
    takeKey(page, pack, entries, canonical, hash)
    this.#took(page, pack, pack.out - before, (entries.size - keys) * mapOverhead)
  }

  /** `besides`: heap bytes that came with the entries. */
  #took(page: Page, pack: Pack, entries: number, besides = 0): void {
    page.objects += entries
    this.changeBytes(page, entries * page.root.table.entryBytes + besides)
    if (pack.out === pack.count) this.#setPack(page, undefined)
  }

  #setPack(page: Page, pack: Pack | undefined): void {
    if (page.pack !== undefined) this.#packBytes -= page.pack.byteLength
    if (pack !== undefined) this.#packBytes += pack.byteLength
    page.pack = pack
  }

  /** Where an entry of a value page lies, which is open: before it is changed, removed or handed out as an object. */
  touchValue(page: Page, entries: PageEntries, position: number): void {
    const { epoch } = this
    const stamp = entries.stampAt(position)
    if (stamp === epoch) return
    entries.setStamp(position, epoch)
    this.#touches(page)
    if (!this.#mustKeep(page, stamp)) return
    const kept = this.#keptOf(page)
    const value = entries.valueAt(position)
    kept.add(keyAt(page, entries, position), entries.isLive(position) ? page.root.table.copy(value) : value)
    this.#boundKept(page, kept)
  }

  /** The same of a field of a map page; `owner` has the key as state holds it. */
  touchField(page: Page, owner: Entry, field: Entry): void {
    const { stamp } = field
    if (stamp === this.epoch) return
    field.stamp = this.epoch
    this.#touches(page)
    if (!this.#mustKeep(page, stamp)) return
    const kept = this.#keptOf(page)
    kept.addField(owner.key, field.key, page.root.table.copy(field.value))
    this.#boundKept(page, kept)
  }

  #touches(page: Page, count = 1): void {
    page.changed = this.epoch
    this.touched += count
  }

  #mustKeep(page: Page, stamp: number): boolean {
    return this.#awaited(page) && stamp >= this.#since
  }

  #awaited(page: Page): boolean {
    return page.epoch < this.#running
  }

  #keptOf(page: Page): Kept {
    let kept = this.#kept.get(page)
    if (kept === undefined) this.#kept.set(page, (kept = new Kept()))
    return kept
  }

  #boundKept(page: Page, kept: Kept): void {
    if (kept.size > page.count / entriesPerKept + fewKept) this.copy(page)
  }

  /** So many new entries stand in `page`. */
  added(page: Page, count = 1): void {
    this.#touches(page, count)
    this.entries += count
  }

  /** An entry is about to be removed. */
  removed(root: Root, key: unknown, field?: unknown): void {
    const { removals, epoch } = this
    if (removals === undefined) return
    removals.entry(epoch, root, key, field)
    removals.bound(epoch, this.allEntries)
  }

  /** A new page came into being. */
  adopt(page: Page): void {
    this.#arrive(page)
    if (this.#store !== undefined) this.#resident.push(page)
  }

  /** The page is no longer part of its table; a snapshot that runs still gets it. */
  drop(page: Page): void {
    this.copy(page)
    if (inMemory(page)) this.#leave(page)
    else this.#entriesInStore -= page.count
    if (page.stored > 0) this.#store?.remove(page)
    page.dropped = true
  }

  changeBytes(page: Page, by: number): void {
    page.bytes += by
    this.#objectBytes += by
  }

  /** `since`: the number of the snapshot that it goes on from, 0 for all there is. */
  startSnapshot(target: CopyTarget, since: number): void {
    assert(this.#snapshot === undefined, 'a snapshot begins while another is under way')
    this.#snapshot = target
    this.#running = ++this.epoch
    this.#since = since
    this.#current.outdate()
  }

  endSnapshot(): void {
    this.#kept.clear()
    this.#snapshot = undefined
    this.#running = 0
  }

  /** The running snapshot has nothing to write of it. */
  isUnchanged(page: Page): boolean {
    return page.changed < this.#since
  }

  /** Writes the page to the running snapshot, if that has still to be done. */
  copy(page: Page): void {
    if (!this.#awaited(page)) return
    if (this.isUnchanged(page)) page.epoch = this.#running
    else this.#write(page, inMemory(page) ? page.pack : page.packChanged >= this.#since ? this.#read(page) : undefined)
  }

  #write(page: Page, pack: Pack | undefined): void {
    page.epoch = this.#running
    const stamps = { since: this.#since, until: this.#running }
    const kept = this.#kept.get(page)
    this.#kept.delete(page)
    const { entries, root } = page
    if (entries?.kind === 'rows' && entries.layout.keys !== 'others' && (pack === undefined || page.packChanged < stamps.since)) {
      const section = rowSection(root, entries, stamps)
      if (section !== undefined) this.#snapshot?.write(page, section)
      if (kept !== undefined) this.#snapshot?.changed(root, kept.keys, kept.values)
      return
    }
    if (stamps.since > 0 && root.table.kind === 'value' && (pack === undefined || page.packChanged < stamps.since)) {
      const { keys, values } = valuesWith(page, kept, stamps)
      if (keys.length > 0) this.#snapshot?.changed(root, keys, values)
      return
    }
    const section = encodeSection(page, pack, kept, stamps)
    if (section !== undefined) this.#snapshot?.write(page, section)
  }

  /** What of a page is no object, only to be read: of a page in the store a copy that takes no room in memory for longer than its reader needs. */
  peek(page: Page): Pack | undefined {
    page.hits = (page.hits + 1) | 0
    if (inMemory(page)) return page.pack
    this.loads++
    return this.#read(page)
  }

  maintain(): void {
    const store = this.#store
    if (store === undefined) return
    store.check()
    if (this.bytes <= this.#limit) return
    const urgency = (this.bytes / this.#limit - 1) / (urgentAbove - 1)
    const slices = 1 + 9 * urgency
    const end = this.#clock() + sliceMs * slices
    let left = costOfSlice * slices
    let untilLook = costBetweenLooks
    this.#shrink(cost => {
      left -= cost
      untilLook -= cost
      if (untilLook > 0) return true
      untilLook = costBetweenLooks
      return (left > 0 && this.#clock() < end) || this.bytes > this.#limit * runawayAbove
    }, (page, blob) => {
      if (store.ready) store.write(page, blob)
      else if (urgency > 1) store.writeNow(page, blob)
      else return false
      return true
    })
  }

  /** During a restore: makes room at once, waiting for the disk. */
  makeRoom(): void {
    const store = this.#store
    if (store === undefined || this.bytes <= this.#limit) return
    this.#shrink(() => true, (page, blob) => {
      store.writeNow(page, blob)
      return true
    })
  }

  /**
   * Packs and moves pages that had no access since the hand came by last until memory is within its limit, `goOn` says that
   * it cost enough, or `write` that the store takes no more.
   */
  #shrink(goOn: (cost: number) => boolean, write: (page: Page, blob: Uint8Array) => boolean): void {
    // Round after round: a second chance, then its objects, then its pack.
    for (let steps = this.#resident.length * 4; steps > 0 && this.bytes > this.#limit && this.#resident.length > 0; steps--) {
      if (this.#hand >= this.#resident.length) this.#hand = 0
      const page = this.#resident[this.#hand] as Page
      let cost = 1
      if (page.dropped || !inMemory(page)) this.#removeAtHand()
      else if (page.hits !== page.seen) {
        page.seen = page.hits
        this.#hand++
      } else if (page.count >= smallestPack && this.#objectBytes > this.#limit * shareOfObjects) {
        cost += page.entries === undefined ? 0 : costOfPacking + page.objects * costOfObject
        if (page.entries !== undefined) this.#pack(page)
        this.#hand++
      } else {
        cost += costOfMoving + page.objects * costOfObject
        if (this.#move(page, write)) this.#removeAtHand()
        else if (this.#objectBytes <= this.#limit * shareOfObjects) break
        else this.#hand++
      }
      if (!goOn(cost)) break
    }
    this.#current.outdate()
  }

  #removeAtHand(): void {
    const last = this.#resident.pop() as Page
    if (this.#hand < this.#resident.length) this.#resident[this.#hand] = last
  }

  #pack(page: Page): void {
    // Its objects' stamps go.
    this.copy(page)
    this.#leave(page)
    packObjects(page)
    this.#arrive(page)
    if (page.pack !== undefined && page.pack.byteLength > largestPack && page.count > 1 && page.splitAbove <= largestPage) splitPage(page, this)
  }

  /** To the store; false if that takes it not. */
  #move(page: Page, write: (page: Page, blob: Uint8Array) => boolean): boolean {
    if (page.entries !== undefined) this.#pack(page)
    // Too large, it was split: the hand finds the halves at the end of the ring.
    if (page.dropped) return true
    const { pack } = page
    assert(pack !== undefined, 'a page that is not in memory is moved to the store')
    if ((page.dirty || page.stored === 0) && !write(page, pack.toBlob())) return false
    page.dirty = false
    this.copy(page)
    this.#leave(page)
    this.#entriesInStore += page.count
    page.pack = undefined
    this.evictions++
    return true
  }

  #load(page: Page): void {
    page.pack = this.#read(page)
    page.dirty = false
    this.loads++
    this.copy(page)
    this.#entriesInStore -= page.count
    this.adopt(page)
  }

  #read(page: Page): Pack {
    assert(this.#store !== undefined && page.stored > 0, 'a page that is not in memory is in no store')
    const pack = Pack.fromBlob(this.#store.read(page))
    if (pack === undefined) throw new FlinkError('STORAGE_FAILED', `state "${page.root.table.name}": what was read back from disk is damaged`)
    return pack
  }

  #arrive(page: Page): void {
    this.#objectBytes += page.bytes
    this.#packBytes += page.pack?.byteLength ?? 0
    this.entries += page.count
  }

  #leave(page: Page): void {
    this.#objectBytes -= page.bytes
    this.#packBytes -= page.pack?.byteLength ?? 0
    this.entries -= page.count
  }
}

/** Objects or bytes; of a page without either all is in the store. */
function inMemory(page: Page): boolean {
  return page.entries !== undefined || page.pack !== undefined
}
