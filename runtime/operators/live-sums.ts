/**
 * The sums of state that were used of late, by the hash that came with the record: state finds an entry through its key group,
 * its page and the page's table, here one place is looked at. What is found may be changed in place, because state says so
 * (`ValueTable.age`); whatever is not found takes the way through state and is noted here then.
 *
 * Only objects of one set of names with primitive fields are noted: of those a function adds and copies in one go.
 *
 * A table of its own costs where it seldom finds anything. If fewer than a quarter of the keys are found, it is dropped and
 * tried again later and later. It holds at most `mostSlots / 2` objects, which state may have packed meanwhile.
 */
import { canGenerate, propertyText } from '../codec/code-generation.ts'
import { ownText } from '../codec/copy.ts'

/** Adds a field of `value` to that of `held`, in place, and returns a copy of `held`. */
export type AddAndCopy = (held: object, value: unknown) => unknown

/** Places of a slot: hash, key, object, and the age of state when it was noted. */
const width = 4
const fewestSlots = 256
const mostSlots = 32 * 1024
/** A key is looked for in so many slots. */
const farthest = 8
/** Keys between two looks at how many were found. */
const trial = 64 * 1024
const leastFound = 0.25
/** Keys until the next try; doubled after each that fails. */
const shortestPause = 1024 * 1024
const longestPause = 64 * 1024 * 1024
const mostNames = 16

export class LiveSums {
  readonly #field: string
  #add: AddAndCopy | undefined
  #names: readonly string[] = []
  #data: unknown[] = []
  #mask = 0
  #shift = 0
  #size = 0
  /** Of the trial, or, while there is no table, of the pause. */
  #left = 0
  #missed = 0
  #pause = shortestPause

  /** Undefined where nothing could be gained. `field` is the one that is summed up. */
  static of(field: string): LiveSums | undefined {
    return canGenerate && field !== '__proto__' ? new LiveSums(field) : undefined
  }

  private constructor(field: string) {
    this.#field = field
  }

  /** Before so many keys are looked for; false if they had better not be. */
  begin(keys: number): boolean {
    this.#left -= keys
    if (this.#left > 0) return this.#mask > 0
    if (this.#mask > 0 && this.#missed > trial * (1 - leastFound)) {
      this.#clear(0)
      this.#left = this.#pause
      this.#pause = Math.min(this.#pause * 2, longestPause)
      return false
    }
    if (this.#mask === 0) this.#clear(fewestSlots)
    else this.#pause = shortestPause
    this.#left = trial
    this.#missed = 0
    return true
  }

  /** The object of state for this key, if it was noted at this age. */
  find(key: unknown, hash: number, age: number): object | undefined {
    const data = this.#data
    const mask = this.#mask
    let slot = slotOf(hash, this.#shift)
    for (let steps = 0; steps < farthest; steps++) {
      const at = slot * width
      if (data[at] === hash && data[at + 1] === key) {
        if (data[at + 3] === age) return data[at + 2] as object
        break
      }
      if (data[at + 2] === undefined) break
      slot = (slot + 1) & mask
    }
    this.#missed++
    return undefined
  }

  /** For what `find` has found. */
  get add(): AddAndCopy {
    return this.#add as AddAndCopy
  }

  /** Notes what state holds under a key that was not found. */
  note(key: unknown, hash: number, held: unknown, age: number): void {
    if (typeof key === 'object' || typeof held !== 'object' || held === null || !this.#fits(held)) return
    const data = this.#data
    const home = slotOf(hash, this.#shift)
    let slot = home
    for (let steps = 0; steps < farthest; steps++) {
      const at = slot * width
      if (data[at + 2] === undefined) {
        this.#put(at, key, hash, held, age)
        if (++this.#size * 2 > this.#mask && this.#mask + 1 < mostSlots) this.#grow()
        return
      }
      if (data[at] === hash && data[at + 1] === key) return this.#put(at, key, hash, held, age)
      slot = (slot + 1) & this.#mask
    }
    // There is no room: the one that lies first goes.
    this.#put(home * width, key, hash, held, age)
  }

  #put(at: number, key: unknown, hash: number, held: object, age: number): void {
    const data = this.#data
    data[at] = hash
    // Text that came with a batch would keep all text of the batch.
    if (data[at + 1] !== key) data[at + 1] = typeof key === 'string' ? ownText(key) : key
    data[at + 2] = held
    data[at + 3] = age
  }

  #fits(held: object): boolean {
    const names = Object.keys(held)
    if (this.#add === undefined) {
      if (names.length > mostNames || !names.includes(this.#field) || names.includes('__proto__')) return false
      this.#names = names
      this.#add = generateAdd(names, this.#field)
    }
    if (names.length !== this.#names.length || Object.getPrototypeOf(held) !== Object.prototype) return false
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string
      const type = typeof (held as Readonly<Record<string, unknown>>)[name]
      if (name !== this.#names[i] || type === 'object' || type === 'function' || type === 'symbol') return false
    }
    return true
  }

  #grow(): void {
    const old = this.#data
    this.#clear((this.#mask + 1) * 2)
    const data = this.#data
    for (let from = 0; from < old.length; from += width) {
      if (old[from + 2] === undefined) continue
      let slot = slotOf(old[from] as number, this.#shift)
      for (let steps = 0; steps < farthest; steps++) {
        const at = slot * width
        if (data[at + 2] === undefined) {
          for (let i = 0; i < width; i++) data[at + i] = old[from + i]
          this.#size++
          break
        }
        slot = (slot + 1) & this.#mask
      }
    }
  }

  #clear(slots: number): void {
    const data = new Array<unknown>(slots * width).fill(undefined)
    // Comparing a number with a number is cheapest.
    for (let at = 0; at < data.length; at += width) data[at] = data[at + 3] = -1
    this.#data = data
    this.#mask = Math.max(0, slots - 1)
    this.#shift = Math.clz32(slots) + 1
    this.#size = 0
  }
}

/** The low bits of a hash chose the key group: all of them are mixed. */
const slotOf = (hash: number, shift: number) => Math.imul(hash, 0x9e3779b1) >>> shift

function generateAdd(names: readonly string[], field: string): AddAndCopy {
  const at = JSON.stringify(field)
  // oxlint-disable-next-line no-implied-eval -- the only text that comes from outside are names, as JSON.stringify writes them
  return new Function(`'use strict'
return function addAndCopy(held, value) {
const sum = held[${at}] + value[${at}]
held[${at}] = sum
return { ${names.map(name => propertyText(name, name === field ? 'sum' : `held[${JSON.stringify(name)}]`)).join(', ')} }
}`)() as AddAndCopy
}
