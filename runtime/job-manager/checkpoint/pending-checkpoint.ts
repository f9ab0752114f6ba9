/**
 * A checkpoint or savepoint that is under way: what is known of it, and what becomes of that when every task has
 * acknowledged (Flink `PendingCheckpoint`, `DefaultCheckpointPlan`). The coordinator decides; this is what it decides over.
 */
import type { CheckpointKind } from '../../core/batch.ts'
import type { Timestamp } from '../../core/time.ts'
import type { TaskSnapshot } from '../../protocol/slot.ts'

/** A person, or a client, asked for it. */
export interface SnapshotRequest {
  readonly requestId: string
  readonly checkpointKind: CheckpointKind
  readonly directory: string | undefined
  readonly deadline: Timestamp
}

export interface PendingCheckpoint {
  readonly id: number
  readonly checkpointKind: CheckpointKind
  /** Undefined: a periodic one, or the last of a job that ends. */
  readonly request: SnapshotRequest | undefined
  readonly triggeredAt: Timestamp
  stage: 'coordinators' | 'tasks' | 'persisting'
  /** By operator id. */
  readonly coordinatorStates: Map<string, Uint8Array>
  readonly waiting: Set<number>
  readonly files: (TaskSnapshot | undefined)[]
  finished: ReadonlySet<number>
  /** Tasks that had reported the end of their data when the barriers went out. */
  ended: ReadonlySet<number>
}

/** All that a manifest is written from. */
export interface PendingSnapshot {
  readonly checkpointId: number
  readonly checkpointKind: CheckpointKind
  readonly triggeredAt: Timestamp
  readonly directory: string | undefined
  /** By operator id. */
  readonly coordinators: ReadonlyMap<string, Uint8Array>
  /** By task; undefined where the task was finished (C10). */
  readonly files: readonly (TaskSnapshot | undefined)[]
  /** Vertices of which every subtask was finished. */
  readonly finishedVertices: readonly number[]
}

export function pendingCheckpoint(id: number, request: SnapshotRequest | undefined, tasks: number, now: Timestamp): PendingCheckpoint {
  return {
    id,
    checkpointKind: request?.checkpointKind ?? 'checkpoint',
    request,
    triggeredAt: now,
    stage: 'coordinators',
    coordinatorStates: new Map(),
    waiting: new Set(),
    files: Array.from({ length: tasks }, () => undefined),
    finished: new Set(),
    ended: new Set(),
  }
}

/** `firstTask`: first task of each vertex; then a last entry with the number of tasks. */
export function pendingSnapshot(pending: PendingCheckpoint, firstTask: readonly number[]): PendingSnapshot {
  const finishedVertices: number[] = []
  for (let vertex = 0; vertex + 1 < firstTask.length; vertex++) {
    let all = true
    for (let task = firstTask[vertex] as number; task < (firstTask[vertex + 1] as number); task++) all &&= pending.finished.has(task)
    if (all) finishedVertices.push(vertex)
  }
  const { id: checkpointId, checkpointKind, triggeredAt, request, coordinatorStates: coordinators, files } = pending
  return { checkpointId, checkpointKind, triggeredAt, directory: request?.directory, coordinators, files, finishedVertices }
}
