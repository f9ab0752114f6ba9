/**
 * Neighbouring row-wise operators as one operator. Records run through the fused program; watermarks and idleness walk
 * through the operators one by one, because a process function sees its own current watermark, a `timestamps` operator
 * ends the watermarks that come from upstream, and each may have side outputs.
 */
import type { Batch } from '../../core/batch.ts'
import { assert } from '../../core/assert.ts'
import { MAX_TIMESTAMP, type Timestamp } from '../../core/time.ts'
import { canGenerate } from '../../codec/code-generation.ts'
import type { JobOperator } from '../../graph/job-graph.ts'
import type { OperatorTransformation } from '../../graph/transformation.ts'
import type { ChainContext } from '../chain.ts'
import type { FirstFailure } from '../first-failure.ts'
import type { Operator } from '../operator.ts'
import type { Outputs } from '../output.ts'
import { RowContext } from '../row-context.ts'
import { Ticker } from '../ticker.ts'
import { blameOf, invalidTimestamp, userError, type Blame } from '../user-error.ts'
import { WatermarkTracker } from '../watermark-tracker.ts'
import { composeProgram } from './compose.ts'
import { generateProgram } from './generate.ts'
import type { RecordSink, RowOperator, RowProgram } from './row-operator.ts'

export interface SegmentMember {
  readonly operator: JobOperator
  readonly transformation: OperatorTransformation
  readonly outputs: Outputs
}

/** The sink that is all that reads the last of them. */
export interface SegmentSink extends Omit<SegmentMember, 'outputs'> {
  readonly sink: RecordSink
}

export class Segment implements Operator {
  readonly #rows: readonly RowOperator[]
  readonly #outputs: readonly Outputs[]
  readonly #last: Outputs
  readonly #ticker: Ticker | undefined
  readonly #program: RowProgram

  constructor(context: ChainContext, members: readonly SegmentMember[], failure: FirstFailure, end?: SegmentSink) {
    const all = end === undefined ? members : [...members, end]
    const blames = all.map(member => blameOf(context, member.operator, member.transformation))
    this.#outputs = members.map(member => member.outputs)
    this.#last = this.#outputs.at(-1) as Outputs
    const now = context.now()
    this.#rows = members.map((member, at) => this.#row(member, at, context, blames[at] as Blame, now))
    const fail = (error: unknown, at: number) => failure.keep(at < 0 ? error : userError(error, blames[at] as Blame))
    this.#program =
      context.exchange.fusion && canGenerate
        ? generateProgram(this.#rows, this.#last.main, fail, all.map(member => member.operator.name).join(' -> '), end?.sink)
        : composeProgram(this.#rows, this.#last.main, fail)
    this.#ticker = this.#rows.some(row => row.kind === 'timestamps') ? new Ticker(context.autoWatermarkInterval, now) : undefined
  }

  #row(member: SegmentMember, at: number, context: ChainContext, blame: Blame, now: Timestamp): RowOperator {
    const { transformation, outputs } = member
    switch (transformation.kind) {
      case 'map':
        return { kind: 'map', fn: transformation.fn }
      case 'filter':
        return { kind: 'filter', fn: transformation.fn }
      case 'flatMap':
        return { kind: 'flatMap', fn: transformation.fn }
      case 'process': {
        return { kind: 'process', fn: transformation.fn, context: new RowContext(outputs, () => context.now()) }
      }
      case 'timestamps': {
        const tracker = new WatermarkTracker(transformation.strategy, now)
        const wake = () => {
          tracker.idle = false
          this.#idleOutOf(at, false)
        }
        const invalid = (timestamp: unknown) => invalidTimestamp(timestamp, blame)
        return { kind: 'timestamps', fn: transformation.strategy.timestamp, tracker, wake, invalid }
      }
      default:
        assert(false, `${transformation.kind} is not row-wise`)
    }
  }

  processBatch(batch: Batch): void {
    this.#program(batch.values, batch.timestamps, batch.size)
    for (const outputs of this.#outputs) outputs.flush()
  }

  processWatermark(timestamp: Timestamp): void {
    this.#watermarkInto(0, timestamp)
  }
  processIdle(idle: boolean): void {
    this.#idleInto(0, idle)
  }

  onTime(now: Timestamp): Timestamp {
    const ticker = this.#ticker
    if (ticker === undefined) return Infinity
    if (ticker.due(now)) {
      for (let at = 0; at < this.#rows.length; at++) {
        const row = this.#rows[at] as RowOperator
        if (row.kind !== 'timestamps' || !row.tracker.onTick(now, 0)) continue
        if (row.tracker.idle) this.#idleOutOf(at, true)
        else this.#watermarkOutOf(at, row.tracker.watermark)
      }
    }
    return ticker.next
  }

  #watermarkInto(from: number, timestamp: Timestamp): void {
    for (let at = from; at < this.#rows.length; at++) {
      const row = this.#rows[at] as RowOperator
      if (row.kind === 'process') row.context.watermark = timestamp
      if (row.kind === 'timestamps') {
        // Upstream event time ends here, but for its end (Flink `TimestampsAndWatermarksOperator`).
        if (timestamp !== MAX_TIMESTAMP) return
        if (row.tracker.idle) row.wake()
      }
      if (!(this.#outputs[at] as Outputs).watermark(timestamp)) return
    }
  }
  #watermarkOutOf(at: number, timestamp: Timestamp): void {
    if ((this.#outputs[at] as Outputs).watermark(timestamp)) this.#watermarkInto(at + 1, timestamp)
  }

  #idleInto(from: number, idle: boolean): void {
    for (let at = from; at < this.#rows.length; at++) {
      if ((this.#rows[at] as RowOperator).kind === 'timestamps') return
      ;(this.#outputs[at] as Outputs).idle(idle)
    }
  }
  #idleOutOf(at: number, idle: boolean): void {
    ;(this.#outputs[at] as Outputs).idle(idle)
    this.#idleInto(at + 1, idle)
  }
}
