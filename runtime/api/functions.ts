/** The functions that users write, and what they are handed. Function or generator in, `Collector` where a function emits many. */
import type { Timestamp } from '../core/time.ts'
import { textOption } from './refuse.ts'
import type { StateDescriptors, StateOf } from './state.ts'

export interface Collector<T> {
  /** Throws what goes wrong behind it. To catch that does not help: the job fails with it when your function returns. */
  collect(value: T): void
}

/** Names a side output. Two tags with one id are one output. */
export interface OutputTag<T> {
  readonly kind: 'outputTag'
  readonly id: string
  readonly _t?: (value: T) => T
}

/**
 * Makes the name of a side output. Flink `OutputTag`.
 *
 * @example
 * const late = outputTag<Flight>('late')
 */
export function outputTag<T>(id: string): OutputTag<T> {
  textOption(id, 'outputTag')
  return Object.freeze({ kind: 'outputTag', id })
}

export interface TimerService {
  /** `-Infinity` until the first watermark. */
  currentWatermark(): Timestamp
  currentProcessingTime(): Timestamp
  /** Fires `onTimer` once the watermark reaches `at` (epoch ms); a second registration of the same time is one timer. */
  registerEventTimeTimer(at: Timestamp): void
  deleteEventTimeTimer(at: Timestamp): void
  /** Fires `onTimer` once the clock is past `at` (epoch ms). Dropped when a bounded job ends, as in Flink. */
  registerProcessingTimeTimer(at: Timestamp): void
  deleteProcessingTimeTimer(at: Timestamp): void
}

export interface ProcessContext {
  /** Of the record or timer; undefined when it has none. */
  readonly timestamp: Timestamp | undefined
  currentWatermark(): Timestamp
  currentProcessingTime(): Timestamp
  output<X>(tag: OutputTag<X>, value: X): void
}
export interface KeyedContext<K, D> extends ProcessContext {
  readonly key: K
  readonly state: StateOf<D>
  readonly timers: TimerService
}
export interface OnTimerContext<K, D> extends KeyedContext<K, D> {
  readonly timeDomain: 'event' | 'processing'
}

/** On a stream without keys: no keyed state, no timers. */
export interface ProcessFunction<T, R> {
  readonly state?: never
  process(value: T, ctx: ProcessContext, out: Collector<R>): void
}
export interface KeyedProcessFunction<K, T, R, D extends StateDescriptors> {
  readonly state?: D
  process(value: T, ctx: KeyedContext<K, D>, out: Collector<R>): void
  onTimer?(timestamp: Timestamp, ctx: OnTimerContext<K, D>, out: Collector<R>): void
}

/**
 * Flink `AggregateFunction`. `add` may change and return its accumulator, `merge` its first one. `merge` may be left out.
 * With it, a window that fires once sums up before its records are shuffled as well (Flink SQL's local and global
 * aggregate; `-D exchange.combining=false` switches that off), so it has to give the same however the elements are grouped:
 * what `add` makes of all of them is what `merge` makes of what `add` made of some and of the others.
 */
export interface AggregateFunction<T, A, R> {
  createAccumulator(): A
  add(value: T, accumulator: A): A
  getResult(accumulator: A): R
  merge?(a: A, b: A): A
}

/** Event time `[start, end)` in epoch ms; a result carries the timestamp `end - 1`. */
export interface TimeWindow {
  readonly start: Timestamp
  readonly end: Timestamp
}
export interface WindowContext<K> {
  readonly key: K
  readonly window: TimeWindow
  currentWatermark(): Timestamp
  currentProcessingTime(): Timestamp
  output<X>(tag: OutputTag<X>, value: X): void
}
/** Gets all elements of a window, or the one aggregate when it stands behind `reduce` or `aggregate`. */
export interface ProcessWindowFunction<K, T, R> {
  process(elements: Iterable<T>, ctx: WindowContext<K>, out: Collector<R>): void
}

/** How a key is taken from a value. `description` shows in `explain` and errors. */
export interface KeySelector {
  readonly description: string
  select(value: unknown): unknown
  /** Set when the key is one field, so that generated code can read it. */
  readonly field?: string
}
