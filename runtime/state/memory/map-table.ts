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
import { Entry, mapOverhead, pageOf, pagesBetween } from './page.ts'
import type { Fields, Page, PageEntries, Root } from './page.ts'
import { fieldsInOrder, holdsKey } from './packing.ts'
import type { MapColumns } from './section.ts'
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
    const entry = this.#entryAt(namespace, field)
    if (entry === undefined) return undefined
    // It is handed out, and may be changed before it is put.
    if (typeof entry.value === 'object') this.#touch(entry)
    return entry.value
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
      this.#touch(entry)
      entry.value = value
      this.#table.changed(this.#page as Page, field, value)
    }
  }

  remove(namespace: Namespace, field: unknown): void {
    const entry = this.#entryAt(namespace, field)
    if (entry === undefined) return
    const { canonical, hash } = this.#table.current
    this.#remove(this.#page as Page, canonical, hash, entry)
    this.#serial = 0
  }

  /** `hash` is the key's own. */
  #remove(page: Page, canonical: CanonicalKey, hash: number, field: Entry): void {
    const { pager } = this.#table
    const owner = page.entries?.get(canonical, hash) as Entry
    pager.touchField(page, owner, field)
    pager.removed(page.root, owner.key, field.key)
    const map = owner.value as Fields
    map.delete(canonicalKey(field.key))
    if (map.size === 0) page.entries?.delete(canonical, hash)
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
      if (owner !== undefined) for (const field of (owner.value as Fields).values()) if (typeof field.value === 'object') pager.touchField(page, owner, field)
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
      const { pager } = this.#table
      const entries = pager.open(page)
      pager.takeKey(page, canonical, hash)
      const owner = entries.get(canonical, hash) as Entry | undefined
      if (owner === undefined) continue
      const fields = owner.value as Fields
      for (const field of fields.values()) {
        pager.touchField(page, owner, field)
        pager.removed(page.root, owner.key, field.key)
      }
      entries.delete(canonical, hash)
      this.#table.removed(page, fields.size)
    }
    this.#serial = 0
  }

  /** A section of a snapshot, which was a page: its fields go into one as a whole. None of them is there yet. */
  restore(namespace: Namespace, keyGroup: number, { keys, sizes, fields, values }: MapColumns): void {
    this.#serial = 0
    const keyHashes: number[] = []
    const hashes: number[] = []
    for (let k = 0; k < keys.length; k++) {
      const hash = pageHash(keys[k])
      keyHashes.push(hash)
      for (let left = sizes[k] as number; left > 0; left--) hashes.push(fieldPageHash(hash, fields[hashes.length]))
    }
    const page = this.#table.pageFor(namespace, keyGroup, hashes)
    let at = 0
    if (page === undefined) {
      for (let k = 0; k < keys.length; k++) {
        for (let left = sizes[k] as number; left > 0; left--, at++) this.#insert(namespace, keyGroup, keys[k], keyHashes[k] as number, fields[at], values[at])
      }
      return
    }
    const { pager } = this.#table
    const entries = pager.open(page)
    const before = entries.size
    for (let k = 0; k < keys.length; k++) {
      const map = ownerIn(entries, keys[k], keyHashes[k] as number).value as Fields
      for (let left = sizes[k] as number; left > 0; left--, at++) {
        const owned = ownedKey(fields[at])
        map.set(canonicalKey(owned), new Entry(owned, values[at], pager.epoch))
      }
    }
    this.#table.insertedAll(page, fields, values, (entries.size - before) * mapOverhead)
  }

  /** A field of a later snapshot; an older one may be there. */
  restoreChange(namespace: Namespace, keyGroup: number, key: unknown, field: unknown, value: unknown): void {
    this.#serial = 0
    const hash = pageHash(key)
    const held = this.#locate(namespace, keyGroup, canonicalKey(key), hash, field)
    if (held === undefined) return this.#insert(namespace, keyGroup, key, hash, field, value)
    held.entry.value = value
    this.#table.changed(held.page, field, value)
  }

  /** Everything of a key group that a later snapshot says is gone. */
  restoreGone(namespace: Namespace, keyGroup: number): void {
    this.#table.dropRoot(namespace, keyGroup)
  }

  /** A field that a later snapshot says is gone. */
  restoreRemoval(namespace: Namespace, keyGroup: number, key: unknown, field: unknown): void {
    this.#serial = 0
    const canonical = canonicalKey(key)
    const hash = pageHash(key)
    const held = this.#locate(namespace, keyGroup, canonical, hash, field)
    if (held !== undefined) this.#remove(held.page, canonical, hash, held.entry)
  }

  /** `hash` is the key's own. */
  #locate(namespace: Namespace, keyGroup: number, canonical: CanonicalKey, hash: number, field: unknown): { readonly page: Page; readonly entry: Entry } | undefined {
    const root = this.#table.root(namespace, keyGroup)
    if (root === undefined) return undefined
    const { pager } = this.#table
    const fieldHash = fieldPageHash(hash, field)
    const page = pageOf(root, fieldHash)
    const canonicalField = canonicalKey(field)
    const entry = fieldsIn(pager.open(page), canonical, hash)?.get(canonicalField) ?? pager.takeField(page, canonical, hash, canonicalField, fieldHash)
    return entry === undefined ? undefined : { page, entry }
  }

  /** The current key is resolved. */
  *#pagesOfKey(namespace: Namespace): Iterable<Page> {
    const { current } = this.#table
    const root = this.#table.root(namespace, current.keyGroup)
    if (root === undefined) return
    const first = (current.hash & (-1 << keyBitsOfField)) >>> 0
    yield* pagesBetween(root, first, first + 2 ** keyBitsOfField - 1)
  }

  /** What is in a field of the current key; `#page` is its page. */
  #entryAt(namespace: Namespace, field: unknown): Entry | undefined {
    const canonicalField = canonicalKey(field)
    return this.#mapAt(namespace, field)?.get(canonicalField) ?? this.#take(field, canonicalField)
  }

  /** A field of the current key in `#page`, before it is changed or handed out as an object. */
  #touch(field: Entry): void {
    const { pager, current } = this.#table
    if (field.stamp === pager.epoch) return
    const page = this.#page as Page
    pager.touchField(page, page.entries?.get(current.canonical, current.hash) as Entry, field)
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
    const keys = entries.size
    const owner = ownerIn(entries, key, keyHash32)
    const ownedField = ownedKey(field)
    const canonicalField = canonicalKey(ownedField)
    ;(owner.value as Fields).set(canonicalField, new Entry(ownedField, value, this.#table.pager.epoch))
    this.#table.inserted(page, ownedField, value, (entries.size - keys) * mapOverhead)
  }
}

/** Of a key that is perhaps not there yet. */
function ownerIn(entries: PageEntries, key: unknown, hash: number): Entry {
  const found = entries.get(canonicalKey(key), hash) as Entry | undefined
  if (found !== undefined) return found
  const owned = ownedKey(key)
  const owner = new Entry(owned, new Map() satisfies Fields)
  entries.insert(canonicalKey(owned), hash, owner)
  return owner
}

function fieldsIn(entries: PageEntries, key: CanonicalKey, hash: number): Fields | undefined {
  // A map table's pages hold nothing else.
  const owner = entries.get(key, hash) as Entry | undefined
  return owner === undefined ? undefined : (owner.value as Fields)
}
