import { assert } from './assert.ts'

/** A first-in first-out queue with a bound; grows by doubling up to it. `push` beyond the bound is a bug of the caller, who must look at `full`. */
export class RingBuffer<T> {
  #items: (T | undefined)[]
  #head = 0
  #length = 0
  readonly #bound: number

  constructor(bound: number) {
    this.#bound = bound
    this.#items = Array.from({ length: Math.min(16, bound) })
  }

  get length(): number {
    return this.#length
  }
  get full(): boolean {
    return this.#length >= this.#bound
  }

  push(item: T): void {
    assert(!this.full, `queue over its bound of ${this.#bound}`)
    if (this.#length === this.#items.length) this.#grow()
    this.#items[(this.#head + this.#length) % this.#items.length] = item
    this.#length++
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined
    this.#head = (this.#head + 1) % this.#items.length
    this.#length--
    return item
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#items[this.#head]
  }

  clear(): void {
    this.#items.fill(undefined)
    this.#head = 0
    this.#length = 0
  }

  #grow(): void {
    const next: (T | undefined)[] = Array.from({ length: Math.min(this.#items.length * 2, this.#bound) })
    for (let i = 0; i < this.#length; i++) next[i] = this.#items[(this.#head + i) % this.#items.length]
    this.#items = next
    this.#head = 0
  }
}
