/** Values on their way out (`value-tags.ts`). */
import type { ByteWriter } from './bytes.ts'
import { isBufferPrototype, maxValueDepth, typedArrayIndex } from './kinds.ts'
import { objectWriter, type ObjectWriter } from './object-writers.ts'
import { refuseHidden, type PlainObject } from './plain-object.ts'
import type { SharedShapes } from './shared-shapes.ts'
import { unsupportedSignal } from './unsupported.ts'
import { maxShapes, shortInt, shortString, shortStringMax, tag } from './value-tags.ts'

/** An object with more names carries them itself. */
const maxShapeNames = 1024

const { getPrototypeOf } = Object
const hasOwn = Object.hasOwn
const objectPrototype = Object.prototype
const arrayPrototype = Array.prototype

export class ValueWriter {
  readonly out: ByteWriter
  /** Text that takes one byte where it comes again. Who reads must know it. */
  repeated: string | undefined = undefined
  readonly #shared: SharedShapes | undefined
  #shapes: (readonly string[])[] = []
  /** How the objects of each shape are written, once there was a second of it. */
  #writers: ObjectWriter[] = []
  /** The shapes and writers of the document before: mostly those of the next. */
  #shapesBefore: (readonly string[])[] = []
  #writersBefore: ObjectWriter[] = []
  #lastShape = -1
  #ancestors: object[] = []
  #arrayChecked = false

  /** @param shared takes the names of objects; none is written. Who reads needs the same. */
  constructor(out: ByteWriter, shared?: SharedShapes) {
    this.out = out
    this.#shared = shared
    if (shared !== undefined) this.#shapes = shared.names
  }

  /** Begins a new document; also after an error. */
  begin(): void {
    if (this.#shared === undefined && this.#shapes.length > 0) {
      if (this.#writers.length > 0) {
        this.#shapesBefore = this.#shapes
        this.#writersBefore = this.#writers
      }
      this.#shapes = []
      this.#writers = []
      this.#lastShape = -1
    }
    if (this.#ancestors.length > 0) this.#ancestors.length = 0
    this.#arrayChecked = false
  }

  /** @throws UnsupportedSignal */
  write(value: unknown): void {
    // One after another: V8 makes a call of a `switch` over all types.
    if (typeof value === 'string') this.string(value)
    else if (typeof value === 'number') this.number(value)
    else if (typeof value === 'object') {
      if (value === null) this.out.u8(tag.null)
      else this.#object(value)
    } else this.#other(value)
  }

  #other(value: unknown): void {
    const { out } = this
    if (typeof value === 'boolean') out.u8(value ? tag.true : tag.false)
    else if (value === undefined) out.u8(tag.undefined)
    else if (typeof value === 'bigint') writeBigint(out, value)
    else throw unsupportedSignal
  }

  number(value: number): void {
    const { out } = this
    const int = value | 0
    if (int === value && (int !== 0 || 1 / value > 0)) {
      if (int >= 0 && int < 128) out.u8(shortInt + int)
      else {
        out.u8(tag.int)
        out.varint(((int << 1) ^ (int >> 31)) >>> 0)
      }
    } else {
      out.ensure(9)
      out.bytes[out.length++] = tag.f64
      out.f64(value)
    }
  }

  string(value: string): void {
    const { out } = this
    if (value === this.repeated) {
      out.u8(tag.repeated)
      return
    }
    const { length } = value
    if (length <= shortStringMax) {
      out.ensure(length * 3 + 1)
      if (out.ascii(shortString + length, value)) return
    }
    out.u8(tag.string)
    out.string(value)
  }

  #object(value: object): void {
    const ancestors = this.#ancestors
    // Nesting is shallow in practice, so looking through the ancestors is cheaper than a set.
    if (ancestors.length >= maxValueDepth || ancestors.includes(value)) throw unsupportedSignal
    ancestors.push(value)
    const prototype: unknown = getPrototypeOf(value)
    if (prototype === objectPrototype) this.#properties(value as PlainObject)
    else if (prototype === arrayPrototype && Array.isArray(value)) this.#array(value)
    else this.#rare(value, prototype)
    ancestors.pop()
  }

  #array(value: readonly unknown[]): void {
    const { out } = this
    if (!this.#arrayChecked) {
      this.#arrayChecked = true
      if (Object.keys(value).length !== value.length || Object.getOwnPropertySymbols(value).length > 0) throw unsupportedSignal
    }
    // What `match` returns, the one array with extra properties that people have in hand.
    if ((value as { index?: unknown }).index !== undefined) throw unsupportedSignal
    out.u8(tag.array)
    out.varint(value.length)
    for (let i = 0; i < value.length; i++) {
      const item = value[i]
      if (item === undefined && !hasOwn(value, i)) throw unsupportedSignal
      this.write(item)
    }
  }

  #properties(value: PlainObject): void {
    const { out } = this
    const last = this.#lastShape
    if (last >= 0 && this.#writers[last]?.(this, value, last) === true) return
    const keys = Object.keys(value)
    const shape = shapeIn(this.#shapes, keys)
    if (shape >= 0) {
      this.#lastShape = shape
      const write = (this.#writers[shape] ??= this.#writerOf(this.#shapes[shape] as readonly string[]))
      if (shape !== last && write(this, value, shape)) return
      this.beginShaped(shape)
    } else {
      refuseHidden(value, keys)
      const known = this.#shapes.length < maxShapes && keys.length <= maxShapeNames
      if (known && this.#shared !== undefined) {
        out.u8(tag.shaped)
        out.varint(this.#shared.add(keys))
        this.#values(value, keys)
        return
      }
      out.u8(known ? tag.newShape : tag.loose)
      out.varint(keys.length)
      if (!known) {
        for (const key of keys) {
          out.string(key)
          this.write(value[key])
        }
        return
      }
      this.#shapes.push(keys)
      for (const key of keys) out.string(key)
    }
    this.#values(value, keys)
  }

  /** The values of that shape's properties follow. */
  beginShaped(shape: number): void {
    this.out.u8(tag.shaped)
    this.out.varint(shape)
  }

  #values(value: PlainObject, keys: readonly string[]): void {
    for (let i = 0; i < keys.length; i++) this.write(value[keys[i] as string])
  }

  #writerOf(names: readonly string[]): ObjectWriter {
    return this.#writersBefore[shapeIn(this.#shapesBefore, names)] ?? objectWriter(names)
  }

  #rare(value: object, prototype: unknown): void {
    const { out } = this
    if (prototype === null) {
      out.u8(tag.bare)
      this.#properties(value as PlainObject)
    } else if (prototype === Date.prototype && value instanceof Date) {
      out.u8(tag.date)
      out.f64(value.getTime())
    } else if (prototype === Map.prototype && value instanceof Map) {
      out.u8(tag.map)
      out.varint(value.size)
      for (const [key, item] of value as Map<unknown, unknown>) {
        this.write(key)
        this.write(item)
      }
    } else if (prototype === Set.prototype && value instanceof Set) {
      out.u8(tag.set)
      out.varint(value.size)
      for (const item of value) this.write(item)
    } else if (prototype === ArrayBuffer.prototype && value instanceof ArrayBuffer && !value.resizable && !value.detached) {
      out.u8(tag.arrayBuffer)
      out.varint(value.byteLength)
      out.raw(new Uint8Array(value))
      return
    } else if (ArrayBuffer.isView(value)) {
      const index = typedArrayIndex(prototype)
      if (index >= 0) {
        out.u8(tag.typedArray)
        out.u8(index)
      } else if (isBufferPrototype(prototype)) out.u8(tag.buffer)
      else throw unsupportedSignal
      out.varint(value.byteLength)
      out.raw(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
      return
    } else throw unsupportedSignal
    if (prototype !== null && Reflect.ownKeys(value).length > 0) throw unsupportedSignal
  }
}

/** Number of the shape with exactly these names, -1 if there is none. */
function shapeIn(shapes: readonly (readonly string[])[], names: readonly string[]): number {
  next: for (let s = 0; s < shapes.length; s++) {
    const shape = shapes[s] as readonly string[]
    if (shape.length !== names.length) continue
    for (let i = 0; i < names.length; i++) if (shape[i] !== names[i]) continue next
    return s
  }
  return -1
}

function writeBigint(out: ByteWriter, value: bigint): void {
  out.u8(value < 0n ? tag.negativeBigint : tag.bigint)
  // Two hex digits a byte: linear, where shifting byte by byte is quadratic.
  const digits = (value < 0n ? -value : value).toString(16)
  const length = (digits.length + 1) >> 1
  out.varint(length)
  out.ensure(length)
  for (let i = 0; i < length; i++) {
    const end = digits.length - 2 * i
    out.bytes[out.length++] = Number.parseInt(digits.slice(Math.max(0, end - 2), end), 16)
  }
}
