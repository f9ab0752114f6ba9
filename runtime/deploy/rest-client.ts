/**
 * Talks to the REST server of a cluster over its Unix socket. Every failure is a `FlinkError`: the server's own, or
 * NO_CLUSTER when nobody answers.
 */
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { errorFromData, FlinkError } from '../core/errors.ts'
import type { RuntimeEvent } from '../metrics/event.ts'
import { eventFromJson } from '../protocol/event-json.ts'
import type {
  RestAsyncOperation, RestBackPressure, RestCheckpoint, RestCheckpointConfig, RestCheckpointRequest, RestCheckpoints, RestConfig, RestErrors, RestExceptions,
  RestExecutionResult, RestJob, RestJobConfig, RestJobIds, RestJobPlan, RestJobsOverview, RestJobStatus, RestMetrics, RestOverview, RestSavepointRequest,
  RestStopRequest, RestSubmitRequest, RestSubmitResponse, RestTaskManagerDetails, RestTaskManagers, RestTrigger, RestVertex,
} from '../protocol/rest.ts'

/** Loaded by the first request and not with this file: a run starts its processes before it asks them anything. */
const http = () => process.getBuiltinModule('node:http')

const answerTimeoutMs = 30_000
/** A longer answer, or a longer line of events, is refused. */
const maxAnswerBytes = 64 * 1024 * 1024

export class RestClient {
  readonly #socketPath: string
  readonly #token: string | undefined

  constructor(socketPath: string, token?: string) {
    this.#socketPath = socketPath
    this.#token = token
  }

  config = () => this.#get<RestConfig>('/config')
  overview = () => this.#get<RestOverview>('/overview')
  jobs = () => this.#get<RestJobIds>('/jobs')
  jobsOverview = () => this.#get<RestJobsOverview>('/jobs/overview')
  job = (jobId: string) => this.#get<RestJob>(`/jobs/${jobId}`)
  jobStatus = (jobId: string) => this.#get<RestJobStatus>(`/jobs/${jobId}/status`)
  jobPlan = (jobId: string) => this.#get<RestJobPlan>(`/jobs/${jobId}/plan`)
  jobConfig = (jobId: string) => this.#get<RestJobConfig>(`/jobs/${jobId}/config`)
  exceptions = (jobId: string) => this.#get<RestExceptions>(`/jobs/${jobId}/exceptions`)
  executionResult = (jobId: string) => this.#get<RestExecutionResult>(`/jobs/${jobId}/execution-result`)
  /** Names only, or the values of the metrics that are named. */
  jobMetrics = (jobId: string, ...names: readonly string[]) => this.#get<RestMetrics>(`/jobs/${jobId}/metrics${selection(names)}`)
  checkpoints = (jobId: string) => this.#get<RestCheckpoints>(`/jobs/${jobId}/checkpoints`)
  checkpointConfig = (jobId: string) => this.#get<RestCheckpointConfig>(`/jobs/${jobId}/checkpoints/config`)
  checkpoint = (jobId: string, checkpointId: number) => this.#get<RestCheckpoint>(`/jobs/${jobId}/checkpoints/details/${checkpointId}`)
  vertex = (jobId: string, vertexId: string) => this.#get<RestVertex>(`/jobs/${jobId}/vertices/${vertexId}`)
  backPressure = (jobId: string, vertexId: string) => this.#get<RestBackPressure>(`/jobs/${jobId}/vertices/${vertexId}/backpressure`)
  watermarks = (jobId: string, vertexId: string) => this.#get<RestMetrics>(`/jobs/${jobId}/vertices/${vertexId}/watermarks`)
  vertexMetrics = (jobId: string, vertexId: string, ...names: readonly string[]) => this.#get<RestMetrics>(`/jobs/${jobId}/vertices/${vertexId}/metrics${selection(names)}`)
  taskManagers = () => this.#get<RestTaskManagers>('/taskmanagers')
  taskManager = (id: string) => this.#get<RestTaskManagerDetails>(`/taskmanagers/${id}`)

  submit = (body: RestSubmitRequest) => this.#call<RestSubmitResponse>('POST', '/jobs', body)
  cancel = (jobId: string) => this.#call<object>('PATCH', `/jobs/${jobId}?mode=cancel`)
  triggerSavepoint = (jobId: string, body: RestSavepointRequest = {}) => this.#call<RestTrigger>('POST', `/jobs/${jobId}/savepoints`, body)
  triggerStop = (jobId: string, body: RestStopRequest = {}) => this.#call<RestTrigger>('POST', `/jobs/${jobId}/stop`, body)
  triggerCheckpoint = (jobId: string, body: RestCheckpointRequest = {}) => this.#call<RestTrigger>('POST', `/jobs/${jobId}/checkpoints`, body)
  savepointResult = (jobId: string, triggerId: string) => this.#get<RestAsyncOperation>(`/jobs/${jobId}/savepoints/${triggerId}`)
  checkpointResult = (jobId: string, triggerId: string) => this.#get<RestAsyncOperation>(`/jobs/${jobId}/checkpoints/${triggerId}`)
  shutdownCluster = () => this.#call<object>('DELETE', '/cluster')

  /**
   * Events from number `from` on, as they happen. Ends when `signal` is aborted or the JobManager ends; a connection that
   * breaks is an error with NO_CLUSTER.
   */
  async *events(from: number, signal?: AbortSignal): AsyncIterable<RuntimeEvent> {
    if (signal?.aborted) return
    let rest = ''
    try {
      const response = await this.#open('GET', `/flink-ts/events?from=${from}`, undefined, signal, false)
      if (response.statusCode !== 200) throw await refusal(response)
      response.setEncoding('utf8')
      for await (const chunk of response as AsyncIterable<string>) {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() as string
        if (rest.length > maxAnswerBytes) throw new FlinkError('NO_CLUSTER', 'the cluster sent an event that is too long')
        for (const line of lines) yield eventFromJson(line)
      }
    } catch (error) {
      if (signal?.aborted) return
      throw this.#unreachable(error)
    }
  }

  #get<T>(path: string): Promise<T> {
    return this.#call<T>('GET', path)
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    try {
      const response = await this.#open(method, path, body === undefined ? undefined : JSON.stringify(body), undefined, true)
      const status = response.statusCode ?? 0
      if (status < 200 || status > 299) throw await refusal(response)
      return JSON.parse(await textOf(response)) as T
    } catch (error) {
      throw this.#unreachable(error)
    }
  }

  #open(method: string, path: string, body: string | undefined, signal: AbortSignal | undefined, timed: boolean): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const headers: Record<string, string> = {}
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`
    if (body !== undefined) headers['content-type'] = 'application/json'
    if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body))
    // With a connection of our own there is no agent, which would look up whether "localhost" is an address (20 ms of patterns).
    const socket = connect(this.#socketPath)
    const outgoing = http().request({ createConnection: () => socket, path: `/v1${path}`, method, headers, ...(signal && { signal }) }, resolve)
    outgoing.on('error', reject)
    // It may fail before the request has taken it over.
    socket.on('error', error => outgoing.destroy(error))
    if (timed) outgoing.setTimeout(answerTimeoutMs, () => outgoing.destroy(new Error(`no answer within ${answerTimeoutMs / 1000} s`)))
    outgoing.end(body)
    return promise
  }

  #unreachable(error: unknown): FlinkError {
    if (error instanceof FlinkError) return error
    return new FlinkError('NO_CLUSTER', `the cluster does not answer: ${(error as Error).message}`, { cause: error })
  }
}

const selection = (names: readonly string[]) => (names.length === 0 ? '' : `?get=${names.map(encodeURIComponent).join(',')}`)

async function refusal(response: IncomingMessage): Promise<FlinkError> {
  const text = await textOf(response)
  let body: Partial<RestErrors>
  try {
    body = JSON.parse(text) as Partial<RestErrors>
  } catch {
    body = {}
  }
  if (body.error) return errorFromData(body.error)
  const message = body.errors?.[0] ?? text.slice(0, 200)
  return new FlinkError(response.statusCode === 404 ? 'JOB_NOT_FOUND' : 'NO_CLUSTER', `the cluster answered ${response.statusCode}: ${message}`)
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxAnswerBytes) throw new FlinkError('NO_CLUSTER', `the cluster sent more than ${maxAnswerBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
