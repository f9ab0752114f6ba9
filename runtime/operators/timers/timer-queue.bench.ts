/**
 * What a timer costs, registered and fired: the calendar of `timer-queue.ts` against the obvious design, a binary heap with
 * a set of (key, timestamp) beside it, on timers 1-61 s ahead, and on timers of which many share a millisecond.
 *
 *     node runtime/operators/timers/timer-queue.bench.ts
 */
import assert from 'node:assert/strict'
import { seededRandom } from '../../core/random.ts'
import { TimerQueue } from './timer-queue.ts'

interface Queue {
  add(timestamp: number, key: unknown, keyGroup: number): boolean
  takeUntil(until: number): { readonly timestamp: number } | undefined
}

class HeapQueue implements Queue {
  readonly #heap: { timestamp: number; key: unknown; id: string }[] = []
  readonly #known = new Set<string>()

  add(timestamp: number, key: unknown): boolean {
    const id = `${String(key)}@${timestamp}`
    if (this.#known.has(id)) return false
    this.#known.add(id)
    const heap = this.#heap
    const item = { timestamp, key, id }
    let at = heap.push(item) - 1
    for (let parent = (at - 1) >> 1; at > 0 && heap[parent]!.timestamp > timestamp; at = parent, parent = (at - 1) >> 1) heap[at] = heap[parent]!
    heap[at] = item
    return true
  }
  takeUntil(until: number) {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined || first.timestamp > until) return undefined
    const last = heap.pop()!
    this.#known.delete(first.id)
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.timestamp < heap[child]!.timestamp) child++
      if (heap[child]!.timestamp >= last.timestamp) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return first
  }
}

const timers = 200_000
/** A watermark each 200 ms of 10 s of event time, 50,000 keys. */
function run(queue: Queue, ahead: (random: ReturnType<typeof seededRandom>) => number): { fired: number; last: number } {
  const random = seededRandom(7)
  const start = 1.6e12
  let fired = 0
  let last = 0
  const drain = (until: number) => {
    for (let timer = queue.takeUntil(until); timer !== undefined; timer = queue.takeUntil(until)) {
      assert.ok(timer.timestamp >= last)
      last = timer.timestamp
      fired++
    }
  }
  for (let i = 0; i < timers; i++) {
    const now = start + i / 20
    queue.add(Math.floor(now + ahead(random)), random.int(50_000), i & 127)
    if (i % 4_000 === 0) drain(now)
  }
  drain(Infinity)
  return { fired, last }
}

export interface TimerBenchRow {
  readonly name: string
  /** ns per timer, registered and fired. */
  readonly calendar: number
  readonly heap: number
}

export function runTimerBench(rounds = 9, print: (line: string) => void = line => console.log(line)): TimerBenchRow[] {
  const cases = {
    'random, 1-61 s ahead': (random: ReturnType<typeof seededRandom>) => 1_000 + random.int(60_000),
    'random, 1 s - 30 d ahead': (random: ReturnType<typeof seededRandom>) => 1_000 + random.int(2_592_000_000),
    'always 5 s ahead': () => 5_000,
  }
  return Object.entries(cases).map(([name, ahead]) => {
    assert.deepEqual(run(new TimerQueue(), ahead), run(new HeapQueue(), ahead))
    const times = { calendar: [] as number[], heap: [] as number[] }
    for (let round = 0; round < rounds; round++) {
      for (const [which, create] of [['calendar', () => new TimerQueue()], ['heap', () => new HeapQueue()]] as const) {
        const queue = create()
        const begin = performance.now()
        run(queue, ahead)
        times[which].push(((performance.now() - begin) * 1e6) / timers)
      }
    }
    const best = (list: number[]) => list.toSorted((a, b) => a - b)[Math.floor(rounds * 0.3)] as number
    const row = { name, calendar: best(times.calendar), heap: best(times.heap) }
    print(`${name.padEnd(26)} calendar ${row.calendar.toFixed(0).padStart(4)} ns   heap ${row.heap.toFixed(0).padStart(5)} ns   ${(row.heap / row.calendar).toFixed(1)}x`)
    return row
  })
}

if (import.meta.main) runTimerBench()
