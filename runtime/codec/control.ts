/**
 * Messages of the control plane as msgpack: plain data, `Uint8Array` and undefined. What comes in is read under limits, so
 * that a small message cannot become a large object; names such as `__proto__` are own data. No extension but undefined.
 */
import { FlinkError } from '../core/errors.ts'
import { assert } from '../core/assert.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import {
  packArrayHeader, packBin, packBool, packMapHeader, packNil, packNumber, packString, packUndefined, Unpacker, type UnpackLimits,
} from './msgpack.ts'

const controlLimits: UnpackLimits = { depth: 64, elements: 1_000_000 }

/** @throws FlinkError `UNSUPPORTED_VALUE` for what is not plain data, or beyond the limits that the receiver has */
export function packMessage(message: unknown): Uint8Array {
  const out = new ByteWriter(512)
  let elements = 0
  const refuse = (thing: string, path: string) => new FlinkError('UNSUPPORTED_VALUE', `message: ${thing} cannot be sent`, { detail: `Found at ${path}.` })

  const write = (value: unknown, path: string, depth: number): void => {
    assert(++elements <= controlLimits.elements, `a control message of more than ${controlLimits.elements} values`)
    switch (typeof value) {
      case 'string':
        return writeText(value)
      case 'number':
        return packNumber(out, value)
      case 'boolean':
        return packBool(out, value)
      case 'undefined':
        return packUndefined(out)
      case 'object':
        if (value === null) return packNil(out)
        break
      default:
        throw refuse(`a ${typeof value}`, path)
    }
    if (value instanceof Uint8Array) return packBin(out, value)
    if (depth >= controlLimits.depth) throw refuse(`something nested deeper than ${controlLimits.depth} levels`, path)
    if (Array.isArray(value)) {
      packArrayHeader(out, value.length)
      for (let i = 0; i < value.length; i++) write(value[i], `${path}[${i}]`, depth + 1)
      return
    }
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) throw refuse('an object that is not plain', path)
    const names = Object.keys(value)
    packMapHeader(out, names.length)
    for (const name of names) {
      elements++
      writeText(name)
      write((value as Record<string, unknown>)[name], `${path}.${name}`, depth + 1)
    }
  }
  // Error texts of user code come through here: a lone surrogate in one must not stop the report of the error.
  const writeText = (text: string) => packString(out, text.toWellFormed())
  write(message, 'message', 0)
  return out.take()
}

/** @throws DecodeError */
export function unpackMessage(bytes: Uint8Array, limits: UnpackLimits = controlLimits): unknown {
  const input = new Unpacker(new ByteReader(bytes), limits)
  const message = input.read()
  input.end()
  return message
}
