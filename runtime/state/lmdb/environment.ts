/**
 * The LMDB environment of a slot worker: one per directory, opened by this process only and shared by the keyed states
 * of its chains. It is a working copy of this attempt: whatever an earlier attempt left is deleted at open, and all of it
 * at close. So nothing is synced to disk; durability is the snapshot.
 */
import { rmSync, mkdirSync } from 'node:fs'
import { open } from 'lmdb'
import type { RootDatabase } from 'lmdb'
import { assert } from '../../core/assert.ts'
import { storageError } from './storage-error.ts'

export interface Environment {
  readonly database: RootDatabase<Uint8Array, Uint8Array>
  /** Tells apart the keyed states that share the environment. */
  readonly owner: number
  release(): void
}

interface Shared {
  readonly database: RootDatabase<Uint8Array, Uint8Array>
  nextOwner: number
  users: number
}

const byDirectory = new Map<string, Shared>()
const maxOwners = 0xffff

export function openEnvironment(directory: string): Environment {
  let shared = byDirectory.get(directory)
  if (shared === undefined) {
    shared = { database: openFresh(directory), nextOwner: 0, users: 0 }
    byDirectory.set(directory, shared)
  }
  shared.users++
  assert(shared.nextOwner <= maxOwners, 'too many keyed states in one LMDB environment')
  const opened = shared
  let released = false
  return {
    database: opened.database,
    owner: opened.nextOwner++,
    release() {
      if (released) return
      released = true
      if (--opened.users > 0) return
      byDirectory.delete(directory)
      // The files go at once (they stay readable to those who have them open); `close` waits for writes under way, which
      // may fail when the disk is full: nobody needs them any more.
      removeFiles(directory)
      opened.database.close().catch(() => {})
    },
  }
}

function openFresh(directory: string): RootDatabase<Uint8Array, Uint8Array> {
  try {
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
      maxDbs: 64,
    })
  } catch (error) {
    throw storageError(error, `cannot open the working copy of state in ${directory}`)
  }
}

function removeFiles(directory: string): void {
  for (const name of ['data.mdb', 'lock.mdb']) rmSync(`${directory}/${name}`, { force: true })
}
