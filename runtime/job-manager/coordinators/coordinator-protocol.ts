/**
 * What the JobManager and the host of a job's split enumerators say to each other. Plain data, so that it crosses a
 * worker's port, or nothing at all in one thread. In order both ways; every message names the attempt.
 */
import type { ErrorData } from '../../core/errors.ts'
import type { CompileAnswer, CompileRequest } from '../../deploy/process-events.ts'
import type { JobGraph } from '../../graph/job-graph.ts'

/** Everything a host needs to run the enumerators of one attempt. */
export interface StartEnumerators {
  readonly kind: 'start'
  readonly jobId: string
  readonly attempt: number
  /** The ES module to evaluate; absolute. */
  readonly bundlePath: string
  readonly projectDirectory: string
  /** As it was submitted. The host's own job graph must have its hash. */
  readonly graph: JobGraph
  readonly sources: readonly EnumeratedSource[]
}
export interface EnumeratedSource {
  readonly operatorId: string
  /** `Transformation.id`, to find the source after evaluating the bundle. */
  readonly transformation: number
  readonly parallelism: number
  /** What the enumerator gave in the checkpoint; undefined at a fresh start. */
  readonly restored: Uint8Array | undefined
}

export type ToCoordinatorHost =
  | StartEnumerators
  | { readonly kind: 'requestSplit'; readonly attempt: number; readonly operatorId: string; readonly subtask: number }
  /** Answered by one `snapshot` for each source. */
  | { readonly kind: 'snapshot'; readonly attempt: number; readonly checkpointId: number }
  | { readonly kind: 'stop' }

export type FromCoordinatorHost =
  | { readonly kind: 'addSplit'; readonly attempt: number; readonly operatorId: string; readonly subtask: number; readonly split: unknown }
  | { readonly kind: 'noMoreSplits'; readonly attempt: number; readonly operatorId: string; readonly subtask: number }
  | { readonly kind: 'snapshot'; readonly attempt: number; readonly checkpointId: number; readonly operatorId: string; readonly state: Uint8Array }
  | { readonly kind: 'failed'; readonly attempt: number; readonly error: ErrorData }

/** Between `WorkerCoordinatorHost` and its thread: before a job is submitted, the thread that will run its enumerators builds it. */
export type ToCoordinatorWorker = ToCoordinatorHost | { readonly kind: 'compile'; readonly request: CompileRequest }
export type FromCoordinatorWorker = FromCoordinatorHost | { readonly kind: 'compiled'; readonly answer: CompileAnswer }

/** Runs the enumerators of every job. A `start` ends what ran before for the same job; nothing it did not send is lost. */
export interface CoordinatorHost {
  /** Called once, by the JobManager, before any `send`. The handler may be called during `send`. */
  onMessage(handler: (jobId: string, message: FromCoordinatorHost) => void): void
  send(jobId: string, message: ToCoordinatorHost): void
}
