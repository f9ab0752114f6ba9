/**
 * Keyed state as operators use it: one synchronous contract behind which `hashmap` and `lmdb` stand (`state/`).
 *
 * State is held per (state name, key group, namespace, key). The namespace is a window for window state and `0` for
 * everything else. A handle reads and writes under the backend's current key.
 *
 * Values are live: what `get` returns is the object that state holds, until it is evicted or snapshotted; an operator
 * may change it and must then `put` it. (Where a table is written by `update`, `get` may give a copy.) The backend keeps a snapshot consistent even if user code changes a value before
 * it puts it: an entry that is read while a snapshot is being written is written or copied first (copy on access).
 */
import type { PieceText } from '../codec/piece-text.ts'
import type { KeyGroupRange } from '../core/key-group.ts'

/** Whole numbers, for example the end of a window. */
export type Namespace = number
export const voidNamespace: Namespace = 0

export interface KeyedStateBackend {
  readonly keyGroups: KeyGroupRange
  readonly maxParallelism: number
  /** `hash`: the `spreadKeyHash` of the key, where a batch brought it along. Throws `INVALID_KEY` where it is noticed not to be. */
  setCurrentKey(key: unknown, hash?: number): void
  currentKey(): unknown
  currentKeyGroup(): number
  /** Opens a state by name; the same name gives the same table. Restored entries are there at once. */
  values(name: string): ValueTable
  maps(name: string): MapTable
  /**
   * Begins a snapshot of everything as it is now; of one that has a number, perhaps only of what has changed since an earlier
   * one, and says so (`SnapshotRun.since`). Blocks go to `sink` in steps; at most one snapshot is under way.
   */
  startSnapshot(sink: SnapshotSink, checkpoint?: SnapshotOrder): SnapshotRun
  /**
   * Takes back what `startSnapshot` wrote before, for the key groups that this backend owns, earlier blocks first. Before the
   * first record. `checkpointId`: of the snapshot, which the next may then go on from.
   */
  restore(blocks: Iterable<KeyedBlock>, checkpointId?: number): void
  /** Called once per turn: evicts what is over the memory limit, in slices of at most a millisecond or so. */
  maintain(): void
  stats(): KeyedStateStats
  close(): void
}

export interface ValueTable {
  /**
   * Objects that `get` gave, and `put` took back, may be changed in place without another `get` and `put` as long as this number
   * is the same, and whoever does so removes none of them and puts no other in its place.
   */
  readonly age: number
  get(namespace: Namespace): unknown
  put(namespace: Namespace, value: unknown): void
  /**
   * Like `put`, of a value that stays the caller's: what state keeps is what `own` makes of it and of what is held, or a copy that is
   * cheaper. What `get` gives is then such a copy too, and changed in place for nobody: a table is written by `update` or by `put`.
   */
  update(namespace: Namespace, value: unknown, own: (value: unknown, held: unknown) => unknown): void
  remove(namespace: Namespace): void
  /** All keys of a namespace, by ascending key group; the current key is not changed. The table must not be changed meanwhile but through `clear`. */
  entries(namespace: Namespace): Iterable<readonly [key: unknown, value: unknown]>
  /** Drops a whole namespace. */
  clear(namespace: Namespace): void
  /** All namespaces that hold something, ascending. */
  namespaces(): Namespace[]
}

/** A map per (namespace, key), of which every entry is stored on its own. */
export interface MapTable {
  get(namespace: Namespace, field: unknown): unknown
  put(namespace: Namespace, field: unknown, value: unknown): void
  has(namespace: Namespace, field: unknown): boolean
  remove(namespace: Namespace, field: unknown): void
  entries(namespace: Namespace): Iterable<[field: unknown, value: unknown]>
  isEmpty(namespace: Namespace): boolean
  /** Drops the map of the current key. */
  clear(namespace: Namespace): void
}

/** Where a snapshot goes; the bytes are given up. */
export interface SnapshotSink {
  keyed(state: string, keyGroup: number, bytes: Uint8Array): void
  /** List state of one operator and subtask: redistributed item by item on a restore at another parallelism. */
  list(state: string, items: readonly Uint8Array[]): void
}

/** Which snapshot is asked for. */
export interface SnapshotOrder {
  readonly checkpointId: number
  /** A complete one that is kept as long as this one: what is in that need not be written again. */
  readonly since: number | undefined
}

export interface KeyedBlock {
  readonly state: string
  readonly keyGroup: number
  /** As they were written: that was found right. They are there until the next block is asked for. */
  readonly bytes: Uint8Array
  /** 0, or left out: of a snapshot that held everything. n: of the n-th after it, which held what had changed since the one before. */
  readonly link?: number
  /** What they are a part of, as text. */
  readonly piece?: PieceText
}

/** States of the operator itself (timers, window progress), which are no tables: each snapshot holds all of them. */
export const isWrittenWhole = (state: string) => state.startsWith('_')

export interface SnapshotRun {
  /** It holds only what has changed since that checkpoint, which was named in the order. */
  readonly since?: number | undefined
  /** Writes about `budget` entries; true when all is written. */
  step(budget: number): boolean
  /** Drops the snapshot. */
  abort(): void
}

export interface KeyedStateStats {
  readonly entriesInMemory: number
  readonly bytesInMemory: number
  readonly evictions: number
  readonly loads: number
  readonly bytesOnDisk: number
}

/** What an operator finds when it starts: empty at a fresh start. */
export interface RestoredState {
  readonly checkpointId: number | undefined
  /** Blocks of the key groups that this subtask owns now, of one operator. */
  keyed(operatorId: string): Iterable<KeyedBlock>
  /** This subtask's share of a list state. */
  list(operatorId: string, state: string): Uint8Array[]
}
