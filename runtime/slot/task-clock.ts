/**
 * Where a task's time goes: busy, back-pressured or idle. Whatever passes between two turns is put down to what the task
 * did in the first of them, so the three always sum to the wall time since it started. (A slot reads its clock once per
 * turn, and returns `more` after every turn in which anything was done: what a turn took ends with the next one.)
 */
import type { Timestamp } from '../core/time.ts'

export type Activity = 'busy' | 'backPressured' | 'idle'

export class TaskClock {
  busyMs = 0
  idleMs = 0
  backPressuredMs = 0
  #since: Timestamp
  #activity: Activity = 'idle'

  constructor(now: Timestamp) {
    this.#since = now
  }

  /** A turn begins: the time since the last one is put down. */
  advance(now: Timestamp): void {
    // A wall clock may be set back; time that was put down stays.
    const passed = Math.max(0, now - this.#since)
    this.#since = now
    if (this.#activity === 'busy') this.busyMs += passed
    else if (this.#activity === 'backPressured') this.backPressuredMs += passed
    else this.idleMs += passed
  }

  did(activity: Activity): void {
    this.#activity = activity
  }
}
