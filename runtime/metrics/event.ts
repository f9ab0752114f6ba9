/**
 * The event journal: everything that happens in a cluster, as typed data. The live view, the lines, `--json` and REST are
 * all made from it. The JobManager numbers the events; it keeps the last ones (a bound), so a reader that comes late sees
 * `missed` instead of a gap it does not know of.
 */
import type { CheckpointKind } from '../core/batch.ts'
import type { ErrorData } from '../core/errors.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import type { TaskMetrics, TaskStatus } from '../protocol/slot.ts'

export type JobStatus =
  | 'INITIALIZING' | 'CREATED' | 'RUNNING' | 'FAILING' | 'FAILED' | 'CANCELLING' | 'CANCELED' | 'FINISHED' | 'RESTARTING' | 'SUSPENDED' | 'RECONCILING'

export const terminalJobStatuses: ReadonlySet<JobStatus> = new Set<JobStatus>(['FAILED', 'CANCELED', 'FINISHED'])

export type RuntimeEventBody =
  | { readonly kind: 'clusterStarted'; readonly clusterId: string; readonly epoch: number }
  | { readonly kind: 'taskManagerRegistered'; readonly taskManager: string; readonly pid: number; readonly slots: number }
  | { readonly kind: 'taskManagerLost'; readonly taskManager: string; readonly reason: string }
  /** A TaskManager process that has started and waits to take the place of one that dies; without `process`: none any more. */
  | { readonly kind: 'standby'; readonly process?: { readonly id: string; readonly pid: number } }
  | { readonly kind: 'jobSubmitted'; readonly jobId: string; readonly name: string; readonly graph: JobGraph }
  | { readonly kind: 'jobStatus'; readonly jobId: string; readonly status: JobStatus; readonly attempt: number; readonly error?: ErrorData }
  /** All tasks of an attempt run; `restored` is the checkpoint they came from. */
  | { readonly kind: 'jobRestored'; readonly jobId: string; readonly attempt: number; readonly checkpointId: number; readonly savepoint: boolean }
  /** `repeats`: how many restarts in a row had the same cause, this one included. */
  | { readonly kind: 'restartScheduled'; readonly jobId: string; readonly attempt: number; readonly delayMs: number; readonly cause: ErrorData; readonly repeats: number }
  | { readonly kind: 'taskStatus'; readonly jobId: string; readonly attempt: number; readonly vertex: number; readonly subtask: number; readonly status: TaskStatus; readonly taskManager: string; readonly slotIndex: number }
  | { readonly kind: 'checkpointTriggered'; readonly jobId: string; readonly checkpointId: number; readonly checkpointKind: CheckpointKind }
  | { readonly kind: 'checkpointCompleted'; readonly jobId: string; readonly checkpointId: number; readonly checkpointKind: CheckpointKind; readonly durationMs: number; readonly bytes: number; readonly path: string }
  | { readonly kind: 'checkpointFailed'; readonly jobId: string; readonly checkpointId: number; readonly checkpointKind: CheckpointKind; readonly reason: string }
  | { readonly kind: 'metrics'; readonly jobId: string; readonly tasks: readonly TaskMetrics[] }
  /** From `print()` or the console of user code: whole lines, made safe for a terminal by whoever shows them. */
  | { readonly kind: 'output'; readonly jobId: string | undefined; readonly stream: 'stdout' | 'stderr'; readonly text: string }
  | { readonly kind: 'collected'; readonly jobId: string; readonly operatorId: string; readonly subtask: number; readonly value: unknown }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly message: string; readonly error?: ErrorData }
  | { readonly kind: 'missed'; readonly events: number }

export type RuntimeEvent = { readonly sequence: number; readonly at: number } & RuntimeEventBody
