/** Which built-in things are data, told by their prototype: a subclass is a class instance and is refused. */
import { nodeBuffer } from './text.ts'

/** How deep containers may nest inside one value. Deeper ones are refused on both sides: recursion has a bound. */
export const maxValueDepth = 256

export interface TypedArray extends ArrayBufferView {
  readonly length: number
  readonly BYTES_PER_ELEMENT: number
}
interface TypedArrayClass {
  readonly prototype: TypedArray
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer): TypedArray
}

// The position is the number on the wire and in snapshots: only append.
const names = [
  'Uint8Array', 'Int8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array',
  'BigInt64Array', 'BigUint64Array', 'Float16Array',
] as const
/** By their number; undefined where this runtime has no such class. */
export const typedArrayClasses = names.map(name => (globalThis as unknown as Partial<Record<string, TypedArrayClass>>)[name])
const indexOfPrototype = new Map<unknown, number>(typedArrayClasses.flatMap((type, index) => (type === undefined ? [] : [[type.prototype, index] as const])))

/** The number of the typed array class with this prototype; -1 if there is none. */
export const typedArrayIndex = (prototype: unknown): number => indexOfPrototype.get(prototype) ?? -1

/** Node's Buffer: a subclass, but one that everybody has in hand; it arrives as a Buffer. */
export const isBufferPrototype = (prototype: unknown): boolean => nodeBuffer !== undefined && prototype === nodeBuffer.prototype
