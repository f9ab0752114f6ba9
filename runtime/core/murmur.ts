/**
 * murmur3_128 (x64) over UTF-8 text as 32 hex digits: how Flink turns a uid into an operator id
 * (`StreamGraphHasherV2`, Guava's `Hashing.murmur3_128(0)`). Also our hash of a job graph.
 *
 * On 32-bit halves and not on BigInt: a process hashes once or twice, early, and there BigInt took 2-7 ms of its start.
 */

/** 64 bits as two 32-bit halves, changed in place. */
class Word {
  high: number
  low: number
  constructor(high: number, low: number) {
    this.high = high
    this.low = low
  }
  xor(other: Word): this {
    this.high ^= other.high
    this.low ^= other.low
    return this
  }
  add(other: Word): this {
    const low = (this.low >>> 0) + (other.low >>> 0)
    this.high = (this.high + other.high + (low > 0xffffffff ? 1 : 0)) | 0
    this.low = low | 0
    return this
  }
  multiply(other: Word): this {
    this.high = (carryOf(this.low, other.low) + Math.imul(this.high, other.low) + Math.imul(this.low, other.high)) | 0
    this.low = Math.imul(this.low, other.low)
    return this
  }
  /** By 1 to 31 bits. */
  rotateLeft(bits: number): this {
    const { high, low } = this
    this.high = (high << bits) | (low >>> (32 - bits))
    this.low = (low << bits) | (high >>> (32 - bits))
    return this
  }
  /** A rotation by 32 bits. */
  swap(): this {
    const { high, low } = this
    this.high = low
    this.low = high
    return this
  }
  /** `this ^= this >>> 33` */
  fold(): this {
    this.low ^= this.high >>> 1
    return this
  }
  hex(): string {
    return littleEndianHex(this.low) + littleEndianHex(this.high)
  }
}

/** The upper 32 of the 64 bits of a product of two unsigned 32-bit numbers, by halves of 16 bits: each sum stays exact. */
function carryOf(a: number, b: number): number {
  const aHigh = a >>> 16
  const aLow = a & 0xffff
  const bHigh = b >>> 16
  const bLow = b & 0xffff
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const other = aLow * bHigh + (middle & 0xffff)
  return aHigh * bHigh + (middle >>> 16) + (other >>> 16)
}

const c1 = new Word(0x87c37b91, 0x114253d5)
const c2 = new Word(0x4cf5ad43, 0x2745937f)
const five = new Word(0, 5)
const add1 = new Word(0, 0x52dce729)
const add2 = new Word(0, 0x38495ab5)
const mix1 = new Word(0xff51afd7, 0xed558ccd)
const mix2 = new Word(0xc4ceb9fe, 0x1a85ec53)

export function murmur128(text: string): string {
  const bytes = utf8(text)
  const length = bytes.length
  const h1 = new Word(0, 0)
  const h2 = new Word(0, 0)
  // Bytes past the end read as 0: `undefined << n` is 0.
  const half = (at: number) => (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)
  const word = (at: number) => new Word(half(at + 4), half(at))
  const first = (at: number) => word(at).multiply(c1).rotateLeft(31).multiply(c2)
  const second = (at: number) => word(at).multiply(c2).swap().rotateLeft(1).multiply(c1)
  let at = 0
  for (; at + 16 <= length; at += 16) {
    h1.xor(first(at)).rotateLeft(27).add(h2).multiply(five).add(add1)
    h2.xor(second(at + 8)).rotateLeft(31).add(h1).multiply(five).add(add2)
  }
  // A tail that is not there is a word of zeros, which changes nothing.
  h2.xor(second(at + 8))
  h1.xor(first(at))
  const size = new Word(0, length)
  h1.xor(size)
  h2.xor(size)
  h1.add(h2)
  h2.add(h1)
  finish(h1)
  finish(h2)
  h1.add(h2)
  h2.add(h1)
  return h1.hex() + h2.hex()
}

const finish = (h: Word) => h.fold().multiply(mix1).fold().multiply(mix2).fold()

function littleEndianHex(half: number): string {
  let text = ''
  for (let shift = 0; shift < 32; shift += 8) text += ((half >>> shift) & 0xff).toString(16).padStart(2, '0')
  return text
}

function utf8(text: string): number[] {
  const bytes: number[] = []
  for (const char of text) {
    const code = char.codePointAt(0) as number
    if (code < 0x80) bytes.push(code)
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63))
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
  }
  return bytes
}
