/**
 * The REST API as a table: method and path to an answer. Flink's REST API v1 (`/v1` may be left out) and `/flink-ts/`.
 * Ids are matched by their shape, so nothing hostile gets further than this table.
 */
import { FlinkError } from '../../core/errors.ts'
import type { CheckpointKind } from '../../core/batch.ts'
import type {
  RestAsyncOperation, RestCheckpointRequest, RestConfig, RestJobIds, RestOverview, RestSavepointRequest, RestStopRequest, RestSubmitRequest, RestTaskManager,
  RestTaskManagerDetails,
} from '../../protocol/rest.ts'
import type { JobManager } from '../job-manager.ts'
import type { JobRunner } from '../job-master/job-runner.ts'
import type { TaskManagerView } from '../resource-manager/resource-manager.ts'
import { checkpoint, checkpointConfig, checkpoints } from './checkpoint-views.ts'
import {
  backPressure, exceptions, executionResult, failureOf, jobConfig, jobDetails, jobMetrics, jobSummary, plan, select, vertexDetails, vertexMetrics, watermarks,
} from './job-views.ts'

export interface RestRequest {
  /** Named groups of the path. */
  readonly ids: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** Parsed JSON; an empty object if there was no body. */
  readonly body: Readonly<Record<string, unknown>>
}
export interface RestAnswer {
  readonly status: number
  readonly body: unknown
  /** After the answer has left. */
  readonly then?: () => void
}
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: RegExp
  /** Bytes of body that are taken. */
  readonly bodyLimit: number
  answer(manager: JobManager, request: RestRequest): RestAnswer
}

const flinkTsVersion = '0.1.0'
const megabyte = 1024 * 1024
const hex = '[0-9a-f]{32}'
const job = `/jobs/(?<job>${hex})`
const vertex = `${job}/vertices/(?<vertex>${hex})`

const get = (path: string, view: (manager: JobManager, request: RestRequest) => unknown) =>
  route('GET', path, (manager, request) => ({ status: 200, body: view(manager, request) }))
const jobView = (path: string, view: (job: JobRunner, now: number, request: RestRequest) => unknown) =>
  get(`${job}${path}`, (manager, request) => view(jobOf(manager, request), manager.now(), request))
const vertexView = (path: string, view: (job: JobRunner, vertex: number, now: number, request: RestRequest) => unknown) =>
  get(`${vertex}${path}`, (manager, request) => {
    const found = jobOf(manager, request)
    const index = found.graph.vertices.findIndex(each => each.id === request.ids.vertex)
    if (index < 0) throw new FlinkError('JOB_NOT_FOUND', `job ${found.jobId} has no vertex ${request.ids.vertex}`)
    return view(found, index, manager.now(), request)
  })
function route(method: Route['method'], path: string, answer: Route['answer'], bodyLimit = megabyte): Route {
  return { method, path: new RegExp(`^${path}$`), answer, bodyLimit }
}

export const routes: readonly Route[] = [
  get('/config', config),
  get('/overview', overview),
  get('/jobs', (manager): RestJobIds => ({ jobs: manager.jobs.map(({ jobId, status }) => ({ id: jobId, status })) })),
  get('/jobs/overview', manager => ({ jobs: manager.jobs.map(each => jobSummary(each, manager.now())) })),
  jobView('', (found, now) => jobDetails(found, now)),
  jobView('/status', found => ({ status: found.status })),
  jobView('/plan', found => ({ plan: plan(found) })),
  jobView('/config', found => jobConfig(found)),
  jobView('/exceptions', (found, _, { query }) => exceptions(found, numberOf(query, 'maxExceptions', 20))),
  jobView('/execution-result', found => executionResult(found)),
  jobView('/metrics', (found, now, { query }) => select(jobMetrics(found, now), query.get('get') ?? undefined)),
  jobView('/checkpoints', found => checkpoints(found)),
  jobView('/checkpoints/config', found => checkpointConfig(found)),
  jobView('/checkpoints/details/(?<checkpoint>[0-9]{1,15})', (found, _, { ids }) => {
    const record = found.statistics.find(Number(ids.checkpoint))
    if (!record) throw new FlinkError('JOB_NOT_FOUND', `job ${found.jobId} has no checkpoint ${ids.checkpoint} in its history`)
    return checkpoint(found, record)
  }),
  vertexView('', (found, index, now) => vertexDetails(found, index, now)),
  vertexView('/backpressure', (found, index, now) => backPressure(found, index, now)),
  vertexView('/watermarks', (found, index) => watermarks(found, index)),
  vertexView('/metrics', (found, index, _, { query }) => select(vertexMetrics(found, index), query.get('get') ?? undefined)),
  get('/taskmanagers', manager => ({ taskmanagers: manager.taskManagers.map(each => taskManager(each)) })),
  get('/taskmanagers/(?<taskManager>[A-Za-z0-9][A-Za-z0-9._-]{0,99})', taskManagerDetails),

  route('PATCH', job, cancel),
  route('POST', '/jobs', submit, 64 * megabyte),
  route('POST', `${job}/savepoints`, savepoint),
  route('POST', `${job}/stop`, stop),
  route('POST', `${job}/checkpoints`, triggerCheckpoint),
  get(`${job}/savepoints/(?<trigger>${hex})`, asyncResult),
  get(`${job}/checkpoints/(?<trigger>${hex})`, asyncResult),
  route('DELETE', '/cluster', manager => ({ status: 200, body: {}, then: () => manager.shutdown() })),
]

function jobOf(manager: JobManager, { ids }: RestRequest): JobRunner {
  const found = manager.job(ids.job as string)
  if (!found) throw new FlinkError('JOB_NOT_FOUND', `there is no job ${ids.job}`)
  return found
}

// --- reading ---

function config(): RestConfig {
  return {
    'refresh-interval': 3000,
    'timezone-name': 'UTC',
    'timezone-offset': 0,
    'flink-version': flinkTsVersion,
    'flink-revision': 'flink-ts',
    features: { 'web-submit': false, 'web-cancel': true, 'web-rescale': false, 'web-history': false },
  }
}

function overview(manager: JobManager): RestOverview {
  const count = (...statuses: readonly string[]) => manager.jobs.filter(({ status }) => statuses.includes(status)).length
  const slots = manager.taskManagers.flatMap(each => each.slots)
  const ended = count('FINISHED') + count('CANCELED') + count('FAILED')
  return {
    taskmanagers: manager.taskManagers.length,
    'slots-total': slots.length,
    'slots-available': slots.filter(owner => owner === undefined).length,
    'jobs-running': manager.jobs.length - ended,
    'jobs-finished': count('FINISHED'),
    'jobs-cancelled': count('CANCELED'),
    'jobs-failed': count('FAILED'),
    'flink-version': flinkTsVersion,
    'flink-commit': 'flink-ts',
    ...(manager.standby && { standby: manager.standby }),
  }
}

function taskManager(view: TaskManagerView): RestTaskManager {
  return {
    id: view.info.id,
    path: view.info.id,
    dataPort: -1,
    timeSinceLastHeartbeat: view.lastSeenAt,
    slotsNumber: view.slots.length,
    freeSlots: view.slots.filter(owner => owner === undefined).length,
    hardware: { cpuCores: -1, physicalMemory: -1, freeMemory: -1, managedMemory: -1 },
    pid: view.info.pid,
    rssBytes: view.rssBytes,
  }
}

function taskManagerDetails(manager: JobManager, { ids }: RestRequest): RestTaskManagerDetails {
  const view = manager.taskManagers.find(each => each.info.id === ids.taskManager)
  if (!view) throw new FlinkError('JOB_NOT_FOUND', `there is no TaskManager ${ids.taskManager}`)
  return { ...taskManager(view), allocatedSlots: view.slots.flatMap((jobId, index) => (jobId === undefined ? [] : [{ index, jobId }])) }
}

// --- doing ---

function cancel(manager: JobManager, request: RestRequest): RestAnswer {
  const mode = request.query.get('mode') ?? 'cancel'
  if (mode !== 'cancel') throw new FlinkError('INVALID_OPTION', `mode "${mode}" is not known`, { hint: 'Use mode=cancel, or POST .../stop to stop with a savepoint.' })
  manager.cancel(jobOf(manager, request).jobId)
  return { status: 202, body: {} }
}

function submit(manager: JobManager, { body }: RestRequest): RestAnswer {
  const request = body as unknown as RestSubmitRequest
  const { jobGraph } = request
  if (!Array.isArray(jobGraph?.vertices) || !Array.isArray(jobGraph.edges) || typeof jobGraph.hash !== 'string' || typeof jobGraph.config !== 'object') throw new FlinkError('INVALID_OPTION', 'jobGraph is missing or is not a job graph')
  const jobId = manager.submit({
    jobGraph,
    bundlePath: absolute(request.bundlePath, 'bundlePath'),
    projectDirectory: absolute(request.projectDirectory, 'projectDirectory'),
    ...(request.savepointPath !== undefined && { savepointPath: text(request.savepointPath, 'savepointPath') }),
    ...(request.jobId !== undefined && { jobId: text(request.jobId, 'jobId') }),
    allowNonRestoredState: request.allowNonRestoredState === true,
  })
  return { status: 202, body: { jobUrl: `/jobs/${jobId}`, jobid: jobId } }
}

function savepoint(manager: JobManager, request: RestRequest): RestAnswer {
  const body = request.body as RestSavepointRequest
  if (body['cancel-job'] === true) throw new FlinkError('INVALID_OPTION', 'cancel-job is not supported', { hint: 'POST .../stop takes a savepoint and ends the job.' })
  return trigger(manager, request, 'savepoint', body['target-directory'], body.triggerId)
}
function stop(manager: JobManager, request: RestRequest): RestAnswer {
  const body = request.body as RestStopRequest
  return trigger(manager, request, body.drain === true ? 'stop-drain' : 'stop', body.targetDirectory, body.triggerId)
}
function triggerCheckpoint(manager: JobManager, request: RestRequest): RestAnswer {
  return trigger(manager, request, 'checkpoint', undefined, (request.body as RestCheckpointRequest).triggerId)
}

function trigger(manager: JobManager, request: RestRequest, kind: CheckpointKind, directory: string | null | undefined, triggerId: string | null | undefined): RestAnswer {
  const { jobId, over } = jobOf(manager, request)
  if (over) throw new FlinkError('SAVEPOINT_FAILED', `job ${jobId} is over`)
  if (triggerId != null && !/^[0-9a-f]{32}$/.test(triggerId)) throw new FlinkError('INVALID_OPTION', 'triggerId is 32 lower-case hex digits')
  const parent = directory == null ? undefined : text(directory, 'target directory')
  // A repeated request with the same id is the same request.
  if (triggerId != null && manager.snapshotResult(jobId, triggerId) !== 'unknown') return { status: 202, body: { 'request-id': triggerId } }
  return { status: 202, body: { 'request-id': manager.requestSnapshot(jobId, kind, parent, triggerId ?? undefined) } }
}

function asyncResult(manager: JobManager, request: RestRequest): RestAsyncOperation {
  const result = manager.snapshotResult(jobOf(manager, request).jobId, request.ids.trigger as string)
  if (result === 'unknown') throw new FlinkError('JOB_NOT_FOUND', `there was no request ${request.ids.trigger}`)
  if (result === 'pending') return { status: { id: 'IN_PROGRESS' } }
  const completed = { id: 'COMPLETED' } as const
  if (result.kind === 'failed') return { status: completed, operation: { 'failure-cause': failureOf(result.error) } }
  return { status: completed, operation: { location: result.path, checkpointId: result.checkpointId } }
}

function numberOf(query: URLSearchParams, name: string, otherwise: number): number {
  const value = query.get(name)
  if (value === null) return otherwise
  if (!/^[0-9]{1,9}$/.test(value)) throw new FlinkError('INVALID_OPTION', `${name} is not a number`)
  return Number(value)
}
function text(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) throw new FlinkError('INVALID_OPTION', `${name} is not text`)
  return value
}
function absolute(value: unknown, name: string): string {
  const path = text(value, name)
  if (!path.startsWith('/')) throw new FlinkError('INVALID_OPTION', `${name} is not an absolute path`)
  return path
}
