import fc from 'fast-check'
import { expect, test } from 'vitest'
import { eventFromJson, eventToJson, fromJson, toJson } from './event-json.ts'

test('what JSON knows stands as it is', () => {
  expect(toJson({ a: [1, 'x', null, true], b: { c: 1.5 } })).toEqual({ a: [1, 'x', null, true], b: { c: 1.5 } })
})

test('any plain data comes back equal', () => {
  const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true, withSparseArray: false, withNullPrototype: false, withUnicodeString: true })
  const comesBack = fc.property(anything, value => {
    expect(fromJson(JSON.parse(JSON.stringify(toJson(value))))).toEqual(value)
  })
  fc.assert(comesBack, { numRuns: 500 })
})

test.each([[{ $: 'number', value: 'x' }], [{ $: undefined }], [{ $: { $: 1 } }], [{ nested: [{ $: 'date' }] }], [-0], [NaN], ['\ud800'], [new Date(NaN)], [{ __proto__x: 1, ['__proto__']: 2 }]])('%j', value => {
  expect(fromJson(JSON.parse(JSON.stringify(toJson(value))))).toEqual(value)
})

test('an event is one line', () => {
  const event = { sequence: 1, at: 2, kind: 'output', jobId: undefined, stream: 'stdout', text: 'a\nb\u2028' } as const
  expect(eventToJson(event)).not.toContain('\n')
  expect(eventFromJson(eventToJson(event))).toEqual(event)
})
