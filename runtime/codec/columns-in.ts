/** Columns on their way in: items of a msgpack array (`columns.ts`), checked, and read by the loops. */
import { NO_TIMESTAMP } from '../core/time.ts'
import { ByteReader, DecodeError } from './bytes.ts'
import { bytesOf, capacityFor, itemCount, keptValues, noBytes, noF64, noI32, ShapeLoops, textKind } from './columns.ts'
import { DictionaryIn, maxEntries } from './dictionary.ts'
import { ItemBudget } from './item-budget.ts'
import type { Unpacker } from './msgpack.ts'
import type { PieceText } from './piece-text.ts'
import type { ColumnData } from './record-loops.ts'
import { hasPresence, type Column, type Shape } from './shape.ts'
import { text as textCodec } from './text.ts'
import { ValueReader } from './value-reader.ts'

const noTexts: readonly string[] = []
const noReader = new ByteReader(noBytes)
const noValues = new ValueReader(noReader)

/** All columns of a shape while they are read. */
export class ColumnSetIn {
  readonly shape: Shape
  readonly items: number
  readonly #columns: readonly ColumnIn[]
  readonly #loops: ShapeLoops
  readonly #budget: ItemBudget
  readonly #isWhole: boolean

  /** `budget`: of the frame, where these are the items of lists in it. */
  constructor(shape: Shape, generate: boolean, dictionaries = false, budget?: ItemBudget) {
    this.shape = shape
    this.items = itemCount(shape, dictionaries)
    this.#budget = budget ?? new ItemBudget()
    this.#isWhole = budget === undefined
    this.#columns = shape.columns.map(column => new ColumnIn(column, generate, dictionaries, this.#budget))
    this.#loops = new ShapeLoops(shape, generate)
  }

  /** Puts the records into `values`. `piece`: what the bytes are a part of. @throws DecodeError */
  read(input: Unpacker, records: number, values: unknown[], piece?: PieceText): void {
    if (this.#isWhole) this.#budget.begin()
    for (const column of this.#columns) column.read(input, records, piece)
    this.#loops.of(this.#columns).build(records, this.#columns, values)
    for (const column of this.#columns) column.finish()
  }
}

/** The arrays of a column of lists. */
class ListsIn {
  readonly #columns: ColumnSetIn
  #items: unknown[] = []
  /** Of the array that comes next. */
  #list = 0
  #from = 0
  readonly #budget: ItemBudget

  constructor(items: Shape, generate: boolean, budget: ItemBudget) {
    this.#columns = new ColumnSetIn(items, generate, false, budget)
    this.#budget = budget
  }

  /** @throws DecodeError */
  read(input: Unpacker, items: number, piece: PieceText | undefined): void {
    if (!this.#budget.take(items)) throw new DecodeError(`lists of ${items} items: with those before them more than a frame may have`)
    // Those of a damaged frame are gone.
    this.#items = []
    this.#list = this.#from = 0
    this.#columns.read(input, items, this.#items, piece)
  }

  next(lengths: Int32Array): unknown[] {
    const from = this.#from
    this.#from += lengths[this.#list++] as number
    return this.#items.slice(from, this.#from)
  }

  finish(): void {
    this.#items = []
  }
}

/** One column while it is read. */
class ColumnIn implements ColumnData {
  readonly column: Column
  /** i32 values, lengths of text or lists, or numbers of texts. */
  i32 = noI32
  f64 = noF64
  u8 = noBytes
  presence = noBytes
  text = ''
  texts: readonly string[] | undefined
  passing = noTexts
  values = noValues
  readonly list: ListsIn | undefined
  #anyBytes = noReader
  readonly #dictionary: DictionaryIn | undefined

  constructor(column: Column, generate: boolean, dictionaries: boolean, budget: ItemBudget) {
    this.column = column
    this.list = column.items === undefined ? undefined : new ListsIn(column.items, generate, budget)
    this.#dictionary = dictionaries && column.kind === 'string' ? new DictionaryIn() : undefined
  }

  /** Takes the column's bins. @throws DecodeError if they do not fit each other. */
  read(input: Unpacker, records: number, piece: PieceText | undefined): void {
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
        this.#readText(input, count, piece)
        return
      case 'any':
        this.#anyBytes = new ByteReader(input.bin())
        this.values = new ValueReader(this.#anyBytes)
        return
      case 'list':
        this.list?.read(input, this.#readWidths(input.bin(), count), piece)
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
    this.list?.finish()
    if (this.i32.length > keptValues) this.i32 = noI32
    if (this.f64.length > keptValues) this.f64 = noF64
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

  #readText(input: Unpacker, count: number, piece: PieceText | undefined): void {
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
    this.text = this.#textOf(bytes, units, piece)
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

  #textOf(bytes: Uint8Array, units: number, piece?: PieceText): string {
    const kind = bytes[0]
    let text: string
    if (kind === textKind.ascii) text = piece === undefined ? textCodec.readAscii(bytes, 1, bytes.length) : piece.readAscii(bytes, 1)
    else if (kind === textKind.utf8) text = textCodec.readUtf8(bytes, 1, bytes.length)
    else if (kind === textKind.ucs2) text = textCodec.readUcs2(bytes, 1, bytes.length)
    else throw new DecodeError(`unknown way of writing text ${kind}`)
    if (text.length !== units) throw new DecodeError(`text of column ${this.column.name} is ${text.length} units, not ${units}`)
    return text
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
