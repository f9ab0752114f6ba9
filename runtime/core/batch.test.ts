import { expect, test } from 'vitest'
import { BatchPool, createBatch } from './batch.ts'

function filled(batches: BatchPool, size: number, keyed = false) {
  const batch = batches.take(keyed)
  for (let i = 0; i < size; i++) batch.values[i] = { record: i }
  batch.size = size
  return batch
}

test.for([1, 511])('a batch of %i records that was given back is empty when it is taken again, and holds no record meanwhile', size => {
  const batches = new BatchPool(512)
  const batch = filled(batches, size)
  const { timestamps } = batch
  batches.give(batch)
  expect(batch.values.filter(value => value !== undefined)).toEqual([])
  const again = batches.take()
  expect([again.size, again.values.length, again.values.some(value => value !== undefined)]).toEqual([0, 512, false])
  expect(again.timestamps).toBe(timestamps)
})

test('a batch with hashes is not given to who has none to write, nor the other way round', () => {
  const batches = new BatchPool(4)
  batches.give(filled(batches, 2, true))
  expect(batches.take().keyHashes).toBe(undefined)
  expect(batches.take(true).keyHashes).toHaveLength(4)
})

test('batches of another size are not kept, nor more than there is use for', () => {
  const batches = new BatchPool(4)
  const other = createBatch(8)
  batches.give(other)
  expect(batches.take()).not.toBe(other)
  const taken = Array.from({ length: 100 }, () => batches.take())
  for (const batch of taken) batches.give(batch)
  const again = Array.from({ length: 100 }, () => batches.take())
  expect(again.filter(batch => taken.includes(batch))).toHaveLength(64)
})
