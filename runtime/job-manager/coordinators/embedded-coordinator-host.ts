/**
 * Runs enumerators in the thread of the JobManager: for the embedded cluster and the simulator, where everything shares
 * one thread. Production uses `WorkerCoordinatorHost`, with the same `Enumerators` behind it.
 */
import { errorToData } from '../../core/errors.ts'
import type { FileSystem } from '../../core/files.ts'
import type { CoordinatorHost, FromCoordinatorHost, StartEnumerators, ToCoordinatorHost } from './coordinator-protocol.ts'
import { Enumerators, type EvaluatedJob } from './enumerators.ts'

export class EmbeddedCoordinatorHost implements CoordinatorHost {
  readonly #evaluate: (start: StartEnumerators) => EvaluatedJob
  readonly #files: FileSystem
  readonly #running = new Map<string, Enumerators>()
  #handler: (jobId: string, message: FromCoordinatorHost) => void = () => {}

  /** `evaluate` gives the job of a bundle that was evaluated before; it may throw. */
  constructor(files: FileSystem, evaluate: (start: StartEnumerators) => EvaluatedJob) {
    this.#files = files
    this.#evaluate = evaluate
  }

  onMessage(handler: (jobId: string, message: FromCoordinatorHost) => void): void {
    this.#handler = handler
  }

  send(jobId: string, message: ToCoordinatorHost): void {
    if (message.kind !== 'start') {
      this.#running.get(jobId)?.receive(message)
      if (message.kind === 'stop') this.#running.delete(jobId)
      return
    }
    this.#running.get(jobId)?.close()
    this.#running.delete(jobId)
    const emit = (answer: FromCoordinatorHost) => this.#handler(jobId, answer)
    let job: EvaluatedJob
    try {
      job = this.#evaluate(message)
    } catch (error) {
      return emit({ kind: 'failed', attempt: message.attempt, error: errorToData(error, 'JOB_BUILD_FAILED') })
    }
    this.#running.set(jobId, new Enumerators(message, job, this.#files, emit))
  }
}
