/**
 * A snapshot of the timers of one operator under way. Timers are gathered in blocks by key group as they come: from the
 * iterators of the queues, a slice at a time, or because they fire or are deleted before their turn.
 */
import { encodeValue } from '../../codec/value-codec.ts'
import type { SnapshotRun, SnapshotSink } from '../keyed-state.ts'
import type { Timer, TimerQueue } from './timer-queue.ts'

/** Timers per block; fewer wait per key group. */
const timersPerBlock = 1000

export class TimerSnapshot implements SnapshotRun {
  readonly #sink: SnapshotSink
  readonly #queues: readonly QueueSnapshot[]
  /** All timers are gathered; what is left are these blocks. */
  #last: Block[] | undefined
  #done = false

  /** `queues` by the name of their state. */
  constructor(queues: Readonly<Record<string, TimerQueue>>, sink: SnapshotSink) {
    this.#sink = sink
    this.#queues = Object.entries(queues).map(([state, queue]) => {
      const blocks = new Map<number, Block>()
      return { queue, blocks, visits: queue.startSnapshot(timer => this.#add(state, blocks, timer)) }
    })
  }

  step(budget: number): boolean {
    while (!this.#done) {
      if (budget <= 0) return false
      if (this.#last === undefined) budget -= this.#visit(budget)
      else {
        const block = this.#last.pop()
        if (block === undefined) this.#finish()
        else {
          this.#write(block)
          budget -= block.timers.length
        }
      }
    }
    return true
  }

  abort(): void {
    if (!this.#done) this.#finish()
  }

  /** Visits up to `budget` timers; returns how many. */
  #visit(budget: number): number {
    let visited = 0
    for (const { visits } of this.#queues) {
      for (; visited < budget; visited++) if (visits.next().done === true) break
    }
    if (visited < budget) this.#last = this.#queues.flatMap(({ blocks }) => [...blocks.values()])
    return visited
  }

  #add(state: string, blocks: Map<number, Block>, timer: Timer): void {
    const { keyGroup } = timer
    let block = blocks.get(keyGroup)
    if (block === undefined) blocks.set(keyGroup, (block = { state, keyGroup, timers: [] }))
    block.timers.push(timer)
    if (block.timers.length < timersPerBlock) return
    blocks.delete(keyGroup)
    this.#write(block)
  }

  #write({ state, keyGroup, timers }: Block): void {
    this.#sink.keyed(state, keyGroup, encodeValue([timers.map(timer => timer.timestamp), timers.map(timer => timer.key)], 'timers'))
  }

  #finish(): void {
    this.#done = true
    for (const { queue } of this.#queues) queue.endSnapshot()
  }
}

interface QueueSnapshot {
  readonly queue: TimerQueue
  /** By key group. */
  readonly blocks: Map<number, Block>
  readonly visits: Iterator<void>
}

interface Block {
  readonly state: string
  readonly keyGroup: number
  readonly timers: Timer[]
}
