/**
 * A piece of a file, with the text of many entries in it, and the same as one string of which that text is made slices. Text that is
 * read for itself lies in V8's heap, among what is young, and a collector moves it twice before it is old: that was a third of the
 * time in which a large state was read back. Node puts a string of more than a megabyte outside of the heap, where nobody moves it.
 *
 * A slice keeps all of its piece in memory. What is kept so is never more than what was in memory at the end of the restore: text
 * that comes back from the store later has bytes of its own.
 */
import { text } from './text.ts'

/** For less the string of all of the piece is not made: whoever holds a slice of it holds it whole. */
const fewBytes = 4 * 1024

export class PieceText {
  readonly #bytes: Uint8Array
  #text: string | undefined

  /** `bytes` may change when nothing is asked for any more. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Of ASCII from `start` to the end of `bytes`, which are a part of the piece. */
  readAscii(bytes: Uint8Array, start: number): string {
    if (bytes.length - start < fewBytes) return text.readAscii(bytes, start, bytes.length)
    this.#text ??= text.readLatin1(this.#bytes, 0, this.#bytes.length)
    const from = bytes.byteOffset - this.#bytes.byteOffset
    return this.#text.substring(from + start, from + bytes.length)
  }
}
