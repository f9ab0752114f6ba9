import { expect, test } from 'vitest'
import { ByteReader, ByteWriter } from './bytes.ts'

test('the buffer of large documents stays while they come, and goes after the first small one', () => {
  const out = new ByteWriter()
  const write = (bytes: number) => {
    out.reset()
    out.raw(new Uint8Array(bytes))
    out.take()
    return out.bytes
  }
  const large = write(3_000_000)
  expect(large.length).toBeGreaterThanOrEqual(3_000_000)
  expect(write(2_000_000)).toBe(large)
  expect(write(10).length).toBeLessThan(2000)
})

test.each(['', 'x', 'é', '€', '😀', '\ud83d', '\udc00'])('text of any length that ends in %j is read as it was written', last => {
  for (let length = 0; length < 140; length++) {
    const text = 'a'.repeat(length) + last
    const out = new ByteWriter(8)
    out.string(text)
    const ascii = out.ascii(7, text)
    const bytes = out.take()
    const input = new ByteReader(bytes)
    expect(input.string()).toBe(text)
    expect(ascii).toBe(last === '' || last === 'x')
    // Where it says no, nothing is written.
    expect([...bytes.subarray(input.position)]).toEqual(ascii ? [7, ...Array.from(text, each => each.charCodeAt(0))] : [])
  }
})
