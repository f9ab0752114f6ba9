/**
 * The part of msgpack that we speak, over our own buffers: columns are written into a frame without passing through a
 * general serialiser, and what comes in is read under limits that are checked before anything is allocated. The one
 * extension is type 0, a single zero byte: undefined, as msgpackr writes it.
 */
import { DecodeError, type ByteReader, type ByteWriter } from './bytes.ts'
import { text as textCodec } from './text.ts'
import { define } from './plain-object.ts'

export function packArrayHeader(out: ByteWriter, count: number): void {
  header(out, count, 0x90, 16, -1, 0xdc)
}

export function packMapHeader(out: ByteWriter, count: number): void {
  header(out, count, 0x80, 16, -1, 0xde)
}

export function packBinHeader(out: ByteWriter, length: number): void {
  header(out, length, 0, 0, 0xc4, 0xc5)
}

export function packBin(out: ByteWriter, bytes: Uint8Array): void {
  packBinHeader(out, bytes.length)
  out.raw(bytes)
}

export function packNil(out: ByteWriter): void {
  out.u8(0xc0)
}

export function packUndefined(out: ByteWriter): void {
  out.u8(0xd4)
  out.u8(0)
  out.u8(0)
}

export function packBool(out: ByteWriter, value: boolean): void {
  out.u8(value ? 0xc3 : 0xc2)
}

/** The text must be well-formed. */
export function packString(out: ByteWriter, value: string): void {
  out.ensure(value.length * 3 + 5)
  // Written behind the widest header, then moved to where it belongs.
  const start = out.length
  const length = textCodec.writeUtf8(out.bytes, value, start + 5)
  header(out, length, 0xa0, 32, 0xd9, 0xda)
  if (out.length !== start + 5) out.bytes.copyWithin(out.length, start + 5, start + 5 + length)
  out.length += length
}

/** Any number; whole ones that fit 32 bits as integers, but not -0. */
export function packNumber(out: ByteWriter, value: number): void {
  out.ensure(9)
  const { view } = out
  if (value >>> 0 === value && !Object.is(value, -0)) {
    if (value < 0x80) out.u8(value)
    else if (value < 0x100) {
      out.u8(0xcc)
      out.u8(value)
    } else if (value < 0x10000) {
      out.u8(0xcd)
      view.setUint16(out.length, value)
      out.length += 2
    } else {
      out.u8(0xce)
      view.setUint32(out.length, value)
      out.length += 4
    }
  } else if ((value | 0) === value && value !== 0) {
    if (value >= -32) out.u8(value & 0xff)
    else {
      out.u8(0xd2)
      view.setInt32(out.length, value)
      out.length += 4
    }
  } else {
    out.u8(0xcb)
    view.setFloat64(out.length, value)
    out.length += 8
  }
}

/** `fix`: the tag that holds counts below `fixLimit` in itself. `short`: the tag with one byte of count, -1 if there is none; `wide`: the one with two, and after it the one with four. */
function header(out: ByteWriter, count: number, fix: number, fixLimit: number, short: number, wide: number): void {
  out.ensure(5)
  if (count < fixLimit) out.u8(fix | count)
  else if (short >= 0 && count < 0x100) {
    out.u8(short)
    out.u8(count)
  } else if (count < 0x10000) {
    out.u8(wide)
    out.view.setUint16(out.length, count)
    out.length += 2
  } else {
    out.u8(wide + 1)
    out.view.setUint32(out.length, count)
    out.length += 4
  }
}

/** What a message may hold; more is a `DecodeError` before it is built. */
export interface UnpackLimits {
  readonly depth: number
  /** Values in all, containers and names included. */
  readonly elements: number
}

export class Unpacker {
  readonly #in: ByteReader
  readonly #maxDepth: number
  #elementsLeft: number
  #depth = 0

  constructor(input: ByteReader, limits: UnpackLimits) {
    this.#in = input
    this.#maxDepth = limits.depth
    this.#elementsLeft = limits.elements
  }

  /** The header of an array; its items follow. */
  arrayHeader(): number {
    const kind = this.#in.u8()
    if (kind >= 0x90 && kind < 0xa0) return this.#counted(kind & 15, 1)
    if (kind === 0xdc) return this.#counted(this.#u16(), 1)
    if (kind === 0xdd) return this.#counted(this.#u32(), 1)
    throw this.#wrong('an array')
  }

  /** A view into the message. */
  bin(): Uint8Array {
    const kind = this.#in.u8()
    if (kind === 0xc4) return this.#in.raw(this.#in.u8())
    if (kind === 0xc5) return this.#in.raw(this.#u16())
    if (kind === 0xc6) return this.#in.raw(this.#u32())
    throw this.#wrong('bin')
  }

  /** A bin, or nil as undefined. */
  optionalBin(): Uint8Array | undefined {
    if (this.#in.bytes[this.#in.position] !== 0xc0) return this.bin()
    this.#in.u8()
    return undefined
  }

  /** A whole number from 0 to `max`. */
  uint(max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.read()
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max || Object.is(value, -0)) throw this.#wrong(`a whole number up to ${max}`)
    return value
  }

  number(): number {
    const value = this.read()
    if (typeof value !== 'number') throw this.#wrong('a number')
    return value
  }

  string(): string {
    const value = this.read()
    if (typeof value !== 'string') throw this.#wrong('text')
    return value
  }

  bool(): boolean {
    const value = this.read()
    if (typeof value !== 'boolean') throw this.#wrong('true or false')
    return value
  }

  /** Whatever comes next; bin values are copied out of the message. */
  read(): unknown {
    const input = this.#in
    if (--this.#elementsLeft < 0) throw new DecodeError('too many values in one message')
    const kind = input.u8()
    if (kind < 0x80) return kind
    if (kind < 0x90) return this.#map(kind & 15)
    if (kind < 0xa0) return this.#array(kind & 15)
    if (kind < 0xc0) return this.#text(kind & 31)
    if (kind >= 0xe0) return kind - 0x100
    switch (kind) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return new Uint8Array(input.raw(input.u8()))
      case 0xc5:
        return new Uint8Array(input.raw(this.#u16()))
      case 0xc6:
        return new Uint8Array(input.raw(this.#u32()))
      case 0xca:
        return input.view.getFloat32(input.skip(4))
      case 0xcb:
        return input.view.getFloat64(input.skip(8))
      case 0xcc:
        return input.u8()
      case 0xcd:
        return this.#u16()
      case 0xce:
        return this.#u32()
      case 0xcf:
        return this.#safe(input.view.getBigUint64(input.skip(8)))
      case 0xd0:
        return input.view.getInt8(input.skip(1))
      case 0xd1:
        return input.view.getInt16(input.skip(2))
      case 0xd2:
        return input.view.getInt32(input.skip(4))
      case 0xd3:
        return this.#safe(input.view.getBigInt64(input.skip(8)))
      case 0xd4:
        if (input.u8() === 0 && input.u8() === 0) return undefined
        throw this.#wrong('no extension')
      case 0xd9:
        return this.#text(input.u8())
      case 0xda:
        return this.#text(this.#u16())
      case 0xdb:
        return this.#text(this.#u32())
      case 0xdc:
        return this.#array(this.#u16())
      case 0xdd:
        return this.#array(this.#u32())
      case 0xde:
        return this.#map(this.#u16())
      case 0xdf:
        return this.#map(this.#u32())
      default:
        throw this.#wrong('no extension')
    }
  }

  end(): void {
    if (!this.#in.atEnd) throw new DecodeError(`${this.#in.end - this.#in.position} bytes too many`)
  }

  #array(announced: number): unknown[] {
    const count = this.#counted(announced, 1)
    this.#enter()
    const items: unknown[] = []
    for (let i = 0; i < count; i++) items.push(this.read())
    this.#depth--
    return items
  }

  #map(announced: number): Record<string, unknown> {
    const count = this.#counted(announced, 2)
    this.#enter()
    const map: Record<string, unknown> = {}
    for (let i = 0; i < count; i++) {
      const name = this.string()
      define(map, name, this.read())
    }
    this.#depth--
    return map
  }

  /** Checked against what is there before it is believed. */
  #counted(count: number, bytesEach: number): number {
    if (count * bytesEach > this.#in.end - this.#in.position) throw this.#wrong('no more items than bytes')
    return count
  }

  #enter(): void {
    if (++this.#depth > this.#maxDepth) throw new DecodeError(`nested deeper than ${this.#maxDepth} levels`)
  }

  #text(length: number): string {
    const start = this.#in.skip(length)
    return textCodec.readUtf8(this.#in.bytes, start, start + length)
  }

  #safe(value: bigint): number {
    const number = Number(value)
    if (!Number.isSafeInteger(number)) throw this.#wrong('a number that JavaScript can hold')
    return number
  }

  #u16(): number {
    return this.#in.view.getUint16(this.#in.skip(2))
  }
  #u32(): number {
    return this.#in.view.getUint32(this.#in.skip(4))
  }

  #wrong(expected: string): DecodeError {
    return new DecodeError(`expected ${expected} at byte ${this.#in.position}`)
  }
}
