/** What REST shows of a job: pure folds of what its runner keeps into Flink's JSON. */
import type { ErrorData } from '../../core/errors.ts'
import type { JobEdge } from '../../graph/job-graph.ts'
import type { JobStatus } from '../../metrics/event.ts'
import { backPressureLevel } from '../../metrics/rates.ts'
import type {
  RestBackPressure, RestException, RestExceptions, RestExecutionResult, RestFailure, RestIoMetrics, RestJob, RestJobConfig, RestJobSummary, RestJobVertex,
  RestMetrics, RestPlan, RestSubtask, RestTaskCounts, RestVertex,
} from '../../protocol/rest.ts'
import type { TaskMetrics, TaskStatus } from '../../protocol/slot.ts'
import type { TaskRecord } from '../job-master/execution-history.ts'
import type { JobRunner } from '../job-master/job-runner.ts'

const taskStatuses: readonly TaskStatus[] = ['CREATED', 'SCHEDULED', 'DEPLOYING', 'INITIALIZING', 'RUNNING', 'FINISHED', 'CANCELING', 'CANCELED', 'FAILED']
const jobStatuses: readonly JobStatus[] = [
  'INITIALIZING', 'CREATED', 'RUNNING', 'FAILING', 'FAILED', 'CANCELLING', 'CANCELED', 'FINISHED', 'RESTARTING', 'SUSPENDED', 'RECONCILING',
]

const startTime = (job: JobRunner) => job.submission.submittedAt
function endTime(job: JobRunner): number {
  return job.over ? (job.history.statusAt[job.status] ?? -1) : -1
}
const duration = (job: JobRunner, now: number) => (job.over ? endTime(job) : now) - startTime(job)
const countBy = (records: readonly TaskRecord[]) =>
  Object.fromEntries(taskStatuses.map(status => [status, records.filter(record => record.status === status).length])) as Record<TaskStatus, number>
const recordsOf = (job: JobRunner, vertex: number) => {
  const first = job.table.firstTask[vertex] ?? 0
  return job.history.tasks.slice(first, first + (job.graph.vertices[vertex]?.parallelism ?? 0))
}

export function jobSummary(job: JobRunner, now: number): RestJobSummary {
  const counts = Object.entries(countBy(job.history.tasks)).map(([status, count]) => [status.toLowerCase(), count])
  return {
    jid: job.jobId,
    name: job.graph.name,
    'start-time': startTime(job),
    'end-time': endTime(job),
    duration: duration(job, now),
    state: job.status,
    'last-modification': Math.max(...Object.values(job.history.statusAt), ...job.history.tasks.map(task => task.since)),
    tasks: { total: job.history.tasks.length, ...Object.fromEntries(counts), reconciling: 0 } as RestTaskCounts,
    'pending-operators': 0,
  }
}

export function jobDetails(job: JobRunner, now: number): RestJob {
  return {
    jid: job.jobId,
    name: job.graph.name,
    isStoppable: false,
    state: job.status,
    'job-type': 'STREAMING',
    'start-time': startTime(job),
    'end-time': endTime(job),
    duration: duration(job, now),
    maxParallelism: job.graph.config.maxParallelism ?? -1,
    now,
    timestamps: Object.fromEntries(jobStatuses.map(status => [status, job.history.statusAt[status] ?? 0])) as Record<JobStatus, number>,
    vertices: job.graph.vertices.map((_, vertex) => vertexSummary(job, vertex, now)),
    'status-counts': countBy(job.history.tasks),
    plan: plan(job),
    'pending-operators': 0,
  }
}

/** The status of the task that is furthest behind, or the one that went wrong (Flink `getAggregateJobVertexState`). */
function aggregateStatus(counts: Record<TaskStatus, number>, parallelism: number): TaskStatus {
  if (counts.FAILED > 0) return 'FAILED'
  for (const status of ['CANCELING', 'CANCELED', 'INITIALIZING', 'RUNNING', 'DEPLOYING', 'SCHEDULED'] as const) if (counts[status] > 0) return status
  return counts.FINISHED === parallelism ? 'FINISHED' : 'CREATED'
}

function vertexSummary(job: JobRunner, index: number, now: number): RestJobVertex {
  const vertex = job.graph.vertices[index] as JobRunner['graph']['vertices'][number]
  const records = recordsOf(job, index)
  const started = records.flatMap(record => (record.startedAt === undefined ? [] : [record.startedAt]))
  const start = started.length === 0 ? -1 : Math.min(...started)
  const end = records.every(record => record.endedAt !== undefined) ? Math.max(...records.map(record => record.endedAt ?? 0)) : -1
  const counts = countBy(records)
  return {
    id: vertex.id,
    slotSharingGroupId: vertex.slotSharingGroup,
    slotSharingGroupName: vertex.slotSharingGroup,
    name: vertex.name,
    maxParallelism: job.maxParallelismOf(index) ?? vertex.maxParallelism,
    parallelism: vertex.parallelism,
    status: aggregateStatus(counts, vertex.parallelism),
    'start-time': start,
    'end-time': end,
    duration: start < 0 ? -1 : (end < 0 ? now : end) - start,
    tasks: counts,
    metrics: ioMetrics(records.flatMap((_, subtask) => job.rates.latest(index, subtask) ?? []), records.length),
  }
}

function ioMetrics(metrics: readonly TaskMetrics[], expected: number): RestIoMetrics {
  const sum = (name: 'recordsIn' | 'recordsOut' | 'bytesIn' | 'bytesOut' | 'busyMs' | 'idleMs' | 'backPressuredMs') => metrics.reduce((total, each) => total + each[name], 0)
  const complete = metrics.length === expected
  return {
    'read-bytes': sum('bytesIn'),
    'read-bytes-complete': complete,
    'write-bytes': sum('bytesOut'),
    'write-bytes-complete': complete,
    'read-records': sum('recordsIn'),
    'read-records-complete': complete,
    'write-records': sum('recordsOut'),
    'write-records-complete': complete,
    'accumulated-backpressured-time': sum('backPressuredMs'),
    'accumulated-idle-time': sum('idleMs'),
    'accumulated-busy-time': sum('busyMs'),
  }
}

export function plan(job: JobRunner): RestPlan {
  const { vertices, edges, name } = job.graph
  return {
    jid: job.jobId,
    name,
    type: 'STREAMING',
    nodes: vertices.map((vertex, index) => {
      const inputs = edges.filter(edge => edge.target === index)
      return {
        id: vertex.id,
        parallelism: vertex.parallelism,
        operator: '',
        operator_strategy: '',
        description: vertex.name,
        optimizer_properties: {},
        ...(inputs.length > 0 && {
          inputs: inputs.map((edge, num) => ({ num, id: vertices[edge.source]?.id as string, ship_strategy: shipStrategy(edge), exchange: 'pipelined_bounded' })),
        }),
      }
    }),
  }
}
const shipStrategy = ({ partitioner }: JobEdge) => partitioner.toUpperCase()

export function jobConfig(job: JobRunner): RestJobConfig {
  const { config, name } = job.graph
  return {
    jid: job.jobId,
    name,
    'execution-config': {
      'restart-strategy': config.restart.kind,
      'job-parallelism': config.parallelism,
      'object-reuse-mode': config.exchange.objectReuse,
      'user-config': config.args,
    },
  }
}

/** `maxExceptions` as in Flink: the newest so many. */
export function exceptions(job: JobRunner, maxExceptions: number): RestExceptions {
  const all = job.history.failures.map(({ at, error, task, taskManager, attempt }): RestException & { attempt: number } => {
    const ref = task === undefined ? undefined : job.table.tasks[task]?.ref
    const vertex = ref && job.graph.vertices[ref.vertex]
    return {
      exceptionName: error.code,
      stacktrace: stackOf(error),
      timestamp: at,
      taskName: vertex && ref ? `${vertex.name} (${ref.subtask + 1}/${vertex.parallelism})` : null,
      endpoint: taskManager ?? null,
      taskManagerId: taskManager ?? null,
      failureLabels: {},
      concurrentExceptions: [],
      error,
      attempt,
    }
  })
  // Newest attempt first; within one attempt the first failure is the entry, and the others happened beside it.
  const entries: RestException[] = []
  for (const attempt of new Set(all.map(entry => entry.attempt))) {
    const [root, ...others] = all.filter(entry => entry.attempt === attempt).reverse().map(({ attempt: _, ...entry }) => entry)
    if (root) entries.push({ ...root, concurrentExceptions: others })
  }
  return { exceptionHistory: { entries: entries.slice(0, maxExceptions), truncated: entries.length > maxExceptions || job.history.failuresDropped > 0 } }
}

function stackOf(error: ErrorData): string {
  const at = error.at ? `\n    at ${error.at.file}:${error.at.line}` : ''
  return error.stack ?? `${error.code}: ${error.message}${at}${error.detail === undefined ? '' : `\n${error.detail}`}`
}
export const failureOf = (error: ErrorData): RestFailure => ({ class: error.code, 'stack-trace': stackOf(error), error })

export function executionResult(job: JobRunner): RestExecutionResult {
  if (!job.over) return { status: { id: 'IN_PROGRESS' } }
  return {
    status: { id: 'COMPLETED' },
    'job-execution-result': {
      id: job.jobId,
      'application-status': job.status === 'FINISHED' ? 'SUCCEEDED' : job.status === 'CANCELED' ? 'CANCELED' : 'FAILED',
      'accumulator-results': {},
      'net-runtime': endTime(job) - startTime(job),
      ...(job.status === 'FAILED' && job.error && { 'failure-cause': failureOf(job.error) }),
    },
  }
}

export function vertexDetails(job: JobRunner, index: number, now: number): RestVertex {
  const { id, name, parallelism, maxParallelism } = job.graph.vertices[index] as JobRunner['graph']['vertices'][number]
  return {
    id, name, parallelism, maxParallelism: job.maxParallelismOf(index) ?? maxParallelism, now,
    subtasks: recordsOf(job, index).map((record, subtask): RestSubtask => {
      const metrics = job.rates.latest(index, subtask)
      const running = { ...record.durations, [record.status]: (record.durations[record.status] ?? 0) + (record.endedAt === undefined && record.since > 0 ? now - record.since : 0) }
      return {
        subtask,
        status: record.status,
        attempt: record.attempt,
        endpoint: record.taskManager,
        'start-time': record.startedAt ?? -1,
        'end-time': record.endedAt ?? -1,
        duration: record.startedAt === undefined ? -1 : (record.endedAt ?? now) - record.startedAt,
        metrics: ioMetrics(metrics ? [metrics] : [], 1),
        'taskmanager-id': record.taskManager,
        'status-duration': Object.fromEntries(taskStatuses.map(status => [status, running[status] ?? -1])) as Record<TaskStatus, number>,
      }
    }),
  }
}

export function backPressure(job: JobRunner, index: number, now: number): RestBackPressure {
  const subtasks = recordsOf(job, index).map((record, subtask) => {
    const { backPressured, busy, idle } = job.rates.rates(index, subtask)
    return { subtask, 'attempt-number': record.attempt, backpressureLevel: backPressureLevel(backPressured), ratio: backPressured, idleRatio: idle, busyRatio: busy }
  })
  return { status: 'ok', backpressureLevel: backPressureLevel(Math.max(0, ...subtasks.map(each => each.ratio))), 'end-timestamp': now, subtasks }
}

/** Flink's 64-bit numbers as text. */
const watermarkText = (timestamp: number) => (timestamp === -Infinity ? '-9223372036854775808' : timestamp === Infinity ? '9223372036854775807' : String(timestamp))

export function watermarks(job: JobRunner, index: number): RestMetrics {
  return recordsOf(job, index).flatMap((_, subtask) => {
    const metrics = job.rates.latest(index, subtask)
    return metrics ? [{ id: `${subtask}.currentInputWatermark`, value: watermarkText(metrics.currentInputWatermark) }] : []
  })
}

/** Without `get` only the names; with it the values, as Flink answers. */
export function select(values: ReadonlyMap<string, string>, get: string | undefined): RestMetrics {
  if (get === undefined) return [...values.keys()].map(id => ({ id }))
  return get.split(',').flatMap(id => {
    const value = values.get(id)
    return value === undefined ? [] : [{ id, value }]
  })
}

/** `<subtask>.<metric>`, Flink's names; ours begin with `flinkTs`. */
export function vertexMetrics(job: JobRunner, index: number): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  recordsOf(job, index).forEach((_, subtask) => {
    const metrics = job.rates.latest(index, subtask)
    if (!metrics) return
    const rates = job.rates.rates(index, subtask)
    const perSecond = (part: number) => Math.round(part * 1000)
    const named: Record<string, string | number> = {
      numRecordsIn: metrics.recordsIn, numRecordsInPerSecond: rates.recordsInPerSecond, numRecordsOut: metrics.recordsOut, numRecordsOutPerSecond: rates.recordsOutPerSecond,
      numBytesIn: metrics.bytesIn, numBytesInPerSecond: rates.bytesInPerSecond, numBytesOut: metrics.bytesOut, numBytesOutPerSecond: rates.bytesOutPerSecond,
      busyTimeMsPerSecond: perSecond(rates.busy), idleTimeMsPerSecond: perSecond(rates.idle), backPressuredTimeMsPerSecond: perSecond(rates.backPressured),
      isBackPressured: String(rates.backPressured > 0.1), numLateRecordsDropped: metrics.lateRecordsDropped, pendingCommittables: metrics.pendingCommittables,
      currentInputWatermark: watermarkText(metrics.currentInputWatermark), currentOutputWatermark: watermarkText(metrics.currentOutputWatermark),
      flinkTsStateBytes: metrics.stateBytes, flinkTsStateEvictions: metrics.stateEvictions, flinkTsStateLoads: metrics.stateLoads,
    }
    for (const [name, value] of Object.entries(named)) values.set(`${subtask}.${name}`, String(value))
  })
  return values
}

export function jobMetrics(job: JobRunner, now: number): ReadonlyMap<string, string> {
  const { counts, latest, restored } = job.statistics
  const since = job.history.statusAt.RUNNING
  const running = job.status === 'RUNNING' && since !== undefined ? now - since : 0
  const named: Record<string, string | number> = {
    numRestarts: job.history.restarts, fullRestarts: job.history.restarts, runningTime: running, uptime: running,
    numberOfCompletedCheckpoints: counts.completed, numberOfFailedCheckpoints: counts.failed, numberOfInProgressCheckpoints: counts.in_progress, totalNumberOfCheckpoints: counts.total,
    lastCheckpointDuration: latest.completed ? (latest.completed.endedAt ?? 0) - latest.completed.triggeredAt : -1,
    lastCheckpointSize: latest.completed?.bytes ?? -1, lastCheckpointFullSize: latest.completed?.stateBytes ?? -1, lastCompletedCheckpointId: latest.completed?.id ?? -1,
    lastCheckpointCompletedTimestamp: latest.completed?.endedAt ?? -1, lastCheckpointExternalPath: latest.completed?.path ?? 'n/a', lastCheckpointRestoreTimestamp: restored?.at ?? -1,
  }
  return new Map(Object.entries(named).map(([name, value]) => [name, String(value)]))
}
