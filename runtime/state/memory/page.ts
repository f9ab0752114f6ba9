/**
 * Where the entries of one (state, namespace, key group) lie: a page while they are few, a tree of directories over
 * pages when they are many (extendible hashing). A page holds all entries whose hash begins with its `depth` bits
 * `prefix`; it splits when it outgrows its table's page limit, so no hash map ever grows large enough for its rehash to
 * be felt.
 *
 * An entry of a page lies in one of three places: among its objects (`entries`), where it is used; as bytes in its `pack`; or,
 * with the whole page, in the store. It is taken out of the pack alone when it is used, and goes back with all objects of
 * its page when memory is short (`pager.ts`). A page is the unit of packing, of the store and of a snapshot's section; what a
 * running snapshot copies on access is the entry.
 *
 * A directory covers at most `maxDirectoryBits` bits and then nests: keys that share a long prefix (the fields of one
 * very large map) cost a few directories on their path and not one of 2^30 slots.
 */
import { keyOfShortTuple } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { createCopier, type Copier } from '../../codec/copy.ts'
import { SharedShapes } from '../../codec/shared-shapes.ts'
import type { Namespace } from '../../operators/keyed-state.ts'
import { Entries } from './entries.ts'
import type { Pack } from './pack.ts'
import { Records } from './records.ts'
import type { RowEntries } from './row-entries.ts'
import type { TableRows } from './row-layout.ts'

/** A field and its value in a map; in a page of a map table also a key and its fields. */
export class Entry {
  readonly key: unknown
  value: unknown
  /** Of a field: as in `Page.changed`. */
  stamp: number
  constructor(key: unknown, value: unknown, stamp = 0) {
    this.key = key
    this.value = value
    this.stamp = stamp
  }
}

/** What is not packed of a page; in rows only where values are objects of numbers (`value-entries.ts`). */
export type PageEntries = Entries | RowEntries

/** The fields of one key. */
export type Fields = Map<CanonicalKey, Entry>
/** Heap bytes of such a map besides its fields. */
export const mapOverhead = 250

/** What pages know of their table. */
export class TableInfo {
  readonly name: string
  readonly kind: TableKind
  readonly number: number
  /** Running estimate of the heap bytes of an entry, and the same as a whole number. */
  averageBytes = 160
  entryBytes = 160
  /** Names of the objects in all packs. */
  readonly shapes = new SharedShapes()
  /** Entries on their way into a pack. */
  readonly records: Records
  /** Of values, for a snapshot that is under way. */
  readonly copy: Copier
  /** Value tables: undefined as long as nobody gives and takes copies. */
  rows: TableRows | undefined = undefined

  constructor(name: string, kind: TableKind, number: number) {
    this.name = name
    this.kind = kind
    this.number = number
    const what = `state "${name}"`
    this.records = new Records(what, this.shapes)
    this.copy = createCopier({ what })
  }
}

let nextPageId = 0

export type TableKind = 'value' | 'map'
/** A page with more entries splits. */
export const largestPage = 256
/** The same of rows that stay in memory: they are copied as bytes, so a large table is not felt, and what pages are besides rows stays in the processor's cache. */
export const largestRowPage = 4096

export class Page {
  readonly kind = 'page'
  // What every access looks at comes first: it is a cache line, of pages that are seldom used.
  /**
   * By key: the value itself in a value table (an object more per key would be a cache miss more per access), an `Entry`
   * of `Fields` in a map table. undefined: none.
   */
  entries: PageEntries | undefined = new Entries()
  /** Entries as bytes. undefined: none, or, if there are no objects either, all are in the store. */
  pack: Pack | undefined = undefined
  /** Accesses; the clock compares it with `seen` for its second chance. */
  hits = 0
  /** Differs from what the store holds. */
  dirty = true
  /** The last snapshot that this page was written for, or that began before the page was made. */
  epoch: number
  /** The largest stamp of its entries: number of the last snapshot that began before one of them was touched. */
  changed = 0
  /** The same of those in its pack, which have no stamps of their own. */
  packChanged = 0
  /** Values held, wherever: keys of a value table, fields of a map table. */
  count = 0
  /** Of them, how many are objects. */
  objects = 0
  /** Estimated heap bytes of the objects, whole. */
  bytes = 0
  /** Value tables: the keys among the objects that their canonical form does not give back (text that is escaped, composites but short tuples). */
  keys: Map<CanonicalKey, unknown> | undefined = undefined
  readonly root: Root
  /** Never used again: a removal that LMDB has still to do cannot hit a later page at the same place. */
  readonly id: number = nextPageId++
  /** The leading `depth` bits of the hashes in it, as the high bits of an int32. */
  readonly prefix: number
  readonly depth: number
  /** Bytes of the blob in the store, 0 if there is none. */
  stored = 0
  /** Of that blob. */
  storedChecksum = 0
  seen = 0
  /** It was found that its values cannot lie in rows. */
  plain = false
  /** No longer part of its table: cleared, or split. */
  dropped = false
  /** Splits above this count; raised where all hashes are equal and no split can help. */
  splitAbove = largestPage

  constructor(root: Root, prefix: number, depth: number, epoch: number) {
    this.root = root
    this.prefix = prefix
    this.depth = depth
    this.epoch = epoch
  }
}

export class Directory {
  readonly kind = 'directory'
  /** Leading bits that the directories above have used. */
  readonly base: number
  bits: number
  /** By the next `bits` bits of the hash; a page that needs fewer bits stands in several slots. */
  children: (Page | Directory)[]

  constructor(base: number, bits: number, children: (Page | Directory)[]) {
    this.base = base
    this.bits = bits
    this.children = children
  }
}

/** Everything of one (state, namespace, key group). */
export class Root {
  readonly table: TableInfo
  readonly namespace: Namespace
  readonly keyGroup: number
  /** Number of the last snapshot that began before it. */
  readonly epoch: number
  count = 0
  node: Page | Directory

  constructor(table: TableInfo, namespace: Namespace, keyGroup: number, epoch: number) {
    this.table = table
    this.namespace = namespace
    this.keyGroup = keyGroup
    this.epoch = epoch
    this.node = new Page(this, 0, 0, epoch)
  }
}

const maxDirectoryBits = 10

export function pageOf(root: Root, hash: number): Page {
  let node = root.node
  while (node.kind === 'directory') node = node.children[(hash << node.base) >>> (32 - node.bits)] as Page | Directory
  return node
}

/** Whether the page is where entries with this hash belong. */
export function isIn({ prefix, depth }: Page, hash: number): boolean {
  return depth === 0 || (hash ^ prefix) >>> (32 - depth) === 0
}

/** The keys of the objects of a value page, in the order of its `entries`. */
export function keysOf(page: Page): unknown[] {
  return ownKeys(page, page.entries?.keys() ?? [])
}

/** What those objects of a value page that have a stamp from `since` on and before `until` are, by key. */
export function objectsOf(page: Page, since: number, until: number): { readonly keys: unknown[]; readonly values: unknown[] } {
  const keys: unknown[] = []
  const values: unknown[] = []
  page.entries?.collect(since, until, keys, values)
  return { keys: ownKeys(page, keys), values }
}

/** In place of their canonical forms. */
function ownKeys(page: Page, keys: unknown[]): unknown[] {
  for (let i = 0; i < keys.length; i++) {
    const canonical = keys[i] as CanonicalKey
    // Most are text or a number, which stand for themselves.
    if (typeof canonical === 'string' && canonical.charCodeAt(0) === 1) keys[i] = ownKey(page, canonical)
  }
  return keys
}

/** The key of an object of a value page as state holds it. */
export function keyAt(page: Page, entries: PageEntries, position: number): unknown {
  return ownKey(page, entries.keyAt(position))
}

function ownKey(page: Page, canonical: CanonicalKey): unknown {
  return keyOfShortTuple(canonical) ?? page.keys?.get(canonical) ?? canonical
}

/** The maps among the objects of a map page, as they are now. */
export function mapsOf(page: Page): Entry[] {
  // A map table's pages hold nothing else.
  return (page.entries?.values() ?? []) as Entry[]
}

/** Every page once, by ascending prefix. A page that splits meanwhile is not revisited. */
export function* pagesOf(root: Root): Iterable<Page> {
  if (root.node.kind === 'page') yield root.node
  else yield* pagesBetween(root, 0, 0xffffffff)
}

/** The pages that hold hashes from `first` to `last` (unsigned, both inclusive). */
export function* pagesBetween(root: Root, first: number, last: number): Iterable<Page> {
  let position = first
  while (position <= last) {
    const page = pageOf(root, position | 0)
    // Computed before the page is handed out: it may be split while its reader works.
    const next = (page.prefix >>> 0) + 2 ** (32 - page.depth)
    yield page
    position = next
  }
}

/** Puts the two halves of `page` in its place. */
export function replaceWithHalves(page: Page, low: Page, high: Page): void {
  const root = page.root
  let parent: Directory | undefined
  let slot = 0
  let node = root.node
  while (node.kind === 'directory') {
    parent = node
    slot = (page.prefix << node.base) >>> (32 - node.bits)
    node = node.children[slot] as Page | Directory
  }
  if (parent === undefined) {
    root.node = new Directory(0, 1, [low, high])
    return
  }
  let used = page.depth - parent.base
  if (used === parent.bits) {
    if (parent.bits === maxDirectoryBits) {
      parent.children[slot] = new Directory(page.depth, 1, [low, high])
      return
    }
    parent.children = parent.children.flatMap(child => [child, child])
    parent.bits++
    slot *= 2
  }
  // The page stands in 2^(bits - used) neighbouring slots: the first half of them becomes `low`.
  const width = 1 << (parent.bits - used)
  const start = slot & ~(width - 1)
  parent.children.fill(low, start, start + width / 2)
  parent.children.fill(high, start + width / 2, start + width)
}
