import type { KeySelector } from '../api/functions.ts'

/** The key of a record. 0 and -0 are one key, and that is 0, whichever came first. */
export function keyOf(selector: KeySelector): (value: unknown) => unknown {
  return value => {
    const key = selector.select(value)
    return key === 0 ? 0 : key
  }
}
