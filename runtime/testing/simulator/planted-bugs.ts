/**
 * Bugs that somebody who writes these protocols for the first time would make, as switches that only tests can turn. The
 * simulator must find each: that measures the tester, not the product.
 */
import type { Sink } from '../../api/connector.ts'
import type { FileSystem } from '../../core/files.ts'
import type { FileCommittable } from '../../connectors/file.ts'
import type { KeyedStateBackend, SnapshotRun } from '../../operators/keyed-state.ts'

export interface PlantedBugs {
  /** Barriers do not block their channel. */
  readonly noAlignment?: boolean
  /** A snapshot holds the live objects instead of copies. */
  readonly snapshotByReference?: boolean
  /** A sink commits exactly the checkpoint it is told of, not all up to it. */
  readonly commitOnlyNotified?: boolean
  /** A newer barrier takes over an older alignment. */
  readonly noSupersede?: boolean
  /** Sinks are told that a checkpoint is complete before its manifest is on disk. */
  readonly notifyBeforeDurable?: boolean
  /** Messages of an earlier life are believed. */
  readonly noFencing?: boolean
}

export const noPlantedBugs: PlantedBugs = {}

/** What a slot has been told last; for bugs that depend on it. */
export interface Told {
  checkpointComplete: number | undefined
}

/** `snapshotByReference`: begins to look at the state only when the snapshot is written. */
export function lateSnapshots(state: KeyedStateBackend): KeyedStateBackend {
  const start = state.startSnapshot.bind(state)
  state.startSnapshot = (sink, order) => {
    let run: SnapshotRun | undefined
    return {
      step: budget => (run ??= start(sink, order)).step(budget),
      abort: () => run?.abort(),
    }
  }
  return state
}

/** `commitOnlyNotified`: of what is to be committed only the files of the checkpoint that was told of last. */
export function commitExactly<T>(sink: Sink<T, FileCommittable>, told: Told): Sink<T, FileCommittable> {
  return {
    ...sink,
    createCommitter(ctx) {
      const committer = sink.createCommitter?.(ctx)
      return {
        ...committer,
        commit(committables) {
          const id = told.checkpointComplete
          committer?.commit(id === undefined ? committables : committables.filter(({ final }) => final.includes(`-${id}.`)))
        },
      }
    },
  }
}

/** `notifyBeforeDurable`: what a JobManager goes on from gets its name some time after it believes so, and not at all if it is killed before. */
export function lateRenames(files: FileSystem, later: (action: () => void) => void): FileSystem {
  return {
    stat: path => files.stat(path),
    list: directory => files.list(directory),
    openRead: path => files.openRead(path),
    create: path => files.create(path),
    rename(from, to) {
      if (!/_metadata|progress/.test(to)) return files.rename(from, to)
      later(() => {
        if (files.stat(from) !== undefined) files.rename(from, to)
      })
    },
    remove: path => files.remove(path),
    makeDirectory: path => files.makeDirectory(path),
    syncDirectory: path => files.syncDirectory(path),
  }
}
