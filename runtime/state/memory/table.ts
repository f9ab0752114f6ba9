/**
 * What value tables and map tables share: namespace -> key group -> root of pages, and the bookkeeping of inserts and
 * removals. How an entry is found in a page is theirs.
 */
import type { KeyGroupRange } from '../../core/key-group.ts'
import type { Namespace } from '../../operators/keyed-state.ts'
import { heapBytesOf } from './heap-size.ts'
import type { CurrentKey } from './current-key.ts'
import { pageOf, pagesOf, Root } from './page.ts'
import type { Page, TableInfo } from './page.ts'
import type { Pager } from './pager.ts'
import { rowBytes } from './row-entries.ts'
import { halvePage, sameHalf, splitPage } from './split.ts'

/** Puts between two samples of a value's size. */
const sampleEvery = 128
/** Heap bytes of an entry besides its key and value: its slots in a page, its share of the page, in a map an object. */
const entryOverhead = { value: 60, map: 98 } as const

export class Table {
  readonly info: TableInfo
  readonly current: CurrentKey
  readonly pager: Pager
  readonly #keyGroups: KeyGroupRange
  readonly #slices = new Map<Namespace, Slice>()
  #lastNamespace: Namespace | undefined
  #lastSlice: Slice | undefined
  #untilSample = 1

  constructor(info: TableInfo, current: CurrentKey, pager: Pager, keyGroups: KeyGroupRange) {
    this.info = info
    this.current = current
    this.pager = pager
    this.#keyGroups = keyGroups
  }

  root(namespace: Namespace, keyGroup: number): Root | undefined {
    return this.#slice(namespace)?.root(keyGroup - this.#keyGroups.start)
  }

  createRoot(namespace: Namespace, keyGroup: number): Root {
    let slice = this.#slice(namespace)
    if (slice === undefined) {
      slice = new Slice(this.pager.epoch)
      this.#slices.set(namespace, slice)
      this.#lastNamespace = namespace
      this.#lastSlice = slice
    }
    const root = new Root(this.info, namespace, keyGroup, this.pager.epoch)
    slice.add(keyGroup - this.#keyGroups.start, root)
    this.pager.adopt(root.node as Page)
    return root
  }

  /** By ascending key group. */
  roots(namespace: Namespace): Root[] {
    return this.#slices.get(namespace)?.roots() ?? []
  }

  namespaces(): Namespace[] {
    return [...this.#slices.keys()].sort((a, b) => a - b)
  }

  /**
   * Every root that was there when the snapshot `epoch` began, and is when its turn comes; some newer ones too. State may
   * change while its reader works.
   */
  *rootsBefore(epoch: number): Iterable<Root> {
    for (const slice of this.#slices.values()) {
      // A `Map` is in the order of insertion: all that follow are new as well.
      if (slice.epoch >= epoch) return
      yield* slice.roots()
    }
  }

  clear(namespace: Namespace): void {
    const slice = this.#slices.get(namespace)
    if (slice === undefined) return
    this.#slices.delete(namespace)
    this.#lastSlice = undefined
    this.#lastNamespace = undefined
    for (const root of slice.roots()) this.#drop(root)
    this.current.outdate()
  }

  /** One more entry stands in `page`, which `open` has opened; `besides`: heap bytes that came with it. */
  inserted(page: Page, key: unknown, value: unknown, besides = 0): void {
    page.count++
    page.objects++
    page.root.count++
    page.dirty = true
    this.pager.added(page)
    if (--this.#untilSample <= 0) this.#learn(page, key, value)
    this.pager.changeBytes(page, this.info.entryBytes + besides)
    if (page.count > page.splitAbove) splitPage(page, this.pager)
  }

  /**
   * The page that takes new entries with these hashes all at once. Where it holds others already, it is split before they
   * come if it would have to be afterwards. undefined: they belong to several.
   */
  pageFor(namespace: Namespace, keyGroup: number, hashes: readonly number[]): Page | undefined {
    if (hashes.length === 0) return undefined
    const root = this.root(namespace, keyGroup) ?? this.createRoot(namespace, keyGroup)
    let first = 0xffffffff
    let last = 0
    for (let i = 0; i < hashes.length; i++) {
      const hash = (hashes[i] as number) >>> 0
      if (hash < first) first = hash
      if (hash > last) last = hash
    }
    for (;;) {
      const page = pageOf(root, first)
      if (page !== pageOf(root, last)) return undefined
      if (page.count === 0 || page.count + hashes.length <= page.splitAbove || !sameHalf(page, first, last)) return page
      this.pager.open(page)
      halvePage(page, this.pager)
    }
  }

  /** Like `inserted`, for entries that came at once. */
  insertedAll(page: Page, keys: readonly unknown[], values: readonly unknown[], besides = 0): void {
    const { root } = page
    const count = keys.length
    const before = root.count
    let sample = this.#untilSample - 1
    for (; sample < count; sample += this.#untilSample) {
      root.count = before + sample + 1
      this.#learn(page, keys[sample], values[sample])
    }
    this.#untilSample = sample - count + 1
    root.count = before + count
    page.count += count
    page.objects += count
    page.dirty = true
    this.pager.added(page, count)
    this.pager.changeBytes(page, count * this.info.entryBytes + besides)
    if (page.count > page.splitAbove) splitPage(page, this.pager)
  }

  changed(page: Page, key: unknown, value: unknown): void {
    page.dirty = true
    if (--this.#untilSample <= 0) this.#learnAgain(page, key, value)
    // Objects were made of its rows, of which it may hold more.
    if (page.count <= page.splitAbove) return
    splitPage(page, this.pager)
    this.current.outdate()
  }

  #learnAgain(page: Page, key: unknown, value: unknown): void {
    const bytes = this.#learn(page, key, value)
    // Values that grow in place are noticed here: the page's average moves towards the sample.
    const average = page.bytes / page.objects
    this.pager.changeBytes(page, Math.round(((bytes - average) / 8) * page.objects))
  }

  /** `count` entries are gone from the objects of `page`. */
  removed(page: Page, count = 1): void {
    const { root } = page
    this.pager.changeBytes(page, page.objects === count ? -page.bytes : -Math.round((page.bytes * count) / page.objects))
    page.objects -= count
    page.count -= count
    page.dirty = true
    root.count -= count
    this.pager.entries -= count
    if (root.count === 0) this.#dropRoot(root)
  }

  /** Of one key group, if there is anything. */
  dropRoot(namespace: Namespace, keyGroup: number): void {
    const root = this.root(namespace, keyGroup)
    if (root !== undefined) this.#dropRoot(root)
  }

  #learn(page: Page, key: unknown, value: unknown): number {
    const { entries } = page
    const bytes = entries?.kind === 'rows' ? rowBytes(entries.layout) + (entries.layout.keys === 'others' ? heapBytesOf(key) : 0) : entryOverhead[this.info.kind] + heapBytesOf(key) + heapBytesOf(value)
    // A large value costs a longer look; it is taken more seldom.
    this.#untilSample = sampleEvery + (bytes >> 8)
    this.info.averageBytes += (bytes - this.info.averageBytes) / (page.root.count < sampleEvery ? 2 : 16)
    this.info.entryBytes = Math.round(this.info.averageBytes)
    return bytes
  }

  #dropRoot(root: Root): void {
    this.#drop(root)
    const slice = this.#slices.get(root.namespace) as Slice
    if (slice.remove(root.keyGroup - this.#keyGroups.start) === 0) {
      this.#slices.delete(root.namespace)
      this.#lastSlice = undefined
      this.#lastNamespace = undefined
    }
    this.current.outdate()
  }

  #drop(root: Root): void {
    for (const page of pagesOf(root)) this.pager.drop(page)
    this.pager.removals?.root(this.pager.epoch, root)
  }

  #slice(namespace: Namespace): Slice | undefined {
    if (namespace === this.#lastNamespace) return this.#lastSlice
    const slice = this.#slices.get(namespace)
    if (slice !== undefined) {
      this.#lastNamespace = namespace
      this.#lastSlice = slice
    }
    return slice
  }
}

/** The key groups of one namespace. A session has a namespace nearly for itself, so the first root needs no list. */
class Slice {
  /** Number of the last snapshot that began before it. */
  readonly epoch: number
  #only: Root | undefined
  #onlyIndex = -1
  #roots: (Root | undefined)[] | undefined
  #size = 0

  constructor(epoch: number) {
    this.epoch = epoch
  }

  root(index: number): Root | undefined {
    if (this.#roots !== undefined) return this.#roots[index]
    return index === this.#onlyIndex ? this.#only : undefined
  }

  add(index: number, root: Root): void {
    this.#size++
    if (this.#size === 1 && this.#roots === undefined) {
      this.#only = root
      this.#onlyIndex = index
      return
    }
    if (this.#roots === undefined) {
      this.#roots = []
      this.#roots[this.#onlyIndex] = this.#only
      this.#only = undefined
    }
    this.#roots[index] = root
  }

  /** How many are left. */
  remove(index: number): number {
    if (this.#roots !== undefined) this.#roots[index] = undefined
    else {
      this.#only = undefined
      this.#onlyIndex = -1
    }
    return --this.#size
  }

  roots(): Root[] {
    if (this.#roots === undefined) return this.#only === undefined ? [] : [this.#only]
    return this.#roots.filter(root => root !== undefined)
  }
}
