import { expect, test } from 'vitest'
import { LineCutter, OutputLimit } from './user-output.ts'

test('lines are whole, however they were written', () => {
  const cutter = new LineCutter()
  expect([...cutter.push('a'), ...cutter.push('b\nc\n\nd'), cutter.rest(), cutter.rest()]).toEqual(['ab', 'c', '', 'd', ''])
})

test('a line without end is cut, and nothing of it is lost', () => {
  const cutter = new LineCutter()
  const lines = [...cutter.push('x'.repeat(40_000)), ...cutter.push('y\nz')]
  expect(lines.map(line => line.length)).toEqual([16_384, 16_384, 7_233])
  expect(lines.join('')).toBe(`${'x'.repeat(40_000)}y`)
})

test('of a flood the first lines of each tenth of a second pass, and the rest is counted', () => {
  let now = 0
  const seen: string[] = []
  const limit = new OutputLimit((_stream, text) => seen.push(text), () => now)
  for (let i = 0; i < 1_000; i++) limit.line('stdout', `line ${i}`)
  expect([seen.length, seen.at(-1)]).toEqual([500, 'line 499'])
  now = 100
  limit.line('stdout', 'later')
  expect(seen.slice(500)).toEqual(['... 500 lines were left out: more than 500 in 100 ms', 'later'])
  for (let i = 0; i < 100; i++) limit.line('stderr', 'z'.repeat(10_000))
  limit.flush()
  expect([seen.length, seen.at(-1)]).toEqual([502 + 27 + 1, '... 73 lines were left out: more than 500 in 100 ms'])
})
