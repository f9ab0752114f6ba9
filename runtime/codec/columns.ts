/**
 * Columns as bytes, what both directions share. The loops over records (`record-loops.ts`) fill and read the typed arrays of
 * columns; `columns-out.ts` and `columns-in.ts` move them into and out of msgpack `bin` values. Everything passes through
 * aligned scratch arrays: copying a column takes far less than a microsecond, and frames need no padding.
 *
 * What a column is in a frame: if it has absent values, a bin of two bits per record (`presence`); then, for the values
 * that are present, `bool` a byte each, `i32` and `f64` as they are, `string` a bin of lengths in UTF-16 units (1, 2 or 4
 * bytes each) and a bin of the joined text behind one byte that says how it is written, `any` a bin of values (`value-tags.ts`),
 * `list` a bin of lengths like those of text and the columns of all items, one array's after the other's.
 * Numbers are as wide in lists as elsewhere: small whole ones take four bytes each, where those of an `any` column take one or two.
 *
 * In frames, not in pages of state or lists, `string` has a third item, nil or what `dictionary.ts` says; if it says so, the first bin
 * is numbers (1, 2 or 4 bytes each) and the text that of the new entries.
 */
import { recordLoops, type RecordLoops } from './record-loops.ts'
import { hasPresence, type Shape } from './shape.ts'

/** In one frame or page; some columns take no bytes at all, so a count must have a limit of its own. */
export const maxRecordsPerFrame = 1024 * 1024

/** A column keeps buffers of so many values from one frame or page to the next: a few large ones must not stay large in each of thousands of channels. */
export const keptValues = 16 * 1024

/** How joined text is written. */
export const textKind = { ascii: 0, utf8: 1, ucs2: 2 } as const

export const noI32 = new Int32Array(0)
export const noF64 = new Float64Array(0)
export const noBytes: Uint8Array = new Uint8Array(0)

export const bytesOf = (array: Int32Array | Float64Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
export const capacityFor = (count: number) => Math.max(64, 2 ** Math.ceil(Math.log2(count)))

/** Items that the columns of this shape are. */
export function itemCount(shape: Shape, dictionaries: boolean): number {
  let count = 0
  for (const column of shape.columns) {
    const { kind, items } = column
    if (hasPresence(column)) count++
    if (items !== undefined) count += 1 + itemCount(items, false)
    else if (kind !== 'none') count += kind !== 'string' ? 1 : dictionaries ? 3 : 2
  }
  return count
}

/** The loops of a shape, for frames of text and for frames of numbers: what only the latter need makes the others slower. */
export class ShapeLoops {
  readonly #shape: Shape
  readonly #generate: boolean
  readonly #plain: RecordLoops
  #numbers: RecordLoops | undefined

  constructor(shape: Shape, generate: boolean) {
    this.#shape = shape
    this.#generate = generate
    this.#plain = recordLoops(shape, generate)
  }

  of(columns: readonly { readonly texts: readonly string[] | undefined }[]): RecordLoops {
    for (const column of columns) if (column.texts !== undefined) return (this.#numbers ??= recordLoops(this.#shape, this.#generate, true))
    return this.#plain
  }
}
