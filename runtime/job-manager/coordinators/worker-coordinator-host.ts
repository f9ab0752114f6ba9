/**
 * Runs the enumerators of each job in a worker thread of the JobManager's process, so that user code may throw or spin
 * without touching the main thread. A new attempt gets a new worker: module-level variables of user code start afresh,
 * and an enumerator that spins is left behind with its thread. The next one is started ahead, so that neither the first
 * attempt nor a restart waits for it.
 *
 * The first is also the one that builds the job before it is submitted, so that the module is evaluated once for both.
 */
import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { errorToData, type ErrorData } from '../../core/errors.ts'
import { untouchedStdin } from '../../deploy/thread-stdio.ts'
import type { CompileAnswer, CompileRequest } from '../../deploy/process-events.ts'
import { warmAfterMs } from '../../deploy/warm-up.ts'
import type { CoordinatorHost, FromCoordinatorHost, FromCoordinatorWorker, StartEnumerators, ToCoordinatorHost, ToCoordinatorWorker } from './coordinator-protocol.ts'

const entry = new URL(import.meta.url.endsWith('.ts') ? './coordinator-worker.ts' : './coordinator-worker.js', import.meta.url)

/** What a module may print while it is loaded; the rest is left out. */
const maxCompileOutput = 1024 * 1024

export class WorkerCoordinatorHost implements CoordinatorHost {
  #warm: Worker | undefined
  /** Has built a job that has not been started. */
  #compiled: { readonly worker: Worker; readonly request: CompileRequest } | undefined
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

  /** Evaluates a bundle and translates its job. Never rejects: whatever user code does is an answer. */
  async compile(request: CompileRequest, output: (text: string) => void): Promise<CompileAnswer> {
    this.#dropCompiled()
    const worker = this.#take()
    const compiled = (this.#compiled = { worker, request })
    let left = maxCompileOutput
    for (const stream of [worker.stdout, worker.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        if (left < 0) return
        output(text.length <= left ? text : `${text.slice(0, left)}\n... more was printed and is left out\n`)
        left -= text.length
      })
    }
    const refused = (error: ErrorData): CompileAnswer => ({ kind: 'refused', error })
    const answer = await new Promise<CompileAnswer>(resolve => {
      worker.once('message', (message: FromCoordinatorWorker) => resolve(message.kind === 'compiled' ? message.answer : refused({ code: 'JOB_BUILD_FAILED', message: 'the thread that builds the job went on without having built it' })))
      worker.once('error', error => resolve(refused(errorToData(error, 'JOB_BUILD_FAILED'))))
      worker.once('exit', code => resolve(refused({ code: 'JOB_BUILD_FAILED', message: `${request.jobFile} ended its process with code ${code} while it was loaded`, hint: 'A job file must only export its job; remove process.exit().' })))
      worker.postMessage({ kind: 'compile', request } satisfies ToCoordinatorWorker)
    })
    // What it printed comes on another way than its answer.
    await new Promise(resolve => setImmediate(resolve))
    worker.removeAllListeners()
    worker.on('error', () => this.#dropCompiled(compiled))
    worker.on('exit', () => this.#dropCompiled(compiled))
    if (answer.kind !== 'compiled') this.#dropCompiled(compiled)
    return answer
  }

  send(jobId: string, message: ToCoordinatorHost): void {
    if (message.kind === 'stop') return this.#end(jobId)
    if (message.kind !== 'start') return this.#workers.get(jobId)?.postMessage(message)
    this.#end(jobId)
    const { attempt } = message
    const worker = this.#takeCompiled(message) ?? this.#take()
    const current = () => this.#workers.get(jobId) === worker
    worker.stdout.setEncoding('utf8').on('data', (text: string) => this.#log(jobId, 'stdout', text))
    worker.stderr.setEncoding('utf8').on('data', (text: string) => this.#log(jobId, 'stderr', text))
    worker.on('message', (answer: FromCoordinatorHost) => {
      if (current()) this.#handler(jobId, answer)
    })
    worker.on('error', error => {
      if (!current()) return
      // Its end follows, perhaps at once, and is no second failure.
      this.#workers.delete(jobId)
      this.#handler(jobId, { kind: 'failed', attempt, error: errorToData(error, 'USER_CODE_FAILED') })
    })
    worker.on('exit', code => {
      if (!current()) return
      this.#workers.delete(jobId)
      this.#handler(jobId, { kind: 'failed', attempt, error: { code: 'USER_CODE_FAILED', message: `the thread of the split enumerators ended with code ${code}: user code called process.exit()` } })
    })
    this.#workers.set(jobId, worker)
    worker.postMessage(message)
  }

  /** The thread that has built this very job, with all that its module did when it was loaded. */
  #takeCompiled({ bundlePath, graph, attempt }: StartEnumerators): Worker | undefined {
    const compiled = this.#compiled
    if (compiled === undefined) return undefined
    const { worker, request } = compiled
    const same = attempt === 1 && JSON.stringify(request.config.args) === JSON.stringify(graph.config.args) && sameBytes(request.bundlePath, bundlePath)
    if (!same) {
      this.#dropCompiled()
      return undefined
    }
    this.#compiled = undefined
    worker.removeAllListeners()
    for (const stream of [worker.stdout, worker.stderr]) stream.removeAllListeners('data')
    return worker
  }

  #dropCompiled(which = this.#compiled): void {
    if (which === undefined || which !== this.#compiled) return
    this.#compiled = undefined
    void which.worker.terminate()
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
    const worker = new Worker(entry, { ...untouchedStdin, stdout: true, stderr: true, execArgv: [], name: 'enumerators', workerData: { role: 'enumerators' } })
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

/** The job's own copy is made from the bundle that was built. */
function sameBytes(path: string, copy: string): boolean {
  try {
    return readFileSync(path).equals(readFileSync(copy))
  } catch {
    return false
  }
}
