/** Where the snapshots of one job lie, and all reading, writing and removing of them. */
import { referredTo, type SnapshotBase, type SnapshotDirectory, type SnapshotToWrite, type WrittenSnapshot } from './snapshot-directory.ts'
import { errorToData, type ErrorData } from '../../core/errors.ts'
import { ensureDirectory, type FileSystem } from '../../core/files.ts'
import type { Submission } from '../dispatcher/job-store.ts'
import { removeTree } from '../../state/snapshot/durable-file.ts'
import type { CompletedCheckpoint } from './checkpoint-coordinator.ts'
import { planRestore, type RestorePlan } from './restore-plan.ts'

/** Bytes that are verified before somebody else has his turn: some 15 ms. */
const sliceBytes = 32 * 1024 * 1024

export interface RestorePoint {
  readonly checkpoint: CompletedCheckpoint
  readonly plan: RestorePlan
}

export class JobSnapshots {
  readonly #files: FileSystem
  readonly #snapshots: SnapshotDirectory
  readonly #submission: Submission
  readonly #warn: (message: string, error: ErrorData) => void
  /** By path of a retained checkpoint: the directories of earlier ones that it has files in. */
  readonly #referredTo = new Map<string, ReadonlySet<string>>()
  /** Directories of checkpoints that are no longer retained, but have files that a later one needs. */
  readonly #lingering = new Set<string>()
  /** The checkpoint that the next may go on from. */
  #base: SnapshotBase | undefined

  /** `warn` gets what went wrong without consequences for the job. */
  constructor(files: FileSystem, snapshots: SnapshotDirectory, submission: Submission, warn: (message: string, error: ErrorData) => void) {
    this.#files = files
    this.#snapshots = snapshots
    this.#submission = submission
    this.#warn = warn
  }

  /** Of all automatic checkpoints of the job. */
  get directory(): string {
    return `${this.#submission.projectDirectory}/.flink-ts/checkpoints/${this.#submission.jobId}`
  }
  checkpointDirectory(id: number): string {
    return `${this.directory}/chk-${id}`
  }
  /** Flink's name, in `parent` or where savepoints of the project are; `suffix` is 12 hex digits of chance. */
  savepointDirectory(parent: string | undefined, suffix: string): string {
    return `${parent ?? `${this.#submission.projectDirectory}/.flink-ts/savepoints`}/savepoint-${this.#submission.jobId.slice(0, 6)}-${suffix}`
  }

  /** The snapshot that the job was started from. Throws SNAPSHOT_NOT_FOUND and what else reading it may throw. */
  initial(): CompletedCheckpoint | undefined {
    const path = this.#initialPath()
    if (path === undefined) return undefined
    const { checkpointId: id, kind, triggeredAt, completedAt } = this.#snapshots.read(path)
    return { id, kind, path, triggeredAt, completedAt, bytes: 0 }
  }

  /**
   * The first of `points` that can be read whole: an automatic checkpoint that cannot gives way to an older one. Works in
   * slices, one per `next()`: state is read at 2 GB/s, and nobody else on this thread may wait for gigabytes of it.
   *
   * All bytes are read only where that changes what happens: there is an older checkpoint to fall back on, or a person
   * named the snapshot and is told before anything runs. Otherwise the slots, which verify what they read, say the same.
   *
   * @throws {FlinkError} from `next()`: of the newest when no other can be read, or at once when it does not fit the job or the disk fails
   */
  *restorePoint(points: readonly CompletedCheckpoint[]): Generator<undefined, RestorePoint | undefined> {
    let first: unknown
    for (const [index, checkpoint] of points.entries()) {
      const last = index + 1 === points.length
      const named = checkpoint.path === this.#initialPath()
      try {
        const content = this.#snapshots.read(checkpoint.path)
        const plan = planRestore(this.#submission.graph, content, this.#submission.allowNonRestoredState && named)
        let bytes = 0
        for (const read of this.#snapshots.verify(content, named || !last)) {
          bytes += read
          if (bytes < sliceBytes) continue
          bytes = 0
          yield
        }
        return { checkpoint, plan }
      } catch (error) {
        const data = errorToData(error, 'STORAGE_FAILED')
        first ??= error
        // Trouble with the disk passes: from an older checkpoint, what sinks have committed since would be written twice.
        if (data.code === 'STORAGE_FAILED' || data.code === 'SNAPSHOT_INCOMPATIBLE') throw error
        if (last) throw first
        this.#warn(`checkpoint ${checkpoint.id} of job ${this.#submission.jobId} cannot be read; an older one is used: ${data.message}`, data)
      }
    }
    return undefined
  }

  /** Makes an empty directory. What may be there is of an aborted snapshot of an earlier life. */
  prepare(directory: string): void {
    removeTree(this.#files, directory)
    ensureDirectory(this.#files, directory)
  }

  /** Removes what a JobManager that was killed left: snapshots under way, and those it was about to remove. Best effort, like all removing. */
  sweep(keep: readonly CompletedCheckpoint[]): void {
    this.#remove(this.directory, () => {
      // Its note of what is retained may be older than the last removal.
      const kept = new Set(keep.map(({ path }) => path).filter(path => this.#snapshots.exists(path)))
      for (const path of kept) this.#referredTo.set(path, this.#snapshots.directoriesOf(path))
      for (const name of this.#files.list(this.directory)) if (!kept.has(`${this.directory}/${name}`)) this.#lingering.add(`${this.directory}/${name}`)
      this.#discardLingering()
    })
  }

  /** New tasks may go on from what they were restored from, if that is a checkpoint of this job. */
  goOnFrom(base: CompletedCheckpoint | undefined): void {
    if (base === undefined) this.#base = undefined
    else if (this.#base?.checkpointId !== base.id) this.#base = this.#snapshots.base(base.path)
  }

  /** Makes a snapshot exist. */
  write(directory: string, snapshot: Omit<SnapshotToWrite, 'base'>): WrittenSnapshot {
    return this.#snapshots.write(directory, { ...snapshot, base: this.#base })
  }

  /** A checkpoint that was written is retained, and the next may go on from it. */
  retain(written: SnapshotBase): void {
    this.#base = written
    this.#referredTo.set(written.directory, referredTo(written.directory, written.operators))
  }

  /** It is no longer retained: it goes as far as no retained one needs its files. */
  subsume(directory: string): void {
    this.#referredTo.delete(directory)
    this.#lingering.add(directory)
    this.#discardLingering()
  }

  #discardLingering(): void {
    const needed = new Set([...this.#referredTo.values()].flatMap(directories => [...directories]))
    for (const directory of this.#lingering) {
      if (needed.has(directory)) this.#remove(directory, () => this.#snapshots.removeManifest(directory))
      else {
        this.#lingering.delete(directory)
        this.discard(directory)
      }
    }
  }

  /** Best effort: what cannot be removed now is removed with the job. */
  discard(directory: string): void {
    this.#remove(directory, () => this.#snapshots.dispose(directory))
  }

  discardAll(): void {
    this.#remove(this.directory, () => removeTree(this.#files, this.directory))
  }

  #remove(path: string, remove: () => void): void {
    try {
      remove()
    } catch (error) {
      const data = errorToData(error, 'STORAGE_FAILED')
      this.#warn(`could not remove ${path}: ${data.message}`, data)
    }
  }

  #initialPath(): string | undefined {
    const { savepointPath, projectDirectory } = this.#submission
    if (savepointPath === undefined) return undefined
    const directory = savepointPath.replace(/\/_metadata$/, '').replace(/(?<=.)\/+$/, '')
    return directory.startsWith('/') ? directory : `${projectDirectory}/${directory}`
  }
}
