/**
 * Decides about the one process that stands by: a TaskManager that has started, its threads too, but has not told the
 * JobManager of itself. When another dies, it takes the place at once; a new process and its threads would need the
 * processors a tenth of a second long just when the other slots read their state back.
 *
 * For the same reason the next one is started only when the job has had the time to catch up. A cluster that ends soon never
 * has one, and a TaskManager that dies again and again is replaced as if there was none. Pure.
 */
import { unreachable } from '../core/assert.ts'
import type { Millis, Timestamp } from '../core/time.ts'
import type { ProcessEvent, StandbyProcess } from './process-events.ts'

export type StandbyEvent =
  /** A TaskManager that worked has died. Answered by `takeOver` or `replace`. */
  | { readonly kind: 'lost' }
  /** The answer to `start`. */
  | { readonly kind: 'started'; readonly name: string }
  /** The process that stood by has died. */
  | { readonly kind: 'standbyLost' }
  | { readonly kind: 'tick' }

export type StandbyCommand =
  | { readonly kind: 'start' }
  | { readonly kind: 'takeOver'; readonly name: string }
  /** Nobody stands by: another process is started in its place. */
  | { readonly kind: 'replace' }

/** A process that cannot live while it does nothing is tried ever more seldom. */
const longestPause: Millis = 300_000

export class Standby {
  readonly #after: Millis
  #name: string | undefined
  #starting = false
  #pause: Millis
  #dueAt: Timestamp

  /** `after`: how long after the start of the cluster, and after a death. */
  constructor(after: Millis, now: Timestamp) {
    this.#after = after
    this.#pause = after
    this.#dueAt = now + after
  }

  /** Who stands by. */
  get name(): string | undefined {
    return this.#name
  }

  nextWakeAt(): Timestamp {
    return this.#name === undefined && !this.#starting ? this.#dueAt : Infinity
  }

  handle(event: StandbyEvent, now: Timestamp): StandbyCommand[] {
    switch (event.kind) {
      case 'lost': {
        const name = this.#name
        this.#dueAt = Math.max(this.#dueAt, now + this.#after)
        if (name === undefined) return [{ kind: 'replace' }]
        this.#name = undefined
        this.#pause = this.#after
        return [{ kind: 'takeOver', name }]
      }
      case 'started':
        this.#starting = false
        this.#name = event.name
        return []
      case 'standbyLost':
        this.#name = undefined
        this.#dueAt = now + this.#pause
        this.#pause = Math.min(this.#pause * 2, longestPause)
        return []
      case 'tick':
        if (now < this.nextWakeAt()) return []
        this.#starting = true
        return [{ kind: 'start' }]
      default:
        return unreachable(event)
    }
  }
}

/** Who stands by after `event`, if it was `before`: for people. */
export function standbyAfter(event: ProcessEvent, before: StandbyProcess | undefined): StandbyProcess | undefined {
  if (event.kind === 'started' && event.standsBy) return { id: event.process, pid: event.pid }
  return (event.kind === 'tookOver' || event.kind === 'ended') && event.process === before?.id ? undefined : before
}
