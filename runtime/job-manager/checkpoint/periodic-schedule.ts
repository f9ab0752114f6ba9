/**
 * When the next periodic checkpoint is due: an interval after the last began, a pause after the last ended, and later
 * once after a restart (Flink `CheckpointCoordinator.ScheduledTrigger`, `CheckpointRequestDecider`).
 *
 * Pure: it knows no checkpoint, only instants. The coordinator says what happened and asks when.
 */
import type { Millis, Timestamp } from '../../core/time.ts'
import type { CheckpointConfig } from '../../graph/config.ts'

/** The checkpoint that an attempt starts from. */
export interface StartingPoint {
  readonly id: number
  readonly triggeredAt: Timestamp
}

export class PeriodicSchedule {
  /** Undefined: nothing periodic. */
  readonly #interval: Millis | undefined
  readonly #minPause: Millis
  /** Infinity: not all tasks have run yet, or nothing periodic. */
  #nextAt: Timestamp = Infinity
  #notBefore: Timestamp = -Infinity
  #again = false
  /** A restart from it has waited for the job to catch up: another one must not, or a job that fails again and again would get no further. */
  #waitedAfter: number | undefined

  constructor({ interval, minPause }: Pick<CheckpointConfig, 'interval' | 'minPause'>) {
    this.#interval = interval
    this.#minPause = minPause
  }

  get dueAt(): Timestamp {
    return this.#again ? -Infinity : Math.max(this.#nextAt, this.#notBefore)
  }

  /** New tasks: nothing is due until all of them run. */
  attemptStarted(): void {
    this.#nextAt = Infinity
    this.#notBefore = -Infinity
    this.#again = false
  }
  /** All tasks run: the first time in an attempt, the interval counts from here. */
  allRun(now: Timestamp, from: StartingPoint | undefined): void {
    if (this.#interval === undefined || this.#nextAt !== Infinity) return
    this.#nextAt = now + this.#interval + this.#toCatchUp(from, this.#interval, now)
  }
  /** Any checkpoint or savepoint; one that was asked for does not move the periodic ones. */
  begun(now: Timestamp, requested: boolean): void {
    this.#again = false
    if (this.#interval !== undefined && !requested) this.#nextAt = now + this.#interval
  }
  /** Completed or failed: the pause counts from here. */
  ended(now: Timestamp): void {
    this.#notBefore = now + this.#minPause
  }
  /** A periodic one was given up only because a task finished meanwhile: again, at once. */
  startOver(): void {
    this.#again = true
  }

  /**
   * How much longer than usual a job goes without a checkpoint after a restart: as long as what it has to do again has
   * taken, and at most another interval. Its state would be written with the time in which it could catch up.
   */
  #toCatchUp(from: StartingPoint | undefined, interval: Millis, now: Timestamp): Millis {
    if (from === undefined || from.id === this.#waitedAfter) return 0
    this.#waitedAfter = from.id
    return Math.max(0, Math.min(interval, now - from.triggeredAt))
  }
}
