/** One value per (namespace, key). */
import type { Namespace, ValueTable } from '../../operators/keyed-state.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { canonicalKey, isShortTuple } from '../../core/key-group.ts'
import { pageHash } from './current-key.ts'
import { ownedKey } from './owned-key.ts'
import { isIn, keyAt, keysOf, pageOf, pagesOf } from './page.ts'
import type { Page, PageEntries } from './page.ts'
import { packedValues } from './packing.ts'
import { TableRows, type RowLayout } from './row-layout.ts'
import type { ValueColumns } from './section.ts'
import type { Table } from './table.ts'
import { beginRows, insertValue, intoRows, setValue } from './value-entries.ts'

export class PagedValueTable implements ValueTable {
  readonly #table: Table
  /** What the last lookup found, as long as the current key's serial stands: a get and its put are one lookup. */
  #serial = 0
  #namespace: Namespace = 0
  #page: Page | undefined
  #entries: PageEntries | undefined
  /** Where it lies among the entries of the page, -1 if it is not there. (Not the value: to store one for each record costs a write barrier.) */
  #position = -1

  constructor(table: Table) {
    this.#table = table
  }

  get age(): number {
    return this.#table.current.age
  }

  get(namespace: Namespace): unknown {
    this.#find(namespace)
    return this.#position < 0 ? undefined : (this.#entries as PageEntries).valueAt(this.#position)
  }

  /** `undefined` removes. */
  put(namespace: Namespace, value: unknown): void {
    if (value === undefined) return this.remove(namespace)
    this.#find(namespace)
    const { current, pager } = this.#table
    const page = this.#page
    const position = this.#position
    if (page === undefined || position < 0) {
      const { canonical, hash, keyGroup, key } = current
      const at = page ?? pageOf(this.#table.root(namespace, keyGroup) ?? this.#table.createRoot(namespace, keyGroup), hash)
      this.#insertInto(at, key, canonical, hash, value)
      this.#serial = 0
      return
    }
    const entries = this.#entries as PageEntries
    pager.touchValue(page, entries, position)
    if (entries.kind === 'rows') this.#set(page, position, value)
    // An accumulator that was changed in place is the object that is held.
    else if (value !== entries.valueAt(position)) entries.setAt(position, value)
    this.#table.changed(page, current.key, value)
  }

  /** `undefined` removes. */
  update(namespace: Namespace, value: unknown, own: (value: unknown, held: unknown) => unknown): void {
    if (value === undefined) return this.remove(namespace)
    this.#find(namespace)
    const { current, pager, info } = this.#table
    info.rows ??= new TableRows(pager.largestRowPage)
    const page = this.#page
    if (page === undefined || this.#position < 0) return this.put(namespace, own(value, undefined))
    if (page.entries?.kind === 'objects' && intoRows(page, current.canonical, value)) {
      this.#entries = page.entries
      this.#position = page.entries.find(current.canonical, current.hash)
    }
    const entries = this.#entries as PageEntries
    if (entries.kind === 'objects') return this.put(namespace, own(value, entries.valueAt(this.#position)))
    pager.touchValue(page, entries, this.#position)
    if (!entries.setAt(this.#position, value)) this.#set(page, this.#position, own(value, undefined))
    this.#table.changed(page, current.key, value)
  }

  /** What may make other entries of those of the page. */
  #set(page: Page, position: number, value: unknown): void {
    const { canonical, hash } = this.#table.current
    this.#position = setValue(page, position, canonical, hash, value)
    this.#entries = page.entries
  }

  remove(namespace: Namespace): void {
    this.#find(namespace)
    const page = this.#page
    if (page === undefined || this.#position < 0) return
    this.#removeAt(page, this.#entries as PageEntries, this.#position)
    this.#serial = 0
  }

  #removeAt(page: Page, entries: PageEntries, position: number): void {
    const { pager } = this.#table
    pager.touchValue(page, entries, position)
    pager.removed(page.root, keyAt(page, entries, position))
    page.keys?.delete(entries.keyAt(position))
    entries.removeAt(position)
    this.#table.removed(page)
  }

  *entries(namespace: Namespace): Iterable<readonly [key: unknown, value: unknown]> {
    for (const root of this.#table.roots(namespace)) {
      for (const page of pagesOf(root)) {
        if (page.dropped) return
        const { pager } = this.#table
        const pack = pager.peek(page)
        // Objects are handed out live, what is packed as copies.
        if (page.objects > 0) pager.copy(page)
        // Lists of their own: who reads them may change the page.
        const keys = keysOf(page)
        const values = page.entries?.values() ?? []
        const packed = pack === undefined ? [] : packedValues(page, pack)
        for (let i = 0; i < keys.length; i++) yield [keys[i], values[i]]
        yield* packed
      }
    }
  }

  clear(namespace: Namespace): void {
    this.#table.clear(namespace)
  }

  namespaces(): Namespace[] {
    return this.#table.namespaces()
  }

  /** A section of a snapshot, which was a page: its entries go into one as a whole. None of the keys is there yet. */
  restore(namespace: Namespace, keyGroup: number, { keys, values, layout }: ValueColumns): void {
    if (layout !== undefined) this.#expectRows(layout)
    const hashes: number[] = []
    for (let i = 0; i < keys.length; i++) hashes.push(pageHash(keys[i]))
    const page = this.#table.pageFor(namespace, keyGroup, hashes)
    if (page === undefined) {
      for (let i = 0; i < keys.length; i++) this.#insert(namespace, keyGroup, keys[i], canonicalKey(keys[i]), hashes[i] as number, values[i])
      return
    }
    const { pager } = this.#table
    pager.open(page)
    if (layout !== undefined) beginRows(page, canonicalKey(keys[0]), values[0], keys.length)
    page.entries?.reserve(keys.length)
    for (let i = 0; i < keys.length; i++) {
      const owned = ownedKey(keys[i])
      insertValue(page, canonicalKey(owned), hashes[i] as number, owned, values[i], pager.epoch)
    }
    this.#table.insertedAll(page, keys, values)
  }

  /** A section of a later snapshot: of each key an older entry may be there. Mostly all are of one page. */
  restoreChanges(namespace: Namespace, keyGroup: number, { keys, values, layout }: ValueColumns): void {
    if (layout !== undefined) this.#expectRows(layout)
    const { pager } = this.#table
    let page: Page | undefined
    for (let i = 0; i < keys.length; i++) {
      const hash = pageHash(keys[i])
      if (page === undefined || page.dropped || !isIn(page, hash)) page = pageOf(this.#table.root(namespace, keyGroup) ?? this.#table.createRoot(namespace, keyGroup), hash)
      const entries = pager.open(page)
      const canonical = canonicalKey(keys[i])
      let position = entries.find(canonical, hash)
      if (position < 0) position = pager.takeValue(page, canonical, hash)
      if (position < 0) {
        const owned = ownedKey(keys[i])
        insertValue(page, typeof owned === 'string' ? canonicalKey(owned) : canonical, hash, owned, values[i], pager.epoch)
        this.#table.inserted(page, owned, values[i])
      } else {
        setValue(page, position, canonical, hash, values[i])
        this.#table.changed(page, keys[i], values[i])
      }
    }
  }

  /** What a snapshot holds as rows becomes rows again, and no objects that the first `update` would make rows of. */
  #expectRows(layout: RowLayout): void {
    const { info, pager } = this.#table
    info.rows ??= new TableRows(pager.largestRowPage)
    info.rows.layout ??= layout
  }

  /** Everything of a key group that a later snapshot says is gone. */
  restoreGone(namespace: Namespace, keyGroup: number): void {
    this.#table.dropRoot(namespace, keyGroup)
  }

  /** An entry that a later snapshot says is gone. */
  restoreRemoval(namespace: Namespace, keyGroup: number, key: unknown): void {
    const held = this.#locate(namespace, keyGroup, canonicalKey(key), pageHash(key))
    if (held !== undefined) this.#removeAt(held.page, held.entries, held.position)
  }

  #locate(namespace: Namespace, keyGroup: number, canonical: CanonicalKey, hash: number): { readonly page: Page; readonly entries: PageEntries; readonly position: number } | undefined {
    const root = this.#table.root(namespace, keyGroup)
    if (root === undefined) return undefined
    const page = pageOf(root, hash)
    let position = this.#table.pager.open(page).find(canonical, hash)
    if (position < 0) position = this.#table.pager.takeValue(page, canonical, hash)
    return position < 0 ? undefined : { page, entries: page.entries as PageEntries, position }
  }

  #find(namespace: Namespace): void {
    const { current, pager } = this.#table
    if (this.#serial === current.serial && this.#namespace === namespace) return
    current.resolve()
    const root = this.#table.root(namespace, current.keyGroup)
    this.#namespace = namespace
    this.#serial = current.serial
    this.#position = -1
    if (root === undefined) {
      this.#page = this.#entries = undefined
      return
    }
    const { hash } = current
    const page = pageOf(root, hash)
    let entries = pager.open(page)
    let position = current.isPair ? entries.findPair(current.first, current.second, hash) : entries.find(current.canonical, hash)
    if (position < 0 && page.pack !== undefined) {
      position = pager.takeValue(page, current.canonical, hash)
      entries = page.entries as PageEntries
    }
    this.#page = page
    this.#entries = entries
    if (position < 0) return
    this.#position = position
    // It is handed out, and may be changed before it is put.
    if (entries.isLive(position)) pager.touchValue(page, entries, position)
  }

  #insert(namespace: Namespace, keyGroup: number, key: unknown, canonical: CanonicalKey, hash: number, value: unknown): void {
    const root = this.#table.root(namespace, keyGroup) ?? this.#table.createRoot(namespace, keyGroup)
    this.#insertInto(pageOf(root, hash), key, canonical, hash, value)
  }

  #insertInto(page: Page, key: unknown, canonical: CanonicalKey, hash: number, value: unknown): void {
    const { pager } = this.#table
    pager.open(page)
    // Such a key is not stored: its canonical form gives it back.
    const owned = isShortTuple(canonical) ? key : ownedKey(key)
    insertValue(page, typeof owned === 'string' ? canonicalKey(owned) : canonical, hash, owned, value, pager.epoch)
    this.#table.inserted(page, owned, value)
  }
}
