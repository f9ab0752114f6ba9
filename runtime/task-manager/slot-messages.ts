/** What a TaskManager's main thread and a slot's worker thread say to each other through the worker's port. */
import { join } from 'node:path'
import type { ErrorData } from '../core/errors.ts'
import type { Fence } from '../core/ids.ts'
import type { DeploymentText } from '../protocol/deployment-text.ts'
import type { SlotMail, SlotReport, SnapshotBlock, SnapshotFile } from '../protocol/slot.ts'
import type { ReportLoad } from './slot-runner.ts'

/** `workerData` of a slot's worker: all that does not change from one deployment to the next. */
export interface SlotWorkerData {
  readonly role: 'slot'
  readonly clusterId: string
  readonly token: string
  readonly taskManager: string
  readonly slotIndex: number
  /** Parent of the working copies of state. */
  readonly stateDirectory: string
}

/** Where the state of one attempt has its working copy. */
export function stateDirectoryOf(data: SlotWorkerData, fence: Fence): string {
  return join(data.stateDirectory, data.taskManager, `${data.slotIndex}-${fence.epoch}-${fence.attempt}`)
}

export type ToSlotWorker =
  | { readonly kind: 'start'; readonly deployment: DeploymentText }
  | { readonly kind: 'mail'; readonly mail: SlotMail }
  /** All that was taken since the last such message, bytes of each kind. */
  | { readonly kind: 'taken'; readonly bytes: Readonly<Record<ReportLoad['kind'], number>> }

export type FromSlotWorker =
  /** Those of one turn, in order. */
  | { readonly kind: 'reports'; readonly reports: readonly (readonly [SlotReport, ReportLoad | undefined])[] }
  | { readonly kind: 'log'; readonly stream: 'stdout' | 'stderr'; readonly text: string }
  | { readonly kind: 'ended'; readonly error: ErrorData | undefined }

/**
 * Either way a list of them is one message: a snapshot of a small state is hundreds of blocks, and each message wakes a
 * thread that slots have to make room for.
 */
export type ToFilesThread =
  | { readonly kind: 'write'; readonly id: number; readonly path: string; readonly block: SnapshotBlock }
  | { readonly kind: 'finish'; readonly id: number; readonly path: string }
  | { readonly kind: 'discard'; readonly path: string }

export type FromFilesThread =
  | { readonly kind: 'taken'; readonly id: number }
  | { readonly kind: 'finished'; readonly id: number; readonly result: SnapshotFile | ErrorData }

/** Buffers of blocks that may move to the other thread instead of being copied: those that hold nothing else. */
export function transferable(block: SnapshotBlock): ArrayBuffer[] {
  const parts = block.kind === 'keyed' ? [block.bytes] : block.items
  const whole = parts.filter(part => part.buffer instanceof ArrayBuffer && part.byteLength === part.buffer.byteLength && part.byteLength > 0)
  return [...new Set(whole.map(part => part.buffer as ArrayBuffer))]
}
