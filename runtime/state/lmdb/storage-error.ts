import { FlinkError } from '../../core/errors.ts'

/**
 * What lmdb reports, as an error with a code. A full disk is ENOSPC, but LMDB's writer often sees only a short write,
 * which it reports as EIO (code 5): with a working copy that was just created, that is a full disk as well. So is a commit
 * that failed, whose own cause lmdb tells a moment later, when the task may have failed already.
 */
export function storageError(error: unknown, what: string): FlinkError {
  if (error instanceof FlinkError) return error
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  const text = String(message ?? error)
  const full = code === 'ENOSPC' || code === 28 || code === 5 || /no space left|input\/output error|MDB_MAP_FULL|^commit failed/i.test(text)
  return new FlinkError(full ? 'DISK_FULL' : 'STORAGE_FAILED', full ? `${what}: the disk is full` : what, { detail: text, cause: error })
}
