/** Keyed state as the tests of this room open it: on each backend, in a directory that is removed after the test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import type { KeyGroupRange } from '../core/key-group.ts'
import type { KeyedBlock, KeyedStateBackend, SnapshotSink } from '../operators/keyed-state.ts'
import { openKeyedState } from './open-keyed-state.ts'

export const maxParallelism = 16
export const allKeyGroups = { start: 0, end: maxParallelism - 1 }
const opened: { backend: KeyedStateBackend; directory: string }[] = []
let id = 0

/** `tiny` has room for nothing, so that everything goes to disk at each `maintain`; with `small` some of it is packed and some on disk. */
export const backends = [
  { name: 'hashmap', backend: 'hashmap', memoryLimit: 1 << 30 },
  { name: 'lmdb', backend: 'lmdb', memoryLimit: 1 << 30 },
  { name: 'lmdb with a tiny limit', backend: 'lmdb', memoryLimit: 2_000 },
  { name: 'lmdb with a small limit', backend: 'lmdb', memoryLimit: 60_000 },
] as const
export type BackendCase = (typeof backends)[number]

export function open({ backend, memoryLimit }: BackendCase, keyGroups: KeyGroupRange = allKeyGroups): KeyedStateBackend {
  const directory = mkdtempSync(join(tmpdir(), 'keyed-state-'))
  const state = openKeyedState({ id: `s${id++}`, backend, keyGroups, maxParallelism, memoryLimit }, join(directory, 'db'), () => 0, true)
  opened.push({ backend: state, directory })
  return state
}

afterEach(() => {
  for (const { backend, directory } of opened.splice(0)) {
    backend.close()
    rmSync(directory, { recursive: true, force: true })
  }
})

/** Evicts what can be evicted, and lets LMDB's thread commit. */
export async function settle(backend: KeyedStateBackend): Promise<void> {
  for (let i = 0; i < 4; i++) {
    backend.maintain()
    await new Promise(resolve => setImmediate(resolve))
  }
}

export function collect(): { blocks: KeyedBlock[]; sink: SnapshotSink } {
  const blocks: KeyedBlock[] = []
  return { blocks, sink: { keyed: (state, keyGroup, bytes) => void blocks.push({ state, keyGroup, bytes }), list: () => {} } }
}

export function snapshot(backend: KeyedStateBackend): KeyedBlock[] {
  const { blocks, sink } = collect()
  const run = backend.startSnapshot(sink)
  while (!run.step(100)) {}
  return blocks
}
