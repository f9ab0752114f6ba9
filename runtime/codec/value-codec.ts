/**
 * Values as bytes for state: one value, many values one after another, or a page of entries as columns. All of it describes
 * itself, begins with its version, and is canonical: equal values with fields in equal order give equal bytes, whatever was
 * encoded before.
 */
import { assert } from '../core/assert.ts'
import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import { ColumnSetIn } from './columns-in.ts'
import { ColumnSetOut } from './columns-out.ts'
import { maxRecordsPerFrame } from './columns.ts'
import { tooManyItems } from './item-budget.ts'
import { packArrayHeader, packNumber, Unpacker } from './msgpack.ts'
import type { PieceText } from './piece-text.ts'
import { anyShape, packShape, ShapeInference, shapeLimits, shapeText, unpackShape, type Shape } from './shape.ts'
import { refuseFirst, unsupportedSignal, unsupportedValue } from './unsupported.ts'
import { ValueReader } from './value-reader.ts'
import { ValueWriter } from './value-writer.ts'

/** First byte of a single value. A change of the tags in `value-tags.ts` takes a new one; old ones stay readable. */
const valueVersion = 1
/** First byte of a page of entries. */
const entriesVersion = 0x82

/** One for all calls: they are synchronous and do not nest. */
const scratch = new ByteWriter(4096)
const scratchWriter = new ValueWriter(scratch)

/**
 * Bytes that `decodeValue` turns back into an equal value: null, undefined, booleans, numbers (NaN and -0 too), bigints, text
 * (lone surrogates too), Date, Map, Set, typed arrays, ArrayBuffer, Node's Buffer, arrays, and plain objects.
 *
 * @param what the root of the path in an error, for example `state "count"`
 * @param room so many bytes in front are for the caller to fill
 * @throws FlinkError `UNSUPPORTED_VALUE`; its detail names the path, as `state "count".items[3]`
 */
export function encodeValue(value: unknown, what: string, room = 0): Uint8Array<ArrayBuffer> {
  scratch.reset()
  scratch.skip(room)
  scratch.u8(valueVersion)
  appendValue(scratchWriter, value, what)
  return scratch.take()
}

/** @throws DecodeError */
export function decodeValue(bytes: Uint8Array): unknown {
  const input = new ByteReader(bytes)
  const version = input.u8()
  if (version !== valueVersion) throw new DecodeError(`values of version ${version} are not known`)
  const value = new ValueReader(input).read()
  if (!input.atEnd) throw new DecodeError(`${input.end - input.position} bytes too many after a value`)
  return value
}

/** Appends one value, without a version, as a document of its own: `new ValueReader(reader).read()` takes it back. */
export function appendValue(writer: ValueWriter, value: unknown, what: string): void {
  writer.begin()
  try {
    writer.write(value)
  } catch (error) {
    throw error === unsupportedSignal ? unsupportedValue(value, what) : error
  }
}

/**
 * A page of state: `keys[i]` belongs to `values[i]`. Entries of like shape become columns; made for 100 to 1,000 entries.
 *
 * @param what the root of the path in an error
 * @param room so many bytes in front are for the caller to fill
 * @throws FlinkError `UNSUPPORTED_VALUE`
 */
export function encodeEntries(keys: readonly unknown[], values: readonly unknown[], what = 'state', room = 0): Uint8Array<ArrayBuffer> {
  const count = keys.length
  assert(values.length === count && count <= maxRecordsPerFrame, `a page of ${count} keys and ${values.length} values`)
  const keyColumns = fill(keys, recentKeys, what)
  const valueColumns = fill(values, recentValues, what)
  scratch.reset()
  scratch.skip(room)
  scratch.u8(entriesVersion)
  packArrayHeader(scratch, 3 + keyColumns.items + valueColumns.items)
  packNumber(scratch, count)
  packShape(scratch, keyColumns.shape)
  packShape(scratch, valueColumns.shape)
  keyColumns.write(scratch, count)
  valueColumns.write(scratch, count)
  return scratch.take()
}

/** `piece`: what they are a part of, if their text may be slices of its text. @throws DecodeError */
export function decodeEntries(bytes: Uint8Array, piece?: PieceText): { readonly keys: unknown[]; readonly values: unknown[] } {
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version !== entriesVersion) throw new DecodeError(`pages of version ${version} are not known`)
  const input = new Unpacker(reader, shapeLimits)
  const items = input.arrayHeader()
  const count = input.uint(maxRecordsPerFrame)
  const columns = columnsIn(reader, input)
  // Until they are read to their end.
  lastIn = undefined
  if (items !== 3 + columns.keys.items + columns.values.items) throw new DecodeError(`${items} items in a page`)
  const keys: unknown[] = []
  const values: unknown[] = []
  columns.keys.read(input, count, keys)
  columns.values.read(input, count, values, piece)
  input.end()
  if (count <= keptPage) lastIn = columns
  return { keys, values }
}

interface ColumnsIn {
  /** The two shapes, as they stand in a page. */
  readonly shapes: Uint8Array
  readonly keys: ColumnSetIn
  readonly values: ColumnSetIn
}

/** Of the last page: the pages of a state mostly have the same shapes, and a restore reads all of them in code that is not compiled yet. */
let lastIn: ColumnsIn | undefined

function columnsIn(reader: ByteReader, input: Unpacker): ColumnsIn {
  const { bytes, position } = reader
  if (lastIn?.shapes.every((byte, i) => byte === bytes[position + i]) === true) {
    reader.skip(lastIn.shapes.length)
    return lastIn
  }
  const keys = new ColumnSetIn(unpackShape(input), true)
  const values = new ColumnSetIn(unpackShape(input), true)
  return { shapes: bytes.slice(position, reader.position), keys, values }
}

/** Columns that were used lately, tried first; a page of another shape takes the place of the oldest. Keys and values apart: both are filled at once. */
type Recent = ColumnSetOut[]
const recentKeys: Recent = []
const recentValues: Recent = []
const keptColumns = 4
/** Columns of a larger page are not kept: what they wrote of values of any kind may be as large. Other buffers have a bound (`keptValues`). */
const keptPage = 4096

/** Of this shape, with the buffers of the page before where there was one. */
function columnsOf(shape: Shape, recent: Recent, entries: number): ColumnSetOut {
  const text = shapeText(shape)
  const known = recent.find(each => each.text === text)
  if (known !== undefined) return known
  const columns = new ColumnSetOut(shape, true)
  if (entries <= keptPage) {
    recent.unshift(columns)
    if (recent.length > keptColumns) recent.pop()
  }
  return columns
}

/** Whether these values fit columns of this shape; no page has lists of too many items as columns. */
const fits = (columns: ColumnSetOut, values: readonly unknown[]) => fewItems(() => columns.fill(values, values.length))

function fewItems(action: () => boolean): boolean {
  try {
    return action()
  } catch (error) {
    if (error !== tooManyItems) throw error
    return false
  }
}

/** Columns of exactly the shape that these values have: what a page looks like must not depend on the page before. */
function fill(values: readonly unknown[], recent: Recent, what: string): ColumnSetOut {
  try {
    for (const columns of recent) {
      if (!columns.mayBeExact || !fits(columns, values)) continue
      if (columns.isExact(values.length)) return columns
      columns.release()
    }
    const inference = new ShapeInference()
    const known = fewItems(() => {
      inference.addAll(values, values.length)
      return true
    })
    const columns = columnsOf(known ? inference.shape() : anyShape, recent, values.length)
    if (fits(columns, values)) return columns
    const any = columnsOf(anyShape, recent, values.length)
    assert(any.fill(values, values.length), 'an entry fits no shape')
    return any
  } catch (error) {
    throw error === unsupportedSignal ? refuseFirst(values, values.length, what) : error
  }
}
