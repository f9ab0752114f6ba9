/**
 * Starts the processes of a cluster, watches them and starts them again when they die. The CLI uses it for all of an
 * attached cluster, the JobManager of a detached one for its TaskManagers.
 *
 * The first restart is immediate; a process that dies within seconds of its start is started again after growing pauses,
 * and given up after some: then the machine is at fault, and the cause is in its log.
 */
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readSync, fstatSync } from 'node:fs'
import type { Writable } from 'node:stream'
import type { ErrorData } from '../core/errors.ts'
import { monotonicMs } from '../rpc/monotonic.ts'
import type { ChildLine, ProcessEvent, TakeOverLine } from './process-events.ts'
import { spawnProcess, type SpawnRequest } from './spawn-process.ts'

export interface ProcessSpec extends SpawnRequest {
  /** First line on its life line; asked for at each start. */
  bootstrap(): object
  /** Lives on when this process ends. */
  readonly outlives?: boolean
  /** Starts, but waits for `takeOver`. */
  readonly standsBy?: boolean
  /** Gives the next process in the place of a dead one; undefined: none is started. */
  next?(): ProcessSpec | undefined
}

export interface SupervisorEvents {
  event(event: Exclude<ProcessEvent, { kind: 'shutdown' | 'ready' }>): void
  line?(process: string, line: ChildLine): void
}

interface Child {
  readonly spec: ProcessSpec
  readonly process: ChildProcess
  readonly startedAt: number
  /** What the log held before: a restarted process appends to the log of the last. */
  readonly logStart: number
  /** Last words. */
  dying: ErrorData | undefined
  /** Deaths soon after the start, in a row. */
  readonly quickDeaths: number
  over: boolean
}

/** A process that lived so long was well. */
const healthyAfterMs = 5_000
const maxQuickDeaths = 6
const firstPauseMs = 100
const maxPauseMs = 5_000
/** Of what a child tells: a job graph is the longest. */
const maxLineLength = 64 * 1024 * 1024

export class Supervisor {
  readonly #events: SupervisorEvents
  readonly #children = new Map<string, Child>()
  readonly #restarts = new Set<NodeJS.Timeout>()
  #stopping = false
  #onEmpty: (() => void)[] = []

  constructor(events: SupervisorEvents) {
    this.#events = events
  }

  start(spec: ProcessSpec): void {
    this.#start(spec, 0)
  }

  /** False once `signal` was called: nothing more is to be started. */
  get active(): boolean {
    return !this.#stopping
  }

  /** A process that stands by takes the place of another. */
  takeOver(name: string): void {
    this.tell(name, { kind: 'takeOver' } satisfies TakeOverLine)
    this.#events.event({ kind: 'tookOver', process: name })
  }

  pidOf(name: string): number | undefined {
    return this.#children.get(name)?.process.pid
  }

  /** Writes a line to the life line of a process; nothing happens if it is gone. */
  tell(name: string, line: object): void {
    this.#children.get(name)?.process.stdin?.write(`${JSON.stringify(line)}\n`)
  }

  /** From now on the dead stay dead. */
  signal(signal: NodeJS.Signals, names?: readonly string[]): void {
    this.#stopping = true
    for (const timer of this.#restarts) clearTimeout(timer)
    this.#restarts.clear()
    for (const [name, child] of this.#children) {
      if (names !== undefined && !names.includes(name)) continue
      if (signal === 'SIGKILL') killGroup(child.process)
      else child.process.kill(signal)
    }
  }

  /** Kills one process; it is started again. */
  kill(name: string): void {
    const child = this.#children.get(name)
    if (child !== undefined) killGroup(child.process)
  }

  /** Lets go of what outlives this process, so that this one can end. */
  release(): void {
    for (const [name, child] of this.#children) {
      if (!child.spec.outlives) continue
      child.over = true
      child.process.unref()
      child.process.stdin?.destroy()
      upwardPipe(child.process)?.destroy()
      this.#children.delete(name)
    }
  }

  get names(): readonly string[] {
    return [...this.#children.keys()]
  }

  /** Resolves when no process is left, or none with this name. */
  async ended(name?: string): Promise<void> {
    while (name === undefined ? this.#children.size > 0 : this.#children.has(name)) {
      await new Promise<void>(resolve => this.#onEmpty.push(resolve))
    }
  }

  #start(spec: ProcessSpec, quickDeaths: number): void {
    const { process: process_, logStart } = spawnProcess(spec)
    const child: Child = { spec, process: process_, startedAt: monotonicMs(), logStart, dying: undefined, quickDeaths, over: false }
    this.#children.set(spec.name, child)
    // A child that dies while we write to it.
    process_.stdin?.on('error', () => {})
    process_.stdin?.write(`${JSON.stringify(spec.bootstrap())}\n`)
    this.#readLines(child)
    process_.on('error', error => this.#ended(child, { code: 'PROCESS_LOST', message: `could not start ${spec.name}: ${error.message}` }))
    process_.on('exit', (code, signal) => this.#ended(child, child.dying ?? classify(child, code, signal)))
    if (process_.pid !== undefined) this.#events.event({ kind: 'started', process: spec.name, pid: process_.pid, standsBy: spec.standsBy === true })
  }

  #readLines(child: Child): void {
    const pipe = upwardPipe(child.process)
    let text = ''
    pipe?.on('error', () => {})
    pipe?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('utf8')).slice(-maxLineLength)
      for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
        const line = JSON.parse(text.slice(0, at)) as ChildLine
        text = text.slice(at + 1)
        if (line.kind === 'dying') child.dying = line.error
        this.#events.line?.(child.spec.name, line)
      }
    })
  }

  #ended(child: Child, error: ErrorData): void {
    if (child.over) return
    child.over = true
    const { spec } = child
    // What user code started may hold the log and the sockets.
    killGroup(child.process)
    if (this.#children.get(spec.name) === child) this.#children.delete(spec.name)
    this.#events.event({ kind: 'ended', process: spec.name, pid: child.process.pid ?? 0, error, expected: this.#stopping })
    if (!this.#stopping && spec.next !== undefined) this.#again(child, error)
    for (const resolve of this.#onEmpty.splice(0)) resolve()
  }

  #again(child: Child, error: ErrorData): void {
    const quick = monotonicMs() - child.startedAt < healthyAfterMs
    const quickDeaths = quick ? child.quickDeaths + 1 : 0
    if (quickDeaths > maxQuickDeaths) {
      this.#events.event({ kind: 'gaveUp', process: child.spec.name, error })
      return
    }
    const delayMs = quickDeaths <= 1 ? 0 : Math.min(maxPauseMs, firstPauseMs * 2 ** (quickDeaths - 2))
    const spec = child.spec.next?.()
    if (spec === undefined) return
    this.#events.event({ kind: 'restarting', process: spec.name, delayMs })
    if (delayMs === 0) return this.#start(spec, quickDeaths)
    const timer = setTimeout(() => {
      this.#restarts.delete(timer)
      this.#start(spec, quickDeaths)
    }, delayMs)
    this.#restarts.add(timer)
  }
}

function upwardPipe(child: ChildProcess): (NodeJS.ReadableStream & { destroy(): void }) | undefined {
  return (child.stdio[3] ?? undefined) as unknown as (Writable & NodeJS.ReadableStream) | undefined
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The group is empty.
  }
}

/** What a death means to a person. */
function classify({ spec, logStart }: Child, code: number | null, signal: NodeJS.Signals | null): ErrorData {
  const tail = readTail(spec.logFile, logStart)
  const how = signal === null ? `exit code ${code}` : signal
  if (/heap out of memory|JavaScript heap|Reached heap limit|Array buffer allocation failed|ENOMEM/.test(tail) && (signal !== null || code !== 0)) {
    return { code: 'OUT_OF_MEMORY', message: `${spec.name} ran out of memory (${how})` }
  }
  return { code: 'PROCESS_LOST', message: `${spec.name} ended unexpectedly (${how})`, detail: `Its log is ${spec.logFile}.` }
}

/** The end of what the process wrote, at most 16 KiB. `from`: unless the log was emptied since. */
function readTail(path: string, from: number): string {
  try {
    const descriptor = openSync(path, 'r')
    try {
      const size = fstatSync(descriptor).size
      const buffer = Buffer.alloc(Math.min(16_384, size < from ? size : size - from))
      readSync(descriptor, buffer, 0, buffer.length, size - buffer.length)
      return buffer.toString('utf8')
    } finally {
      closeSync(descriptor)
    }
  } catch {
    return ''
  }
}
