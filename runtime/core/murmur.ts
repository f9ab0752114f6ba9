/**
 * murmur3_128 (x64) over UTF-8 text as 32 hex digits: how Flink turns a uid into an operator id
 * (`StreamGraphHasherV2`, Guava's `Hashing.murmur3_128(0)`). Also our hash of a job graph.
 */
const mask = 0xffffffffffffffffn
const rotl = (x: bigint, r: bigint) => ((x << r) | (x >> (64n - r))) & mask
const fmix = (k: bigint) => {
  k ^= k >> 33n
  k = (k * 0xff51afd7ed558ccdn) & mask
  k ^= k >> 33n
  k = (k * 0xc4ceb9fe1a85ec53n) & mask
  return k ^ (k >> 33n)
}
const c1 = 0x87c37b91114253d5n
const c2 = 0x4cf5ad432745937fn

export function murmur128(text: string): string {
  const bytes = utf8(text)
  const length = bytes.length
  let h1 = 0n
  let h2 = 0n
  const word = (at: number, end: number) => {
    let value = 0n
    for (let i = Math.min(at + 8, end) - 1; i >= at; i--) value = (value << 8n) | BigInt(bytes[i] as number)
    return value
  }
  const blocks = Math.floor(length / 16)
  for (let i = 0; i < blocks; i++) {
    const k1 = (rotl((word(i * 16, length) * c1) & mask, 31n) * c2) & mask
    const k2 = (rotl((word(i * 16 + 8, length) * c2) & mask, 33n) * c1) & mask
    h1 ^= k1
    h1 = (((rotl(h1, 27n) + h2) & mask) * 5n + 0x52dce729n) & mask
    h2 ^= k2
    h2 = (((rotl(h2, 31n) + h1) & mask) * 5n + 0x38495ab5n) & mask
  }
  const tail = blocks * 16
  if (length - tail > 8) h2 ^= (rotl((word(tail + 8, length) * c2) & mask, 33n) * c1) & mask
  if (length > tail) h1 ^= (rotl((word(tail, Math.min(length, tail + 8)) * c1) & mask, 31n) * c2) & mask
  h1 ^= BigInt(length)
  h2 ^= BigInt(length)
  h1 = (h1 + h2) & mask
  h2 = (h2 + h1) & mask
  h1 = fmix(h1)
  h2 = fmix(h2)
  h1 = (h1 + h2) & mask
  h2 = (h2 + h1) & mask
  return littleEndianHex(h1) + littleEndianHex(h2)
}

function littleEndianHex(value: bigint): string {
  let text = ''
  for (let i = 0; i < 8; i++) {
    text += Number(value & 0xffn).toString(16).padStart(2, '0')
    value >>= 8n
  }
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
