/**
 * How our bounded sources read: all splits are handed out at the start, and a reader reads all of its own side by side.
 *
 * Reading one split after the other would be simpler, but wrong for event time: the first would take the watermark to its
 * end, and every record of the next would be late. Side by side, each split has its own watermark, the smallest counts,
 * and a split that has not begun holds event time back. So the result does not depend on how many files and how many
 * readers there are.
 */
import type { EnumeratorContext, PollResult, ReaderContext, SourceOutput, SourceReader, SplitEnumerator } from '../api/connector.ts'
import { Pace } from './pace.ts'

/** Records of one split before the next has its turn: the closer together they are read, the less the slowest holds event time back. */
const sliceRecords = 64

/** Gives split `i` to subtask `i % parallelism`, when that asks for the first time. */
export function staticEnumerator<Split>(ctx: EnumeratorContext<Split>, restored: readonly Split[] | undefined, findSplits: () => Split[]): SplitEnumerator<Split[]> {
  let pending: { readonly subtask: number; readonly split: Split }[] = []
  const spread = (splits: readonly Split[]) => splits.map((split, index) => ({ subtask: index % ctx.parallelism, split }))
  if (restored !== undefined) pending = spread(restored)
  return {
    start() {
      if (restored === undefined) pending = spread(findSplits())
    },
    handleSplitRequest(subtask) {
      for (const { split } of pending.filter(each => each.subtask === subtask)) ctx.assignSplit(subtask, split)
      pending = pending.filter(each => each.subtask !== subtask)
      ctx.signalNoMoreSplits(subtask)
    },
    snapshot: () => pending.map(each => each.split),
  }
}

/** One split while it is read. */
export interface SplitCursor<T, Split> {
  readonly id: string
  /** Emits up to `max` records. `waiting`: it has nothing now and will be asked again when there is news. */
  emit(out: SourceOutput<T>, max: number): 'more' | 'waiting' | 'end'
  /** What is left, from after the last record that was emitted. */
  rest(): Split
  close?(): void
}

export class InterleavingReader<T, Split> implements SourceReader<T, Split> {
  readonly #ctx: ReaderContext
  readonly #open: (split: Split) => SplitCursor<T, Split>
  readonly #pace: Pace | undefined
  #cursors: SplitCursor<T, Split>[] = []
  /** Which cursor is next. */
  #turn = 0
  /** Cursors up to here were announced, so that they hold the watermark back from the first. */
  #announced = 0
  /** How many cursors in a row had nothing. */
  #waiting = 0
  #noMore = false

  constructor(ctx: ReaderContext, ratePerSecond: number | undefined, open: (split: Split) => SplitCursor<T, Split>) {
    this.#ctx = ctx
    this.#open = open
    this.#pace = ratePerSecond === undefined ? undefined : new Pace(ratePerSecond, ctx.parallelism)
  }

  /** Asks even if it has restored splits: some may not have been handed out yet when the snapshot was taken. */
  start(): void {
    this.#ctx.requestSplit()
  }

  addSplit(split: Split): void {
    this.#cursors.push(this.#open(split))
  }

  noMoreSplits(): void {
    this.#noMore = true
  }

  poll(out: SourceOutput<T>, max: number): PollResult {
    // Nothing is read before all splits are known, or a late one would find event time far ahead.
    if (!this.#noMore) return 'waiting'
    for (; this.#announced < this.#cursors.length; this.#announced++) out.beginSplit((this.#cursors[this.#announced] as SplitCursor<T, Split>).id)
    if (this.#cursors.length === 0) return 'end'
    let allowed = max
    if (this.#pace !== undefined) {
      const due = this.#pace.due(this.#ctx.now())
      if (due <= 0) return { at: this.#pace.nextAt() }
      allowed = Math.min(max, due)
      this.#pace.emitted(allowed)
    }
    for (let left = allowed; left > 0; left -= sliceRecords) {
      const cursor = this.#cursors[this.#turn] as SplitCursor<T, Split>
      out.beginSplit(cursor.id)
      const state = cursor.emit(out, Math.min(left, sliceRecords))
      if (state === 'end') this.#finish(cursor, out)
      else this.#turn = (this.#turn + 1) % this.#cursors.length
      if (this.#cursors.length === 0) return 'end'
      this.#waiting = state === 'waiting' ? this.#waiting + 1 : 0
      if (this.#waiting >= this.#cursors.length) return 'waiting'
    }
    return 'more'
  }

  #finish(cursor: SplitCursor<T, Split>, out: SourceOutput<T>): void {
    cursor.close?.()
    this.#cursors = this.#cursors.filter(each => each !== cursor)
    this.#announced = this.#cursors.length
    if (this.#turn >= this.#cursors.length) this.#turn = 0
    out.endSplit(cursor.id)
  }

  snapshot(): Split[] {
    return this.#cursors.map(cursor => cursor.rest())
  }

  close(): void {
    for (const cursor of this.#cursors) cursor.close?.()
  }
}
