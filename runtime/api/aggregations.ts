/**
 * Aggregations by name: `aggregate({ flights: count(), worst: max(f => f.delay) })`. Each keeps its state in a few
 * numbers of one flat array that all of them share, so that an accumulator is one packed array of doubles whatever is
 * aggregated, copies and merges without knowing the user's types, and fits typed-array tables.
 */
import type { AggregateFunction, ProcessWindowFunction, TimeWindow } from './functions.ts'
import { describe, refuse } from './refuse.ts'
import { FlinkError } from '../core/errors.ts'

/** One figure of a window. `T` is what it reads, `R` what it gives. */
export interface Aggregation<in T, out R> {
  readonly kind: 'aggregation'
  /** As it stands in `explain`, for example `max`. */
  readonly name: string
  /** The numbers it starts from; their count is how many it needs. */
  readonly initial: readonly number[]
  /** `at` is where its numbers begin in `accumulator`. */
  add(value: T, accumulator: number[], at: number): void
  /** Whether what `add` has just made of numbers is the same however they are grouped; left out: always. Floating-point sums depend on it. */
  isExact?(accumulator: readonly number[], at: number): boolean
  /** Adds what `other` holds to `accumulator`. */
  merge(accumulator: number[], other: readonly number[], at: number): void
  result(accumulator: readonly number[], at: number): R
}

/**
 * How many elements.
 *
 * @example
 * window.aggregate({ flights: count() })
 */
export function count(): Aggregation<unknown, number> {
  return Object.freeze<Aggregation<unknown, number>>({
    kind: 'aggregation',
    name: 'count',
    initial: [0],
    add(_value, accumulator, at) {
      accumulator[at]! += 1
    },
    merge: addFirst,
    result: first,
  })
}

/**
 * The sum of a number of each element, in double precision. A value that is no number fails the job (UNSUPPORTED_VALUE).
 *
 * @example
 * window.aggregate({ total: sum(order => order.amount) })
 */
export function sum<T>(of: (value: T) => number): Aggregation<T, number> {
  checkSelector(of, 'sum')
  return Object.freeze<Aggregation<T, number>>({
    kind: 'aggregation',
    name: 'sum',
    initial: [0],
    add(value, accumulator, at) {
      accumulator[at]! += numberOf(of(value), 'sum')
    },
    isExact: isWhole,
    merge: addFirst,
    result: first,
  })
}

/**
 * The arithmetic mean of a number of each element. A value that is no number fails the job (UNSUPPORTED_VALUE).
 *
 * @example
 * window.aggregate({ meanDelay: mean(flight => flight.delay) })
 */
export function mean<T>(of: (value: T) => number): Aggregation<T, number> {
  checkSelector(of, 'mean')
  return Object.freeze<Aggregation<T, number>>({
    kind: 'aggregation',
    name: 'mean',
    initial: [0, 0],
    add(value, accumulator, at) {
      accumulator[at]! += numberOf(of(value), 'mean')
      accumulator[at + 1]! += 1
    },
    isExact: isWhole,
    merge(accumulator, other, at) {
      accumulator[at]! += other[at]!
      accumulator[at + 1]! += other[at + 1]!
    },
    result: (accumulator, at) => accumulator[at]! / accumulator[at + 1]!,
  })
}

/**
 * The smallest number; NaN if there was one. A value that is no number fails the job (UNSUPPORTED_VALUE).
 *
 * @example
 * window.aggregate({ cheapest: min(order => order.amount) })
 */
export function min<T>(of: (value: T) => number): Aggregation<T, number> {
  return extreme('min', of, Math.min, Infinity)
}

/**
 * The largest number; NaN if there was one. A value that is no number fails the job (UNSUPPORTED_VALUE).
 *
 * @example
 * window.aggregate({ maxDelay: max(flight => flight.delay) })
 */
export function max<T>(of: (value: T) => number): Aggregation<T, number> {
  return extreme('max', of, Math.max, -Infinity)
}

function extreme<T>(name: 'min' | 'max', of: (value: T) => number, better: (a: number, b: number) => number, start: number): Aggregation<T, number> {
  checkSelector(of, name)
  return Object.freeze<Aggregation<T, number>>({
    kind: 'aggregation',
    name,
    initial: [start],
    add(value, accumulator, at) {
      accumulator[at] = better(accumulator[at]!, numberOf(of(value), name))
    },
    merge(accumulator, other, at) {
      accumulator[at] = better(accumulator[at]!, other[at]!)
    },
    result: first,
  })
}

const isWhole = (accumulator: readonly number[], at: number) => Number.isSafeInteger(accumulator[at])
const first = (accumulator: readonly number[], at: number) => accumulator[at]!
const addFirst = (accumulator: number[], other: readonly number[], at: number) => {
  accumulator[at]! += other[at]!
}

function checkSelector(of: unknown, name: string) {
  if (typeof of !== 'function') refuse('INVALID_OPTION', `${name} needs a function, not ${describe(of)}`, { hint: `For example ${name}(order => order.amount).` })
}

function numberOf(value: unknown, name: string): number {
  if (typeof value === 'number') return value
  throw new FlinkError('UNSUPPORTED_VALUE', `${name} of ${describe(value)}`, { hint: `${name} takes numbers; convert or leave out what is none, for example with .filter(...).` })
}

// oxlint-disable-next-line no-explicit-any -- aggregations of any result stand together
export type NamedAggregations<T> = Readonly<Record<string, Aggregation<T, any>>>

/** `{ flights: number, meanDelay: number }` of `{ flights: count(), meanDelay: mean(...) }`. */
export type AggregationResults<A> = { [N in keyof A]: A[N] extends Aggregation<never, infer R> ? R : never }

/** Several named aggregations as one. */
export interface CombinedAggregations<T> extends AggregateFunction<T, number[], Record<string, unknown>> {
  merge(a: number[], b: number[]): number[]
  /** Numbers in an accumulator. */
  readonly numbers: number
  /** `add` where it cannot be seen how values are grouped; false, and the accumulator is as it was, where it can. Left out: never. */
  addExactly?(value: T, accumulator: number[]): boolean
}

/** Several named aggregations as the one function that a window runs; mergeable. */
export function combineAggregations<T>(named: NamedAggregations<T>): CombinedAggregations<T> {
  const names = Object.keys(named)
  if (names.length === 0) refuse('INVALID_OPTION', 'aggregate needs at least one aggregation', { hint: 'For example .aggregate({ flights: count() }).' })
  const parts = names.map(name => {
    const aggregation = named[name]
    if (aggregation?.kind !== 'aggregation') {
      refuse('INVALID_OPTION', `aggregate: "${name}" is not an aggregation`, { hint: 'Use count(), sum(...), mean(...), min(...) or max(...), or pass an AggregateFunction.' })
    }
    if (name === 'key' || name === 'window') refuse('INVALID_OPTION', `aggregate: the name "${name}" is taken`, { hint: 'The result holds the key and the window under these names; choose another.' })
    return aggregation
  })
  const offsets: number[] = []
  const initial: number[] = []
  for (const part of parts) {
    offsets.push(initial.length)
    initial.push(...part.initial)
  }
  const add = (value: T, accumulator: number[]) => {
    for (let i = 0; i < parts.length; i++) parts[i]!.add(value, accumulator, offsets[i]!)
    return accumulator
  }
  const checks = parts.flatMap((part, i) => (part.isExact === undefined ? [] : [{ isExact: part.isExact, at: offsets[i]! }]))
  const before = initial.slice()
  const addExactly = (value: T, accumulator: number[]) => {
    for (let i = 0; i < before.length; i++) before[i] = accumulator[i]!
    add(value, accumulator)
    for (let i = 0; i < checks.length; i++) {
      const { isExact, at } = checks[i]!
      if (isExact(accumulator, at)) continue
      for (let n = 0; n < before.length; n++) accumulator[n] = before[n]!
      return false
    }
    return true
  }
  return {
    numbers: initial.length,
    ...(checks.length === 0 ? {} : { addExactly }),
    createAccumulator: () => initial.slice(),
    add,
    getResult(accumulator) {
      const result: Record<string, unknown> = {}
      for (let i = 0; i < parts.length; i++) result[names[i]!] = parts[i]!.result(accumulator, offsets[i]!)
      return result
    },
    merge(accumulator, other) {
      for (let i = 0; i < parts.length; i++) parts[i]!.merge(accumulator, other, offsets[i]!)
      return accumulator
    },
  }
}

/** `{ key, window, ...results }`, which is what a window with named aggregations gives. */
export const namedResult: ProcessWindowFunction<unknown, Record<string, unknown>, { key: unknown; window: TimeWindow }> = {
  process(elements, ctx, out) {
    for (const results of elements) out.collect({ key: ctx.key, window: { start: ctx.window.start, end: ctx.window.end }, ...results })
  },
}
