/**
 * What a subtask finds of the snapshot that it starts from. Of each file of its operators it reads the index, and then the blocks
 * that are its own; index and blocks have checksums. The others are read by those that need them. That a file is the very one that
 * was written, by its sha256, has been looked at before anything was deployed, where it is a person who named the snapshot.
 * Where a snapshot goes on from others, keyed state is in all of their files, and what is written whole each time in the last.
 */
import type { FileSystem } from '../../core/files.ts'
import { isWrittenWhole } from '../../operators/keyed-state.ts'
import type { KeyedBlock, RestoredState } from '../../operators/keyed-state.ts'
import type { SnapshotFile, SubtaskRestore } from '../../protocol/slot.ts'
import type { RestoredSubtask } from '../../slot/host.ts'
import { listShares } from './redistribute.ts'
import { SnapshotFileReader } from './snapshot-file.ts'
import type { IndexEntry, ReadBlock } from './snapshot-file.ts'

/** @throws FlinkError SNAPSHOT_CORRUPT: from the calls of the result, which read the files. */
export function openRestored(files: FileSystem, restore: SubtaskRestore | undefined, subtask: RestoredSubtask): RestoredState {
  if (restore === undefined) return nothing
  /** By path. */
  const indexes = new Map<string, readonly IndexEntry[]>()

  function open(file: SnapshotFile): SnapshotFileReader {
    const reader = new SnapshotFileReader(files, file)
    indexes.set(file.path, reader.index)
    return reader
  }

  function indexOf(file: SnapshotFile): readonly IndexEntry[] {
    const known = indexes.get(file.path)
    if (known !== undefined) return known
    const reader = open(file)
    reader.close()
    return reader.index
  }

  function* read<T>(file: SnapshotFile, wanted: (entry: IndexEntry) => boolean, take: (block: ReadBlock, reader: SnapshotFileReader) => T): Iterable<T> {
    if (indexes.get(file.path)?.some(wanted) === false) return
    const reader = open(file)
    try {
      for (const block of reader.blocks(wanted)) yield take(block, reader)
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
          yield* read(file, wanted, ({ entry: { state, keyGroup }, bytes, piece }) => ({ state, keyGroup, bytes, link: i, piece }))
        }
      }
    },

    list(operatorId, state): Uint8Array[] {
      const old = (restore.operators[operatorId]?.files ?? []).map(chain => chain.at(-1))
      const ours = (entry: IndexEntry) => entry.kind === 'list' && entry.operatorId === operatorId && entry.state === state
      const counts = old.map(file => (file === undefined ? 0 : indexOf(file).reduce((sum, entry) => sum + (ours(entry) ? entry.items : 0), 0)))
      return listShares(counts, subtask.subtask, subtask.parallelism).flatMap(({ oldSubtask, from, to }) => {
        const file = old[oldSubtask]
        return file === undefined ? [] : [...read(file, ours, (block, reader) => reader.itemsOf(block))].flat().slice(from, to)
      })
    },
  }
}

const nothing: RestoredState = { checkpointId: undefined, keyed: () => [], list: () => [] }
