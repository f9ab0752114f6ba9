/**
 * What a subtask finds of the snapshot that it starts from. Of each file of its operators it reads the index, which has a
 * checksum of its own; only a file that holds something for this subtask is verified, once, and its blocks are read one after
 * another. The others are verified by those that need them: at an unchanged parallelism each subtask reads its own files.
 * Where a snapshot goes on from others, keyed state is in all of their files, and what is written whole each time in the last.
 */
import type { FileSystem } from '../../core/files.ts'
import { isWrittenWhole } from '../../operators/keyed-state.ts'
import type { KeyedBlock, RestoredState } from '../../operators/keyed-state.ts'
import type { SnapshotFile, SubtaskRestore } from '../../protocol/slot.ts'
import type { RestoredSubtask } from '../../slot/host.ts'
import { listShares } from './redistribute.ts'
import { SnapshotFileReader, verifyFile } from './snapshot-file.ts'
import type { IndexEntry } from './snapshot-file.ts'
import { sha256 } from './sha256.ts'

/** @throws FlinkError SNAPSHOT_CORRUPT, SNAPSHOT_VERSION: from the calls of the result, which read the files. */
export function openRestored(files: FileSystem, restore: SubtaskRestore | undefined, subtask: RestoredSubtask, createHasher = sha256): RestoredState {
  if (restore === undefined) return nothing
  /** By path. */
  const indexes = new Map<string, readonly IndexEntry[]>()
  const verified = new Set<string>()

  function open(file: SnapshotFile): SnapshotFileReader {
    const reader = new SnapshotFileReader(files, file, { verified: verified.has(file.path), createHasher })
    verified.add(file.path)
    return reader
  }

  function indexOf(file: SnapshotFile): readonly IndexEntry[] {
    let index = indexes.get(file.path)
    if (index === undefined) {
      index = readIndex(file)
      indexes.set(file.path, index)
    }
    return index
  }

  function readIndex(file: SnapshotFile): readonly IndexEntry[] {
    try {
      const reader = new SnapshotFileReader(files, file, { verified: true })
      reader.close()
      return reader.index
    } catch (error) {
      // A file that is damaged says so, whatever it seems to be now: of another version, for example.
      verifyFile(files, file, createHasher)
      throw error
    }
  }

  /** Reads the entries of a file that are wanted, one after another. */
  function* read<T>(file: SnapshotFile, wanted: (entry: IndexEntry) => boolean, take: (reader: SnapshotFileReader, entry: IndexEntry) => T): Iterable<T> {
    if (!indexOf(file).some(wanted)) return
    const reader = open(file)
    try {
      for (const entry of reader.index) if (wanted(entry)) yield take(reader, entry)
    } finally {
      reader.close()
    }
  }

  return {
    checkpointId: restore.checkpointId,

    *keyed(operatorId): Iterable<KeyedBlock> {
      const { start, end } = subtask.keyGroups
      const ours = (entry: IndexEntry) => entry.kind === 'keyed' && entry.operatorId === operatorId && entry.keyGroup >= start && entry.keyGroup <= end
      for (const chain of restore.operators[operatorId]?.files ?? []) {
        for (const [i, file] of chain.entries()) {
          const wanted = i === chain.length - 1 ? ours : (entry: IndexEntry) => ours(entry) && !isWrittenWhole(entry.state)
          yield* read(file, wanted, (reader, entry) => ({ state: entry.state, keyGroup: entry.keyGroup, bytes: reader.keyed(entry), link: i, checked: true }))
        }
      }
    },

    list(operatorId, state): Uint8Array[] {
      const old = (restore.operators[operatorId]?.files ?? []).map(chain => chain.at(-1))
      const ours = (entry: IndexEntry) => entry.kind === 'list' && entry.operatorId === operatorId && entry.state === state
      const counts = old.map(file => (file === undefined ? 0 : indexOf(file).reduce((sum, entry) => sum + (ours(entry) ? entry.items : 0), 0)))
      return listShares(counts, subtask.subtask, subtask.parallelism).flatMap(({ oldSubtask, from, to }) => {
        const file = old[oldSubtask]
        return file === undefined ? [] : [...read(file, ours, (reader, entry) => reader.list(entry))].flat().slice(from, to)
      })
    },
  }
}

const nothing: RestoredState = { checkpointId: undefined, keyed: () => [], list: () => [] }
