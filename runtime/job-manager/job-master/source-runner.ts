/**
 * The split enumerators of one job: does what its `SourceCoordinator` decides, between the host that runs the
 * enumerators and the slots that read the splits.
 */
import type { ErrorData } from '../../core/errors.ts'
import type { Fence } from '../../core/ids.ts'
import type { ToTaskManager } from '../../protocol/task-executor.ts'
import type { RestorePlan } from '../checkpoint/restore-plan.ts'
import type { CoordinatorHost } from '../coordinators/coordinator-protocol.ts'
import { SourceCoordinator, type Assignment, type SourceEvent } from '../coordinators/source-coordinator.ts'
import type { Submission } from '../dispatcher/job-store.ts'
import { taskIndex, type TaskTable } from './task-table.ts'

/** What enumerators need of the job they are of. */
export interface EnumeratedJob {
  readonly submission: Submission
  readonly table: TaskTable
  readonly host: CoordinatorHost
  fence(): Fence
  /** Of a logical slot of this attempt; undefined if there is none. */
  taskManagerOfSlot(slot: number): string | undefined
  send(taskManager: string, message: ToTaskManager): void
  /** A split for a subtask that is not there. */
  onStaleMessage(): void
  onFailure(error: ErrorData): void
}

export class SourceRunner {
  readonly operators: readonly { readonly operatorId: string; readonly transformation: number; readonly parallelism: number }[]
  readonly #job: EnumeratedJob
  readonly #coordinator = new SourceCoordinator()
  /** Of the enumerators: from when they are prepared, which is before its tasks are deployed. */
  #attempt: number

  constructor(job: EnumeratedJob, attempt: number) {
    this.#job = job
    this.#attempt = attempt
    this.operators = job.submission.graph.vertices.flatMap(({ operators, parallelism }) =>
      operators.flatMap(({ id, source, transformation }) => (source ? [{ operatorId: id, transformation, parallelism }] : [])),
    )
  }

  get attempt(): number {
    return this.#attempt
  }
  prepare(attempt: number): void {
    this.#attempt = attempt
  }

  start(restore: RestorePlan | undefined): void {
    this.handle({ kind: 'attemptPrepared' })
    const { jobId, bundlePath, projectDirectory, graph } = this.#job.submission
    this.#job.host.send(jobId, {
      kind: 'start', jobId, attempt: this.#attempt, bundlePath, projectDirectory, graph,
      sources: this.operators.map(source => ({ ...source, restored: restore?.coordinators.get(source.operatorId) })),
    })
  }

  snapshot(checkpointId: number): void {
    this.#job.host.send(this.#job.submission.jobId, { kind: 'snapshot', attempt: this.#attempt, checkpointId })
  }

  stop(): void {
    this.#job.host.send(this.#job.submission.jobId, { kind: 'stop' })
  }

  handle(event: SourceEvent): void {
    for (const command of this.#coordinator.handle(event)) {
      if (command.kind === 'send') this.#send(command.assignment)
      else if (command.kind === 'fail') this.#job.onFailure(command.error)
      else this.#job.host.send(this.#job.submission.jobId, { kind: 'requestSplit', attempt: this.#attempt, operatorId: command.operatorId, subtask: command.subtask })
    }
  }

  #send(assignment: Assignment): void {
    const { submission: { jobId, graph }, table } = this.#job
    const vertex = graph.vertices.findIndex(each => each.operators.some(operator => operator.id === assignment.operatorId))
    const task = taskIndex(table, { vertex, subtask: assignment.subtask })
    const row = task === undefined ? undefined : table.tasks[task]
    const taskManager = row && this.#job.taskManagerOfSlot(row.slot)
    if (!row || taskManager === undefined) return this.#job.onStaleMessage()
    this.#job.send(taskManager, { ...assignment, fence: this.#job.fence(), jobId, slot: row.slot })
  }
}
