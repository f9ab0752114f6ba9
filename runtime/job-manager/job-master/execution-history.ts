/** When a job and its tasks were in which status, and what went wrong: for people and REST, never for decisions. */
import type { ErrorData } from '../../core/errors.ts'
import type { Timestamp } from '../../core/time.ts'
import type { JobStatus } from '../../metrics/event.ts'
import type { TaskStatus } from '../../protocol/slot.ts'

export interface TaskRecord {
  readonly status: TaskStatus
  readonly since: Timestamp
  /** When it was deployed; undefined before. */
  readonly startedAt: Timestamp | undefined
  readonly endedAt: Timestamp | undefined
  /** ms per status, the present one not included. */
  readonly durations: Readonly<Partial<Record<TaskStatus, number>>>
  readonly attempt: number
  readonly taskManager: string
  readonly slotIndex: number
}
export interface FailureRecord {
  readonly at: Timestamp
  readonly error: ErrorData
  readonly task: number | undefined
  readonly taskManager: string | undefined
  readonly attempt: number
}

/** `web.exception-history-size` */
const failureHistory = 16

export class ExecutionHistory {
  /** When each status was entered last. */
  readonly statusAt: Partial<Record<JobStatus, Timestamp>> = {}
  readonly failures: FailureRecord[] = []
  failuresDropped = 0
  tasks: TaskRecord[]
  restarts = 0

  constructor(tasks: number) {
    this.tasks = Array.from({ length: tasks }, () => ({
      status: 'CREATED', since: 0, startedAt: undefined, endedAt: undefined, durations: {}, attempt: 0, taskManager: '', slotIndex: 0,
    }))
  }

  deployed(task: number, attempt: number, taskManager: string, slotIndex: number, now: Timestamp): void {
    this.tasks[task] = { status: 'DEPLOYING', since: now, startedAt: now, endedAt: undefined, durations: {}, attempt, taskManager, slotIndex }
  }

  taskStatus(task: number, status: TaskStatus, now: Timestamp): void {
    const record = this.tasks[task] as TaskRecord
    const durations = { ...record.durations, [record.status]: (record.durations[record.status] ?? 0) + (now - record.since) }
    const over = status === 'FINISHED' || status === 'CANCELED' || status === 'FAILED'
    this.tasks[task] = { ...record, status, since: now, durations, endedAt: over ? now : undefined }
  }

  failure(record: FailureRecord): void {
    this.failures.unshift(record)
    if (this.failures.length > failureHistory) {
      this.failures.pop()
      this.failuresDropped++
    }
  }
}
