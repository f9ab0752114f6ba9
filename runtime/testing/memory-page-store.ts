/** The pages of a keyed state that do not fit into its memory, in the simulator: kept as bytes, where a real slot has LMDB. */
import { assert } from '../core/assert.ts'
import type { Page } from '../state/memory/page.ts'
import type { PageStore } from '../state/memory/page-store.ts'

export class MemoryPageStore implements PageStore {
  readonly #blobs = new Map<Page, Uint8Array>()
  readonly ready = true
  bytes = 0

  write(page: Page, blob: Uint8Array): void {
    this.#count(page, blob.length)
    this.#blobs.set(page, blob)
  }

  writeNow(page: Page, blob: Uint8Array): void {
    this.write(page, blob)
  }

  read(page: Page): Uint8Array {
    const blob = this.#blobs.get(page)
    assert(blob !== undefined, `a page of state "${page.root.table.name}" is not in the store`)
    return blob
  }

  remove(page: Page): void {
    this.#count(page, 0)
    this.#blobs.delete(page)
  }

  check(): void {}

  close(): void {
    this.#blobs.clear()
  }

  #count(page: Page, bytes: number): void {
    this.bytes += bytes - page.stored
    page.stored = bytes
  }
}
