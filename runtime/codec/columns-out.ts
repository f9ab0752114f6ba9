/** Columns on their way out: filled by the loops, then written as items of a msgpack array (`columns.ts`). */
import { spreadKeyHash } from '../core/key-group.ts'
import { ByteWriter } from './bytes.ts'
import { bytesOf, capacityFor, itemCount, keptValues, noBytes, noF64, noI32, ShapeLoops, textKind } from './columns.ts'
import { DictionaryOut } from './dictionary.ts'
import { ItemBudget, tooManyItems } from './item-budget.ts'
import { packBinHeader, packNil } from './msgpack.ts'
import type { ColumnBuffers } from './record-loops.ts'
import { hasPresence, shapeText, type Column, type Shape } from './shape.ts'
import { presence, seenSort, sort } from './sorts.ts'
import { text as textCodec } from './text.ts'
import { unsupportedSignal } from './unsupported.ts'
import { ValueWriter } from './value-writer.ts'

/** All columns of a shape while they are filled. */
export class ColumnSetOut {
  readonly shape: Shape
  readonly text: string
  /** Whether `isExact` can say yes. */
  readonly mayBeExact: boolean
  /** How many items `write` adds to the array. */
  readonly items: number
  readonly #columns: readonly ColumnOut[]
  readonly #loops: ShapeLoops
  readonly #budget: ItemBudget
  readonly #isWhole: boolean

  /** `dictionaries` for a channel, where both sides know what went before. `budget`: of the frame, where these are the items of lists in it. */
  constructor(shape: Shape, generate: boolean, dictionaries = false, budget?: ItemBudget) {
    this.shape = shape
    this.text = shapeText(shape)
    this.mayBeExact = mayBeExact(shape)
    this.items = itemCount(shape, dictionaries)
    this.#budget = budget ?? new ItemBudget()
    this.#isWhole = budget === undefined
    this.#columns = shape.columns.map(column => new ColumnOut(column, generate, dictionaries, this.#budget))
    this.#loops = new ShapeLoops(shape, generate)
  }

  /** False if a record does not fit the shape. `keyHashes`: `spreadKeyHash` of each record's key. @throws UnsupportedSignal, TooManyItems */
  fill(values: readonly unknown[], records: number, keyHashes?: Int32Array): boolean {
    if (this.#isWhole) this.#budget.begin()
    let filled = false
    try {
      filled = this.#fill(values, records, keyHashes)
      return filled
    } finally {
      if (!filled) this.release()
    }
  }

  #fill(values: readonly unknown[], records: number, keyHashes: Int32Array | undefined): boolean {
    const columns = this.#columns
    for (const column of columns) column.begin(records, keyHashes, () => keyHashes !== undefined && isKeyColumn(this.shape, column.column, values, records, keyHashes))
    return this.#loops.of(columns).fill(values, records, columns) === -1 && columns.every(column => column.list === undefined || column.list.fill())
  }

  /** After `fill`: whether these records alone would have led to this very shape. False where that is not known. */
  isExact(records: number): boolean {
    return records > 0 && this.mayBeExact && this.#columns.every(column => column.isExact(records))
  }

  write(out: ByteWriter, records: number): void {
    for (const column of this.#columns) column.write(out, records)
    this.release()
  }

  /** What was filled in is written, or not going to be: nothing of the records is kept alive, and no buffer of a rare size. */
  release(): void {
    for (const column of this.#columns) column.release()
  }

  /** What was written last is on its way. Only then the columns go by it. */
  sent(): void {
    for (const column of this.#columns) column.sent(true)
  }

  /** Encoding failed: frames that were said to be on their way may not go out. */
  notSent(): void {
    for (const column of this.#columns) column.sent(false)
  }
}

function mayBeExact({ columns }: Shape): boolean {
  return columns.every(({ kind, absent, items }) => kind !== 'any' && !(absent & sort.missing) && (items === undefined || mayBeExact(items)))
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

/** The arrays of a column of lists: their lengths, and all their items as columns of their own. */
class ListsOut {
  readonly #columns: ColumnSetOut
  #lengths = noI32
  #lists = 0
  /** A new one for each fill: to keep young items in an old array would cost more. */
  #items: unknown[] = []
  #itemCount = 0
  readonly #budget: ItemBudget

  constructor(items: Shape, generate: boolean, budget: ItemBudget) {
    this.#columns = new ColumnSetOut(items, generate, false, budget)
    this.#budget = budget
  }

  begin(records: number): void {
    if (this.#lengths.length < records) this.#lengths = new Int32Array(capacityFor(records))
    this.#lists = 0
    this.#items = []
  }

  /** False if it is no array. @throws UnsupportedSignal, TooManyItems */
  push(list: unknown): boolean {
    if (!Array.isArray(list) || Object.getPrototypeOf(list) !== Array.prototype) return false
    if (!this.#budget.take(list.length)) throw tooManyItems
    // As for single values (`value-writer.ts`): what an array can hide is looked for on the first.
    if (this.#lists === 0 && (Object.keys(list).length !== list.length || Object.getOwnPropertySymbols(list).length > 0)) throw unsupportedSignal
    if ((list as { index?: unknown }).index !== undefined) throw unsupportedSignal
    const items = this.#items
    for (let i = 0; i < list.length; i++) {
      const item: unknown = list[i]
      if (item === undefined && !Object.hasOwn(list, i)) throw unsupportedSignal
      items.push(item)
    }
    this.#lengths[this.#lists++] = list.length
    return true
  }

  /** After all were pushed: false if an item does not fit. @throws UnsupportedSignal, TooManyItems */
  fill(): boolean {
    const items = this.#items
    this.#items = []
    this.#itemCount = items.length
    return this.#columns.fill(items, items.length)
  }

  release(): void {
    this.#items = []
    if (this.#lengths.length > keptValues) this.#lengths = noI32
    this.#columns.release()
  }

  isExact(): boolean {
    return this.#columns.isExact(this.#itemCount)
  }

  write(out: ByteWriter): void {
    writeWidths(out, this.#lengths, this.#lists, largest(this.#lengths, this.#lists))
    this.#columns.write(out, this.#itemCount)
  }
}

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
  readonly list: ListsOut | undefined
  /** Set while texts are gathered for a dictionary. */
  texts: string[] | undefined
  #keyHashes: Int32Array | undefined
  readonly #dictionary: DictionaryOut | undefined

  constructor(column: Column, generate: boolean, dictionaries: boolean, budget: ItemBudget) {
    this.column = column
    this.list = column.items === undefined ? undefined : new ListsOut(column.items, generate, budget)
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
    } else this.list?.begin(records)
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
    if (this.list !== undefined) return this.list.isExact()
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
        }
        if (this.#dictionary !== undefined) optionalBin(out, this.#dictionary.item())
        return
      case 'any':
        return bin(out, this.values.out.bytes, this.values.out.length)
      case 'list':
        return this.list?.write(out)
    }
  }

  #writeNumbers(out: ByteWriter, texts: readonly string[]): void {
    const dictionary = this.#dictionary as DictionaryOut
    dictionary.number(texts, this.count, this.i32, this.#keyHashes)
    writeWidths(out, this.i32, this.count, dictionary.limit - 1)
    writeText(out, dictionary.text)
  }

  release(): void {
    this.text = ''
    this.texts = this.#keyHashes = undefined
    if (this.i32.length > keptValues) this.i32 = noI32
    if (this.f64.length > keptValues) this.f64 = noF64
    if (this.u8.length > keptValues) this.u8 = noBytes
    if (this.presence.length > keptValues) this.presence = noBytes
    this.list?.release()
  }
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
  let kind: number = textKind.ascii
  let length = textCodec.writeUtf8(out.bytes, text, body)
  if (length !== units) {
    kind = textKind.utf8
    // Two halves of a pair that met where strings were joined are cut apart again by their lengths.
    if (!text.isWellFormed()) {
      kind = textKind.ucs2
      length = textCodec.writeUcs2(out.bytes, text, body)
    }
  }
  packBinHeader(out, length + 1)
  out.u8(kind)
  if (out.length !== body) out.bytes.copyWithin(out.length, body, body + length)
  out.length += length
}
