/**
 * Removing snapshots. The manifest goes first and durably: what is left after a crash in between is rubbish that nobody
 * takes for a snapshot, and the next sweep removes it.
 */
import { FlinkError } from '../../core/errors.ts'
import type { FileSystem } from '../../core/files.ts'
import { manifestName } from './manifest.ts'

/** Removes one checkpoint or savepoint directory. A directory that is not there is a snapshot that is disposed already. */
export function disposeSnapshot(files: FileSystem, directory: string): void {
  if (files.stat(directory) === undefined) return
  const manifest = `${directory}/${manifestName}`
  if (files.stat(manifest) !== undefined) {
    files.remove(manifest)
    files.syncDirectory(directory)
  }
  removeTree(files, directory)
}

/** A savepoint as a user names it: refuses a directory that holds no snapshot, so that a slip of the pen deletes nothing. */
export function disposeSavepoint(files: FileSystem, directory: string): void {
  if (files.stat(`${directory}/${manifestName}`) === undefined) {
    throw new FlinkError('SNAPSHOT_NOT_FOUND', `${directory} holds no snapshot`, { detail: `There is no ${manifestName} in it.` })
  }
  disposeSnapshot(files, directory)
}

/**
 * Which checkpoints of a job's directory may go: all but the newest `retained` complete ones, those `inUse` (being
 * restored or read), and those under way.
 */
export function disposable(completed: readonly number[], retained: number, inUse: ReadonlySet<number>): number[] {
  const newestFirst = [...completed].sort((a, b) => b - a)
  return newestFirst.slice(Math.max(retained, 1)).filter(id => !inUse.has(id)).reverse()
}

function removeTree(files: FileSystem, directory: string): void {
  for (const name of files.list(directory)) {
    const path = `${directory}/${name}`
    if (files.stat(path)?.kind === 'directory') removeTree(files, path)
    else files.remove(path)
  }
  files.remove(directory)
}
