/**
 * What a running snapshot still has to write of entries that were touched since it began: their values as they were. To
 * write the page of each entry at once would be simpler, and would make the turn of the barrier write as many pages as it
 * has records: its pause would grow with the state.
 *
 * Values are copied, because user code changes what `get` gave it before it puts it. What was not there is kept as such.
 */
import type { CanonicalKey } from '../../core/key-group.ts'
import { Entry, keysOf, mapsOf } from './page.ts'
import type { Entries } from './entries.ts'
import type { Fields, Page } from './page.ts'

/** An entry as it was; its value is undefined if it was not there. */
type Before = Entry

/** Of one page. Value tables: `before` by key. Map tables: by key an entry that holds `before` of its fields. */
export class Kept {
  readonly #entries = new Map<CanonicalKey, Entry>()
  /** Values of a value table, fields of a map table. */
  size = 0

  has(key: CanonicalKey): boolean {
    return this.#entries.has(key)
  }

  /** `key` is state's own. */
  set(canonical: CanonicalKey, key: unknown, value: unknown): void {
    this.#entries.set(canonical, new Entry(key, value))
    this.size++
  }

  hasField(key: CanonicalKey, field: CanonicalKey): boolean {
    const entry = this.#entries.get(key)
    return entry !== undefined && (entry.value as Map<CanonicalKey, Before>).has(field)
  }

  setField(canonical: CanonicalKey, key: unknown, canonicalField: CanonicalKey, field: unknown, value: unknown): void {
    let entry = this.#entries.get(canonical)
    if (entry === undefined) this.#entries.set(canonical, (entry = new Entry(key, new Map<CanonicalKey, Before>())))
    ;(entry.value as Map<CanonicalKey, Before>).set(canonicalField, new Entry(field, value))
    this.size++
  }

  /** The entries of a value page as they were. */
  valuesOf(page: Page): { readonly keys: unknown[]; readonly values: unknown[] } {
    const canonical = (page.entries as Entries).keys()
    const keysNow = keysOf(page)
    const valuesNow = (page.entries as Entries).values()
    const keys: unknown[] = []
    const values: unknown[] = []
    for (let i = 0; i < canonical.length; i++) {
      if (this.#entries.has(canonical[i] as CanonicalKey)) continue
      keys.push(keysNow[i])
      values.push(valuesNow[i])
    }
    for (const { key, value } of this.#entries.values()) {
      if (value === undefined) continue
      keys.push(key)
      values.push(value)
    }
    return { keys, values }
  }

  /** The maps of a map page as they were. */
  mapsOf(page: Page): Entry[] {
    const canonical = (page.entries as Entries).keys()
    const maps: Entry[] = []
    const add = (key: unknown, now: Fields | undefined, before: ReadonlyMap<CanonicalKey, Before>) => {
      const fields: Fields = new Map()
      for (const [name, field] of now ?? []) if (!before.has(name)) fields.set(name, field)
      for (const [name, field] of before) if (field.value !== undefined) fields.set(name, field)
      if (fields.size > 0) maps.push(new Entry(key, fields))
    }
    mapsOf(page).forEach((entry, i) => {
      const before = this.#entries.get(canonical[i] as CanonicalKey)
      if (before === undefined) maps.push(entry)
      else add(entry.key, entry.value as Fields, before.value as Map<CanonicalKey, Before>)
    })
    // Keys that are gone.
    const there = new Set(canonical)
    for (const [key, before] of this.#entries) if (!there.has(key)) add(before.key, undefined, before.value as Map<CanonicalKey, Before>)
    return maps
  }
}
