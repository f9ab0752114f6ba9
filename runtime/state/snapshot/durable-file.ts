/** Small files, whole: written so that after any crash either the old or the new one is there, read in one go. And how trees go. */
import type { FileSystem } from '../../core/files.ts'

/** Data, fsync, rename, fsync directory. */
export function writeDurably(files: FileSystem, directory: string, name: string, bytes: Uint8Array): void {
  const temporary = `${directory}/${name}.tmp`
  if (files.stat(temporary) !== undefined) files.remove(temporary)
  const handle = files.create(temporary)
  try {
    handle.write(bytes)
    handle.sync()
  } finally {
    handle.close()
  }
  files.rename(temporary, `${directory}/${name}`)
  files.syncDirectory(directory)
}

export function readAll(files: FileSystem, path: string): Uint8Array {
  const handle = files.openRead(path)
  try {
    const bytes = new Uint8Array(files.stat(path)?.size ?? 0)
    let read = 0
    while (read < bytes.length) {
      const n = handle.read(bytes.subarray(read), read)
      if (n === 0) break
      read += n
    }
    return bytes.subarray(0, read)
  } finally {
    handle.close()
  }
}

/** Removes a file, or a directory with all that is in it; nothing happens if it is not there. */
export function removeTree(files: FileSystem, path: string): void {
  const stat = files.stat(path)
  if (stat === undefined) return
  if (stat.kind === 'directory') for (const name of files.list(path)) removeTree(files, `${path}/${name}`)
  files.remove(path)
}
