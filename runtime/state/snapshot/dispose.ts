/**
 * Removing snapshots. The manifest goes first and durably: what is left after a crash in between is rubbish that nobody
 * takes for a snapshot, and the next sweep removes it.
 */
import type { FileSystem } from '../../core/files.ts'
import { removeTree } from './durable-file.ts'
import { manifestName } from './manifest.ts'

/** Removes one checkpoint or savepoint directory. A directory that is not there is a snapshot that is disposed already. */
export function disposeSnapshot(files: FileSystem, directory: string): void {
  if (files.stat(directory) === undefined) return
  removeManifest(files, directory)
  removeTree(files, directory)
}

/** What is left is no snapshot any more. */
export function removeManifest(files: FileSystem, directory: string): void {
  const manifest = `${directory}/${manifestName}`
  if (files.stat(manifest) === undefined) return
  files.remove(manifest)
  files.syncDirectory(directory)
}
