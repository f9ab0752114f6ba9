/**
 * The JSON of the REST API: Flink's REST API v1 (paths, names and shapes of its OpenAPI), used by our server and our
 * client alike. Times are epoch ms, lengths ms, -1 where Flink says "not yet". What is ours has a path under `/flink-ts/`.
 */
import type { ErrorData } from '../core/errors.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import type { JobStatus } from '../metrics/event.ts'
import type { TaskStatus } from './slot.ts'

/** Body of every answer that is not 2xx. `error` is ours, beside Flink's `errors`. */
export interface RestErrors {
  readonly errors: readonly string[]
  readonly error?: ErrorData
}

/** GET /config */
export interface RestConfig {
  readonly 'refresh-interval': number
  readonly 'timezone-name': string
  readonly 'timezone-offset': number
  readonly 'flink-version': string
  readonly 'flink-revision': string
  readonly features: { readonly 'web-submit': boolean; readonly 'web-cancel': boolean; readonly 'web-rescale': boolean; readonly 'web-history': boolean }
}
/** GET /overview */
export interface RestOverview {
  readonly taskmanagers: number
  readonly 'slots-total': number
  readonly 'slots-available': number
  readonly 'jobs-running': number
  readonly 'jobs-finished': number
  readonly 'jobs-cancelled': number
  readonly 'jobs-failed': number
  readonly 'flink-version': string
  readonly 'flink-commit': string
  /** Ours: a TaskManager process that has started and takes the place of the next one that dies. It is none of `taskmanagers`. */
  readonly standby?: { readonly id: string; readonly pid: number }
}
/** GET /jobs */
export interface RestJobIds {
  readonly jobs: readonly { readonly id: string; readonly status: JobStatus }[]
}
export type RestTaskCounts = Readonly<Record<'total' | Lowercase<TaskStatus> | 'reconciling', number>>
/** GET /jobs/overview */
export interface RestJobsOverview {
  readonly jobs: readonly RestJobSummary[]
}
export interface RestJobSummary {
  readonly jid: string
  readonly name: string
  readonly 'start-time': number
  readonly 'end-time': number
  readonly duration: number
  readonly state: JobStatus
  readonly 'last-modification': number
  readonly tasks: RestTaskCounts
  readonly 'pending-operators': number
}
/** GET /jobs/:jobid */
export interface RestJob {
  readonly jid: string
  readonly name: string
  readonly isStoppable: boolean
  readonly state: JobStatus
  readonly 'job-type': 'STREAMING'
  readonly 'start-time': number
  readonly 'end-time': number
  readonly duration: number
  readonly maxParallelism: number
  readonly now: number
  readonly timestamps: Readonly<Record<JobStatus, number>>
  readonly vertices: readonly RestJobVertex[]
  readonly 'status-counts': Readonly<Record<TaskStatus, number>>
  readonly plan: RestPlan
  readonly 'pending-operators': number
}
export interface RestJobVertex {
  readonly id: string
  readonly slotSharingGroupId: string
  readonly slotSharingGroupName: string
  readonly name: string
  readonly maxParallelism: number
  readonly parallelism: number
  readonly status: TaskStatus
  readonly 'start-time': number
  readonly 'end-time': number
  readonly duration: number
  readonly tasks: Readonly<Record<TaskStatus, number>>
  readonly metrics: RestIoMetrics
}
export interface RestIoMetrics {
  readonly 'read-bytes': number
  readonly 'read-bytes-complete': boolean
  readonly 'write-bytes': number
  readonly 'write-bytes-complete': boolean
  readonly 'read-records': number
  readonly 'read-records-complete': boolean
  readonly 'write-records': number
  readonly 'write-records-complete': boolean
  readonly 'accumulated-backpressured-time': number
  readonly 'accumulated-idle-time': number
  readonly 'accumulated-busy-time': number
}
export interface RestPlan {
  readonly jid: string
  readonly name: string
  readonly type: 'STREAMING'
  readonly nodes: readonly RestPlanNode[]
}
export interface RestPlanNode {
  readonly id: string
  readonly parallelism: number
  readonly operator: string
  readonly operator_strategy: string
  readonly description: string
  readonly optimizer_properties: Readonly<Record<string, never>>
  readonly inputs?: readonly { readonly num: number; readonly id: string; readonly ship_strategy: string; readonly exchange: string }[]
}
/** GET /jobs/:jobid/status */
export interface RestJobStatus {
  readonly status: JobStatus
}
/** GET /jobs/:jobid/plan */
export interface RestJobPlan {
  readonly plan: RestPlan
}
/** GET /jobs/:jobid/config */
export interface RestJobConfig {
  readonly jid: string
  readonly name: string
  readonly 'execution-config': {
    readonly 'restart-strategy': string
    readonly 'job-parallelism': number
    readonly 'object-reuse-mode': boolean
    readonly 'user-config': Readonly<Record<string, string>>
  }
}
/** GET /jobs/:jobid/exceptions */
export interface RestExceptions {
  readonly exceptionHistory: { readonly entries: readonly RestException[]; readonly truncated: boolean }
}
export interface RestException {
  readonly exceptionName: string
  readonly stacktrace: string
  readonly timestamp: number
  readonly taskName: string | null
  readonly endpoint: string | null
  readonly taskManagerId: string | null
  readonly failureLabels: Readonly<Record<string, string>>
  readonly concurrentExceptions: readonly RestException[]
  /** Ours: the whole error. */
  readonly error: ErrorData
}

export interface RestStatistics {
  readonly min: number
  readonly max: number
  readonly avg: number
  readonly p50: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
}
/** GET /jobs/:jobid/checkpoints */
export interface RestCheckpoints {
  readonly counts: { readonly restored: number; readonly total: number; readonly in_progress: number; readonly completed: number; readonly failed: number }
  readonly summary: Readonly<Record<'checkpointed_size' | 'state_size' | 'end_to_end_duration' | 'alignment_buffered' | 'processed_data' | 'persisted_data', RestStatistics>>
  readonly latest: {
    readonly completed: RestCheckpoint | null
    readonly savepoint: RestCheckpoint | null
    readonly failed: RestCheckpoint | null
    readonly restored: { readonly id: number; readonly restore_timestamp: number; readonly is_savepoint: boolean; readonly external_path: string } | null
  }
  readonly history: readonly RestCheckpoint[]
}
export interface RestCheckpointCounters {
  readonly latest_ack_timestamp: number
  readonly checkpointed_size: number
  readonly state_size: number
  readonly end_to_end_duration: number
  readonly alignment_buffered: number
  readonly processed_data: number
  readonly persisted_data: number
  readonly num_subtasks: number
  readonly num_acknowledged_subtasks: number
}
export interface RestCheckpoint extends RestCheckpointCounters {
  readonly className: 'completed' | 'in_progress' | 'failed'
  readonly id: number
  readonly status: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED'
  readonly is_savepoint: boolean
  readonly savepointFormat: 'NATIVE' | null
  readonly checkpoint_type: 'CHECKPOINT' | 'SAVEPOINT' | 'SYNC_SAVEPOINT'
  readonly trigger_timestamp: number
  readonly tasks: Readonly<Record<string, RestCheckpointCounters & { readonly id: number; readonly status: string }>>
  readonly external_path?: string
  readonly discarded?: boolean
  readonly failure_timestamp?: number
  readonly failure_message?: string
}
/** GET /jobs/:jobid/checkpoints/config */
export interface RestCheckpointConfig {
  readonly mode: 'exactly_once' | 'at_least_once'
  /** Flink's `Long.MAX_VALUE` when there are no periodic checkpoints. */
  readonly interval: number
  readonly timeout: number
  readonly min_pause: number
  readonly max_concurrent: number
  readonly externalization: { readonly enabled: boolean; readonly delete_on_cancellation: boolean }
  readonly state_backend: string
  readonly checkpoint_storage: string
  readonly unaligned_checkpoints: boolean
  readonly tolerable_failed_checkpoints: number
  readonly aligned_checkpoint_timeout: number
  readonly checkpoints_after_tasks_finish: boolean
  readonly state_changelog_enabled: boolean
}
/** GET /jobs/:jobid/execution-result */
export interface RestExecutionResult {
  readonly status: { readonly id: 'IN_PROGRESS' | 'COMPLETED' }
  readonly 'job-execution-result'?: {
    readonly id: string
    readonly 'application-status': 'SUCCEEDED' | 'FAILED' | 'CANCELED'
    readonly 'accumulator-results': Readonly<Record<string, never>>
    readonly 'net-runtime': number
    readonly 'failure-cause'?: RestFailure
  }
}
export interface RestFailure {
  readonly class: string
  readonly 'stack-trace': string
  /** Ours: the whole error. */
  readonly error: ErrorData
}

/** GET /jobs/:jobid/vertices/:vertexid */
export interface RestVertex {
  readonly id: string
  readonly name: string
  readonly parallelism: number
  readonly maxParallelism: number
  readonly now: number
  readonly subtasks: readonly RestSubtask[]
}
export interface RestSubtask {
  readonly subtask: number
  readonly status: TaskStatus
  readonly attempt: number
  readonly endpoint: string
  readonly 'start-time': number
  readonly 'end-time': number
  readonly duration: number
  readonly metrics: RestIoMetrics
  readonly 'taskmanager-id': string
  readonly 'status-duration': Readonly<Record<TaskStatus, number>>
}
/** GET .../backpressure */
export interface RestBackPressure {
  readonly status: 'ok' | 'deprecated'
  readonly backpressureLevel: 'ok' | 'low' | 'high'
  readonly 'end-timestamp': number
  readonly subtasks: readonly {
    readonly subtask: number
    readonly 'attempt-number': number
    readonly backpressureLevel: 'ok' | 'low' | 'high'
    readonly ratio: number
    readonly idleRatio: number
    readonly busyRatio: number
  }[]
}
/** GET .../watermarks and .../metrics: a bare array; `value` only for metrics that were asked for with `?get=`. */
export type RestMetrics = readonly { readonly id: string; readonly value?: string }[]

/** GET /taskmanagers */
export interface RestTaskManagers {
  readonly taskmanagers: readonly RestTaskManager[]
}
export interface RestTaskManager {
  readonly id: string
  readonly path: string
  readonly dataPort: number
  readonly timeSinceLastHeartbeat: number
  readonly slotsNumber: number
  readonly freeSlots: number
  readonly hardware: { readonly cpuCores: number; readonly physicalMemory: number; readonly freeMemory: number; readonly managedMemory: number }
  /** Ours. */
  readonly pid: number
  readonly rssBytes: number
}
/** GET /taskmanagers/:id */
export interface RestTaskManagerDetails extends RestTaskManager {
  readonly allocatedSlots: readonly { readonly index: number; readonly jobId: string }[]
}

/** 202 of POST .../savepoints, .../stop, .../checkpoints */
export interface RestTrigger {
  readonly 'request-id': string
}
/** GET .../savepoints/:triggerid (also for stop) and .../checkpoints/:triggerid */
export interface RestAsyncOperation {
  readonly status: { readonly id: 'IN_PROGRESS' | 'COMPLETED' }
  readonly operation?: { readonly location?: string; readonly checkpointId?: number; readonly 'failure-cause'?: RestFailure }
}
export interface RestSavepointRequest {
  readonly 'cancel-job'?: boolean
  readonly 'target-directory'?: string
  readonly triggerId?: string
}
export interface RestStopRequest {
  readonly drain?: boolean
  readonly targetDirectory?: string
  readonly triggerId?: string
}
export interface RestCheckpointRequest {
  readonly checkpointType?: 'CONFIGURED' | 'FULL' | 'INCREMENTAL'
  readonly triggerId?: string
}
/** POST /jobs; ours is JSON, because a bundle lies on this machine already (Flink: multipart with a serialised graph). */
export interface RestSubmitRequest {
  readonly jobGraph: JobGraph
  /** Absolute. */
  readonly bundlePath: string
  readonly projectDirectory: string
  readonly savepointPath?: string
  readonly allowNonRestoredState?: boolean
  /** 32 hex digits; chosen by the JobManager if left out. */
  readonly jobId?: string
}
export interface RestSubmitResponse {
  readonly jobUrl: string
  readonly jobid: string
}
