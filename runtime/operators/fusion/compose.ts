/**
 * A segment as composed closures: the path where generated code is forbidden or `exchange.fusion` is off. Same results as
 * `generate.ts`, two to three times slower, because all closures of one kind share their type feedback.
 */
import { isTimestamp, NO_TIMESTAMP, type Timestamp } from '../../core/time.ts'
import type { Output } from '../output.ts'
import type { Fail, RowOperator, RowProgram } from './row-operator.ts'

type Row = (value: unknown, timestamp: Timestamp) => void
/** Which operator runs. */
interface Position {
  at: number
}

export function composeProgram(rows: readonly RowOperator[], out: Output, fail: Fail): RowProgram {
  const position: Position = { at: -1 }
  let first: Row = (value, timestamp) => {
    position.at = -1
    out.emit(value, timestamp)
  }
  for (let at = rows.length - 1; at >= 0; at--) first = link(rows[at] as RowOperator, at, first, position, fail)
  return (values, timestamps, size) => {
    try {
      for (let i = 0; i < size; i++) first(values[i], timestamps[i] as number)
    } catch (error) {
      throw fail(error, position.at)
    }
  }
}

function link(row: RowOperator, at: number, next: Row, position: Position, fail: Fail): Row {
  switch (row.kind) {
    case 'map': {
      const { fn } = row
      return (value, timestamp) => {
        position.at = at
        next(fn(value), timestamp)
      }
    }
    case 'filter': {
      const { fn } = row
      return (value, timestamp) => {
        position.at = at
        if (fn(value)) next(value, timestamp)
      }
    }
    case 'flatMap': {
      const { fn } = row
      const collector = new SiteCollector(at, next, position, fail)
      return (value, timestamp) => {
        position.at = at
        collector.timestamp = timestamp
        const results = fn(value, collector)
        if (results === undefined || results === null) return
        for (const result of results) {
          next(result, timestamp)
          position.at = at
        }
      }
    }
    case 'process': {
      const { fn, context } = row
      const collector = new SiteCollector(at, next, position, fail)
      return (value, timestamp) => {
        position.at = at
        collector.timestamp = timestamp
        context.record = timestamp
        fn.process(value, context, collector)
      }
    }
    case 'timestamps': {
      const { fn, tracker, wake, invalid } = row
      return (value, timestamp) => {
        position.at = at
        if (fn !== undefined) {
          timestamp = fn(value, timestamp)
          if (!isTimestamp(timestamp)) throw invalid(timestamp)
        }
        tracker.events++
        if (timestamp > tracker.maximum) tracker.maximum = timestamp
        if (tracker.idle) wake()
        next(value, timestamp)
      }
    }
  }
}

class SiteCollector {
  timestamp: Timestamp = NO_TIMESTAMP
  readonly #at: number
  readonly #next: Row
  readonly #position: Position
  readonly #fail: Fail

  constructor(at: number, next: Row, position: Position, fail: Fail) {
    this.#at = at
    this.#next = next
    this.#position = position
    this.#fail = fail
  }
  collect(value: unknown): void {
    try {
      this.#next(value, this.timestamp)
    } catch (error) {
      throw this.#fail(error, this.#position.at)
    }
    this.#position.at = this.#at
  }
}
