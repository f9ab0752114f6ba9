/**
 * A snapshot under way: visits the pages that existed when it began, by state and key group, and takes those that were
 * written early because somebody was about to change them (`Pager.copy`). Sections are gathered per (state, key group)
 * until they make a block worth its frame.
 */
import type { SnapshotRun, SnapshotSink } from '../../operators/keyed-state.ts'
import { pagesOf } from './page.ts'
import type { Page, TableInfo } from './page.ts'
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
  readonly #work: readonly PageList[]
  readonly #pending = new Map<TableInfo, (PendingBlock | undefined)[]>()
  #list = 0
  #page = 0
  #done = false

  constructor(pager: Pager, tables: Iterable<Table>, sink: SnapshotSink) {
    this.#pager = pager
    this.#sink = sink
    this.#work = pagesByKeyGroup(tables)
    pager.startSnapshot(this)
  }

  step(budget: number): boolean {
    while (!this.#done) {
      const list = this.#work[this.#list]
      if (list === undefined) {
        this.#finish()
        break
      }
      while (this.#page < list.pages.length) {
        if (budget <= 0) return false
        const page = list.pages[this.#page++] as Page
        budget -= page.count + pageCost
        this.#pager.copy(page)
      }
      this.#flush(list.table, list.keyGroup)
      this.#list++
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

interface PageList {
  readonly table: TableInfo
  readonly keyGroup: number
  readonly pages: readonly Page[]
}

function pagesByKeyGroup(tables: Iterable<Table>): PageList[] {
  const lists: PageList[] = []
  for (const table of tables) {
    const pages: (Page[] | undefined)[] = []
    for (const root of table.allRoots()) {
      const list = (pages[root.keyGroup] ??= [])
      for (const page of pagesOf(root)) list.push(page)
    }
    pages.forEach((list, keyGroup) => {
      if (list !== undefined) lists.push({ table: table.info, keyGroup, pages: list })
    })
  }
  return lists
}
