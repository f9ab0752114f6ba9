/**
 * The first of two phases of a window whose accumulators merge: before the shuffle, records of the same key and window
 * become one partial (`partials.ts`); the window operator behind the shuffle merges them (Flink SQL's local and global
 * window aggregate). Which windows run so is decided in `graph/two-phases.ts`.
 *
 * Nobody can see it:
 * - Partials of a window go out before the watermark that ends it; before a barrier, before the stream becomes idle and at
 *   its end all of them. So none is late that would not have been as records, nothing is in no checkpoint, and this
 *   operator has no state.
 * - A record whose window has ended here is a partial by itself and goes at once: the window operator decides.
 * - Sums of numbers that are not whole depend on how they are grouped. From the first on, every record of this subtask
 *   goes by itself: what there is in the window is summed up one by one in the order in which it came. (That it has seen one
 *   it does not know after a restore: until the next, the last bits of a sum may be others. They depend as much on which of
 *   several subtasks sends first.)
 *
 * Partials wait no longer than `maxDelay`, nor are there more than `maxPartials`. Where keys hardly repeat, a look-up per
 * record saves nothing: then records go by themselves for a while too.
 */
import { assert } from '../../core/assert.ts'
import type { Batch } from '../../core/batch.ts'
import { canonicalKey, type CanonicalKey } from '../../core/key-group.ts'
import { MIN_TIMESTAMP, NO_TIMESTAMP, type Millis, type Timestamp } from '../../core/time.ts'
import type { JobOperator } from '../../graph/job-graph.ts'
import type { MergingAggregate, WindowTransformation } from '../../graph/transformation.ts'
import { mergingAggregate } from '../../graph/two-phases.ts'
import type { ChainContext } from '../chain.ts'
import { keyOf } from '../key-of.ts'
import type { Operator } from '../operator.ts'
import type { Outputs } from '../output.ts'
import { own } from '../ownership.ts'
import { blameOf, keyError, userError, type Blame } from '../user-error.ts'
import { windowContents, type WindowContents } from './contents.ts'
import { partialLayout, type PartialLayout } from './partials.ts'
import { PendingWindows } from './pending-windows.ts'
import { WindowEnds } from './window-ends.ts'

/** Flink's default for buffers between tasks (`execution.buffer-timeout.interval`). */
const maxDelay: Millis = 100
const maxPartials = 32 * 1024
/** A full table has paid if it stands for so many times as many records. */
const worthwhile = 1.5
/** Records that go by themselves before it is tried again; doubled each time that fails. */
const shortestPause = 256 * 1024
const longestPause = 4 * 1024 * 1024

interface Held {
  readonly key: unknown
  records: number
  accumulator: unknown
}
type HeldByKey = Map<CanonicalKey, Held>

export class LocalWindowOperator implements Operator {
  readonly #context: ChainContext
  readonly #outputs: Outputs
  readonly #aggregate: MergingAggregate
  readonly #select: (value: unknown) => unknown
  readonly #contents: WindowContents
  readonly #layout: PartialLayout
  readonly #copies: boolean
  readonly #ends: WindowEnds
  readonly #blame: Blame
  readonly #keyBlame: Blame
  /** By the end of the window. */
  readonly #windows = new Map<Timestamp, HeldByKey>()
  #lastEnd: Timestamp = NO_TIMESTAMP
  #last: HeldByKey | undefined
  #partials = 0
  #records = 0
  #deadline: Timestamp = Infinity
  #watermark: Timestamp = MIN_TIMESTAMP
  /** Records that still go by themselves; Infinity: all from now on. */
  #alone = 0
  #pause = shortestPause

  constructor(context: ChainContext, operator: JobOperator, transformation: WindowTransformation, outputs: Outputs) {
    this.#context = context
    this.#outputs = outputs
    const aggregate = mergingAggregate(transformation)
    assert(aggregate !== undefined, 'a window in two phases whose accumulators do not merge')
    this.#aggregate = aggregate
    this.#select = keyOf(transformation.key)
    this.#copies = !context.exchange.objectReuse
    this.#contents = windowContents(transformation.fn, this.#copies)
    this.#layout = partialLayout(aggregate)
    // Users know the window, not its phases.
    const named = { ...operator, name: transformation.name }
    this.#blame = blameOf(context, named, transformation)
    this.#keyBlame = blameOf(context, named, transformation, 'keyBy of')
    this.#ends = new WindowEnds(transformation.assigner, this.#blame)
  }

  processBatch(batch: Batch): void {
    const { values, timestamps, size } = batch
    let selecting = true
    try {
      for (let i = 0; i < size; i++) {
        const value = values[i]
        const end = this.#ends.of(timestamps[i] as Timestamp)
        selecting = true
        const key = this.#select(value)
        if (this.#alone > 0 || PendingWindows.reached(end, this.#watermark)) {
          selecting = false
          if (this.#alone > 0) this.#alone--
          this.#emit(end, key, 1, this.#contents.add(undefined, value))
          continue
        }
        const window = end === this.#lastEnd ? (this.#last as HeldByKey) : this.#window(end)
        const canonical = canonicalKey(key)
        selecting = false
        const held = window.get(canonical)
        if (held === undefined) this.#first(window, canonical, end, key, value)
        else if (!this.#add(held, value)) this.#apart(end, key, value)
      }
    } catch (error) {
      throw selecting ? keyError(error, this.#keyBlame) : userError(error, this.#blame)
    }
    if (this.#partials > 0 && this.#deadline === Infinity) this.#deadline = this.#context.now() + maxDelay
    this.#outputs.flush()
  }

  #window(end: Timestamp): HeldByKey {
    let window = this.#windows.get(end)
    if (window === undefined) this.#windows.set(end, (window = new Map()))
    this.#lastEnd = end
    this.#last = window
    return window
  }

  #first(window: HeldByKey, canonical: CanonicalKey, end: Timestamp, key: unknown, value: unknown): void {
    const aggregate = this.#aggregate
    let accumulator: unknown
    if (aggregate.addExactly === undefined) accumulator = this.#contents.add(undefined, value)
    else if (!aggregate.addExactly(value, (accumulator = aggregate.createAccumulator()))) return this.#apart(end, key, value)
    // An object may be changed by whoever made it once this call is over.
    window.set(canonical, { key: this.#copies && typeof key === 'object' ? own(key) : key, records: 1, accumulator })
    this.#records++
    if (++this.#partials >= maxPartials) this.#full()
  }

  /** False, and nothing has changed, if the result depends on what is added up first. */
  #add(held: Held, value: unknown): boolean {
    const aggregate = this.#aggregate
    if (aggregate.addExactly === undefined) held.accumulator = this.#contents.add(held.accumulator, value)
    else if (!aggregate.addExactly(value, held.accumulator)) return false
    held.records++
    this.#records++
    return true
  }

  #apart(end: Timestamp, key: unknown, value: unknown): void {
    this.#flush()
    this.#alone = Infinity
    this.#emit(end, key, 1, this.#contents.add(undefined, value))
  }

  #full(): void {
    if (this.#records < this.#partials * worthwhile) {
      this.#alone = this.#pause
      this.#pause = Math.min(this.#pause * 2, longestPause)
    } else this.#pause = shortestPause
    this.#flush()
  }

  #emit(end: Timestamp, key: unknown, records: number, accumulator: unknown): void {
    this.#outputs.main.emit(this.#layout.wrap(key, records, accumulator), end - 1)
  }

  #flush(): void {
    // In the order of their ends, whatever came first.
    for (const end of [...this.#windows.keys()].sort((a, b) => a - b)) this.#flushWindow(end)
    this.#deadline = Infinity
  }

  #flushWindow(end: Timestamp): void {
    const window = this.#windows.get(end) as HeldByKey
    this.#windows.delete(end)
    if (end === this.#lastEnd) {
      this.#lastEnd = NO_TIMESTAMP
      this.#last = undefined
    }
    this.#partials -= window.size
    for (const { key, records, accumulator } of window.values()) {
      this.#records -= records
      this.#emit(end, key, records, accumulator)
    }
  }

  processWatermark(timestamp: Timestamp): void {
    this.#watermark = timestamp
    const ended = [...this.#windows.keys()].filter(end => PendingWindows.reached(end, timestamp))
    if (ended.length === this.#windows.size) this.#flush()
    else for (const end of ended.sort((a, b) => a - b)) this.#flushWindow(end)
    this.#outputs.watermark(timestamp)
  }
  processIdle(idle: boolean): void {
    this.#flush()
    this.#outputs.idle(idle)
  }

  onTime(now: Timestamp): Timestamp {
    // A wall clock may be set back.
    if (this.#deadline !== Infinity && this.#deadline > now + maxDelay) this.#deadline = now + maxDelay
    if (now >= this.#deadline) {
      this.#flush()
      this.#outputs.flush()
    }
    return this.#deadline
  }

  endInput(): void {
    this.#flush()
  }
  prepareSnapshot(): void {
    this.#flush()
  }
}
