/**
 * A slot in a worker thread, from the TaskManager's side. Every deployment gets a fresh worker, so that code of an older
 * attempt cannot leak into a new one; the next worker is started ahead, so that a restart does not wait for it.
 */
import { rm } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { untouchedStdin } from '../deploy/thread-stdio.ts'
import type { ErrorData } from '../core/errors.ts'
import { warmAfterMs } from '../deploy/warm-up.ts'
import type { DeploymentText } from '../protocol/deployment-text.ts'
import { stateDirectoryOf, type FromSlotWorker, type SlotWorkerData, type ToSlotWorker } from './slot-messages.ts'
import type { ReportLoad, RunningSlot, SlotEvents, SlotRunner } from './slot-runner.ts'

/** How soon the next worker is started when a job ends: the cluster often ends with it. */
const warmAfterEndMs = 500
/** A thread that was told to end and does not sits in a blocking call of user code. */
const terminateGraceMs = 2_000

export class WorkerSlot implements SlotRunner {
  readonly #data: SlotWorkerData
  readonly #stuck: (error: ErrorData) => void
  #warm: Worker | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /** `stuck`: a thread of this slot cannot be ended, so the process must. */
  constructor(data: SlotWorkerData, stuck: (error: ErrorData) => void) {
    this.#data = data
    this.#stuck = stuck
    this.#warmUp()
  }

  start(deployment: DeploymentText, events: SlotEvents): RunningSlot {
    this.#warmUp()
    const worker = this.#warm as Worker
    this.#warm = undefined
    this.#warmUpLater(warmAfterMs)
    return this.#run(worker, deployment, events)
  }

  /** No more deployments will come. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    void this.#warm?.terminate()
    this.#warm = undefined
  }

  #run(worker: Worker, deployment: DeploymentText, events: SlotEvents): RunningSlot {
    let ending: { readonly error: ErrorData | undefined } | undefined
    let terminating: NodeJS.Timeout | undefined
    const post = (message: ToSlotWorker) => worker.postMessage(message)
    let taken: Record<ReportLoad['kind'], number> | undefined
    const postTaken = () => {
      if (taken !== undefined) post({ kind: 'taken', bytes: taken })
      taken = undefined
    }
    worker.removeAllListeners()
    worker.on('message', (message: FromSlotWorker) => {
      switch (message.kind) {
        case 'reports':
          for (const [report, load] of message.reports) events.report(report, load)
          return
        case 'log':
          return events.log(message.stream, message.text)
        case 'ended':
          ending = { error: message.error }
          // What is left in there is of no use; its sockets and files are closed.
          void worker.terminate()
          terminating = setTimeout(() => {
            this.#stuck({ code: 'PROCESS_LOST', message: `slot ${this.#data.slotIndex} of ${this.#data.taskManager} is over, but user code sits in a blocking call; its process is ended` })
          }, terminateGraceMs)
      }
    })
    worker.on('error', error => (ending ??= { error: workerError(error) }))
    // Only now the thread and all that it held are gone.
    worker.on('exit', code => {
      clearTimeout(terminating)
      this.#warmUpLater(warmAfterEndMs)
      rm(stateDirectoryOf(this.#data, deployment.fence), { recursive: true, force: true }, () => {})
      events.ended(ending === undefined ? { code: 'USER_CODE_FAILED', message: `user code called process.exit(${code})` } : ending.error)
    })
    post({ kind: 'start', deployment })
    return {
      receive: mail => post({ kind: 'mail', mail }),
      taken: load => {
        if (taken === undefined) queueMicrotask(postTaken)
        taken ??= { output: 0, snapshot: 0 }
        taken[load.kind] += load.bytes
      },
    }
  }

  #warmUpLater(delay: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#warmUp(), delay)
    this.#timer.unref()
  }

  #warmUp(): void {
    if (this.#closed || this.#warm !== undefined) return
    const worker = new Worker(slotWorkerUrl, { ...untouchedStdin, workerData: this.#data, name: `slot ${this.#data.slotIndex}` })
    this.#warm = worker
    // One that cannot even start shows when it is used: its exit is told to the deployment then.
    worker.on('error', () => {})
    worker.on('exit', () => {
      if (this.#warm === worker) this.#warm = undefined
    })
  }
}

const slotWorkerUrl = import.meta.url.endsWith('.ts') ? new URL('./slot-worker-main.ts', import.meta.url) : new URL('./slot-thread.js', import.meta.url)

function workerError(error: unknown): ErrorData {
  const { code, message, stack } = error as { code?: string; message?: string; stack?: string }
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return { code: 'OUT_OF_MEMORY', message: 'the slot reached the memory limit of its thread' }
  return { code: 'USER_CODE_FAILED', message: `uncaught error: ${message ?? String(error)}`, ...(stack === undefined ? {} : { stack }) }
}
