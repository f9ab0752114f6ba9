/**
 * The key under which tables read and write. Its lookup key, hash and key group are worked out at the first access
 * under it and once only: many records touch no state at all, and a get and its put share them.
 */
import { AssertionFailure } from '../../core/assert.ts'
import { FlinkError } from '../../core/errors.ts'
import { canonicalKey, canonicalPair, isPair, spreadKeyHash } from '../../core/key-group.ts'
import type { CanonicalKey, KeyGroupRange } from '../../core/key-group.ts'

/** Of so many keys that came with a hash, one is hashed again. */
const checkEvery = 1024

export class CurrentKey {
  readonly #keyGroups: KeyGroupRange
  readonly #maxParallelism: number
  key: unknown = undefined
  /** Raised when the key changes, and when anything that a table may remember of the last access is out of date. */
  serial = 1
  /** Raised by `outdate` alone. */
  age = 0
  /** Valid after `resolve`, like `canonical`. */
  hash = 0
  keyGroup = -1
  /** Whether the key is one of two whole numbers (`core/key-group.ts`), and they: tables find it by them, without the text. */
  isPair = false
  first = 0
  second = 0
  #resolved = false
  /**
   * The lookup key, unless it is not asked for, or the key is text that stands for itself: storing it a second time would cost
   * another write barrier per record.
   */
  #lookup: CanonicalKey | undefined
  /** The hash that came with the key, or -1. */
  #spread = -1
  #untilCheck = 0

  constructor(keyGroups: KeyGroupRange, maxParallelism: number) {
    this.#keyGroups = keyGroups
    this.#maxParallelism = maxParallelism
  }

  /** `hash` is `spreadKeyHash(key)` where it is known. Throws `INVALID_KEY` where it is found not to be. */
  set(key: unknown, hash = -1): void {
    // Objects may have been changed since: they are looked at again.
    if ((hash < 0 || hash === this.#spread) && key === this.key && typeof key !== 'object') return
    if (hash >= 0 && --this.#untilCheck < 0) this.#check(key, hash)
    this.key = key
    this.serial++
    this.#resolved = false
    this.#spread = hash
  }

  get canonical(): CanonicalKey {
    if (this.#lookup === undefined && this.isPair) this.#lookup = canonicalPair(this.first, this.second)
    return this.#lookup ?? (this.key as string)
  }

  /** What a table, or anybody else, remembers of earlier accesses may be wrong from now on: a snapshot begins, objects left memory. */
  outdate(): void {
    this.serial++
    this.age++
  }

  resolve(): void {
    if (this.#resolved) return
    const { key } = this
    const spread = this.#spread >= 0 ? this.#spread : spreadKeyHash(key)
    const keyGroup = spread % this.#maxParallelism
    if (keyGroup < this.#keyGroups.start || keyGroup > this.#keyGroups.end) this.#notOurs(keyGroup)
    if (isPair(key)) {
      this.isPair = true
      this.first = key[0]
      this.second = key[1]
      this.#lookup = undefined
    } else {
      const lookup = canonicalKey(key)
      this.isPair = false
      this.#lookup = typeof key === 'string' && lookup === key ? undefined : lookup
    }
    this.hash = spread << 1
    this.keyGroup = keyGroup
    this.#resolved = true
  }

  /**
   * The sender chose the key group by the key that its selector gave; the one at hand was selected again here. A selector
   * that is not deterministic would put one key's records into many places.
   */
  #check(key: unknown, hash: number): void {
    this.#untilCheck = checkEvery
    if (spreadKeyHash(key) === hash) return
    throw new FlinkError('INVALID_KEY', 'the same record gave another key when it was sent', {
      hint: 'A key selector must be deterministic: no clock, no random numbers, no state of its own, and no change of the record.',
    })
  }

  #notOurs(keyGroup: number): never {
    const { start, end } = this.#keyGroups
    throw new AssertionFailure(`flink-ts bug: key group ${keyGroup} is not of this subtask (${start}..${end})`)
  }
}

/** Where a key lies among the pages of its key group: the bits that chose the key group are the last ones. Bit 0 is free. */
export function pageHash(key: unknown): number {
  return spreadKeyHash(key) << 1
}

/** Where a field of a map lies: first its key's bits, so that a key's fields are neighbours, then its own. Bit 0 is free, as in every page hash. */
export function fieldPageHash(keyHash32: number, field: unknown): number {
  return (keyHash32 & keyOfField) | (spreadKeyHash(field) & 0xfffe)
}
/** Bits of a field's hash that are its key's. */
export const keyBitsOfField = 16
export const keyOfField = 0xffff0000 | 0
