/**
 * Which snapshot of a backend holds everything and which only what has changed since an earlier one. A snapshot of changes
 * makes a chain one longer, back to one that holds everything; who restores reads all of it.
 *
 * Changes are worth it while they take the place of little: entries that were there before and were touched since are at
 * most half of all, what the chain holds above the state of now is smaller than that, and its length has a bound. So a restore
 * reads no more than twice the state, disks hold no more than twice, and what is written is in proportion to what changes.
 * Of a state that only grows nothing is written twice.
 */
import type { SnapshotOrder } from '../../operators/keyed-state.ts'
import type { Pager } from './pager.ts'
import { Removals } from './removals.ts'

const longestChain = 64
/** A file costs something to open, however little is in it. */
const bytesOfFile = 4 * 1024
/** Snapshots that may still become complete, for one to go on from. */
const mostLinks = 16

interface Link {
  /** The pager's number of it. */
  readonly epoch: number
  /** Of the pager, when it began. */
  readonly touched: number
  readonly entries: number
  readonly length: number
  /** Bytes of the chain's first snapshot, and of those since; and the entries in them. */
  whole: number
  changes: number
  readonly wholeEntries: number
  readonly changedEntries: number
}

/** What was read of a chain. */
export type RestoredChain = Pick<Link, 'length' | 'whole' | 'changes' | 'wholeEntries' | 'changedEntries'>

export interface NextSnapshot {
  /** Checkpoint that it goes on from; undefined: it holds everything. */
  readonly since: number | undefined
  /** The pager's number of that, or 0. */
  readonly epoch: number
  /** To be told what is written. */
  written(bytes: number): void
}

export class SnapshotChains {
  readonly #pager: Pager
  readonly #always: boolean
  /** By checkpoint, in the order of time. */
  readonly #links = new Map<number, Link>()

  constructor(pager: Pager, always: boolean) {
    this.#pager = pager
    this.#always = always
  }

  /** What there is now is what that checkpoint holds. */
  restored(checkpointId: number, read: RestoredChain): void {
    const pager = this.#pager
    // What was restored has the stamps of before.
    pager.epoch++
    pager.removals = new Removals()
    this.#links.set(checkpointId, { epoch: pager.epoch, touched: pager.touched, entries: pager.allEntries, ...read })
  }

  /** Called right before the snapshot begins. */
  next(order: SnapshotOrder | undefined): NextSnapshot {
    if (order === undefined) return { since: undefined, epoch: 0, written: () => {} }
    const { checkpointId, since } = order
    const pager = this.#pager
    const removals = (pager.removals ??= new Removals())
    const before = since === undefined ? undefined : this.#links.get(since)
    const base = before !== undefined && before.epoch >= removals.knownFrom && this.#isWorthIt(before) ? before : undefined
    // Nobody goes on from an older one than that which is complete.
    for (const [id, { epoch }] of this.#links) if (before !== undefined && epoch < before.epoch) this.#links.delete(id)
    for (const id of this.#links.keys()) if (this.#links.size >= mostLinks) this.#links.delete(id)
    removals.forgetBefore(Math.min(base?.epoch ?? Infinity, ...[...this.#links.values()].map(link => link.epoch)))
    const { touched, allEntries: entries } = pager
    const link: Link = {
      epoch: pager.epoch + 1,
      touched,
      entries,
      length: (base?.length ?? 0) + 1,
      whole: base?.whole ?? 0,
      changes: base?.changes ?? 0,
      wholeEntries: base?.wholeEntries ?? entries,
      changedEntries: base === undefined ? 0 : base.changedEntries + touched - base.touched,
    }
    this.#links.set(checkpointId, link)
    if (base === undefined) return { since: undefined, epoch: 0, written: bytes => void (link.whole += bytes) }
    link.changes += bytesOfFile
    return { since, epoch: base.epoch, written: bytes => void (link.changes += bytes) }
  }

  #isWorthIt(link: Link): boolean {
    if (link.length >= longestChain) return false
    if (this.#always) return true
    const { touched, allEntries } = this.#pager
    const isNew = Math.max(0, allEntries - link.entries)
    return (touched - link.touched - isNew) * 2 <= allEntries && link.changes < link.whole + 2 * grown(link, allEntries)
  }
}

/** Bytes of the chain that are of entries which came after its first snapshot, by a low estimate: as if all were of the smaller sort. */
function grown({ whole, changes, wholeEntries, changedEntries }: Link, entries: number): number {
  if (entries <= wholeEntries || wholeEntries === 0 || changedEntries === 0) return 0
  return (entries - wholeEntries) * Math.min(whole / wholeEntries, changes / changedEntries)
}
