/**
 * The process of one TaskManager: wires `TaskManager` to a real socket, real timers, worker threads and the disk. The
 * main thread does control only; user code runs in the slots' workers, so nothing it does can delay a heartbeat or keep
 * this process alive when its root is gone.
 */
import { join } from 'node:path'
import { projectDirectories, removeLeavings, socketDirectoryAt } from '../deploy/cluster-directory.ts'
import { keepCompiledCode, slotsKeepRecordsYoung, startIsOver } from '../deploy/cached-script.ts'
import { dieNow, openLifeLine, tellParent } from '../deploy/child-process.ts'
import type { TaskManagerBootstrap } from '../deploy/process-events.ts'
import type { ErrorData } from '../core/errors.ts'
import type { FromTaskManager } from '../protocol/job-master.ts'
import type { ToTaskManager } from '../protocol/task-executor.ts'
import { connectWithRetry, type Connection } from '../rpc/connection.ts'
import { monotonicMs } from '../rpc/monotonic.ts'
import { TaskManager } from './task-manager.ts'
import { ThreadedSnapshotFiles } from './threaded-snapshot-files.ts'
import { WorkerSlot } from './worker-slot.ts'

/** A JobManager that was killed is back within a second; after this the cluster is given up. */
const reconnectWindowMs = 15_000
const memoryCheckMs = 100

const { bootstrap, onLine } = await openLifeLine<TaskManagerBootstrap>(known => {
  if (known !== undefined) removeLeavings(known)
  dieNow()
})
const { clusterId, token, id, slots: slotCount, projectDirectory, cancelGraceMs, memoryLimit } = bootstrap
const sockets = socketDirectoryAt(bootstrap.socketDirectory)
const directories = projectDirectories(projectDirectory)
const indexes = Array.from({ length: slotCount }, (_, index) => index)

// Threads first: they start while the JobManager does.
const slots = indexes.map(slotIndex => new WorkerSlot({ role: 'slot', clusterId, token, taskManager: id, slotIndex, stateDirectory: join(directories.state, clusterId) }, die))
let connection: Connection<FromTaskManager, ToTaskManager> | undefined
let exiting = false

const taskManager = new TaskManager(
  { clusterId, token, id, pid: process.pid, slotSockets: indexes.map(index => sockets.data(id, index)), cancelGraceMs },
  {
    now: monotonicMs,
    after(delay, run) {
      const timer = setTimeout(run, delay)
      return () => clearTimeout(timer)
    },
    send(message, flushed) {
      if (connection?.open) connection.send(message, flushed)
      // Nobody takes it any more, and the slot that waits for word must be able to end.
      else flushed?.()
    },
    dropConnection: reason => connection?.destroy(reason),
    rssBytes: () => process.memoryUsage.rss(),
    slots,
    snapshots: new ThreadedSnapshotFiles(),
    die,
    exit,
  },
)

process.on('SIGTERM', () => taskManager.shutdown())
// The terminal's keys are for the root.
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
if (memoryLimit !== undefined) watchMemory(memoryLimit)
// What comes is `takeOver`.
if (bootstrap.standsBy) onLine(() => void stayConnected())
else void stayConnected()

async function stayConnected(): Promise<void> {
  while (!exiting) {
    const gone = Promise.withResolvers<string>()
    try {
      connection = await connectWithRetry<FromTaskManager, ToTaskManager>(sockets.control, token, {
        message(message) {
          taskManager.receive(message)
          if (message.kind !== 'deploy') return
          slotsKeepRecordsYoung()
          startIsOver()
        },
        end: end => gone.resolve(end.kind === 'closed' ? 'closed' : end.reason),
      }, reconnectWindowMs)
    } catch {
      console.error(`${id}: no JobManager for ${reconnectWindowMs} ms`)
      return exit()
    }
    taskManager.connected()
    const reason = await gone.promise
    connection = undefined
    if (!exiting) console.error(`${id}: lost the JobManager: ${reason}`)
    taskManager.disconnected()
  }
}

/** After what was said last has had a moment to leave. */
function die(error: ErrorData): void {
  console.error(error.message)
  tellParent({ kind: 'dying', error })
  setTimeout(() => dieNow(), 20)
}

function exit(): void {
  if (exiting) return
  exiting = true
  keepCompiledCode()
  connection?.close()
  for (const slot of slots) slot.close()
  // Threads that are being ended must not hold the process up, and neither must what user code has started.
  setTimeout(() => process.exit(0), 10)
}

function watchMemory(limit: number): void {
  const timer = setInterval(() => {
    const rss = process.memoryUsage.rss()
    if (rss <= limit) return
    clearInterval(timer)
    const megabytes = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MB`
    taskManager.abandon({ code: 'OUT_OF_MEMORY', message: `${id} uses ${megabytes(rss)} of memory, more than taskmanager.memory allows (${megabytes(limit)})` })
  }, memoryCheckMs)
  timer.unref()
}
