/** Bounded sources over what is known beforehand: `env.fromData([...])` and `env.fromSequence(from, to)`. */
import type { Source } from '../api/connector.ts'
import { rangeSource, type RangeSplit } from './range.ts'

/** The values, in order for a parallelism of 1. */
export function collectionSource<T>(values: readonly T[]): Source<T, RangeSplit, RangeSplit[]> {
  return rangeSource({ name: 'Collection Source', count: values.length, ratePerSecond: undefined, valueAt: index => values[index] as T })
}

/** Whole numbers `from` to `to`, both inclusive (Flink `NumberSequenceSource`). */
export function sequenceSource(from: number, to: number): Source<number, RangeSplit, RangeSplit[]> {
  return rangeSource({ name: 'Sequence Source', count: Math.max(0, to - from + 1), ratePerSecond: undefined, valueAt: index => from + index })
}
