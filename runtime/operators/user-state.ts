/**
 * The state handles that a keyed process function sees as `ctx.state`: made once from the declared descriptors, reading
 * and writing under the backend's current key.
 *
 * Time to live is processing time, set by each write, never by a read; what has expired is never returned and is removed
 * when it is met (Flink `StateTtlConfig`: OnCreateAndWrite, NeverReturnExpired). The expiry is stored beside the value,
 * in a map beside each entry. So a restore keeps it (S7t).
 */
import { parseDuration, type Millis, type Timestamp } from '../core/time.ts'
import type { MapState, StateDescriptor, StateDescriptors, ValueState } from '../api/state.ts'
import { voidNamespace, type KeyedStateBackend, type MapTable, type ValueTable } from './keyed-state.ts'
import { createOwner } from './ownership.ts'
import { createCopier } from '../codec/copy.ts'

const copyDefault = createCopier({ what: 'default value' })

/** What the handles share: clock, whether values are copied, and whether user code has got hold of an object of state. */
export interface StateScope {
  now(): Timestamp
  readonly copies: boolean
  /** Raised by the first read of an object; from then on results may refer to state. */
  exposed: boolean
}

export type UserStates = Readonly<Record<string, ValueState<unknown> | MapState<unknown, unknown>>>

export function createUserStates(descriptors: StateDescriptors, backend: KeyedStateBackend, scope: StateScope): UserStates {
  const states = Object.create(noNames) as Record<string, ValueState<unknown> | MapState<unknown, unknown>>
  for (const [name, descriptor] of Object.entries(descriptors)) states[name] = createState(name, descriptor, backend, scope)
  return states
}

/**
 * The prototype of `ctx.state`: only what was declared has a name there. Without any prototype V8 would make a hash table of it, and
 * `ctx.state.NAME` is read for every record, some 10 ns each time. With an empty one it is a load.
 */
const noNames = Object.create(null) as object

function createState(name: string, descriptor: StateDescriptor, backend: KeyedStateBackend, scope: StateScope) {
  const ttl = descriptor.ttl === undefined ? undefined : parseDuration(descriptor.ttl, `ttl of state ${JSON.stringify(name)}`)
  if (descriptor.kind === 'map') return new TableMapState(new Expiring(ttl, scope), backend.maps(name), scope)
  const cells = new Expiring(ttl, scope)
  return new TableValueState(backend.values(name), cells, descriptor.defaultValue as unknown, scope)
}

/** `[value, expires at]` for state with a time to live; the bare value otherwise. */
type Cell = [value: unknown, expiresAt: Timestamp]

class Expiring {
  readonly #own = createOwner()
  readonly #ttl: Millis | undefined
  readonly #scope: StateScope

  constructor(ttl: Millis | undefined, scope: StateScope) {
    this.#ttl = ttl
    this.#scope = scope
  }
  get expires(): boolean {
    return this.#ttl !== undefined
  }
  /** Takes over a value that user code hands in, in place of what was stored. */
  wrap(value: unknown, stored: unknown): unknown {
    const held = this.value(stored)
    const owned = value === held || !this.#scope.copies ? value : this.#own(value, held)
    return this.#ttl === undefined ? owned : [owned, this.#scope.now() + this.#ttl]
  }
  expired(stored: unknown): boolean {
    return this.#ttl !== undefined && stored !== undefined && (stored as Cell)[1] <= this.#scope.now()
  }
  value(stored: unknown): unknown {
    return this.#ttl === undefined || stored === undefined ? stored : (stored as Cell)[0]
  }
}

class TableValueState implements ValueState<unknown> {
  readonly #table: ValueTable
  readonly #cells: Expiring
  readonly #wrap: (value: unknown, stored: unknown) => unknown
  readonly #defaultValue: unknown
  readonly #scope: StateScope

  constructor(table: ValueTable, cells: Expiring, defaultValue: unknown, scope: StateScope) {
    this.#table = table
    this.#cells = cells
    this.#wrap = (value, stored) => cells.wrap(value, stored)
    this.#defaultValue = defaultValue
    this.#scope = scope
  }

  value(): unknown {
    const stored = this.#table.get(voidNamespace)
    if (stored !== undefined) {
      if (!this.#cells.expired(stored)) return expose(this.#cells.value(stored), this.#scope)
      this.#table.remove(voidNamespace)
    }
    // A fresh copy each time: user code may change it and then `update` it.
    return copyDefault(this.#defaultValue)
  }
  /** `undefined` clears, as null does in Flink. */
  update(value: unknown): void {
    if (value === undefined) this.#table.remove(voidNamespace)
    // What is kept of it with its expiry is no copy of it alone.
    else if (this.#cells.expires) this.#table.put(voidNamespace, this.#cells.wrap(value, mayAlias(value) ? this.#table.get(voidNamespace) : undefined))
    else this.#table.update(voidNamespace, value, this.#wrap)
  }
  clear(): void {
    this.#table.remove(voidNamespace)
  }
}

class TableMapState implements MapState<unknown, unknown> {
  readonly #cells: Expiring
  readonly #table: MapTable
  readonly #scope: StateScope

  constructor(cells: Expiring, table: MapTable, scope: StateScope) {
    this.#cells = cells
    this.#table = table
    this.#scope = scope
  }

  get(key: unknown): unknown {
    const stored = this.#table.get(voidNamespace, key)
    if (!this.#cells.expired(stored)) return expose(this.#cells.value(stored), this.#scope)
    this.#table.remove(voidNamespace, key)
    return undefined
  }
  put(key: unknown, value: unknown): void {
    this.#table.put(voidNamespace, key, this.#cells.wrap(value, mayAlias(value) ? this.#table.get(voidNamespace, key) : undefined))
  }
  has(key: unknown): boolean {
    if (!this.#table.has(voidNamespace, key)) return false
    if (!this.#cells.expired(this.#table.get(voidNamespace, key))) return true
    this.#table.remove(voidNamespace, key)
    return false
  }
  delete(key: unknown): void {
    this.#table.remove(voidNamespace, key)
  }
  *entries(): Generator<[unknown, unknown]> {
    // A list first: user code may change the map while it walks through it.
    for (const [key, stored] of [...this.#table.entries(voidNamespace)]) {
      if (this.#cells.expired(stored)) this.#table.remove(voidNamespace, key)
      else yield [expose(key, this.#scope), expose(this.#cells.value(stored), this.#scope)]
    }
  }
  *keys(): Generator<unknown> {
    for (const [key] of this.entries()) yield key
  }
  *values(): Generator<unknown> {
    for (const [, value] of this.entries()) yield value
  }
  isEmpty(): boolean {
    if (this.#table.isEmpty(voidNamespace)) return true
    for (const _ of this.entries()) return false
    return true
  }
  clear(): void {
    this.#table.clear(voidNamespace)
  }
}

/** Whether what state holds now matters for the copy of `value`; if not, a look-up is saved. */
const mayAlias = (value: unknown) => typeof value === 'object' || typeof value === 'string'

function expose(value: unknown, scope: StateScope): unknown {
  if (typeof value === 'object' && value !== null) scope.exposed = true
  return value
}
