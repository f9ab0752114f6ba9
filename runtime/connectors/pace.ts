/**
 * A steady rate for sources: how many records are due since the first look. All subtasks together keep the rate; each
 * keeps its share of it. A restart begins anew.
 */
import { FlinkError } from '../core/errors.ts'

export class Pace {
  readonly #perMs: number
  #since: number | undefined
  #count = 0

  constructor(perSecond: number, parallelism: number) {
    this.#perMs = perSecond / parallelism / 1000
  }

  due(now: number): number {
    // A clock that ran back starts the count anew.
    if (this.#since === undefined || now < this.#since) {
      this.#since = now
      this.#count = 0
    }
    const due = Math.floor((now - this.#since) * this.#perMs) - this.#count
    // A long pause (back-pressure, a suspended machine) is made up for by a second's burst at most.
    const burst = Math.ceil(this.#perMs * 1000)
    if (due > burst) {
      this.#count += due - burst
      return burst
    }
    return due
  }

  emitted(records: number): void {
    this.#count += records
  }

  /** When the next record is due. */
  nextAt(): number {
    return (this.#since ?? 0) + Math.ceil((this.#count + 1) / this.#perMs)
  }
}

export function checkRate(ratePerSecond: number | undefined, what: string): void {
  if (ratePerSecond !== undefined && !(ratePerSecond > 0 && Number.isFinite(ratePerSecond))) {
    throw new FlinkError('INVALID_OPTION', `${what}: ratePerSecond must be above 0, not ${String(ratePerSecond)}`)
  }
}
