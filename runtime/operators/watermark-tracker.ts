/**
 * Watermarks of one split (inside a source) or of one subtask's input (`timestamps` in mid-stream): the largest timestamp
 * seen, or a generator of the user, and whether it has been quiet for so long that it counts as idle.
 *
 * `bounded` emits on the tick `largest - bound - 1` (T1); monotonous timestamps are bound 0. A custom generator may also
 * emit with each event. A watermark never goes back (T3). Idleness is noticed on the tick, as in Flink; activity at once,
 * before the record that ends it, so that this record is not late for everybody behind.
 */
import type { Millis, Timestamp } from '../core/time.ts'
import { MIN_TIMESTAMP } from '../core/time.ts'
import type { ResolvedWatermarkStrategy, WatermarkGenerator } from '../api/time.ts'

export class WatermarkTracker {
  /** Fused code raises these two by itself, for every record. */
  maximum: Timestamp = MIN_TIMESTAMP
  events = 0
  watermark: Timestamp = MIN_TIMESTAMP
  idle = false
  generator: WatermarkGenerator<unknown> | undefined
  #bound: Millis | undefined
  readonly #idleness: Millis | undefined
  #eventsAtTick = 0
  #quietSince: Timestamp

  constructor(strategy: ResolvedWatermarkStrategy, now: Timestamp) {
    const { policy } = strategy
    this.generator = policy.kind === 'custom' ? policy.create() : undefined
    this.#bound = policy.kind === 'bounded' ? policy.bound : undefined
    this.#idleness = strategy.idleness
    this.#quietSince = now
  }

  /** True if a generator of the user moved the watermark with this event. */
  onEvent(value: unknown, timestamp: Timestamp): boolean {
    this.events++
    if (timestamp > this.maximum) this.maximum = timestamp
    return this.generator !== undefined && this.#raise(this.generator.onEvent(value, timestamp))
  }

  /** True if the watermark moved, or idleness began. `paused` is how long its owner was not even asked for records: that time does not count as quiet (T12). */
  onTick(now: Timestamp, paused: Millis): boolean {
    this.#quietSince += paused
    if (this.events !== this.#eventsAtTick) {
      this.#eventsAtTick = this.events
      this.#quietSince = now
    } else if (this.#idleness !== undefined && now - this.#quietSince >= this.#idleness) {
      const began = !this.idle
      this.idle = true
      return began
    }
    if (this.generator !== undefined) return this.#raise(this.generator.onPeriodic())
    return this.#bound !== undefined && this.#raise(this.maximum - this.#bound - 1)
  }

  /** The source knows better: its watermarks take the place of the strategy's. */
  replace(watermark: Timestamp): boolean {
    this.generator = undefined
    this.#bound = undefined
    return this.#raise(watermark)
  }

  #raise(to: Timestamp | undefined | void): boolean {
    // Written so that NaN of a user's generator is ignored too.
    if (typeof to !== 'number' || !(to > this.watermark)) return false
    this.watermark = to
    return true
  }
}
