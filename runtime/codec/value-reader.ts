/** Values on their way in (`value-tags.ts`). */
import { DecodeError, type ByteReader } from './bytes.ts'
import { maxValueDepth, typedArrayClasses } from './kinds.ts'
import { noNames, type ObjectNames } from './object-names.ts'
import { define, type PlainObject } from './plain-object.ts'
import type { SharedShapes } from './shared-shapes.ts'
import { nodeBuffer, readShortAscii, text } from './text.ts'
import { maxShapes, shortInt, shortString, tag } from './value-tags.ts'

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

function readBigint(input: ByteReader): bigint {
  const bytes = input.raw(input.varint())
  let digits = ''
  for (let i = bytes.length - 1; i >= 0; i--) digits += (bytes[i] as number).toString(16).padStart(2, '0')
  return digits === '' ? 0n : BigInt(`0x${digits}`)
}
