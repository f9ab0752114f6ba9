/**
 * Columns as bytes. The loops over records (`record-loops.ts`) fill and read the typed arrays here; this file moves them
 * into and out of msgpack `bin` values. Everything passes through aligned scratch arrays: copying a column takes far less than
 * a microsecond, and frames need no padding.
 *
 * What a column is in a frame: if it has absent values, a bin of two bits per record (`presence`); then, for the values
 * that are present, `bool` a byte each, `i32` and `f64` as they are, `string` a bin of lengths in UTF-16 units (1, 2 or 4
 * bytes each) and a bin of the joined text behind one byte that says how it is written, `any` a bin of values (`value.ts`).
 *
 * In frames, not in pages of state, `string` has a third item, nil or what `dictionary.ts` says; if it says so, the first bin
 * is numbers (1, 2 or 4 bytes each) and the text that of the new entries.
 */
import { spreadKeyHash } from '../core/key-group.ts'
import { NO_TIMESTAMP } from '../core/time.ts'
import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import { DictionaryIn, DictionaryOut, maxEntries } from './dictionary.ts'
import { packBinHeader, packNil, type Unpacker } from './msgpack.ts'
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
const noTexts: readonly string[] = []
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
  /** Set while texts are gathered for a dictionary. */
  texts: string[] | undefined
  #keyHashes: Int32Array | undefined
  readonly #dictionary: DictionaryOut | undefined

  constructor(column: Column, dictionaries: boolean) {
    this.column = column
    this.#dictionary = dictionaries && column.kind === 'string' ? new DictionaryOut() : undefined
    this.values = new ValueWriter(new ByteWriter(column.kind === 'any' ? 1024 : 0))
  }

  begin(records: number, keyHashes: Int32Array | undefined, isKey: () => boolean): void {
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
    const dictionary = this.#dictionary
    if (dictionary?.begin(records, isKey) === true) {
      this.texts = new Array(records)
      // They are by record: where some have no value, they are worked out again.
      this.#keyHashes = dictionary.byKey && !hasPresence(this.column) ? keyHashes : undefined
    } else this.texts = undefined
  }

  /** What was written is on its way; `false`: what was said to be so is not. */
  sent(sent: boolean): void {
    if (sent) this.#dictionary?.sent(this.count)
    else this.#dictionary?.startOver()
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
        if (this.texts !== undefined) this.#writeNumbers(out, this.texts)
        else {
          writeWidths(out, this.i32, count, largest(this.i32, count))
          writeText(out, this.text)
          this.text = ''
        }
        if (this.#dictionary !== undefined) optionalBin(out, this.#dictionary.item())
        return
      case 'any':
        return bin(out, this.values.out.bytes, this.values.out.length)
    }
  }

  #writeNumbers(out: ByteWriter, texts: readonly string[]): void {
    const dictionary = this.#dictionary as DictionaryOut
    dictionary.number(texts, this.count, this.i32, this.#keyHashes)
    writeWidths(out, this.i32, this.count, dictionary.limit - 1)
    writeText(out, dictionary.text)
    this.texts = this.#keyHashes = undefined
  }
}

/** Items that the columns of this shape are. */
function itemCount(shape: Shape, dictionaries: boolean): number {
  let count = 0
  for (const column of shape.columns) count += (hasPresence(column) ? 1 : 0) + (column.kind === 'none' ? 0 : column.kind !== 'string' ? 1 : dictionaries ? 3 : 2)
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

function optionalBin(out: ByteWriter, bytes: Uint8Array | undefined): void {
  if (bytes === undefined) packNil(out)
  else bin(out, bytes, bytes.length)
}

const bytesOf = (array: Int32Array | Float64Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
const capacityFor = (count: number) => Math.max(64, 2 ** Math.ceil(Math.log2(count)))

/** At least the largest of them, and of as many bytes. */
function largest(numbers: Int32Array, count: number): number {
  let all = 0
  for (let i = 0; i < count; i++) all |= numbers[i] as number
  return all
}

/** Whole numbers up to `largest`, in as few bytes each as that takes. */
function writeWidths(out: ByteWriter, numbers: Int32Array, count: number, largest: number): void {
  if (largest >= 0x10000) return bin(out, bytesOf(numbers), count * 4)
  const width = largest < 0x100 ? 1 : 2
  packBinHeader(out, count * width)
  out.ensure(count * width)
  const { bytes } = out
  let at = out.length
  if (width === 1) for (let i = 0; i < count; i++) bytes[at++] = numbers[i] as number
  else {
    for (let i = 0; i < count; i++) {
      bytes[at++] = numbers[i] as number
      bytes[at++] = (numbers[i] as number) >> 8
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
  /** i32 values, lengths of text, or numbers of texts. */
  i32 = noI32
  f64 = noF64
  u8 = noBytes
  presence = noBytes
  text = ''
  texts: readonly string[] | undefined
  passing = noTexts
  values = noValues
  #anyBytes = noReader
  readonly #dictionary: DictionaryIn | undefined

  constructor(column: Column, dictionaries: boolean) {
    this.column = column
    this.#dictionary = dictionaries && column.kind === 'string' ? new DictionaryIn() : undefined
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
    this.texts = undefined
    this.passing = noTexts
    this.#dictionary?.finish()
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
    // A damaged frame may have left it.
    this.texts = undefined
    const units = this.#readWidths(input.bin(), count)
    const bytes = input.bin()
    const dictionary = this.#dictionary
    if (dictionary?.begin(input.optionalBin(), all => this.#textOf(bytes, all)) === true) {
      const { texts, passing } = dictionary
      const { i32 } = this
      for (let i = 0; i < count; i++) {
        const number = i32[i] as number
        if (number >= texts.length && !(number >= maxEntries && number < maxEntries + passing.length)) throw new DecodeError(`column ${this.column.name} has no text ${number}`)
      }
      this.texts = texts
      this.passing = passing
      return
    }
    this.text = this.#textOf(bytes, units)
  }

  /** Lengths or numbers; returns their sum. */
  #readWidths(bytes: Uint8Array, count: number): number {
    const width = count === 0 ? 1 : bytes.length / count
    if (width !== 1 && width !== 2 && width !== 4) throw new DecodeError(`lengths of column ${this.column.name} are ${bytes.length} bytes`)
    this.#sized(bytes, count * width)
    if (this.i32.length < count) this.i32 = new Int32Array(capacityFor(count))
    const { i32 } = this
    let sum = 0
    if (width === 1) for (let i = 0; i < count; i++) sum += i32[i] = bytes[i] as number
    else if (width === 2) for (let i = 0; i < count; i++) sum += i32[i] = (bytes[2 * i] as number) | ((bytes[2 * i + 1] as number) << 8)
    else {
      bytesOf(i32).set(bytes)
      for (let i = 0; i < count; i++) {
        if ((i32[i] as number) < 0) throw new DecodeError(`negative length in column ${this.column.name}`)
        sum += i32[i] as number
      }
    }
    return sum
  }

  #textOf(bytes: Uint8Array, units: number): string {
    const kind = bytes[0]
    let text: string
    if (kind === ascii) text = textCodec.readAscii(bytes, 1, bytes.length)
    else if (kind === utf8) text = textCodec.readUtf8(bytes, 1, bytes.length)
    else if (kind === ucs2) text = textCodec.readUcs2(bytes, 1, bytes.length)
    else throw new DecodeError(`unknown way of writing text ${kind}`)
    if (text.length !== units) throw new DecodeError(`text of column ${this.column.name} is ${text.length} units, not ${units}`)
    return text
  }
}

/** Whether the hashes are those of a column, by all appearances: the first, the middle and the last record say so. */
function isKeyColumn({ layout }: Shape, { name }: Column, values: readonly unknown[], records: number, keyHashes: Int32Array): boolean {
  return [0, records >> 1, records - 1].every(at => {
    const record = values[at]
    // Not read like a field: what has an accessor is refused later.
    const value: unknown = layout === 'single' ? record : typeof record === 'object' && record !== null ? Object.getOwnPropertyDescriptor(record, name)?.value : undefined
    return typeof value === 'string' && spreadKeyHash(value) === keyHashes[at]
  })
}

/** All columns of a shape while they are filled. */
export class ColumnSetOut {
  readonly shape: Shape
  /** How many items `write` adds to the array. */
  readonly items: number
  readonly #columns: readonly ColumnOut[]
  readonly #plain: RecordLoops
  #numbers: RecordLoops | undefined
  readonly #generate: boolean

  /** `dictionaries` for a channel, where both sides know what went before. */
  constructor(shape: Shape, generate: boolean, dictionaries = false) {
    this.shape = shape
    this.items = itemCount(shape, dictionaries)
    this.#columns = shape.columns.map(column => new ColumnOut(column, dictionaries))
    this.#plain = recordLoops(shape, generate)
    this.#generate = generate
  }

  /** False if a record does not fit the shape. `keyHashes`: `spreadKeyHash` of each record's key. @throws UnsupportedSignal */
  fill(values: readonly unknown[], records: number, keyHashes?: Int32Array): boolean {
    const columns = this.#columns
    for (const column of columns) column.begin(records, keyHashes, () => keyHashes !== undefined && isKeyColumn(this.shape, column.column, values, records, keyHashes))
    return this.#loops().fill(values, records, columns) === -1
  }

  /** What only frames of numbers need makes the others slower. */
  #loops(): RecordLoops {
    for (const column of this.#columns) if (column.texts !== undefined) return (this.#numbers ??= recordLoops(this.shape, this.#generate, true))
    return this.#plain
  }

  /** After `fill`: whether these records alone would have led to this very shape. False where that is not known. */
  isExact(records: number): boolean {
    return records > 0 && this.#columns.every(column => column.isExact(records))
  }

  write(out: ByteWriter, records: number): void {
    for (const column of this.#columns) column.write(out, records)
  }

  /** What was written last is on its way. Only then the columns go by it. */
  sent(): void {
    for (const column of this.#columns) column.sent(true)
  }

  /** Something that was said to be on its way is not. */
  notSent(): void {
    for (const column of this.#columns) column.sent(false)
  }
}

/** All columns of a shape while they are read. */
export class ColumnSetIn {
  readonly shape: Shape
  readonly items: number
  readonly #columns: readonly ColumnIn[]
  readonly #plain: RecordLoops
  #numbers: RecordLoops | undefined
  readonly #generate: boolean

  constructor(shape: Shape, generate: boolean, dictionaries = false) {
    this.shape = shape
    this.items = itemCount(shape, dictionaries)
    this.#columns = shape.columns.map(column => new ColumnIn(column, dictionaries))
    this.#plain = recordLoops(shape, generate)
    this.#generate = generate
  }

  /** What only frames of numbers need makes the others slower. */
  #loops(): RecordLoops {
    for (const column of this.#columns) if (column.texts !== undefined) return (this.#numbers ??= recordLoops(this.shape, this.#generate, true))
    return this.#plain
  }

  /** Puts the records into `values`. @throws DecodeError */
  read(input: Unpacker, records: number, values: unknown[]): void {
    for (const column of this.#columns) column.read(input, records)
    this.#loops().build(records, this.#columns, values)
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
