import type { Millis, Timestamp } from '../core/time.ts'

/** The periodic emission of watermarks, each `pipeline.auto-watermark-interval`; 0 switches it off (T2). */
export class Ticker {
  next: Timestamp
  readonly #interval: Millis

  constructor(interval: Millis, now: Timestamp) {
    this.#interval = interval
    this.next = interval > 0 ? now + interval : Infinity
  }

  /** Whether a tick is due; the next one is counted from now, as in Flink, so a late tick is not made up for. */
  due(now: Timestamp): boolean {
    if (now < this.next) return false
    this.next = now + this.#interval
    return true
  }
}
