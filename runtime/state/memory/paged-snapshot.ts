/**
 * A snapshot under way: visits the pages that existed when it began, state by state, and takes those that were written
 * early because somebody was about to change too much of them (`Pager.copy`). Sections are gathered per (state, key group)
 * until they make a block worth its frame.
 *
 * A snapshot of what has changed since an earlier one holds of each page the entries with stamps from then on, and before
 * all of them says what was removed. Mostly that is a few of each page: those of neighbouring pages share a section.
 *
 * Nothing is looked up at the barrier, where all records wait, however many pages, windows and sessions there are. What has
 * been split or dropped since was written then; what is new says so by its epoch.
 */
import { assert } from '../../core/assert.ts'
import type { SnapshotRun, SnapshotSink } from '../../operators/keyed-state.ts'
import { pagesOf } from './page.ts'
import type { Page, Root, TableInfo } from './page.ts'
import type { Removed } from './removals.ts'
import type { Pager } from './pager.ts'
import { encodeGone, encodeRemoved, joinBlock, valueSection } from './section.ts'
import type { Table } from './table.ts'

/** A block is handed on when it is this large. */
const blockBytes = 64 * 1024
/** When so much waits in all blocks, the one that grows is handed on, however small. */
const waitingBytes = 4 * 1024 * 1024
/** What a page costs besides its entries, in entries; and so many bytes of a block when it is handed on. */
const pageCost = 4
/** What a page costs that a snapshot of changes only passes by, in entries. */
const costOfUnchanged = 0.2
/** What an entry of any other page costs for looking at its stamp alone, in entries. */
const costOfStamp = 0.02
/** Entries of a section that several pages share. */
const mostGathered = 512
/** What is packed is only copied: so many entries cost what one costs that has to be encoded. */
const packedPerObject = 8
/** The same of rows. */
const rowsPerObject = 16
/** All slots are looked at, of which most may be free. */
const slotsPerObject = 64
const bytesPerEntry = 256

export class PagedSnapshot implements SnapshotRun {
  readonly #pager: Pager
  readonly #sink: SnapshotSink
  readonly #pages: Iterator<Page>
  /** Blocks that wait for more, by table and key group. */
  readonly #blocks = new Map<TableInfo, (Block | undefined)[]>()
  #waiting = 0
  /** Changed entries of pages that were visited in this step. They are written before it ends: afterwards anybody may change them. */
  #gathered: Gathered | undefined
  #stepping = false
  /** Of the page that is visited: entries that came one by one, and whether a section did. */
  #came = 0
  #wrote = false
  /** What has still to be said of what was removed; undefined: nothing. */
  #removed: Iterator<RemovedPart> | undefined
  /** All pages are written; what is left are these blocks. */
  #last: Block[] | undefined
  #done = false

  /** `since`: the number of the snapshot that it goes on from, 0 for everything. */
  constructor(pager: Pager, tables: readonly Table[], sink: SnapshotSink, since = 0) {
    this.#pager = pager
    this.#sink = sink
    pager.startSnapshot(this, since)
    this.#removed = since === 0 ? undefined : removedParts(pager.removals?.between(since, pager.epoch) ?? [])
    this.#pages = pagesBefore(tables, pager.epoch)
  }

  step(budget: number): boolean {
    this.#stepping = true
    try {
      return this.#step(budget)
    } finally {
      this.#stepping = false
    }
  }

  #step(budget: number): boolean {
    budget -= this.#writeRemoved(budget)
    if (this.#last === undefined && !this.#done) {
      this.#visit(budget)
      this.#writeGathered()
      if (this.#last === undefined) return false
    }
    while (!this.#done) {
      const block = this.#last?.pop()
      if (block === undefined) this.#finish()
      else {
        budget -= block.bytes / bytesPerEntry
        this.#handOn(block)
        if (budget <= 0 && this.#last?.length !== 0) return false
      }
    }
    return true
  }

  /** Goes on through the pages. */
  #visit(budget: number): void {
    while (budget > 0) {
      const next = this.#pages.next()
      if (next.done === true) {
        this.#writeGathered()
        // From now on nothing is awaited: every page is written or new.
        this.#last = [...this.#blocks.values()].flatMap(blocks => blocks.filter(block => block !== undefined))
        return
      }
      const page = next.value
      if (this.#pager.isUnchanged(page)) {
        budget -= costOfUnchanged
        this.#pager.copy(page)
      } else {
        this.#came = 0
        this.#wrote = false
        const cost = costOf(page)
        this.#pager.copy(page)
        // Rows are a section, and what was kept of them comes besides.
        if (this.#came === 0 || this.#wrote) budget -= cost + this.#came
        else budget -= (cost * this.#came) / Math.max(page.objects, this.#came) + page.count * costOfStamp
      }
    }
  }

  abort(): void {
    if (!this.#done) this.#finish()
  }

  write(page: Page, section: Uint8Array): void {
    assert(this.#last === undefined, 'a page is written after the last')
    this.#wrote = true
    // Whoever reads it removes first.
    this.#writeRemoved(Infinity)
    this.#add(page.root.table, page.root.keyGroup, section)
  }

  /** Changed entries of a value table, as they are now. */
  changed(root: Root, keys: unknown[], values: unknown[]): void {
    assert(this.#last === undefined, 'a page is written after the last')
    this.#came = keys.length
    const gathered = this.#gathered
    if (gathered !== undefined && gathered.root === root && gathered.keys.length + keys.length <= mostGathered) {
      for (let i = 0; i < keys.length; i++) {
        gathered.keys.push(keys[i])
        gathered.values.push(values[i])
      }
    } else {
      this.#writeGathered()
      this.#gathered = { root, keys, values }
    }
    if (!this.#stepping) this.#writeGathered()
  }

  #writeGathered(): void {
    const gathered = this.#gathered
    if (gathered === undefined) return
    this.#gathered = undefined
    // Whoever reads it removes first.
    this.#writeRemoved(Infinity)
    const { root, keys, values } = gathered
    this.#add(root.table, root.keyGroup, valueSection(root, keys, values))
  }

  /** What that cost: about `budget` at most. */
  #writeRemoved(budget: number): number {
    let cost = 0
    while (this.#removed !== undefined && cost < budget) {
      const next = this.#removed.next()
      if (next.done === true) this.#removed = undefined
      else {
        this.#add(next.value.table, next.value.keyGroup, next.value.section)
        cost += pageCost + next.value.entries
      }
    }
    return cost
  }

  #add(table: TableInfo, keyGroup: number, section: Uint8Array): void {
    let blocks = this.#blocks.get(table)
    if (blocks === undefined) this.#blocks.set(table, (blocks = []))
    const block = (blocks[keyGroup] ??= { table, keyGroup, sections: [], bytes: 0 })
    block.sections.push(section)
    block.bytes += section.length
    this.#waiting += section.length
    if (block.bytes < blockBytes && this.#waiting < waitingBytes) return
    blocks[keyGroup] = undefined
    this.#handOn(block)
  }

  #handOn({ table, keyGroup, sections, bytes }: Block): void {
    this.#waiting -= bytes
    this.#sink.keyed(table.name, keyGroup, joinBlock(table, sections))
  }

  #finish(): void {
    this.#done = true
    this.#pager.endSnapshot()
    this.#blocks.clear()
    this.#gathered = undefined
  }
}

/** By entries or, where they are large, by bytes: a step is a part of a millisecond of either. */
function costOf({ count, objects, bytes, entries }: Page): number {
  if (entries?.kind === 'rows' && count === objects) return pageCost + count / rowsPerObject + entries.slots / slotsPerObject
  return pageCost + Math.max(objects, bytes / bytesPerEntry) + (count - objects) / packedPerObject
}

interface Gathered {
  readonly root: Root
  readonly keys: unknown[]
  readonly values: unknown[]
}

interface Block {
  readonly table: TableInfo
  readonly keyGroup: number
  readonly sections: Uint8Array[]
  bytes: number
}

/** A section of what was removed. */
interface RemovedPart {
  readonly table: TableInfo
  readonly keyGroup: number
  readonly entries: number
  readonly section: Uint8Array
}

function* removedParts(removed: readonly Removed[]): Iterator<RemovedPart> {
  for (const { roots, entries } of removed) {
    for (const { table, namespace, keyGroup } of roots) yield { table, keyGroup, entries: 1, section: encodeGone(namespace) }
    for (const [root, of] of entries) yield { table: root.table, keyGroup: root.keyGroup, entries: of.keys.length, section: encodeRemoved(root, of) }
  }
}

/**
 * The pages that were there when the snapshot `epoch` began and still are, and some that are newer. The pages of one
 * (namespace, key group) are looked up when its turn comes.
 */
function* pagesBefore(tables: readonly Table[], epoch: number): Iterator<Page> {
  for (const table of tables) {
    for (const root of table.rootsBefore(epoch)) yield* [...pagesOf(root)]
  }
}
