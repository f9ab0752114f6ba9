/**
 * The entries of a page: a hash map that is given the hash. State knows the hash of every key (it chose the key group and
 * the page), and a `Map` would work out one of its own, for each record anew where keys come out of a batch as fresh
 * strings: that and its scattered buckets are most of what a lookup costs.
 *
 * Hash, key and value lie side by side in one array with linear probing. A few entries are simply one after the other,
 * without gaps. Keys that were chosen so that their hashes are equal (Java's hash of text is no secret) are found through
 * a `Map`, whose hash is.
 */
import type { CanonicalKey } from '../../core/key-group.ts'

/** Up to so many entries each is looked at: most pages of sessions hold one. */
const fewEntries = 8
/** Where an entry lies further than this from its slot, hashes are equal and not unlucky. */
const farthest = 64

export class Entries {
  size = 0
  /** Threes of hash, key and value; in a free slot the key is undefined, and the hash a number, so that comparing stays cheap. */
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
      const at = slot * 3
      const held = data[at + 1]
      if (held === undefined) return -1
      if (data[at] === hash && (held === key || (held !== held && key !== key))) return at
    }
  }

  #findFew(key: CanonicalKey, hash: number): number {
    const data = this.#data
    if (this.#positions !== undefined) return this.#positions.get(key) ?? -1
    for (let at = 0; at < data.length; at += 3) {
      const held = data[at + 1]
      if (data[at] === hash && (held === key || (held !== held && key !== key))) return at
    }
    return -1
  }

  get(key: CanonicalKey, hash: number): unknown {
    const at = this.find(key, hash)
    return at < 0 ? undefined : this.#data[at + 2]
  }

  valueAt(position: number): unknown {
    return this.#data[position + 2]
  }

  setAt(position: number, value: unknown): void {
    this.#data[position + 2] = value
  }

  /** Where it lies then. The key must not be there yet. */
  insert(key: CanonicalKey, hash: number, value: unknown): number {
    if (this.#mask === 0) {
      if (this.#positions === undefined && this.size === fewEntries) this.#spread(fewEntries * 2)
    } else if (this.size * 3 >= this.#mask * 2) this.#spread((this.#mask + 1) * 2)
    this.size++
    if (this.#mask !== 0) {
      const at = this.#put(hash, key, value)
      if (at >= 0) return at
    }
    this.#positions?.set(key, this.#data.length)
    return this.#data.push(hash, key, value) - 3
  }

  set(key: CanonicalKey, hash: number, value: unknown): void {
    const at = this.find(key, hash)
    if (at < 0) this.insert(key, hash, value)
    else this.setAt(at, value)
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
  #column(offset: number): unknown[] {
    const data = this.#data
    const column: unknown[] = []
    for (let at = 0; at < data.length; at += 3) if (data[at + 1] !== undefined) column.push(data[at + offset])
    return column
  }

  /** Gives every entry a slot. */
  #spread(slots: number): void {
    const old = this.#data
    const data = new Array<unknown>(slots * 3).fill(undefined)
    for (let at = 0; at < data.length; at += 3) data[at] = 0
    this.#data = data
    this.#mask = slots - 1
    this.#shift = Math.clz32(slots) + 1
    for (let at = 0; at < old.length; at += 3) {
      if (old[at + 1] !== undefined && this.#put(old[at] as number, old[at + 1] as CanonicalKey, old[at + 2]) < 0) {
        this.#data = old
        return this.#useMap()
      }
    }
  }

  /** Where it lies; -1, and a `Map` from now on, if that would be too far from its slot. */
  #put(hash: number, key: CanonicalKey, value: unknown): number {
    const data = this.#data
    let slot = slotOf(hash, this.#shift)
    for (let steps = 0; data[slot * 3 + 1] !== undefined; steps++) {
      if (steps === farthest) {
        this.#useMap()
        return -1
      }
      slot = (slot + 1) & this.#mask
    }
    data[slot * 3] = hash
    data[slot * 3 + 1] = key
    data[slot * 3 + 2] = value
    return slot * 3
  }

  #useMap(): void {
    const [hashes, keys, values] = [this.hashes(), this.keys(), this.values()]
    this.#data = hashes.flatMap((hash, i) => [hash, keys[i], values[i]])
    this.#positions = new Map(keys.map((key, i) => [key, i * 3]))
    this.#mask = 0
  }

  /** Without slots: the last entry takes the place. */
  #fillFromEnd(position: number): void {
    const data = this.#data
    this.#positions?.delete(data[position + 1] as CanonicalKey)
    const [hash, key, value] = data.splice(-3)
    if (position === data.length) return
    data[position] = hash
    data[position + 1] = key
    data[position + 2] = value
    this.#positions?.set(key as CanonicalKey, position)
  }

  /** With slots: entries behind that would not be found across the gap move into it. */
  #closeGap(position: number): void {
    const data = this.#data
    const mask = this.#mask
    let gap = position / 3
    for (let slot = (gap + 1) & mask; data[slot * 3 + 1] !== undefined; slot = (slot + 1) & mask) {
      const distance = (slot - slotOf(data[slot * 3] as number, this.#shift)) & mask
      if (distance < ((slot - gap) & mask)) continue
      data.copyWithin(gap * 3, slot * 3, slot * 3 + 3)
      gap = slot
    }
    data[gap * 3] = 0
    data[gap * 3 + 1] = undefined
    data[gap * 3 + 2] = undefined
  }
}

/** The low bits of the hash chose the key group and the high ones the page: all of them are mixed. */
function slotOf(hash: number, shift: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> shift
}
