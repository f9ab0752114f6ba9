/**
 * All timers of one operator and one time domain: a set of (key, timestamp), fired by ascending timestamp over all keys
 * (M1, M3).
 *
 * A calendar: time is cut into pages of 1,024 ms; a heap orders the few page numbers, and inside a page every millisecond
 * has a bit, so that the next timer is found by counting zeros and nothing is ever sorted. A page with few timers is a
 * short sorted list instead, because timers a day ahead are often alone in theirs. Registering costs the same however far
 * ahead the timer is or the watermark jumps; that is what the wheel of fixed reach that we measured first does not give.
 *
 * A snapshot is of one instant and copies nothing then: timers know whether they are older than it, those that are taken
 * out before their turn are handed to it, and the others it visits when it has time. `Map`s are in the order of insertion:
 * who visits as many as there were when he began has seen all of those.
 */
import type { Timestamp } from '../../core/time.ts'
import { canonicalKey, type CanonicalKey } from '../../core/key-group.ts'

/** Never changed after it was made, but for `epoch`: a snapshot may hold it while firing goes on. */
export interface Timer {
  readonly timestamp: Timestamp
  readonly key: unknown
  readonly canonical: CanonicalKey
  readonly keyGroup: number
  /** The last snapshot that it was handed to, or that began before it was set. */
  epoch: number
}

const pageBits = 10
const pageSize = 1 << pageBits
/** Timers in a page before it becomes a bitmap, which takes as much as a hundred of them. */
const longestList = 32
/** Timers of one time before they become a `Map`. */
const longestSlot = 8

export class TimerQueue {
  readonly #pages = new Map<number, Page>()
  readonly #order = new NumberHeap()
  /** The page that was used last: timers come in runs. */
  #recent: Page | undefined
  #size = 0
  /** Number of the last snapshot that began. */
  #epoch = 0
  /** Takes what the running snapshot has still to get. */
  #snapshot: ((timer: Timer) => void) | undefined

  get size(): number {
    return this.#size
  }

  /**
   * Begins a snapshot: every timer that is set now is passed to `take` once, when the iterator comes to it or, before that,
   * when it is taken out of the queue. The iterator yields as often as it has visited one, new ones too.
   */
  startSnapshot(take: (timer: Timer) => void): Iterator<void> {
    this.#epoch++
    this.#snapshot = take
    return this.#visit()
  }

  endSnapshot(): void {
    this.#snapshot = undefined
  }

  *#visit(): Iterator<void> {
    for (const page of asManyAs(this.#pages.size, this.#pages.values())) {
      for (const timer of page.timers()) {
        this.#handOver(timer)
        yield
      }
    }
  }

  #handOver(timer: Timer): void {
    if (timer.epoch >= this.#epoch || this.#snapshot === undefined) return
    timer.epoch = this.#epoch
    this.#snapshot(timer)
  }

  /** False if there is such a timer already. `timestamp` is a safe integer or `Infinity`. */
  add(timestamp: Timestamp, key: unknown, keyGroup: number): boolean {
    const page = this.#pageFor(Math.floor(timestamp / pageSize))
    const added = page.add({ timestamp, key, canonical: canonicalKey(key), keyGroup, epoch: this.#epoch })
    if (added) this.#size++
    return added
  }

  /** An exact match; false if there is none. */
  delete(timestamp: Timestamp, key: unknown): boolean {
    // An emptied page stays where it is until its turn comes: taking it out of the heap would cost a search.
    const deleted = this.#pages.get(Math.floor(timestamp / pageSize))?.delete(timestamp, canonicalKey(key))
    if (deleted === undefined) return false
    this.#size--
    this.#handOver(deleted)
    return true
  }

  /** The earliest timer's time; `Infinity` if there is none. */
  next(): Timestamp {
    return this.#firstPage()?.first() ?? Infinity
  }

  /** Takes out the earliest timer if its time is `until` or before. */
  takeUntil(until: Timestamp): Timer | undefined {
    const page = this.#firstPage()
    if (page === undefined || page.first() > until) return undefined
    this.#size--
    const timer = page.takeFirst()
    this.#handOver(timer)
    return timer
  }

  #pageFor(number: number): Page {
    if (this.#recent?.number === number) return this.#recent
    let page = this.#pages.get(number)
    if (page === undefined) {
      page = new Page(number)
      this.#pages.set(number, page)
      this.#order.push(number)
    }
    this.#recent = page
    return page
  }

  #firstPage(): Page | undefined {
    for (;;) {
      const number = this.#order.peek()
      if (number === undefined) return undefined
      const page = this.#pages.get(number) as Page
      if (page.size > 0) return page
      this.#order.pop()
      this.#pages.delete(number)
      if (this.#recent === page) this.#recent = undefined
    }
  }
}

/** One timer, or all that have the same time: a few in the order in which they were set, many by key. */
type Slot = Timer | Timer[] | Map<CanonicalKey, Timer>

class Page {
  readonly number: number
  size = 0
  readonly #base: Timestamp
  /** Few timers: sorted by time. */
  #list: Timer[] | undefined = []
  /** Many timers: one bit and one slot per millisecond. */
  #bits: Int32Array | undefined
  #slots: (Slot | undefined)[] | undefined
  /** No bit is set in a word before this one. */
  #firstWord = 0

  constructor(number: number) {
    this.number = number
    this.#base = number * pageSize
  }

  add(timer: Timer): boolean {
    if (this.#list === undefined) return this.#addToSlot(timer)
    let at = this.#list.length
    while (at > 0 && (this.#list[at - 1] as Timer).timestamp >= timer.timestamp) {
      at--
      const other = this.#list[at] as Timer
      if (other.timestamp === timer.timestamp && other.canonical === timer.canonical) return false
    }
    if (this.#list.length < longestList) {
      this.#list.splice(at, 0, timer)
      this.size++
      return true
    }
    const list = this.#list
    this.#list = undefined
    this.#bits = new Int32Array(pageSize / 32)
    this.#slots = new Array<Slot | undefined>(pageSize).fill(undefined)
    this.size = 0
    for (const each of list) this.#addToSlot(each)
    return this.#addToSlot(timer)
  }

  /** `Infinity`, the end of time, has a page to itself. */
  #offset(timestamp: Timestamp): number {
    return timestamp === Infinity ? 0 : timestamp - this.#base
  }

  #addToSlot(timer: Timer): boolean {
    const offset = this.#offset(timer.timestamp)
    const slots = this.#slots as (Slot | undefined)[]
    const slot = slots[offset]
    if (slot === undefined) {
      slots[offset] = timer
      const word = offset >> 5
      ;(this.#bits as Int32Array)[word]! |= 1 << (offset & 31)
      if (word < this.#firstWord) this.#firstWord = word
    } else if (slot instanceof Map) {
      if (slot.has(timer.canonical)) return false
      slot.set(timer.canonical, timer)
    } else if (Array.isArray(slot)) {
      for (let i = 0; i < slot.length; i++) if ((slot[i] as Timer).canonical === timer.canonical) return false
      if (slot.length < longestSlot) slot.push(timer)
      else slots[offset] = new Map([...slot, timer].map(each => [each.canonical, each]))
    } else {
      if (slot.canonical === timer.canonical) return false
      slots[offset] = [slot, timer]
    }
    this.size++
    return true
  }

  delete(timestamp: Timestamp, canonical: CanonicalKey): Timer | undefined {
    if (this.#list !== undefined) {
      const at = this.#list.findIndex(timer => timer.timestamp === timestamp && timer.canonical === canonical)
      if (at < 0) return undefined
      this.size--
      return this.#list.splice(at, 1)[0]
    }
    const offset = this.#offset(timestamp)
    const slot = (this.#slots as (Slot | undefined)[])[offset]
    if (slot === undefined) return undefined
    const timer = slot instanceof Map ? slot.get(canonical) : Array.isArray(slot) ? slot.find(each => each.canonical === canonical) : slot
    if (timer === undefined || timer.canonical !== canonical) return undefined
    this.#takeOut(timer, slot, offset)
    return timer
  }

  #takeOut(timer: Timer, slot: Slot, offset: number): void {
    this.size--
    if (slot instanceof Map) {
      slot.delete(timer.canonical)
      if (slot.size > 0) return
    } else if (Array.isArray(slot)) {
      slot.splice(slot.indexOf(timer), 1)
      if (slot.length > 0) return
    }
    this.#clearSlot(offset)
  }

  #clearSlot(offset: number): void {
    ;(this.#slots as (Slot | undefined)[])[offset] = undefined
    ;(this.#bits as Int32Array)[offset >> 5]! &= ~(1 << (offset & 31))
  }

  /** Only of a page that is not empty. */
  first(): Timestamp {
    return this.#list === undefined ? this.#base + this.#firstOffset() : (this.#list[0] as Timer).timestamp
  }

  takeFirst(): Timer {
    if (this.#list !== undefined) {
      this.size--
      return this.#list.shift() as Timer
    }
    const offset = this.#firstOffset()
    const slot = (this.#slots as (Slot | undefined)[])[offset] as Slot
    const timer = slot instanceof Map ? (slot.values().next().value as Timer) : Array.isArray(slot) ? (slot[0] as Timer) : slot
    this.#takeOut(timer, slot, offset)
    return timer
  }

  #firstOffset(): number {
    const bits = this.#bits as Int32Array
    while (bits[this.#firstWord] === 0) this.#firstWord++
    const word = bits[this.#firstWord] as number
    return (this.#firstWord << 5) + (31 - Math.clz32(word & -word))
  }

  /** Every timer that is there now, and still is when its turn comes, and some newer or older ones; the page may change meanwhile. */
  *timers(): Generator<Timer> {
    if (this.#list !== undefined) yield* [...this.#list]
    else {
      for (const slot of this.#slots as (Slot | undefined)[]) {
        if (slot instanceof Map) yield* asManyAs(slot.size, slot.values())
        else if (Array.isArray(slot)) yield* [...slot]
        else if (slot !== undefined) yield slot
      }
    }
  }
}

function* asManyAs<T>(count: number, items: Iterable<T>): Generator<T> {
  if (count === 0) return
  for (const item of items) {
    yield item
    if (--count === 0) return
  }
}

/** A binary min-heap of distinct whole numbers. */
class NumberHeap {
  readonly #items: number[] = []

  peek(): number | undefined {
    return this.#items[0]
  }

  push(item: number): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if ((items[parent] as number) <= item) break
      items[at] = items[parent] as number
      at = parent
    }
    items[at] = item
  }

  pop(): void {
    const items = this.#items
    const last = items.pop()
    if (last === undefined || items.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= items.length) break
      if (child + 1 < items.length && (items[child + 1] as number) < (items[child] as number)) child++
      if ((items[child] as number) >= last) break
      items[at] = items[child] as number
      at = child
    }
    items[at] = last
  }
}
