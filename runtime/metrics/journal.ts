/**
 * The event journal: a ring of the last events. The writer numbers and dates them; a reader that comes late, or is too
 * slow, is told how many it missed.
 */
import type { Timestamp } from '../core/time.ts'
import type { RuntimeEvent, RuntimeEventBody } from './event.ts'

const journalCapacity = 20_000

export class EventJournal {
  readonly #ring: (RuntimeEvent | undefined)[]
  readonly #listeners = new Set<(event: RuntimeEvent) => void>()
  #next = 0

  constructor(capacity = journalCapacity) {
    this.#ring = new Array<RuntimeEvent | undefined>(capacity).fill(undefined)
  }

  /** The number that the next event gets; the first is 0. */
  get nextSequence(): number {
    return this.#next
  }
  get firstSequence(): number {
    return Math.max(0, this.#next - this.#ring.length)
  }

  append(now: Timestamp, body: RuntimeEventBody): RuntimeEvent {
    const event: RuntimeEvent = { sequence: this.#next, at: now, ...body }
    this.#ring[this.#next % this.#ring.length] = event
    this.#next++
    for (const listener of this.#listeners) listener(event)
    return event
  }

  /** Up to `limit` events from `from` on; begins with `missed` if some of them are gone. */
  read(from: number, limit: number): RuntimeEvent[] {
    const first = this.firstSequence
    const events: RuntimeEvent[] = []
    if (from < first) {
      const oldest = this.#ring[first % this.#ring.length] as RuntimeEvent
      events.push({ kind: 'missed', events: first - from, sequence: first - 1, at: oldest.at })
    }
    for (let sequence = Math.max(from, first); sequence < this.#next && events.length < limit; sequence++) {
      events.push(this.#ring[sequence % this.#ring.length] as RuntimeEvent)
    }
    return events
  }

  /** Called for every event from now on, while it is appended: must be quick and must not throw. Returns how to stop. */
  subscribe(listener: (event: RuntimeEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
