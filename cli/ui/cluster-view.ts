/**
 * What the live view knows: a pure fold of runtime events. Nothing here draws, reads a clock or remembers more than a
 * screen can show; the summary after a run is made from the same value, so that view and summary cannot disagree.
 *
 * Metrics are cumulative per subtask. A rate is the difference of two samples of the same subtask and attempt over the
 * time between them; a count that went down belongs to a new attempt and starts afresh.
 */
import { unreachable } from '../../runtime/core/assert.ts'
import type { ErrorData } from '../../runtime/core/errors.ts'
import type { CheckpointKind } from '../../runtime/core/batch.ts'
import type { JobGraph } from '../../runtime/graph/job-graph.ts'
import { terminalJobStatuses, type JobStatus, type RuntimeEvent } from '../../runtime/metrics/event.ts'
import type { TaskMetrics, TaskStatus } from '../../runtime/protocol/slot.ts'
import { eventLine, type Level } from '../output/event-line.ts'
import { sanitiseText } from '../output/sanitise.ts'

export interface ClusterView {
  readonly clusterId: string | undefined
  readonly job: JobView | undefined
  readonly taskManagers: ReadonlyMap<string, TaskManagerView>
  /** The TaskManager process that takes the place of the next one that dies. */
  readonly standby: string | undefined
  /** The last lines of the job's output and of the cluster, oldest first. */
  readonly log: readonly LogLine[]
  /** Time of the last event. */
  readonly at: number
  readonly missed: number
}

export interface TaskManagerView {
  readonly pid: number
  readonly slots: number
  readonly lost: string | undefined
}

export interface JobView {
  readonly id: string
  readonly name: string
  readonly status: JobStatus
  readonly attempt: number
  readonly submittedAt: number
  readonly endedAt: number | undefined
  readonly restarts: number
  /** Why it is failing or restarting, or failed. */
  readonly error: ErrorData | undefined
  readonly restoredFrom: number | undefined
  readonly vertices: readonly VertexView[]
  readonly checkpoints: CheckpointsView
}

export interface VertexView {
  readonly name: string
  readonly source: boolean
  /** Nothing leaves it for another task. */
  readonly sink: boolean
  readonly subtasks: readonly SubtaskView[]
}

export interface SubtaskView {
  readonly status: TaskStatus
  readonly taskManager: string | undefined
  readonly slotIndex: number | undefined
  readonly metrics: TaskMetrics | undefined
  readonly measuredAt: number
  readonly rates: Rates
}

/** Records per second, and the shares of time (0..1) since the sample before. */
export interface Rates {
  readonly recordsIn: number
  readonly recordsOut: number
  readonly busy: number
  readonly backPressured: number
  readonly idle: number
}

export interface CheckpointsView {
  readonly completed: number
  readonly failed: number
  readonly inProgress: ReadonlySet<number>
  readonly last: { readonly id: number; readonly kind: CheckpointKind; readonly durationMs: number; readonly bytes: number; readonly at: number; readonly path: string } | undefined
  readonly lastSavepoint: string | undefined
  readonly lastFailure: string | undefined
}

export interface LogLine {
  readonly at: number
  readonly kind: Level | 'output'
  /** Safe for a terminal. */
  readonly text: string
}

const logCapacity = 200
const noRates: Rates = { recordsIn: 0, recordsOut: 0, busy: 0, backPressured: 0, idle: 0 }
const noCheckpoints: CheckpointsView = { completed: 0, failed: 0, inProgress: new Set(), last: undefined, lastSavepoint: undefined, lastFailure: undefined }

export const emptyClusterView: ClusterView = { clusterId: undefined, job: undefined, taskManagers: new Map(), standby: undefined, log: [], at: 0, missed: 0 }

export function foldEvent(before: ClusterView, event: RuntimeEvent): ClusterView {
  const view = withLine({ ...before, at: event.at }, event)
  switch (event.kind) {
    case 'clusterStarted':
      return { ...view, clusterId: event.clusterId }
    case 'taskManagerRegistered':
      return { ...view, taskManagers: new Map(view.taskManagers).set(event.taskManager, { pid: event.pid, slots: event.slots, lost: undefined }) }
    case 'taskManagerLost':
      return withoutTaskManager(view, event.taskManager, event.reason)
    case 'standby':
      return { ...view, standby: event.process?.id }
    case 'jobSubmitted':
      return { ...view, job: submitted(view.job, newJob(event.jobId, event.name, event.graph, event.at)) }
    case 'output':
      return view
    case 'collected':
    case 'log':
      return view
    case 'missed':
      return { ...view, missed: view.missed + event.events }
    case 'jobStatus':
      return withJob(view, event.jobId, job => ({
        ...job,
        status: event.status,
        attempt: event.attempt,
        // A job that runs again, or came to its end, is not in trouble any more.
        error: event.error ?? (event.status === 'RESTARTING' || event.status === 'FAILING' || event.status === 'FAILED' ? job.error : undefined),
        endedAt: terminalJobStatuses.has(event.status) ? event.at : undefined,
      }))
    case 'jobRestored':
      return withJob(view, event.jobId, job => ({ ...job, restoredFrom: event.checkpointId }))
    case 'restartScheduled':
      return withJob(view, event.jobId, job => ({ ...job, restarts: job.restarts + 1, error: event.cause, checkpoints: { ...job.checkpoints, inProgress: new Set() } }))
    case 'taskStatus':
      return withJob(view, event.jobId, job =>
        withSubtask(job, event.vertex, event.subtask, subtask => {
          // A task that begins again counts from nothing.
          const begins = event.status === 'DEPLOYING' || event.status === 'SCHEDULED' || event.status === 'CREATED'
          return {
            ...subtask,
            status: event.status,
            taskManager: event.taskManager,
            slotIndex: event.slotIndex,
            ...(begins ? { metrics: undefined } : {}),
            rates: event.status === 'RUNNING' ? subtask.rates : noRates,
          }
        }),
      )
    case 'metrics':
      return withJob(view, event.jobId, job => event.tasks.reduce((job, metrics) => withMetrics(job, metrics, event.at), job))
    case 'checkpointTriggered':
      return withCheckpoints(view, event.jobId, checkpoints => ({ ...checkpoints, inProgress: new Set(checkpoints.inProgress).add(event.checkpointId) }))
    case 'checkpointCompleted':
      return withCheckpoints(view, event.jobId, checkpoints => ({
        ...checkpoints,
        completed: checkpoints.completed + 1,
        inProgress: without(checkpoints.inProgress, event.checkpointId),
        last: { id: event.checkpointId, kind: event.checkpointKind, durationMs: event.durationMs, bytes: event.bytes, at: event.at, path: event.path },
        lastSavepoint: event.checkpointKind === 'checkpoint' ? checkpoints.lastSavepoint : event.path,
      }))
    case 'checkpointFailed':
      return withCheckpoints(view, event.jobId, checkpoints => ({
        ...checkpoints,
        failed: checkpoints.failed + 1,
        inProgress: without(checkpoints.inProgress, event.checkpointId),
        lastFailure: event.reason,
      }))
    default:
      return unreachable(event)
  }
}

function newJob(id: string, name: string, graph: JobGraph, at: number): JobView {
  const subtask: SubtaskView = { status: 'CREATED', taskManager: undefined, slotIndex: undefined, metrics: undefined, measuredAt: at, rates: noRates }
  return {
    id, name, status: 'CREATED', attempt: 1, submittedAt: at, endedAt: undefined, restarts: 0,
    error: undefined, restoredFrom: undefined, checkpoints: noCheckpoints,
    vertices: graph.vertices.map((vertex, index) => ({
      name: vertex.name,
      source: vertex.operators[0]?.source ?? false,
      sink: graph.edges.every(edge => edge.source !== index),
      subtasks: Array.from({ length: vertex.parallelism }, () => subtask),
    })),
  }
}

/** A JobManager that came back submits its jobs again: their tasks are new, their history is not. */
function submitted(before: JobView | undefined, job: JobView): JobView {
  if (before?.id !== job.id) return job
  const { submittedAt, restarts, checkpoints } = before
  return { ...job, submittedAt, restarts, checkpoints: { ...checkpoints, inProgress: new Set() } }
}

/** Events of another job (an earlier one in the journal of a session) change nothing. */
function withJob(view: ClusterView, jobId: string, change: (job: JobView) => JobView): ClusterView {
  return view.job?.id === jobId ? { ...view, job: change(view.job) } : view
}

function withCheckpoints(view: ClusterView, jobId: string, change: (checkpoints: CheckpointsView) => CheckpointsView): ClusterView {
  return withJob(view, jobId, job => ({ ...job, checkpoints: change(job.checkpoints) }))
}

function withSubtask(job: JobView, vertex: number, subtask: number, change: (subtask: SubtaskView) => SubtaskView): JobView {
  const found = job.vertices[vertex]
  const old = found?.subtasks[subtask]
  if (found === undefined || old === undefined) return job
  return { ...job, vertices: job.vertices.with(vertex, { ...found, subtasks: found.subtasks.with(subtask, change(old)) }) }
}

function withMetrics(job: JobView, metrics: TaskMetrics, at: number): JobView {
  return withSubtask(job, metrics.task.vertex, metrics.task.subtask, subtask => ({
    ...subtask,
    metrics,
    measuredAt: at,
    rates: subtask.metrics === undefined ? noRates : ratesBetween(subtask.metrics, subtask.measuredAt, metrics, at) ?? subtask.rates,
  }))
}

function ratesBetween(before: TaskMetrics, beforeAt: number, after: TaskMetrics, afterAt: number): Rates | undefined {
  const millis = afterAt - beforeAt
  if (millis <= 0) return undefined
  if (after.recordsIn < before.recordsIn || after.recordsOut < before.recordsOut) return noRates
  const share = (was: number, is: number) => Math.min(1, Math.max(0, (is - was) / millis))
  return {
    recordsIn: ((after.recordsIn - before.recordsIn) * 1_000) / millis,
    recordsOut: ((after.recordsOut - before.recordsOut) * 1_000) / millis,
    busy: share(before.busyMs, after.busyMs),
    backPressured: share(before.backPressuredMs, after.backPressuredMs),
    idle: share(before.idleMs, after.idleMs),
  }
}

function withoutTaskManager(view: ClusterView, id: string, reason: string): ClusterView {
  const lost = view.taskManagers.get(id)
  if (lost === undefined) return view
  return { ...view, taskManagers: new Map(view.taskManagers).set(id, { ...lost, lost: reason }) }
}

function without(ids: ReadonlySet<number>, id: number): ReadonlySet<number> {
  const rest = new Set(ids)
  rest.delete(id)
  return rest
}

function withLine(view: ClusterView, event: RuntimeEvent): ClusterView {
  const lines = linesOf(event)
  return lines.length === 0 ? view : { ...view, log: [...view.log, ...lines].slice(-logCapacity) }
}

function linesOf(event: RuntimeEvent): LogLine[] {
  if (event.kind === 'output') {
    return sanitiseText(event.text).replace(/\n$/, '').split('\n').slice(-logCapacity)
      .map(text => ({ at: event.at, kind: 'output', text: text.replaceAll('\t', '  ') }))
  }
  // Periodic checkpoints have a panel of their own; ten a second would push everything else out.
  if (event.kind === 'checkpointCompleted' && event.checkpointKind === 'checkpoint') return []
  const line = eventLine(event)
  return line === undefined ? [] : [{ at: event.at, kind: line.level, text: line.text }]
}

// --- what is drawn of a vertex: sums and extremes of its subtasks ---

export interface VertexSummary {
  readonly status: TaskStatus
  readonly parallelism: number
  readonly recordsIn: number
  readonly recordsOut: number
  readonly recordsInPerSecond: number
  readonly recordsOutPerSecond: number
  /** Means over the subtasks. */
  readonly busy: number
  readonly backPressured: number
  readonly idle: number
  /** The lowest of the subtasks; of a source what it emits, of others what they have received. undefined: none yet. */
  readonly watermark: number | 'end' | undefined
  readonly stateBytes: number
  readonly late: number
}

export function summariseVertex(vertex: VertexView): VertexSummary {
  const { subtasks } = vertex
  const sum = (of: (subtask: SubtaskView) => number) => subtasks.reduce((total, subtask) => total + of(subtask), 0)
  const mean = (of: (subtask: SubtaskView) => number) => (subtasks.length === 0 ? 0 : sum(of) / subtasks.length)
  return {
    status: vertexStatus(subtasks),
    parallelism: subtasks.length,
    recordsIn: sum(subtask => subtask.metrics?.recordsIn ?? 0),
    recordsOut: sum(subtask => subtask.metrics?.recordsOut ?? 0),
    recordsInPerSecond: sum(subtask => subtask.rates.recordsIn),
    recordsOutPerSecond: sum(subtask => subtask.rates.recordsOut),
    busy: mean(subtask => subtask.rates.busy),
    backPressured: mean(subtask => subtask.rates.backPressured),
    idle: mean(subtask => subtask.rates.idle),
    watermark: vertexWatermark(vertex),
    stateBytes: sum(subtask => subtask.metrics?.stateBytes ?? 0),
    late: sum(subtask => subtask.metrics?.lateRecordsDropped ?? 0),
  }
}

/** The one that says most: a failure before all, then what still begins, then running, then the end. */
const statusOrder: readonly TaskStatus[] = ['FAILED', 'CANCELING', 'CANCELED', 'CREATED', 'SCHEDULED', 'DEPLOYING', 'INITIALIZING', 'RUNNING', 'FINISHED']
function vertexStatus(subtasks: readonly SubtaskView[]): TaskStatus {
  return statusOrder.find(status => subtasks.some(subtask => subtask.status === status)) ?? 'CREATED'
}

/** Beyond 2^62 it is Flink's `Long.MIN_VALUE` or `Long.MAX_VALUE`, however it was carried here. */
const longExtreme = 2 ** 62
function vertexWatermark(vertex: VertexView): number | 'end' | undefined {
  let lowest = Infinity
  for (const subtask of vertex.subtasks) {
    const watermark = Number((vertex.source ? subtask.metrics?.currentOutputWatermark : subtask.metrics?.currentInputWatermark) ?? -Infinity)
    lowest = Math.min(lowest, watermark)
  }
  if (lowest <= -longExtreme || Number.isNaN(lowest)) return undefined
  return lowest >= longExtreme ? 'end' : lowest
}

/** Slots of the TaskManagers that live, and how many subtasks run in each. */
export function slotsOf(view: ClusterView): readonly { readonly id: string; readonly pid: number; readonly lost: string | undefined; readonly tasks: readonly number[] }[] {
  return [...view.taskManagers].map(([id, taskManager]) => {
    const tasks = new Array<number>(taskManager.slots).fill(0)
    for (const vertex of view.job?.vertices ?? []) {
      for (const { taskManager: on, slotIndex, status } of vertex.subtasks) {
        if (on === id && slotIndex !== undefined && (status === 'RUNNING' || status === 'INITIALIZING')) tasks[slotIndex] = (tasks[slotIndex] ?? 0) + 1
      }
    }
    return { id, pid: taskManager.pid, lost: taskManager.lost, tasks }
  })
}
