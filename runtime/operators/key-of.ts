import type { KeySelector } from '../api/functions.ts'
import { canGenerate } from '../codec/code-generation.ts'

/**
 * The key of a record. 0 and -0 are one key, and that is 0, whichever came first. A key that is one field is read by a
 * function of its own: in a job with several keys the one that all share would look each name up anew.
 */
export function keyOf(selector: KeySelector): (value: unknown) => unknown {
  const { field } = selector
  if (field !== undefined && canGenerate) {
    // oxlint-disable-next-line no-implied-eval -- the only text that comes from outside is the name, as JSON.stringify writes it
    return new Function(`'use strict'; return function keyOf(value) { const key = value[${JSON.stringify(field)}]; return typeof key === 'number' && key === 0 ? 0 : key }`)() as (value: unknown) => unknown
  }
  return value => {
    const key = selector.select(value)
    return typeof key === 'number' && key === 0 ? 0 : key
  }
}
