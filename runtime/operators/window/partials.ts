/**
 * What a local window sends to the global one: of one key and one window, how many records it stands for and the
 * accumulator that they made. Its timestamp is the window's last instant. Accumulators of named aggregations are a few
 * numbers, which become fields, so that a channel sends them as columns.
 */
import type { KeySelector } from '../../api/functions.ts'
import { canGenerate, propertyText } from '../../codec/code-generation.ts'
import type { MergingAggregate } from '../../graph/transformation.ts'

export interface WindowPartial {
  readonly key: unknown
  readonly records: number
  /** Of named aggregations each number; */
  readonly [number: `n${number}`]: number
  /** else whatever it is. */
  readonly accumulator?: unknown
}

export interface PartialLayout {
  /** The accumulator is given up. */
  wrap(key: unknown, records: number, accumulator: unknown): WindowPartial
  unwrap(partial: WindowPartial): unknown
}

/** Partials go by the key of their records. */
export function keyOfPartials({ description }: KeySelector): KeySelector {
  return { description, field: 'key', select: partial => (partial as WindowPartial).key }
}

export function partialLayout({ numbers }: Pick<MergingAggregate, 'numbers'>, generate = canGenerate): PartialLayout {
  if (numbers === undefined) {
    return {
      wrap: (key, records, accumulator) => ({ key, records, accumulator }),
      unwrap: partial => partial.accumulator,
    }
  }
  const names = Array.from({ length: numbers }, (_, i) => `n${i}` as const)
  if (!generate) {
    return {
      wrap(key, records, accumulator) {
        const partial: { key: unknown; records: number; [number: `n${number}`]: number } = { key, records }
        names.forEach((name, i) => (partial[name] = (accumulator as readonly number[])[i] as number))
        return partial
      },
      unwrap: partial => names.map(name => partial[name]),
    }
  }
  const fields = names.map((name, i) => propertyText(name, `a[${i}]`))
  // oxlint-disable-next-line no-implied-eval -- no text comes from outside
  const wrap = new Function(`return function wrap(key, records, a) { return { key, records, ${fields.join(', ')} } }`)() as PartialLayout['wrap']
  // oxlint-disable-next-line no-implied-eval -- no text comes from outside
  const unwrap = new Function(`return function unwrap(partial) { return [${names.map(name => `partial.${name}`).join(', ')}] }`)() as PartialLayout['unwrap']
  return { wrap, unwrap }
}
