/** A source whose every step is written down: values and what happens between them, in one list. */
import type { Source } from '../api/connector.ts'
import type { Timestamp } from '../core/time.ts'
import { InterleavingReader, staticEnumerator } from '../connectors/interleaving.ts'

/** What happens between two values. */
export type Mark = WatermarkMark | EndOfInputMark
class WatermarkMark {
  readonly mark = 'watermark'
  readonly timestamp: Timestamp
  constructor(timestamp: Timestamp) {
    this.timestamp = timestamp
  }
}
class EndOfInputMark {
  readonly mark = 'end of input'
}

/** Event time reaches `timestamp` (epoch ms): no record with this or an earlier timestamp is expected any more. */
export function watermark(timestamp: Timestamp): Mark {
  return new WatermarkMark(timestamp)
}

/** The input is complete: event time ends (Flink: the MAX watermark), and all windows and event-time timers fire. */
export function endOfInput(): Mark {
  return new EndOfInputMark()
}

/** Stands for a source of the job in a test: `runJob(job, { sources: { orders: testingSource([...]) } })`. */
export interface TestingSource<T> {
  readonly kind: 'testingSource'
  readonly steps: readonly (T | Mark)[]
}

/**
 * Values go in as they stand, one after the other; explicit watermarks replace the generator of the job's own strategy
 * (timestamps still come from the strategy). Without `endOfInput()` at the end the input stays open: what windows still
 * hold does not come out.
 *
 * @example
 * testingSource([{ user: 'a', time: 1 }, watermark(10), { user: 'b', time: 12 }, endOfInput()])
 */
export function testingSource<T>(steps: readonly (T | Mark)[]): TestingSource<T> {
  return { kind: 'testingSource', steps }
}

interface StepSplit {
  readonly id: string
  readonly next: number
}

/** Holds sources back in the middle of their steps, so that something can be done to the job there. */
export interface Hold {
  /** Only the first half of the steps is played. */
  half: boolean
}

/** The source that plays the steps, in one subtask; after a restore it goes on where the checkpoint was. */
export function playSteps(source: TestingSource<unknown>, hold?: Hold): Source<unknown, StepSplit, StepSplit[]> {
  const { steps } = source
  return {
    kind: 'source',
    name: 'Testing Source',
    bounded: steps.some(step => step instanceof EndOfInputMark),
    createEnumerator: (ctx, restored) => staticEnumerator(ctx, restored, () => [{ id: 'steps', next: 0 }]),
    createReader: ctx =>
      new InterleavingReader<unknown, StepSplit>(ctx, undefined, split => {
        let { next } = split
        return {
          id: split.id,
          emit(out, max) {
            const end = hold?.half ? steps.length >> 1 : steps.length
            for (let emitted = 0; emitted < max && next < end; emitted++) {
              const step = steps[next]
              if (step instanceof EndOfInputMark) return 'end'
              next++
              if (step instanceof WatermarkMark) out.emitWatermark(step.timestamp)
              else out.collect(step)
            }
            return next < steps.length ? 'more' : 'waiting'
          },
          rest: () => ({ id: split.id, next }),
        }
      }),
  }
}
