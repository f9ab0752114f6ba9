/**
 * The one door of a slot. All that is not deterministic reaches the slot through here: which mail comes next, the clock,
 * chance, files, storage. Behind it stands a worker thread of a TaskManager (`task-manager/slot-worker.ts`), the
 * simulator, or the embedded cluster; later the replay of a recorded run.
 *
 * The host calls `slot.receive(mail)` for what arrives and `slot.turn()` as long as it says that there is more.
 */
import type { FileSystem } from '../core/files.ts'
import type { FrameBuffers } from '../core/frame-buffers.ts'
import type { KeyGroupRange } from '../core/key-group.ts'
import type { Timestamp } from '../core/time.ts'
import type { KeyedStateBackend, RestoredState } from '../operators/keyed-state.ts'
import type { SlotReport, SubtaskRestore } from '../protocol/slot.ts'

export interface SlotHost {
  /** Epoch ms; the slot reads it once per turn, and once when it is built. */
  now(): Timestamp
  /** Uniform in [0, 1): only for choices that may differ between runs, such as where a rebalance begins. */
  random(): number
  readonly files: FileSystem
  /** Where frames come from and go when they are done with. */
  readonly frameBuffers: FrameBuffers
  /** Sends a frame to the slot with this logical number; first in, first out per pair of slots. The bytes are given up. */
  send(slot: number, frame: Uint8Array): void
  report(report: SlotReport): void
  openKeyedState(options: KeyedStateOptions): KeyedStateBackend
  openRestored(restore: SubtaskRestore | undefined, subtask: RestoredSubtask): RestoredState
}

export interface KeyedStateOptions {
  /** Unique in the slot. */
  readonly id: string
  readonly backend: 'hashmap' | 'lmdb'
  readonly keyGroups: KeyGroupRange
  readonly maxParallelism: number
  readonly memoryLimit: number
}

export interface RestoredSubtask {
  readonly subtask: number
  readonly parallelism: number
  readonly keyGroups: KeyGroupRange
}

/** What a turn says to its host: call again at once, or not before `at` unless mail arrives. */
export type TurnResult = { readonly kind: 'more' } | { readonly kind: 'idle'; readonly at: Timestamp }
