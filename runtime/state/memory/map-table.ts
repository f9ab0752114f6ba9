/**
 * A map per (namespace, key). Every field is an entry of its own: a field's place is decided first by its key's hash and
 * then by its own, so a small map lies in one page and a large one in many neighbouring pages, which are evicted and
 * snapshotted one by one.
 */
import type { MapTable, Namespace } from '../../operators/keyed-state.ts'
import { canonicalKey } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { fieldPageHash, keyBitsOfField, pageHash } from './current-key.ts'
import { ownedKey } from './owned-key.ts'
import type { Entries } from './entries.ts'
import { Entry, mapOverhead, pageOf, pagesBetween } from './page.ts'
import type { Fields, Page, Root } from './page.ts'
import { fieldsInOrder, holdsKey } from './packing.ts'
import type { Table } from './table.ts'


export class PagedMapTable implements MapTable {
  readonly #table: Table
  /** The page that holds all of the current key's map, if one page does, as long as the serial stands. */
  #serial = 0
  #namespace: Namespace = 0
  #page: Page | undefined
  #map: Fields | undefined

  constructor(table: Table) {
    this.#table = table
  }

  get(namespace: Namespace, field: unknown): unknown {
    return this.#entryAt(namespace, field)?.value
  }

  has(namespace: Namespace, field: unknown): boolean {
    const canonicalField = canonicalKey(field)
    return this.#mapAt(namespace, field)?.has(canonicalField) === true || this.#take(field, canonicalField) !== undefined
  }

  put(namespace: Namespace, field: unknown, value: unknown): void {
    const entry = this.#entryAt(namespace, field)
    if (entry === undefined) {
      const { current } = this.#table
      this.#insert(namespace, current.keyGroup, current.key, current.hash, field, value)
      this.#serial = 0
    } else {
      entry.value = value
      this.#table.changed(this.#page as Page, field, value)
    }
  }

  remove(namespace: Namespace, field: unknown): void {
    if (this.#entryAt(namespace, field) === undefined) return
    const map = this.#mapAt(namespace, field) as Fields
    map.delete(canonicalKey(field))
    const page = this.#page as Page
    if (map.size === 0) page.entries?.delete(this.#table.current.canonical, this.#table.current.hash)
    this.#serial = 0
    this.#table.removed(page)
  }

  *entries(namespace: Namespace): Iterable<[field: unknown, value: unknown]> {
    const { current, pager } = this.#table
    current.resolve()
    const { canonical, hash } = current
    for (const page of this.#pagesOfKey(namespace)) {
      if (page.dropped) return
      const pack = pager.peek(page)
      const owner = page.entries?.get(canonical, hash) as Entry | undefined
      if (owner !== undefined) this.#keepAll(page, canonical, owner)
      // A list of its own: what is put or removed meanwhile may split the page.
      const fields = pack !== undefined ? fieldsInOrder(page, pack, canonical, hash) : owner !== undefined ? [...(owner.value as Fields).values()] : []
      for (const entry of fields) yield [entry.key, entry.value]
    }
  }

  isEmpty(namespace: Namespace): boolean {
    const { current } = this.#table
    current.resolve()
    const { canonical, hash } = current
    for (const page of this.#pagesOfKey(namespace)) {
      if (page.count > 0 && (this.#table.pager.open(page).find(canonical, hash) >= 0 || (page.pack !== undefined && holdsKey(page, page.pack, canonical, hash)))) return false
    }
    return true
  }

  clear(namespace: Namespace): void {
    const { current } = this.#table
    current.resolve()
    const { canonical, hash } = current
    for (const page of [...this.#pagesOfKey(namespace)]) {
      if (page.dropped || page.count === 0) continue
      const entries = this.#table.pager.open(page)
      this.#table.pager.takeKey(page, canonical, hash)
      const owner = entries.get(canonical, hash) as Entry | undefined
      if (owner === undefined) continue
      this.#keepAll(page, canonical, owner)
      entries.delete(canonical, hash)
      this.#table.removed(page, (owner.value as Fields).size)
    }
    this.#serial = 0
  }

  /** A field of a snapshot. */
  restore(namespace: Namespace, keyGroup: number, key: unknown, field: unknown, value: unknown): void {
    this.#serial = 0
    this.#insert(namespace, keyGroup, key, pageHash(key), field, value)
  }

  /** The current key is resolved. */
  *#pagesOfKey(namespace: Namespace): Iterable<Page> {
    const { current } = this.#table
    const root = this.#table.root(namespace, current.keyGroup)
    if (root === undefined) return
    const first = (current.hash & (-1 << keyBitsOfField)) >>> 0
    yield* pagesBetween(root, first, first + 2 ** keyBitsOfField - 1)
  }

  /** What is in a field, to be read or changed now; `#page` is its page. */
  #entryAt(namespace: Namespace, field: unknown): Entry | undefined {
    const canonicalField = canonicalKey(field)
    const entry = this.#mapAt(namespace, field)?.get(canonicalField) ?? this.#take(field, canonicalField)
    if (entry === undefined) return undefined
    const { pager, current } = this.#table
    const page = this.#page as Page
    if (pager.awaited(page)) pager.keepField(page, current.canonical, page.entries?.get(current.canonical, current.hash) as Entry, canonicalField, entry)
    return entry
  }

  /** A field that is not among the objects of `#page`. */
  #take(field: unknown, canonicalField: CanonicalKey): Entry | undefined {
    const page = this.#page
    if (page?.pack === undefined) return undefined
    const { pager, current } = this.#table
    const entry = pager.takeField(page, current.canonical, current.hash, canonicalField, fieldPageHash(current.hash, field))
    if (entry !== undefined && this.#map === undefined) this.#serial = 0
    return entry
  }

  /** Before all of the owner's fields are handed out or dropped. */
  #keepAll(page: Page, canonical: CanonicalKey, owner: Entry): void {
    const { pager } = this.#table
    for (const [name, field] of owner.value as Fields) {
      if (!pager.awaited(page)) return
      pager.keepField(page, canonical, owner, name, field)
    }
  }

  /** The part of the current key's map that may hold the field; `#page` is its page. */
  #mapAt(namespace: Namespace, field: unknown): Fields | undefined {
    const { current } = this.#table
    if (this.#serial === current.serial && this.#namespace === namespace) return this.#map
    current.resolve()
    const root = this.#table.root(namespace, current.keyGroup)
    this.#page = undefined
    if (root === undefined) return undefined
    const page = pageOf(root, fieldPageHash(current.hash, field))
    const map = fieldsIn(this.#table.pager.open(page), current.canonical, current.hash)
    this.#page = page
    if (page.depth <= 32 - keyBitsOfField) {
      this.#serial = current.serial
      this.#namespace = namespace
      this.#map = map
    }
    return map
  }

  #insert(namespace: Namespace, keyGroup: number, key: unknown, keyHash32: number, field: unknown, value: unknown): void {
    const root: Root = this.#table.root(namespace, keyGroup) ?? this.#table.createRoot(namespace, keyGroup)
    const page = pageOf(root, fieldPageHash(keyHash32, field))
    const entries = this.#table.pager.open(page)
    const canonical: CanonicalKey = canonicalKey(key)
    let besides = 0
    let owner = entries.get(canonical, keyHash32) as Entry | undefined
    if (owner === undefined) {
      const owned = ownedKey(key)
      besides = mapOverhead
      owner = new Entry(owned, new Map() satisfies Fields)
      entries.insert(typeof owned === 'string' ? canonicalKey(owned) : canonical, keyHash32, owner)
    }
    const ownedField = ownedKey(field)
    const canonicalField = canonicalKey(ownedField)
    const { pager } = this.#table
    if (pager.awaited(page)) pager.keepField(page, canonical, owner, canonicalField, undefined)
    ;(owner.value as Fields).set(canonicalField, new Entry(ownedField, value))
    this.#table.inserted(page, ownedField, value, besides)
  }
}

function fieldsIn(entries: Entries, key: CanonicalKey, hash: number): Fields | undefined {
  // A map table's pages hold nothing else.
  const owner = entries.get(key, hash) as Entry | undefined
  return owner === undefined ? undefined : (owner.value as Fields)
}
