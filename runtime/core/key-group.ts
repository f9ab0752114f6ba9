/**
 * Keys, key groups and who owns them: Flink's formulas bit for bit (`KeyGroupRangeAssignment`, `MathUtils.murmurHash`,
 * Java's `hashCode`), so that state can move between us and Flink.
 *
 * A number that fits 32 bits hashes as Java `Integer`, a larger safe integer or a bigint as `Long`, any other number as
 * `Double`, text as `String`, a boolean as `Boolean`, an array or plain object as the 31-polynomial over its parts in
 * order. -0 and 0 are one key; NaN is one key; anything else is refused with its path.
 */
import { FlinkError } from './errors.ts'
import { assert } from './assert.ts'

export function keyHash(key: unknown): number {
  switch (typeof key) {
    case 'string':
      return stringHash(key)
    case 'number':
      return numberHash(key)
    case 'bigint':
      return longHash(key)
    case 'boolean':
      return key ? 1231 : 1237
    default:
      return compositeHash(key, 'key')
  }
}

function stringHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

const scratch = new DataView(new ArrayBuffer(8))

function numberHash(value: number): number {
  if ((value | 0) === value) return value | 0
  if (Number.isSafeInteger(value)) return longHash(BigInt(value))
  scratch.setFloat64(0, Number.isNaN(value) ? NaN : value)
  return scratch.getInt32(0) ^ scratch.getInt32(4)
}

function longHash(value: bigint): number {
  const bits = BigInt.asUintN(64, value)
  return Number(BigInt.asIntN(32, bits ^ (bits >> 32n)))
}

function compositeHash(key: unknown, path: string): number {
  if (Array.isArray(key)) {
    let hash = 1
    for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + partHash(key[i], `${path}[${i}]`)) | 0
    return hash
  }
  if (isPlainObject(key)) {
    let hash = 1
    for (const name of Object.keys(key)) hash = (Math.imul(hash, 31) + partHash(key[name], `${path}.${name}`)) | 0
    return hash
  }
  throw invalidKey(key, path)
}

function partHash(part: unknown, path: string): number {
  const type = typeof part
  if (type === 'object' || type === 'undefined' || type === 'function' || type === 'symbol') return compositeHash(part, path)
  return keyHash(part)
}

function invalidKey(key: unknown, path: string): FlinkError {
  const what = key === null ? 'null' : typeof key === 'object' ? `a ${key.constructor?.name ?? 'strange object'}` : key === undefined ? 'undefined' : `a ${typeof key}`
  return new FlinkError('INVALID_KEY', `${what} cannot be a key`, { detail: `Found at ${path}.` })
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** One lookup key per equal key: primitives stand for themselves, composites become text. Equal iff the keys are. */
export type CanonicalKey = string | number | bigint | boolean

export function canonicalKey(key: unknown): CanonicalKey {
  switch (typeof key) {
    case 'string':
      // Composites start with U+0001, so a user's text that starts so is escaped.
      return key.charCodeAt(0) === 1 ? `\u0001s${key}` : key
    case 'number':
      return key === 0 ? 0 : key
    case 'bigint':
    case 'boolean':
      return key
    default:
      compositeHash(key, 'key')
      return `\u0001${compositeText(key)}`
  }
}

function compositeText(key: unknown): string {
  if (Array.isArray(key)) return `[${key.map(compositeText).join(',')}]`
  if (typeof key === 'object' && key !== null) {
    return `{${Object.entries(key)
      .map(([name, part]) => `${JSON.stringify(name)}:${compositeText(part)}`)
      .join(',')}}`
  }
  if (typeof key === 'string') return JSON.stringify(key)
  if (typeof key === 'bigint') return `${key}n`
  return Object.is(key, -0) ? '0' : String(key)
}

/** Flink `MathUtils.murmurHash`: spreads a hash code; never negative. */
export function murmurHash(code: number): number {
  code = Math.imul(code, 0xcc9e2d51)
  code = (code << 15) | (code >>> 17)
  code = Math.imul(code, 0x1b873593)
  code = (code << 13) | (code >>> 19)
  code = (Math.imul(code, 5) + 0xe6546b64) | 0
  code ^= 4
  code ^= code >>> 16
  code = Math.imul(code, 0x85ebca6b)
  code ^= code >>> 13
  code = Math.imul(code, 0xc2b2ae35)
  code ^= code >>> 16
  return code >= 0 ? code : code === -2147483648 ? 0 : -code
}

/** The hash that chooses the key group: 31 bits, never negative. */
export function spreadKeyHash(key: unknown): number {
  return murmurHash(keyHash(key))
}

export function keyGroupOf(key: unknown, maxParallelism: number): number {
  return spreadKeyHash(key) % maxParallelism
}

/** The subtask that owns a key group (Flink `computeOperatorIndexForKeyGroup`). */
export function subtaskOfKeyGroup(keyGroup: number, parallelism: number, maxParallelism: number): number {
  return Math.floor((keyGroup * parallelism) / maxParallelism)
}

/** Key groups `start..end`, both inclusive; empty when `end < start`. */
export interface KeyGroupRange {
  readonly start: number
  readonly end: number
}

export function keyGroupRangeOf(subtask: number, parallelism: number, maxParallelism: number): KeyGroupRange {
  assert(parallelism <= maxParallelism, `parallelism ${parallelism} is above max parallelism ${maxParallelism}`)
  return {
    start: Math.floor((subtask * maxParallelism + parallelism - 1) / parallelism),
    end: Math.floor(((subtask + 1) * maxParallelism - 1) / parallelism),
  }
}

/** Flink's default: 128 up to parallelism 85, then the next power of two above 1.5 x, at most 32,768. */
export function defaultMaxParallelism(parallelism: number): number {
  let power = 1
  while (power < parallelism + Math.floor(parallelism / 2)) power *= 2
  return Math.min(Math.max(power, 128), 32768)
}
