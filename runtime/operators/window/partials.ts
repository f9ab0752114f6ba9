/**
 * What a local window sends to the global one: of one key and one window, how many records it stands for and the
 * accumulator that they made. Its timestamp is the window's last instant. Accumulators of named aggregations are a few
 * numbers, which become fields, so that a channel sends them as columns.
 */
import type { KeySelector } from '../../api/functions.ts'
import { canGenerate, propertyText } from '../../codec/code-generation.ts'
import type { MergingAggregate } from '../../graph/transformation.ts'

export interface Partial {
  readonly key: unknown
  readonly records: number
}

export interface PartialLayout {
  /** The accumulator is given up. */
  wrap(key: unknown, records: number, accumulator: unknown): Partial
  unwrap(partial: Partial): unknown
}

/** Partials go by the key of their records. */
export function keyOfPartials({ description }: KeySelector): KeySelector {
  return { description, field: 'key', select: partial => (partial as Partial).key }
}

export function partialLayout({ numbers }: MergingAggregate): PartialLayout {
  if (numbers === undefined) {
    return {
      wrap: (key, records, accumulator) => ({ key, records, accumulator }) as Partial,
      unwrap: partial => (partial as { accumulator?: unknown }).accumulator,
    }
  }
  const names = Array.from({ length: numbers }, (_, i) => `n${i}`)
  if (!canGenerate) {
    return {
      wrap: (key, records, accumulator) => Object.assign({ key, records }, Object.fromEntries(names.map((name, i) => [name, (accumulator as number[])[i]]))),
      unwrap: partial => names.map(name => (partial as unknown as Record<string, number>)[name]),
    }
  }
  const fields = names.map((name, i) => propertyText(name, `a[${i}]`))
  // oxlint-disable-next-line no-implied-eval -- no text comes from outside
  const wrap = new Function(`return function wrap(key, records, a) { return { key, records, ${fields.join(', ')} } }`)() as PartialLayout['wrap']
  // oxlint-disable-next-line no-implied-eval -- no text comes from outside
  const unwrap = new Function(`return function unwrap(partial) { return [${names.map(name => `partial.${name}`).join(', ')}] }`)() as PartialLayout['unwrap']
  return { wrap, unwrap }
}
