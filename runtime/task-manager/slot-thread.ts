/** The entry of a slot's thread. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { SlotWorkerData } from './slot-messages.ts'
import { runSlotWorker } from './slot-worker.ts'

runSlotWorker(workerData as SlotWorkerData, parentPort as MessagePort)
