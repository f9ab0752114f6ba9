/**
 * Reads files line by line, all of them side by side and a large one in byte ranges (Flink `FileSource`, bounded). A range owns the
 * lines that begin in it; the reader of a range that begins inside a line leaves that line to the range before.
 *
 * A checkpoint holds, per split, the byte position after the last record that was emitted.
 */
import type { EnumeratorContext, Source, SourceOutput } from '../api/connector.ts'
import { FlinkError } from '../core/errors.ts'
import type { FileSystem, ReadHandle } from '../core/files.ts'
import type { Format, LineParser } from './format.ts'
import { InterleavingReader, staticEnumerator, type SplitCursor } from './interleaving.ts'
import { checkRate } from './pace.ts'
import { findFiles, resolvePath } from './paths.ts'

export interface FileSourceOptions<T> {
  /** A file, a directory, or a pattern with `*` and `?`; relative to the project directory. */
  readonly path: string
  readonly format: Format<T>
  /** A file is not cut into ranges smaller than this; 1 MiB unless told. */
  readonly minSplitBytes?: number
  /** Lines per second of all subtasks together, to replay a file slowly; without it as fast as the job takes them. */
  readonly ratePerSecond?: number
}

/** The lines of `path` that begin at `next` or later and before `end`. */
export interface FileSplit {
  readonly id: string
  readonly path: string
  readonly next: number
  readonly end: number
  /** `next` is the beginning of a line: of the file, or after a restore. */
  readonly atLineStart: boolean
}

const chunkBytes = 64 * 1024
const maxRecordBytes = 16 * 1024 * 1024

/**
 * A bounded source of the records in files. All files are read side by side, so event time does not depend on their
 * number; a file alone, or fewer files than readers, are cut into ranges.
 *
 * Throws INPUT_NOT_FOUND if nothing matches, MALFORMED_RECORD with file and line for a line that the format cannot read,
 * INPUT_CHANGED if a file became shorter than a checkpoint knows it.
 *
 * @example
 * env.fromSource(fileSource({ path: 'orders/*.jsonl', format: json<Order>() }))
 */
export function fileSource<T>(options: FileSourceOptions<T>): Source<T, FileSplit, FileSplit[]> {
  checkRate(options.ratePerSecond, 'fileSource')
  return {
    kind: 'source',
    name: 'File Source',
    bounded: true,
    createEnumerator: (ctx, restored) => staticEnumerator(ctx, restored, () => findSplits(ctx, options)),
    createReader: ctx => new InterleavingReader(ctx, options.ratePerSecond, split => new LineCursor<T>(ctx.files, split, options.format)),
  }
}

function findSplits(ctx: EnumeratorContext<FileSplit>, options: FileSourceOptions<unknown>): FileSplit[] {
  const path = resolvePath(ctx.projectDirectory, options.path)
  const found = findFiles(ctx.files, path)
  if (found.length === 0) throw new FlinkError('INPUT_NOT_FOUND', `no file matches ${JSON.stringify(options.path)}`, { detail: `Looked for ${path}.` })
  const perFile = Math.ceil(ctx.parallelism / found.length)
  return found.flatMap(file => {
    const size = ctx.files.stat(file)?.size ?? 0
    const bytes = Math.max(options.minSplitBytes ?? 1024 * 1024, Math.ceil(size / perFile))
    const splits: FileSplit[] = []
    for (let next = 0; next < size; next += bytes) {
      splits.push({ id: `${file}@${next}`, path: file, next, end: Math.min(next + bytes, size), atLineStart: next === 0 })
    }
    return splits
  })
}

/** Walks the lines of one split, a chunk at a time: a chunk is decoded at once and its lines are handed out in turns. */
class LineCursor<T> implements SplitCursor<T, FileSplit> {
  readonly id: string
  readonly #files: FileSystem
  readonly #split: FileSplit
  readonly #handle: ReadHandle
  readonly #parse: LineParser<T>
  readonly #format: Format<T>
  #buffer = new Uint8Array(chunkBytes)
  /** Where the bytes of the current chunk begin and end in the file; whole lines only. */
  #chunkStart: number
  #chunkLength = 0
  #lines: string[] = []
  #line = 0

  constructor(files: FileSystem, split: FileSplit, format: Format<T>) {
    this.id = split.id
    this.#files = files
    this.#split = split
    this.#format = format
    const size = files.stat(split.path)?.size
    if (size === undefined || size < split.end) {
      throw new FlinkError('INPUT_CHANGED', `${split.path} ${size === undefined ? 'is gone' : `has ${size} bytes, but ${split.end} were there when it was first read`}`)
    }
    this.#handle = files.openRead(split.path)
    this.#parse = format.parser(this.#firstLine())
    this.#chunkStart = split.next
    if (!split.atLineStart) this.#skipToLineStart()
  }

  emit(out: SourceOutput<T>, max: number): 'more' | 'end' {
    let left = max
    while (left > 0) {
      if (this.#line === this.#lines.length && !this.#nextChunk()) return 'end'
      const stop = Math.min(this.#lines.length, this.#line + left)
      left -= stop - this.#line
      while (this.#line < stop) {
        const record = this.#parseLine(this.#lines[this.#line] as string, this.#line)
        this.#line++
        if (record !== undefined) out.collect(record)
      }
    }
    return 'more'
  }

  rest(): FileSplit {
    const inChunk = this.#line === this.#lines.length ? this.#chunkLength : this.#offsetOfLine(this.#line)
    return { ...this.#split, next: this.#chunkStart + inChunk, atLineStart: true }
  }

  close(): void {
    this.#handle.close()
  }

  #parseLine(line: string, index: number): T | undefined {
    try {
      return this.#parse(line.endsWith('\r') ? line.slice(0, -1) : line, this.#chunkStart === 0 && index === 0)
    } catch (error) {
      const lineNumber = this.#lineNumberAt(this.#chunkStart + this.#offsetOfLine(index))
      throw new FlinkError('MALFORMED_RECORD', `${this.#split.path}:${lineNumber} is not ${this.#format.name}: ${error instanceof Error ? error.message : String(error)}`, {
        detail: `The line begins: ${JSON.stringify(line.slice(0, 120))}`,
        at: { file: this.#split.path, line: lineNumber },
        cause: error,
      })
    }
  }

  /** Loads the next whole lines that begin before the split's end. */
  #nextChunk(): boolean {
    const from = this.#chunkStart + this.#chunkLength
    this.#lines = []
    this.#line = 0
    this.#chunkStart = from
    this.#chunkLength = 0
    if (from >= this.#split.end) return false
    let filled = 0
    for (;;) {
      const read = this.#handle.read(this.#buffer.subarray(filled), from + filled)
      filled += read
      if (filled === 0) return false
      // The last line of the split is the one that holds its last byte.
      const lastByte = this.#split.end - 1 - from
      const newline = lastByte < filled ? this.#buffer.subarray(0, filled).indexOf(10, lastByte) : this.#buffer.lastIndexOf(10, filled - 1)
      if (newline >= 0) {
        this.#setLines(newline + 1, newline)
        return true
      }
      if (read === 0 && filled < this.#buffer.length) {
        // End of the file without a newline.
        this.#setLines(filled, filled)
        return true
      }
      if (filled === this.#buffer.length) this.#grow(from)
    }
  }

  #setLines(length: number, textEnd: number): void {
    this.#chunkLength = length
    this.#lines = decoder.decode(this.#buffer.subarray(0, textEnd)).split('\n')
  }

  #grow(position: number): void {
    if (this.#buffer.length >= maxRecordBytes) {
      throw new FlinkError('RECORD_TOO_LARGE', `${this.#split.path}:${this.#lineNumberAt(position)} is longer than 16 MiB`)
    }
    const larger = new Uint8Array(this.#buffer.length * 4)
    larger.set(this.#buffer)
    this.#buffer = larger
  }

  /** The line that `next` falls into belongs to the split before, unless it begins right there. */
  #skipToLineStart(): void {
    let position = this.#split.next - 1
    for (;;) {
      const read = this.#handle.read(this.#buffer, position)
      const newline = this.#buffer.subarray(0, read).indexOf(10)
      if (newline >= 0 || read === 0) {
        this.#chunkStart = position + (newline >= 0 ? newline + 1 : 0)
        return
      }
      position += read
    }
  }

  #firstLine(): string {
    const head = new Uint8Array(chunkBytes)
    const read = this.#handle.read(head, 0)
    const newline = head.subarray(0, read).indexOf(10)
    return decoder.decode(head.subarray(0, newline < 0 ? read : newline)).replace(/\r$/, '')
  }

  #offsetOfLine(line: number): number {
    let offset = 0
    for (let i = 0; i < line; i++) offset = this.#buffer.indexOf(10, offset) + 1
    return offset
  }

  /** Only for errors: counts the lines from the beginning of the file. */
  #lineNumberAt(position: number): number {
    const handle = this.#files.openRead(this.#split.path)
    const chunk = new Uint8Array(chunkBytes)
    let line = 1
    for (let at = 0; at < position; ) {
      const read = handle.read(chunk, at)
      if (read === 0) break
      for (let i = 0; i < read && at + i < position; i++) if (chunk[i] === 10) line++
      at += read
    }
    handle.close()
    return line
  }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: false })
