/**
 * Where an operator's records go: the other operators of the chain that read this output, and the channels if it leaves
 * the chain. Records are gathered into batches of at most `exchange.batchSize`; everything that is not a record flushes
 * first, so that batching cannot be seen.
 *
 * Several consumers of one output get the same values by reference, as in Flink with object reuse inside a chain: nobody
 * changes a value that travels. The channels come last, because the batch is given up to them.
 */
import type { Batch, BatchPool } from '../core/batch.ts'
import type { Timestamp } from '../core/time.ts'
import { MIN_TIMESTAMP } from '../core/time.ts'
import type { ChainOutput, ChainWatermarks } from './chain.ts'
import type { FirstFailure } from './first-failure.ts'
import type { Operator } from './operator.ts'

export class Output {
  readonly capacity: number
  values!: unknown[]
  timestamps!: Float64Array
  size = 0
  #batch!: Batch
  readonly #batches: BatchPool
  /** Records that came by here. */
  passed = 0
  readonly #consumers: readonly Operator[]
  readonly #leaving: ChainOutput | undefined
  readonly #failure: FirstFailure

  constructor(batches: BatchPool, consumers: readonly Operator[], leaving: ChainOutput | undefined, failure: FirstFailure) {
    this.capacity = batches.capacity
    this.#batches = batches
    this.#fill(batches.take())
    this.#consumers = consumers
    this.#leaving = leaving
    this.#failure = failure
  }

  /** Something outside the chain reads it. */
  get leaves(): boolean {
    return this.#leaving !== undefined
  }

  emit(value: unknown, timestamp: Timestamp): void {
    const at = this.size
    this.values[at] = value
    this.timestamps[at] = timestamp
    this.size = at + 1
    if (at + 1 === this.capacity) this.flush()
  }

  flush(): void {
    const size = this.size
    if (size === 0) return
    const batch = this.#batch
    batch.size = size
    this.size = 0
    this.passed += size
    try {
      for (const consumer of this.#consumers) consumer.processBatch(batch)
      if (this.#leaving === undefined) {
        this.#batches.give(batch)
        this.#fill(this.#batches.take())
        return
      }
      this.#fill(this.#batches.take())
      this.#leaving.emitBatch(batch)
    } catch (error) {
      throw this.#failure.keep(error)
    }
  }

  #fill(batch: Batch): void {
    this.#batch = batch
    this.values = batch.values
    this.timestamps = batch.timestamps
  }
}

/** User code may make up tags without end; beyond these each use is looked up again. */
const maxUnreadTags = 64

/** A consumer inside the chain, of the main output or of a side output. */
export interface Consumer {
  readonly tag: string | undefined
  readonly operator: Operator
}

/**
 * Everything that leaves one operator: its main output, its side outputs, and its watermarks. (What continues it inside a
 * fused segment is not a consumer: the segment hands records and watermarks on by itself.)
 */
export class Outputs {
  readonly main: Output
  /** The last watermark that was sent. */
  watermarkSent: Timestamp = MIN_TIMESTAMP
  #idle = false
  readonly #index: number
  readonly #sides = new Map<string, Output>()
  /** Tags that were asked for and that nobody reads. */
  readonly #unread = new Set<string>()
  readonly #consumers: readonly Consumer[]
  readonly #batches: BatchPool
  readonly #leaving: (tag: string | undefined) => ChainOutput | undefined
  readonly #watermarks: ChainWatermarks
  readonly #failure: FirstFailure

  constructor(options: {
    readonly index: number
    readonly batches: BatchPool
    readonly consumers: readonly Consumer[]
    leaving(tag: string | undefined): ChainOutput | undefined
    readonly watermarks: ChainWatermarks
    readonly failure: FirstFailure
  }) {
    this.#index = options.index
    this.#batches = options.batches
    this.#consumers = options.consumers
    this.#leaving = options.leaving
    this.#watermarks = options.watermarks
    this.#failure = options.failure
    this.main = this.#create(undefined)
    for (const { tag } of options.consumers) if (tag !== undefined) this.side(tag)
  }

  /** Undefined if nobody reads this tag: such records are dropped silently, as in Flink (X6). */
  side(tag: string): Output | undefined {
    const known = this.#sides.get(tag)
    if (known !== undefined) return known
    if (this.#unread.has(tag)) return undefined
    const read = this.#consumers.some(consumer => consumer.tag === tag) || this.#leaving(tag) !== undefined
    if (!read) {
      if (this.#unread.size < maxUnreadTags) this.#unread.add(tag)
      return undefined
    }
    const output = this.#create(tag)
    this.#sides.set(tag, output)
    return output
  }

  #create(tag: string | undefined): Output {
    const consumers = this.#consumers.filter(consumer => consumer.tag === tag).map(consumer => consumer.operator)
    return new Output(this.#batches, consumers, this.#leaving(tag), this.#failure)
  }

  flush(): void {
    this.main.flush()
    if (this.#sides.size > 0) for (const side of this.#sides.values()) side.flush()
  }

  /** Sends a watermark to whatever reads any output; one that does not advance is dropped (T3). */
  watermark(timestamp: Timestamp): boolean {
    if (!(timestamp > this.watermarkSent)) return false
    this.watermarkSent = timestamp
    this.flush()
    try {
      for (const { operator } of this.#consumers) operator.processWatermark(timestamp)
      this.#watermarks.watermark(timestamp, this.#index)
    } catch (error) {
      throw this.#failure.keep(error)
    }
    return true
  }

  idle(idle: boolean): void {
    if (idle === this.#idle) return
    this.#idle = idle
    this.flush()
    try {
      for (const { operator } of this.#consumers) operator.processIdle(idle)
      this.#watermarks.idle(idle, this.#index)
    } catch (error) {
      throw this.#failure.keep(error)
    }
  }

  /** Records that came by, side outputs included. */
  get recordsPassed(): number {
    let passed = this.main.passed
    for (const side of this.#sides.values()) passed += side.passed
    return passed
  }
  /** Those that left the chain. */
  get recordsLeft(): number {
    let left = this.main.leaves ? this.main.passed : 0
    for (const side of this.#sides.values()) if (side.leaves) left += side.passed
    return left
  }
}
