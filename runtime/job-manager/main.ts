/**
 * The process of the JobManager: wires `JobManager` to real sockets, timers, the disk and the REST server. In a detached
 * cluster it is the root as well: it starts the TaskManagers, watches them, and removes what the cluster leaves.
 */
import { rmSync } from 'node:fs'
import { decodeValue, encodeValue } from '../codec/value-codec.ts'
import { AssertionFailure } from '../core/assert.ts'
import { errorToData, type ErrorData } from '../core/errors.ts'
import { keepCompiledCode, startIsOver } from '../deploy/cached-script.ts'
import { childEnvironment } from '../deploy/child-environment.ts'
import { dieNow, openLifeLine, tellParent } from '../deploy/child-process.ts'
import { removeLeavings, socketDirectoryAt } from '../deploy/cluster-directory.ts'
import { nodeFiles } from '../deploy/node-files.ts'
import type { CompileRequest, JobManagerBootstrap, RootLine, StandbyProcess, SubmitBuiltRequest } from '../deploy/process-events.ts'
import { identityOf, signal, type ProcessIdentity } from '../deploy/process-identity.ts'
import { standbyAfter } from '../deploy/standby.ts'
import { removeStateOf, startTaskManagers, stopAll } from '../deploy/task-managers.ts'
import { processStepsBack, stepBack } from '../deploy/step-back.ts'
import { Supervisor } from '../deploy/supervisor.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import { terminalJobStatuses } from '../metrics/event.ts'
import { EventJournal } from '../metrics/journal.ts'
import type { FromTaskManager } from '../protocol/job-master.ts'
import type { ToTaskManager } from '../protocol/task-executor.ts'
import type { Watch, WatchedEvents } from '../protocol/watch.ts'
import { listenForConnections, type Connection } from '../rpc/connection.ts'
import { monotonicMs } from '../rpc/monotonic.ts'
import { SnapshotDirectory } from './checkpoint/snapshot-directory.ts'
import { WorkerCoordinatorHost } from './coordinators/worker-coordinator-host.ts'
import { JobManager, jobManagerDefaults } from './job-manager.ts'
import { feedEvents } from './event-feed.ts'
import { listenForRest } from './rest/rest-listener.ts'
import { createRestServer } from './rest/rest-server.ts'

/** How long the socket of a dead process may be ahead of whoever started it, who knows why it died. */
const explanationMs = 250
/** A TaskManager that was given up has nothing to save; if it is still there, it was stopped, or its disk hangs. */
const zombieGraceMs = 200
/** A detached cluster ends itself: so long can the result of its last job be asked for, and so long does it wait for its first job. */
const lingerMs = 10_000
const firstJobMs = 60_000
const eventPieceBytes = 1024 * 1024

const journal = new EventJournal()
// Its thread takes longer to start than we do, and the first thing that is asked of us is to build a job there.
const coordinatorHost = new WorkerCoordinatorHost((jobId, stream, text) => journal.append(manager.now(), { kind: 'output', jobId, stream, text }))

/** Until then we are there for one thing only: to take the lock away if whoever takes it is killed at once. */
let going = false
const lifeLine = await openLifeLine<JobManagerBootstrap>(known => {
  if (known?.detached && going) return
  if (known !== undefined) removeLeavings(known)
  dieNow()
})
const { bootstrap } = lifeLine
const { clusterId, token, projectDirectory, detached } = bootstrap
const sockets = socketDirectoryAt(bootstrap.socketDirectory)

/** Deaths that we were told of before we could do anything about them. */
const earlyDeaths: Extract<RootLine, { kind: 'processEnded' }>[] = []
let onDeath = (line: Extract<RootLine, { kind: 'processEnded' }>): void => void earlyDeaths.push(line)
let standby: StandbyProcess | undefined
let onStandby = (process: StandbyProcess | undefined): void => void (standby = process)
let built: { readonly bundlePath: string; readonly graph: JobGraph } | undefined
const go = Promise.withResolvers<void>()
lifeLine.onLine(each => {
  const line = each as RootLine
  if (line.kind === 'go') go.resolve()
  else if (line.kind === 'processEnded') onDeath(line)
  else if (line.kind === 'standby') onStandby(line.process)
  else if (line.kind === 'submit') submitBuilt(line.request)
  else void compile(line.request)
})
if (bootstrap.waitsForGo) await go.promise
going = true

async function compile(request: CompileRequest): Promise<void> {
  built = undefined
  const answer = await coordinatorHost.compile(request, text => tellParent({ kind: 'compileOutput', text }))
  if (answer.kind === 'compiled') built = { bundlePath: request.bundlePath, graph: answer.graph }
  tellParent({ kind: 'compiled', answer })
}

function submitBuilt(request: SubmitBuiltRequest): void {
  if (built?.bundlePath !== request.bundlePath) return tellParent({ kind: 'submitted', answer: { kind: 'notBuilt' } })
  try {
    const jobId = manager.submit({ ...request, jobGraph: built.graph })
    tellParent({ kind: 'submitted', answer: { kind: 'accepted', jobId } })
  } catch (error) {
    if (error instanceof AssertionFailure) throw error
    tellParent({ kind: 'submitted', answer: { kind: 'refused', error: errorToData(error, 'JOB_FAILED') } })
  }
}

let stopping = false

// --- the connections of TaskManagers, and of who watches ---

interface Peer {
  readonly connection: Connection<ToTaskManager | WatchedEvents, FromTaskManager | Watch>
  process: ProcessIdentity | undefined
}
const peers = new Map<number, Peer>()
let nextConnection = 0

function send(id: number, message: ToTaskManager): void {
  const peer = peers.get(id)
  if (peer === undefined) return
  // Splits are whatever the connector's author made of them; control messages carry plain data only.
  peer.connection.send(message.kind === 'addSplit' ? { ...message, split: encodeValue(message.split, 'split') } : message)
  if (message.kind === 'shutdown') killLater(peer.process)
}

function receive(id: number, message: FromTaskManager): void {
  const peer = peers.get(id)
  if (peer !== undefined && message.kind === 'register') peer.process = identityOf(message.taskManager.pid)
  manager.onMessage(id, message.kind === 'collect' ? { ...message, value: decodeValue(message.value as Uint8Array) } : message)
}

function killLater(process: ProcessIdentity | undefined): void {
  if (process !== undefined) setTimeout(() => signal(process, 'SIGKILL'), zombieGraceMs).unref()
}

// --- the JobManager ---

let wakeTimer: NodeJS.Timeout | undefined
const origin = Date.now() - monotonicMs()
const clock = () => origin + monotonicMs()
const manager = new JobManager(
  { ...jobManagerDefaults, clusterId, token, projectDirectory, epoch: bootstrap.epoch },
  {
    now: clock,
    random: () => Math.random(),
    files: nodeFiles,
    snapshots: new SnapshotDirectory(nodeFiles),
    coordinatorHost,
    journal,
    send,
    close: id => peers.get(id)?.connection.close(),
    wakeAt(at) {
      clearTimeout(wakeTimer)
      if (at !== Infinity) wakeTimer = setTimeout(() => manager.tick(), Math.max(0, Math.min(at - clock(), 2 ** 31 - 1)))
    },
    shutdown: () => (detached ? void stop() : tellParent({ kind: 'shutdown' })),
  },
)
manager.start()
manager.onStandby(standby)
onStandby = process => manager.onStandby(process)

// The sockets of a JobManager that was killed are still there, and nobody listens on them: there is one at a time.
for (const path of [sockets.rest, sockets.control]) rmSync(path, { force: true })
// Connections of a TaskManager and of the CLI may come at any time from here on; they were waiting for it.
const [control, rest] = await Promise.all([
  listenForConnections<ToTaskManager | WatchedEvents, FromTaskManager | Watch>(sockets.control, token, open => {
    const id = nextConnection++
    let stopFeeding: (() => void) | undefined
    const connection = open({
      message(message) {
        if (message.kind !== 'watch') return receive(id, message)
        stopFeeding?.()
        stopFeeding = feedEvents(journal, message.from, (lines, taken) => sendEvents(connection, lines, taken))
      },
      end() {
        peers.delete(id)
        if (stopFeeding !== undefined) return stopFeeding()
        // If the process is dead we are told why in a moment, and that closes it too: the cause decides on the restart.
        setTimeout(() => manager.onClosed(id), explanationMs)
      },
    })
    peers.set(id, { connection, process: undefined })
  }),
  listenForRest(sockets.rest, () => createRestServer(manager, { token, onBug: fatal })),
])

/** Ends with the last piece. A piece is far below what a message may be. */
function sendEvents(connection: Connection<WatchedEvents, unknown>, lines: string, taken: () => void): void {
  const bytes = Buffer.from(lines)
  for (let at = 0; at < bytes.length; at += eventPieceBytes) {
    const end = at + eventPieceBytes
    connection.send({ kind: 'events', bytes: bytes.subarray(at, end) }, end < bytes.length ? undefined : taken)
  }
}

// --- the processes ---

const supervisor = new Supervisor({
  event(event) {
    if (detached) manager.onStandby((standby = standbyAfter(event, standby)))
    if (event.kind === 'ended') {
      removeStateOf(projectDirectory, clusterId, event.process)
      reportDeath(event.process, event.error)
    } else if (event.kind === 'gaveUp') journal.append(manager.now(), { kind: 'log', level: 'error', message: `${event.process} is not started any more`, error: event.error })
    else console.error(`${event.process}: ${event.kind}`)
  },
})
if (detached) {
  const environment = childEnvironment(process.env, bootstrap.taskManagers.passEnvironment)
  startTaskManagers(supervisor, { clusterId, token, socketDirectory: bootstrap.socketDirectory, projectDirectory, environment, taskManagers: bootstrap.taskManagers })
}
onDeath = line => reportDeath(line.process, line.error)
earlyDeaths.splice(0).forEach(onDeath)
journal.subscribe(event => {
  if (event.kind !== 'jobStatus' || event.status !== 'RUNNING') return
  startIsOver()
  processStepsBack()
  // What a detached one starts later are processes with slots.
  if (!detached) stepBack()
})
process.on('SIGTERM', () => void stop())
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
process.on('uncaughtException', fatal)
process.on('unhandledRejection', fatal)
if (detached) {
  endWhenIdleAfter(firstJobMs)
  journal.subscribe(event => {
    if (event.kind === 'jobStatus' && terminalJobStatuses.has(event.status)) endWhenIdleAfter(lingerMs)
  })
}
tellParent({ kind: 'ready' })

/** Nobody else would end it: the command that started it is gone. */
function endWhenIdleAfter(millis: number): void {
  setTimeout(() => {
    if (manager.jobs.every(job => terminalJobStatuses.has(job.status))) void stop()
  }, millis).unref()
}

/** Why a process died is known to who started it, not to the socket. */
function reportDeath(name: string, error: ErrorData): void {
  if (stopping) return
  manager.onTaskManagerEnded(name, error)
  journal.append(manager.now(), { kind: 'log', level: 'error', message: error.message, error })
}

async function stop(): Promise<void> {
  if (stopping) return
  stopping = true
  keepCompiledCode()
  rest.close()
  for (const { connection } of peers.values()) {
    connection.send({ kind: 'shutdown', reason: 'the cluster is being stopped' })
    connection.close()
  }
  control.close()
  if (detached) {
    await stopAll(supervisor, bootstrap.taskManagers.cancelGraceMs + 2_000)
    removeLeavings(bootstrap)
  }
  // What is left is a thread of user code, perhaps in a blocking call, for which `exit` would wait.
  setTimeout(() => dieNow(), 500).unref()
  process.exit(0)
}

/** A bug of ours: on doubtful data we do not go on. A new JobManager starts from what is durable. */
function fatal(error: unknown): void {
  console.error(error)
  dieNow({ code: 'PROCESS_LOST', message: `the JobManager stopped because of a bug: ${(error as Error | undefined)?.message ?? String(error)}` })
}
