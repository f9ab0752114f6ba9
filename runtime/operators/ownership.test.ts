import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { createOwner, own } from './ownership.ts'

test('what state takes is equal and shares nothing', () => {
  const value = { n: 1, text: 'a text that is long enough', list: [{ x: 1 }], when: new Date(5), map: new Map([['k', { y: 2 }]]), nothing: undefined }
  const owner = createOwner()
  for (const held of [undefined, { n: 0, text: 'another text, also long' }]) {
    const copy = owner(value, held) as typeof value
    expect(copy).toEqual(value)
    expect(copy).not.toBe(value)
    expect(copy.list[0]).not.toBe(value.list[0])
    expect(copy.map.get('k')).not.toBe(value.map.get('k'))
    expect(copy.when).not.toBe(value.when)
  }
})

test('primitives are themselves', () => {
  const owner = createOwner()
  for (const value of [0, -0, NaN, 5n, true, null, undefined, 'short', 'a text that is long enough']) {
    expect(owner(value, undefined)).toBe(value)
    expect(own(value)).toBe(value)
  }
})

test('text that state keeps does not keep its batch alive: 300 pieces of 100 KiB texts take less than 2 MiB', () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const kept: unknown[] = []
  const megabytesKept = (keep: (slice: string) => unknown) => {
    kept.length = 0
    collectGarbage()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 300; i++) {
      const batch = `${i} ${'x'.repeat(50)} ${'some more text '.repeat(7_000)}`
      batch.charCodeAt(0) // Makes one piece of text of it, as a decoded batch is.
      kept.push(keep(batch.slice(20, 50)))
    }
    collectGarbage()
    return (process.memoryUsage().heapUsed - before) / 2 ** 20
  }
  const owner = createOwner()
  const held = owner({ text: 'what state held before that' }, undefined)
  expect(megabytesKept(slice => ({ text: slice }))).toBeGreaterThan(20)
  expect(megabytesKept(slice => owner({ text: slice }, undefined))).toBeLessThan(2)
  expect(megabytesKept(slice => owner({ text: slice }, held))).toBeLessThan(2)
  expect(megabytesKept(slice => own(slice))).toBeLessThan(2)
})
