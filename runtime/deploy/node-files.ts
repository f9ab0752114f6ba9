/**
 * The real disk: `node:fs` behind the file system contract. What a person must act on has a code (a full disk is
 * DISK_FULL, anything else STORAGE_FAILED); the message names what was done to which path.
 */
import {
  closeSync, constants, fstatSync, fsyncSync, mkdirSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync, writeSync, type Stats,
} from 'node:fs'
import { FlinkError } from '../core/errors.ts'
import type { FileStat, FileSystem, ReadHandle, WriteHandle } from '../core/files.ts'

/** Codes that mean that there is no room: the volume, the quota, or the limit on a file's size. */
const fullCodes: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

export const nodeFiles: FileSystem = {
  stat(path) {
    return attempt('read', path, () => {
      const stats = statSync(path, { throwIfNoEntry: false })
      return stats === undefined ? undefined : toFileStat(stats)
    })
  },

  list(directory) {
    try {
      return readdirSync(directory).sort()
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw storageError('list', directory, error)
    }
  },

  openRead(path) {
    return attempt('open', path, () => {
      const descriptor = openSync(path, constants.O_RDONLY)
      // Opening a directory succeeds and only reading fails; say so where the path is known.
      if (fstatSync(descriptor).isDirectory()) {
        closeSync(descriptor)
        throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' })
      }
      return readHandle(path, descriptor)
    })
  },

  create(path) {
    return attempt('create', path, () => writeHandle(path, openSync(path, 'wx', 0o644)))
  },

  rename(from, to) {
    attempt('rename', from, () => renameSync(from, to))
  },

  remove(path) {
    attempt('remove', path, () => rmSync(path, { recursive: true, force: true }))
  },

  makeDirectory(path) {
    attempt('create', path, () => mkdirSync(path, { recursive: true }))
  },

  syncDirectory(path) {
    attempt('sync', path, () => {
      const descriptor = openSync(path, constants.O_RDONLY)
      try {
        fsyncSync(descriptor)
      } finally {
        closeSync(descriptor)
      }
    })
  },
}

function readHandle(path: string, descriptor: number): ReadHandle {
  return {
    read: (into, position) => attempt('read', path, () => readSync(descriptor, into, 0, into.length, position)),
    close: once(() => attempt('close', path, () => closeSync(descriptor))),
  }
}

function writeHandle(path: string, descriptor: number): WriteHandle {
  // After a failed sync the kernel may have dropped the pages and a second sync would succeed: the file is lost for good.
  let failed: FlinkError | undefined
  const guarded = (verb: string, work: () => void) => {
    if (failed !== undefined) throw failed
    try {
      attempt(verb, path, work)
    } catch (error) {
      failed = error as FlinkError
      throw error
    }
  }
  return {
    write: bytes =>
      guarded('write', () => {
        // A write may be short, for example just before the disk is full.
        for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at)
      }),
    sync: () => guarded('sync', () => fsyncSync(descriptor)),
    close: once(() => attempt('close', path, () => closeSync(descriptor))),
  }
}

function once(work: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    work()
  }
}

function toFileStat(stats: Stats): FileStat {
  return {
    kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other',
    size: stats.size,
    modifiedMs: stats.mtimeMs,
  }
}

function attempt<T>(verb: string, path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw storageError(verb, path, error)
  }
}

export function storageError(verb: string, path: string, error: unknown): FlinkError {
  const code = codeOf(error)
  if (code !== undefined && fullCodes.has(code)) return new FlinkError('DISK_FULL', `could not ${verb} ${path}: no space left`, { cause: error })
  return new FlinkError('STORAGE_FAILED', `could not ${verb} ${path}: ${reasons[code ?? ''] ?? (error as Error).message}`, { cause: error })
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  EEXIST: 'it exists already',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is not a directory',
  EMFILE: 'too many open files',
  EIO: 'the disk reports an error',
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code
}
