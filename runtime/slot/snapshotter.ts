/**
 * Writes the snapshots of one task: the state is captured at one instant, then its bytes go out in steps between turns.
 * One snapshot is under way at a time; a newer one waits for the older, which is written to its end at once (that happens
 * only when a savepoint meets a checkpoint, and both are wanted).
 *
 * An error while the state is captured or written costs the checkpoint, not the task.
 */
import type { CheckpointBarrier } from '../core/batch.ts'
import { errorToData, type ErrorData } from '../core/errors.ts'
import type { SubtaskRef } from '../core/ids.ts'
import type { Timestamp } from '../core/time.ts'
import type { Chain, ChainSnapshot } from '../operators/chain.ts'
import type { SnapshotSink } from '../operators/keyed-state.ts'
import type { SlotReport } from '../protocol/slot.ts'

/** Entries that are written per turn: well below a millisecond. */
const stepBudget = 1024

interface Run {
  readonly barrier: CheckpointBarrier
  readonly snapshot: ChainSnapshot
  readonly startDelay: number
  readonly alignment: number
  readonly begun: Timestamp
  /** The first turn after the capture: what lies between is `sync`. */
  asyncSince: Timestamp | undefined
  aborted: boolean
}

export class Snapshotter {
  readonly #task: SubtaskRef
  readonly #report: (report: SlotReport) => void
  #run: Run | undefined

  constructor(task: SubtaskRef, report: (report: SlotReport) => void) {
    this.#task = task
    this.#report = report
  }

  get busy(): boolean {
    return this.#run !== undefined
  }

  /** Captures the chain's state; declines if that fails. */
  begin(barrier: CheckpointBarrier, chain: Chain, alignmentStart: Timestamp, now: Timestamp): void {
    this.finish(now)
    const run: { aborted: boolean } = { aborted: false }
    let snapshot: ChainSnapshot
    try {
      snapshot = chain.snapshot(barrier, operatorId => this.#sink(barrier.checkpointId, operatorId, run))
    } catch (error) {
      run.aborted = true
      this.decline(barrier.checkpointId, errorToData(error, 'CHECKPOINT_FAILED'))
      return
    }
    this.#run = Object.assign(run, {
      barrier,
      snapshot,
      startDelay: Math.max(0, alignmentStart - barrier.timestamp),
      alignment: now - alignmentStart,
      begun: now,
      asyncSince: undefined,
    })
  }

  /** One slice of the work; called once per turn. */
  step(now: Timestamp): void {
    if (this.#run !== undefined) this.#advance(this.#run, now, stepBudget)
  }

  /** Writes what is under way to its end. */
  finish(now: Timestamp): void {
    while (this.#run !== undefined) this.#advance(this.#run, now, Number.MAX_SAFE_INTEGER)
  }

  abort(checkpointId: number): void {
    if (this.#run?.barrier.checkpointId === checkpointId) this.drop()
  }

  /** The task is over. */
  drop(): void {
    const run = this.#run
    if (run === undefined) return
    this.#run = undefined
    run.aborted = true
    run.snapshot.abort()
  }

  decline(checkpointId: number, error: ErrorData): void {
    this.#report({ kind: 'snapshotDeclined', task: this.#task, checkpointId, error })
  }

  #advance(run: Run, now: Timestamp, budget: number): void {
    run.asyncSince ??= now
    try {
      if (!run.snapshot.step(budget)) return
    } catch (error) {
      this.drop()
      this.decline(run.barrier.checkpointId, errorToData(error, 'CHECKPOINT_FAILED'))
      return
    }
    this.#run = undefined
    const { startDelay, alignment, begun, asyncSince } = run
    const timings = { startDelay, alignment, sync: asyncSince - begun, async: now - asyncSince }
    this.#report({ kind: 'snapshotDone', task: this.#task, checkpointId: run.barrier.checkpointId, timings, since: run.snapshot.since ?? {} })
  }

  #sink(checkpointId: number, operatorId: string, run: { readonly aborted: boolean }): SnapshotSink {
    const task = this.#task
    return {
      keyed: (state, keyGroup, bytes) => {
        if (!run.aborted) this.#report({ kind: 'snapshotBlock', task, checkpointId, block: { kind: 'keyed', operatorId, state, keyGroup, bytes } })
      },
      list: (state, items) => {
        if (!run.aborted) this.#report({ kind: 'snapshotBlock', task, checkpointId, block: { kind: 'list', operatorId, state, items } })
      },
    }
  }
}
