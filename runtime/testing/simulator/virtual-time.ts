/**
 * Time that passes only when there is nothing left to do: a heap of actions, the earliest first, those of one instant in
 * the order in which they were planned. The whole simulated cluster runs on one of these, so a run with the same seed is
 * the same run.
 */
import { assert } from '../../core/assert.ts'
import type { Timestamp } from '../../core/time.ts'

interface Planned {
  readonly at: Timestamp
  readonly order: number
  action: (() => void) | undefined
}

export class VirtualTime {
  #now: Timestamp
  #order = 0
  readonly #heap: Planned[] = []
  /** Actions carried out. */
  steps = 0

  constructor(start: Timestamp) {
    this.#now = start
  }

  get now(): Timestamp {
    return this.#now
  }

  /** Plans an action `delay` ms from now; the function that is returned takes it back. */
  after(delay: number, action: () => void): () => void {
    return this.at(this.#now + delay, action)
  }

  at(time: Timestamp, action: () => void): () => void {
    const planned: Planned = { at: Math.max(time, this.#now), order: this.#order++, action }
    this.#push(planned)
    return () => (planned.action = undefined)
  }

  /** Carries out the next action; false if there is none before `until`. */
  step(until: Timestamp = Infinity): boolean {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.at > until) return false
      this.#pop()
      if (next.action === undefined) continue
      assert(next.at >= this.#now, 'time runs backwards')
      this.#now = next.at
      this.steps++
      next.action()
      return true
    }
  }

  #push(planned: Planned): void {
    const heap = this.#heap
    let index = heap.length
    heap.push(planned)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(planned, heap[parent] as Planned)) break
      heap[index] = heap[parent] as Planned
      index = parent
    }
    heap[index] = planned
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Planned
    if (heap.length === 0) return
    let index = 0
    for (;;) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Planned, heap[child] as Planned)) child++
      if (!before(heap[child] as Planned, last)) break
      heap[index] = heap[child] as Planned
      index = child
    }
    heap[index] = last
  }
}

const before = (a: Planned, b: Planned) => a.at < b.at || (a.at === b.at && a.order < b.order)
