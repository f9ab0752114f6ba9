/**
 * The few things that commands ask of a cluster, over its REST API: requests that run on at the server are waited for, and
 * the stream of events goes on where it was when the JobManager comes back.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { errorFromData, FlinkError } from '../../runtime/core/errors.ts'
import { findCluster } from '../../runtime/deploy/local-cluster.ts'
import { RestClient } from '../../runtime/deploy/rest-client.ts'
import { terminalJobStatuses, type RuntimeEvent } from '../../runtime/metrics/event.ts'
import type { RestAsyncOperation, RestJobSummary, RestSubmitRequest } from '../../runtime/protocol/rest.ts'

export interface ClusterClient {
  /** @returns the id of the job */
  submit(request: RestSubmitRequest): Promise<string>
  jobs(): Promise<readonly RestJobSummary[]>
  cancel(jobId: string): Promise<void>
  /** @returns where it lies; @throws {FlinkError} SAVEPOINT_FAILED and what it failed for */
  savepoint(jobId: string, directory: string | undefined): Promise<string>
  /** A savepoint, after which the job ends. @returns where it lies */
  stop(jobId: string, options: { readonly drain: boolean; readonly directory: string | undefined }): Promise<string>
  /** Waits until a job is over. @returns false when it is not after `millis` */
  over(jobId: string, millis: number): Promise<boolean>
  /** Ends the whole cluster. */
  shutdown(): Promise<void>
}

const pollMillis = 50
const reconnectMillis = 50

export function clusterClient({ restSocket, token }: { readonly restSocket: string; readonly token: string }): ClusterClient {
  const rest = new RestClient(restSocket, token)
  return {
    submit: async request => (await rest.submit(request)).jobid,
    jobs: async () => (await rest.jobsOverview()).jobs,
    cancel: async jobId => void (await rest.cancel(jobId)),
    async savepoint(jobId, directory) {
      const trigger = await rest.triggerSavepoint(jobId, directory === undefined ? {} : { 'target-directory': directory })
      return location(() => rest.savepointResult(jobId, trigger['request-id']))
    },
    async stop(jobId, { drain, directory }) {
      // An attached `run` ends its cluster as soon as the job is over, perhaps before we have asked for the result. The
      // events say it as well, and before that.
      const watching = new AbortController()
      const seen = stoppedAt(rest, jobId, watching.signal)
      try {
        const trigger = await rest.triggerStop(jobId, { drain, ...(directory === undefined ? {} : { targetDirectory: directory }) })
        return await location(() => rest.savepointResult(jobId, trigger['request-id']))
      } catch (error) {
        const path = isGone(error) ? await seen : undefined
        if (path === undefined) throw error
        return path
      } finally {
        watching.abort()
      }
    },
    async over(jobId, millis) {
      for (const until = Date.now() + millis; Date.now() < until; await pause(pollMillis)) {
        try {
          if (terminalJobStatuses.has((await rest.jobStatus(jobId)).status)) return true
        } catch (error) {
          if (isGone(error)) return true
          throw error
        }
      }
      return false
    },
    shutdown: async () => void (await rest.shutdownCluster()),
  }
}

/** From the first event that the JobManager still has, over its restarts; ends when `signal` is aborted. `open` watches one. */
export async function* followEvents(open: () => AsyncIterable<RuntimeEvent>, signal: AbortSignal): AsyncIterable<RuntimeEvent> {
  let next = 0
  let epoch = 0
  while (!signal.aborted) {
    try {
      // A broken connection means that the JobManager ended: the next one numbers its events from 0 again. Should it
      // be the same one after all, what was seen already is left out.
      let seen = 0
      for await (const event of open()) {
        if (event.kind === 'clusterStarted' && event.epoch !== epoch) epoch = event.epoch
        else if (event.sequence === 0) seen = next
        if (event.sequence < seen) continue
        next = event.sequence + 1
        yield event
      }
    } catch (error) {
      // The JobManager is away; whoever started it starts it again, or says that it gave up.
      if (!isGone(error)) throw error
    }
    await pause(reconnectMillis, undefined, { signal }).catch(() => {})
  }
}

const isGone = (error: unknown) => error instanceof FlinkError && error.code === 'NO_CLUSTER'

/** Where the job's stop with savepoint lies, once the events tell; undefined when they end before. Never rejects. */
async function stoppedAt(rest: RestClient, jobId: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    for await (const event of rest.events(0, signal)) {
      if (event.kind === 'checkpointCompleted' && event.jobId === jobId && event.checkpointKind.startsWith('stop')) return event.path
    }
  } catch {
    // What is missing here is asked for over REST.
  }
  return undefined
}

async function location(result: () => Promise<RestAsyncOperation>): Promise<string> {
  for (;;) {
    const { status, operation } = await result()
    if (status.id === 'COMPLETED') {
      const failure = operation?.['failure-cause']
      if (failure !== undefined) throw errorFromData(failure.error)
      return operation?.location ?? ''
    }
    await pause(pollMillis)
  }
}

/** @throws {FlinkError} NO_CLUSTER when none runs in the project */
export function connectToProject(projectDirectory: string): ClusterClient {
  const cluster = findCluster(projectDirectory)
  if (cluster === undefined) throw new FlinkError('NO_CLUSTER', `no cluster runs in ${projectDirectory}`)
  return clusterClient(cluster)
}

/** The jobs of the project's cluster; none when there is no cluster, or it is about to end. */
export async function jobsOfProject(projectDirectory: string): Promise<readonly RestJobSummary[]> {
  const cluster = findCluster(projectDirectory)
  if (cluster === undefined) return []
  try {
    return await clusterClient(cluster).jobs()
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

/** How long a cluster may take to end. */
const endMillis = 5_000

/**
 * Ends the project's cluster if it is a detached one on which no job runs any more, so that the next `run` need not wait
 * until it ends itself. (An attached one ends with its `run`.)
 */
export async function endIdleCluster(projectDirectory: string): Promise<void> {
  const cluster = findCluster(projectDirectory)
  if (cluster === undefined || !cluster.detached) return
  const client = clusterClient(cluster)
  try {
    if ((await client.jobs()).some(job => !terminalJobStatuses.has(job.state))) return
    await client.shutdown()
  } catch (error) {
    // It ends itself some seconds after its last job; it may do so right now.
    if (!isGone(error)) throw error
  }
  for (const until = Date.now() + endMillis; Date.now() < until && findCluster(projectDirectory) !== undefined; ) await pause(pollMillis)
}
