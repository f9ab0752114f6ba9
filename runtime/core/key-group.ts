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
  // One after another: V8 makes a call of a `switch` over all types.
  if (typeof key === 'string') return stringHash(key)
  if (typeof key === 'number') return numberHash(key)
  if (typeof key === 'object') return isPair(key) ? (Math.imul(31 + key[0], 31) + key[1]) | 0 : compositeHash(key, key)
  if (typeof key === 'bigint') return longHash(key)
  if (typeof key === 'boolean') return key ? 1231 : 1237
  return compositeHash(key, key)
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

/** `whole` is what it is a part of. */
function compositeHash(part: unknown, whole: unknown): number {
  let hash = 1
  if (Array.isArray(part)) {
    for (let i = 0; i < part.length; i++) hash = (Math.imul(hash, 31) + partHash(part[i], whole)) | 0
    return hash
  }
  if (!isPlainObject(part)) throw invalidKey(whole)
  for (const name of Object.keys(part)) hash = (Math.imul(hash, 31) + partHash(part[name], whole)) | 0
  return hash
}

function partHash(part: unknown, whole: unknown): number {
  const type = typeof part
  if (type === 'object' || type === 'undefined' || type === 'function' || type === 'symbol') return compositeHash(part, whole)
  return keyHash(part)
}

/** The path is worked out for the error only: keys are hashed for every record. */
function invalidKey(whole: unknown): FlinkError {
  const { part, path } = firstInvalid(whole, 'key') ?? { part: whole, path: 'key' }
  const what = part === null ? 'null' : typeof part === 'object' ? `a ${part.constructor?.name ?? 'strange object'}` : part === undefined ? 'undefined' : `a ${typeof part}`
  return new FlinkError('INVALID_KEY', `${what} cannot be a key`, { detail: `Found at ${path}.` })
}

function firstInvalid(part: unknown, path: string): { readonly part: unknown; readonly path: string } | undefined {
  if (Array.isArray(part)) {
    for (let i = 0; i < part.length; i++) {
      const found = firstInvalid(part[i], `${path}[${i}]`)
      if (found !== undefined) return found
    }
    return undefined
  }
  if (isPlainObject(part)) {
    for (const name of Object.keys(part)) {
      const found = firstInvalid(part[name], `${path}.${name}`)
      if (found !== undefined) return found
    }
    return undefined
  }
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof part) ? undefined : { part, path }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** One lookup key per equal key: primitives stand for themselves, composites become text. Equal iff the keys are. Lives in memory only. */
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
      return shortTuple(key) ?? `\u0001${compositeText(key, key)}`
  }
}

const { fromCharCode } = String
export const isI32 = (part: unknown): part is number => typeof part === 'number' && (part | 0) === part

/** Of two or three whole numbers, the usual composite key: two UTF-16 units for each, behind one that no other composite has there. */
function shortTuple(key: unknown): string | undefined {
  if (isPair(key)) return canonicalPair(key[0], key[1])
  if (!Array.isArray(key) || key.length !== 3) return undefined
  const [a, b, c] = key as readonly unknown[]
  if (!isI32(a) || !isI32(b) || !isI32(c)) return undefined
  return fromCharCode(1, 3, a >>> 16, a & 0xffff, b >>> 16, b & 0xffff, c >>> 16, c & 0xffff)
}

/** A key of two whole numbers of 32 bits. */
export function isPair(key: unknown): key is readonly [number, number] {
  return Array.isArray(key) && key.length === 2 && isI32(key[0]) && isI32(key[1])
}

/** `canonicalKey([first, second])` of such a key. */
export function canonicalPair(first: number, second: number): string {
  return fromCharCode(1, 2, first >>> 16, first & 0xffff, second >>> 16, second & 0xffff)
}

/** Whether a canonical key is that of such a key: to make its text for each look-up takes longer than to read this one. */
export function isCanonicalPair(canonical: unknown, first: number, second: number): boolean {
  return (
    typeof canonical === 'string' &&
    canonical.length === 6 &&
    canonical.charCodeAt(5) === (second & 0xffff) &&
    canonical.charCodeAt(4) === second >>> 16 &&
    canonical.charCodeAt(3) === (first & 0xffff) &&
    canonical.charCodeAt(2) === first >>> 16 &&
    canonical.charCodeAt(1) === 2 &&
    canonical.charCodeAt(0) === 1
  )
}

/** The key that a canonical one of that form stands for; undefined: it is of another form. */
export function keyOfShortTuple(canonical: CanonicalKey): number[] | undefined {
  if (!isShortTuple(canonical)) return undefined
  const part = (at: number) => (canonical.charCodeAt(at) << 16) | canonical.charCodeAt(at + 1)
  return canonical.charCodeAt(1) === 2 ? [part(2), part(4)] : [part(2), part(4), part(6)]
}

export function isShortTuple(canonical: CanonicalKey): canonical is string {
  return typeof canonical === 'string' && canonical.charCodeAt(0) === 1 && (canonical.charCodeAt(1) === 2 || canonical.charCodeAt(1) === 3)
}

/** Text has its length in front: nothing needs escaping. `whole` is what it is a part of. */
function compositeText(part: unknown, whole: unknown): string {
  switch (typeof part) {
    case 'string':
      return `${part.length}:${part}`
    case 'number':
      return part === 0 ? '0' : `${part}`
    case 'bigint':
      return `${part}n`
    case 'boolean':
      return `${part}`
    default:
      return nestedText(part, whole)
  }
}

function nestedText(part: unknown, whole: unknown): string {
  // Joining gives flat text, which is compared and hashed at once.
  const texts: string[] = []
  if (Array.isArray(part)) {
    for (let i = 0; i < part.length; i++) texts.push(compositeText(part[i], whole))
    return `[${texts.join(',')}]`
  }
  if (!isPlainObject(part)) throw invalidKey(whole)
  for (const [name, value] of Object.entries(part)) texts.push(`${name.length}:${name}=${compositeText(value, whole)}`)
  return `{${texts.join(',')}}`
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
