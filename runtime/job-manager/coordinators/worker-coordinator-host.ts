/**
 * Runs the enumerators of each job in a worker thread of the JobManager's process, so that user code may throw or spin
 * without touching the main thread. A new attempt gets a new worker: module-level variables of user code start afresh,
 * and an enumerator that spins is left behind with its thread. The next one is started ahead, so that neither the first
 * attempt nor a restart waits for it.
 */
import { Worker } from 'node:worker_threads'
import { errorToData } from '../../core/errors.ts'
import type { CoordinatorHost, FromCoordinatorHost, ToCoordinatorHost } from './coordinator-protocol.ts'

const entry = new URL(import.meta.url.endsWith('.ts') ? './coordinator-worker.ts' : './coordinator-worker.js', import.meta.url)

/** The next thread waits until the job has started, not to take the cores away from it. */
const warmAfterMs = 2_000

export class WorkerCoordinatorHost implements CoordinatorHost {
  #warm: Worker | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #workers = new Map<string, Worker>()
  readonly #log: (jobId: string, stream: 'stdout' | 'stderr', text: string) => void
  #handler: (jobId: string, message: FromCoordinatorHost) => void = () => {}

  /** `log` gets what user code of enumerators prints. */
  constructor(log: (jobId: string, stream: 'stdout' | 'stderr', text: string) => void) {
    this.#log = log
    this.#warmUp()
  }

  onMessage(handler: (jobId: string, message: FromCoordinatorHost) => void): void {
    this.#handler = handler
  }

  send(jobId: string, message: ToCoordinatorHost): void {
    if (message.kind === 'stop') return this.#end(jobId)
    if (message.kind !== 'start') return this.#workers.get(jobId)?.postMessage(message)
    this.#end(jobId)
    const { attempt } = message
    const worker = this.#take()
    const current = () => this.#workers.get(jobId) === worker
    worker.stdout.setEncoding('utf8').on('data', (text: string) => this.#log(jobId, 'stdout', text))
    worker.stderr.setEncoding('utf8').on('data', (text: string) => this.#log(jobId, 'stderr', text))
    worker.on('message', (answer: FromCoordinatorHost) => {
      if (current()) this.#handler(jobId, answer)
    })
    worker.on('error', error => {
      if (current()) this.#handler(jobId, { kind: 'failed', attempt, error: errorToData(error, 'USER_CODE_FAILED') })
    })
    worker.on('exit', code => {
      if (!current()) return
      this.#workers.delete(jobId)
      this.#handler(jobId, { kind: 'failed', attempt, error: { code: 'USER_CODE_FAILED', message: `the thread of the split enumerators ended with code ${code}: user code called process.exit()` } })
    })
    this.#workers.set(jobId, worker)
    worker.postMessage(message)
  }

  #take(): Worker {
    this.#warmUp()
    const worker = this.#warm as Worker
    this.#warm = undefined
    worker.removeAllListeners()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#warmUp(), warmAfterMs)
    this.#timer.unref()
    return worker
  }

  #warmUp(): void {
    if (this.#warm !== undefined) return
    const worker = new Worker(entry, { stdout: true, stderr: true, execArgv: [], name: 'enumerators' })
    worker.unref()
    this.#warm = worker
    // One that cannot even start is not used; the next one will say why.
    worker.on('error', () => {})
    worker.on('exit', () => {
      if (this.#warm === worker) this.#warm = undefined
    })
  }

  #end(jobId: string): void {
    const worker = this.#workers.get(jobId)
    if (!worker) return
    this.#workers.delete(jobId)
    // Not awaited: it does not return while user code is in a blocking call, and nobody listens to this worker any more.
    void worker.terminate()
  }
}
