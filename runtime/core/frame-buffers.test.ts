import { expect, test } from 'vitest'
import { FrameBuffers } from './frame-buffers.ts'

test('a frame that was given back is the memory of another', () => {
  const buffers = new FrameBuffers()
  const first = buffers.take(30_000)
  const second = buffers.take(40_000)
  expect([first.length, second.length]).toEqual([30_000, 40_000])
  expect(second.buffer).not.toBe(first.buffer)
  buffers.give(first)
  const third = buffers.take(131_072)
  expect(third.buffer).toBe(first.buffer)
  expect(third.length).toBe(131_072)
})

test.each([[1], [2_047], [163_837], [1_000_000]])('one of %i bytes has its own, and is not kept', bytes => {
  const buffers = new FrameBuffers()
  const frame = buffers.take(bytes)
  expect(frame.buffer.byteLength).toBe(bytes)
  buffers.give(frame)
  expect(buffers.take(bytes).buffer).not.toBe(frame.buffer)
})

test('what was never taken is not kept, nor a part of something larger, nor more than 64', () => {
  const buffers = new FrameBuffers()
  buffers.give(new Uint8Array(10_000))
  const large = new ArrayBuffer(163_840)
  buffers.give(new Uint8Array(large, 8, 100))
  expect(buffers.take(10_000).buffer).not.toBe(large)
  const frames = Array.from({ length: 100 }, () => buffers.take(10_000))
  for (const frame of frames) buffers.give(frame)
  const again = new Set(Array.from({ length: 100 }, () => buffers.take(10_000).buffer))
  expect(frames.filter(({ buffer }) => again.has(buffer)).length).toBe(64)
})

test('there is room for a length in front of a frame that was taken, and of no other', () => {
  const buffers = new FrameBuffers()
  const frame = buffers.take(5_000).fill(7)
  const whole = buffers.withRoom(frame) as Uint8Array
  new DataView(whole.buffer).setUint32(whole.byteOffset, 5_000, true)
  expect([whole.length, ...whole.subarray(0, 6)]).toEqual([5_004, 0x88, 0x13, 0, 0, 7, 7])
  expect(frame.every(byte => byte === 7)).toBe(true)
  expect([buffers.withRoom(buffers.take(100)), buffers.withRoom(frame.subarray(1))]).toEqual([undefined, undefined])
})

test('poisoned, a frame that was given back holds nothing that can be read', () => {
  const buffers = new FrameBuffers({ poison: true })
  const frame = buffers.take(5_000).fill(1)
  buffers.give(frame)
  expect(frame.every(byte => byte === 0xdb)).toBe(true)
})
