/** Adds a field of a record to the same field of another, in place. */
import { canGenerate } from '../codec/code-generation.ts'

/** False, and nothing is changed, if `into` is not a plain object. The fields hold numbers or bigints, as the type of `sum` says. */
export type AddField = (into: unknown, value: unknown) => boolean

/** A function for this one field, so that each has type feedback of its own. Undefined for a name that cannot be assigned to. */
export function fieldAdder(field: string): AddField | undefined {
  if (field === '__proto__') return undefined
  if (!canGenerate) return closureAdder(field)
  const name = JSON.stringify(field)
  // Reading `__proto__` costs 1 ns where `Object.getPrototypeOf` costs 14; an own field of that name is no plain object here.
  // oxlint-disable-next-line no-implied-eval -- the only text that comes from outside is the name, as JSON.stringify writes it
  const make = new Function(
    'objectPrototype',
    `'use strict'
return function addField(into, value) {
if (typeof into !== 'object' || into === null || into.__proto__ !== objectPrototype) return false
into[${name}] = into[${name}] + value[${name}]
return true
}`,
  ) as (objectPrototype: object) => AddField
  return make(Object.prototype)
}

function closureAdder(field: string): AddField {
  return (into, value) => {
    if (typeof into !== 'object' || into === null || Object.getPrototypeOf(into) !== Object.prototype) return false
    const record = into as Record<string, number>
    record[field] = (record[field] as number) + ((value as Record<string, number>)[field] as number)
    return true
  }
}
