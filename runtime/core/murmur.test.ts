import { expect, test } from 'vitest'
import { murmur128 } from './murmur.ts'
import { seededRandom } from './random.ts'

// Published vectors of MurmurHash3_x64_128 with seed 0 (as Guava prints them).
test.for([
  ['', '00000000000000000000000000000000'],
  ['hello', '029bbd41b3a7d8cb191dae486a901e5b'],
  ['The quick brown fox jumps over the lazy dog', '6c1b07bc7bbc4be347939ac4a93c437a'],
] as const)('murmur128(%j)', ([text, hash]) => {
  expect(murmur128(text)).toBe(hash)
})

test('equal to the same algorithm on BigInt, for texts of every length up to four blocks and of every kind of character', () => {
  const seed = 20261121
  const random = seededRandom(seed)
  const characters = ['a', 'Z', '~', '\0', 'é', '߿', 'ࠀ', '€', '\uffff', '😀', '\u{10ffff}']
  for (let run = 0; run < 2_000; run++) {
    const size = run % 65
    const text = Array.from({ length: size }, () => (random.chance(0.5) ? String.fromCharCode(random.int(128)) : random.pick(characters))).join('')
    expect(murmur128(text), `seed ${seed}, run ${run}: ${JSON.stringify(text)}`).toBe(murmur128OnBigInt(text))
  }
})

/** The oracle: slow, and as the algorithm is written down. */
function murmur128OnBigInt(text: string): string {
  const bytes = new TextEncoder().encode(text)
  const mask = 0xffffffffffffffffn
  const c1 = 0x87c37b91114253d5n
  const c2 = 0x4cf5ad432745937fn
  const rotl = (x: bigint, r: bigint) => ((x << r) | (x >> (64n - r))) & mask
  const fmix = (k: bigint) => {
    k = ((k ^ (k >> 33n)) * 0xff51afd7ed558ccdn) & mask
    k = ((k ^ (k >> 33n)) * 0xc4ceb9fe1a85ec53n) & mask
    return k ^ (k >> 33n)
  }
  const word = (at: number) => {
    let value = 0n
    for (let i = Math.min(at + 8, bytes.length) - 1; i >= at; i--) value = (value << 8n) | BigInt(bytes[i] as number)
    return value
  }
  const first = (at: number) => (rotl((word(at) * c1) & mask, 31n) * c2) & mask
  const second = (at: number) => (rotl((word(at) * c2) & mask, 33n) * c1) & mask
  let h1 = 0n
  let h2 = 0n
  let at = 0
  for (; at + 16 <= bytes.length; at += 16) {
    h1 = (((rotl(h1 ^ first(at), 27n) + h2) & mask) * 5n + 0x52dce729n) & mask
    h2 = (((rotl(h2 ^ second(at + 8), 31n) + h1) & mask) * 5n + 0x38495ab5n) & mask
  }
  h1 ^= first(at) ^ BigInt(bytes.length)
  h2 ^= second(at + 8) ^ BigInt(bytes.length)
  h1 = (h1 + h2) & mask
  h2 = (h2 + h1) & mask
  h1 = fmix(h1)
  h2 = fmix(h2)
  h1 = (h1 + h2) & mask
  h2 = (h2 + h1) & mask
  const littleEndian = (value: bigint) => (value.toString(16).padStart(16, '0').match(/../g) ?? []).reverse().join('')
  return littleEndian(h1) + littleEndian(h2)
}
