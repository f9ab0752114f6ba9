/** The tumbling window of a timestamp, by its end. The last one is remembered: the remainder of two doubles costs as much as a look-up. */
import { NO_TIMESTAMP, windowStart, type Timestamp } from '../../core/time.ts'
import type { WindowAssignerSpec } from '../../api/time.ts'
import { missingTimestamp, type Blame } from '../user-error.ts'

export class WindowEnds {
  readonly #assigner: WindowAssignerSpec
  readonly #blame: Blame
  #start: Timestamp = Infinity
  #end: Timestamp = -Infinity

  constructor(assigner: WindowAssignerSpec, blame: Blame) {
    this.#assigner = assigner
    this.#blame = blame
  }

  /** @throws {FlinkError} MISSING_TIMESTAMP */
  of(timestamp: Timestamp): Timestamp {
    if (timestamp < this.#start || timestamp >= this.#end) {
      if (timestamp === NO_TIMESTAMP) throw missingTimestamp('a record without timestamp cannot be in a window of event time', this.#blame)
      const { size, offset } = this.#assigner
      this.#start = windowStart(timestamp, offset, size)
      this.#end = this.#start + size
    }
    return this.#end
  }
}
