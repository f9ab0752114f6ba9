/**
 * Timestamps and watermarks in mid-stream with a generator of the user that may emit a watermark with each event: it goes
 * out right behind the record that caused it, so a batch of 512 whose record 7 moves the watermark leaves as 7, watermark,
 * 505. (Without a custom generator the operator is fused, see `fusion/segment.ts`.)
 */
import type { Batch } from '../core/batch.ts'
import { isTimestamp, MAX_TIMESTAMP, type Timestamp } from '../core/time.ts'
import type { JobOperator } from '../graph/job-graph.ts'
import type { TimestampsTransformation } from '../graph/transformation.ts'
import type { ChainContext } from './chain.ts'
import type { Operator } from './operator.ts'
import type { Outputs } from './output.ts'
import { Ticker } from './ticker.ts'
import { blameOf, invalidTimestamp, userError, type Blame } from './user-error.ts'
import { WatermarkTracker } from './watermark-tracker.ts'

export class PunctuatedTimestamps implements Operator {
  readonly #tracker: WatermarkTracker
  readonly #assign: ((value: unknown, recordTimestamp: Timestamp) => Timestamp) | undefined
  readonly #ticker: Ticker
  readonly #outputs: Outputs
  readonly #blame: Blame

  constructor(context: ChainContext, operator: JobOperator, transformation: TimestampsTransformation, outputs: Outputs) {
    this.#assign = transformation.strategy.timestamp
    this.#ticker = new Ticker(context.autoWatermarkInterval, context.now())
    this.#outputs = outputs
    this.#blame = blameOf(context, operator, transformation)
    try {
      this.#tracker = new WatermarkTracker(transformation.strategy, context.now())
    } catch (error) {
      throw userError(error, this.#blame)
    }
  }

  processBatch(batch: Batch): void {
    const out = this.#outputs.main
    for (let i = 0; i < batch.size; i++) {
      const value = batch.values[i]
      const { timestamp, advanced } = this.#observe(value, batch.timestamps[i] as number)
      if (this.#tracker.idle) this.#wake()
      out.emit(value, timestamp)
      if (advanced) this.#outputs.watermark(this.#tracker.watermark)
    }
    this.#outputs.flush()
  }

  #observe(value: unknown, recordTimestamp: Timestamp): { timestamp: Timestamp; advanced: boolean } {
    try {
      const timestamp = this.#assign === undefined ? recordTimestamp : this.#assign(value, recordTimestamp)
      if (!isTimestamp(timestamp)) throw invalidTimestamp(timestamp, this.#blame)
      return { timestamp, advanced: this.#tracker.onEvent(value, timestamp) }
    } catch (error) {
      throw userError(error, this.#blame)
    }
  }

  #wake(): void {
    this.#tracker.idle = false
    this.#outputs.idle(false)
  }

  /** Upstream event time ends here, but for its end. */
  processWatermark(timestamp: Timestamp): void {
    if (timestamp !== MAX_TIMESTAMP) return
    if (this.#tracker.idle) this.#wake()
    this.#outputs.watermark(timestamp)
  }
  processIdle(): void {}

  onTime(now: Timestamp): Timestamp {
    if (this.#ticker.due(now) && this.#tick(now)) {
      if (this.#tracker.idle) this.#outputs.idle(true)
      else this.#outputs.watermark(this.#tracker.watermark)
    }
    return this.#ticker.next
  }

  #tick(now: Timestamp): boolean {
    try {
      return this.#tracker.onTick(now, 0)
    } catch (error) {
      throw userError(error, this.#blame)
    }
  }
}
