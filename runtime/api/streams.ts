/**
 * Streams as users hold them. Each call adds one transformation to the job and returns a stream of what comes out of it;
 * nothing runs here. A stream knows at type level what it carries, whether it has event time, whether it is keyed and by
 * what, so that the compiler refuses what makes no sense.
 *
 * The classes name each other (a data stream is keyed, a keyed stream windowed, a window gives a data stream), so they
 * stand in one file. What they do beyond adding a node is in `builder`, `keys`, `watermarks` and `aggregations`.
 */
import type { Duration, Millis } from '../core/time.ts'
import type {
  FilterTransformation,
  FlatMapTransformation,
  KeyedProcessTransformation,
  MapTransformation,
  OperatorNode,
  PartitionTransformation,
  Partitioner,
  ProcessTransformation,
  ReduceTransformation,
  SideOutputTransformation,
  SinkTransformation,
  TimestampsTransformation,
  Transformation,
  UnionTransformation,
  WindowFunctionSpec,
  WindowTransformation,
} from '../graph/transformation.ts'
import { printSink } from '../connectors/console.ts'
import { combineAggregations, namedResult, type AggregationResults, type NamedAggregations } from './aggregations.ts'
import type { JobBuilder } from './builder.ts'
import type { Sink } from './connector.ts'
import { DataStreamSink } from './data-stream-sink.ts'
import type {
  AggregateFunction,
  Collector,
  KeySelector,
  KeyedProcessFunction,
  OutputTag,
  ProcessFunction,
  ProcessWindowFunction,
  TimeWindow,
} from './functions.ts'
import { keySelector } from './keys.ts'
import { checkSink, describe, durationOption, functionOption, parallelismOption, refuse, textOption } from './refuse.ts'
import { checkStates, type StateDescriptors } from './state.ts'
import { resolveWatermarkStrategy, type WatermarkStrategy } from './watermarks.ts'
import { windowResult, type WindowResultFunction } from './window-results.ts'
import type { WindowAssigner } from './windows.ts'

/** A stream without timestamps: it has no windows of event time. */
export interface NoTime {
  readonly time: 'none'
}
/** A stream whose records have timestamps and in which watermarks flow. */
export interface EventTime {
  readonly time: 'event'
}
export type Time = NoTime | EventTime

/** Fields of `T` that can be summed. */
export type NumericField<T> = { [N in keyof T & string]: T[N] extends number | bigint ? N : never }[keyof T & string]

/**
 * A stream of `T`. The values are given up when they are emitted: change a copy, not the value.
 * Flink `DataStream`.
 */
export class DataStream<T, E extends Time> {
  /** Only a type. */
  declare readonly _time: E
  readonly #builder: JobBuilder
  readonly #node: Transformation

  /** @internal */
  constructor(builder: JobBuilder, node: Transformation) {
    this.#builder = builder
    this.#node = node
  }

  /**
   * One record for each record; the timestamp stays.
   *
   * @example
   * words.map(word => ({ word, count: 1 }))
   */
  map<R>(fn: (value: T) => R): SingleOutputStreamOperator<R, E> {
    functionOption(fn, 'map')
    return this.#operator<R, MapTransformation>({ kind: 'map', name: 'Map', input: this.#node, fn: fn as (value: unknown) => unknown })
  }

  /**
   * Only the records for which `fn` is true; a type guard narrows the stream.
   *
   * @example
   * events.filter(event => event.kind === 'click')
   */
  filter<S extends T>(fn: (value: T) => value is S): SingleOutputStreamOperator<S, E>
  filter(fn: (value: T) => boolean): SingleOutputStreamOperator<T, E>
  filter(fn: (value: T) => boolean): SingleOutputStreamOperator<T, E> {
    functionOption(fn, 'filter')
    return this.#operator<T, FilterTransformation>({ kind: 'filter', name: 'Filter', input: this.#node, fn: fn as (value: unknown) => boolean })
  }

  /**
   * Any number of records for each: return an iterable (or be a generator), or emit through the collector. The timestamp
   * of the input goes to all of them.
   *
   * @example
   * lines.flatMap(line => line.split(' '))
   * lines.flatMap((line, out: Collector<string>) => { if (line !== '') out.collect(line) })
   */
  flatMap<R>(fn: (value: T, out: Collector<R>) => Iterable<R> | void): SingleOutputStreamOperator<R, E> {
    functionOption(fn, 'flatMap')
    return this.#operator<R, FlatMapTransformation>({ kind: 'flatMap', name: 'FlatMap', input: this.#node, fn: fn as FlatMapTransformation['fn'] })
  }

  /**
   * The lowest level on a stream without keys: sees timestamps and the watermark, and may write side outputs. For state
   * and timers, `keyBy` first. Flink `ProcessFunction`.
   *
   * @example
   * const odd = outputTag<number>('odd')
   * const even = numbers.process({ process: (n, ctx, out: Collector<number>) => (n % 2 ? ctx.output(odd, n) : out.collect(n)) })
   * even.getSideOutput(odd).print()
   */
  process<R>(fn: ProcessFunction<T, R>): SingleOutputStreamOperator<R, E> {
    functionOption(fn?.process, 'process')
    if (fn.state !== undefined) refuse('INVALID_GRAPH', 'keyed state on a stream without keys', { hint: 'Call .keyBy(...) before .process(...).' })
    return this.#operator<R, ProcessTransformation>({ kind: 'process', name: 'Process', input: this.#node, fn: fn as ProcessFunction<unknown, unknown> })
  }

  /**
   * Parts the stream by a field, or by what a function takes from each value: text, number, bigint, boolean, or an array
   * or plain object of these. Records with equal keys meet in one subtask, in the order in which each producer sent them.
   * Another kind of key fails the job (INVALID_KEY). Flink `keyBy`, with its key groups.
   *
   * @example
   * flights.keyBy('origin')
   * flights.keyBy(flight => [flight.origin, flight.destination])
   */
  keyBy<const K>(key: (value: T) => K): KeyedStream<T, K, E>
  // Last, because the compiler explains the last one: a mistyped field is answered with the fields that are there.
  keyBy<N extends keyof T & string>(field: N): KeyedStream<T, T[N], E>
  keyBy<K>(key: string | ((value: T) => K)): KeyedStream<T, K, E> {
    const selector = keySelector(key)
    return new KeyedStream(this.#builder, this.#partition({ kind: 'hash', key: selector }), selector)
  }

  /**
   * The records of all streams, in no promised order. Event time is that of the slowest. A stream that occurs twice gives
   * its records twice. Flink `union`.
   *
   * @example
   * mobile.union(web, kiosk)
   */
  union(...others: readonly DataStream<T, E>[]): DataStream<T, E> {
    for (const other of others) {
      if (!(other instanceof DataStream)) refuse('INVALID_OPTION', `union takes streams, not ${describe(other)}`)
      if (other.#builder !== this.#builder) refuse('INVALID_GRAPH', 'union of streams of two jobs', { hint: 'Streams meet only inside one job.' })
    }
    const inputs = Object.freeze([this.#node, ...others.map(other => other.#node)])
    return new DataStream(this.#builder, this.#builder.add<UnionTransformation>({ kind: 'union', inputs }))
  }

  /**
   * Records go to the subtasks of the next operator in turn: evens out skew. The default where two operators differ in
   * parallelism.
   *
   * @example
   * skewed.rebalance().map(expensive)
   */
  rebalance(): DataStream<T, E> {
    return new DataStream(this.#builder, this.#partition({ kind: 'rebalance' }))
  }

  /**
   * Records stay with the subtask of the same number. The default where two operators have the same parallelism; with
   * another one the job is refused (INVALID_GRAPH).
   *
   * @example
   * parsed.forward().map(enrich)
   */
  forward(): DataStream<T, E> {
    return new DataStream(this.#builder, this.#partition({ kind: 'forward' }))
  }

  /**
   * Every record goes to every subtask of the next operator.
   *
   * @example
   * settings.broadcast().process(applySetting)
   */
  broadcast(): DataStream<T, E> {
    return new DataStream(this.#builder, this.#partition({ kind: 'broadcast' }))
  }

  /**
   * Gives the stream event time after the source. Where the source can do it (`fromSource(source, strategy)`), prefer
   * that: there each split has its own watermark, and fewer records are late. Earlier watermarks end here.
   *
   * @example
   * readings.assignTimestampsAndWatermarks({ timestamp: r => r.time, watermark: monotonousTimestamps() })
   */
  assignTimestampsAndWatermarks(strategy: WatermarkStrategy<T>): SingleOutputStreamOperator<T, EventTime> {
    const resolved = resolveWatermarkStrategy(strategy, 'assignTimestampsAndWatermarks')
    const node = this.#builder.add<TimestampsTransformation>({ kind: 'timestamps', name: 'Timestamps/Watermarks', input: this.#node, strategy: resolved })
    return new SingleOutputStreamOperator(this.#builder, node)
  }

  /**
   * Ends the stream in a sink.
   *
   * @example
   * delays.sinkTo(fileSink({ path: 'out', format: json() })).uid('delays')
   */
  sinkTo(sink: Sink<T>): DataStreamSink {
    checkSink(sink, 'sinkTo')
    return this.#sink(sink as Sink<unknown>)
  }

  /**
   * Writes each record as a line to the terminal that runs the job, with the label and (with a parallelism above 1) the
   * subtask's number in front. After a failure lines may appear again. Flink `print`.
   *
   * @example
   * counts.print('counts') // counts:2> {"word":"be","count":2}
   */
  print(label?: string): DataStreamSink {
    if (label !== undefined) textOption(label, 'print')
    return this.#sink(printSink(label))
  }

  #operator<R, N extends OperatorNode & Transformation>(node: Omit<N, 'id' | 'at'>): SingleOutputStreamOperator<R, E> {
    return new SingleOutputStreamOperator(this.#builder, this.#builder.add<N>(node))
  }

  #partition(partitioner: Partitioner): PartitionTransformation {
    return this.#builder.add<PartitionTransformation>({ kind: 'partition', input: this.#node, partitioner: Object.freeze(partitioner) })
  }

  #sink(sink: Sink<unknown>): DataStreamSink {
    return new DataStreamSink(this.#builder, this.#builder.add<SinkTransformation>({ kind: 'sink', name: sink.name, input: this.#node, sink }))
  }
}

/**
 * The output of an operator: a stream whose operator can still be named and tuned. Flink `SingleOutputStreamOperator`.
 */
export class SingleOutputStreamOperator<T, E extends Time> extends DataStream<T, E> {
  readonly #builder: JobBuilder
  readonly #node: OperatorNode & Transformation

  /** @internal */
  constructor(builder: JobBuilder, node: OperatorNode & Transformation) {
    super(builder, node)
    this.#builder = builder
    this.#node = node
  }

  /**
   * Records that the operator wrote to `tag` with `ctx.output`, or that were too late for its window. Only operators made
   * with `process` or a window have side outputs; of others the job is refused (INVALID_GRAPH).
   *
   * @example
   * delays.getSideOutput(late).print('late')
   */
  getSideOutput<X>(tag: OutputTag<X>): DataStream<X, E> {
    checkTag(tag, 'getSideOutput')
    const node = this.#node
    if (node.kind !== 'process' && node.kind !== 'keyedProcess' && node.kind !== 'window') {
      refuse('INVALID_GRAPH', `"${node.name}" has no side outputs`, { hint: 'Only operators made with process(...) or a window write side outputs; ask the stream that they returned.' })
    }
    return new DataStream(this.#builder, this.#builder.add<SideOutputTransformation>({ kind: 'sideOutput', input: node, tag: tag.id }))
  }

  /**
   * An identity that outlives changes of the job: savepoints find the operator's state by it. Unique in the job
   * (DUPLICATE_UID). Give one to every operator with state before the first savepoint that matters. Flink `uid`.
   *
   * @example
   * keyed.process(detector).uid('detector')
   */
  uid(id: string): this {
    textOption(id, 'uid')
    this.#builder.set(this.#node, 'uid', id)
    return this
  }

  /**
   * The operator's name in plans, metrics and logs.
   *
   * @example
   * lines.flatMap(split).name('split lines')
   */
  name(name: string): this {
    textOption(name, 'name')
    this.#builder.set(this.#node, 'name', name)
    return this
  }

  /**
   * Subtasks of this operator, 1 to 32,768; over that of the environment.
   *
   * @example
   * parsed.map(expensive).setParallelism(8)
   */
  setParallelism(parallelism: number): this {
    this.#builder.set(this.#node, 'parallelism', parallelismOption(parallelism, 'setParallelism'))
    return this
  }

  /**
   * The number of key groups, and so the highest parallelism that the operator's state can ever be spread to, 1 to
   * 32,768. It cannot be changed in a savepoint. Default: 128, more above parallelism 85. Flink `setMaxParallelism`.
   *
   * @example
   * keyed.process(detector).setMaxParallelism(512)
   */
  setMaxParallelism(maxParallelism: number): this {
    this.#builder.set(this.#node, 'maxParallelism', parallelismOption(maxParallelism, 'setMaxParallelism'))
    return this
  }

  /**
   * Never chains this operator with its neighbours: it becomes a task of its own.
   *
   * @example
   * parsed.map(expensive).disableChaining()
   */
  disableChaining(): this {
    this.#builder.set(this.#node, 'chaining', 'never')
    return this
  }

  /**
   * Chains this operator with those after it, not with the one before.
   *
   * @example
   * parsed.map(expensive).startNewChain()
   */
  startNewChain(): this {
    this.#builder.set(this.#node, 'chaining', 'head')
    return this
  }

  /**
   * Operators of one group share slots; another group has slots of its own. Default: the group of the inputs, if they
   * agree, else `default`. Flink `slotSharingGroup`.
   *
   * @example
   * parsed.map(hungry).slotSharingGroup('hungry')
   */
  slotSharingGroup(group: string): this {
    textOption(group, 'slotSharingGroup')
    this.#builder.set(this.#node, 'slotSharingGroup', group)
    return this
  }
}

/**
 * A stream parted by key `K`. What is computed with state is computed here. Flink `KeyedStream`.
 */
export class KeyedStream<T, K, E extends Time> extends DataStream<T, E> {
  /** Only a type: keys of different types never meet. */
  declare readonly _key: (key: K) => K
  readonly #builder: JobBuilder
  readonly #node: PartitionTransformation
  readonly #key: KeySelector

  /** @internal */
  constructor(builder: JobBuilder, node: PartitionTransformation, key: KeySelector) {
    super(builder, node)
    this.#builder = builder
    this.#node = node
    this.#key = key
  }

  /**
   * The lowest level: declared state per key, timers, side outputs. Flink `KeyedProcessFunction`.
   *
   * @example
   * keyed.process({
   *   state: { seen: valueState<number>({ default: 0 }) },
   *   process(value, ctx, out: Collector<{ key: string; seen: number }>) {
   *     const seen = ctx.state.seen.value() + 1
   *     ctx.state.seen.update(seen)
   *     out.collect({ key: ctx.key, seen })
   *   },
   * })
   */
  // oxlint-disable-next-line no-empty-object-type -- no state is declared
  override process<R, D extends StateDescriptors = {}>(fn: KeyedProcessFunction<K, T, R, D>): SingleOutputStreamOperator<R, E> {
    functionOption(fn?.process, 'process')
    if (fn.onTimer !== undefined) functionOption(fn.onTimer, 'process: onTimer')
    checkStates(fn.state)
    const node = this.#builder.add<KeyedProcessTransformation>({
      kind: 'keyedProcess',
      name: 'KeyedProcess',
      input: this.#node,
      key: this.#key,
      fn: fn as unknown as KeyedProcessFunction<unknown, unknown, unknown, StateDescriptors>,
    })
    return new SingleOutputStreamOperator(this.#builder, node)
  }

  /**
   * A rolling reduction per key: the first element passes as it is, then each new accumulated value is emitted.
   * Flink `reduce`.
   *
   * @example
   * keyed.reduce((a, b) => (a.celsius >= b.celsius ? a : b))
   */
  reduce(fn: (accumulated: T, value: T) => T): SingleOutputStreamOperator<T, E> {
    functionOption(fn, 'reduce')
    return this.#rolling('Reduce', fn)
  }

  /**
   * A rolling sum per key of one field; the other fields are those of the key's first element. Emits each new sum.
   * Flink `sum`.
   *
   * @example
   * words.map(word => ({ word, count: 1 })).keyBy('word').sum('count')
   */
  sum(field: NumericField<T>): SingleOutputStreamOperator<T, E> {
    textOption(field, 'sum')
    // The field holds numbers or bigints: its type says so. `+` is right for both.
    const add = (accumulated: T, value: T): T => ({ ...accumulated, [field]: (accumulated[field] as number) + (value[field] as number) })
    return this.#rolling('Sum', add, field)
  }

  /**
   * Cuts the stream of each key into windows of event time.
   *
   * @example
   * flights.keyBy('origin').window(tumbling('1 h')).aggregate({ flights: count() })
   */
  window(this: KeyedStream<T, K, EventTime>, assigner: WindowAssigner): WindowedStream<T, K> {
    if (assigner?.kind !== 'tumbling') refuse('INVALID_OPTION', 'window needs a window assigner', { hint: "For example .window(tumbling('1 h'))." })
    return new WindowedStream(this.#builder, this.#node, this.#key, assigner)
  }

  #rolling(name: string, fn: (accumulated: T, value: T) => T, sumOf?: string): SingleOutputStreamOperator<T, E> {
    const node = this.#builder.add<ReduceTransformation>({
      kind: 'reduce',
      name,
      input: this.#node,
      key: this.#key,
      fn: fn as (accumulated: unknown, value: unknown) => unknown,
      ...(sumOf === undefined ? {} : { sumOf }),
    })
    return new SingleOutputStreamOperator(this.#builder, node)
  }
}

/**
 * A keyed stream in windows, until it is said what to do with them. A result carries the timestamp `window.end - 1`.
 * Flink `WindowedStream`.
 */
export class WindowedStream<T, K> {
  readonly #builder: JobBuilder
  readonly #node: PartitionTransformation
  readonly #key: KeySelector
  readonly #assigner: WindowAssigner
  #allowedLateness: Millis = 0
  #lateTag: string | undefined

  /** @internal */
  constructor(builder: JobBuilder, node: PartitionTransformation, key: KeySelector, assigner: WindowAssigner) {
    this.#builder = builder
    this.#node = node
    this.#key = key
    this.#assigner = assigner
  }

  /**
   * Keeps a window for so long after the watermark passed its end; each late element fires it again with all its
   * elements. Default 0. Flink `allowedLateness`.
   *
   * @example
   * keyed.window(tumbling('1 h')).allowedLateness('10 min').aggregate({ n: count() })
   */
  allowedLateness(lateness: Duration): this {
    this.#allowedLateness = durationOption(lateness, 'allowedLateness', 0)
    return this
  }

  /**
   * Sends elements that came too late for every window to a side output, instead of dropping them (which is counted in
   * `numLateRecordsDropped`). Flink `sideOutputLateData`.
   *
   * @example
   * const counts = keyed.window(tumbling('1 h')).sideOutputLateData(late).aggregate({ n: count() })
   * counts.getSideOutput(late).print('late')
   */
  sideOutputLateData(tag: OutputTag<T>): this {
    checkTag(tag, 'sideOutputLateData')
    this.#lateTag = tag.id
    return this
  }

  /**
   * Aggregates each window as its elements come: by name, which gives `{ key, window: { start, end }, ...results }`, or
   * with an `AggregateFunction` whose result may be shaped by a function (or a `ProcessWindowFunction`) that sees key and
   * window. Only the accumulator is kept. Flink `aggregate`.
   *
   * @example
   * window.aggregate({ flights: count(), worst: max(f => f.delay) })
   * window.aggregate(distinctCount, (n, { key, window }) => ({ airport: key, hour: window.start, n }))
   */
  aggregate<A extends NamedAggregations<T>>(
    named: A & { readonly key?: never; readonly window?: never },
  ): SingleOutputStreamOperator<{ key: K; window: TimeWindow } & AggregationResults<A>, EventTime>
  aggregate<A, R, O = R>(fn: AggregateFunction<T, A, R>, result?: WindowResultFunction<K, R, O>): SingleOutputStreamOperator<O, EventTime>
  aggregate<O>(what: NamedAggregations<T> | AggregateFunction<T, unknown, unknown>, result?: WindowResultFunction<K, unknown, O>): SingleOutputStreamOperator<O, EventTime> {
    if (typeof what !== 'object' || what === null) refuse('INVALID_OPTION', `aggregate takes named aggregations or an AggregateFunction, not ${describe(what)}`)
    if (isAggregateFunction(what)) {
      return this.#window({ kind: 'aggregate', aggregate: what as AggregateFunction<unknown, unknown, unknown>, result: windowResult(result) })
    }
    const combined = combineAggregations(what)
    return this.#window({ kind: 'aggregate', aggregate: combined as AggregateFunction<unknown, unknown, unknown>, result: namedResult as ProcessWindowFunction<unknown, unknown, unknown> })
  }

  /**
   * Reduces each window to one element as its elements come; the result may be shaped by a function (or a
   * `ProcessWindowFunction`) that sees key and window. Flink `reduce`.
   *
   * @example
   * window.reduce((a, b) => (a.celsius >= b.celsius ? a : b), (hottest, { key, window }) => ({ sensor: key, until: window.end, celsius: hottest.celsius }))
   */
  reduce<O = T>(fn: (accumulated: T, value: T) => T, result?: WindowResultFunction<K, T, O>): SingleOutputStreamOperator<O, EventTime> {
    functionOption(fn, 'reduce')
    return this.#window({ kind: 'reduce', reduce: fn as (a: unknown, b: unknown) => unknown, result: windowResult(result) })
  }

  /**
   * Keeps all elements of a window and hands them over when it fires. Where `aggregate` or `reduce` will do, they are far
   * cheaper. Flink `ProcessWindowFunction`.
   *
   * @example
   * window.process({ process(elements, ctx, out: Collector<number>) { out.collect([...elements].length) } })
   */
  process<R>(fn: ProcessWindowFunction<K, T, R>): SingleOutputStreamOperator<R, EventTime> {
    functionOption(fn?.process, 'process')
    return this.#window({ kind: 'process', result: fn as ProcessWindowFunction<unknown, unknown, unknown> })
  }

  #window<R>(fn: WindowFunctionSpec): SingleOutputStreamOperator<R, EventTime> {
    const node = this.#builder.add<WindowTransformation>({
      kind: 'window',
      name: 'Window',
      input: this.#node,
      key: this.#key,
      assigner: this.#assigner,
      allowedLateness: this.#allowedLateness,
      ...(this.#lateTag === undefined ? {} : { lateTag: this.#lateTag }),
      fn: Object.freeze(fn),
    })
    return new SingleOutputStreamOperator(this.#builder, node)
  }
}

function isAggregateFunction<T>(what: object): what is AggregateFunction<T, unknown, unknown> {
  return 'createAccumulator' in what && typeof what.createAccumulator === 'function'
}

function checkTag<X>(tag: OutputTag<X>, what: string) {
  if (tag?.kind !== 'outputTag') refuse('INVALID_OPTION', `${what} needs an output tag, not ${describe(tag)}`, { hint: "Make one with outputTag<T>('name')." })
}
