/**
 * The windows that hold something, by their end: which of them fire at a watermark and which are over. One entry per
 * window and subtask stands for the timers that Flink keeps per window and key: all keys of a tumbling window fire and
 * end together.
 */
import type { Millis, Timestamp } from '../../core/time.ts'

export class PendingWindows {
  readonly #lateness: Millis
  /** Ends ascending; the last is nearly always the one that is added. */
  readonly #ends: number[] = []
  /** How many of them, from the front, have fired and wait for their clean-up. */
  #fired = 0

  constructor(lateness: Millis) {
    this.#lateness = lateness
  }

  /** The last instant of a window is `end - 1`; it fires at a watermark of that (W1, W2). */
  static reached(end: Timestamp, watermark: Timestamp): boolean {
    return end - 1 <= watermark
  }
  /** Over: nothing is accepted any more (W7). Saturates with an infinite lateness. */
  over(end: Timestamp, watermark: Timestamp): boolean {
    return end - 1 + this.#lateness <= watermark
  }

  add(end: Timestamp): void {
    const ends = this.#ends
    let low = 0
    let high = ends.length
    if (high > 0 && (ends[high - 1] as number) < end) low = high
    while (low < high) {
      const middle = (low + high) >> 1
      if ((ends[middle] as number) < end) low = middle + 1
      else high = middle
    }
    if (ends[low] === end) return
    ends.splice(low, 0, end)
    if (low < this.#fired) this.#fired++
  }

  /** The next window to fire at this watermark; each is given once. */
  takeReached(watermark: Timestamp): Timestamp | undefined {
    const end = this.#ends[this.#fired]
    if (end === undefined || !PendingWindows.reached(end, watermark)) return undefined
    this.#fired++
    return end
  }

  /** The next window that is over. */
  takeOver(watermark: Timestamp): Timestamp | undefined {
    const end = this.#ends[0]
    if (end === undefined || !this.over(end, watermark)) return undefined
    this.#ends.shift()
    if (this.#fired > 0) this.#fired--
    return end
  }
}
