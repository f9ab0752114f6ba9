import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { createBatch } from '../core/batch.ts'
import { ByteWriter } from './bytes.ts'
import { ColumnarDecoder, ColumnarEncoder } from './columnar.ts'
import { ColumnSetOut } from './columns-out.ts'
import type { Shape } from './shape.ts'
import { decodeEntries, encodeEntries } from './value-codec.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Of array buffers that are still in use. */
function heldBytes(): number {
  collect()
  collect()
  return process.memoryUsage().arrayBuffers
}

const items = (count: number) => Array.from({ length: count }, (_, i) => ({ a: i, b: i + 0.5, c: -i, d: i / 7, e: i % 2 === 0 ? null : i, f: 0.25 * i, g: 1 }))
const few = items(3)
/** Seven columns of so many are some 20 MB. */
const many = items(400_000)
const bound = 8 * 1024 * 1024

test('a page of a few long lists leaves no buffers as long as they are', () => {
  const page = (lists: unknown[]) => decodeEntries(encodeEntries(lists.map((_, i) => i), lists))
  const before = heldBytes()
  for (const name of ['x', 'y', 'z']) {
    for (const list of [few, many]) page([{ [name]: list }, { [name]: list }])
  }
  // The buffer that pages are written in is one for all, and goes by the last of them.
  page([1, 2])
  expect(heldBytes() - before).toBeLessThan(bound)
})

test('a batch of long lists leaves none in its channel', () => {
  const batchOf = (list: unknown) => ({ ...createBatch(2), size: 2, values: [{ list }, { list }] })
  const channels = Array.from({ length: 4 }, (_, i) => ({ encoder: new ColumnarEncoder(i), decoder: new ColumnarDecoder() }))
  const before = heldBytes()
  for (const { encoder, decoder } of channels) {
    for (const list of [few, many.slice(0, 200_000), few]) for (const frame of encoder.encode(batchOf(list))) decoder.decode(frame)
  }
  expect(heldBytes() - before).toBeLessThan(bound)
})

test('columns keep no item alive once it is written or does not fit', () => {
  const numbers: Shape = { layout: 'object', columns: [{ name: 'a', kind: 'i32', absent: 0 }] }
  const list = (name: string) => ({ name, kind: 'list', absent: 0, items: numbers }) as const
  const columns = new ColumnSetOut({ layout: 'object', columns: [list('first'), list('second')] }, true)
  const hole: unknown[] = []
  hole[1] = 1
  const attempts: readonly ((first: unknown) => unknown)[] = [
    first => columns.fill([{ first, second: [{ a: 1 }] }], 1) && columns.write(new ByteWriter(), 1),
    first => columns.fill([{ first, second: 'no list' }], 1),
    first => columns.fill([{ first: [{ a: 'no number' }], second: first }], 1),
    first => columns.fill([{ first, second: hole }], 1),
  ]
  const left = attempts.map(attempt => {
    const item = { a: 1 }
    try {
      attempt([item])
    } catch {
      // Refused: of no interest here.
    }
    return new WeakRef(item)
  })
  // What a WeakRef refers to lives until its turn of the event loop is over.
  return new Promise<void>(resolve => setImmediate(resolve)).then(() => {
    collect()
    expect(left.map(each => each.deref())).toEqual(attempts.map(() => undefined))
  })
})
