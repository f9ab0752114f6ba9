/**
 * Writes records to files that become visible with a checkpoint, exactly once (Flink `FileSink`, rolling on every
 * checkpoint). A file in progress is hidden (`.part-...inprogress`); before the barrier it is synced and closed; when
 * the checkpoint is complete it is renamed to its final name and never touched again.
 *
 * Final names hold the job, the operator, the subtask and the checkpoint, so no two attempts and no two jobs meet.
 */
import type { Committer, Sink, SinkWriter, WriterContext } from '../api/connector.ts'
import { FlinkError } from '../core/errors.ts'
import { ensureDirectory, type WriteHandle } from '../core/files.ts'
import type { Format } from './format.ts'
import { resolvePath } from './paths.ts'

export interface FileSinkOptions<T> {
  /** A directory, made if it is not there; relative to the project directory. */
  readonly path: string
  readonly format: Format<T>
  /** A new file is begun when one has so many bytes; 128 MiB unless told. */
  readonly maxFileBytes?: number
}

/** Names in the sink's directory. */
export interface FileCommittable {
  readonly pending: string
  readonly final: string
}

const writeBytes = 64 * 1024

/**
 * A sink of files in a directory, one or more per subtask and checkpoint. Without checkpoints everything becomes visible
 * at the end of a bounded job.
 *
 * @example
 * stream.sinkTo(fileSink({ path: 'out/orders', format: json() })).uid('orders')
 */
export function fileSink<T>(options: FileSinkOptions<T>): Sink<T, FileCommittable> {
  return {
    kind: 'sink',
    name: 'File Sink',
    createWriter: ctx => new FileWriter(ctx, options),
    createCommitter: ctx => fileCommitter(ctx, resolvePath(ctx.projectDirectory, options.path)),
  }
}

/** Of this operator's files in whatever attempt. */
const prefix = (ctx: WriterContext) => `part-${ctx.jobId.slice(0, 8)}-${ctx.operatorId.slice(0, 8)}`

class FileWriter<T> implements SinkWriter<T, FileCommittable> {
  readonly #ctx: WriterContext
  readonly #options: FileSinkOptions<T>
  readonly #directory: string
  #open: { readonly handle: WriteHandle; readonly name: string; bytes: number } | undefined
  #lines: string[] = []
  #lineChars = 0
  #counter = 0
  /** Closed and synced files that wait for the next barrier. */
  #closed: string[] = []

  constructor(ctx: WriterContext, options: FileSinkOptions<T>) {
    this.#ctx = ctx
    this.#options = options
    this.#directory = resolvePath(ctx.projectDirectory, options.path)
    ensureDirectory(ctx.files, this.#directory)
  }

  write(value: T): void {
    const line = this.#options.format.format(value)
    this.#lines.push(line)
    this.#lineChars += line.length + 1
    if (this.#lineChars >= writeBytes) this.#writeOut()
  }

  flush(): void {
    this.#closeFile()
  }

  prepareCommit(checkpointId: number): FileCommittable[] {
    this.#closeFile()
    const { extension } = this.#options.format
    const committables = this.#closed.map((pending, index) => ({
      pending,
      final: `${prefix(this.#ctx)}-${this.#ctx.subtask}-${checkpointId}${index === 0 ? '' : `-${index}`}.${extension}`,
    }))
    this.#closed = []
    return committables
  }

  /** What was not prepared belongs to no checkpoint: it stays hidden, and the next attempt removes it. */
  close(): void {
    this.#open?.handle.close()
    this.#open = undefined
  }

  #writeOut(): void {
    if (this.#lines.length === 0) return
    const bytes = encoder.encode(`${this.#lines.join('\n')}\n`)
    this.#lines = []
    this.#lineChars = 0
    const open = (this.#open ??= this.#begin())
    open.handle.write(bytes)
    open.bytes += bytes.length
    if (open.bytes >= (this.#options.maxFileBytes ?? 128 * 1024 * 1024)) this.#closeFile()
  }

  #begin() {
    const name = `.${prefix(this.#ctx)}-${this.#ctx.subtask}.${this.#ctx.attempt}-${this.#counter++}.inprogress`
    const path = `${this.#directory}/${name}`
    return { handle: this.#ctx.files.create(path), name, bytes: 0 }
  }

  #closeFile(): void {
    this.#writeOut()
    const open = this.#open
    if (open === undefined) return
    this.#open = undefined
    open.handle.sync()
    open.handle.close()
    this.#ctx.files.syncDirectory(this.#directory)
    this.#closed.push(open.name)
  }
}

function fileCommitter(ctx: WriterContext, directory: string): Committer<FileCommittable> {
  const { files } = ctx
  return {
    commit(committables) {
      for (const { pending, final } of committables) {
        // Committed before, by an attempt that died after the rename, or by the job that a savepoint was taken of.
        if (files.stat(`${directory}/${final}`) !== undefined) continue
        if (files.stat(`${directory}/${pending}`) === undefined) {
          throw new FlinkError('STORAGE_FAILED', `the file ${directory}/${pending} is gone, which a checkpoint promised to commit as ${final}`, {
            hint: 'Files that begin with ".part-" belong to the job until it ends; start from a savepoint that was taken before they were removed.',
          })
        }
        files.rename(`${directory}/${pending}`, `${directory}/${final}`)
      }
      if (committables.length > 0) files.syncDirectory(directory)
    },
    cleanUp() {
      if (ctx.subtask !== 0) return
      for (const name of files.list(directory)) {
        const match = name.startsWith(`.${prefix(ctx)}-`) ? /\.(\d+)-\d+\.inprogress$/.exec(name) : null
        if (match && Number(match[1]) < ctx.attempt) files.remove(`${directory}/${name}`)
      }
    },
  }
}

const encoder = new TextEncoder()
