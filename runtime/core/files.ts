/**
 * The file system as slots, coordinators and snapshots see it: synchronous and small, so that a slot stays a
 * deterministic machine and the simulator can put a disk with faults in its place. The real one is `node:fs`
 * (`deploy/node-files.ts`). Paths are absolute. Errors are thrown as `FlinkError` with `DISK_FULL` or
 * `STORAGE_FAILED`; a missing file is `undefined` from `stat` and an error elsewhere.
 */
export interface FileSystem {
  stat(path: string): FileStat | undefined
  /** Names in a directory, sorted; empty if there is none. */
  list(directory: string): string[]
  openRead(path: string): ReadHandle
  /** Creates a new file; fails if it exists. Parents must exist. */
  create(path: string): WriteHandle
  rename(from: string, to: string): void
  remove(path: string): void
  makeDirectory(path: string): void
  /** Makes renames and removals in a directory durable. */
  syncDirectory(path: string): void
}

export interface FileStat {
  readonly kind: 'file' | 'directory' | 'other'
  readonly size: number
  readonly modifiedMs: number
}

export interface ReadHandle {
  /** Reads up to `into.length` bytes at `position`; returns how many, 0 at the end. */
  read(into: Uint8Array, position: number): number
  close(): void
}

export interface WriteHandle {
  /** Appends all of `bytes`. */
  write(bytes: Uint8Array): void
  /** Makes what was written durable. */
  sync(): void
  close(): void
}

/** Makes a directory and its parents, each one durable in its parent: what is in it cannot be more durable than its own name. */
export function ensureDirectory(files: FileSystem, path: string): void {
  if (files.stat(path) !== undefined) return
  const parent = path.slice(0, Math.max(1, path.lastIndexOf('/')))
  if (parent !== path) ensureDirectory(files, parent)
  files.makeDirectory(path)
  files.syncDirectory(parent)
}
