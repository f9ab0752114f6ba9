/**
 * Whole snapshots on disk, as the JobManager writes and reads them. The format is `state/snapshot/`; here the acknowledged
 * files of a checkpoint become a manifest, and a manifest becomes what a restore is planned with.
 */
import type { CheckpointKind } from '../../core/batch.ts'
import { FlinkError } from '../../core/errors.ts'
import type { FileSystem } from '../../core/files.ts'
import type { Timestamp } from '../../core/time.ts'
import type { JobGraph, JobOperator } from '../../graph/job-graph.ts'
import type { SnapshotFile } from '../../protocol/slot.ts'
import { disposeSnapshot } from '../../state/snapshot/dispose.ts'
import { readSnapshot, writeManifest, type ManifestOperator, type ManifestState, type ManifestSubtask } from '../../state/snapshot/manifest.ts'
import { SnapshotFileReader, verifyInSlices, verifyLength } from '../../state/snapshot/snapshot-file.ts'
import type { PendingSnapshot } from './checkpoint-coordinator.ts'
import type { SnapshotContent, SnapshotOperator } from './restore-plan.ts'

export interface SnapshotToWrite {
  readonly jobId: string
  readonly graph: JobGraph
  /** First task of each vertex. */
  readonly firstTask: readonly number[]
  /** By vertex: what this attempt runs with, where it is not the graph's. */
  readonly maxParallelism: Readonly<Record<number, number>>
  readonly completedAt: Timestamp
  readonly pending: PendingSnapshot
}

export interface StoredSnapshot extends SnapshotContent {
  readonly kind: CheckpointKind
  readonly triggeredAt: Timestamp
  readonly completedAt: Timestamp
}

export class SnapshotDirectory {
  readonly #files: FileSystem

  constructor(files: FileSystem) {
    this.#files = files
  }

  /** Makes the snapshot exist, durably; returns the bytes of its files. Throws DISK_FULL, STORAGE_FAILED or SNAPSHOT_CORRUPT. */
  write(directory: string, { jobId, graph, firstTask, maxParallelism, completedAt, pending }: SnapshotToWrite): number {
    const { checkpointId, checkpointKind, triggeredAt, files, coordinators } = pending
    const contents = files.map(file => (file === undefined ? undefined : this.#statesIn(file)))
    const operators = graph.vertices.flatMap((vertex, index) => {
      const tasks = Array.from({ length: vertex.parallelism }, (_, subtask) => (firstTask[index] as number) + subtask)
      return vertex.operators.map((operator): ManifestOperator => {
        const { id, name, uid, kind, at } = operator
        const states = mergeStates(tasks.flatMap(task => contents[task]?.get(id) ?? []))
        const subtasks = tasks.map((task): ManifestSubtask => subtaskOf(directory, files[task], contents[task]?.has(id) ?? false, operator))
        return {
          id, name, ...(uid !== undefined && { uid }), kind, ...(at && { at }),
          parallelism: vertex.parallelism, maxParallelism: maxParallelism[index] ?? vertex.maxParallelism, states, subtasks,
        }
      })
    })
    writeManifest(this.#files, directory, {
      jobId, jobName: graph.name, graphHash: graph.hash, checkpointId, kind: checkpointKind, triggeredAt, completedAt, operators,
      coordinators: [...coordinators].map(([operatorId, state]) => ({ operatorId, state })),
    })
    return files.reduce((sum, file) => sum + (file?.bytes ?? 0), 0)
  }

  /**
   * The manifest; nothing is said about the files that it names.
   *
   * @throws {FlinkError} SNAPSHOT_NOT_FOUND, SNAPSHOT_CORRUPT, SNAPSHOT_VERSION
   */
  read(directory: string): StoredSnapshot {
    const { checkpointId, kind, jobName, triggeredAt, completedAt, operators, coordinators } = readSnapshot(this.#files, directory, false)
    const states = new Map(coordinators.map(({ operatorId, state }) => [operatorId, state]))
    return {
      checkpointId, kind, jobName, triggeredAt, completedAt, path: directory,
      operators: operators.map(operator => operatorOf(directory, operator, states.get(operator.id))),
    }
  }

  /**
   * Looks whether every file is there, as long as it was, and, if `contents`, the same to the byte. Stops after each piece
   * of a file and says how many bytes that was.
   *
   * @throws {FlinkError} SNAPSHOT_CORRUPT naming the file
   */
  *verify({ operators }: SnapshotContent, contents: boolean): Generator<number, void> {
    const byPath = new Map(operators.flatMap(({ files }) => files.flatMap(file => (file === undefined ? [] : [[file.path, file] as const]))))
    for (const file of byPath.values()) verifyLength(this.#files, file)
    if (contents) for (const file of byPath.values()) yield* verifyInSlices(this.#files, file)
  }

  /** Removes the snapshot, its manifest first; nothing happens if it is not there. */
  dispose(directory: string): void {
    disposeSnapshot(this.#files, directory)
  }

  /** Which operators left what in a file, by its index. */
  #statesIn(file: SnapshotFile): ReadonlyMap<string, readonly ManifestState[]> {
    const reader = new SnapshotFileReader(this.#files, file, { verified: true })
    const states = new Map<string, ManifestState[]>()
    for (const { operatorId, state, kind } of reader.index) {
      const known = states.get(operatorId)
      if (!known) states.set(operatorId, [{ name: state, kind }])
      else if (!known.some(({ name }) => name === state)) known.push({ name: state, kind })
    }
    reader.close()
    return states
  }
}

function subtaskOf(directory: string, file: SnapshotFile | undefined, hasState: boolean, operator: JobOperator): ManifestSubtask {
  if (file === undefined) return { kind: 'finished' }
  if (!hasState) return { kind: 'empty' }
  if (!file.path.startsWith(`${directory}/`)) throw new FlinkError('STORAGE_FAILED', `the state of "${operator.name}" was written to ${file.path}, which is not in ${directory}`)
  return { kind: 'file', name: file.path.slice(directory.length + 1), bytes: file.bytes, sha256: file.sha256 }
}

function mergeStates(states: readonly ManifestState[]): ManifestState[] {
  return [...new Map(states.map(state => [state.name, state])).values()]
}

function operatorOf(directory: string, operator: ManifestOperator, coordinator: Uint8Array | undefined): SnapshotOperator {
  const { id, name, uid, parallelism, maxParallelism, states, subtasks } = operator
  return {
    id, name, ...(uid !== undefined && { uid }), parallelism, maxParallelism,
    finished: subtasks.every(subtask => subtask.kind === 'finished'),
    stateful: states.length > 0 || coordinator !== undefined,
    keyed: states.some(({ kind }) => kind === 'keyed'),
    ...(coordinator && { coordinator }),
    files: subtasks.map(subtask => (subtask.kind === 'file' ? { path: `${directory}/${subtask.name}`, bytes: subtask.bytes, sha256: subtask.sha256 } : undefined)),
  }
}
