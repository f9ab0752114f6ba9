/**
 * Who may change which value. Two rules, and batching, fusing and handing over by reference cannot be seen:
 *
 * 1. A value that travels is never changed by anybody. Consumers of one output therefore share it.
 * 2. A value that state holds belongs to state alone, and user code may change it (a reducer its accumulator, a process
 *    function what `value()` gave it).
 *
 * So a value is copied where it passes from one side to the other:
 * - into state: what `update` and `put` are given (unless it is the very object that state holds: changed in place), the
 *   first element of a reduce, elements that a window keeps in a list, a reduced element that becomes the accumulator;
 * - out of state: results that may refer to what state goes on holding.
 * A rolling reduce does both with one copy: state keeps the copy, the original travels (`reduce.ts`). A keyed process
 * function pays for copies of its output only once it has read an object from its state: before that none can get out.
 * What a user hides deep inside an accumulator (`acc.last = value`) is shared with the traveller until it is emitted:
 * changing it there is changing an input, which rule 1 forbids.
 *
 * `exchange.objectReuse` is the promise that user code changes nothing at all: then nothing is copied, except text.
 *
 * Text: a string of a decoded batch is a slice that holds the whole batch's text in memory (20 characters hold 10 KB).
 * `own` cuts it loose wherever something goes into state, inside objects too.
 */
import { createCopier, ownText } from '../codec/copy.ts'

/** For what is not a plain object or an array. */
const ownOther = createCopier({ what: 'state', ownText: true })

type Fields = Record<string, unknown>

/**
 * A copy that belongs to state. `held` is what state held before: where a text is the same there, that one is kept, so that
 * accumulators do not copy their texts again and again.
 */
export function own(value: unknown, held?: unknown): unknown {
  if (typeof value === 'string') return value === held ? held : ownText(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const before = Array.isArray(held) ? held : undefined
    const copy: unknown[] = []
    // Holes and extra properties are refused by the codec when state is written; here they would only be lost.
    for (let i = 0; i < value.length; i++) copy.push(own(value[i], before?.[i]))
    return copy
  }
  // Dates, maps, sets, typed arrays, and objects that need a closer look.
  if (Object.getPrototypeOf(value) !== Object.prototype || Object.hasOwn(value, '__proto__')) return ownOther(value)
  const before = typeof held === 'object' && held !== null ? (held as Fields) : undefined
  const copy: Fields = {}
  const fields = value as Fields
  for (const name in fields) {
    const field = fields[name]
    const type = typeof field
    copy[name] = type === 'string' || type === 'object' ? own(field, before?.[name]) : field
  }
  return copy
}
