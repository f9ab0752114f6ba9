/** Between the objects of a page and its pack: what is used is taken out one by one, and everything goes back at once. */
import { assert } from '../../core/assert.ts'
import { canonicalKey } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { fieldPageHash, keyOfField, pageHash } from './current-key.ts'
import { Entry, keysOf, mapsOf } from './page.ts'
import type { Fields, Page, PageEntries } from './page.ts'
import { Pack } from './pack.ts'
import { BodyReader } from './records.ts'
import type { Records } from './records.ts'
import { insertValue } from './value-entries.ts'

/** Puts all objects of a page into its pack. */
export function packObjects(page: Page): void {
  const records = page.root.table.records.clear()
  if (page.root.table.kind === 'value') addValues(records, keysOf(page), page.entries?.values() ?? [], page.entries?.hashes())
  else addMaps(records, mapsOf(page))
  page.pack ??= new Pack()
  page.pack.takeIn(records)
  page.packChanged = page.changed
  page.entries = undefined
  page.keys = undefined
  page.objects = 0
  page.bytes = 0
  assert(page.pack.count === page.count, `a pack of ${page.pack.count} entries for a page of ${page.count}`)
}

/** Without hashes where their places are of no interest: what reads the values of a namespace is told no order. */
export function addValues(records: Records, keys: readonly unknown[], values: readonly unknown[], hashes?: readonly number[]): void {
  for (let i = 0; i < keys.length; i++) records.add(hashes?.[i] ?? 0, keys[i], values[i])
}

export function addMaps(records: Records, maps: readonly Entry[]): void {
  for (const { key, value } of maps) {
    const hash = pageHash(key)
    for (const field of (value as Fields).values()) records.addField(fieldPageHash(hash, field.key), key, field.key, field.value)
  }
}

/** Takes an entry of a value page out of its pack; where it lies in `page.entries` then, -1 if it is not in there. */
export function takeValue(page: Page, pack: Pack, canonical: CanonicalKey, hash: number): number {
  for (let row = pack.find(hash, 0); row >= 0; row = pack.find(hash, row + 1)) {
    const body = bodyAt(page, pack, row)
    const own = canonicalKey(body.key)
    if (!same(own, canonical)) continue
    pack.takeOut(row)
    return insertValue(page, own, hash, body.key, body.next(), page.packChanged)
  }
  return -1
}

/** Takes a field of a map page out of its pack. `hash` is the key's own. */
export function takeField(page: Page, pack: Pack, entries: PageEntries, canonical: CanonicalKey, hash: number, canonicalField: CanonicalKey, fieldHash: number): Entry | undefined {
  for (let row = pack.find(fieldHash, 0); row >= 0; row = pack.find(fieldHash, row + 1)) {
    const body = bodyAt(page, pack, row)
    if (!same(canonicalKey(body.key), canonical)) continue
    const field = body.next()
    if (!same(canonicalKey(field), canonicalField)) continue
    const entry = new Entry(field, body.next(), page.packChanged)
    putField(entries, hash, body.key, entry)
    pack.takeOut(row)
    return entry
  }
  return undefined
}

/** Takes everything out of the pack of a page. */
export function takeAll(page: Page, pack: Pack, entries: PageEntries): void {
  const isValue = page.root.table.kind === 'value'
  for (let row = 0; row < pack.count; row++) {
    if (!pack.isIn(row)) continue
    const body = bodyAt(page, pack, row)
    if (isValue) insertValue(page, canonicalKey(body.key), pack.hashAt(row), body.key, body.next(), page.packChanged)
    else putField(entries, pageHash(body.key), body.key, new Entry(body.next(), body.next(), page.packChanged))
    pack.takeOut(row)
  }
}

/** Takes all fields of a key out of the pack of a map page. */
export function takeKey(page: Page, pack: Pack, entries: PageEntries, canonical: CanonicalKey, hash: number): void {
  for (const row of rowsOf(pack, hash)) {
    if (!pack.isIn(row)) continue
    const body = bodyAt(page, pack, row)
    if (!same(canonicalKey(body.key), canonical)) continue
    putField(entries, hash, body.key, new Entry(body.next(), body.next(), page.packChanged))
    pack.takeOut(row)
  }
}

/** Whether the pack of a map page holds a field of the key that is not out. */
export function holdsKey(page: Page, pack: Pack, canonical: CanonicalKey, hash: number): boolean {
  return rowsOf(pack, hash).some(row => pack.isIn(row) && same(canonicalKey(bodyAt(page, pack, row).key), canonical))
}

/** What a pack holds of a value page and is not out, as copies. */
export function packedValues(page: Page, pack: Pack): (readonly [key: unknown, value: unknown])[] {
  const entries: (readonly [unknown, unknown])[] = []
  for (let row = 0; row < pack.count; row++) {
    if (!pack.isIn(row)) continue
    const body = bodyAt(page, pack, row)
    entries.push([body.key, body.next()])
  }
  return entries
}

/** All fields of a key in a page in the order in which they came, those in its pack as copies. */
export function fieldsInOrder(page: Page, pack: Pack, canonical: CanonicalKey, hash: number): Entry[] {
  const owner = page.entries?.get(canonical, hash) as Entry | undefined
  const objects = new Set((owner?.value as Fields | undefined)?.values())
  const byHash = new Map<number, Entry>()
  if (pack.out > 0) for (const field of objects) byHash.set(fieldPageHash(hash, field.key), field)
  const fields: Entry[] = []
  for (const row of rowsOf(pack, hash)) {
    if (pack.isIn(row)) {
      const body = bodyAt(page, pack, row)
      if (same(canonicalKey(body.key), canonical)) fields.push(new Entry(body.next(), body.next()))
    } else {
      const field = byHash.get(pack.hashAt(row))
      if (field !== undefined && objects.delete(field)) fields.push(field)
    }
  }
  return [...fields, ...objects]
}

/** Rows of a map page that may be of the key. */
function rowsOf(pack: Pack, hash: number): number[] {
  const rows: number[] = []
  for (let row = 0; row < pack.count; row++) if ((pack.hashAt(row) & keyOfField) === (hash & keyOfField)) rows.push(row)
  return rows
}

function bodyAt(page: Page, pack: Pack, row: number): BodyReader {
  return new BodyReader(pack.bytes, pack.bodyAt(row), page.root.table.shapes)
}

/** `key` is state's own. */
function putField(entries: PageEntries, hash: number, key: unknown, field: Entry): void {
  const canonical = canonicalKey(key)
  let owner = entries.get(canonical, hash) as Entry | undefined
  if (owner === undefined) entries.insert(canonical, hash, (owner = new Entry(key, new Map() satisfies Fields)))
  ;(owner.value as Fields).set(canonicalKey(field.key), field)
}

/** As in a `Map`, NaN is NaN. */
function same(a: CanonicalKey, b: CanonicalKey): boolean {
  return a === b || (a !== a && b !== b)
}
