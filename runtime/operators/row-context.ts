/** What a process function on a stream without keys is handed: one object per operator, moved from record to record. */
import { NO_TIMESTAMP, type Timestamp } from '../core/time.ts'
import type { OutputTag, ProcessContext } from '../api/functions.ts'
import type { Outputs } from './output.ts'

export class RowContext implements ProcessContext {
  /** Always a number, so that moving to the next record allocates nothing. */
  record: Timestamp = NO_TIMESTAMP
  watermark: Timestamp = NO_TIMESTAMP
  readonly #outputs: Outputs
  readonly #now: () => Timestamp

  constructor(outputs: Outputs, now: () => Timestamp) {
    this.#outputs = outputs
    this.#now = now
  }

  get timestamp(): Timestamp | undefined {
    return this.record === NO_TIMESTAMP ? undefined : this.record
  }
  currentWatermark(): Timestamp {
    return this.watermark
  }
  currentProcessingTime(): Timestamp {
    return this.#now()
  }
  /** Side outputs carry the timestamp of the record (X10). */
  output<X>(tag: OutputTag<X>, value: X): void {
    this.#outputs.side(tag.id)?.emit(value, this.record)
  }
}
