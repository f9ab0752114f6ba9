/** Plain objects as data: what their properties may hide on the way out, and setting them on the way in. */
import { unsupportedSignal } from './unsupported.ts'

export type PlainObject = Record<string, unknown>

const objectPrototype = Object.prototype

/** Everything about an object that reading its enumerable properties would not show. */
export function refuseHidden(value: object, keys: readonly string[]): void {
  // These two calls take a fifth of the time of `Reflect.ownKeys`.
  if (Object.getOwnPropertyNames(value).length !== keys.length || Object.getOwnPropertySymbols(value).length > 0) throw unsupportedSignal
  for (const key of keys) if (Object.getOwnPropertyDescriptor(value, key)?.get !== undefined) throw unsupportedSignal
}

/** Own data whatever the name is: assigning to `__proto__` would change the prototype, and what somebody put on it may refuse to be assigned to. */
export function define(into: PlainObject, name: string, value: unknown): void {
  if (name in objectPrototype) Object.defineProperty(into, name, { value, writable: true, enumerable: true, configurable: true })
  else into[name] = value
}
