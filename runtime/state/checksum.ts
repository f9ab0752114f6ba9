/**
 * CRC-32 as zlib, PNG and Ethernet have it (polynomial 0xedb88320): guards pages on disk and blocks of snapshots. Node's own takes
 * two fifths of the time of one in JavaScript, which was a third of what a slot did to come back from a checkpoint.
 * `crc32(b, crc32(a))` is that of both.
 */
import type * as Zlib from 'node:zlib'

let zlib: typeof Zlib | undefined

/** Loaded when there is something to guard, which is not when a slot starts. */
export function crc32(bytes: Uint8Array, before?: number): number {
  zlib ??= process.getBuiltinModule('node:zlib')
  return zlib.crc32(bytes, before)
}
