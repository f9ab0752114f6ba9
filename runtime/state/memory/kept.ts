/**
 * What a running snapshot still has to write of entries that were touched since it began: their values as they were. To
 * write the page of each entry at once would be simpler, and would make the turn of the barrier write as many pages as it
 * has records: its pause would grow with the state.
 *
 * Values are copied, because user code changes what `get` gave it before it puts it. An entry comes here once: after that
 * its stamp says that it was touched. What was not there when the snapshot began has such a stamp from its beginning.
 */
import { Entry } from './page.ts'
import type { Fields } from './page.ts'

/** Of one page. Lists: a few entries of each of thousands of pages are kept at once, and what is kept survives. */
export class Kept {
  readonly keys: unknown[] = []
  readonly values: unknown[] = []
  /** Map tables: the fields. */
  readonly #fields: unknown[] = []

  get size(): number {
    return this.keys.length
  }

  /** Of a value table. `key` is state's own. */
  add(key: unknown, value: unknown): void {
    this.keys.push(key)
    this.values.push(value)
  }

  /** Of a map table. `key` and `field` are state's own. */
  addField(key: unknown, field: unknown, value: unknown): void {
    this.add(key, value)
    this.#fields.push(field)
  }

  /** Of a map table: a map for each run of fields of one key. */
  maps(): Entry[] {
    const maps: Entry[] = []
    let fields: Fields | undefined
    for (let i = 0; i < this.size; i++) {
      if (fields === undefined || this.keys[i] !== this.keys[i - 1]) maps.push(new Entry(this.keys[i], (fields = new Map())))
      // Its place among the fields is of no interest to those who write them.
      fields.set(i, new Entry(this.#fields[i], this.values[i]))
    }
    return maps
  }
}
