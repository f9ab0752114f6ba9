/**
 * What must outlive the JobManager: which jobs run, and from where each goes on. One directory per job,
 *
 *     <project>/.flink-ts/jobs/<job-id>/submission.json   the job graph, the pinned bundle; written once
 *     <project>/.flink-ts/jobs/<job-id>/progress.json     attempt, next checkpoint id, completed checkpoints
 *     <project>/.flink-ts/jobs/epoch.json                 raised by each start of a JobManager
 *
 * written so that a crash leaves the old file or the new one. A job that is over is removed.
 */
import { FlinkError, errorToData, type ErrorData } from '../../core/errors.ts'
import { ensureDirectory, type FileSystem } from '../../core/files.ts'
import { murmur128 } from '../../core/murmur.ts'
import type { JobGraph } from '../../graph/job-graph.ts'
import type { CompletedCheckpoint } from '../checkpoint/checkpoint-coordinator.ts'
import { readAll, removeTree } from '../../state/snapshot/durable-file.ts'
import { readJson, writeDurable, writeDurableJson } from '../durable-file.ts'

export interface Submission {
  readonly jobId: string
  readonly graph: JobGraph
  /** Absolute; our own copy, so that the next build of the project does not change a running job. */
  readonly bundlePath: string
  /** murmur128 of its text: the check that it is still the same need not load Node's cryptography. Undefined: there is no file. */
  readonly bundleHash: string | undefined
  readonly projectDirectory: string
  readonly savepointPath: string | undefined
  readonly allowNonRestoredState: boolean
  readonly submittedAt: number
}

export interface Progress {
  /** Of the last deployment; 0: none yet. Attempts are never reused, because files are named after them. */
  readonly attempt: number
  readonly nextCheckpointId: number
  /** Oldest first. */
  readonly completed: readonly CompletedCheckpoint[]
  /** Set as soon as a stop with savepoint is durable: the job must not be run on from an older checkpoint. */
  readonly stoppedAt: string | undefined
}

export interface StoredJob {
  readonly submission: Submission
  readonly progress: Progress
}

const version = 1
/** How often a stored job is read before it is called unreadable. */
const readTries = 3
export const noProgress: Progress = { attempt: 0, nextCheckpointId: 1, completed: [], stoppedAt: undefined }

export class JobStore {
  readonly #files: FileSystem
  readonly #root: string

  /** `root` is `<project>/.flink-ts/jobs`. */
  constructor(files: FileSystem, root: string) {
    this.#files = files
    this.#root = root
  }

  /** Takes the next epoch, durably: whoever had an older one is fenced off from here on. */
  raiseEpoch(atLeast: number): number {
    ensureDirectory(this.#files, this.#root)
    const path = `${this.#root}/epoch.json`
    const before = this.#files.stat(path) === undefined ? 0 : (readJson(this.#files, path) as { readonly epoch: number }).epoch
    const epoch = Math.max(before + 1, atLeast)
    writeDurableJson(this.#files, path, { version, epoch })
    return epoch
  }

  add(submission: Submission): Submission {
    const directory = this.#directory(submission.jobId)
    try {
      ensureDirectory(this.#files, directory)
      const pinned = this.#pin(submission)
      this.saveProgress(submission.jobId, noProgress)
      writeDurableJson(this.#files, `${directory}/submission.json`, { version, ...pinned })
      return pinned
    } catch (error) {
      this.#forget(directory)
      throw error
    }
  }

  /** Whoever submitted was told that it failed, and may submit again: the next JobManager must not find a second job. */
  #forget(directory: string): void {
    try {
      removeTree(this.#files, directory)
    } catch {
      // The disk fails altogether; what it held back is swept by `recover`, unless all of it was written.
    }
  }

  saveProgress(jobId: string, progress: Progress): void {
    writeDurableJson(this.#files, `${this.#directory(jobId)}/progress.json`, { version, ...progress })
  }

  remove(submission: Submission): void {
    const directory = this.#directory(submission.jobId)
    // First the file that makes it a job; what a crash leaves behind is swept by `recover`.
    this.#files.remove(`${directory}/submission.json`)
    this.#files.syncDirectory(directory)
    removeTree(this.#files, directory)
    if (submission.bundleHash !== undefined) {
      removeTree(this.#files, submission.bundlePath)
      removeTree(this.#files, `${submission.bundlePath}.map`)
    }
  }

  /** Jobs that ran when the JobManager ended. One that cannot be read is reported and left where it is. */
  recover(): { readonly jobs: readonly StoredJob[]; readonly unreadable: readonly { readonly jobId: string; readonly error: ErrorData }[] } {
    const jobs: StoredJob[] = []
    const unreadable: { jobId: string; error: ErrorData }[] = []
    for (const jobId of this.#files.list(this.#root)) {
      if (!/^[0-9a-f]{32}$/.test(jobId)) continue
      const directory = this.#directory(jobId)
      if (this.#files.stat(`${directory}/submission.json`) === undefined) {
        removeTree(this.#files, directory)
        continue
      }
      const stored = this.#read(jobId)
      if ('submission' in stored) jobs.push(stored)
      else unreadable.push({ jobId, error: stored })
    }
    return { jobs, unreadable }
  }

  /** Nobody asks for the job again before the next start: a moment's trouble with the disk must not cost it its life. */
  #read(jobId: string): StoredJob | ErrorData {
    for (let tries = 1; ; tries++) {
      try {
        const submission = checked(readJson(this.#files, `${this.#directory(jobId)}/submission.json`), jobId) as unknown as Submission
        const progress = checked(readJson(this.#files, `${this.#directory(jobId)}/progress.json`), jobId) as unknown as Progress
        this.#checkBundle(submission)
        return { submission, progress }
      } catch (error) {
        if (tries === readTries) return errorToData(error, 'STORAGE_FAILED')
      }
    }
  }

  #directory(jobId: string): string {
    return `${this.#root}/${jobId}`
  }

  /**
   * Copies the bundle to where it finds the same installed packages: within `.flink-ts` to the job's own directory,
   * otherwise beside the original. In the embedded cluster there may be no file: then the name is all there is.
   */
  #pin(submission: Submission): Submission {
    const { bundlePath, jobId } = submission
    if (this.#files.stat(bundlePath)?.kind !== 'file') return { ...submission, bundleHash: undefined }
    const directory = bundlePath.slice(0, bundlePath.lastIndexOf('/'))
    const home = this.#root.slice(0, this.#root.lastIndexOf('/') + 1)
    const pinned = bundlePath.startsWith(home) ? `${this.#directory(jobId)}/job-${jobId}.mjs` : `${directory}/job-${jobId}.mjs`
    let text = readText(this.#files, bundlePath)
    const map = /^\/\/# sourceMappingURL=(?!data:)([^\s/\\]+)[ \t]*$/m.exec(text)
    if (map && this.#files.stat(`${directory}/${map[1]}`)?.kind === 'file') {
      writeDurable(this.#files, `${pinned}.map`, readAll(this.#files, `${directory}/${map[1]}`))
      text = text.replace(map[0], `//# sourceMappingURL=job-${jobId}.mjs.map`)
    }
    writeDurable(this.#files, pinned, new TextEncoder().encode(text))
    return { ...submission, bundlePath: pinned, bundleHash: murmur128(text) }
  }

  #checkBundle({ bundlePath, bundleHash }: Submission): void {
    if (bundleHash === undefined) return
    if (this.#files.stat(bundlePath) === undefined || murmur128(readText(this.#files, bundlePath)) !== bundleHash) {
      throw new FlinkError('BUNDLE_FAILED', `the bundle of the job, ${bundlePath}, was changed or removed`, { hint: 'Run the job again; its checkpoints are still there.' })
    }
  }
}

function checked(value: unknown, jobId: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && (value as { version?: unknown }).version === version) return value as Record<string, unknown>
  throw new FlinkError('STORAGE_FAILED', `job ${jobId} was stored by another version of flink-ts`)
}

const readText = (files: FileSystem, path: string) => new TextDecoder().decode(readAll(files, path))
