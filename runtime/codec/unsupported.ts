/**
 * Says which part of a value cannot be sent or kept, and why. The encoders find only that something is wrong, as fast as
 * they can; this walk is slow and strict, and runs when the job is going to fail anyway.
 */
import { FlinkError } from '../core/errors.ts'
import { assert } from '../core/assert.ts'
import { isBufferPrototype, maxValueDepth, typedArrayIndex } from './kinds.ts'

/** Thrown inside encoders on their fast path; never leaves this room: the outermost call turns it into a `FlinkError`. */
export class UnsupportedSignal extends Error {
  override readonly name = 'UnsupportedSignal'
}
/** One for all: it is caught where the value is known, and its own stack says nothing. */
export const unsupportedSignal = new UnsupportedSignal('a value that is not plain data')

/** Where in a value, as the user would write it, and what is there. */
export interface Unsupported {
  readonly path: string
  /** For example `a function` or `an instance of class Money`. */
  readonly thing: string
}

/** The error for `value`, of which an encoder found a part unsupported. `what` is the root of the path, for example `record`. */
export function unsupportedValue(value: unknown, what: string): FlinkError {
  const found = findUnsupported(value, what)
  assert(found !== undefined, `an encoder refused a value of ${what} in which nothing is wrong`)
  return new FlinkError('UNSUPPORTED_VALUE', `${what}: ${found.thing} cannot be sent or kept`, { detail: `Found at ${found.path}.` })
}

/** The error for the first of these records that cannot travel. */
export function refuseFirst(values: readonly unknown[], size: number, what = 'record'): FlinkError {
  let i = 0
  while (i < size - 1 && findUnsupported(values[i], what) === undefined) i++
  return unsupportedValue(values[i], what)
}

/** The first part of `value` that does not survive, or undefined if all of it does. */
function findUnsupported(value: unknown, path: string, ancestors: readonly object[] = []): Unsupported | undefined {
  switch (typeof value) {
    case 'function':
      return { path, thing: /^class\b/.test(Function.prototype.toString.call(value)) ? 'a class' : 'a function' }
    case 'symbol':
      return { path, thing: 'a symbol' }
    case 'object':
      return value === null ? undefined : inObject(value, path, ancestors)
    default:
      return undefined
  }
}

function inObject(value: object, path: string, ancestors: readonly object[]): Unsupported | undefined {
  if (ancestors.includes(value)) return { path, thing: 'a cycle (an object that contains itself)' }
  if (ancestors.length >= maxValueDepth) return { path, thing: `something nested deeper than ${maxValueDepth} levels` }
  const inner = [...ancestors, value]
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value) && prototype === Array.prototype) return inArray(value, path, inner)
  if (prototype === Object.prototype || prototype === null) return inProperties(value, path, inner)
  if (prototype === Map.prototype && value instanceof Map) {
    let index = 0
    for (const [key, item] of value as Map<unknown, unknown>) {
      const at = `${path}.entries[${index++}]`
      const found = findUnsupported(key, `${at}[0]`, inner) ?? findUnsupported(item, `${at}[1]`, inner)
      if (found !== undefined) return found
    }
    return extras(value, path)
  }
  if (prototype === Set.prototype && value instanceof Set) {
    let index = 0
    for (const item of value) {
      const found = findUnsupported(item, `${path}.values[${index++}]`, inner)
      if (found !== undefined) return found
    }
    return extras(value, path)
  }
  if (prototype === Date.prototype && value instanceof Date) return extras(value, path)
  if (ArrayBuffer.isView(value) && (typedArrayIndex(prototype) >= 0 || isBufferPrototype(prototype))) return undefined
  if (prototype === ArrayBuffer.prototype && value instanceof ArrayBuffer) {
    return value.resizable ? { path, thing: 'a resizable ArrayBuffer' } : value.detached ? { path, thing: 'a detached ArrayBuffer' } : extras(value, path)
  }
  if (value instanceof Promise) return { path, thing: 'a promise' }
  return { path, thing: className(value) }
}

function className(value: object): string {
  const make: unknown = (value as { constructor?: unknown }).constructor
  const name = typeof make === 'function' && make.name !== '' ? make.name : 'without a name'
  return `an instance of class ${name}`
}

function inArray(value: readonly unknown[], path: string, inner: readonly object[]): Unsupported | undefined {
  for (let i = 0; i < value.length; i++) {
    const descriptor = Object.getOwnPropertyDescriptor(value, i)
    if (descriptor === undefined) return { path: `${path}[${i}]`, thing: 'a hole in an array' }
    if (descriptor.get !== undefined || descriptor.set !== undefined) return { path: `${path}[${i}]`, thing: 'an accessor' }
    const found = findUnsupported(value[i], `${path}[${i}]`, inner)
    if (found !== undefined) return found
  }
  return extras(value, path, value.length + 1)
}

/** Own properties on something that is not made of properties, beyond the `expected` ones. */
function extras(value: object, path: string, expected = 0): Unsupported | undefined {
  const keys = Reflect.ownKeys(value)
  if (keys.length <= expected) return undefined
  const key = keys.find(k => k !== 'length' && !(typeof k === 'string' && /^\d+$/.test(k)))
  if (key === undefined) return undefined
  return { path: member(path, key), thing: Array.isArray(value) ? 'a property beside the items of an array' : 'a property added to a built-in object' }
}

function inProperties(value: object, path: string, inner: readonly object[]): Unsupported | undefined {
  for (const key of Reflect.ownKeys(value)) {
    const at = member(path, key)
    if (typeof key === 'symbol') return { path: at, thing: 'a property with a symbol as its name' }
    const descriptor = Object.getOwnPropertyDescriptor(value, key)
    if (descriptor?.get !== undefined || descriptor?.set !== undefined) return { path: at, thing: 'an accessor (get or set)' }
    if (descriptor?.enumerable === false) return { path: at, thing: 'a property that is not enumerable' }
    const found = findUnsupported(descriptor?.value, at, inner)
    if (found !== undefined) return found
  }
  return undefined
}

function member(path: string, key: string | symbol): string {
  if (typeof key === 'symbol') return `${path}[${String(key)}]`
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`
}
