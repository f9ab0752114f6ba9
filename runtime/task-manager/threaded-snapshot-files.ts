/**
 * Writes the files of snapshots in a thread of its own, so that neither a slow disk nor a checksum over a gigabyte delays
 * a heartbeat. The thread is started with the first snapshot; blocks move to it without a copy, those of one turn of a slot together.
 */
import { Worker } from 'node:worker_threads'
import type { ErrorData } from '../core/errors.ts'
import { untouchedStdin } from '../deploy/thread-stdio.ts'
import type { SnapshotBlock, SnapshotFile } from '../protocol/slot.ts'
import { transferable, type FromFilesThread, type ToFilesThread } from './slot-messages.ts'
import type { SnapshotFiles } from './slot-runner.ts'

const entry = new URL(import.meta.url.endsWith('.ts') ? './snapshot-thread.ts' : './snapshot-thread.js', import.meta.url)

export class ThreadedSnapshotFiles implements SnapshotFiles {
  #worker: Worker | undefined
  /** Goes when what is being done now is done. */
  #batch: ToFilesThread[] = []
  #transfer: ArrayBuffer[] = []
  #nextId = 0
  readonly #taken = new Map<number, () => void>()
  readonly #finishing = new Map<number, { readonly path: string; done(result: SnapshotFile | ErrorData): void }>()

  write(path: string, block: SnapshotBlock, taken: () => void): void {
    const id = this.#nextId++
    this.#taken.set(id, taken)
    this.#post({ kind: 'write', id, path, block }, transferable(block))
  }

  finish(path: string, done: (result: SnapshotFile | ErrorData) => void): void {
    const id = this.#nextId++
    this.#finishing.set(id, { path, done })
    this.#post({ kind: 'finish', id, path })
  }

  discard(path: string): void {
    for (const [id, finishing] of this.#finishing) if (finishing.path === path) this.#finishing.delete(id)
    this.#post({ kind: 'discard', path })
  }

  #post(message: ToFilesThread, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#batch.length === 0) queueMicrotask(() => this.#send())
    this.#batch.push(message)
    this.#transfer.push(...transfer)
  }

  #send(): void {
    const batch = this.#batch
    const transfer = this.#transfer
    this.#batch = []
    this.#transfer = []
    this.#worker ??= this.#start()
    this.#worker.postMessage(batch, transfer)
  }

  #start(): Worker {
    const worker = new Worker(entry, { ...untouchedStdin, name: 'snapshot files' })
    worker.unref()
    worker.on('message', (messages: readonly FromFilesThread[]) => {
      for (const message of messages) {
        if (message.kind === 'taken') {
          this.#taken.get(message.id)?.()
          this.#taken.delete(message.id)
        } else {
          this.#finishing.get(message.id)?.done(message.result)
          this.#finishing.delete(message.id)
        }
      }
    })
    // Our own code only runs there, so this is a bug or the end of memory: what it held is lost, the next snapshot gets a new thread.
    worker.on('error', error => console.error('the thread that writes snapshots failed', error))
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
      for (const taken of this.#taken.values()) taken()
      this.#taken.clear()
      const lost = [...this.#finishing.values()]
      this.#finishing.clear()
      for (const { path, done } of lost) done({ code: 'STORAGE_FAILED', message: `the thread that wrote ${path} ended` })
    })
    return worker
  }
}
