/**
 * The entries of a page: a hash map that is given the hash. State knows the hash of every key (it chose the key group and
 * the page), and a `Map` would work out one of its own, for each record anew where keys come out of a batch as fresh
 * strings: that and its scattered buckets are most of what a lookup costs.
 *
 * Hash, key, value and a stamp lie side by side in one array with linear probing. A few entries are simply one after the other,
 * without gaps. Keys that were chosen so that their hashes are equal (Java's hash of text is no secret) are found through
 * a `Map`, whose hash is. Objects of a few numbers may lie in rows instead (`row-entries.ts`), which have the same methods.
 */
import { canonicalPair, isCanonicalPair } from '../../core/key-group.ts'
import type { CanonicalKey } from '../../core/key-group.ts'

/** Up to so many entries each is looked at: most pages of sessions hold one. */
const fewEntries = 8
/** Places in the array that an entry takes. */
const width = 4
/** Where an entry lies further than this from its slot, hashes are equal and not unlucky. */
const farthest = 64

export class Entries {
  readonly kind = 'objects'
  size = 0
  /** Fours of hash, key, value and stamp; in a free slot the key is undefined, and the hash a number, so that comparing stays cheap. */
  #data: unknown[] = []
  /** Slots - 1; 0: `#data` has no free slots and no order. */
  #mask = 0
  #shift = 0
  /** Where each key lies, if linear probing cannot tell. */
  #positions: Map<CanonicalKey, number> | undefined

  /** Where an entry lies, -1 if there is none; as in a `Map`, NaN is NaN. It stays there until the next `insert` or `removeAt`. `hash` is the key's own, always. */
  find(key: CanonicalKey, hash: number): number {
    const data = this.#data
    const mask = this.#mask
    if (mask === 0) return this.#findFew(key, hash)
    for (let slot = slotOf(hash, this.#shift); ; slot = (slot + 1) & mask) {
      const at = slot * width
      const held = data[at + 1]
      if (held === undefined) return -1
      if (data[at] === hash && (held === key || (held !== held && key !== key))) return at
    }
  }

  #findFew(key: CanonicalKey, hash: number): number {
    const data = this.#data
    if (this.#positions !== undefined) return this.#positions.get(key) ?? -1
    for (let at = 0; at < data.length; at += width) {
      const held = data[at + 1]
      if (data[at] === hash && (held === key || (held !== held && key !== key))) return at
    }
    return -1
  }

  /** `find` for the key `[first, second]` (`isPair`). */
  findPair(first: number, second: number, hash: number): number {
    const mask = this.#mask
    if (mask === 0) return this.#findFew(canonicalPair(first, second), hash)
    const data = this.#data
    for (let slot = slotOf(hash, this.#shift); ; slot = (slot + 1) & mask) {
      const at = slot * width
      const held = data[at + 1]
      if (held === undefined) return -1
      if (data[at] === hash && isCanonicalPair(held, first, second)) return at
    }
  }

  get(key: CanonicalKey, hash: number): unknown {
    const at = this.find(key, hash)
    return at < 0 ? undefined : this.#data[at + 2]
  }

  valueAt(position: number): unknown {
    return this.#data[position + 2]
  }

  /** Whether `valueAt` gives an object that is state's own. */
  isLive(position: number): boolean {
    return typeof this.#data[position + 2] === 'object'
  }

  /** Always true: anything can be kept here. */
  setAt(position: number, value: unknown): boolean {
    this.#data[position + 2] = value
    return true
  }

  keyAt(position: number): CanonicalKey {
    return this.#data[position + 1] as CanonicalKey
  }

  /** A number that the owner of the page keeps with the entry. */
  stampAt(position: number): number {
    return this.#data[position + 3] as number
  }

  setStamp(position: number, stamp: number): void {
    this.#data[position + 3] = stamp
  }

  /** Where it lies then. The key must not be there yet. */
  insert(key: CanonicalKey, hash: number, value: unknown, stamp = 0): number {
    if (this.#mask === 0) {
      if (this.#positions === undefined && this.size === fewEntries) this.#spread(fewEntries * 2)
    } else if (this.size * 3 >= this.#mask * 2) this.#spread((this.#mask + 1) * 2)
    this.size++
    if (this.#mask !== 0) {
      const at = this.#put(hash, key, value, stamp)
      if (at >= 0) return at
    }
    this.#positions?.set(key, this.#data.length)
    return this.#data.push(hash, key, value, stamp) - width
  }

  /** Makes room for so many more at once. */
  reserve(more: number): void {
    const size = this.size + more
    if (size <= fewEntries || this.#positions !== undefined) return
    let slots = Math.max(this.#mask + 1, fewEntries * 2)
    while ((size - 1) * 3 >= (slots - 1) * 2) slots *= 2
    if (slots > this.#mask + 1) this.#spread(slots)
  }

  removeAt(position: number): void {
    this.size--
    if (this.size === 0) {
      this.#data = []
      this.#mask = 0
      this.#positions = undefined
    } else if (this.#mask === 0) this.#fillFromEnd(position)
    else this.#closeGap(position)
  }

  delete(key: CanonicalKey, hash: number): void {
    const at = this.find(key, hash)
    if (at >= 0) this.removeAt(at)
  }

  /** Copies, all in one order. */
  hashes(): number[] {
    return this.#column(0) as number[]
  }
  keys(): CanonicalKey[] {
    return this.#column(1) as CanonicalKey[]
  }
  values(): unknown[] {
    return this.#column(2)
  }
  stamps(): number[] {
    return this.#column(3) as number[]
  }
  #column(offset: number): unknown[] {
    const data = this.#data
    const column: unknown[] = []
    for (let at = 0; at < data.length; at += width) if (data[at + 1] !== undefined) column.push(data[at + offset])
    return column
  }

  /** Appends those with a stamp from `since` on and before `until`. */
  collect(since: number, until: number, keys: unknown[], values: unknown[]): void {
    const data = this.#data
    for (let at = 0; at < data.length; at += width) {
      const stamp = data[at + 3] as number
      // In a free slot there is none, and 0 is a stamp too.
      if (stamp < since || stamp >= until || data[at + 1] === undefined) continue
      keys.push(data[at + 1])
      values.push(data[at + 2])
    }
  }

  /** How many have this bit in their hashes. */
  countWith(bit: number): number {
    const data = this.#data
    let count = 0
    for (let at = 0; at < data.length; at += width) if (((data[at] as number) & bit) !== 0 && data[at + 1] !== undefined) count++
    return count
  }

  /** Those without and those with this bit in their hashes. */
  split(bit: number): readonly [low: Entries, high: Entries] {
    const low = new Entries()
    const high = new Entries()
    const data = this.#data
    const ofHigh = this.countWith(bit)
    low.reserve(this.size - ofHigh)
    high.reserve(ofHigh)
    for (let at = 0; at < data.length; at += width) {
      const key = data[at + 1] as CanonicalKey | undefined
      if (key === undefined) continue
      const hash = data[at] as number
      ;((hash & bit) === 0 ? low : high).insert(key, hash, data[at + 2], data[at + 3] as number)
    }
    return [low, high]
  }

  /** Gives every entry a slot. */
  #spread(slots: number): void {
    const old = this.#data
    this.#data = freeSlots(slots)
    this.#mask = slots - 1
    this.#shift = Math.clz32(slots) + 1
    for (let at = 0; at < old.length; at += width) {
      if (old[at + 1] !== undefined && this.#put(old[at] as number, old[at + 1] as CanonicalKey, old[at + 2], old[at + 3] as number) < 0) {
        this.#data = old
        return this.#useMap()
      }
    }
  }

  /** Where it lies; -1, and a `Map` from now on, if that would be too far from its slot. */
  #put(hash: number, key: CanonicalKey, value: unknown, stamp: number): number {
    const data = this.#data
    let slot = slotOf(hash, this.#shift)
    for (let steps = 0; data[slot * width + 1] !== undefined; steps++) {
      if (steps === farthest) {
        this.#useMap()
        return -1
      }
      slot = (slot + 1) & this.#mask
    }
    const at = slot * width
    data[at] = hash
    data[at + 1] = key
    data[at + 2] = value
    data[at + 3] = stamp
    return at
  }

  #useMap(): void {
    const [hashes, keys, values, stamps] = [this.hashes(), this.keys(), this.values(), this.stamps()]
    this.#data = hashes.flatMap((hash, i) => [hash, keys[i], values[i], stamps[i]])
    this.#positions = new Map(keys.map((key, i) => [key, i * width]))
    this.#mask = 0
  }

  /** Without slots: the last entry takes the place. */
  #fillFromEnd(position: number): void {
    const data = this.#data
    this.#positions?.delete(data[position + 1] as CanonicalKey)
    const [hash, key, value, stamp] = data.splice(-width)
    if (position === data.length) return
    data[position] = hash
    data[position + 1] = key
    data[position + 2] = value
    data[position + 3] = stamp
    this.#positions?.set(key as CanonicalKey, position)
  }

  /** With slots: entries behind that would not be found across the gap move into it. */
  #closeGap(position: number): void {
    const data = this.#data
    const mask = this.#mask
    let gap = position / width
    for (let slot = (gap + 1) & mask; data[slot * width + 1] !== undefined; slot = (slot + 1) & mask) {
      const distance = (slot - slotOf(data[slot * width] as number, this.#shift)) & mask
      if (distance < ((slot - gap) & mask)) continue
      // A native call costs more.
      for (let i = 0; i < width; i++) data[gap * width + i] = data[slot * width + i]
      gap = slot
    }
    const at = gap * width
    data[at] = data[at + 3] = 0
    data[at + 1] = data[at + 2] = undefined
  }
}

/** Copied, which is faster than to fill an array; pages have no more slots than these. */
const kept = new Map<number, readonly unknown[]>()
const mostKept = 1024

function freeSlots(slots: number): unknown[] {
  const known = kept.get(slots)
  if (known !== undefined) return known.slice()
  const data = new Array<unknown>(slots * width).fill(undefined)
  for (let at = 0; at < data.length; at += width) data[at] = data[at + 3] = 0
  if (slots <= mostKept) kept.set(slots, data.slice())
  return data
}

/** The low bits of the hash chose the key group and the high ones the page: all of them are mixed. */
function slotOf(hash: number, shift: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> shift
}
