/**
 * Pages that were evicted, as blobs in LMDB under (owner, state, key group, namespace, prefix, page id). Writes are
 * committed by LMDB's own thread; until then a blob is read back from the write-behind buffer. The buffer is bounded: at
 * the bound `ready` turns false: the pager evicts no changed page before LMDB has caught up, or waits for it.
 *
 * LMDB is not trusted to have what it said it has: `putSync` joins a transaction that its thread has open, and returns before
 * that commits; when the disk is full the commit fails later, and promises of some writes resolve all the same. So a page
 * knows the checksum of the blob that was written last, and what is read back and is another is an error: an older version of
 * a page, taken for the newest, would get into the next checkpoint.
 */
import { assert } from '../../core/assert.ts'
import type { FlinkError } from '../../core/errors.ts'
import type { Page } from '../memory/page.ts'
import type { PageStore } from '../memory/page-store.ts'
import type { Environment } from './environment.ts'
import { storageError } from './storage-error.ts'

const keyBytes = 26
const what = 'cannot move keyed state to disk'
const nothing = new Uint8Array(0)

export class LmdbPageStore implements PageStore {
  readonly #environment: Environment
  readonly #maxWaiting: number
  /** A read is over when it returns; its key can be used again. */
  readonly #readKey = new DataView(new ArrayBuffer(keyBytes))
  readonly #waiting = new Map<Page, Uint8Array>()
  #waitingBytes = 0
  #failure: FlinkError | undefined
  #closed = false
  bytes = 0

  /** `maxWaiting`: bytes that may wait to be committed. */
  constructor(environment: Environment, maxWaiting: number) {
    this.#environment = environment
    this.#maxWaiting = maxWaiting
  }

  get ready(): boolean {
    return this.#waitingBytes < this.#maxWaiting
  }

  write(page: Page, blob: Uint8Array): void {
    this.#hold(page, blob)
    this.#environment.database.put(this.#key(page), blob).then(
      () => this.#settle(page, blob),
      error => this.#fail(error),
    )
  }

  writeNow(page: Page, blob: Uint8Array): void {
    // An older blob of it is on its way and would come later than this one.
    if (this.#waiting.has(page)) return this.write(page, blob)
    try {
      this.#environment.database.putSync(this.#key(page), blob)
    } catch (error) {
      throw storageError(error, what)
    }
    this.#count(page, blob)
  }

  read(page: Page): Uint8Array {
    const waiting = this.#waiting.get(page)
    if (waiting !== undefined) return waiting
    assert(page.stored > 0, `a page of state "${page.root.table.name}" is not in LMDB`)
    this.check()
    let blob: Uint8Array | undefined
    try {
      blob = this.#environment.database.getBinary(this.#key(page, this.#readKey))
    } catch (error) {
      throw storageError(error, 'cannot read keyed state back from disk')
    }
    if (blob === undefined || blob.length !== page.stored || checksumOf(blob) !== page.storedChecksum) {
      throw storageError(new Error(`Commit failed: a page of state "${page.root.table.name}" was written and is not there`), what)
    }
    return blob
  }

  remove(page: Page): void {
    this.#release(page)
    this.#count(page, nothing)
    this.#environment.database.remove(this.#key(page)).catch(error => this.#fail(error))
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  close(): void {
    this.#closed = true
    this.#waiting.clear()
    this.#environment.release()
  }

  #hold(page: Page, blob: Uint8Array): void {
    this.#release(page)
    this.#waiting.set(page, blob)
    this.#waitingBytes += blob.length
    this.#count(page, blob)
  }

  #release(page: Page): void {
    const waiting = this.#waiting.get(page)
    if (waiting === undefined) return
    this.#waiting.delete(page)
    this.#waitingBytes -= waiting.length
  }

  /** A newer blob of the same page may be waiting by now. */
  #settle(page: Page, blob: Uint8Array): void {
    if (this.#waiting.get(page) === blob) this.#release(page)
  }

  /** What was not committed stays in the buffer, so nothing is lost; the task fails at its next turn. */
  #fail(error: unknown): void {
    // lmdb rejects a second promise that nobody else can see; unhandled, it would end the process.
    const { commitError } = (error ?? {}) as { commitError?: Promise<unknown> }
    commitError?.catch(() => {})
    if (!this.#closed) this.#failure ??= storageError(error, what)
    if (commitError !== undefined && !this.#closed) commitError.catch(cause => (this.#failure = storageError(cause, what)))
  }

  #count(page: Page, blob: Uint8Array): void {
    this.bytes += blob.length - page.stored
    page.stored = blob.length
    page.storedChecksum = checksumOf(blob)
  }

  /** Neighbours by state, key group, namespace and hash are neighbours on disk. */
  #key(page: Page, view = new DataView(new ArrayBuffer(keyBytes))): Uint8Array {
    const { root } = page
    view.setUint16(0, this.#environment.owner)
    view.setUint16(2, root.table.number)
    view.setUint16(4, root.keyGroup)
    view.setFloat64(6, root.namespace)
    view.setUint32(14, page.prefix)
    view.setFloat64(18, page.id)
    return new Uint8Array(view.buffer)
  }
}

/** A blob begins with it (`pack.ts`). */
function checksumOf(blob: Uint8Array): number {
  return (blob[0] as number) | ((blob[1] as number) << 8) | ((blob[2] as number) << 16) | ((blob[3] as number) << 24)
}
