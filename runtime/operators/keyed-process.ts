/**
 * A process function on a keyed stream: state, timers and side outputs of the user under the key of each record or timer.
 * One context object serves all; it is moved, not made anew.
 */
import type { Batch } from '../core/batch.ts'
import { NO_TIMESTAMP, type Timestamp } from '../core/time.ts'
import type { Collector, OnTimerContext, OutputTag, TimerService } from '../api/functions.ts'
import type { StateDescriptors, StateOf } from '../api/state.ts'
import type { JobOperator } from '../graph/job-graph.ts'
import type { KeyedProcessTransformation } from '../graph/transformation.ts'
import type { ChainContext } from './chain.ts'
import { keyOf } from './key-of.ts'
import { openKeyedState } from './keyed-restore.ts'
import type { KeyedBlock, KeyedStateBackend, SnapshotOrder, SnapshotRun, SnapshotSink } from './keyed-state.ts'
import { keyedStats } from './keyed-stats.ts'
import type { Operator, OperatorStats } from './operator.ts'
import type { Outputs } from './output.ts'
import { createCopier } from '../codec/copy.ts'
import { KeyedTimers, type TimeDomain } from './timers/timer-service.ts'
import { blameOf, keyError, userError, type Blame } from './user-error.ts'
import { createUserStates, type StateScope, type UserStates } from './user-state.ts'

type KeyedFunction = KeyedProcessTransformation['fn']

export class KeyedProcessOperator implements Operator {
  readonly #context: ChainContext
  readonly #id: string
  readonly #outputs: Outputs
  readonly #fn: KeyedFunction
  readonly #select: (value: unknown) => unknown
  readonly #blame: Blame
  readonly #keyBlame: Blame
  readonly #scope: StateScope
  #backend!: KeyedStateBackend
  #timers!: KeyedTimers
  #ctx!: FunctionContext
  #out!: FunctionCollector
  #ended = false

  constructor(context: ChainContext, operator: JobOperator, transformation: KeyedProcessTransformation, outputs: Outputs) {
    this.#context = context
    this.#id = operator.id
    this.#outputs = outputs
    this.#fn = transformation.fn
    const { key } = transformation
    this.#select = keyOf(key)
    this.#blame = blameOf(context, operator, transformation, 'process')
    this.#keyBlame = blameOf(context, operator, transformation, 'keyBy of')
    this.#scope = { now: () => context.now(), copies: !context.exchange.objectReuse, exposed: false }
  }

  open(): void {
    const timerBlocks: KeyedBlock[] = []
    this.#backend = openKeyedState(this.#context, this.#id, block => timerBlocks.push(block))
    this.#timers = new KeyedTimers(this.#backend, this.#scope.now, (timestamp, key, domain) => this.#fire(timestamp, key, domain))
    for (const block of timerBlocks) this.#timers.restore(block)
    this.#out = new FunctionCollector(this.#outputs, this.#scope)
    this.#ctx = new FunctionContext(createUserStates(this.#fn.state ?? {}, this.#backend, this.#scope), this.#timers, this.#outputs, this.#scope, this.#backend)
  }

  processBatch(batch: Batch): void {
    const { values, timestamps, keyHashes, size } = batch
    const fn = this.#fn
    const backend = this.#backend
    const ctx = this.#ctx
    const select = this.#select
    const out = this.#out
    let selecting = true
    try {
      for (let i = 0; i < size; i++) {
        const value = values[i]
        selecting = true
        const key = select(value)
        backend.setCurrentKey(key, keyHashes?.[i])
        selecting = false
        const timestamp = timestamps[i] as Timestamp
        ctx.move(timestamp)
        out.timestamp = timestamp
        fn.process(value, ctx, out)
      }
    } catch (error) {
      throw selecting ? keyError(error, this.#keyBlame) : userError(error, this.#blame)
    }
    this.#outputs.flush()
  }

  /** Results of event time carry the timer's time, those of processing time none (X10). */
  #fire(timestamp: Timestamp, key: unknown, domain: TimeDomain): void {
    const fn = this.#fn
    if (fn.onTimer === undefined) return
    this.#ctx.move(timestamp)
    this.#ctx.timeDomain = domain
    this.#out.timestamp = domain === 'event' ? timestamp : NO_TIMESTAMP
    try {
      fn.onTimer(timestamp, this.#ctx, this.#out)
    } catch (error) {
      throw userError(error, this.#blame)
    }
  }

  processWatermark(timestamp: Timestamp): void {
    this.#timers.advanceWatermark(timestamp)
    this.#outputs.watermark(timestamp)
  }
  processIdle(idle: boolean): void {
    this.#outputs.idle(idle)
  }
  onTime(now: Timestamp): Timestamp {
    const next = this.#ended ? Infinity : this.#timers.advanceProcessingTime(now)
    this.#outputs.flush()
    return next
  }
  /** Pending timers of processing time are dropped (M8); those of event time have fired with the MAX watermark. */
  endInput(): void {
    this.#ended = true
  }

  snapshot(sink: SnapshotSink, order: SnapshotOrder): SnapshotRun {
    const timers = this.#timers.snapshot(sink)
    const tables = this.#backend.startSnapshot(sink, order)
    return {
      since: tables.since,
      step: budget => timers.step(budget) && tables.step(budget),
      abort() {
        timers.abort()
        tables.abort()
      },
    }
  }
  maintain(): void {
    this.#backend.maintain()
  }
  stats(): OperatorStats {
    return keyedStats(this.#backend)
  }
  close(): void {
    this.#backend?.close()
  }
}

class FunctionCollector implements Collector<unknown> {
  timestamp: Timestamp = NO_TIMESTAMP
  readonly #outputs: Outputs
  readonly #scope: StateScope
  readonly #copy = createCopier({ what: 'result' })

  constructor(outputs: Outputs, scope: StateScope) {
    this.#outputs = outputs
    this.#scope = scope
  }
  collect(value: unknown): void {
    const { exposed, copies } = this.#scope
    this.#outputs.main.emit(exposed && copies ? this.#copy(value) : value, this.timestamp)
  }
}

class FunctionContext implements OnTimerContext<unknown, StateDescriptors> {
  timeDomain: TimeDomain = 'event'
  readonly state: StateOf<StateDescriptors>
  readonly timers: TimerService
  /** Always a number, so that moving to the next record allocates nothing. */
  #record: Timestamp = NO_TIMESTAMP
  readonly #outputs: Outputs
  readonly #scope: StateScope
  /** Knows the key: to store that here too would be another write barrier for each record. */
  readonly #backend: KeyedStateBackend
  readonly #copy = createCopier({ what: 'side output' })

  constructor(states: UserStates, timers: TimerService, outputs: Outputs, scope: StateScope, backend: KeyedStateBackend) {
    // The handles have the types that the descriptors declare; here the descriptors are only known as "any".
    this.state = states as StateOf<StateDescriptors>
    this.timers = timers
    this.#outputs = outputs
    this.#scope = scope
    this.#backend = backend
  }

  move(timestamp: Timestamp): void {
    this.#record = timestamp
  }
  /** A composite key is shared with state, so a result that holds it must be copied. */
  get key(): unknown {
    const key = this.#backend.currentKey()
    if (typeof key === 'object') this.#scope.exposed = true
    return key
  }
  get timestamp(): Timestamp | undefined {
    return this.#record === NO_TIMESTAMP ? undefined : this.#record
  }
  currentWatermark(): Timestamp {
    return this.timers.currentWatermark()
  }
  currentProcessingTime(): Timestamp {
    return this.#scope.now()
  }
  output<X>(tag: OutputTag<X>, value: X): void {
    const { exposed, copies } = this.#scope
    this.#outputs.side(tag.id)?.emit(exposed && copies ? this.#copy(value) : value, this.#record)
  }
}
