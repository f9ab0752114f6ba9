/**
 * Writes the files of snapshots where it is called. The embedded cluster and the simulator use it as it is; in a real
 * TaskManager it runs in a thread of its own (`threaded-snapshot-files.ts`).
 */
import { errorToData, type ErrorData } from '../core/errors.ts'
import type { FileSystem } from '../core/files.ts'
import type { SnapshotBlock, SnapshotFile } from '../protocol/slot.ts'
import { SnapshotFileWriter } from '../state/snapshot/snapshot-file.ts'
import type { SnapshotFiles } from './slot-runner.ts'

export class DirectSnapshotFiles implements SnapshotFiles {
  readonly #files: FileSystem
  /** A file that failed is remembered until it is finished or dropped: that is when somebody can be told. */
  readonly #writers = new Map<string, SnapshotFileWriter | { readonly error: ErrorData }>()

  constructor(files: FileSystem) {
    this.#files = files
  }

  write(path: string, block: SnapshotBlock, taken: () => void): void {
    this.#with(path, writer => writer.add(block))
    taken()
  }

  finish(path: string, done: (result: SnapshotFile | ErrorData) => void): void {
    let file: SnapshotFile | undefined
    this.#with(path, writer => (file = writer.finish()))
    const writer = this.#writers.get(path)
    this.#writers.delete(path)
    if (file !== undefined) done(file)
    else if (writer !== undefined && 'error' in writer) done(writer.error)
  }

  discard(path: string): void {
    const writer = this.#writers.get(path)
    this.#writers.delete(path)
    if (writer instanceof SnapshotFileWriter) writer.abort()
  }

  #with(path: string, work: (writer: SnapshotFileWriter) => void): void {
    try {
      let writer = this.#writers.get(path)
      if (writer === undefined) {
        this.#files.makeDirectory(path.slice(0, path.lastIndexOf('/')))
        writer = new SnapshotFileWriter(this.#files, path)
        this.#writers.set(path, writer)
      }
      if (writer instanceof SnapshotFileWriter) work(writer)
    } catch (error) {
      this.#writers.set(path, { error: errorToData(error, 'STORAGE_FAILED') })
    }
  }
}
