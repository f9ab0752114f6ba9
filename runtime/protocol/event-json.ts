/**
 * Events as lines of JSON. Results of a job (`collected`) and watermarks hold values that JSON does not know; they are
 * written as `{"$": kind, ...}`, and an object that has a `$` of its own is wrapped, so that everything comes back equal.
 */
import type { RuntimeEvent } from '../metrics/event.ts'

export const eventToJson = (event: RuntimeEvent): string => JSON.stringify(toJson(event))
export const eventFromJson = (line: string): RuntimeEvent => fromJson(JSON.parse(line)) as RuntimeEvent

/** Plain data of any kind to plain JSON. */
export function toJson(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { $: 'number', value: Object.is(value, -0) ? '-0' : String(value) }
    case 'bigint':
      return { $: 'bigint', value: String(value) }
    case 'object':
      return value === null ? null : objectToJson(value)
    default:
      return { $: 'undefined' }
  }
}

function objectToJson(value: object): unknown {
  if (Array.isArray(value)) return value.map(toJson)
  if (value instanceof Date) return { $: 'date', value: toJson(value.getTime()) }
  if (value instanceof Map) return { $: 'map', value: [...value].map(([key, item]) => [toJson(key), toJson(item)]) }
  if (value instanceof Set) return { $: 'set', value: [...value].map(toJson) }
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    return { $: 'bytes', type: Object.prototype.toString.call(value).slice(8, -1), value: [...bytes] }
  }
  const plain = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]))
  return Object.hasOwn(value, '$') ? { $: 'object', value: plain } : plain
}

const typedArrays: Readonly<Record<string, (buffer: ArrayBuffer) => unknown>> = {
  Uint8Array: buffer => new Uint8Array(buffer), Int8Array: buffer => new Int8Array(buffer), Uint8ClampedArray: buffer => new Uint8ClampedArray(buffer),
  Uint16Array: buffer => new Uint16Array(buffer), Int16Array: buffer => new Int16Array(buffer), Uint32Array: buffer => new Uint32Array(buffer), Int32Array: buffer => new Int32Array(buffer),
  Float32Array: buffer => new Float32Array(buffer), Float64Array: buffer => new Float64Array(buffer),
  BigInt64Array: buffer => new BigInt64Array(buffer), BigUint64Array: buffer => new BigUint64Array(buffer), DataView: buffer => new DataView(buffer),
}

export function fromJson(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json
  if (Array.isArray(json)) return json.map(fromJson)
  const tagged = json as { readonly $?: string; readonly type?: string; readonly value?: unknown }
  switch (tagged.$) {
    case undefined:
      return plainFromJson(json)
    case 'number':
      return Number(tagged.value)
    case 'bigint':
      return BigInt(tagged.value as string)
    case 'undefined':
      return undefined
    case 'date':
      return new Date(fromJson(tagged.value) as number)
    case 'map':
      return new Map((tagged.value as [unknown, unknown][]).map(([key, item]) => [fromJson(key), fromJson(item)]))
    case 'set':
      return new Set((tagged.value as unknown[]).map(fromJson))
    case 'bytes': {
      const { buffer } = Uint8Array.from(tagged.value as number[])
      return typedArrays[tagged.type ?? '']?.(buffer) ?? new Uint8Array(buffer)
    }
    default:
      return plainFromJson(tagged.value as object)
  }
}

const plainFromJson = (json: object) => Object.fromEntries(Object.entries(json).map(([key, item]) => [key, fromJson(item)]))
