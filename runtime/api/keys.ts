/** From what the user gives to `keyBy` to the one form that the runtime reads. */
import type { KeySelector } from './functions.ts'
import { functionOption, textOption } from './refuse.ts'

export function keySelector(key: string | ((value: never) => unknown)): KeySelector {
  if (typeof key === 'string') {
    textOption(key, 'keyBy')
    // A field of a value whose type the compiler checked; what the key may be is checked when it is hashed.
    return Object.freeze({ description: key, field: key, select: (value: unknown) => (value as Record<string, unknown>)[key] })
  }
  functionOption(key, 'keyBy')
  // Below the API values are unknown: only the compiler knew their type.
  return Object.freeze({ description: shortText(key), select: key as (value: unknown) => unknown })
}

const longestDescription = 60

/** A function as one short line. */
function shortText(fn: (value: never) => unknown): string {
  const text = String(fn).replace(/\s+/g, ' ')
  return text.length <= longestDescription ? text : `${text.slice(0, longestDescription - 3)}...`
}
