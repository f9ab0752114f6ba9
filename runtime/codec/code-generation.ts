/** Whether this process may make functions from text. Generated text contains nothing from data but names, as `JSON.stringify` writes them. */
export const canGenerate: boolean = (() => {
  try {
    return new Function('return true')() as boolean
  } catch {
    return false
  }
})()

/** `name: value` in an object literal; in brackets, `__proto__` is a name like any other. */
export const propertyText = (name: string, value: string): string => `${name === '__proto__' ? '["__proto__"]' : JSON.stringify(name)}: ${value}`

/**
 * An expression that is true if the object `r` is not a plain one; it may refer to `prototypeOf` and `objectPrototype`. Reading
 * `__proto__` costs 1 ns where `Object.getPrototypeOf` costs 14, but a field of that name hides it, and Node can switch it off.
 */
export const notPlainText = (names: readonly string[]): string =>
  hasProto && !names.includes('__proto__') ? 'r.__proto__ !== objectPrototype' : 'prototypeOf(r) !== objectPrototype'

/** The same of a list; the expression may refer to `prototypeOf` and `arrayPrototype`. */
export const notListText = (list: string): string => `!Array.isArray(${list}) || ${hasProto ? `${list}.__proto__` : `prototypeOf(${list})`} !== arrayPrototype`

const hasProto = (() => {
  try {
    return ({} as { __proto__?: unknown }).__proto__ === Object.prototype
  } catch {
    return false
  }
})()
