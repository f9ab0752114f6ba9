/**
 * The LMDB environment of a slot worker: one per directory, opened by this process only and shared by the keyed states
 * of its chains. It is a working copy of this attempt: whatever an earlier attempt left is deleted at open, and all of it
 * at close. So nothing is synced to disk; durability is the snapshot.
 *
 * Most jobs never fill their memory: LMDB is loaded (a third of what it costs to start a slot) and opened when the first
 * page goes to disk.
 */
import { rmSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import type * as Lmdb from 'lmdb'
import { assert } from '../../core/assert.ts'
import { storageError } from './storage-error.ts'

export interface Environment {
  /** Opened when it is first asked for. Throws DISK_FULL or STORAGE_FAILED then. */
  readonly database: Lmdb.RootDatabase<Uint8Array, Uint8Array>
  /** Tells apart the keyed states that share the environment. */
  readonly owner: number
  release(): void
}

interface Shared {
  database: Lmdb.RootDatabase<Uint8Array, Uint8Array> | undefined
  nextOwner: number
  users: number
}

const byDirectory = new Map<string, Shared>()
const maxOwners = 0xffff

export function openEnvironment(directory: string): Environment {
  let shared = byDirectory.get(directory)
  if (shared === undefined) {
    shared = { database: undefined, nextOwner: 0, users: 0 }
    byDirectory.set(directory, shared)
  }
  shared.users++
  assert(shared.nextOwner <= maxOwners, 'too many keyed states in one LMDB environment')
  const opened = shared
  let released = false
  return {
    get database() {
      return (opened.database ??= openFresh(directory))
    },
    owner: opened.nextOwner++,
    release() {
      if (released) return
      released = true
      if (--opened.users > 0) return
      byDirectory.delete(directory)
      if (opened.database === undefined) return
      // The files go at once (they stay readable to those who have them open); `close` waits for writes under way, which
      // may fail when the disk is full: nobody needs them any more.
      removeFiles(directory)
      opened.database.close().catch(() => {})
    },
  }
}

function openFresh(directory: string): Lmdb.RootDatabase<Uint8Array, Uint8Array> {
  try {
    const { open } = createRequire(import.meta.url)('lmdb') as typeof Lmdb
    removeFiles(directory)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return open<Uint8Array, Uint8Array>({
      path: directory,
      encoding: 'binary',
      keyEncoding: 'binary',
      noSubdir: false,
      noSync: true,
      noMetaSync: true,
      overlappingSync: false,
      // With it lmdb makes promises of its own for each turn, which nobody can catch when the disk is full.
      eventTurnBatching: false,
      maxDbs: 64,
    })
  } catch (error) {
    throw storageError(error, `cannot open the working copy of state in ${directory}`)
  }
}

function removeFiles(directory: string): void {
  for (const name of ['data.mdb', 'lock.mdb']) rmSync(`${directory}/${name}`, { force: true })
}
