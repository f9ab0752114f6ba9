/**
 * A cluster of real processes on this machine: one JobManager and some TaskManagers, in a project directory that they
 * have to themselves.
 *
 * Attached, the process that calls `startLocalCluster` is the root: it starts them all at once, starts the dead again
 * (a JobManager with the next epoch, a TaskManager under a new name), and when it is gone, they are gone. Detached, the
 * JobManager is the root; it outlives the caller and runs the TaskManagers itself.
 */
import { readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { FlinkError, errorFromData } from '../core/errors.ts'
import type { RuntimeEvent } from '../metrics/event.ts'
import { newToken } from '../rpc/token.ts'
import { childEnvironment } from './child-environment.ts'
import {
  createProjectDirectories, createSocketDirectory, lockProject, newClusterId, projectDirectories, readClusterFile, refuseBusyProject,
  removeClusterFiles, removeSocketDirectory, socketDirectoryAt, writeClusterFile, type ProjectDirectories, type ProjectLock,
} from './cluster-directory.ts'
import type { CompileAnswer, CompileRequest, JobManagerBootstrap, ProcessEvent, RootLine, StandbyProcess, SubmitAnswer, SubmitBuiltRequest, TaskManagersSpec } from './process-events.ts'
import { checkOpenFiles } from './open-files.ts'
import { identityOf, isAlive, ownIdentity } from './process-identity.ts'
import { clusterIdAhead } from './spawn-process.ts'
import { standbyAfter } from './standby.ts'
import { Supervisor, type ProcessSpec } from './supervisor.ts'
import { watchEvents } from './watch-events.ts'
import { jobManagerName, removeStateOf, standbyAfterMs, startTaskManagers, stopAll } from './task-managers.ts'

export { jobManagerName }

export interface LocalClusterOptions {
  /** Absolute. */
  readonly projectDirectory: string
  readonly taskManagers: number
  readonly slotsPerTaskManager: number
  /** The cluster outlives the caller. */
  readonly detached: boolean
  /** `taskmanager.memory`: bytes of RSS that a TaskManager may have. */
  readonly memoryLimit?: number
  /** Gets a line for each start, death and restart of a process. */
  readonly log?: (line: string) => void
  /** How long a task may take to cancel before its TaskManager is killed. Default 2,000 ms. */
  readonly cancelGraceMs?: number
  /** How long after the start, and after a death, one more TaskManager process is started, which stands by. Default 5,000 ms. */
  readonly standbyAfterMs?: number
  /** Environment variables that TaskManagers get besides the allowed ones, by name. */
  readonly passEnvironment?: readonly string[]
  /** The terminal behind it all shows colours. */
  readonly color?: boolean
}

export interface LocalCluster {
  readonly clusterId: string
  readonly restSocket: string
  /** Bearer token of the REST server. */
  readonly token: string
  /** The REST server listens. Rejects when the JobManager cannot be started. */
  readonly ready: Promise<void>
  /**
   * Builds a job: its module is evaluated by the thread of the JobManager that is going to run its enumerators. It may be asked
   * before the cluster is ready. One at a time.
   *
   * @param output gets what the module prints meanwhile
   * @throws {FlinkError} PROCESS_LOST or OUT_OF_MEMORY when the JobManager ends over it; the reason of `signal` when aborted
   */
  compile(request: CompileRequest, output: (text: string) => void, signal: AbortSignal): Promise<CompileAnswer>
  /**
   * Runs the job that was built last, without its graph going to and fro. The cluster is ready. One at a time.
   *
   * @returns the id of the job; undefined when this JobManager has not built it: one that came after it, say
   * @throws {FlinkError} what it is refused for; NO_CLUSTER when the JobManager ends over it, or does not answer
   */
  submitBuilt(request: SubmitBuiltRequest): Promise<string | undefined>
  /** From number `from` on; @throws {FlinkError} NO_CLUSTER when the JobManager is gone */
  events(from: number, signal: AbortSignal): AsyncIterable<RuntimeEvent>
  /** Returns a function that ends it. */
  onProcessEvent(listener: (event: ProcessEvent) => void): () => void
  /** Ends the cluster in good order, by force after `graceMs`; resolves when nothing of it is left. Detached: only lets go of it. */
  stop(graceMs: number): Promise<void>
  /** Ends it at once; synchronous, so that it can be the last thing a process does. */
  kill(): void
  /** Process id by name (`jobmanager`, `tm-1` ...), for tests and for people. */
  processes(): ReadonlyMap<string, number>
}

/** How long the JobManager may take to accept a job. */
const answerTimeoutMs = 30_000

/** A job that is being built, and how often the JobManager was lost over it. */
interface Compiling {
  readonly line: RootLine
  readonly output: (text: string) => void
  readonly resolve: (answer: CompileAnswer) => void
  readonly reject: (error: unknown) => void
  lost: number
}

export interface ClusterInfo {
  readonly clusterId: string
  readonly restSocket: string
  readonly token: string
  readonly rootPid: number
  readonly detached: boolean
  /** Epoch ms. */
  readonly created: number
}

/**
 * Starts a cluster. Returns at once, with all processes on their way.
 *
 * @throws {FlinkError} PROJECT_BUSY, SOCKET_PATH_TOO_LONG, STORAGE_FAILED, NOT_ENOUGH_SLOTS (too few open files allowed)
 */
export function startLocalCluster(options: LocalClusterOptions): LocalCluster {
  const { projectDirectory, detached } = options
  checkOpenFiles(options.taskManagers, options.slotsPerTaskManager)
  const directories = createProjectDirectories(projectDirectory)
  refuseBusyProject(directories)
  const clusterId = clusterIdAhead() ?? newClusterId()
  const socketDirectory = createSocketDirectory().path
  const sockets = socketDirectoryAt(socketDirectory)
  const token = newToken()
  const created = Date.now()
  const taskManagers: TaskManagersSpec = {
    count: options.taskManagers,
    slotsEach: options.slotsPerTaskManager,
    memoryLimit: options.memoryLimit,
    cancelGraceMs: options.cancelGraceMs ?? 2_000,
    passEnvironment: options.passEnvironment ?? [],
    standbyAfterMs: options.standbyAfterMs ?? standbyAfterMs,
  }
  const listeners = new Set<(event: ProcessEvent) => void>()
  const ready = Promise.withResolvers<void>()
  // Whoever does not wait for it must not be ended by it.
  ready.promise.catch(() => {})
  let epoch = 0
  let compiling: Compiling | undefined
  let submitting: PromiseWithResolvers<SubmitAnswer> | undefined

  let standby: StandbyProcess | undefined

  const tell = (event: ProcessEvent) => {
    options.log?.(describe(event))
    for (const listener of listeners) listener(event)
  }
  const supervisor = new Supervisor({
    event(event) {
      if (event.kind === 'gaveUp' && event.process === jobManagerName) ready.reject(errorFromData(event.error))
      if (event.kind === 'ended' && detached) ready.reject(errorFromData(event.error))
      if (event.process === jobManagerName && event.kind === 'ended') submitting?.reject(new FlinkError('NO_CLUSTER', `the cluster does not answer: ${event.error.message}`))
      if (event.process === jobManagerName && compiling !== undefined) {
        // Once it may have been chance; a module that ends its JobManager again would do so for ever.
        if (event.kind === 'ended' && (detached || compiling.lost++ > 0)) compiling.reject(errorFromData(event.error))
        if (event.kind === 'started') supervisor.tell(jobManagerName, compiling.line)
      }
      const before = standby
      standby = standbyAfter(event, before)
      const isNew = event.kind === 'started' && event.process === jobManagerName && standby !== undefined
      if (standby !== before || isNew) supervisor.tell(jobManagerName, { kind: 'standby', process: standby } satisfies RootLine)
      if (event.kind === 'ended' && event.process !== jobManagerName) {
        removeStateOf(projectDirectory, clusterId, event.process)
        supervisor.tell(jobManagerName, { kind: 'processEnded', process: event.process, pid: event.pid, error: event.error } satisfies RootLine)
      }
      tell(event)
    },
    line(process, line) {
      if (process !== jobManagerName) return
      if (line.kind === 'ready') ready.resolve()
      if (line.kind === 'compileOutput') compiling?.output(line.text)
      if (line.kind === 'compiled') compiling?.resolve(line.answer)
      if (line.kind === 'submitted') submitting?.resolve(line.answer)
      if (line.kind === 'ready' || line.kind === 'shutdown') tell({ kind: line.kind, process })
      if (line.kind === 'shutdown') void stop(options.cancelGraceMs ?? 2_000)
    },
  })

  const environment = childEnvironment(process.env, options.passEnvironment, options.color)
  const jobManager: ProcessSpec = {
    name: jobManagerName,
    entry: 'job-manager',
    clusterId,
    projectDirectory,
    logFile: join(directories.logs, `${jobManagerName}.log`),
    environment,
    outlives: detached,
    bootstrap: () => ({ clusterId, token, epoch: ++epoch, socketDirectory, projectDirectory, created, detached, waitsForGo: epoch === 1, taskManagers }) satisfies JobManagerBootstrap,
    ...(detached ? {} : { next: () => jobManager }),
  }

  // Somebody is there to clean up before there is anything to leave behind: were we killed in the next few milliseconds, the
  // JobManager, which does nothing yet, would find its life line cut and take our lock away.
  supervisor.start(jobManager)
  let lock: ProjectLock
  try {
    lock = lockProject(directories, ownIdentity(), clusterId)
  } catch (error) {
    supervisor.signal('SIGKILL')
    removeSocketDirectory(socketDirectory)
    throw error
  }
  removeRemains(directories)
  truncateSync(jobManager.logFile)
  if (!detached) startTaskManagers(supervisor, { clusterId, token, socketDirectory, projectDirectory, environment, taskManagers })
  const rootPid = detached ? supervisor.pidOf(jobManagerName) : process.pid
  const root = rootPid === undefined ? undefined : identityOf(rootPid)
  if (root !== undefined) {
    if (detached) lock.giveTo(root)
    writeClusterFile(directories, { clusterId, root, detached, restSocket: sockets.rest, token, socketDirectory, created })
  }
  supervisor.tell(jobManagerName, { kind: 'go' } satisfies RootLine)

  let over = false
  const cleanUp = () => {
    if (over) return
    over = true
    ready.reject(new FlinkError('PROCESS_LOST', 'the cluster was stopped before it was ready'))
    removeClusterFiles(directories, clusterId, socketDirectory)
    rmSync(join(directories.state, clusterId), { recursive: true, force: true })
    lock.release()
  }
  const stop = async (graceMs: number): Promise<void> => {
    if (detached) return supervisor.release()
    await stopAll(supervisor, graceMs)
    cleanUp()
  }
  return {
    clusterId,
    restSocket: sockets.rest,
    token,
    ready: ready.promise,
    onProcessEvent(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    compile(request, output, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<CompileAnswer>()
      const aborted = () => reject(signal.reason)
      const line = { kind: 'compile', request } satisfies RootLine
      compiling = { line, output, resolve, reject, lost: 0 }
      signal.addEventListener('abort', aborted, { once: true })
      if (signal.aborted) aborted()
      else supervisor.tell(jobManagerName, line)
      return promise.finally(() => {
        compiling = undefined
        signal.removeEventListener('abort', aborted)
      })
    },
    async submitBuilt(request) {
      const answer = (submitting = Promise.withResolvers<SubmitAnswer>())
      supervisor.tell(jobManagerName, { kind: 'submit', request } satisfies RootLine)
      const silence = setTimeout(() => answer.reject(new FlinkError('NO_CLUSTER', `the cluster does not answer: no answer within ${answerTimeoutMs / 1000} s`)), answerTimeoutMs)
      try {
        const submitted = await answer.promise
        if (submitted.kind === 'refused') throw errorFromData(submitted.error)
        return submitted.kind === 'accepted' ? submitted.jobId : undefined
      } finally {
        submitting = undefined
        clearTimeout(silence)
      }
    },
    events: (from, signal) => watchEvents(sockets.control, token, from, signal),
    stop,
    kill() {
      supervisor.signal('SIGKILL')
      cleanUp()
    },
    processes: () => new Map(supervisor.names.map(name => [name, supervisor.pidOf(name) ?? 0])),
  }
}

/** The cluster that runs in a project, if its root lives. */
export function findCluster(projectDirectory: string): ClusterInfo | undefined {
  const file = readClusterFile(projectDirectories(projectDirectory))
  if (file === undefined || !isAlive(file.root)) return undefined
  const { clusterId, restSocket, token, detached, created } = file
  return { clusterId, restSocket, token, rootPid: file.root.pid, detached, created }
}

/** What a root that was killed left behind: working copies of state, temporary locks, sockets. We hold the lock, so nobody uses them. */
function removeRemains(directories: ProjectDirectories): void {
  const last = readClusterFile(directories)
  if (last !== undefined && !isAlive(last.root)) {
    removeSocketDirectory(last.socketDirectory)
    rmSync(directories.clusterFile, { force: true })
  }
  // Files of a start that was killed half-way; one of a start that is under way is younger.
  for (const name of readdirSync(directories.root)) {
    const path = join(directories.root, name)
    const stats = /^(lock|cluster\.json)\../.test(name) ? statSync(path, { throwIfNoEntry: false }) : undefined
    if (stats !== undefined && Date.now() - stats.mtimeMs > 60_000) rmSync(path, { force: true })
  }
  // A job store belongs to one cluster; going on with a job of the last one is for a savepoint or a retained checkpoint.
  for (const directory of [directories.state, directories.jobs]) {
    // Emptied, not removed: each may be a disk of its own, or a link to one.
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true })
  }
}

function describe(event: ProcessEvent): string {
  switch (event.kind) {
    case 'started':
      return `${event.process} started (pid ${event.pid})${event.standsBy ? ' and stands by' : ''}`
    case 'tookOver':
      return `${event.process} takes over`
    case 'ready':
      return `${event.process} is ready`
    case 'ended':
      return event.expected ? `${event.process} ended` : event.error.message
    case 'restarting':
      return `${event.process} is started again${event.delayMs === 0 ? '' : ` in ${event.delayMs} ms`}`
    case 'shutdown':
      return 'the cluster is being stopped: somebody asked for it'
    case 'gaveUp':
      return `${event.process} is not started any more: ${event.error.message}`
  }
}

