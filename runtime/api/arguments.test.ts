import { expect, test } from 'vitest'
import { parseJobArguments } from './arguments.ts'

const rows: [argv: string[], args: Record<string, string>][] = [
  [[], {}],
  [['--input', 'a.csv'], { input: 'a.csv' }],
  [['--input=a=b.csv'], { input: 'a=b.csv' }],
  [['--empty='], { empty: '' }],
  [['--verbose', '--limit', '-5'], { verbose: 'true', limit: '-5' }],
  [['--limit=--5', '--dry-run'], { limit: '--5', 'dry-run': 'true' }],
  [['--a', '1', '--a', '2'], { a: '2' }],
]
test.each(rows)('%j', (argv, args) => {
  expect(parseJobArguments(argv)).toEqual(args)
})

test('a key named like a part of every object is a key like any other', () => {
  const args = parseJobArguments(['--__proto__', 'x'])
  expect(Object.keys(args)).toEqual(['__proto__'])
  expect(Object.getPrototypeOf(args)).toBe(Object.prototype)
})

test.each([['input.csv'], ['-i'], ['--'], ['--=5'], ['---x']])('%s is refused', word => {
  expect(() => parseJobArguments([word])).toThrow(`${JSON.stringify(word)} is not an argument of a job`)
})
