/** The entry of a TaskManager's worker threads. Roles are loaded apart: the writer of snapshots needs nothing of a slot. */
import { enableCompileCache } from 'node:module'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { FilesWorkerData, SlotWorkerData } from './slot-messages.ts'

// A thread does not inherit it, and compiling is a third of a slot's start.
enableCompileCache()
const data = workerData as SlotWorkerData | FilesWorkerData
const port = parentPort as MessagePort
if (data.role === 'slot') (await import('./slot-worker.ts')).runSlotWorker(data, port)
else (await import('./snapshot-thread.ts')).runSnapshotThread(port)
