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
import { disposeSnapshot, removeManifest } from '../../state/snapshot/dispose.ts'
import { filesOf, manifestName, readSnapshot, writeManifest, type ManifestFile, type ManifestOperator, type ManifestState, type ManifestSubtask } from '../../state/snapshot/manifest.ts'
import { SnapshotFileReader, verifyInSlices, verifyLength } from '../../state/snapshot/snapshot-file.ts'
import type { PendingSnapshot } from './pending-checkpoint.ts'
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
  /** What tasks may have gone on from. */
  readonly base: SnapshotBase | undefined
}

/** A snapshot as its manifest has it, for the next to go on from. */
export interface SnapshotBase {
  readonly checkpointId: number
  readonly directory: string
  readonly operators: readonly ManifestOperator[]
}
export interface WrittenSnapshot extends SnapshotBase {
  /** Of the files that were written for it. */
  readonly bytes: number
  /** By task: of all files that hold its state. */
  readonly stateBytes: readonly number[]
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

  /** Makes the snapshot exist, durably. Throws DISK_FULL, STORAGE_FAILED or SNAPSHOT_CORRUPT. */
  write(directory: string, { jobId, graph, firstTask, maxParallelism, completedAt, pending, base }: SnapshotToWrite): WrittenSnapshot {
    const { checkpointId, checkpointKind, triggeredAt, files, coordinators } = pending
    const contents = files.map(file => (file === undefined ? undefined : this.#statesIn(file)))
    /** By task, of all its operators. */
    const standsOn = files.map(() => new Map<string, ManifestFile>())
    const operators = graph.vertices.flatMap((vertex, index) => {
      const tasks = Array.from({ length: vertex.parallelism }, (_, subtask) => (firstTask[index] as number) + subtask)
      return vertex.operators.map((operator): ManifestOperator => {
        const { id, name, uid, kind, at } = operator
        const before = base?.operators.find(each => each.id === id)
        const earlier = tasks.map((task, subtask) => earlierFiles(base, before?.subtasks[subtask], files[task]?.since[id], operator))
        tasks.forEach((task, subtask) => earlier[subtask]?.forEach(file => standsOn[task]?.set(file.name, file)))
        // What a task goes on from may hold states of which nothing has changed since.
        const known = earlier.some(each => each.length > 0) ? (before?.states ?? []) : []
        const states = mergeStates([...known, ...tasks.flatMap(task => contents[task]?.get(id) ?? [])])
        const subtasks = tasks.map((task, subtask): ManifestSubtask => subtaskOf(directory, files[task], contents[task]?.has(id) ?? false, earlier[subtask] ?? [], operator))
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
    return {
      checkpointId, directory, operators,
      bytes: files.reduce((sum, file) => sum + (file?.bytes ?? 0), 0),
      stateBytes: files.map((file, task) => (file?.bytes ?? 0) + sumOf(standsOn[task])),
    }
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
    const byPath = new Map(operators.flatMap(({ files }) => files.flat().map(file => [file.path, file] as const)))
    for (const file of byPath.values()) verifyLength(this.#files, file)
    if (contents) for (const file of byPath.values()) yield* verifyInSlices(this.#files, file)
  }

  /** Of one that was written before. */
  base(directory: string): SnapshotBase {
    const { checkpointId, operators } = readSnapshot(this.#files, directory, false)
    return { checkpointId, directory, operators }
  }

  exists(directory: string): boolean {
    return this.#files.stat(`${directory}/${manifestName}`) !== undefined
  }

  /** The directories of other checkpoints that a checkpoint has files in. */
  directoriesOf(directory: string): ReadonlySet<string> {
    return referredTo(directory, readSnapshot(this.#files, directory, false).operators)
  }

  /** Ends the existence of a checkpoint of which others still need the files. */
  removeManifest(directory: string): void {
    removeManifest(this.#files, directory)
  }

  /** Removes the snapshot, its manifest first; nothing happens if it is not there. */
  dispose(directory: string): void {
    disposeSnapshot(this.#files, directory)
  }

  /** Which operators left what in a file, by its index. */
  #statesIn(file: SnapshotFile): ReadonlyMap<string, readonly ManifestState[]> {
    const reader = new SnapshotFileReader(this.#files, file)
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

const sumOf = (files: ReadonlyMap<string, ManifestFile> | undefined) => [...(files?.values() ?? [])].reduce((sum, file) => sum + file.bytes, 0)

/** What the file of a task that goes on from the base stands on, as a manifest beside it names it. */
function earlierFiles(base: SnapshotBase | undefined, before: ManifestSubtask | undefined, since: number | undefined, operator: JobOperator): readonly ManifestFile[] {
  if (since === undefined) return []
  if (base === undefined || base.checkpointId !== since || before === undefined || before.kind === 'finished') {
    throw new FlinkError('CHECKPOINT_FAILED', `the state of "${operator.name}" goes on from checkpoint ${since}, which is not at hand`)
  }
  if (before.kind === 'empty') return []
  const { name, bytes, sha256, earlier = [] } = before
  return [...earlier, { name: `../${base.directory.slice(base.directory.lastIndexOf('/') + 1)}/${name}`, bytes, sha256 }]
}

/** The directories beside that of a snapshot that its manifest names files in. */
export function referredTo(directory: string, operators: readonly ManifestOperator[]): ReadonlySet<string> {
  const paths = operators.flatMap(({ subtasks }) => subtasks.flatMap(subtask => filesOf(directory, subtask).slice(0, -1).map(file => file.path)))
  return new Set(paths.map(path => path.slice(0, path.lastIndexOf('/'))))
}

function subtaskOf(directory: string, file: SnapshotFile | undefined, hasState: boolean, earlier: readonly ManifestFile[], operator: JobOperator): ManifestSubtask {
  if (file === undefined) return { kind: 'finished' }
  if (!hasState && earlier.length === 0) return { kind: 'empty' }
  if (!file.path.startsWith(`${directory}/`)) throw new FlinkError('STORAGE_FAILED', `the state of "${operator.name}" was written to ${file.path}, which is not in ${directory}`)
  return { kind: 'file', name: file.path.slice(directory.length + 1), bytes: file.bytes, sha256: file.sha256, ...(earlier.length > 0 && { earlier }) }
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
    files: subtasks.map(subtask => filesOf(directory, subtask)),
  }
}
