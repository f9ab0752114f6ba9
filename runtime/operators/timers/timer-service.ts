/**
 * The timers of one keyed operator: event time and processing time, fired under their own key, kept in snapshots per key
 * group so that they move with their key when the parallelism changes (M7). Semantics: Flink `InternalTimerServiceImpl`.
 */
import { MIN_TIMESTAMP, type Timestamp } from '../../core/time.ts'
import type { TimerService } from '../../api/functions.ts'
import { decodeValue } from '../../codec/value-codec.ts'
import type { KeyedBlock, KeyedStateBackend, SnapshotRun, SnapshotSink } from '../keyed-state.ts'
import { own } from '../ownership.ts'
import { TimerQueue } from './timer-queue.ts'
import { TimerSnapshot } from './timer-snapshot.ts'

const eventTimersState = '_timers/event'
const processingTimersState = '_timers/processing'

export type TimeDomain = 'event' | 'processing'
/** The backend's current key is the timer's. */
export type OnTimer = (timestamp: Timestamp, key: unknown, domain: TimeDomain) => void

export class KeyedTimers implements TimerService {
  readonly #event = new TimerQueue()
  readonly #processing = new TimerQueue()
  readonly #backend: KeyedStateBackend
  readonly #now: () => Timestamp
  readonly #onTimer: OnTimer
  #watermark: Timestamp = MIN_TIMESTAMP

  constructor(backend: KeyedStateBackend, now: () => Timestamp, onTimer: OnTimer) {
    this.#backend = backend
    this.#now = now
    this.#onTimer = onTimer
  }

  currentWatermark(): Timestamp {
    return this.#watermark
  }
  currentProcessingTime(): Timestamp {
    return this.#now()
  }
  /** One at or before the watermark fires when the watermark next advances, not now (M2). */
  registerEventTimeTimer(at: Timestamp): void {
    this.#add(this.#event, at)
  }
  deleteEventTimeTimer(at: Timestamp): void {
    this.#event.delete(at, this.#backend.currentKey())
  }
  registerProcessingTimeTimer(at: Timestamp): void {
    this.#add(this.#processing, at)
  }
  deleteProcessingTimeTimer(at: Timestamp): void {
    this.#processing.delete(at, this.#backend.currentKey())
  }

  #add(queue: TimerQueue, at: Timestamp): void {
    // `Infinity` is reached by the watermark at the end of input only: how a function learns of it.
    if (!Number.isSafeInteger(at) && at !== Infinity) throw new RangeError(`a timer cannot be set to ${String(at)}: it takes whole epoch milliseconds`)
    queue.add(at, own(this.#backend.currentKey()), this.#backend.currentKeyGroup())
  }

  /** Fires every event-time timer up to the watermark, those included that are registered meanwhile (M2). */
  advanceWatermark(watermark: Timestamp): void {
    this.#watermark = watermark
    this.#fire(this.#event, watermark, 'event')
  }

  /** Fires what the clock is past: a timer for `t` fires at `t + 1` (M5). Returns when there is more to do. */
  advanceProcessingTime(now: Timestamp): Timestamp {
    this.#fire(this.#processing, now - 1, 'processing')
    return this.#processing.next() + 1
  }

  #fire(queue: TimerQueue, until: Timestamp, domain: TimeDomain): void {
    for (let timer = queue.takeUntil(until); timer !== undefined; timer = queue.takeUntil(until)) {
      this.#backend.setCurrentKey(timer.key)
      this.#onTimer(timer.timestamp, timer.key, domain)
    }
  }

  get pending(): number {
    return this.#event.size + this.#processing.size
  }

  /** Of all timers that are set now; they are written in steps. */
  snapshot(sink: SnapshotSink): SnapshotRun {
    return new TimerSnapshot({ [eventTimersState]: this.#event, [processingTimersState]: this.#processing }, sink)
  }

  restore(block: KeyedBlock): void {
    const queue = block.state === eventTimersState ? this.#event : this.#processing
    const [timestamps, keys] = decodeValue(block.bytes) as [number[], unknown[]]
    for (let i = 0; i < timestamps.length; i++) queue.add(timestamps[i] as number, keys[i], block.keyGroup)
  }
}
