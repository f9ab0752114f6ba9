import type { Page } from './page.ts'

/** Where pages go that do not fit into memory (`lmdb/`). Blobs are packs (`pack.ts`). */
export interface PageStore {
  /** Live bytes of all blobs. */
  readonly bytes: number
  /** False while too many bytes wait to be written; then changed pages should stay in memory if they can. */
  readonly ready: boolean
  /** Written in the background; `read` gives it back at once. */
  write(page: Page, blob: Uint8Array): void
  /** Written before it returns: for a restore, and when memory runs away from a slow disk. */
  writeNow(page: Page, blob: Uint8Array): void
  /** A copy that is the caller's. */
  read(page: Page): Uint8Array
  remove(page: Page): void
  /** Throws what went wrong in the background: DISK_FULL or STORAGE_FAILED. */
  check(): void
  close(): void
}
