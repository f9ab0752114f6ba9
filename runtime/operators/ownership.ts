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

/** Shorter text is copied by V8 itself, see `ownText`. */
const shortestSlice = 13
const ownAny = createCopier({ what: 'state', ownText: true })

/** A copy that belongs to state, of anything. Where values of one shape go through, `createOwner` is faster. */
export function own(value: unknown): unknown {
  return typeof value === 'string' || (typeof value === 'object' && value !== null) ? ownAny(value) : value
}

/** `held` is what state held under this key before. */
export type Owner = (value: unknown, held: unknown) => unknown

/**
 * Copies for state at one place of a job. An accumulator mostly takes its texts over from the one before it, and those are
 * cut loose already: only a text that was not in `held` is copied. Text fields are learnt from the first objects; one that
 * shows up later, or lies deeper in an accumulator, keeps its batch's text alive until the state leaves memory, which
 * costs memory and nothing else.
 */
export function createOwner(): Owner {
  const first = createCopier({ what: 'state', ownText: true })
  const copy = createCopier({ what: 'state' })
  const textFields: string[] = []
  return (value, held) => {
    if (typeof value !== 'object' || value === null) return typeof value === 'string' && value !== held ? ownText(value) : value
    if (typeof held !== 'object' || held === null) {
      learn(value as Fields, textFields)
      return first(value)
    }
    const copied = copy(value) as Fields
    for (let i = 0; i < textFields.length; i++) {
      const name = textFields[i] as string
      const text = copied[name]
      if (typeof text === 'string' && text.length >= shortestSlice && text !== (held as Fields)[name]) copied[name] = ownText(text)
    }
    return copied
  }
}

type Fields = Record<string, unknown>
const maxTextFields = 32

function learn(value: Fields, textFields: string[]): void {
  for (const name in value) {
    if (typeof value[name] === 'string' && textFields.length < maxTextFields && !textFields.includes(name)) textFields.push(name)
  }
}
