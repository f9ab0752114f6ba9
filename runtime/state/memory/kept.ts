/**
 * What a running snapshot still has to write of entries that were touched since it began: their values as they were. To
 * write the page of each entry at once would be simpler, and would make the turn of the barrier write as many pages as it
 * has records: its pause would grow with the state.
 *
 * Values are copied, because user code changes what `get` gave it before it puts it. What was not there is kept as such.
 */
import type { CanonicalKey } from '../../core/key-group.ts'
import { Entries } from './entries.ts'
import { ownedKey } from './owned-key.ts'
import { Entry, keysOf, mapsOf } from './page.ts'
import type { Fields, Page } from './page.ts'

/** In place of a value: there was none. */
const absent = Symbol('absent')
/** A field as it was; its value is undefined if it was not there. */
type Before = Entry

/**
 * Of one page. A few entries of each of thousands of pages are kept at once, and what is kept survives: hence no object per
 * entry of a value table.
 */
export class Kept {
  /** Value tables. */
  readonly #values = new Entries()
  /** The keys that their canonical form does not give back. */
  #keys: Map<CanonicalKey, unknown> | undefined
  /** Map tables: by key an entry that holds its fields. */
  #maps: Map<CanonicalKey, Entry> | undefined
  /** Values of a value table, fields of a map table. */
  size = 0

  has(key: CanonicalKey, hash: number): boolean {
    return this.#values.find(key, hash) >= 0
  }

  /** `key`: if the canonical form does not give it back, then state's own. The canonical one may still be a part of a batch's text. */
  set(canonical: CanonicalKey, hash: number, key: unknown, value: unknown): void {
    const own = ownedKey(canonical) as CanonicalKey
    this.#values.insert(own, hash, value === undefined ? absent : value)
    if (key !== canonical) (this.#keys ??= new Map()).set(own, key)
    this.size++
  }

  hasField(key: CanonicalKey, field: CanonicalKey): boolean {
    const entry = this.#maps?.get(key)
    return entry !== undefined && (entry.value as Map<CanonicalKey, Before>).has(field)
  }

  /** `key` and `field` are state's own. */
  setField(canonical: CanonicalKey, key: unknown, canonicalField: CanonicalKey, field: unknown, value: unknown): void {
    const maps = (this.#maps ??= new Map())
    let entry = maps.get(canonical)
    if (entry === undefined) maps.set(ownedKey(canonical) as CanonicalKey, (entry = new Entry(key, new Map<CanonicalKey, Before>())))
    ;(entry.value as Map<CanonicalKey, Before>).set(ownedKey(canonicalField) as CanonicalKey, new Entry(field, value))
    this.size++
  }

  /** The objects of a value page as they were. */
  valuesOf(page: Page): { readonly keys: unknown[]; readonly values: unknown[] } {
    const canonical = page.entries?.keys() ?? []
    const hashes = page.entries?.hashes() ?? []
    const keysNow = keysOf(page)
    const valuesNow = page.entries?.values() ?? []
    const keys: unknown[] = []
    const values: unknown[] = []
    for (let i = 0; i < canonical.length; i++) {
      if (this.has(canonical[i] as CanonicalKey, hashes[i] as number)) continue
      keys.push(keysNow[i])
      values.push(valuesNow[i])
    }
    const before = this.#values.values()
    this.#values.keys().forEach((key, i) => {
      if (before[i] === absent) return
      keys.push(this.#keys?.has(key) === true ? this.#keys.get(key) : key)
      values.push(before[i])
    })
    return { keys, values }
  }

  /** The objects of a map page as they were, by key. */
  mapsOf(page: Page): Entry[] {
    const canonical = page.entries?.keys() ?? []
    const maps: Entry[] = []
    const add = (key: unknown, now: Fields | undefined, before: ReadonlyMap<CanonicalKey, Before>) => {
      const fields: Fields = new Map()
      for (const [name, field] of now ?? []) if (!before.has(name)) fields.set(name, field)
      for (const [name, field] of before) if (field.value !== undefined) fields.set(name, field)
      if (fields.size > 0) maps.push(new Entry(key, fields))
    }
    mapsOf(page).forEach((entry, i) => {
      const before = this.#maps?.get(canonical[i] as CanonicalKey)
      if (before === undefined) maps.push(entry)
      else add(entry.key, entry.value as Fields, before.value as Map<CanonicalKey, Before>)
    })
    // Keys that are gone.
    const there = new Set(canonical)
    for (const [key, before] of this.#maps ?? []) if (!there.has(key)) add(before.key, undefined, before.value as Map<CanonicalKey, Before>)
    return maps
  }
}
