/**
 * Pages as a snapshot holds them. A *section* is one page, a *block* what is written per (state, key group): a header and any
 * number of sections. What a page has in its pack is copied as it is, without being decoded; such sections share the names of
 * objects, which stand in front of the block.
 *
 *   block    u8 format version (3) | u8 kind (0 values, 1 maps) | section...
 *            u8 format version (4) | u8 kind | u32 length | value([[name of a property, ...], ...]) | section...
 *   section  f64 namespace | u32 count | u32 body length | u32 encoding | body
 *   body     in columns (0)  values: entries(key, value)
 *                            maps:   u32 length | entries(key, how many fields) | entries(field, value)
 *            plain (1)       values: value([key, value, key, value, ...])
 *                            maps:   value([key, [field, value, ...], ...])
 *            packed (2)      record... (`pack.ts`), only in a block of version 4
 *            removed (3)     values: value([key, ...])
 *                            maps:   value([[key, ...], [field, ...]]), as many of both
 *            gone (4)        nothing: all of (namespace, key group) was removed
 *            rows (5)        values: rows (`row-section.ts`)
 *
 * What was removed is in snapshots of what has changed since an earlier one, before all that came or changed.
 *
 * Who keeps a block keeps a checksum of it: sections have none, because it is the slot's thread that writes them. Numbers are
 * little endian; `entries` is the codec's entry encoding, `value` that of one value. Columns cost about 10 us
 * whatever is in them, so a page of a few entries is written plainly.
 */
import { FlinkError } from '../../core/errors.ts'
import type { Namespace } from '../../operators/keyed-state.ts'
import { SharedShapes } from '../../codec/shared-shapes.ts'
import type { PieceText } from '../../codec/piece-text.ts'
import { decodeEntries, decodeValue, encodeEntries, encodeValue } from '../../codec/value-codec.ts'
import type { Kept } from './kept.ts'
import { Entry, mapsOf, objectsOf } from './page.ts'
import type { Fields, Page, Root, TableInfo, TableKind } from './page.ts'
import type { Pack } from './pack.ts'
import { addMaps, addValues } from './packing.ts'
import { bodiesIn } from './records.ts'
import type { Records } from './records.ts'
import type { RemovedEntries } from './removals.ts'
import type { RowEntries } from './row-entries.ts'
import type { RowLayout } from './row-layout.ts'
import { decodeRows, encodeRows } from './row-section.ts'

/** 1 and 2 were the same with a larger header of a section. */
const blockVersion = 3
const blockVersionWithNames = 4
const sectionHeader = 20
const encodingAt = 16
/**
 * What is encoded here has room in front for the header of a block: a large section is one by itself then, without a copy of
 * its bytes. Each copy of a large state is memory that the kernel has to find and the garbage collector to give back.
 */
const blockHeader = 2
const beforeBody = blockHeader + sectionHeader
const columns = 0
const plain = 1
const packed = 2
const removed = 3
const gone = 4
const rows = 5
/** Up to so many entries a section is plain. */
const fewEntries = 16
const kindCodes = { value: 0, map: 1 } as const

export interface Section {
  readonly namespace: Namespace
  /** Keys in a value section, fields in a map section. */
  readonly count: number
  readonly encoding: number
  readonly body: Uint8Array
  /** Names of the objects in a packed body. */
  readonly shapes: SharedShapes
  /** What the body is a part of. */
  readonly piece: PieceText | undefined
}

/** Which stamps the entries have that a snapshot holds: from `since` on, before `until`. */
export interface Stamps {
  readonly since: number
  readonly until: number
}

/**
 * What a snapshot holds of a page (for `joinBlock`), of which `pack` is what is not among its objects: its own or one that was read from the
 * store. `kept`: entries as they were before they were touched. undefined: nothing.
 */
export function encodeSection(page: Page, pack: Pack | undefined, kept: Kept | undefined, stamps: Stamps): Uint8Array | undefined {
  if (page.packChanged < stamps.since) pack = undefined
  if (page.root.table.kind === 'value') {
    const { keys, values } = valuesWith(page, kept, stamps)
    if (pack !== undefined) return packedSection(page.root, pack, records => addValues(records, keys, values))
    return keys.length === 0 ? undefined : valueSection(page.root, keys, values)
  }
  const maps = mapsWith(page, stamps)
  if (kept !== undefined) maps.push(...kept.maps())
  if (pack !== undefined) return packedSection(page.root, pack, records => addMaps(records, maps))
  let count = 0
  for (const { value } of maps) count += (value as Fields).size
  return count === 0 ? undefined : mapSection(page.root, count, maps)
}

/** Of a value table: what a snapshot holds of the objects of a page. */
export function valuesWith(page: Page, kept: Kept | undefined, { since, until }: Stamps): { readonly keys: unknown[]; readonly values: unknown[] } {
  const { keys, values } = objectsOf(page, since, until)
  if (kept !== undefined) {
    keys.push(...kept.keys)
    values.push(...kept.values)
  }
  return { keys, values }
}

/** Of a value table: what a snapshot holds of the rows of a page. undefined: nothing. */
export function rowSection({ namespace }: Root, entries: RowEntries, { since, until }: Stamps): Uint8Array | undefined {
  const encoded = encodeRows(entries, since, until, beforeBody)
  return encoded && finish(encoded.bytes, namespace, encoded.count, rows)
}

function mapsWith(page: Page, { since, until }: Stamps): Entry[] {
  const maps = mapsOf(page)
  if (since === 0 && page.changed < until) return maps
  const held: Entry[] = []
  for (const { key, value } of maps) {
    const fields: Fields = new Map()
    for (const [name, field] of value as Fields) if (field.stamp >= since && field.stamp < until) fields.set(name, field)
    if (fields.size > 0) held.push(new Entry(key, fields))
  }
  return held
}

/** What was removed of one root. */
export function encodeRemoved({ namespace, table }: Root, { keys, fields }: RemovedEntries): Uint8Array {
  const bytes = encodeValue(table.kind === 'value' ? keys : [keys, fields], `state "${table.name}"`, beforeBody)
  return finish(bytes, namespace, keys.length, removed)
}

export function encodeGone(namespace: Namespace): Uint8Array {
  return finish(new Uint8Array(beforeBody), namespace, 0, gone)
}

/** What is in the pack, with the objects. */
function packedSection({ namespace, table }: Root, pack: Pack, addObjects: (records: Records) => void): Uint8Array | undefined {
  const records = table.records.clear()
  addObjects(records)
  const count = pack.count - pack.out + records.count
  if (count === 0) return undefined
  return finish(pack.recordsWith(records, beforeBody), namespace, count, packed)
}

export function valueSection({ namespace, table }: Root, keys: readonly unknown[], values: readonly unknown[]): Uint8Array {
  const what = `state "${table.name}"`
  if (keys.length <= fewEntries) return finish(encodeValue(keys.flatMap((key, i) => [key, values[i]]), what, beforeBody), namespace, keys.length, plain)
  return finish(encodeEntries(keys, values, what, beforeBody), namespace, keys.length, columns)
}

function mapSection({ namespace, table }: Root, count: number, maps: readonly Entry[]): Uint8Array {
  const what = `state "${table.name}"`
  return count <= fewEntries ? finish(encodeValue(plainMaps(maps), what, beforeBody), namespace, count, plain) : finish(withMaps(maps, what), namespace, count, columns)
}

function plainMaps(maps: readonly Entry[]): unknown[] {
  const flat: unknown[] = []
  for (const entry of maps) {
    const fields: unknown[] = []
    for (const field of (entry.value as Fields).values()) fields.push(field.key, field.value)
    flat.push(entry.key, fields)
  }
  return flat
}

/** In columns, with room before them. */
function withMaps(maps: readonly Entry[], what: string): Uint8Array<ArrayBuffer> {
  const keys: unknown[] = []
  const sizes: number[] = []
  const fields: unknown[] = []
  const values: unknown[] = []
  for (const entry of maps) {
    const map = entry.value as Fields
    keys.push(entry.key)
    sizes.push(map.size)
    for (const field of map.values()) {
      fields.push(field.key)
      values.push(field.value)
    }
  }
  const owners = encodeEntries(keys, sizes, what)
  const bytes = encodeEntries(fields, values, what, beforeBody + 4 + owners.length)
  new DataView(bytes.buffer).setUint32(beforeBody, owners.length, true)
  bytes.set(owners, beforeBody + 4)
  return bytes
}

/** Writes the header before a body. */
function finish(bytes: Uint8Array<ArrayBuffer>, namespace: Namespace, count: number, encoding: number): Uint8Array {
  const view = new DataView(bytes.buffer, blockHeader)
  view.setFloat64(0, namespace, true)
  view.setUint32(8, count, true)
  view.setUint32(12, bytes.length - beforeBody, true)
  view.setUint32(encodingAt, encoding, true)
  return bytes
}

/** What a section says: that entries are as they are in it, or are gone. */
export function meaningOf({ encoding }: Section): 'entries' | 'removed' | 'gone' {
  return encoding === removed ? 'removed' : encoding === gone ? 'gone' : 'entries'
}

/** Of a section of removed entries: the keys, and in a map section the field of each. */
export function decodeRemoved(kind: TableKind, { body }: Section): RemovedEntries {
  const value = decodeValue(body)
  if (kind === 'value') return { keys: value as unknown[], fields: [] }
  const [keys, fields] = value as [unknown[], unknown[]]
  return { keys, fields }
}

/** Of a value section. */
export interface ValueColumns {
  readonly keys: readonly unknown[]
  readonly values: readonly unknown[]
  /** They were rows. */
  readonly layout?: RowLayout
}

export function decodeValues({ encoding, body, shapes, piece }: Section): ValueColumns {
  if (encoding === packed) {
    const keys: unknown[] = []
    const values: unknown[] = []
    for (const record of bodiesIn(body, shapes)) {
      keys.push(record.key)
      values.push(record.next())
    }
    return { keys, values }
  }
  if (encoding === rows) return decodeRows(body)
  return encoding === plain ? pairs(decodeValue(body) as unknown[]) : decodeEntries(body, piece)
}

export interface MapColumns {
  /** One may come again. */
  readonly keys: readonly unknown[]
  /** How many of the fields are of each key. */
  readonly sizes: readonly number[]
  readonly fields: readonly unknown[]
  readonly values: readonly unknown[]
}

/** The keys of a map section, and the fields of all of them. */
export function decodeMaps({ encoding, body, shapes, piece }: Section): MapColumns {
  if (encoding === columns) {
    const length = new DataView(body.buffer, body.byteOffset, 4).getUint32(0, true)
    const owners = decodeEntries(body.subarray(4, 4 + length))
    const all = decodeEntries(body.subarray(4 + length), piece)
    return { keys: owners.keys, sizes: owners.values as number[], fields: all.keys, values: all.values }
  }
  const maps = { keys: [] as unknown[], sizes: [] as number[], fields: [] as unknown[], values: [] as unknown[] }
  if (encoding === packed) {
    for (const record of bodiesIn(body, shapes)) {
      maps.keys.push(record.key)
      maps.sizes.push(1)
      maps.fields.push(record.next())
      maps.values.push(record.next())
    }
    return maps
  }
  const { keys, values } = pairs(decodeValue(body) as unknown[])
  for (const [i, key] of keys.entries()) {
    const fields = pairs(values[i] as unknown[])
    maps.keys.push(key)
    maps.sizes.push(fields.keys.length)
    maps.fields.push(...fields.keys)
    maps.values.push(...fields.values)
  }
  return maps
}

function pairs(flat: readonly unknown[]): { keys: unknown[]; values: unknown[] } {
  const keys: unknown[] = []
  const values: unknown[] = []
  for (let i = 0; i < flat.length; i += 2) {
    keys.push(flat[i])
    values.push(flat[i + 1])
  }
  return { keys, values }
}

function readSection(bytes: Uint8Array, at: number, where: string, shapes: SharedShapes, piece: PieceText | undefined): { readonly section: Section; readonly next: number } {
  if (at + sectionHeader > bytes.length) throw damaged(where, 'a section is cut off')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const next = at + sectionHeader + view.getUint32(at + 12, true)
  if (next > bytes.length) throw damaged(where, 'a section is cut off')
  const body = bytes.subarray(at + sectionHeader, next)
  const encoding = view.getUint32(at + encodingAt, true)
  if (encoding > rows) throw damaged(where, `a section has unknown encoding ${encoding}`)
  return { section: { namespace: view.getFloat64(at, true), count: view.getUint32(at + 8, true), encoding, body, shapes, piece }, next }
}

/** Takes the sections over: one that is large is not copied. */
export function joinBlock({ kind, shapes, name }: TableInfo, sections: readonly Uint8Array[]): Uint8Array {
  const packs = sections.some(part => new DataView(part.buffer, part.byteOffset + blockHeader).getUint32(encodingAt, true) === packed)
  const names = packs ? encodeValue(shapes.names, `state "${name}"`) : undefined
  const [first] = sections
  const alone = first !== undefined && sections.length === 1 && names === undefined
  let length = blockHeader + (names === undefined ? 0 : 4 + names.length)
  for (const part of sections) length += part.length - blockHeader
  const bytes = alone ? first : new Uint8Array(length)
  bytes[0] = packs ? blockVersionWithNames : blockVersion
  bytes[1] = kindCodes[kind]
  if (alone) return bytes
  let at = blockHeader
  if (names !== undefined) {
    new DataView(bytes.buffer).setUint32(at, names.length, true)
    bytes.set(names, at + 4)
    at += 4 + names.length
  }
  for (const part of sections) {
    bytes.set(part.subarray(blockHeader), at)
    at += part.length - blockHeader
  }
  return bytes
}

export interface Block {
  readonly kind: TableKind
  readonly sections: Iterable<Section>
}

/** `piece`: as in `KeyedBlock`. */
export function readBlock(bytes: Uint8Array, state: string, piece?: PieceText): Block {
  const where = `state "${state}"`
  if (bytes.length < 2) throw damaged(where, 'a block is empty')
  if (bytes[0] !== blockVersion && bytes[0] !== blockVersionWithNames) throw new FlinkError('SNAPSHOT_VERSION', `${where}: block version ${bytes[0]} is not known`)
  const kind = bytes[1] === kindCodes.value ? 'value' : bytes[1] === kindCodes.map ? 'map' : undefined
  if (kind === undefined) throw damaged(where, `a block is of unknown kind ${bytes[1]}`)
  if (bytes[0] === blockVersion) return { kind, sections: sectionsOf(bytes, 2, where, new SharedShapes(), piece) }
  if (bytes.length < 6) throw damaged(where, 'the names of a block are cut off')
  const end = 6 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(2, true)
  if (end > bytes.length) throw damaged(where, 'the names of a block are cut off')
  return { kind, sections: sectionsOf(bytes, end, where, new SharedShapes(decodeValue(bytes.subarray(6, end)) as string[][]), piece) }
}

function* sectionsOf(bytes: Uint8Array, start: number, where: string, shapes: SharedShapes, piece: PieceText | undefined): Iterable<Section> {
  let at = start
  while (at < bytes.length) {
    const { section, next } = readSection(bytes, at, where, shapes, piece)
    yield section
    at = next
  }
}

function damaged(where: string, what: string): FlinkError {
  return new FlinkError('SNAPSHOT_CORRUPT', `${where}: ${what}`)
}

