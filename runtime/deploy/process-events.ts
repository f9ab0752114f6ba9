/**
 * What the processes of a cluster tell the one that started them and the other way round, besides the control sockets:
 * the parent writes the bootstrap as the first line of a child's standard input and keeps that pipe open as the life
 * line; the child writes lines to descriptor 3. All lines are JSON.
 */
import type { ErrorData } from '../core/errors.ts'
import type { JobConfig } from '../graph/config.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import type { RestSubmitRequest } from '../protocol/rest.ts'

/** First line on the life line of a TaskManager. */
export interface TaskManagerBootstrap {
  readonly clusterId: string
  readonly token: string
  readonly id: string
  readonly slots: number
  readonly socketDirectory: string
  readonly projectDirectory: string
  /** Bytes of RSS; undefined: no limit. */
  readonly memoryLimit: number | undefined
  readonly cancelGraceMs: number
  /** It connects when it is told `takeOver`, and not before. */
  readonly standsBy: boolean
}

/** Root to a TaskManager that stands by: it takes the place of one that died. */
export interface TakeOverLine {
  readonly kind: 'takeOver'
}

/** First line on the life line of a JobManager. */
export interface JobManagerBootstrap {
  readonly clusterId: string
  readonly token: string
  readonly epoch: number
  readonly socketDirectory: string
  readonly projectDirectory: string
  /** Epoch ms at which the cluster began. */
  readonly created: number
  /** The JobManager is the root of the cluster: it outlives who started it and runs the TaskManagers itself. */
  readonly detached: boolean
  /** The project is not locked yet: nothing of it may be touched before the `go`. */
  readonly waitsForGo: boolean
  readonly taskManagers: TaskManagersSpec
}

export interface TaskManagersSpec {
  readonly count: number
  readonly slotsEach: number
  readonly memoryLimit: number | undefined
  readonly cancelGraceMs: number
  /** Names of environment variables that TaskManagers get besides the allowed ones. */
  readonly passEnvironment: readonly string[]
  /** How long after the start, and after a death, one more process is started that stands by. */
  readonly standbyAfterMs: number
}

/** A job that is to be built: its module evaluated, its graph translated. */
export interface CompileRequest {
  /** Absolute. */
  readonly bundlePath: string
  /** As the user named it, for messages. */
  readonly jobFile: string
  readonly config: JobConfig
}
export type CompileAnswer =
  | { readonly kind: 'compiled'; readonly graph: JobGraph }
  | { readonly kind: 'refused'; readonly error: ErrorData }
  /** A package that the job imports is not installed. */
  | { readonly kind: 'packageMissing'; readonly specifier: string }

/** The job that was built last is to be run; its graph stays where it is. */
export type SubmitBuiltRequest = Omit<RestSubmitRequest, 'jobGraph'>
export type SubmitAnswer =
  | { readonly kind: 'accepted'; readonly jobId: string }
  | { readonly kind: 'refused'; readonly error: ErrorData }
  /** By this JobManager it was not. */
  | { readonly kind: 'notBuilt' }

/** Child to parent, on descriptor 3. */
export type ChildLine =
  | { readonly kind: 'ready' }
  /** The JobManager was asked to end the cluster (`DELETE /cluster`), which is the root's to do. */
  | { readonly kind: 'shutdown' }
  /** What the module of the job prints while it is loaded. */
  | { readonly kind: 'compileOutput'; readonly text: string }
  | { readonly kind: 'compiled'; readonly answer: CompileAnswer }
  | { readonly kind: 'submitted'; readonly answer: SubmitAnswer }
  /** Last words: why it is about to end itself. */
  | { readonly kind: 'dying'; readonly error: ErrorData }

/** Root to the JobManager, later lines of the life line. */
export type RootLine =
  /** The project is this cluster's. */
  | { readonly kind: 'go' }
  /** Answered by `compiled`. One at a time; it may come before the JobManager listens. */
  | { readonly kind: 'compile'; readonly request: CompileRequest }
  /** Answered by `submitted`. One at a time, and only when the JobManager listens. */
  | { readonly kind: 'submit'; readonly request: SubmitBuiltRequest }
  /** Why a TaskManager is gone, which its socket does not say. */
  | { readonly kind: 'processEnded'; readonly process: string; readonly pid: number; readonly error: ErrorData }
  /** Who stands by from now on, for people who ask the JobManager. */
  | { readonly kind: 'standby'; readonly process: StandbyProcess | undefined }

/** A TaskManager process that has not told the JobManager of itself. */
export interface StandbyProcess {
  readonly id: string
  readonly pid: number
}

/** What happens to the processes of a cluster, for whoever shows it. */
export type ProcessEvent =
  /** `standsBy`: it does nothing until it takes the place of another. */
  | { readonly kind: 'started'; readonly process: string; readonly pid: number; readonly standsBy: boolean }
  | { readonly kind: 'tookOver'; readonly process: string }
  /** A JobManager listens: after its restart, for example. */
  | { readonly kind: 'ready'; readonly process: string }
  /** `expected`: it was told to end. */
  | { readonly kind: 'ended'; readonly process: string; readonly pid: number; readonly error: ErrorData; readonly expected: boolean }
  | { readonly kind: 'restarting'; readonly process: string; readonly delayMs: number }
  /** Somebody asked the JobManager to end the cluster; it is being stopped. */
  | { readonly kind: 'shutdown'; readonly process: string }
  /** It died again and again right after it was started, and is not started any more. */
  | { readonly kind: 'gaveUp'; readonly process: string; readonly error: ErrorData }
