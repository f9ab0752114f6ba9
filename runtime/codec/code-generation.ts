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
