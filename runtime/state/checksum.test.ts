import { expect, test } from 'vitest'
import { crc32 } from './checksum.ts'

test('crc32 has the check values of the standard, for every alignment and in parts', () => {
  const ascii = (text: string) => new TextEncoder().encode(text)
  expect(crc32(ascii('123456789'))).toBe(0xcbf43926)
  expect(crc32(new Uint8Array(0))).toBe(0)
  expect(crc32(ascii('The quick brown fox jumps over the lazy dog'))).toBe(0x414fa339)
  expect(crc32(new Uint8Array(32).fill(255))).toBe(0xff6cab0b)
  const bytes = new Uint8Array(100).map((_, i) => i * 7)
  for (let cut = 0; cut <= 100; cut++) expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(crc32(bytes))
})
