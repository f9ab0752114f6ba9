/** Where a job's streams begin, and what holds for the whole job. Flink `StreamExecutionEnvironment`. */
import type { Duration } from '../core/time.ts'
import type { SourceTransformation } from '../graph/transformation.ts'
import { collectionSource, sequenceSource } from '../connectors/collection.ts'
import type { JobBuilder } from './builder.ts'
import type { Source } from './connector.ts'
import { checkSource, describe, durationOption, parallelismOption, refuse, textOption } from './refuse.ts'
import { SingleOutputStreamOperator, type EventTime, type NoTime, type Time } from './streams.ts'
import { resolveWatermarkStrategy, type WatermarkStrategy } from './watermarks.ts'
import type { ResolvedWatermarkStrategy } from './time.ts'

/**
 * Handed to the function given to `job(...)`. Settings made here win over `-D` keys and flags, as in Flink; settings of
 * one operator win over these.
 */
export class StreamExecutionEnvironment {
  readonly #builder: JobBuilder

  /** @internal */
  constructor(builder: JobBuilder) {
    this.#builder = builder
  }

  /**
   * A bounded stream of these values, in this order: its parallelism is 1 unless you set another.
   *
   * @example
   * env.fromData(['to be', 'or not to be'])
   */
  fromData<T>(values: readonly T[]): SingleOutputStreamOperator<T, NoTime> {
    if (!Array.isArray(values)) refuse('INVALID_OPTION', `fromData takes an array, not ${describe(values)}`, { hint: 'For example env.fromData([1, 2, 3]).' })
    const stream = this.#source<T, NoTime>(collectionSource(values), undefined, undefined)
    return stream.setParallelism(1)
  }

  /**
   * The whole numbers `from` to `to`, both inclusive, split over the subtasks. Flink `fromSequence`.
   *
   * @example
   * env.fromSequence(1, 1_000_000)
   */
  fromSequence(from: number, to: number): SingleOutputStreamOperator<number, NoTime> {
    for (const bound of [from, to]) {
      if (!Number.isSafeInteger(bound)) refuse('INVALID_OPTION', `fromSequence: ${describe(bound) === 'a number' ? bound : describe(bound)} is not a whole number`, { hint: 'Both ends must be safe integers.' })
    }
    if (from > to) refuse('INVALID_OPTION', `fromSequence: ${from} is above ${to}`, { hint: 'The first number comes first.' })
    return this.#source(sequenceSource(from, to), undefined, undefined)
  }

  /**
   * A stream of what `source` reads. With a watermark strategy it has event time, with a watermark per split. `name` is
   * the operator's name; the test kit finds the source by it.
   *
   * @example
   * env.fromSource(fileSource({ path: 'orders.csv', format }), { timestamp: o => o.time, watermark: boundedOutOfOrderness('5 s') }, 'orders')
   */
  fromSource<T>(source: Source<T>): SingleOutputStreamOperator<T, NoTime>
  fromSource<T>(source: Source<T>, strategy: WatermarkStrategy<NoInfer<T>>, name?: string): SingleOutputStreamOperator<T, EventTime>
  fromSource<T>(source: Source<T>, strategy: undefined, name?: string): SingleOutputStreamOperator<T, NoTime>
  fromSource<T>(source: Source<T>, strategy?: WatermarkStrategy<T>, name?: string): SingleOutputStreamOperator<T, Time> {
    checkSource(source, 'fromSource')
    if (name !== undefined) textOption(name, 'fromSource: name')
    return this.#source(source, strategy === undefined ? undefined : resolveWatermarkStrategy(strategy, 'fromSource'), name)
  }

  /**
   * Parallelism of every operator that does not set its own, 1 to 32,768. Over `--parallelism` and `parallelism.default`.
   *
   * @example
   * env.setParallelism(4)
   */
  setParallelism(parallelism: number): this {
    this.#builder.configure('parallelism', parallelismOption(parallelism, 'setParallelism'))
    return this
  }

  /**
   * Key groups of every operator that does not set its own; see `SingleOutputStreamOperator.setMaxParallelism`.
   *
   * @example
   * env.setMaxParallelism(512)
   */
  setMaxParallelism(maxParallelism: number): this {
    this.#builder.configure('maxParallelism', parallelismOption(maxParallelism, 'setMaxParallelism'))
    return this
  }

  /**
   * Takes a checkpoint each `interval` (at least 10 ms), so that the job goes on after a failure as if nothing had
   * happened, and two-phase sinks publish. Key `execution.checkpointing.interval`.
   *
   * @example
   * env.enableCheckpointing('1 s')
   */
  enableCheckpointing(interval: Duration): this {
    this.#builder.configure('checkpointInterval', durationOption(interval, 'enableCheckpointing', shortestCheckpointInterval))
    return this
  }

  /**
   * How long a batch that is not full may wait before it is sent; 0 sends after each turn. Key
   * `execution.buffer-timeout.interval`.
   *
   * @example
   * env.setBufferTimeout('1 ms')
   */
  setBufferTimeout(timeout: Duration): this {
    this.#builder.configure('bufferTimeout', durationOption(timeout, 'setBufferTimeout', 0))
    return this
  }

  /**
   * How often watermarks are generated; at least 1 ms. Key `pipeline.auto-watermark-interval`.
   *
   * @example
   * env.setAutoWatermarkInterval('50 ms')
   */
  setAutoWatermarkInterval(interval: Duration): this {
    this.#builder.configure('autoWatermarkInterval', durationOption(interval, 'setAutoWatermarkInterval', 1))
    return this
  }

  /** Makes every operator a task of its own: slower, and easier to look at. Key `pipeline.operator-chaining.enabled`. */
  disableOperatorChaining(): this {
    this.#builder.configure('disableChaining', true)
    return this
  }

  /**
   * You promise that no function changes a value that it was given or has emitted; then nothing is copied for safety.
   * Key `pipeline.object-reuse`.
   */
  enableObjectReuse(): this {
    this.#builder.configure('objectReuse', true)
    return this
  }

  #source<T, E extends Time>(source: Source<T>, strategy: ResolvedWatermarkStrategy | undefined, name: string | undefined): SingleOutputStreamOperator<T, E> {
    const node = this.#builder.add<SourceTransformation>({
      kind: 'source',
      name: name ?? source.name,
      source: source as Source<unknown>,
      ...(strategy === undefined ? {} : { strategy }),
    })
    return new SingleOutputStreamOperator(this.#builder, node)
  }
}

/** ms; Flink `CheckpointConfig.MINIMAL_CHECKPOINT_TIME`. */
const shortestCheckpointInterval = 10
