/**
 * Pages as bytes. A *section* is one page: what LMDB holds of an evicted page and what a snapshot holds of it are the
 * same bytes, so an evicted page is snapshotted without being decoded. A *block* is what a snapshot writes per (state,
 * key group): a header and any number of sections.
 *
 *   block    u8 format version | u8 kind (0 values, 1 maps) | section...
 *   section  f64 namespace | u32 count | u32 body length | u32 crc32 of the body | u32 encoding | body
 *   body     in columns (0)  values: entries(key, value)
 *                            maps:   u32 length | entries(key, how many fields) | entries(field, value)
 *            plain (1)       values: value([key, value, key, value, ...])
 *                            maps:   value([key, [field, value, ...], ...])
 *
 * Numbers are little endian; `entries` is the codec's entry encoding, `value` that of one value. Columns cost about 10 us
 * whatever is in them, so a page of a few entries is written plainly.
 */
import { FlinkError } from '../../core/errors.ts'
import { assert } from '../../core/assert.ts'
import type { Namespace } from '../../operators/keyed-state.ts'
import { crc32 } from '../../codec/checksum.ts'
import { decodeEntries, decodeValue, encodeEntries, encodeValue } from '../../codec/value-codec.ts'
import type { Kept } from './kept.ts'
import { keysOf, mapsOf } from './page.ts'
import type { Entry, Fields, Page, Root, TableKind } from './page.ts'

const blockVersion = 1
const sectionHeader = 24
const columns = 0
const plain = 1
/** Up to so many entries a section is plain. */
const fewEntries = 16
const kindCodes = { value: 0, map: 1 } as const

export interface Section {
  readonly namespace: Namespace
  /** Keys in a value section, fields in a map section. */
  readonly count: number
  readonly encoding: number
  readonly body: Uint8Array
}

export function encodeSection(page: Page): Uint8Array {
  assert(page.entries !== undefined, 'an evicted page is encoded')
  return page.root.table.kind === 'value' ? valueSection(page.root, keysOf(page), page.entries.values()) : mapSection(page.root, page.count, mapsOf(page))
}

/** The page as it was before what is kept was touched; undefined if it was empty. */
export function encodeSectionBefore(page: Page, kept: Kept): Uint8Array | undefined {
  assert(page.entries !== undefined, 'an evicted page is encoded')
  if (page.root.table.kind === 'value') {
    const { keys, values } = kept.valuesOf(page)
    return keys.length === 0 ? undefined : valueSection(page.root, keys, values)
  }
  const maps = kept.mapsOf(page)
  let count = 0
  for (const { value } of maps) count += (value as Fields).size
  return count === 0 ? undefined : mapSection(page.root, count, maps)
}

function valueSection({ namespace, table }: Root, keys: readonly unknown[], values: readonly unknown[]): Uint8Array {
  const what = `state "${table.name}"`
  if (keys.length <= fewEntries) return section(namespace, keys.length, plain, [encodeValue(keys.flatMap((key, i) => [key, values[i]]), what)])
  return section(namespace, keys.length, columns, [encodeEntries(keys, values, what)])
}

function mapSection({ namespace, table }: Root, count: number, maps: readonly Entry[]): Uint8Array {
  const what = `state "${table.name}"`
  return count <= fewEntries ? section(namespace, count, plain, [encodeValue(plainMaps(maps), what)]) : section(namespace, count, columns, mapBody(maps, what))
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

function mapBody(maps: readonly Entry[], what: string): Uint8Array[] {
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
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, owners.length, true)
  return [length, owners, encodeEntries(fields, values, what)]
}

function section(namespace: Namespace, count: number, encoding: number, parts: readonly Uint8Array[]): Uint8Array {
  let length = sectionHeader
  for (const part of parts) length += part.length
  const bytes = new Uint8Array(length)
  let at = sectionHeader
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  const view = new DataView(bytes.buffer)
  view.setFloat64(0, namespace, true)
  view.setUint32(8, count, true)
  view.setUint32(12, length - sectionHeader, true)
  view.setUint32(16, crc32(bytes.subarray(sectionHeader)), true)
  view.setUint32(20, encoding, true)
  return bytes
}

/** The keys and values of a value section. */
export function decodeValues({ encoding, body }: Section): { readonly keys: readonly unknown[]; readonly values: readonly unknown[] } {
  return encoding === plain ? pairs(decodeValue(body) as unknown[]) : decodeEntries(body)
}

/** The keys of a map section, and the fields and values of each. */
export function decodeMaps({ encoding, body }: Section): { readonly key: unknown; readonly fields: readonly unknown[]; readonly values: readonly unknown[] }[] {
  if (encoding === plain) {
    const { keys, values } = pairs(decodeValue(body) as unknown[])
    return keys.map((key, i) => {
      const fields = pairs(values[i] as unknown[])
      return { key, fields: fields.keys, values: fields.values }
    })
  }
  const length = new DataView(body.buffer, body.byteOffset, 4).getUint32(0, true)
  const owners = decodeEntries(body.subarray(4, 4 + length))
  const all = decodeEntries(body.subarray(4 + length))
  let at = 0
  return owners.keys.map((key, i) => {
    const from = at
    at += owners.values[i] as number
    return { key, fields: all.keys.slice(from, at), values: all.values.slice(from, at) }
  })
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

/** Reads back one section, for example from LMDB, which does not notice a flipped bit by itself. */
export function readSection(bytes: Uint8Array, at: number, where: string): { readonly section: Section; readonly next: number } {
  if (at + sectionHeader > bytes.length) throw damaged(where, 'a section is cut off')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const next = at + sectionHeader + view.getUint32(at + 12, true)
  if (next > bytes.length) throw damaged(where, 'a section is cut off')
  const body = bytes.subarray(at + sectionHeader, next)
  if (crc32(body) !== view.getUint32(at + 16, true)) throw damaged(where, 'the checksum of a section does not match')
  const encoding = view.getUint32(at + 20, true)
  if (encoding !== columns && encoding !== plain) throw damaged(where, `a section has unknown encoding ${encoding}`)
  return { section: { namespace: view.getFloat64(at, true), count: view.getUint32(at + 8, true), encoding, body }, next }
}

export function joinBlock(kind: TableKind, sections: readonly Uint8Array[]): Uint8Array {
  let length = 2
  for (const part of sections) length += part.length
  const bytes = new Uint8Array(length)
  bytes[0] = blockVersion
  bytes[1] = kindCodes[kind]
  let at = 2
  for (const part of sections) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

export interface Block {
  readonly kind: TableKind
  readonly sections: Iterable<Section>
}

export function readBlock(bytes: Uint8Array, state: string): Block {
  const where = `state "${state}"`
  if (bytes.length < 2) throw damaged(where, 'a block is empty')
  if (bytes[0] !== blockVersion) throw new FlinkError('SNAPSHOT_VERSION', `${where}: block version ${bytes[0]} is not known`)
  const kind = bytes[1] === kindCodes.value ? 'value' : bytes[1] === kindCodes.map ? 'map' : undefined
  if (kind === undefined) throw damaged(where, `a block is of unknown kind ${bytes[1]}`)
  return { kind, sections: sectionsOf(bytes, where) }
}

function* sectionsOf(bytes: Uint8Array, where: string): Iterable<Section> {
  let at = 2
  while (at < bytes.length) {
    const { section, next } = readSection(bytes, at, where)
    yield section
    at = next
  }
}

function damaged(where: string, what: string): FlinkError {
  return new FlinkError('SNAPSHOT_CORRUPT', `${where}: ${what}`)
}

