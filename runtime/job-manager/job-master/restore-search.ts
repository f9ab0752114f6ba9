/**
 * Finds the snapshot that an attempt starts from, in slices, and remembers which it was for as long as the attempt
 * lasts. Slots are asked for when it is found good: what waits for it waits here.
 */
import type { CompletedCheckpoint } from '../checkpoint/checkpoint-coordinator.ts'
import type { JobSnapshots, RestorePoint } from '../checkpoint/job-snapshots.ts'
import type { RestorePlan } from '../checkpoint/restore-plan.ts'

export class RestoreSearch {
  readonly #snapshots: JobSnapshots
  #search: ReturnType<JobSnapshots['restorePoint']> | undefined
  #found: RestorePoint | undefined
  #slotsWanted: number | undefined
  #announced = false

  constructor(snapshots: JobSnapshots) {
    this.#snapshots = snapshots
  }

  get underWay(): boolean {
    return this.#search !== undefined
  }
  /** What the attempt starts from; undefined if from nothing. */
  get checkpoint(): CompletedCheckpoint | undefined {
    return this.#found?.checkpoint
  }
  get plan(): RestorePlan | undefined {
    return this.#found?.plan
  }

  forget(): void {
    this.#found = undefined
  }

  /** Of the first of `points` that can be read. */
  begin(points: readonly CompletedCheckpoint[]): void {
    this.#search = this.#snapshots.restorePoint(points)
  }

  /**
   * One slice; returns whether that was the last.
   *
   * @throws {FlinkError} as `JobSnapshots.restorePoint`
   */
  slice(): boolean {
    try {
      const slice = this.#search?.next()
      if (slice?.done !== true) return false
      this.#search = undefined
      this.#found = slice.value
      return true
    } catch (error) {
      this.#search = undefined
      throw error
    }
  }

  /** Slots that are asked for at the end of the search; false if there is none. */
  waitForSlots(count: number): boolean {
    if (!this.#search) return false
    this.#slotsWanted = count
    return true
  }
  takeSlotsWanted(): number | undefined {
    const count = this.#slotsWanted
    this.#slotsWanted = undefined
    return count
  }

  stop(): void {
    // It may have a file open.
    this.#search?.return(undefined)
    this.#search = this.#slotsWanted = undefined
  }

  deployed(): void {
    this.#announced = false
  }
  /** Once per attempt, for people: what its tasks, which all run now, were restored from. */
  takeAnnouncement(): CompletedCheckpoint | undefined {
    if (this.#announced) return undefined
    this.#announced = true
    return this.#found?.checkpoint
  }
}
