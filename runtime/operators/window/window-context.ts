/** What a window function is handed: one context and one collector per operator, moved from firing to firing. */
import { MIN_TIMESTAMP, NO_TIMESTAMP, type Timestamp } from '../../core/time.ts'
import type { Collector, OutputTag, TimeWindow, WindowContext } from '../../api/functions.ts'
import type { Outputs } from '../output.ts'
import { createCopier } from '../../codec/copy.ts'

export class WindowFunctionContext implements WindowContext<unknown> {
  key: unknown
  window: TimeWindow = { start: 0, end: 0 }
  watermark: Timestamp = MIN_TIMESTAMP
  record: Timestamp = NO_TIMESTAMP
  readonly #outputs: Outputs
  readonly #copies: boolean
  readonly #copy = createCopier({ what: 'side output' })
  readonly #now: () => Timestamp

  constructor(outputs: Outputs, copies: boolean, now: () => Timestamp) {
    this.#outputs = outputs
    this.#copies = copies
    this.#now = now
  }
  currentWatermark(): Timestamp {
    return this.watermark
  }
  currentProcessingTime(): Timestamp {
    return this.#now()
  }
  output<X>(tag: OutputTag<X>, value: X): void {
    this.#outputs.side(tag.id)?.emit(this.#copies ? this.#copy(value) : value, this.record)
  }
}

/** Results carry the last instant of their window (W1). */
export class WindowResults implements Collector<unknown> {
  timestamp: Timestamp = NO_TIMESTAMP
  readonly #outputs: Outputs
  readonly #copies: boolean
  readonly #copy = createCopier({ what: 'window result' })

  constructor(outputs: Outputs, copies: boolean) {
    this.#outputs = outputs
    this.#copies = copies
  }
  collect(value: unknown): void {
    this.#outputs.main.emit(this.#copies ? this.#copy(value) : value, this.timestamp)
  }
}
