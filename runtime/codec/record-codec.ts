/**
 * One msgpackr message per record: what a straightforward implementation would send. Kept for comparison
 * (`exchange.codec: 'record'`) and as lossless as the columns: a record that msgpack would change travels as a value of ours.
 *
 * The frame is `[records, channel, 0, size, timestamps, bin, bin, ...]`.
 */
import { Packr } from 'msgpackr'
import { createBatch, type Batch } from '../core/batch.ts'
import { FlinkError } from '../core/errors.ts'
import { frameType } from '../protocol/data.ts'
import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import { maxRecordBytes, writeTimestamps } from './columnar.ts'
import { readTimestamps } from './columns-in.ts'
import { maxRecordsPerFrame } from './columns.ts'
import { packArrayHeader, packBin, packBinHeader, packNumber, Unpacker } from './msgpack.ts'
import { unsupportedSignal, unsupportedValue } from './unsupported.ts'
import { ValueReader } from './value-reader.ts'
import { ValueWriter } from './value-writer.ts'

/** msgpack never begins with this byte: a value of ours follows. */
const ownValue = 0xc1
/** Deeper records travel as values of ours. */
const maxMsgpackDepth = 32

export class RecordEncoder {
  readonly #channel: number
  readonly #packr = new Packr({ useRecords: false })
  readonly #out = new ByteWriter(64 * 1024)
  readonly #values = new ValueWriter(new ByteWriter(1024))
  #bytesPerRecord = 0

  constructor(channel: number) {
    this.#channel = channel
  }

  get sizeHint(): number {
    return this.#bytesPerRecord
  }

  encode({ values, timestamps, size }: Batch): Uint8Array[] {
    if (size === 0) return []
    const out = this.#out
    out.reset()
    packArrayHeader(out, 5 + size)
    packNumber(out, frameType.records)
    packNumber(out, this.#channel)
    packNumber(out, 0)
    packNumber(out, size)
    writeTimestamps(out, timestamps, size)
    for (let i = 0; i < size; i++) {
      const start = out.length
      if (survivesMsgpack(values[i], 0, i === 0)) packBin(out, this.#packr.pack(values[i]))
      else this.#packOwn(values[i])
      if (out.length - start > maxRecordBytes) throw new FlinkError('RECORD_TOO_LARGE', `a record takes more than ${maxRecordBytes / 1024 / 1024} MiB`)
    }
    this.#bytesPerRecord += (out.length / size - this.#bytesPerRecord) * (this.#bytesPerRecord === 0 ? 1 : 0.25)
    return [out.take()]
  }

  #packOwn(value: unknown): void {
    const { out } = this.#values
    out.reset()
    this.#values.begin()
    try {
      this.#values.write(value)
    } catch (error) {
      throw error === unsupportedSignal ? unsupportedValue(value, 'record') : error
    }
    packBinHeader(this.#out, out.length + 1)
    this.#out.u8(ownValue)
    this.#out.raw(out.bytes.subarray(0, out.length))
  }
}

export class RecordDecoder {
  readonly #packr = new Packr({ useRecords: false, moreTypes: false, structuredClone: false })

  decode(frame: Uint8Array): Batch {
    const input = new Unpacker(new ByteReader(frame), { depth: 2, elements: 64 })
    const items = input.arrayHeader()
    if (input.uint() !== frameType.records) throw new DecodeError('not a frame of records')
    input.uint()
    input.uint()
    const size = input.uint(maxRecordsPerFrame)
    if (items !== 5 + size) throw new DecodeError(`${items} items in a frame of ${size} records`)
    const batch = createBatch(size)
    readTimestamps(input.optionalBin(), size, batch.timestamps)
    for (let i = 0; i < size; i++) batch.values[i] = this.#unpack(input.bin())
    input.end()
    batch.size = size
    return batch
  }

  #unpack(bytes: Uint8Array): unknown {
    if (bytes[0] === ownValue) {
      const reader = new ByteReader(bytes, 1)
      const value = new ValueReader(reader).read()
      if (!reader.atEnd) throw new DecodeError('bytes too many after a value')
      return value
    }
    try {
      return this.#packr.unpack(bytes)
    } catch (error) {
      throw new DecodeError('not a msgpack message', { cause: error })
    }
  }
}

/** Whether msgpackr gives this back equal. Anything doubtful is left to our own format, which also finds what is unsupported. */
function survivesMsgpack(value: unknown, depth: number, first: boolean): boolean {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed()
    case 'number':
      return !Object.is(value, -0)
    case 'boolean':
      return true
    case 'object':
      break
    default:
      return false
  }
  if (value === null) return true
  if (depth > maxMsgpackDepth) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Array.prototype && Array.isArray(value)) {
    // `match` returns arrays with more than their items.
    if ((value as { index?: unknown }).index !== undefined) return false
    for (let i = 0; i < value.length; i++) if (!survivesMsgpack(value[i], depth + 1, first)) return false
    return true
  }
  if (prototype !== Object.prototype) return false
  const names = Object.keys(value)
  // What an object can hide is looked for on the first record of a frame, as with columns.
  if (first) {
    if (Reflect.ownKeys(value).length !== names.length) return false
    for (const name of names) if (Object.getOwnPropertyDescriptor(value, name)?.get !== undefined) return false
  }
  for (const name of names) {
    if (name === '__proto__' || !name.isWellFormed() || !survivesMsgpack((value as Record<string, unknown>)[name], depth + 1, first)) return false
  }
  return true
}
