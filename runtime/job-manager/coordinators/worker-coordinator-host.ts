/**
 * Runs the enumerators of each job in a worker thread of the JobManager's process, so that user code may throw or spin
 * without touching the main thread. A new attempt gets a new worker: module-level variables of user code start afresh,
 * and an enumerator that spins is left behind with its thread.
 */
import { Worker } from 'node:worker_threads'
import { errorToData } from '../../core/errors.ts'
import type { CoordinatorHost, FromCoordinatorHost, ToCoordinatorHost } from './coordinator-protocol.ts'

const entry = new URL(import.meta.url.endsWith('.ts') ? './coordinator-worker.ts' : './coordinator-worker.js', import.meta.url)

export class WorkerCoordinatorHost implements CoordinatorHost {
  readonly #workers = new Map<string, Worker>()
  readonly #log: (jobId: string, stream: 'stdout' | 'stderr', text: string) => void
  #handler: (jobId: string, message: FromCoordinatorHost) => void = () => {}

  /** `log` gets what user code of enumerators prints. */
  constructor(log: (jobId: string, stream: 'stdout' | 'stderr', text: string) => void) {
    this.#log = log
  }

  onMessage(handler: (jobId: string, message: FromCoordinatorHost) => void): void {
    this.#handler = handler
  }

  send(jobId: string, message: ToCoordinatorHost): void {
    if (message.kind === 'stop') return this.#end(jobId)
    if (message.kind !== 'start') return this.#workers.get(jobId)?.postMessage(message)
    this.#end(jobId)
    const { attempt } = message
    const worker = new Worker(entry, { workerData: message, stdout: true, stderr: true, name: `enumerators of ${jobId}` })
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
    worker.unref()
    this.#workers.set(jobId, worker)
  }

  #end(jobId: string): void {
    const worker = this.#workers.get(jobId)
    if (!worker) return
    this.#workers.delete(jobId)
    // Not awaited: it does not return while user code is in a blocking call, and nobody listens to this worker any more.
    void worker.terminate()
  }
}
