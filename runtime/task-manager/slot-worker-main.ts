/** The entry of a slot's thread. */
import { enableCompileCache } from 'node:module'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { SlotWorkerData } from './slot-messages.ts'

// A thread does not inherit it, and compiling is a third of a slot's start.
enableCompileCache()
;(await import('./slot-worker.ts')).runSlotWorker(workerData as SlotWorkerData, parentPort as MessagePort)
