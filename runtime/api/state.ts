/**
 * Keyed state as users declare and use it. State is declared as data, so that it can be listed, checked, migrated and
 * restored before any record flows. Semantics: Flink `ValueState`, `MapState`, `StateTtlConfig` (processing time).
 */
import type { Duration, Millis } from '../core/time.ts'
import { describe, durationOption, refuse } from './refuse.ts'

export interface ValueStateDescriptor<T> {
  readonly kind: 'value'
  readonly ttl?: Duration
  readonly defaultValue?: T
  /** Only a type. */
  readonly _t?: (value: T) => T
}
export interface DefaultedValueStateDescriptor<T> extends ValueStateDescriptor<T> {
  readonly defaultValue: T
}
export interface MapStateDescriptor<K, V> {
  readonly kind: 'map'
  readonly ttl?: Duration
  readonly _k?: (key: K) => K
  readonly _v?: (value: V) => V
}
// oxlint-disable-next-line no-explicit-any -- descriptors of any type are listed together
export type StateDescriptor = ValueStateDescriptor<any> | MapStateDescriptor<any, any>
export type StateDescriptors = Readonly<Record<string, StateDescriptor>>

/**
 * One value per key. `value()` is undefined when there is none; with a declared default it is the default. What is changed in an
 * object that it gave is kept once it is given to `update`, and not before.
 */
export interface ValueState<T> {
  value(): T | undefined
  update(value: T): void
  clear(): void
}
export interface DefaultedValueState<T> extends ValueState<T> {
  value(): T
}
/** A map per key; entries expire and are stored one by one. The order of iteration is not promised. */
export interface MapState<K, V> {
  get(key: K): V | undefined
  put(key: K, value: V): void
  has(key: K): boolean
  delete(key: K): void
  entries(): Iterable<[K, V]>
  keys(): Iterable<K>
  values(): Iterable<V>
  isEmpty(): boolean
  clear(): void
}

export type StateOf<D> = {
  readonly [N in keyof D]: D[N] extends DefaultedValueStateDescriptor<infer T>
    ? DefaultedValueState<T>
    : D[N] extends ValueStateDescriptor<infer T>
      ? ValueState<T>
      : D[N] extends MapStateDescriptor<infer K, infer V>
        ? MapState<K, V>
        : never
}

/**
 * Declares one value per key. With a `default`, `value()` is never undefined; the default is the same for every key, so
 * never change it, and is not stored until you call `update`. With a `ttl` a value is gone that long (processing time)
 * after it was last written. Flink `ValueStateDescriptor`.
 *
 * @example
 * state: { count: valueState<number>({ default: 0 }), lastSeen: valueState<number>({ ttl: '1 h' }) }
 */
export function valueState<T>(options: { readonly default: T; readonly ttl?: Duration }): DefaultedValueStateDescriptor<T>
export function valueState<T>(options?: { readonly ttl?: Duration }): ValueStateDescriptor<T>
export function valueState<T>(options: { readonly default?: T; readonly ttl?: Duration } = {}): ValueStateDescriptor<T> {
  return Object.freeze({ kind: 'value', ...timeToLive(options.ttl), ...('default' in options ? { defaultValue: options.default as T } : {}) })
}

/**
 * Declares a map per key, of which every entry is stored (and expires) on its own. Flink `MapStateDescriptor`.
 *
 * @example
 * state: { lastPrice: mapState<string, number>({ ttl: '1 d' }) }
 */
export function mapState<K, V>(options: { readonly ttl?: Duration } = {}): MapStateDescriptor<K, V> {
  return Object.freeze({ kind: 'map', ...timeToLive(options.ttl) })
}

function timeToLive(ttl: Duration | undefined): { ttl?: Millis } {
  return ttl === undefined ? {} : { ttl: durationOption(ttl, 'ttl', 1) }
}

/** The compiler finds these mistakes; plain JavaScript and casts get here. */
export function checkStates(states: StateDescriptors | undefined): void {
  for (const [name, descriptor] of Object.entries(states ?? {})) {
    if (name === '' || name.startsWith('_')) refuse('INVALID_OPTION', `state ${JSON.stringify(name)} has a name that is taken`, { hint: 'Names of states are not empty and do not begin with an underscore.' })
    if (descriptor?.kind !== 'value' && descriptor?.kind !== 'map') refuse('INVALID_OPTION', `state "${name}" is ${describe(descriptor)}, not a declaration`, { hint: 'Declare state with valueState<T>() or mapState<K, V>().' })
  }
}
