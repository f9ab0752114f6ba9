/** Stack text of V8 as it comes: plain, with source maps, from modules loaded by URL. */
import { expect, test } from 'vitest'
import { firstUserFrame, parseStack, userPosition } from './position.ts'

const rows: [frame: string, position: string | undefined][] = [
  ['    at define (file:///home/me/shop/src/job.ts:12:5)', '/home/me/shop/src/job.ts 12:5'],
  ['    at file:///home/me/shop/job.ts:3:7', '/home/me/shop/job.ts 3:7'],
  ['    at /home/me/shop/job.ts:3:7', '/home/me/shop/job.ts 3:7'],
  ['    at Object.<anonymous> (/home/me/shop/job.js:1:2)', '/home/me/shop/job.js 1:2'],
  ['    at new Orders (/home/me/shop/job.ts:8:1)', '/home/me/shop/job.ts 8:1'],
  ['    at Orders.read [as process] (/home/me/shop/job.ts:8:1)', '/home/me/shop/job.ts 8:1'],
  ['    at async load (file:///home/me/my%20shop/job.ts:8:1)', '/home/me/my shop/job.ts 8:1'],
  ['    at define (file:///tmp/bundle.mjs?slot=3:40:9)', '/tmp/bundle.mjs 40:9'],
  ['    at define (/home/me/shop (old)/job.ts:4:2)', '/home/me/shop (old)/job.ts 4:2'],
  ['    at define (file:///C:/shop/job.ts:4:2)', 'C:/shop/job.ts 4:2'],
  ['    at Array.map (<anonymous>)', undefined],
  ['    at node:internal/modules/esm/loader:545:36', undefined],
  ['    at ModuleJob.run (node:internal/modules/esm/module_job:345:25)', undefined],
  ['Error: at /not/a/frame.ts:1:1', undefined],
]
test.each(rows)('%s', (frame, position) => {
  const [found] = parseStack(`Error: message\n${frame}`)
  expect(found && `${found.file} ${found.line}:${found.column}`).toBe(position)
})

test('frames of the package are passed over, tests beside its sources are not', () => {
  const stack = ['Error', '    at add (/pkg/runtime/api/builder.ts:1:1)', '    at map (/pkg/runtime/api/streams.ts:2:2)', '    at define (/shop/job.ts:9:3)'].join('\n')
  expect(firstUserFrame(stack, '/pkg/runtime/')).toEqual({ file: '/shop/job.ts', line: 9, column: 3 })
  expect(firstUserFrame('Error\n    at x (/pkg/runtime/api/job.test.ts:5:1)', '/pkg/runtime/')?.line).toBe(5)
  expect(firstUserFrame(undefined, '/pkg/runtime/')).toBeUndefined()
})

test('this very line', () => {
  const here = new Error().stack
  expect(userPosition()).toMatchObject({ file: parseStack(here)[0]?.file, line: parseStack(here)[0]!.line + 1 })
})
