/**
 * Tumbling windows of event time on a keyed stream. A window is a slice: its contents are one namespace (the window's
 * end) of one table, with one timer for all keys. It fires when the watermark reaches `end - 1`, is kept for the allowed
 * lateness, and is then dropped as a whole. Flink `WindowOperator` with `EventTimeTrigger` (W1-W14).
 *
 * Because all windows of this kind share one path, there is no second, general one yet; sessions, triggers and evictors
 * will bring it.
 *
 * After a restore watermarks begin again at -Infinity (T17). Windows that had fired and only waited for their end must not
 * fire again, except for keys that get a further element: per key group the snapshot says up to which watermark windows
 * had fired, and the keys touched since are marked in a second table until their window fires.
 */
import type { Batch } from '../../core/batch.ts'
import { MIN_TIMESTAMP, type Timestamp } from '../../core/time.ts'
import { keyGroupOf } from '../../core/key-group.ts'
import { decodeValue, encodeValue } from '../../codec/value-codec.ts'
import type { JobOperator } from '../../graph/job-graph.ts'
import type { WindowTransformation } from '../../graph/transformation.ts'
import { mergingAggregate } from '../../graph/two-phases.ts'
import type { ChainContext } from '../chain.ts'
import { keyOf } from '../key-of.ts'
import { openKeyedState } from '../keyed-restore.ts'
import type { KeyedBlock, KeyedStateBackend, SnapshotOrder, SnapshotRun, SnapshotSink, ValueTable } from '../keyed-state.ts'
import { keyedStats } from '../keyed-stats.ts'
import type { Operator, OperatorStats } from '../operator.ts'
import type { Outputs } from '../output.ts'
import { blameOf, keyError, userError, type Blame } from '../user-error.ts'
import { windowContents, type WindowContents } from './contents.ts'
import { keyOfPartials, partialLayout, type PartialLayout, type WindowPartial } from './partials.ts'
import { PendingWindows } from './pending-windows.ts'
import { WindowFunctionContext, WindowResults } from './window-context.ts'
import { WindowEnds } from './window-ends.ts'

const windowState = 'window'
/** Namespace and key of windows that had fired before a restore and got an element since. */
const touchedState = 'window-touched'
/** Per key group: the watermark up to which windows had fired. */
const firedState = '_window/fired'

export class WindowOperator implements Operator {
  readonly #context: ChainContext
  readonly #id: string
  readonly #outputs: Outputs
  readonly #spec: WindowTransformation
  readonly #select: (value: unknown) => unknown
  readonly #contents: WindowContents
  /** Set if it is the second of two phases. */
  readonly #partials: PartialLayout | undefined
  readonly #pending: PendingWindows
  readonly #ctx: WindowFunctionContext
  readonly #results: WindowResults
  readonly #ends: WindowEnds
  readonly #blame: Blame
  readonly #keyBlame: Blame
  #backend!: KeyedStateBackend
  #table!: ValueTable
  #touched!: ValueTable
  /** Only key groups whose windows had fired before the restore, and only while the watermark is not that far again. */
  readonly #firedBefore = new Map<number, Timestamp>()
  #highestFiredBefore: Timestamp = MIN_TIMESTAMP
  #watermark: Timestamp = MIN_TIMESTAMP
  #lateDropped = 0

  constructor(context: ChainContext, operator: JobOperator, transformation: WindowTransformation, outputs: Outputs) {
    this.#context = context
    this.#id = operator.id
    this.#outputs = outputs
    this.#spec = transformation
    const { key } = transformation
    const copies = !context.exchange.objectReuse
    const merging = operator.phase === 'global' ? mergingAggregate(transformation) : undefined
    this.#partials = merging && partialLayout(merging)
    this.#select = keyOf(merging === undefined ? key : keyOfPartials(key))
    this.#contents = windowContents(transformation.fn, copies)
    this.#pending = new PendingWindows(transformation.allowedLateness)
    // Without lateness the contents are dropped right after they were emitted: nothing to keep apart.
    const outlives = copies && transformation.allowedLateness > 0
    this.#ctx = new WindowFunctionContext(outputs, outlives, () => context.now())
    this.#results = new WindowResults(outputs, outlives)
    this.#blame = blameOf(context, operator, transformation)
    this.#keyBlame = blameOf(context, operator, transformation, 'keyBy of')
    this.#ends = new WindowEnds(transformation.assigner, this.#blame)
  }

  open(): void {
    this.#backend = openKeyedState(this.#context, this.#id, block => this.#restoreFired(block))
    this.#table = this.#backend.values(windowState)
    this.#touched = this.#backend.values(touchedState)
    for (const end of this.#table.namespaces()) this.#pending.add(end)
  }

  processBatch(batch: Batch): void {
    const { values, timestamps, keyHashes, size } = batch
    const backend = this.#backend
    let selecting = true
    try {
      for (let i = 0; i < size; i++) {
        const value = values[i]
        const timestamp = timestamps[i] as Timestamp
        const end = this.#ends.of(timestamp)
        if (this.#pending.over(end, this.#watermark)) {
          this.#late(value, timestamp)
          continue
        }
        selecting = true
        const key = this.#select(value)
        backend.setCurrentKey(key, keyHashes?.[i])
        const held = this.#table.get(end)
        selecting = false // An impossible key is found out by the first access.
        this.#add(key, held, value, end)
      }
    } catch (error) {
      throw selecting ? keyError(error, this.#keyBlame) : userError(error, this.#blame)
    }
    this.#outputs.flush()
  }

  #add(key: unknown, held: unknown, value: unknown, end: Timestamp): void {
    const contents = this.#partials === undefined ? this.#contents.add(held, value) : this.#contents.merge(held, this.#partials.unwrap(value as WindowPartial))
    this.#table.put(end, contents)
    if (PendingWindows.reached(end, this.#watermark)) {
      // Late but allowed: fires at once with all that has accumulated (W10).
      this.#fireKey(key, contents, end)
      return
    }
    this.#pending.add(end)
    if (end - 1 <= this.#highestFiredBefore) this.#touched.put(end, true)
  }

  /** The side output replaces the counter (W8, W9). */
  #late(value: unknown, timestamp: Timestamp): void {
    const { lateTag } = this.#spec
    if (lateTag === undefined) this.#lateDropped += this.#partials === undefined ? 1 : (value as WindowPartial).records
    else this.#outputs.side(lateTag)?.emit(value, timestamp)
  }

  processWatermark(timestamp: Timestamp): void {
    this.#watermark = timestamp
    this.#ctx.watermark = timestamp
    try {
      // All firings, then what is over (W12).
      for (let end = this.#pending.takeReached(timestamp); end !== undefined; end = this.#pending.takeReached(timestamp)) this.#fire(end)
    } catch (error) {
      throw userError(error, this.#blame)
    }
    for (let end = this.#pending.takeOver(timestamp); end !== undefined; end = this.#pending.takeOver(timestamp)) this.#table.clear(end)
    if (timestamp >= this.#highestFiredBefore) {
      this.#firedBefore.clear()
      this.#highestFiredBefore = MIN_TIMESTAMP
    }
    this.#outputs.watermark(timestamp)
  }
  processIdle(idle: boolean): void {
    this.#outputs.idle(idle)
  }

  #fire(end: Timestamp): void {
    if (end - 1 > this.#highestFiredBefore) {
      for (const [key, contents] of this.#table.entries(end)) this.#fireKey(key, contents, end)
      return
    }
    for (const [key, contents] of this.#table.entries(end)) {
      const firedBefore = this.#firedBefore.get(keyGroupOf(key, this.#backend.maxParallelism)) ?? MIN_TIMESTAMP
      if (end - 1 <= firedBefore) {
        this.#backend.setCurrentKey(key)
        if (this.#touched.get(end) === undefined) continue
      }
      this.#fireKey(key, contents, end)
    }
    this.#touched.clear(end)
  }

  #fireKey(key: unknown, contents: unknown, end: Timestamp): void {
    const start = end - this.#spec.assigner.size
    this.#ctx.key = key
    this.#ctx.window = { start, end }
    this.#ctx.record = end - 1
    this.#results.timestamp = end - 1
    this.#spec.fn.result.process(this.#contents.elements(contents), this.#ctx, this.#results)
  }

  snapshot(sink: SnapshotSink, order: SnapshotOrder): SnapshotRun {
    if (this.#spec.allowedLateness > 0) this.#writeFired(sink)
    return this.#backend.startSnapshot(sink, order)
  }

  #writeFired(sink: SnapshotSink): void {
    const { start, end } = this.#backend.keyGroups
    for (let keyGroup = start; keyGroup <= end; keyGroup++) {
      const fired = Math.max(this.#firedBefore.get(keyGroup) ?? MIN_TIMESTAMP, this.#watermark)
      if (fired !== MIN_TIMESTAMP) sink.keyed(firedState, keyGroup, encodeValue(fired, firedState))
    }
  }
  #restoreFired(block: KeyedBlock): void {
    const fired = decodeValue(block.bytes) as Timestamp
    this.#firedBefore.set(block.keyGroup, fired)
    if (fired > this.#highestFiredBefore) this.#highestFiredBefore = fired
  }

  maintain(): void {
    this.#backend.maintain()
  }
  stats(): OperatorStats {
    return { ...keyedStats(this.#backend), lateRecordsDropped: this.#lateDropped }
  }
  close(): void {
    this.#backend?.close()
  }
}
