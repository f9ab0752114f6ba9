/**
 * Entries of a page whose values are objects of a few numbers: no objects at all, but rows of one array of numbers (`row-layout.ts`).
 * Nothing is allocated that lives, so the garbage collector has nothing to copy or to mark, and an entry with its key lies in one or
 * two cache lines. What is read is a copy, and what is written is copied.
 *
 * It has the methods of `Entries`; those that add or change say when what they are given cannot lie in such a row (`value-entries.ts`).
 */
import { canonicalPair, isI32, keyOfShortTuple } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'
import { Entries } from './entries.ts'
import { keyOffset, wideView, type RowKeys, type RowLayout } from './row-layout.ts'

const fewestSlots = 16
/** No entry lies further than this from its slot. In a large table that is three quarters full, chance alone would put some there: it grows. */
const farthest = 64
/** So many slots for an entry: where even then one would lie too far from its slot, hashes are equal. */
const mostSlots = 8

export class RowEntries {
  readonly kind = 'rows'
  readonly layout: RowLayout
  size = 0
  readonly #width: number
  #mask = fewestSlots - 1
  #shift = Math.clz32(fewestSlots) + 1
  /** Rows, of which one is free where its hash is 0: bit 0 of those of entries is set here. */
  #i32: Int32Array
  /** The same memory. */
  #f64: Float64Array
  /** Keys that have no room in rows. */
  #keys: (CanonicalKey | undefined)[] | undefined

  constructor(layout: RowLayout) {
    this.layout = layout
    this.#width = layout.width
    this.#i32 = new Int32Array(fewestSlots * layout.width)
    this.#f64 = wideView(layout, this.#i32)
    this.#keys = layout.keys === 'others' ? new Array<CanonicalKey | undefined>(fewestSlots).fill(undefined) : undefined
  }

  /** Of the table, with those that are free: it never shrinks. */
  get slots(): number {
    return this.#mask + 1
  }

  find(key: CanonicalKey, hash: number): number {
    const { keys } = this.layout
    if (keys === 'two') {
      const pair = keyOfShortTuple(key)
      return pair?.length === 2 ? this.findPair(pair[0] as number, pair[1] as number, hash) : -1
    }
    if (keys === 'one' && !isI32(key)) return -1
    const i32 = this.#i32
    const mask = this.#mask
    const width = this.#width
    const own = this.#keys
    for (let slot = slotOf(hash, this.#shift); ; slot = (slot + 1) & mask) {
      const at = slot * width
      const held = i32[at]
      if (held === 0) return -1
      if (held !== (hash | 1)) continue
      if (own === undefined ? i32[at + keyOffset] === key : own[slot] === key || (own[slot] !== own[slot] && key !== key)) return slot
    }
  }

  findPair(first: number, second: number, hash: number): number {
    if (this.layout.keys !== 'two') return this.#keys === undefined ? -1 : this.find(canonicalPair(first, second), hash)
    const i32 = this.#i32
    const mask = this.#mask
    const width = this.#width
    for (let slot = slotOf(hash, this.#shift); ; slot = (slot + 1) & mask) {
      const at = slot * width
      const held = i32[at]
      if (held === 0) return -1
      if (held === (hash | 1) && i32[at + keyOffset] === first && i32[at + keyOffset + 1] === second) return slot
    }
  }

  get(key: CanonicalKey, hash: number): unknown {
    const at = this.find(key, hash)
    return at < 0 ? undefined : this.valueAt(at)
  }

  valueAt(position: number): unknown {
    return this.layout.read(this.#i32, this.#f64, position * this.#width)
  }

  /** What `valueAt` gives is nobody's. */
  isLive(_position: number): boolean {
    return false
  }

  /** False if the value cannot lie in such a row. */
  setAt(position: number, value: unknown): boolean {
    return this.layout.write(value, this.#i32, this.#f64, position * this.#width)
  }

  keyAt(position: number): CanonicalKey {
    const own = this.#keys
    if (own !== undefined) return own[position] as CanonicalKey
    const at = position * this.#width + keyOffset
    const first = this.#i32[at] as number
    return this.layout.keys === 'one' ? first : canonicalPair(first, this.#i32[at + 1] as number)
  }

  stampAt(position: number): number {
    return this.#i32[position * this.#width + 1] as number
  }

  setStamp(position: number, stamp: number): void {
    this.#i32[position * this.#width + 1] = stamp
  }

  /** Where it lies then; -1 if it cannot lie here. */
  insert(key: CanonicalKey, hash: number, value: unknown, stamp = 0): number {
    if (this.layout.keys !== 'others' && this.layout.keys !== rowKeysOf(key)) return -1
    if ((this.size + 1) * 4 > (this.#mask + 1) * 3 && !this.#spread((this.#mask + 1) * 2)) return -1
    const slot = this.#freeFor(hash)
    if (slot < 0 || !this.setAt(slot, value)) return -1
    const at = slot * this.#width
    const i32 = this.#i32
    i32[at] = hash | 1
    i32[at + 1] = stamp
    if (this.#keys !== undefined) this.#keys[slot] = key
    else if (typeof key === 'number') i32[at + keyOffset] = key
    else {
      const [first, second] = keyOfShortTuple(key) as number[]
      i32[at + keyOffset] = first as number
      i32[at + keyOffset + 1] = second as number
    }
    this.size++
    return slot
  }

  reserve(more: number): void {
    let slots = this.#mask + 1
    while ((this.size + more) * 4 > slots * 3) slots *= 2
    if (slots > this.#mask + 1) this.#spread(slots)
  }

  /** Entries behind that would not be found across the gap move into it. */
  removeAt(position: number): void {
    const i32 = this.#i32
    const width = this.#width
    const mask = this.#mask
    const own = this.#keys
    let gap = position
    for (let slot = (gap + 1) & mask; i32[slot * width] !== 0; slot = (slot + 1) & mask) {
      const distance = (slot - slotOf(i32[slot * width] as number, this.#shift)) & mask
      if (distance < ((slot - gap) & mask)) continue
      copyRow(i32, slot * width, i32, gap * width, width)
      if (own !== undefined) own[gap] = own[slot]
      gap = slot
    }
    i32[gap * width] = 0
    if (own !== undefined) own[gap] = undefined
    this.size--
  }

  delete(key: CanonicalKey, hash: number): void {
    const at = this.find(key, hash)
    if (at >= 0) this.removeAt(at)
  }

  /** Copies, all in one order. */
  hashes(): number[] {
    return this.#map(slot => (this.#i32[slot * this.#width] as number) & -2)
  }
  keys(): CanonicalKey[] {
    return this.#map(slot => this.keyAt(slot))
  }
  values(): unknown[] {
    return this.#map(slot => this.valueAt(slot))
  }
  stamps(): number[] {
    return this.#map(slot => this.stampAt(slot))
  }
  #map<T>(of: (slot: number) => T): T[] {
    const list: T[] = []
    for (let slot = 0; slot <= this.#mask; slot++) if (this.#i32[slot * this.#width] !== 0) list.push(of(slot))
    return list
  }

  /** Appends those with a stamp from `since` on and before `until`. Keys that are pairs come as such, and not in their canonical form. */
  collect(since: number, until: number, keys: unknown[], values: unknown[]): void {
    const i32 = this.#i32
    const width = this.#width
    const pairs = this.layout.keys === 'two'
    for (let slot = 0, at = 0; slot <= this.#mask; slot++, at += width) {
      const stamp = i32[at + 1] as number
      if (i32[at] === 0 || stamp < since || stamp >= until) continue
      keys.push(pairs ? [i32[at + keyOffset], i32[at + keyOffset + 1]] : this.keyAt(slot))
      values.push(this.valueAt(slot))
    }
  }

  /** Copies the rows of those with a stamp from `since` on and before `until`, one after another and without their stamps; returns how many. */
  copyRows(since: number, until: number, into: Int32Array): number {
    const i32 = this.#i32
    const width = this.#width
    let to = 0
    for (let at = 0; at < i32.length; at += width) {
      const stamp = i32[at + 1] as number
      if (i32[at] === 0 || stamp < since || stamp >= until) continue
      copyRow(i32, at, into, to, width)
      into[to + 1] = 0
      to += width
    }
    return to / width
  }

  /** How many have this bit, which is not the last, in their hashes. */
  countWith(bit: number): number {
    let count = 0
    for (let at = 0; at < this.#i32.length; at += this.#width) if (((this.#i32[at] as number) & bit) !== 0) count++
    return count
  }

  /** Those without and those with this bit, which is not the last, in their hashes. */
  split(bit: number): readonly [low: Entries | RowEntries, high: Entries | RowEntries] {
    const ofHigh = this.countWith(bit)
    const low = new RowEntries(this.layout)
    const high = new RowEntries(this.layout)
    low.reserve(this.size - ofHigh)
    high.reserve(ofHigh)
    for (let slot = 0; slot <= this.#mask; slot++) {
      const hash = this.#i32[slot * this.#width] as number
      if (hash !== 0 && !((hash & bit) === 0 ? low : high).#take(this, slot)) return this.toObjects().split(bit)
    }
    return [low, high]
  }

  toObjects(): Entries {
    const objects = new Entries()
    objects.reserve(this.size)
    const [hashes, keys, values, stamps] = [this.hashes(), this.keys(), this.values(), this.stamps()]
    for (let i = 0; i < hashes.length; i++) objects.insert(keys[i] as CanonicalKey, hashes[i] as number, values[i], stamps[i])
    return objects
  }

  /** A free slot, of a larger table if need be; -1 where hashes are equal. */
  #freeFor(hash: number): number {
    for (;;) {
      const slots = this.#mask + 1
      const slot = freeSlot(this.#i32, this.#width, this.#mask, slotOf(hash, this.#shift))
      if (slot >= 0) return slot
      if (this.size * mostSlots <= slots || !this.#spread(slots * 2)) return -1
    }
  }

  /** The row of an entry of others with the same layout; false where hashes are equal. */
  #take(from: RowEntries, position: number): boolean {
    const width = this.#width
    const hash = from.#i32[position * width] as number
    const slot = this.#freeFor(hash)
    if (slot < 0) return false
    copyRow(from.#i32, position * width, this.#i32, slot * width, width)
    if (this.#keys !== undefined) this.#keys[slot] = from.keyAt(position)
    this.size++
    return true
  }

  /** False, and nothing has changed, where hashes are equal. */
  #spread(slots: number): boolean {
    const old = this.#i32
    const oldKeys = this.#keys
    const width = this.#width
    const shift = Math.clz32(slots) + 1
    const i32 = new Int32Array(slots * width)
    const keys = oldKeys === undefined ? undefined : new Array<CanonicalKey | undefined>(slots).fill(undefined)
    for (let from = 0, slot = 0; from < old.length; from += width, slot++) {
      const hash = old[from] as number
      if (hash === 0) continue
      const to = freeSlot(i32, width, slots - 1, slotOf(hash, shift))
      if (to < 0) return false
      copyRow(old, from, i32, to * width, width)
      if (keys !== undefined) keys[to] = oldKeys?.[slot]
    }
    this.#i32 = i32
    this.#f64 = wideView(this.layout, i32)
    this.#keys = keys
    this.#mask = slots - 1
    this.#shift = shift
    return true
  }
}

/** Heap bytes of an entry, with what is free of its table. */
export function rowBytes({ width, keys }: RowLayout): number {
  return 2 * (width * 4 + (keys === 'others' ? 8 : 0))
}

export function rowKeysOf(key: CanonicalKey): RowKeys {
  return isI32(key) ? 'one' : typeof key === 'string' && key.length === 6 && keyOfShortTuple(key)?.length === 2 ? 'two' : 'others'
}

function freeSlot(i32: Int32Array, width: number, mask: number, slot: number): number {
  for (let steps = 0; steps < farthest; steps++) {
    if (i32[slot * width] === 0) return slot
    slot = (slot + 1) & mask
  }
  return -1
}

/** A loop: a native call costs more. */
function copyRow(from: Int32Array, start: number, into: Int32Array, at: number, width: number): void {
  for (let i = 0; i < width; i++) into[at + i] = from[start + i] as number
}

/** The low bits of the hash chose the key group and the high ones the page: all of them are mixed, but for the last, which is free. */
function slotOf(hash: number, shift: number): number {
  return Math.imul(hash & -2, 0x9e3779b1) >>> shift
}
