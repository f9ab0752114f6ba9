import { expect, test } from 'vitest'
import { ByteWriter } from './bytes.ts'

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
