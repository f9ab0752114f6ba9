/** CRC-32 as zlib, PNG and Ethernet have it (polynomial 0xedb88320), eight bytes a step: guards every block of a snapshot. */

/** Eight tables of 256, one behind the other. Signed: 32-bit integers stay integers in the loop. Made when first used: it would take 3 ms of every start. */
let table: Int32Array | undefined

function makeTable(): Int32Array {
  const made = new Int32Array(8 * 256)
  for (let i = 0; i < 256; i++) {
    let value = i
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
    made[i] = value
  }
  for (let i = 256; i < made.length; i++) {
    const before = made[i - 256] as number
    made[i] = (before >>> 8) ^ (made[before & 0xff] as number)
  }
  return made
}

/** `previous` continues the checksum of bytes that came before: `crc32(b, crc32(a))` is that of both. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  // Indexes are within the table and the bytes by construction: `!` instead of checks.
  const t = (table ??= makeTable())
  let crc = ~previous
  let i = 0
  while (i < bytes.length && ((bytes.byteOffset + i) & 3) !== 0) crc = (crc >>> 8) ^ t[(crc ^ bytes[i++]!) & 0xff]!
  // Whole words, where they are aligned: two loads for eight bytes (the machine is little-endian, `bytes.ts`).
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + i, (bytes.length - i) >>> 2)
  let w = 0
  for (const end = words.length - 1; w < end; w += 2) {
    const low = crc ^ words[w]!
    const high = words[w + 1]!
    crc =
      t[1792 + (low & 0xff)]! ^ t[1536 + ((low >>> 8) & 0xff)]! ^ t[1280 + ((low >>> 16) & 0xff)]! ^ t[1024 + (low >>> 24)]! ^
      t[768 + (high & 0xff)]! ^ t[512 + ((high >>> 8) & 0xff)]! ^ t[256 + ((high >>> 16) & 0xff)]! ^ t[high >>> 24]!
  }
  for (i += w * 4; i < bytes.length; i++) crc = (crc >>> 8) ^ t[(crc ^ bytes[i]!) & 0xff]!
  return ~crc >>> 0
}
