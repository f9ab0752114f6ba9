/**
 * What user code writes to its console, as whole lines of the job's output. Bounded: of a flood of lines the first of each
 * tenth of a second are passed on, and the rest is counted and said to be left out.
 */
import { whenAsked } from '../deploy/thread-stdio.ts'

export interface UserOutput {
  /** Gives out a line that has no end yet, and what was left out. */
  flush(): void
}

const windowMs = 100
const maxLinesPerWindow = 500
const maxBytesPerWindow = 256 * 1024
const maxLineLength = 16 * 1024

type StreamName = 'stdout' | 'stderr'

/**
 * Takes over `process.stdout` and `process.stderr` of this thread, and with them `console`.
 *
 * @param prefix stands in front of each line; asked for when the line is written
 */
export function captureUserOutput(emit: (stream: StreamName, text: string) => void, prefix: () => string): UserOutput {
  const lines = { stdout: new LineCutter(), stderr: new LineCutter() }
  const limit = new OutputLimit(emit, () => performance.now())
  for (const stream of ['stdout', 'stderr'] as const) {
    whenAsked(stream, taken => {
      taken.write = (chunk: unknown, encoding?: unknown, done?: unknown) => {
        const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk as Uint8Array).toString('utf8')
        for (const line of lines[stream].push(text)) limit.line(stream, prefix() + line)
        const callback = typeof encoding === 'function' ? encoding : done
        if (typeof callback === 'function') queueMicrotask(() => callback())
        return true
      }
    })
  }
  return {
    flush() {
      for (const stream of ['stdout', 'stderr'] as const) {
        const rest = lines[stream].rest()
        if (rest !== '') limit.line(stream, prefix() + rest)
      }
      limit.flush()
    },
  }
}

/** Passes on so many lines and bytes in each window of time. */
export class OutputLimit {
  readonly #emit: (stream: StreamName, text: string) => void
  readonly #now: () => number
  #windowEnd = -Infinity
  #linesLeft = 0
  #bytesLeft = 0
  #leftOut = 0

  constructor(emit: (stream: StreamName, text: string) => void, now: () => number) {
    this.#emit = emit
    this.#now = now
  }

  line(stream: StreamName, text: string): void {
    const now = this.#now()
    if (now >= this.#windowEnd) {
      this.flush()
      this.#windowEnd = now + windowMs
      this.#linesLeft = maxLinesPerWindow
      this.#bytesLeft = maxBytesPerWindow
    }
    if (this.#linesLeft === 0 || this.#bytesLeft <= 0) {
      this.#leftOut++
      return
    }
    this.#linesLeft--
    this.#bytesLeft -= text.length
    this.#emit(stream, text)
  }

  /** Says how many lines were left out. */
  flush(): void {
    if (this.#leftOut === 0) return
    this.#emit('stderr', `... ${this.#leftOut} lines were left out: more than ${maxLinesPerWindow} in ${windowMs} ms`)
    this.#leftOut = 0
  }
}

export class LineCutter {
  #rest = ''

  /** A line that is too long is cut into several. */
  push(text: string): string[] {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() as string
    while (this.#rest.length > maxLineLength) {
      lines.push(this.#rest.slice(0, maxLineLength))
      this.#rest = this.#rest.slice(maxLineLength)
    }
    return lines.flatMap(line => (line.length <= maxLineLength ? [line] : cut(line)))
  }

  rest(): string {
    const rest = this.#rest
    this.#rest = ''
    return rest
  }
}

function cut(line: string): string[] {
  const parts: string[] = []
  for (let at = 0; at < line.length; at += maxLineLength) parts.push(line.slice(at, at + maxLineLength))
  return parts
}
