/**
 * A snapshot under way: visits the pages that existed when it began, by state and key group, and takes those that were
 * written early because somebody was about to change them (`Pager.copy`). Sections are gathered per (state, key group)
 * until they make a block worth its frame.
 *
 * Pages are looked up when their key group's turn comes, not at the barrier, where all records wait: what has been split
 * or dropped since was written then, and what is new says so by its epoch.
 */
import type { SnapshotRun, SnapshotSink } from '../../operators/keyed-state.ts'
import { pagesOf } from './page.ts'
import type { Page, Root, TableInfo } from './page.ts'
import type { Pager } from './pager.ts'
import { joinBlock } from './section.ts'
import type { Table } from './table.ts'

/** A block is handed on when it is this large; so much waits per (state, key group) at most. */
const blockBytes = 64 * 1024
/** What a page costs besides its entries, in entries. */
const pageCost = 4

export class PagedSnapshot implements SnapshotRun {
  readonly #pager: Pager
  readonly #sink: SnapshotSink
  readonly #work: readonly Part[]
  readonly #pending = new Map<TableInfo, (PendingBlock | undefined)[]>()
  #part = 0
  /** Of the part that is being written. */
  #pages: Page[] | undefined
  #page = 0
  #done = false

  constructor(pager: Pager, tables: Iterable<Table>, sink: SnapshotSink) {
    this.#pager = pager
    this.#sink = sink
    this.#work = parts(tables)
    pager.startSnapshot(this)
  }

  step(budget: number): boolean {
    while (!this.#done) {
      const part = this.#work[this.#part]
      if (part === undefined) {
        this.#finish()
        break
      }
      const pages = (this.#pages ??= part.roots.flatMap(root => [...pagesOf(root)]))
      while (this.#page < pages.length) {
        if (budget <= 0) return false
        const page = pages[this.#page++] as Page
        budget -= page.count + pageCost
        this.#pager.copy(page)
      }
      this.#flush(part.table, part.keyGroup)
      this.#part++
      this.#pages = undefined
      this.#page = 0
    }
    return true
  }

  abort(): void {
    if (!this.#done) this.#finish()
  }

  write(page: Page, section: Uint8Array): void {
    const { table, keyGroup } = page.root
    let blocks = this.#pending.get(table)
    if (blocks === undefined) this.#pending.set(table, (blocks = []))
    const block = (blocks[keyGroup] ??= { sections: [], bytes: 0 })
    block.sections.push(section)
    block.bytes += section.length
    if (block.bytes >= blockBytes) this.#flush(table, keyGroup)
  }

  #flush(table: TableInfo, keyGroup: number): void {
    const blocks = this.#pending.get(table)
    const block = blocks?.[keyGroup]
    if (blocks === undefined || block === undefined) return
    blocks[keyGroup] = undefined
    this.#sink.keyed(table.name, keyGroup, joinBlock(table.kind, block.sections))
  }

  #finish(): void {
    this.#done = true
    this.#pager.endSnapshot()
    this.#pending.clear()
  }
}

interface PendingBlock {
  readonly sections: Uint8Array[]
  bytes: number
}

/** What becomes blocks of one (state, key group). */
interface Part {
  readonly table: TableInfo
  readonly keyGroup: number
  readonly roots: readonly Root[]
}

function parts(tables: Iterable<Table>): Part[] {
  const all: Part[] = []
  for (const table of tables) {
    const roots: (Root[] | undefined)[] = []
    for (const root of table.allRoots()) (roots[root.keyGroup] ??= []).push(root)
    roots.forEach((list, keyGroup) => {
      if (list !== undefined) all.push({ table: table.info, keyGroup, roots: list })
    })
  }
  return all
}
