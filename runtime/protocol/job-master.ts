/** What a TaskManager tells the JobManager. One way, in order per connection; every message about a job is fenced. */
import type { ErrorData } from '../core/errors.ts'
import type { Fence, SubtaskRef } from '../core/ids.ts'
import type { TaskSnapshot, SnapshotTimings, TaskMetrics, TaskStatus } from './slot.ts'

export interface TaskManagerInfo {
  readonly id: string
  readonly pid: number
  /** Data socket of each slot, by slot index. */
  readonly slots: readonly string[]
}

export type FromTaskManager =
  | { readonly kind: 'register'; readonly clusterId: string; readonly token: string; readonly protocolVersion: number; readonly taskManager: TaskManagerInfo }
  | { readonly kind: 'heartbeat'; readonly sequence: number; readonly rssBytes: number }
  | { readonly kind: 'taskStatus'; readonly fence: Fence; readonly jobId: string; readonly task: SubtaskRef; readonly status: TaskStatus; readonly error?: ErrorData }
  | { readonly kind: 'endOfData'; readonly fence: Fence; readonly jobId: string; readonly task: SubtaskRef }
  | { readonly kind: 'requestSplit'; readonly fence: Fence; readonly jobId: string; readonly operatorId: string; readonly subtask: number }
  | { readonly kind: 'acknowledge'; readonly fence: Fence; readonly jobId: string; readonly task: SubtaskRef; readonly checkpointId: number; readonly file: TaskSnapshot; readonly timings: SnapshotTimings }
  | { readonly kind: 'decline'; readonly fence: Fence; readonly jobId: string; readonly task: SubtaskRef; readonly checkpointId: number; readonly error: ErrorData }
  /** Everything the slot ran is gone: it may be given something new. */
  | { readonly kind: 'slotFree'; readonly fence: Fence; readonly jobId: string; readonly slotIndex: number; readonly error?: ErrorData }
  | { readonly kind: 'metrics'; readonly fence: Fence; readonly jobId: string; readonly at: number; readonly tasks: readonly TaskMetrics[] }
  | { readonly kind: 'print'; readonly fence: Fence; readonly jobId: string; readonly operatorId: string; readonly subtask: number; readonly text: string }
  | { readonly kind: 'collect'; readonly fence: Fence; readonly jobId: string; readonly operatorId: string; readonly subtask: number; readonly value: unknown }
  /** stdout or stderr of user code, by lines. */
  | { readonly kind: 'log'; readonly fence: Fence | undefined; readonly jobId: string | undefined; readonly slot: number | undefined; readonly stream: 'stdout' | 'stderr'; readonly text: string }

export const protocolVersion = 1
