/** Nexmark's events as a source. Every subtask has a share of each moment of event time, and each event comes once. */
import type { Source } from '../../api/connector.ts'
import { FlinkError } from '../../core/errors.ts'
import { InterleavingReader, staticEnumerator, type SplitCursor } from '../interleaving.ts'
import { checkRate } from '../pace.ts'
import type { NexmarkEvent } from './events.ts'
import { checkNexmarkOptions, mostEvents, NexmarkGenerator, type NexmarkOptions } from './generator.ts'

export interface NexmarkSourceOptions extends NexmarkOptions {
  /** How many events in all; without it the source goes on to event 2^31. */
  readonly events?: number
  /** Events per second of real time, all subtasks together; without it as fast as the job takes them. `rate` is that of event time. */
  readonly ratePerSecond?: number
}

/** Of every `parts` blocks of a thousand events, number `part`; the first `next` of these events are read. */
export interface NexmarkSplit {
  readonly id: string
  readonly part: number
  readonly parts: number
  readonly next: number
}

const blockEvents = 1_000

/**
 * A source of Nexmark's auction house: persons, auctions and bids, the same events at any parallelism. The subtasks take
 * turns by blocks of 1,000 events, so their event times go on side by side; within each, event time never runs back.
 *
 * @example
 * env
 *   .fromSource(nexmarkSource({ events: 1_000_000 }), { timestamp: event => event.dateTime, watermark: monotonousTimestamps() })
 *   .filter(event => event.kind === 'bid')
 *   .keyBy('auction')
 *   .window(tumbling('1 s'))
 *   .aggregate({ bids: count(), highest: max(bid => bid.price) })
 *   .print()
 */
export function nexmarkSource(options: NexmarkSourceOptions = {}): Source<NexmarkEvent, NexmarkSplit, NexmarkSplit[]> {
  const { events = mostEvents, ratePerSecond } = options
  if (!Number.isInteger(events) || events < 0 || events > mostEvents) throw new FlinkError('INVALID_OPTION', `nexmarkSource: events must be 0 to ${mostEvents}, not ${String(events)}`)
  checkRate(ratePerSecond, 'nexmarkSource')
  checkNexmarkOptions(options)
  return {
    kind: 'source',
    name: 'Nexmark',
    bounded: options.events !== undefined,
    createEnumerator: (ctx, restored) =>
      staticEnumerator(ctx, restored, () => Array.from({ length: ctx.parallelism }, (_, part) => ({ id: `nexmark-${part}`, part, parts: ctx.parallelism, next: 0 }))),
    createReader(ctx) {
      const generator = new NexmarkGenerator(options)
      return new InterleavingReader(ctx, ratePerSecond, split => cursorOf(split, generator, events))
    },
  }
}

function cursorOf(split: NexmarkSplit, generator: NexmarkGenerator, events: number): SplitCursor<NexmarkEvent, NexmarkSplit> {
  const { part, parts } = split
  let { next } = split
  return {
    id: split.id,
    emit(out, max) {
      for (let left = max; left > 0; left--) {
        const number = (Math.floor(next / blockEvents) * parts + part) * blockEvents + (next % blockEvents)
        if (number >= events) return 'end'
        next++
        out.collect(generator.eventAt(number))
      }
      return 'more'
    },
    rest: () => ({ ...split, next }),
  }
}
