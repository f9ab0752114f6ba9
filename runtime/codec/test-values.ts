/** Values for the tests of this room: odd ones by name, random ones from fast-check, and equality that tells all of them apart. */
import fc from 'fast-check'
import { nodeBuffer } from './text.ts'

/** Equal as the codec promises: `Object.is` for primitives, order of fields, presence, prototypes and classes included. */
export function differs(a: unknown, b: unknown, path = 'value'): string | undefined {
  if (Object.is(a, b)) return undefined
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return `${path}: ${String(a)} became ${String(b)}`
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path}: another prototype`
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime()) ? undefined : `${path}: another date`
  if (a instanceof ArrayBuffer) return differs([...new Uint8Array(a)], [...new Uint8Array(b as ArrayBuffer)], path)
  if (ArrayBuffer.isView(a)) return differs([...(a as Uint8Array)], [...(b as Uint8Array)], path)
  if (a instanceof Map) return differs([...a], [...(b as Map<unknown, unknown>)], `${path}.entries`)
  if (a instanceof Set) return differs([...a], [...(b as Set<unknown>)], `${path}.values`)
  const names = Reflect.ownKeys(a)
  const others = Reflect.ownKeys(b)
  if (names.length !== others.length || names.some((name, i) => name !== others[i])) return `${path}: fields ${names.map(String).join()} became ${others.map(String).join()}`
  for (const name of names) {
    const found = differs((a as Record<PropertyKey, unknown>)[name], (b as Record<PropertyKey, unknown>)[name], `${path}.${String(name)}`)
    if (found !== undefined) return found
  }
  return undefined
}

export class Money {
  readonly cents = 100
}

const nullPrototype: unknown = Object.assign(Object.create(null), { a: 1 })

/** Each must arrive equal. */
export const oddValues: readonly (readonly [name: string, value: unknown])[] = [
  ['null', null], ['undefined', undefined], ['true', true], ['NaN', NaN], ['-0', -0], ['0', 0], ['Infinity', Infinity], ['-Infinity', -Infinity],
  ['the largest i32', 2147483647], ['the smallest i32', -2147483648], ['beyond i32', 2147483648], ['beyond 53 bits', 2 ** 60], ['a tiny number', 5e-324],
  ['bigint 0', 0n], ['a bigint of 64 bits', -(2n ** 63n)], ['a bigint of 4,000 bits', 3n ** 2500n], ['a negative huge bigint', -(7n ** 1000n)],
  ['a date', new Date(1700000000123)], ['the invalid date', new Date(NaN)], ['a date before 1970', new Date(-1)],
  ['empty text', ''], ['text', 'plain'], ['long text', 'x'.repeat(70_000)], ['umlauts', 'Grüße aus Köln'], ['emoji', '👩‍👩‍👧 ok'], ['a lone high surrogate', 'a\ud800b'],
  ['a lone low surrogate', '\udc00'], ['NUL', 'a\0b'],
  ['an empty array', []], ['nested arrays', [[1, [2, [3]]], 'x']], ['an array with undefined', [undefined, null]], ['an array with -0', [-0, 0, NaN]],
  ['an empty object', {}], ['missing and undefined', { a: undefined }], ['integer-like names', { b: 1, 2: 'two', 1: 'one' }], ['an empty name', { '': 1 }],
  ['own __proto__', JSON.parse('{"__proto__": {"polluted": true}, "a": 1}')], ['constructor and toString as data', { constructor: 1, toString: 'x', hasOwnProperty: null, valueOf: [] }],
  ['names with quotes and line ends', { "a'\"`\\\n\u2028": 1, 'b c': 2 }], ['a lone surrogate as a name', { '\ud800': 1 }], ['no prototype', nullPrototype],
  ['a Map', new Map<unknown, unknown>([['a', 1], [{ k: 1 }, [2]], [NaN, new Map()]])], ['a Set', new Set([1, 'a', null, undefined, -1])], ['an object in a Map', new Map([[1, { a: new Set([1]) }]])],
  ['Uint8Array', new Uint8Array([1, 2, 255])], ['a view in the middle', new Uint8Array([1, 2, 3, 4]).subarray(1, 3)], ['Float64Array', new Float64Array([NaN, -0, 1.5])], ['Int16Array', new Int16Array([-1])],
  ['BigUint64Array', new BigUint64Array([2n ** 64n - 1n])], ['ArrayBuffer', new Uint8Array([9, 8]).buffer], ['Buffer', nodeBuffer?.from(new Uint8Array([97, 0, 255]).buffer, 1, 2)], ['an empty typed array', new Float32Array(0)],
  ['150 fields', Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`f${i}`, i]))],
]

const cyclic: { name: string; self?: unknown } = { name: 'c' }
cyclic.self = [cyclic]
let deep: unknown = 1
for (let i = 0; i < 2000; i++) deep = [deep]

/** Each must be refused; `at` is the path below the record, `thing` what the message says. */
export const refusedValues: readonly (readonly [name: string, value: unknown, at: string, thing: string])[] = [
  ['a function', { a: { b: [1, 2, 3, () => 1] } }, '.a.b[3]', 'a function'],
  ['a function as the record', () => 1, '', 'a function'],
  ['a class', { a: Money }, '.a', 'a class'],
  ['a symbol', { a: Symbol('s') }, '.a', 'a symbol'],
  ['a class instance', { price: new Money() }, '.price', 'an instance of class Money'],
  ['a class instance as the record', new Money(), '', 'an instance of class Money'],
  ['an Error', [new TypeError('x')], '[0]', 'an instance of class TypeError'],
  ['a RegExp', { r: /x/ }, '.r', 'an instance of class RegExp'],
  ['a boxed number', { n: Object(1) as unknown }, '.n', 'an instance of class Number'],
  ['a WeakMap', { n: new WeakMap() }, '.n', 'an instance of class WeakMap'],
  ['a promise', { p: Promise.resolve(1) }, '.p', 'a promise'],
  ['a cycle', cyclic, '.self[0]', 'a cycle'],
  ['an accessor', { get x() { return 1 } }, '.x', 'an accessor'],
  ['a nested accessor', { a: [{ get x() { return 1 } }] }, '.a[0].x', 'an accessor'],
  ['a symbol as a name', { a: { [Symbol('s')]: 1 } }, '.a[Symbol(s)]', 'a property with a symbol'],
  ['a hidden property', Object.defineProperty({ a: 1 }, 'h', { value: 1 }), '.h', 'a property that is not enumerable'],
  // oxlint-disable-next-line no-sparse-arrays -- the hole is the point
  ['a hole', { a: [1, , 3] }, '.a[1]', 'a hole'],
  ['what match returns', { m: 'abc'.match(/b/) }, '.m.index', 'a property beside the items'],
  ['a function in a Map', new Map([['k', () => 1]]), '.entries[0][1]', 'a function'],
  ['a symbol in a Set', new Set([1, Symbol('x')]), '.values[1]', 'a symbol'],
  ['a name that is no identifier', { 'a b': { '1': () => 1 } }, '["a b"]["1"]', 'a function'],
  ['nested too deep', { deep }, `.deep${'[0]'.repeat(255)}`, 'something nested deeper than 256 levels'],
]

/** Random supported values of every kind. */
export const anyValue: fc.Arbitrary<unknown> = fc.letrec(tie => ({
  leaf: fc.oneof(
    fc.constantFrom(null, undefined, true, false, -0, 0, NaN, Infinity, -Infinity),
    fc.integer(),
    fc.double(),
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('\ud800', '\udc00', 'a', 'ü', '\u0001') }),
    fc.bigInt(),
    fc.date({ noInvalidDate: false }),
    fc.uint8Array({ maxLength: 8 }),
    fc.float64Array({ maxLength: 4 }),
    fc.bigUint64Array({ maxLength: 2 }),
  ),
  name: fc.oneof(fc.constantFrom('__proto__', 'constructor', 'toString', 'a', 'b', 'c', 'd', '0', '7', ''), fc.string({ maxLength: 5 })),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(tie('name') as fc.Arbitrary<string>, tie('value')), { maxLength: 5 }).map(ownFields),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map(entries => new Map(entries)),
    fc.array(tie('value'), { maxLength: 3 }).map(items => new Set(items)),
  ),
})).value

export function ownFields(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (const [name, value] of entries) Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
  return object
}
