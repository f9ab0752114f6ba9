/**
 * Entries as the bodies of records, and back: key and value, in a map table key, field and value, one after another. The
 * names of objects stand in the table and not in each entry, and a value that holds its key as text refers to it.
 */
import { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { appendValue } from '../../codec/value-codec.ts'
import type { SharedShapes } from '../../codec/shared-shapes.ts'
import { ValueReader } from '../../codec/value-reader.ts'
import { ValueWriter } from '../../codec/value-writer.ts'

/** A list of entries of one table that are to be packed, written one behind the other. */
export class Records {
  readonly hashes: number[] = []
  count = 0
  readonly #what: string
  readonly #out = new ByteWriter()
  readonly #writer: ValueWriter
  readonly #ends: number[] = []

  constructor(what: string, shapes: SharedShapes) {
    this.#what = what
    this.#writer = new ValueWriter(this.#out, shapes)
  }

  clear(): this {
    this.count = 0
    this.#out.reset()
    return this
  }

  /** @throws FlinkError `UNSUPPORTED_VALUE` */
  add(hash: number, key: unknown, value: unknown): void {
    this.#begin(key)
    this.#end(hash, value)
  }

  /** @throws FlinkError `UNSUPPORTED_VALUE` */
  addField(hash: number, key: unknown, field: unknown, value: unknown): void {
    this.#begin(key)
    appendValue(this.#writer, field, this.#what)
    this.#end(hash, value)
  }

  #begin(key: unknown): void {
    this.#writer.repeated = undefined
    appendValue(this.#writer, key, this.#what)
    if (typeof key === 'string') this.#writer.repeated = key
  }

  #end(hash: number, value: unknown): void {
    appendValue(this.#writer, value, this.#what)
    this.hashes[this.count] = hash
    this.#ends[this.count++] = this.#out.length
  }

  /** Bytes of a record: its body and the length in front. */
  length(record: number): number {
    const body = this.#bodyLength(record)
    return body + varintBytes(body)
  }

  #bodyLength(record: number): number {
    return (this.#ends[record] as number) - this.#start(record)
  }

  #start(record: number): number {
    return record === 0 ? 0 : (this.#ends[record - 1] as number)
  }

  /** Returns where the record ends. */
  copyTo(record: number, into: Uint8Array, at: number): number {
    let length = this.#bodyLength(record)
    for (; length >= 0x80; length >>>= 7) into[at++] = (length & 0x7f) | 0x80
    into[at++] = length
    return copyBytes(this.#out.bytes, this.#start(record), this.#ends[record] as number, into, at)
  }

  /** All of them. */
  totalLength(): number {
    let total = 0
    for (let i = 0; i < this.count; i++) total += this.length(i)
    return total
  }
}

export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5
}

/** Short runs are copied by a loop: a native call costs more. */
export function copyBytes(from: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  if (end - start > 64) {
    into.set(from.subarray(start, end), at)
    return at + end - start
  }
  for (let i = start; i < end; i++) into[at++] = from[i] as number
  return at
}

/** Reads a body: first its key, then what follows. */
export class BodyReader {
  readonly #values: ValueReader
  readonly key: unknown

  constructor(bytes: Uint8Array, at: number, shapes: SharedShapes) {
    this.#values = new ValueReader(new ByteReader(bytes, at), shapes)
    const key = (this.key = this.#values.read())
    if (typeof key === 'string') this.#values.repeated = key
  }

  /** The next one: the field of a map table, then the value. */
  next(): unknown {
    return this.#values.read()
  }
}

/** The bodies of records that lie one after another. */
export function bodiesIn(bytes: Uint8Array, shapes: SharedShapes): BodyReader[] {
  const bodies: BodyReader[] = []
  const input = new ByteReader(bytes)
  while (!input.atEnd) bodies.push(new BodyReader(bytes, input.skip(input.count()), shapes))
  return bodies
}
