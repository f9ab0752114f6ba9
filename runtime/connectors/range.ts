/**
 * A source over the indexes `0..count`, each turned into a record by a function: the engine of `fromData`, `fromSequence`
 * and `generatorSource`. It can be read again from any position, so it takes part in checkpoints like any other source.
 */
import type { Source } from '../api/connector.ts'
import { InterleavingReader, staticEnumerator, type SplitCursor } from './interleaving.ts'

/** Positions `next` (inclusive) to `end` (exclusive). Only positions travel; the records are part of the job's code. */
export interface RangeSplit {
  readonly id: string
  readonly next: number
  readonly end: number
}

export interface RangeSourceOptions<T> {
  readonly name: string
  /** Without it the source never ends. */
  readonly count: number | undefined
  /** Records per second of all subtasks together. */
  readonly ratePerSecond: number | undefined
  readonly valueAt: (index: number) => T
}

export function rangeSource<T>(options: RangeSourceOptions<T>): Source<T, RangeSplit, RangeSplit[]> {
  return {
    kind: 'source',
    name: options.name,
    bounded: options.count !== undefined,
    createEnumerator: (ctx, restored) => staticEnumerator(ctx, restored, () => cut(options.count ?? Number.MAX_SAFE_INTEGER, ctx.parallelism)),
    createReader: ctx => new InterleavingReader(ctx, options.ratePerSecond, split => rangeCursor(split, options.valueAt)),
  }
}

function cut(count: number, parts: number): RangeSplit[] {
  const size = Math.ceil(count / parts)
  const splits: RangeSplit[] = []
  for (let part = 0; part < parts; part++) {
    const next = Math.min(part * size, count)
    const end = Math.min(next + size, count)
    if (next < end) splits.push({ id: `range-${part}`, next, end })
  }
  return splits
}

function rangeCursor<T>(split: RangeSplit, valueAt: (index: number) => T): SplitCursor<T, RangeSplit> {
  let { next } = split
  const { end } = split
  return {
    id: split.id,
    emit(out, max) {
      const stop = Math.min(end, next + max)
      while (next < stop) {
        const value = valueAt(next)
        next++
        out.collect(value)
      }
      return next < end ? 'more' : 'end'
    },
    rest: () => ({ ...split, next }),
  }
}
