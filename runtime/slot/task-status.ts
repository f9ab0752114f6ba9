/**
 * The life of a subtask, as the JobManager sees it (Flink `ExecutionState`). A slot moves its tasks through
 *
 *     CREATED -> INITIALIZING -> RUNNING -> FINISHED
 *          \________\______________\______> CANCELING -> CANCELED
 *          and from any of them that is not over -> FAILED
 *
 * (SCHEDULED and DEPLOYING happen outside of it.)
 */
import { assert } from '../core/assert.ts'
import type { TaskStatus } from '../protocol/slot.ts'

const moves = {
  CREATED: ['INITIALIZING', 'CANCELING', 'FAILED'],
  SCHEDULED: [],
  DEPLOYING: [],
  INITIALIZING: ['RUNNING', 'CANCELING', 'FAILED'],
  RUNNING: ['FINISHED', 'CANCELING', 'FAILED'],
  CANCELING: ['CANCELED', 'FAILED'],
  FINISHED: [],
  CANCELED: [],
  FAILED: [],
} as const satisfies Record<TaskStatus, readonly TaskStatus[]>

export function moveTask(from: TaskStatus, to: TaskStatus): TaskStatus {
  assert((moves[from] as readonly TaskStatus[]).includes(to), `a task cannot go from ${from} to ${to}`)
  return to
}

export const isOver = (status: TaskStatus) => moves[status].length === 0
