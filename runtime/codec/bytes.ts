/**
 * A growing buffer to write into and a checked cursor to read from: the ground under every format of this room. All
 * multi-byte numbers are little-endian, but for msgpack's own (`msgpack.ts`).
 */
import { assert } from '../core/assert.ts'
import { text as textCodec } from './text.ts'

/**
 * Bytes that are not what they should be: cut short, altered, or of another format. It says nothing about where they came
 * from: the data plane closes the connection, a restore turns it into `SNAPSHOT_CORRUPT`.
 */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}

/** A buffer that grew beyond this is dropped when less than a quarter of it was needed, so that one giant record does not stay for ever. */
const keptCapacity = 1024 * 1024

/** Text of fewer units is written by a loop: faster than a native call, unless the text is a slice of other text. */
const loopedText = 24
/** The header of ASCII text of fewer units is one byte. */
const shortText = 64

// Columns are written with the machine's own byte order.
assert(new Uint8Array(new Uint32Array([1]).buffer)[0] === 1, 'the machine is big-endian')

export class ByteWriter {
  /** The bytes so far are `bytes[0, length)`. Replaced when it grows: read it again after every `ensure`. */
  bytes: Uint8Array<ArrayBuffer>
  view: DataView<ArrayBuffer>
  length = 0

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Makes room for `extra` more bytes; doubles. */
  ensure(extra: number): void {
    const needed = this.length + extra
    if (needed <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }

  /** Leaves room that somebody else fills. */
  skip(bytes: number): void {
    this.ensure(bytes)
    this.length += bytes
  }

  u8(value: number): void {
    this.ensure(1)
    this.bytes[this.length++] = value
  }

  u32(value: number): void {
    this.ensure(4)
    this.view.setUint32(this.length, value, true)
    this.length += 4
  }

  f64(value: number): void {
    this.ensure(8)
    // One NaN: a number that came out of foreign bytes may carry another.
    this.view.setFloat64(this.length, value === value ? value : NaN, true)
    this.length += 8
  }

  /** A whole number from 0 to 2^53 - 1, seven bits a byte. */
  varint(value: number): void {
    this.ensure(8)
    let rest = value
    let at = this.length
    const { bytes } = this
    while (rest >= 0x80000000) {
      bytes[at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    while (rest >= 0x80) {
      bytes[at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    bytes[at++] = rest
    this.length = at
  }

  raw(bytes: Uint8Array): void {
    this.ensure(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Text behind a header of one byte, if it is ASCII. False, and nothing is written, if not. There must be room for three bytes per unit. */
  ascii(header: number, text: string): boolean {
    const { bytes } = this
    const { length } = text
    const start = this.length
    if (length >= loopedText) {
      if (textCodec.writeUtf8(bytes, text, start + 1) !== length) return false
    } else {
      let at = start + 1
      let all = 0
      for (let i = 0; i < length; i++) {
        const code = text.charCodeAt(i)
        all |= code
        bytes[at++] = code
      }
      if (all >= 0x80) return false
    }
    bytes[start] = header
    this.length = start + 1 + length
    return true
  }

  /** Any text, lone surrogates included, with its length in front. */
  string(text: string): void {
    const { length } = text
    this.ensure(length * 3 + 16)
    if (length < shortText && this.ascii(length * 2, text)) return
    // The length comes first and is not known: written for the usual case (one byte a unit), moved if it was not.
    const start = this.length
    this.varint(length * 2)
    const width = this.length - start
    const written = textCodec.writeUtf8(this.bytes, text, this.length)
    if (written === length) {
      this.length += written
      return
    }
    if (text.isWellFormed()) {
      const body = this.bytes.slice(start + width, start + width + written)
      this.length = start
      this.varint(written * 2)
      this.raw(body)
    } else {
      this.length = start
      this.varint(length * 4 + 1)
      this.length += textCodec.writeUcs2(this.bytes, text, this.length)
    }
  }

  /** The bytes in an array that is as long; the writer is empty afterwards and can be used again. */
  takeInto<B extends Uint8Array>(into: B): B {
    into.set(this.bytes.subarray(0, this.length))
    this.reset()
    return into
  }

  /** The bytes as an array of their own; the writer is empty afterwards and can be used again. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.bytes.slice(0, this.length)
    this.reset()
    return taken
  }

  reset(): void {
    // Of an empty one it is not known what it is for.
    const drop = this.bytes.length > keptCapacity && this.length > 0 && this.length < this.bytes.length >> 2
    this.length = 0
    if (drop) {
      this.bytes = new Uint8Array(1024)
      this.view = new DataView(this.bytes.buffer)
    }
  }
}

/** Reads what `ByteWriter` wrote. Whatever is not there is a `DecodeError`, never a read beyond the end. */
export class ByteReader {
  readonly bytes: Uint8Array
  readonly end: number
  position: number
  #view: DataView | undefined

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes
    this.position = start
    this.end = end
  }

  /** Made when it is first needed: it costs more than reading a small value. */
  get view(): DataView {
    return (this.#view ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength))
  }

  /** Moves over `count` bytes and returns where they began. */
  skip(count: number): number {
    const start = this.position
    if (count > this.end - start) throw new DecodeError(`${count} bytes expected at ${start}, ${this.end - start} there`)
    this.position = start + count
    return start
  }

  u8(): number {
    const { position } = this
    if (position >= this.end) throw new DecodeError(`cut short at ${position}`)
    this.position = position + 1
    return this.bytes[position] as number
  }

  u32(): number {
    return this.view.getUint32(this.skip(4), true)
  }

  f64(): number {
    return this.view.getFloat64(this.skip(8), true)
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 128
    }
    throw new DecodeError(`number too long at ${this.position}`)
  }

  /** A count of things that take at least one byte each, so a forged one cannot make us allocate. */
  count(): number {
    const count = this.varint()
    if (count > this.end - this.position) throw new DecodeError(`${count} items announced at ${this.position}, ${this.end - this.position} bytes left`)
    return count
  }

  /** A view, not a copy. */
  raw(count: number): Uint8Array {
    const start = this.skip(count)
    return this.bytes.subarray(start, start + count)
  }

  string(): string {
    const header = this.varint()
    const length = Math.floor(header / 2)
    const start = this.skip(length)
    return header % 2 === 1 ? textCodec.readUcs2(this.bytes, start, start + length) : textCodec.readUtf8(this.bytes, start, start + length)
  }

  /** Moves over `text` if that is what `ByteWriter.string` wrote here; only for ASCII below 64 characters. */
  skipAscii(text: string): boolean {
    const { bytes, position } = this
    const { length } = text
    if (bytes[position] !== length * 2 || length >= 64 || length >= this.end - position) return false
    for (let i = 0; i < length; i++) if (bytes[position + 1 + i] !== text.charCodeAt(i)) return false
    this.position = position + 1 + length
    return true
  }

  get atEnd(): boolean {
    return this.position === this.end
  }
}
