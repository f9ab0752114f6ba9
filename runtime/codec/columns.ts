/**
 * Columns as bytes. The loops over records (`record-loops.ts`) fill and read the typed arrays here; this file moves them
 * into and out of msgpack `bin` values. Everything passes through aligned scratch arrays: copying a column takes far less than
 * a microsecond, and frames need no padding.
 *
 * What a column is in a frame: if it has absent values, a bin of two bits per record (`presence`); then, for the values
 * that are present, `bool` a byte each, `i32` and `f64` as they are, `string` a bin of lengths in UTF-16 units (1, 2 or 4
 * bytes each) and a bin of the joined text behind one byte that says how it is written, `any` a bin of values (`value.ts`).
 */
import { NO_TIMESTAMP } from '../core/time.ts'
import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import { packBinHeader, type Unpacker } from './msgpack.ts'
import { recordLoops, type ColumnBuffers, type ColumnData, type RecordLoops } from './record-loops.ts'
import { hasPresence, type Column, type Shape } from './shape.ts'
import { presence, seenSort, sort } from './sorts.ts'
import { text as textCodec } from './text.ts'
import { ValueReader, ValueWriter } from './value.ts'

/** In one frame or page; some columns take no bytes at all, so a count must have a limit of its own. */
export const maxRecordsPerFrame = 1024 * 1024

// How joined text is written.
const ascii = 0
const utf8 = 1
const ucs2 = 2

const noI32 = new Int32Array(0)
const noF64 = new Float64Array(0)
const noBytes: Uint8Array = new Uint8Array(0)
const noReader = new ByteReader(noBytes)
const noValues = new ValueReader(noReader)

/** One column while it is filled. Which arrays are used follows from the kind. */
class ColumnOut implements ColumnBuffers {
  readonly column: Column
  i32 = noI32
  f64 = noF64
  /** bool */
  u8 = noBytes
  presence = noBytes
  text = ''
  /** Values that are present. */
  count = 0
  readonly values: ValueWriter

  constructor(column: Column) {
    this.column = column
    this.values = new ValueWriter(new ByteWriter(column.kind === 'any' ? 1024 : 0))
  }

  begin(records: number): void {
    const { kind } = this.column
    if (kind === 'i32' || kind === 'string') {
      if (this.i32.length < records) this.i32 = new Int32Array(capacityFor(records))
    } else if (kind === 'f64') {
      if (this.f64.length < records) this.f64 = new Float64Array(capacityFor(records))
    } else if (kind === 'bool') {
      if (this.u8.length < records) this.u8 = new Uint8Array(capacityFor(records))
    } else if (kind === 'any') {
      this.values.out.reset()
      this.values.begin()
    }
    if (hasPresence(this.column)) {
      const bytes = (records + 3) >> 2
      if (this.presence.length < bytes) this.presence = new Uint8Array(capacityFor(bytes))
      else this.presence.fill(0, 0, bytes)
    }
    this.text = ''
    this.count = 0
  }

  /** Whether the values that were filled in need this column and no narrower one; false where that is not known. */
  isExact(records: number): boolean {
    const { column, count } = this
    if (column.kind === 'any' || column.absent & sort.missing) return false
    if (hasPresence(column)) {
      let unseen = column.absent
      for (let i = 0; i < records && unseen !== 0; i++) {
        const code = ((this.presence[i >> 2] as number) >> ((i & 3) << 1)) & 3
        if (code !== presence.value) unseen &= ~(code === presence.null ? sort.null : sort.undefined)
      }
      if (unseen !== 0) return false
      if (column.kind === 'none') return true
    }
    if (count === 0) return column.kind === 'none'
    if (column.kind !== 'f64') return true
    for (let i = 0; i < count; i++) if (seenSort(this.f64[i]) === sort.f64) return true
    return false
  }

  write(out: ByteWriter, records: number): void {
    const { column, count } = this
    if (hasPresence(column)) bin(out, this.presence, (records + 3) >> 2)
    switch (column.kind) {
      case 'none':
        return
      case 'bool':
        return bin(out, this.u8, count)
      case 'i32':
        return bin(out, bytesOf(this.i32), count * 4)
      case 'f64':
        return bin(out, bytesOf(this.f64), count * 8)
      case 'string':
        writeLengths(out, this.i32, count)
        writeText(out, this.text)
        this.text = ''
        return
      case 'any':
        return bin(out, this.values.out.bytes, this.values.out.length)
    }
  }
}

/** Bins in a frame of this shape. */
function binCount(shape: Shape): number {
  let count = 0
  for (const column of shape.columns) count += (hasPresence(column) ? 1 : 0) + (column.kind === 'none' ? 0 : column.kind === 'string' ? 2 : 1)
  return count
}

export function writeI32(out: ByteWriter, numbers: Int32Array, count: number): void {
  bin(out, bytesOf(numbers), count * 4)
}

export function writeF64(out: ByteWriter, numbers: Float64Array, count: number): void {
  bin(out, bytesOf(numbers), count * 8)
}

function bin(out: ByteWriter, bytes: Uint8Array, length: number): void {
  packBinHeader(out, length)
  out.raw(bytes.length === length ? bytes : bytes.subarray(0, length))
}

const bytesOf = (array: Int32Array | Float64Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
const capacityFor = (count: number) => Math.max(64, 2 ** Math.ceil(Math.log2(count)))

function writeLengths(out: ByteWriter, lengths: Int32Array, count: number): void {
  let all = 0
  for (let i = 0; i < count; i++) all |= lengths[i] as number
  if (all >= 0x10000) return bin(out, bytesOf(lengths), count * 4)
  const width = all < 0x100 ? 1 : 2
  packBinHeader(out, count * width)
  out.ensure(count * width)
  const { bytes } = out
  let at = out.length
  if (width === 1) for (let i = 0; i < count; i++) bytes[at++] = lengths[i] as number
  else {
    for (let i = 0; i < count; i++) {
      bytes[at++] = lengths[i] as number
      bytes[at++] = (lengths[i] as number) >> 8
    }
  }
  out.length = at
}

function writeText(out: ByteWriter, text: string): void {
  const units = text.length
  out.ensure(units * 3 + 8)
  // Room for the widest header: it is written when the length is known, and the text moved down if the header is shorter.
  const start = out.length
  const body = start + 6
  let kind = ascii
  let length = textCodec.writeUtf8(out.bytes, text, body)
  if (length !== units) {
    kind = utf8
    // Two halves of a pair that met where strings were joined are cut apart again by their lengths.
    if (!text.isWellFormed()) {
      kind = ucs2
      length = textCodec.writeUcs2(out.bytes, text, body)
    }
  }
  packBinHeader(out, length + 1)
  out.u8(kind)
  if (out.length !== body) out.bytes.copyWithin(out.length, body, body + length)
  out.length += length
}

/** One column while it is read. */
class ColumnIn implements ColumnData {
  readonly column: Column
  /** i32 values, or lengths of text. */
  i32 = noI32
  f64 = noF64
  u8 = noBytes
  presence = noBytes
  text = ''
  values = noValues
  #anyBytes = noReader

  constructor(column: Column) {
    this.column = column
  }

  /** Takes the column's bins. @throws DecodeError if they do not fit each other. */
  read(input: Unpacker, records: number): void {
    const { column } = this
    let count = records
    if (hasPresence(column)) {
      this.presence = input.bin()
      if (this.presence.length !== (records + 3) >> 2) throw new DecodeError(`presence of column ${column.name} is ${this.presence.length} bytes`)
      count = 0
      for (let i = 0; i < records; i++) if ((((this.presence[i >> 2] as number) >> ((i & 3) << 1)) & 3) === 3) count++
      if (column.kind === 'none' && count > 0) throw new DecodeError(`column ${column.name} has no values`)
    }
    switch (column.kind) {
      case 'none':
        return
      case 'bool':
        this.u8 = this.#sized(input.bin(), count)
        return
      case 'i32':
        if (this.i32.length < count) this.i32 = new Int32Array(capacityFor(count))
        bytesOf(this.i32).set(this.#sized(input.bin(), count * 4))
        return
      case 'f64':
        if (this.f64.length < count) this.f64 = new Float64Array(capacityFor(count))
        bytesOf(this.f64).set(this.#sized(input.bin(), count * 8))
        return
      case 'string':
        this.#readText(input, count)
        return
      case 'any':
        this.#anyBytes = new ByteReader(input.bin())
        this.values = new ValueReader(this.#anyBytes)
    }
  }

  /** After the loop: an any column must be used up. */
  finish(): void {
    if (this.column.kind === 'any' && !this.#anyBytes.atEnd) throw new DecodeError(`column ${this.column.name} is too long`)
    // A decoder that waits keeps no frame alive.
    this.text = ''
    this.presence = noBytes
    if (this.column.kind === 'bool') this.u8 = noBytes
    if (this.column.kind === 'any') {
      this.#anyBytes = noReader
      this.values = noValues
    }
  }

  #sized(bytes: Uint8Array, length: number): Uint8Array {
    if (bytes.length !== length) throw new DecodeError(`column ${this.column.name} is ${bytes.length} bytes, not ${length}`)
    return bytes
  }

  #readText(input: Unpacker, count: number): void {
    const lengths = input.bin()
    const width = count === 0 ? 1 : lengths.length / count
    if (width !== 1 && width !== 2 && width !== 4) throw new DecodeError(`lengths of column ${this.column.name} are ${lengths.length} bytes`)
    this.#sized(lengths, count * width)
    if (this.i32.length < count) this.i32 = new Int32Array(capacityFor(count))
    const { i32 } = this
    let units = 0
    if (width === 1) for (let i = 0; i < count; i++) units += i32[i] = lengths[i] as number
    else if (width === 2) for (let i = 0; i < count; i++) units += i32[i] = (lengths[2 * i] as number) | ((lengths[2 * i + 1] as number) << 8)
    else {
      bytesOf(i32).set(lengths)
      for (let i = 0; i < count; i++) {
        if ((i32[i] as number) < 0) throw new DecodeError(`negative length in column ${this.column.name}`)
        units += i32[i] as number
      }
    }
    const bytes = input.bin()
    const kind = bytes[0]
    if (kind === ascii) this.text = textCodec.readAscii(bytes, 1, bytes.length)
    else if (kind === utf8) this.text = textCodec.readUtf8(bytes, 1, bytes.length)
    else if (kind === ucs2) this.text = textCodec.readUcs2(bytes, 1, bytes.length)
    else throw new DecodeError(`unknown way of writing text ${kind}`)
    if (this.text.length !== units) throw new DecodeError(`text of column ${this.column.name} is ${this.text.length} units, not ${units}`)
  }
}

/** All columns of a shape while they are filled. */
export class ColumnSetOut {
  readonly shape: Shape
  /** How many items `write` adds to the array. */
  readonly bins: number
  readonly #columns: readonly ColumnOut[]
  readonly #loops: RecordLoops

  constructor(shape: Shape, generate: boolean) {
    this.shape = shape
    this.bins = binCount(shape)
    this.#columns = shape.columns.map(column => new ColumnOut(column))
    this.#loops = recordLoops(shape, generate)
  }

  /** False if a record does not fit the shape. @throws UnsupportedSignal */
  fill(values: readonly unknown[], records: number): boolean {
    for (const column of this.#columns) column.begin(records)
    return this.#loops.fill(values, records, this.#columns) === -1
  }

  /** After `fill`: whether these records alone would have led to this very shape. False where that is not known. */
  isExact(records: number): boolean {
    return records > 0 && this.#columns.every(column => column.isExact(records))
  }

  write(out: ByteWriter, records: number): void {
    for (const column of this.#columns) column.write(out, records)
  }
}

/** All columns of a shape while they are read. */
export class ColumnSetIn {
  readonly shape: Shape
  readonly bins: number
  readonly #columns: readonly ColumnIn[]
  readonly #loops: RecordLoops

  constructor(shape: Shape, generate: boolean) {
    this.shape = shape
    this.bins = binCount(shape)
    this.#columns = shape.columns.map(column => new ColumnIn(column))
    this.#loops = recordLoops(shape, generate)
  }

  /** Puts the records into `values`. @throws DecodeError */
  read(input: Unpacker, records: number, values: unknown[]): void {
    for (const column of this.#columns) column.read(input, records)
    this.#loops.build(records, this.#columns, values)
    for (const column of this.#columns) column.finish()
  }
}

/** Of `size` records; without a bin no record has one. */
export function readTimestamps(bin: Uint8Array | undefined, size: number, into: Float64Array): void {
  if (bin === undefined) into.fill(NO_TIMESTAMP, 0, size)
  else if (bin.length !== size * 8) throw new DecodeError(`${bin.length} bytes of timestamps for ${size} records`)
  else bytesOf(into).set(bin)
}

export function readHashes(bin: Uint8Array, size: number, into: Int32Array): void {
  if (bin.length !== size * 4) throw new DecodeError(`${bin.length} bytes of hashes for ${size} records`)
  bytesOf(into).set(bin)
}
