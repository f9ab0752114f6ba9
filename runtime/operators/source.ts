/**
 * The source at the head of a chain: drives a `SourceReader`, puts its records into batches, and makes the watermarks.
 *
 * Watermarks are made per split and combined by their minimum in here, where the interleaving of splits is not yet lost
 * (T13, Flink `WatermarkOutputMultiplexer`). Idle splits hold nothing back; when all are idle, or the subtask has none,
 * it says that it is idle (T14). At the end of its input it sends the MAX watermark (T16).
 *
 * Records that a reader emits outside any split count as one split of their own.
 */
import { isTimestamp, MAX_TIMESTAMP, MIN_TIMESTAMP, NO_TIMESTAMP, type Millis, type Timestamp } from '../core/time.ts'
import { assert } from '../core/assert.ts'
import type { PollResult, SourceOutput, SourceReader } from '../api/connector.ts'
import type { ResolvedWatermarkStrategy } from '../api/time.ts'
import { decodeValue, encodeValue } from '../codec/value-codec.ts'
import type { JobOperator } from '../graph/job-graph.ts'
import type { SourceTransformation } from '../graph/transformation.ts'
import type { ChainContext } from './chain.ts'
import type { SnapshotSink } from './keyed-state.ts'
import type { Operator } from './operator.ts'
import type { Outputs } from './output.ts'
import { Ticker } from './ticker.ts'
import { blameOf, invalidTimestamp, userError, type Blame } from './user-error.ts'
import { WatermarkTracker } from './watermark-tracker.ts'

const splitsState = 'splits'
const noSplit = ''
const noStrategy: ResolvedWatermarkStrategy = { timestamp: undefined, policy: { kind: 'none' }, idleness: undefined }

export class SourceOperator implements Operator, SourceOutput<unknown> {
  readonly #context: ChainContext
  readonly #id: string
  readonly #reader: SourceReader<unknown, unknown>
  readonly #outputs: Outputs
  readonly #blame: Blame
  readonly #strategy: ResolvedWatermarkStrategy
  /** The stream has no event time: records pass with the timestamps they have. */
  readonly #untimed: boolean
  readonly #ticker: Ticker | undefined
  /** By split id, those that have emitted something or were announced and have not ended. */
  readonly #trackers = new Map<string, WatermarkTracker>()
  #current: WatermarkTracker | undefined
  #watermark: Timestamp = MIN_TIMESTAMP
  #idle = false
  #ended = false
  #noMoreSplits = false
  /** While there is no split: since when. */
  #emptySince: Timestamp
  #lastPoll: Timestamp
  #lastResult: PollResult = 'more'
  /** How long the reader had more but was not asked, since the last tick. */
  #paused: Millis = 0
  /** Collected since the start: what a source has received, though it comes from no task. */
  recordsRead = 0

  constructor(context: ChainContext, operator: JobOperator, transformation: SourceTransformation, outputs: Outputs) {
    this.#context = context
    this.#id = operator.id
    this.#outputs = outputs
    this.#blame = blameOf(context, operator, transformation)
    this.#strategy = transformation.strategy ?? noStrategy
    this.#untimed = transformation.strategy === undefined
    const now = context.now()
    this.#emptySince = now
    this.#lastPoll = now
    this.#ticker = this.#strategy.policy.kind !== 'none' || this.#strategy.idleness !== undefined ? new Ticker(context.autoWatermarkInterval, now) : undefined
    this.#reader = this.#guard(() =>
      transformation.source.createReader({
        subtask: context.subtask,
        parallelism: context.parallelism,
        projectDirectory: context.projectDirectory,
        files: context.files,
        now: () => context.now(),
        requestSplit: () => context.requestSplit(operator.id),
      }),
    )
  }

  open(): void {
    const restored = this.#context.restored.list(this.#id, splitsState)
    this.#guard(() => {
      for (const bytes of restored) this.#reader.addSplit(decodeValue(bytes))
      this.#reader.start()
    })
  }

  poll(maxRecords: number): PollResult {
    if (this.#ended) return 'end'
    this.#countPause(this.#context.now())
    const result = this.#guard(() => this.#reader.poll(this, maxRecords))
    this.#outputs.flush()
    this.#lastResult = result
    if (result === 'end') {
      this.#ended = true
      this.processWatermark(MAX_TIMESTAMP)
    } else if (result === 'waiting' && this.#noMoreSplits && this.#ticker !== undefined && !this.#hasSplits()) {
      this.#setIdle(true)
    }
    return result
  }
  addSplit(split: unknown): void {
    this.#guard(() => this.#reader.addSplit(split))
  }
  noMoreSplits(): void {
    this.#noMoreSplits = true
    this.#guard(() => this.#reader.noMoreSplits())
  }

  // What the reader calls.

  beginSplit(splitId: string): void {
    let tracker = this.#trackers.get(splitId)
    if (tracker === undefined) {
      tracker = new WatermarkTracker(this.#strategy, this.#context.now())
      this.#trackers.set(splitId, tracker)
    }
    this.#current = tracker
  }

  endSplit(splitId: string): void {
    const tracker = this.#trackers.get(splitId)
    if (tracker === undefined) return
    this.#trackers.delete(splitId)
    if (this.#current === tracker) this.#current = undefined
    if (this.#trackers.size === 0) this.#emptySince = this.#context.now()
    else this.#combine()
  }

  collect(value: unknown, timestamp: Timestamp = NO_TIMESTAMP): void {
    this.recordsRead++
    if (!isTimestamp(timestamp)) throw invalidTimestamp(timestamp, this.#blame, 'its reader')
    const strategy = this.#strategy
    if (this.#untimed) {
      this.#outputs.main.emit(value, timestamp)
      return
    }
    if (strategy.timestamp !== undefined) {
      timestamp = strategy.timestamp(value, timestamp)
      if (!isTimestamp(timestamp)) throw invalidTimestamp(timestamp, this.#blame)
    }
    const tracker = this.#tracker()
    const advanced = tracker.onEvent(value, timestamp)
    if (this.#idle || tracker.idle) {
      tracker.idle = false
      this.#setIdle(false)
    }
    this.#outputs.main.emit(value, timestamp)
    if (advanced) this.#combine()
  }

  emitWatermark(timestamp: Timestamp): void {
    if (this.#tracker().replace(timestamp)) this.#combine()
  }

  #tracker(): WatermarkTracker {
    if (this.#current === undefined) this.beginSplit(noSplit)
    return this.#current as WatermarkTracker
  }

  // Time.

  onTime(now: Timestamp): Timestamp {
    const ticker = this.#ticker
    if (ticker === undefined || this.#ended) return Infinity
    if (ticker.due(now)) {
      this.#countPause(now)
      this.#tick(now, this.#paused)
      this.#paused = 0
    }
    return ticker.next
  }

  /** A reader that has more but was not asked for a whole interval is back-pressured, not quiet (T12). */
  #countPause(now: Timestamp): void {
    const passed = now - this.#lastPoll
    this.#lastPoll = now
    if (this.#lastResult === 'more' && passed >= this.#context.autoWatermarkInterval) this.#paused += passed
  }

  #tick(now: Timestamp, paused: Millis): void {
    if (this.#trackers.size === 0) {
      // Not at once: the split that was asked for may be on its way, and its records would be late if others went ahead.
      // A split that has not emitted anything yet is waited for like any other.
      this.#emptySince += paused
      const grace = this.#strategy.idleness ?? (this.#hasSplits() ? Infinity : this.#context.autoWatermarkInterval)
      if (now - this.#emptySince >= grace) this.#setIdle(true)
      return
    }
    this.#guard(() => {
      for (const tracker of this.#trackers.values()) tracker.onTick(now, paused)
    })
    this.#combine()
  }

  /** Some may not have emitted anything yet, so the reader is asked. */
  #hasSplits(): boolean {
    return this.#trackers.size > 0 || this.#guard(() => this.#reader.snapshot()).length > 0
  }

  #combine(): void {
    let minimum = Infinity
    let active = false
    for (const tracker of this.#trackers.values()) {
      if (tracker.idle) continue
      active = true
      if (tracker.watermark < minimum) minimum = tracker.watermark
    }
    if (!active) this.#setIdle(true)
    else if (minimum > this.#watermark) {
      this.#watermark = minimum
      this.#outputs.watermark(minimum)
    }
  }

  #setIdle(idle: boolean): void {
    if (this.#idle === idle) return
    this.#idle = idle
    this.#outputs.idle(idle)
  }

  get watermark(): Timestamp {
    return this.#watermark
  }

  /** From the task: event time ends (end of input, or stop with drain). */
  processWatermark(timestamp: Timestamp): void {
    assert(timestamp === MAX_TIMESTAMP, 'a source has no upstream watermark but the last')
    this.#setIdle(false)
    this.#watermark = timestamp
    this.#outputs.watermark(timestamp)
  }
  processBatch(): void {
    assert(false, 'a source has no input')
  }
  processIdle(): void {
    assert(false, 'a source has no input')
  }

  snapshot(sink: SnapshotSink): undefined {
    const splits = this.#guard(() => this.#reader.snapshot())
    sink.list(splitsState, splits.map(split => encodeValue(split, 'a split')))
  }

  close(): void {
    this.#reader.close?.()
  }

  #guard<T>(call: () => T): T {
    try {
      return call()
    } catch (error) {
      throw userError(error, this.#blame)
    }
  }
}
