/**
 * What a slot and its TaskManager say to each other. Plain data, so that it crosses a worker's port, or nothing at all in
 * one thread. The TaskManager passes most of it on to and from the JobManager (`task-executor.ts`, `job-master.ts`).
 */
import type { CheckpointBarrier } from '../core/batch.ts'
import type { ErrorData } from '../core/errors.ts'
import type { Fence, SubtaskRef } from '../core/ids.ts'
import type { Timestamp } from '../core/time.ts'
import type { JobGraph } from '../graph/job-graph.ts'

/** Everything a slot needs to run its part of a job's attempt. */
export interface SlotDeployment {
  readonly fence: Fence
  readonly clusterId: string
  readonly jobId: string
  /** The ES module to evaluate; absolute. */
  readonly bundlePath: string
  readonly projectDirectory: string
  /** As it was submitted. The slot's own job graph must have its hash; if not, the slot can say what differs. */
  readonly graph: JobGraph
  /** Logical number of this slot in the execution plan. */
  readonly slot: number
  /** Data socket of every logical slot, by number. */
  readonly peers: readonly string[]
  /** Vertices (by index) that were finished in the checkpoint: their subtasks end at once. */
  readonly finishedVertices: readonly number[]
  readonly restore: SubtaskRestore | undefined
  /** Max parallelism by vertex, where the snapshot's replaces that of the slot's own graph (after its hash was checked). */
  readonly maxParallelism?: Readonly<Record<number, number>>
}

/** The snapshot that an attempt starts from. */
export interface SubtaskRestore {
  readonly checkpointId: number
  /** By operator id. */
  readonly operators: Readonly<Record<string, OperatorRestore>>
}
export interface OperatorRestore {
  /**
   * By old subtask: the file of the snapshot last, before it those whose keyed state it goes on from, the earliest first. None
   * where the old subtask was finished and left nothing.
   */
  readonly files: readonly (readonly SnapshotFile[])[]
}
/** One subtask's part of a snapshot: a file of blocks with its checksum. */
export interface SnapshotFile {
  /** Absolute. */
  readonly path: string
  readonly bytes: number
  readonly sha256: string
}

/**
 * By operator id, where a task's file holds of its keyed state only what has changed: the checkpoint that it goes on from.
 */
export type SnapshotBases = Readonly<Record<string, number>>

/** A task's file as it is acknowledged. */
export interface TaskSnapshot extends SnapshotFile {
  readonly since: SnapshotBases
}

export type SlotMail =
  | { readonly kind: 'frame'; readonly from: number; readonly frame: Uint8Array }
  | { readonly kind: 'linkLost'; readonly from: number; readonly reason: string }
  /** Sources of this slot (tasks without running inputs) inject the barrier. */
  | { readonly kind: 'trigger'; readonly barrier: CheckpointBarrier }
  | { readonly kind: 'checkpointComplete'; readonly checkpointId: number }
  | { readonly kind: 'checkpointAborted'; readonly checkpointId: number }
  | { readonly kind: 'addSplit'; readonly operatorId: string; readonly subtask: number; readonly split: unknown }
  | { readonly kind: 'noMoreSplits'; readonly operatorId: string; readonly subtask: number }
  | { readonly kind: 'cancel' }

export type TaskStatus = 'CREATED' | 'SCHEDULED' | 'DEPLOYING' | 'INITIALIZING' | 'RUNNING' | 'FINISHED' | 'CANCELING' | 'CANCELED' | 'FAILED'

export type SlotReport =
  | { readonly kind: 'status'; readonly task: SubtaskRef; readonly status: TaskStatus; readonly error?: ErrorData }
  /** The task has no more input and waits for a last checkpoint before it finishes. */
  | { readonly kind: 'endOfData'; readonly task: SubtaskRef }
  | { readonly kind: 'requestSplit'; readonly operatorId: string; readonly subtask: number }
  | { readonly kind: 'snapshotBlock'; readonly task: SubtaskRef; readonly checkpointId: number; readonly block: SnapshotBlock }
  | { readonly kind: 'snapshotDone'; readonly task: SubtaskRef; readonly checkpointId: number; readonly timings: SnapshotTimings; readonly since: SnapshotBases }
  | { readonly kind: 'snapshotDeclined'; readonly task: SubtaskRef; readonly checkpointId: number; readonly error: ErrorData }
  | { readonly kind: 'print'; readonly operatorId: string; readonly subtask: number; readonly text: string }
  | { readonly kind: 'collect'; readonly operatorId: string; readonly subtask: number; readonly value: unknown }
  | { readonly kind: 'metrics'; readonly at: Timestamp; readonly tasks: readonly TaskMetrics[] }

export type SnapshotBlock =
  | { readonly kind: 'keyed'; readonly operatorId: string; readonly state: string; readonly keyGroup: number; readonly bytes: Uint8Array }
  | { readonly kind: 'list'; readonly operatorId: string; readonly state: string; readonly items: readonly Uint8Array[] }

/** ms, as in Flink's checkpoint details. */
export interface SnapshotTimings {
  readonly startDelay: number
  readonly alignment: number
  readonly sync: number
  readonly async: number
}

/** Cumulative counts and times since the task started; rates are made by whoever shows them. */
export interface TaskMetrics {
  readonly task: SubtaskRef
  readonly recordsIn: number
  readonly recordsOut: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly busyMs: number
  readonly idleMs: number
  readonly backPressuredMs: number
  /** Flink's numbers as text: `-Infinity` is written `-9223372036854775808`. */
  readonly currentInputWatermark: number
  readonly currentOutputWatermark: number
  readonly lateRecordsDropped: number
  readonly stateBytes: number
  readonly stateEvictions: number
  readonly stateLoads: number
  readonly pendingCommittables: number
}
