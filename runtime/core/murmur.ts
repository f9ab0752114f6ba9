/**
 * murmur3_128 (x64) over UTF-8 text as 32 hex digits: how Flink turns a uid into an operator id
 * (`StreamGraphHasherV2`, Guava's `Hashing.murmur3_128(0)`). Also our hash of a job graph and of a bundle.
 *
 * On 32-bit halves and not on BigInt, and with few calls: a process hashes some hundred bytes, and the command line a bundle, early,
 * when nothing is compiled yet. There BigInt took 2-7 ms of a start.
 */

/** The upper half of the last product; the lower one is what `multiply` returns. */
let upper = 0

/** 64 bits as two halves each. */
function multiply(aHigh: number, aLow: number, bHigh: number, bLow: number): number {
  // The upper 32 of the 64 bits of the product of the lower halves, by quarters of 16 bits: each sum stays exact.
  const a1 = aLow >>> 16
  const a0 = aLow & 0xffff
  const b1 = bLow >>> 16
  const b0 = bLow & 0xffff
  const middle = a1 * b0 + ((a0 * b0) >>> 16)
  const other = a0 * b1 + (middle & 0xffff)
  upper = (a1 * b1 + (middle >>> 16) + (other >>> 16) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) | 0
  return Math.imul(aLow, bLow)
}

/** Whether the lower halves carry. */
const carry = (aLow: number, bLow: number) => ((aLow >>> 0) + (bLow >>> 0) > 0xffffffff ? 1 : 0)

export function murmur128(text: string): string {
  const { bytes, length } = utf8(text)
  let aHigh = 0
  let aLow = 0
  let bHigh = 0
  let bLow = 0
  let high = 0
  let low = 0
  let sum = 0
  // The last block is what is left, and zeros; a word of zeros changes nothing.
  for (let at = 0; at <= length; at += 16) {
    const whole = at + 16 <= length

    low = multiply(half(bytes, at + 4), half(bytes, at), 0x87c37b91, 0x114253d5)
    high = upper
    low = multiply((high << 31) | (low >>> 1), (low << 31) | (high >>> 1), 0x4cf5ad43, 0x2745937f)
    aHigh ^= upper
    aLow ^= low
    if (whole) {
      high = (aHigh << 27) | (aLow >>> 5)
      low = (aLow << 27) | (aHigh >>> 5)
      sum = (low + bLow) | 0
      low = multiply((high + bHigh + carry(low, bLow)) | 0, sum, 0, 5)
      aHigh = (upper + carry(low, 0x52dce729)) | 0
      aLow = (low + 0x52dce729) | 0
    }

    low = multiply(half(bytes, at + 12), half(bytes, at + 8), 0x4cf5ad43, 0x2745937f)
    high = upper
    // By 33: the halves change places.
    low = multiply((low << 1) | (high >>> 31), (high << 1) | (low >>> 31), 0x87c37b91, 0x114253d5)
    bHigh ^= upper
    bLow ^= low
    if (whole) {
      high = (bHigh << 31) | (bLow >>> 1)
      low = (bLow << 31) | (bHigh >>> 1)
      sum = (low + aLow) | 0
      low = multiply((high + aHigh + carry(low, aLow)) | 0, sum, 0, 5)
      bHigh = (upper + carry(low, 0x38495ab5)) | 0
      bLow = (low + 0x38495ab5) | 0
    }
  }
  aLow ^= length
  bLow ^= length
  // Each is added to the other, then mixed, then added again.
  for (let round = 0; round < 2; round++) {
    aHigh = (aHigh + bHigh + carry(aLow, bLow)) | 0
    aLow = (aLow + bLow) | 0
    bHigh = (bHigh + aHigh + carry(bLow, aLow)) | 0
    bLow = (bLow + aLow) | 0
    if (round > 0) break
    aLow = mixed(aHigh, aLow)
    aHigh = upper
    bLow = mixed(bHigh, bLow)
    bHigh = upper
  }
  return littleEndianHex(aLow) + littleEndianHex(aHigh) + littleEndianHex(bLow) + littleEndianHex(bHigh)
}

/** The upper half is in `upper`. */
function mixed(high: number, low: number): number {
  low = multiply(high, low ^ (high >>> 1), 0xff51afd7, 0xed558ccd)
  low = multiply(upper, low ^ (upper >>> 1), 0xc4ceb9fe, 0x1a85ec53)
  return low ^ (upper >>> 1)
}

function half(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)
}

function littleEndianHex(half: number): string {
  let text = ''
  for (let shift = 0; shift < 32; shift += 8) text += ((half >>> shift) & 0xff).toString(16).padStart(2, '0')
  return text
}

/** Behind the bytes there is room for a block of zeros. */
function utf8(text: string): { readonly bytes: Uint8Array; readonly length: number } {
  const bytes = new Uint8Array(text.length * 3 + 16)
  let length = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i) as number
    if (code < 0x80) {
      bytes[length++] = code
      continue
    }
    if (code < 0x800) {
      bytes[length++] = 0xc0 | (code >> 6)
    } else {
      if (code < 0x10000) {
        bytes[length++] = 0xe0 | (code >> 12)
      } else {
        // Two units of the text.
        i++
        bytes[length++] = 0xf0 | (code >> 18)
        bytes[length++] = 0x80 | ((code >> 12) & 63)
      }
      bytes[length++] = 0x80 | ((code >> 6) & 63)
    }
    bytes[length++] = 0x80 | (code & 63)
  }
  return { bytes, length }
}
