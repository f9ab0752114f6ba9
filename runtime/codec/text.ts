/**
 * Text to bytes and back. Node's `Buffer` does it natively; this room may not import Node, so it is taken from the global
 * object where it is, with plain code beside it for a runtime without one. One native call costs 30-50 ns whatever the
 * length: callers join short strings and cut them apart afterwards.
 */

/** What we use of Node's `Buffer.prototype`; the methods work on any `Uint8Array`. */
interface NativeText {
  utf8Write(this: Uint8Array, text: string, offset: number, length: number): number
  utf8Slice(this: Uint8Array, start: number, end: number): string
  latin1Slice(this: Uint8Array, start: number, end: number): string
  ucs2Write(this: Uint8Array, text: string, offset: number, length: number): number
  ucs2Slice(this: Uint8Array, start: number, end: number): string
}

/** Node's class, as much of it as is needed to let a Buffer arrive as a Buffer. */
export interface BufferClass {
  readonly prototype: Uint8Array & NativeText
  from(buffer: ArrayBuffer, offset: number, length: number): Uint8Array
}

export const nodeBuffer = (globalThis as { Buffer?: BufferClass }).Buffer

export interface TextCodec {
  /** Writes well-formed UTF-8 at `offset`; there must be room for three bytes per UTF-16 unit. Returns the bytes written. */
  writeUtf8(into: Uint8Array, text: string, offset: number): number
  readUtf8(bytes: Uint8Array, start: number, end: number): string
  /** Only for bytes below 0x80. */
  readAscii(bytes: Uint8Array, start: number, end: number): string
  /** Each byte is a unit. */
  readLatin1(bytes: Uint8Array, start: number, end: number): string
  /** UTF-16, little-endian: keeps lone surrogates. */
  writeUcs2(into: Uint8Array, text: string, offset: number): number
  readUcs2(bytes: Uint8Array, start: number, end: number): string
}

function readUnits(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i] as number)
  return text
}

export const plainText: TextCodec = {
  writeUtf8(into, text, offset) {
    let at = offset
    for (let i = 0; i < text.length; i++) {
      let code = text.charCodeAt(i)
      if (code >= 0xd800 && code < 0xdc00 && i + 1 < text.length) {
        code = 0x10000 + ((code - 0xd800) << 10) + (text.charCodeAt(++i) - 0xdc00)
      }
      if (code < 0x80) into[at++] = code
      else if (code < 0x800) {
        into[at++] = 0xc0 | (code >> 6)
        into[at++] = 0x80 | (code & 63)
      } else if (code < 0x10000) {
        into[at++] = 0xe0 | (code >> 12)
        into[at++] = 0x80 | ((code >> 6) & 63)
        into[at++] = 0x80 | (code & 63)
      } else {
        into[at++] = 0xf0 | (code >> 18)
        into[at++] = 0x80 | ((code >> 12) & 63)
        into[at++] = 0x80 | ((code >> 6) & 63)
        into[at++] = 0x80 | (code & 63)
      }
    }
    return at - offset
  },
  readUtf8(bytes, start, end) {
    let text = ''
    let at = start
    const next = () => (at < end ? (bytes[at++] as number) & 63 : 0)
    while (at < end) {
      const first = bytes[at++] as number
      if (first < 0x80) text += String.fromCharCode(first)
      else if (first < 0xe0) text += String.fromCharCode(((first & 31) << 6) | next())
      else if (first < 0xf0) text += String.fromCharCode(((first & 15) << 12) | (next() << 6) | next())
      else {
        const code = ((first & 7) << 18) | (next() << 12) | (next() << 6) | next()
        text += code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd'
      }
    }
    return text
  },
  readAscii: readUnits,
  readLatin1: readUnits,
  writeUcs2(into, text, offset) {
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      into[offset + 2 * i] = code & 0xff
      into[offset + 2 * i + 1] = code >> 8
    }
    return 2 * text.length
  },
  readUcs2(bytes, start, end) {
    let text = ''
    for (let i = start; i + 1 < end; i += 2) text += String.fromCharCode((bytes[i] as number) | ((bytes[i + 1] as number) << 8))
    return text
  },
}

function nativeText(prototype: NativeText): TextCodec {
  const { utf8Write, utf8Slice, latin1Slice, ucs2Write, ucs2Slice } = prototype
  return {
    writeUtf8: (into, text, offset) => utf8Write.call(into, text, offset, into.length - offset),
    readUtf8: (bytes, start, end) => utf8Slice.call(bytes, start, end),
    readAscii: (bytes, start, end) => latin1Slice.call(bytes, start, end),
    readLatin1: (bytes, start, end) => latin1Slice.call(bytes, start, end),
    writeUcs2: (into, text, offset) => ucs2Write.call(into, text, offset, into.length - offset),
    // Of an odd number of bytes at an odd address, which only damaged text is, Node 24 writes one unit beyond its buffer.
    readUcs2: (bytes, start, end) => ucs2Slice.call(bytes, start, end - ((end - start) & 1)),
  }
}

export const text: TextCodec = nodeBuffer === undefined ? plainText : nativeText(nodeBuffer.prototype)

const { fromCharCode } = String

/** Text of at most 12 ASCII characters: faster than a native call, which costs the same for one character as for a thousand. */
export function readShortAscii(b: Uint8Array, at: number, length: number): string {
  if (length > 8) return readShortAscii(b, at, 8) + readShortAscii(b, at + 8, length - 8)
  // Indexes are checked by the caller.
  switch (length) {
    case 0:
      return ''
    case 1:
      return fromCharCode(b[at]!)
    case 2:
      return fromCharCode(b[at]!, b[at + 1]!)
    case 3:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!)
    case 4:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!)
    case 5:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!)
    case 6:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!)
    case 7:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!)
    default:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!)
  }
}
