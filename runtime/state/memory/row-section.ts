/**
 * Rows in a snapshot, as they lie in memory: making objects of them, and columns of those, would cost many times what copying does,
 * in the slot's thread. So a row has its hash in a snapshot too, but 0 for its stamp, which counts the snapshots of one attempt.
 *
 *   u32 length of the layout | value([kind of keys, names, wide, list]) | row...
 *
 * The layout says what a row is (`row-layout.ts`). Keys that do not lie in rows are not written so.
 */
import { assert } from '../../core/assert.ts'
import { DecodeError } from '../../codec/bytes.ts'
import { decodeValue, encodeValue } from '../../codec/value-codec.ts'
import type { RowEntries } from './row-entries.ts'
import { keyOffset, layoutOf, wideView, type RowLayout } from './row-layout.ts'

/** Rows of one page on their way; larger ones get a buffer of their own. */
let scratch = new Int32Array(0)
const mostScratch = 1 << 18
/** Layouts as they are written: a state has few. */
const written = new WeakMap<RowLayout, Uint8Array>()
/** Layouts that were read, of a few states in turn; the oldest makes room. */
const read: { readonly layout: RowLayout; readonly bytes: Uint8Array }[] = []
const mostRead = 16

/** Rows with a stamp from `since` on and before `until`, with so many bytes in front for the caller to fill; undefined: there are none. */
export function encodeRows(entries: RowEntries, since: number, until: number, room: number): { readonly bytes: Uint8Array<ArrayBuffer>; readonly count: number } | undefined {
  const { layout } = entries
  assert(layout.keys !== 'others', 'keys that lie elsewhere are written with rows')
  const most = entries.size * layout.width
  if (scratch.length < most && most <= mostScratch) scratch = new Int32Array(Math.min(mostScratch, most * 2))
  const rows = most <= mostScratch ? scratch : new Int32Array(most)
  const count = entries.copyRows(since, until, rows)
  if (count === 0) return undefined
  const head = layoutBytes(layout)
  const start = room + 4 + head.length
  const length = count * layout.width * 4
  const bytes = new Uint8Array(start + length)
  new DataView(bytes.buffer).setUint32(room, head.length, true)
  bytes.set(head, room + 4)
  bytes.set(new Uint8Array(rows.buffer, 0, length), start)
  return { bytes, count }
}

/** @throws DecodeError */
export function decodeRows(body: Uint8Array): { readonly keys: unknown[]; readonly values: unknown[]; readonly layout: RowLayout } {
  const start = body.length < 4 ? Infinity : 4 + new DataView(body.buffer, body.byteOffset).getUint32(0, true)
  if (start > body.length) throw new DecodeError('rows are cut off')
  const layout = layoutIn(body.subarray(4, start))
  const { width } = layout
  if ((body.length - start) % (width * 4) !== 0) throw new DecodeError(`${body.length - start} bytes of rows of ${width * 4}`)
  const i32 = new Int32Array(body.slice(start).buffer)
  const f64 = wideView(layout, i32)
  const keys: unknown[] = []
  const values: unknown[] = []
  for (let at = 0; at < i32.length; at += width) {
    keys.push(layout.keys === 'one' ? i32[at + keyOffset] : [i32[at + keyOffset], i32[at + keyOffset + 1]])
    values.push(layout.read(i32, f64, at))
  }
  return { keys, values, layout }
}

function layoutBytes(layout: RowLayout): Uint8Array {
  let bytes = written.get(layout)
  if (bytes === undefined) written.set(layout, (bytes = encodeValue([layout.keys, layout.names, layout.wide, layout.list], 'the layout of rows')))
  return bytes
}

function layoutIn(bytes: Uint8Array): RowLayout {
  const known = read.find(each => each.bytes.length === bytes.length && each.bytes.every((byte, i) => byte === bytes[i]))
  if (known !== undefined) return known.layout
  const value = decodeValue(bytes)
  if (!isLayout(value)) throw new DecodeError('what is no layout of rows stands in front of them')
  const layout = layoutOf(...value)
  if (read.length === mostRead) read.shift()
  read.push({ layout, bytes: bytes.slice() })
  return layout
}

function isLayout(value: unknown): value is [keys: 'one' | 'two', names: string[], wide: boolean[], list: boolean] {
  if (!Array.isArray(value)) return false
  const [keys, names, wide, list] = value as readonly unknown[]
  if (typeof list !== 'boolean' || (keys !== 'one' && keys !== 'two') || !Array.isArray(names) || !Array.isArray(wide) || names.length === 0 || names.length !== wide.length) return false
  return names.every(name => typeof name === 'string') && wide.every(each => typeof each === 'boolean')
}
