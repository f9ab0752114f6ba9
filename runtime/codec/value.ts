/**
 * One value as bytes: a tag byte and what it needs. Writers and readers go over many values of one *document* (a column,
 * a page, a single value): an object's property names are written once per document and referred to by number after that.
 *
 * Equal values with properties in equal order give equal bytes: every choice below depends on the document's content only.
 * Two places that hold the same object arrive as two equal objects.
 *
 * What is checked: types, prototypes, holes, cycles and depth on every value; what an object can hide (accessors, symbols
 * as names, properties that are not enumerable) on the first object of each shape in a document, and what an array
 * can hide on the first array of it, because asking costs more than the encoding.
 */
import type { ByteReader, ByteWriter } from './bytes.ts'
import { DecodeError } from './bytes.ts'
import { isBufferPrototype, maxValueDepth, typedArrayClasses, typedArrayIndex } from './kinds.ts'
import { noNames, type ObjectNames } from './object-names.ts'
import { nodeBuffer, readShortAscii, text } from './text.ts'
import { unsupportedSignal } from './unsupported.ts'

// Part of the snapshot format: never reuse a number. 0x40-0x7f: ASCII text of 0-63 bytes. 0x80-0xff: the numbers 0-127.
const tag = {
  null: 0, undefined: 1, false: 2, true: 3,
  /** zigzag varint */
  int: 4,
  f64: 5,
  string: 6,
  /** sign in the tag, then length and magnitude in bytes, lowest first */
  bigint: 7, negativeBigint: 8,
  /** f64; NaN is the invalid date */
  date: 9,
  array: 10, map: 11, set: 12,
  /** new shape: count and names, then the values */
  newShape: 13,
  /** number of the shape, then the values */
  shaped: 14,
  /** count, then name and value; when the document has too many shapes */
  loose: 15,
  /** null as prototype; an object follows */
  bare: 16,
  /** class number, bytes */
  typedArray: 17, arrayBuffer: 18, buffer: 19,
  /** the text that the document repeats */
  repeated: 20,
} as const
const shortString = 0x40
const shortStringMax = 0x3f
const shortInt = 0x80

/** Beyond this, objects carry their names themselves. */
const maxShapes = 64
const maxShapeNames = 1024

type PlainObject = Record<string, unknown>
const { getPrototypeOf } = Object
const hasOwn = Object.hasOwn
const objectPrototype = Object.prototype
const arrayPrototype = Array.prototype

/** The names of objects in many documents, so that none of them has to hold any: small documents are a third as large. It only grows. */
export class SharedShapes {
  readonly names: (readonly string[])[] = []
  readonly read: ObjectNames[] = []

  constructor(names: readonly (readonly string[])[] = []) {
    for (const each of names) this.add(each)
  }

  add(names: readonly string[]): number {
    let read = noNames()
    for (const name of names) read = read.with(name)
    this.read.push(read)
    return this.names.push(names) - 1
  }
}

export class ValueWriter {
  readonly out: ByteWriter
  /** Text that takes one byte where it comes again. Who reads must know it. */
  repeated: string | undefined = undefined
  readonly #shared: SharedShapes | undefined
  #shapes: (readonly string[])[] = []
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
    if (this.#shared === undefined && this.#shapes.length > 0) this.#shapes = []
    if (this.#ancestors.length > 0) this.#ancestors.length = 0
    this.#arrayChecked = false
  }

  /** @throws UnsupportedSignal */
  write(value: unknown): void {
    const { out } = this
    switch (typeof value) {
      case 'string':
        this.#string(value)
        return
      case 'number':
        this.#number(value)
        return
      case 'boolean':
        out.u8(value ? tag.true : tag.false)
        return
      case 'undefined':
        out.u8(tag.undefined)
        return
      case 'bigint':
        writeBigint(out, value)
        return
      case 'object':
        if (value === null) out.u8(tag.null)
        else this.#object(value)
        return
      default:
        throw unsupportedSignal
    }
  }

  #number(value: number): void {
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

  #string(value: string): void {
    const { out } = this
    if (value === this.repeated) {
      out.u8(tag.repeated)
      return
    }
    const { length } = value
    if (length <= shortStringMax) {
      out.ensure(length + 1)
      const { bytes } = out
      const start = out.length
      let at = start + 1
      let all = 0
      for (let i = 0; i < length; i++) {
        const code = value.charCodeAt(i)
        all |= code
        bytes[at++] = code
      }
      if (all < 0x80) {
        bytes[start] = shortString + length
        out.length = at
        return
      }
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
    const keys = Object.keys(value)
    const shape = this.#shapeOf(keys)
    if (shape >= 0) {
      out.u8(tag.shaped)
      out.varint(shape)
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

  #values(value: PlainObject, keys: readonly string[]): void {
    for (let i = 0; i < keys.length; i++) this.write(value[keys[i] as string])
  }

  #shapeOf(keys: readonly string[]): number {
    const shapes = this.#shapes
    next: for (let s = 0; s < shapes.length; s++) {
      const shape = shapes[s] as readonly string[]
      if (shape.length !== keys.length) continue
      for (let i = 0; i < keys.length; i++) if (shape[i] !== keys[i]) continue next
      return s
    }
    return -1
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

/** Everything about an object that reading its enumerable properties would not show. */
export function refuseHidden(value: object, keys: readonly string[]): void {
  // These two calls take a fifth of the time of `Reflect.ownKeys`.
  if (Object.getOwnPropertyNames(value).length !== keys.length || Object.getOwnPropertySymbols(value).length > 0) throw unsupportedSignal
  for (const key of keys) if (Object.getOwnPropertyDescriptor(value, key)?.get !== undefined) throw unsupportedSignal
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

export class ValueReader {
  readonly #in: ByteReader
  readonly #shapes: ObjectNames[]
  /** What `ValueWriter.repeated` was. */
  repeated: string | undefined = undefined
  #depth = 0

  constructor(input: ByteReader, shared?: SharedShapes) {
    this.#in = input
    this.#shapes = shared === undefined ? [] : shared.read
  }

  /** @throws DecodeError */
  read(): unknown {
    const input = this.#in
    const kind = input.u8()
    if (kind >= shortInt) return kind - shortInt
    if (kind >= shortString) {
      const length = kind - shortString
      const start = input.skip(length)
      return length <= 12 ? readShortAscii(input.bytes, start, length) : text.readAscii(input.bytes, start, input.position)
    }
    switch (kind) {
      case tag.null:
        return null
      case tag.undefined:
        return undefined
      case tag.false:
        return false
      case tag.true:
        return true
      case tag.int: {
        const zigzag = input.varint()
        return (zigzag >>> 1) ^ -(zigzag & 1)
      }
      case tag.f64:
        return input.f64()
      case tag.string:
        return input.string()
      case tag.bigint:
        return readBigint(input)
      case tag.negativeBigint:
        return -readBigint(input)
      case tag.date:
        return new Date(input.f64())
      case tag.typedArray:
      case tag.arrayBuffer:
      case tag.buffer:
        return this.#binary(kind)
      case tag.repeated:
        if (this.repeated === undefined) throw new DecodeError(`nothing to repeat at ${input.position - 1}`)
        return this.repeated
      default:
        return this.#container(kind)
    }
  }

  #container(kind: number): unknown {
    const input = this.#in
    if (++this.#depth > maxValueDepth) throw new DecodeError(`nested deeper than ${maxValueDepth} levels at ${input.position}`)
    let value: unknown
    switch (kind) {
      case tag.array: {
        const count = input.count()
        value = this.#items(count)
        break
      }
      case tag.map: {
        const map = new Map<unknown, unknown>()
        for (let left = input.count(); left > 0; left--) {
          const key = this.read()
          map.set(key, this.read())
        }
        value = map
        break
      }
      case tag.set: {
        const set = new Set<unknown>()
        for (let left = input.count(); left > 0; left--) set.add(this.read())
        value = set
        break
      }
      case tag.bare: {
        const inner = input.u8()
        value = this.#properties(inner, Object.create(null) as PlainObject)
        break
      }
      default:
        value = this.#properties(kind, undefined)
    }
    this.#depth--
    return value
  }

  #items(count: number): unknown[] {
    // A literal has room for its items and no more; what is pushed to begins with room for 17.
    switch (count) {
      case 1:
        return [this.read()]
      case 2:
        return [this.read(), this.read()]
      case 3:
        return [this.read(), this.read(), this.read()]
      default: {
        const items: unknown[] = []
        for (let i = 0; i < count; i++) items.push(this.read())
        return items
      }
    }
  }

  #properties(kind: number, into: PlainObject | undefined): PlainObject {
    const input = this.#in
    let shape: ObjectNames
    if (kind === tag.loose) {
      const loose = into ?? {}
      for (let left = input.count(); left > 0; left--) {
        const name = input.string()
        define(loose, name, this.read())
      }
      return loose
    }
    if (kind === tag.newShape) {
      shape = noNames()
      for (let left = input.count(); left > 0; left--) shape = shape.then(input)
      if (this.#shapes.length >= maxShapes) throw new DecodeError('too many shapes')
      this.#shapes.push(shape)
    } else if (kind === tag.shaped) {
      const number = input.varint()
      const known = this.#shapes[number]
      if (known === undefined) throw new DecodeError(`shape ${number} is not there, at ${input.position}`)
      shape = known
    } else throw new DecodeError(`unknown tag ${kind} at ${input.position - 1}`)
    const { names } = shape
    // Every value takes a byte at least.
    if (names.length > input.end - input.position) throw new DecodeError(`cut short at ${input.position}`)
    if (into === undefined) {
      const made = shape.make(this)
      if (made !== undefined) return made
    }
    const object = into ?? {}
    for (let i = 0; i < names.length; i++) define(object, names[i] as string, this.read())
    return object
  }

  #binary(kind: number): unknown {
    const input = this.#in
    const index = kind === tag.typedArray ? input.u8() : 0
    const { buffer } = new Uint8Array(input.raw(input.varint()))
    if (kind === tag.arrayBuffer) return buffer
    if (kind === tag.buffer) return nodeBuffer === undefined ? new Uint8Array(buffer) : nodeBuffer.from(buffer, 0, buffer.byteLength)
    const type = typedArrayClasses[index]
    if (type === undefined) throw new DecodeError(`unknown kind of typed array ${index}`)
    if (buffer.byteLength % type.BYTES_PER_ELEMENT !== 0) throw new DecodeError(`${buffer.byteLength} bytes are no ${type.prototype.constructor.name}`)
    return new type(buffer)
  }
}

/** Own data whatever the name is: assigning to `__proto__` would change the prototype, and what somebody put on it may refuse to be assigned to. */
export function define(into: PlainObject, name: string, value: unknown): void {
  if (name in objectPrototype) Object.defineProperty(into, name, { value, writable: true, enumerable: true, configurable: true })
  else into[name] = value
}

function readBigint(input: ByteReader): bigint {
  const bytes = input.raw(input.varint())
  let digits = ''
  for (let i = bytes.length - 1; i >= 0; i--) digits += (bytes[i] as number).toString(16).padStart(2, '0')
  return digits === '' ? 0n : BigInt(`0x${digits}`)
}
