/** Records made by a function of their index, at a rate: for demos, tests and load (Flink `DataGeneratorSource`). */
import type { Source } from '../api/connector.ts'
import { FlinkError } from '../core/errors.ts'
import { checkRate } from './pace.ts'
import { rangeSource, type RangeSplit } from './range.ts'

export interface GeneratorOptions<T> {
  /** How many records in all; without it the source never ends. */
  readonly count?: number
  /** Records per second of all subtasks together; without it as fast as the job takes them. */
  readonly ratePerSecond?: number
  /** Must give the same value for the same index each time: after a failure it is called again. */
  generate(index: number): T
}

/**
 * A source that calls `generate(0)`, `generate(1)`, ... Each subtask makes a range of the indexes, so each index is made
 * once, and a restart goes on after the last checkpoint.
 *
 * @example
 * env.fromSource(generatorSource({ count: 1000, ratePerSecond: 100, generate: index => ({ id: index }) })).print()
 */
export function generatorSource<T>(options: GeneratorOptions<T>): Source<T, RangeSplit, RangeSplit[]> {
  const { count, ratePerSecond } = options
  if (count !== undefined && !(Number.isSafeInteger(count) && count >= 0)) {
    throw new FlinkError('INVALID_OPTION', `generatorSource: count must be a whole number, not ${String(count)}`)
  }
  checkRate(ratePerSecond, 'generatorSource')
  return rangeSource({ name: 'Generator Source', count, ratePerSecond, valueAt: index => options.generate(index) })
}
