/**
 * Rolling `reduce` and `sum` on a keyed stream: the first element of a key passes unchanged, every later one is combined
 * with the accumulated value, and the result is emitted with the timestamp of the element (X2, X10).
 *
 * State keeps a copy of each result and the original travels: one copy per record makes both sides safe, whatever the
 * reducer does. One that changes and returns its accumulator emits 1, 3, 6.
 *
 * `sum` is our own code and known to change one field only: it adds in the object that state holds, and a copy travels.
 * That saves the second object per record, and state need not look up where to put it. It is so with object reuse too: the
 * object of state is nobody else's. Sums that are used often are found past state (`live-sums.ts`).
 */
import type { Batch } from '../core/batch.ts'
import type { Timestamp } from '../core/time.ts'
import type { JobOperator } from '../graph/job-graph.ts'
import type { ReduceTransformation } from '../graph/transformation.ts'
import type { ChainContext } from './chain.ts'
import { keyOf } from './key-of.ts'
import { openKeyedState } from './keyed-restore.ts'
import { voidNamespace, type KeyedStateBackend, type SnapshotOrder, type SnapshotRun, type SnapshotSink, type ValueTable } from './keyed-state.ts'
import type { Operator, OperatorStats } from './operator.ts'
import type { Outputs } from './output.ts'
import { createCopier } from '../codec/copy.ts'
import { fieldAdder, type AddField } from './field-adder.ts'
import { LiveSums } from './live-sums.ts'
import { createOwner } from './ownership.ts'
import { keyedStats } from './keyed-stats.ts'
import { blameOf, keyError, userError, type Blame } from './user-error.ts'

const reduceState = 'reduce'

export class ReduceOperator implements Operator {
  readonly #context: ChainContext
  readonly #id: string
  readonly #outputs: Outputs
  readonly #select: (value: unknown) => unknown
  readonly #reduce: (accumulated: unknown, value: unknown) => unknown
  readonly #copies: boolean
  readonly #own = createOwner()
  readonly #add: AddField | undefined
  readonly #live: LiveSums | undefined
  readonly #travelling = createCopier()
  readonly #blame: Blame
  readonly #keyBlame: Blame
  #backend!: KeyedStateBackend
  #table!: ValueTable

  constructor(context: ChainContext, operator: JobOperator, transformation: ReduceTransformation, outputs: Outputs) {
    this.#context = context
    this.#id = operator.id
    this.#outputs = outputs
    const { key, fn } = transformation
    this.#select = keyOf(key)
    this.#reduce = fn
    this.#add = transformation.sumOf === undefined ? undefined : fieldAdder(transformation.sumOf)
    this.#live = transformation.sumOf === undefined ? undefined : LiveSums.of(transformation.sumOf)
    this.#copies = this.#add !== undefined || !context.exchange.objectReuse
    this.#blame = blameOf(context, operator, transformation, transformation.sumOf === undefined ? 'reduce' : 'sum')
    this.#keyBlame = blameOf(context, operator, transformation, 'keyBy of')
  }

  open(): void {
    this.#backend = openKeyedState(this.#context, this.#id, () => {})
    this.#table = this.#backend.values(reduceState)
  }

  processBatch(batch: Batch): void {
    const { values, timestamps, keyHashes, size } = batch
    const out = this.#outputs.main
    const backend = this.#backend
    const table = this.#table
    const add = this.#add
    const select = this.#select
    // Nothing is packed, and no snapshot begins, in the middle of a batch.
    const { age } = table
    const live = keyHashes !== undefined && this.#live?.begin(size) === true ? this.#live : undefined
    let selecting = true
    try {
      for (let i = 0; i < size; i++) {
        const value = values[i]
        selecting = true
        const key = select(value)
        const hash = keyHashes?.[i]
        const known = live?.find(key, hash as number, age)
        if (known !== undefined) {
          selecting = false
          out.emit((live as LiveSums).add(known, value), timestamps[i] as Timestamp)
          continue
        }
        backend.setCurrentKey(key, hash)
        const held = table.get(voidNamespace)
        selecting = false // An impossible key is found out by the first access.
        if (add !== undefined && held !== undefined && add(held, value)) {
          table.put(voidNamespace, held)
          live?.note(key, hash as number, held, age)
          out.emit(this.#travelling(held), timestamps[i] as Timestamp)
          continue
        }
        const result = held === undefined ? value : this.#reduce(held, value)
        if (result === undefined) throw new TypeError('the function returned undefined')
        table.put(voidNamespace, this.#copies ? this.#own(result, held) : result)
        out.emit(result, timestamps[i] as Timestamp)
      }
    } catch (error) {
      throw selecting ? keyError(error, this.#keyBlame) : userError(error, this.#blame)
    }
    this.#outputs.flush()
  }

  processWatermark(timestamp: Timestamp): void {
    this.#outputs.watermark(timestamp)
  }
  processIdle(idle: boolean): void {
    this.#outputs.idle(idle)
  }

  snapshot(sink: SnapshotSink, order: SnapshotOrder): SnapshotRun {
    return this.#backend.startSnapshot(sink, order)
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
