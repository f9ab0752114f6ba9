/**
 * Batches as frames of columns. The encoder takes the shape from the first batch, and every record is checked while it is
 * encoded. One that does not fit widens the shape: a new `schema` frame goes ahead and the batch is encoded again. Text that
 * comes again and again is sent once (`dictionary.ts`).
 *
 * A value arrives equal or the job fails naming the path. Text that was decoded shares the memory of its batch: what is
 * kept must be copied out (`ownText` in `copy.ts`).
 */
import { assert } from '../core/assert.ts'
import { createBatch, type Batch, type BatchPool } from '../core/batch.ts'
import { FlinkError } from '../core/errors.ts'
import { FrameBuffers } from '../core/frame-buffers.ts'
import { NO_TIMESTAMP } from '../core/time.ts'
import { frameType } from '../protocol/data.ts'
import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import { ColumnSetIn, readHashes, readTimestamps } from './columns-in.ts'
import { ColumnSetOut, writeF64, writeI32 } from './columns-out.ts'
import { maxRecordsPerFrame } from './columns.ts'
import { tooManyItems } from './item-budget.ts'
import { packArrayHeader, packNil, packNumber, Unpacker } from './msgpack.ts'
import { anyShape, packShape, ShapeInference, shapeLimits, shapeText, unpackShape, type Shape } from './shape.ts'
import { refuseFirst, unsupportedSignal } from './unsupported.ts'

/** A longer frame is cut in two, unless it holds one record. */
const cutFrameBytes = 1024 * 1024
export const maxRecordBytes = 16 * 1024 * 1024

/** One for all encoders, a job has thousands of channels: frames are built one at a time and copied out. */
const scratch = new ByteWriter(64 * 1024)

/**
 * A batch was cut, and a piece of it needs another schema than those before it, or is one record of too many items. A schema goes
 * only ahead of all frames of a batch, where it takes no credit: the whole batch travels as values.
 */
const noSchemaForAll = new Error('no schema of columns for a whole batch')

export class ColumnarEncoder {
  readonly #channel: number
  readonly #generate: boolean
  readonly #frameBuffers: FrameBuffers
  readonly #inference = new ShapeInference()
  #columns: ColumnSetOut | undefined
  /** The last batch travelled as values; the next one does not have to. */
  #asValues = false
  #schemaId = -1
  #sentSchemaId = -1
  #bytesPerRecord = 0

  /** `generate: false` keeps to closures, for comparison. */
  constructor(channel: number, options: { readonly generate?: boolean; readonly frameBuffers?: FrameBuffers | undefined } = {}) {
    this.#channel = channel
    this.#generate = options.generate ?? true
    this.#frameBuffers = options.frameBuffers ?? new FrameBuffers()
  }

  get sizeHint(): number {
    return this.#bytesPerRecord
  }

  encode(batch: Batch): Uint8Array[] {
    return batch.size === 0 ? [] : this.#frames(batch, false)
  }

  #frames(batch: Batch, asValues: boolean): Uint8Array[] {
    const { values, timestamps, keyHashes, size } = batch
    const frames: Uint8Array[] = []
    const sent = this.#sentSchemaId
    if (asValues) this.#use(anyShape)
    else if (this.#asValues) this.#columns = undefined
    this.#asValues = asValues
    try {
      this.#encode(values, timestamps, keyHashes, size, frames)
      return frames
    } catch (error) {
      // None of these frames is going out, the schema neither.
      this.#sentSchemaId = sent
      this.#columns?.notSent()
      if (error !== noSchemaForAll) throw error
    }
    return this.#frames(batch, true)
  }

  #encode(values: readonly unknown[], timestamps: Float64Array, keyHashes: Int32Array | undefined, size: number, frames: Uint8Array[]): void {
    let tooLarge = size > maxRecordsPerFrame
    if (!tooLarge) {
      try {
        this.#fill(values, keyHashes, size)
        if (this.#schemaId !== this.#sentSchemaId) {
          if (frames.length > 0) throw noSchemaForAll
          frames.push(this.#schemaFrame())
          this.#sentSchemaId = this.#schemaId
        }
        this.#writeRecords(timestamps, keyHashes, size)
        tooLarge = scratch.length > (size === 1 ? maxRecordBytes : cutFrameBytes)
      } catch (error) {
        if (error === unsupportedSignal) throw refuseFirst(values, size)
        // Text beyond what one string can hold, a buffer beyond the memory, or lists of too many items.
        if (!(error instanceof RangeError)) throw error
        tooLarge = true
      }
    }
    if (!tooLarge) {
      const bytesPerRecord = scratch.length / size
      this.#bytesPerRecord += (bytesPerRecord - this.#bytesPerRecord) * (this.#bytesPerRecord === 0 ? 1 : 0.25)
      frames.push(scratch.takeInto(this.#frameBuffers.take(scratch.length)))
      this.#columns?.sent()
      return
    }
    scratch.reset()
    if (size === 1) throw new FlinkError('RECORD_TOO_LARGE', `a record takes more than ${maxRecordBytes / 1024 / 1024} MiB`)
    const half = size >> 1
    this.#encode(values.slice(0, half), timestamps.subarray(0, half), keyHashes?.subarray(0, half), half, frames)
    this.#encode(values.slice(half, size), timestamps.subarray(half, size), keyHashes?.subarray(half, size), size - half, frames)
  }

  #fill(values: readonly unknown[], keyHashes: Int32Array | undefined, size: number): void {
    try {
      if (this.#columns?.fill(values, size, keyHashes)) return
      this.#inference.addAll(values, size)
      this.#use(this.#inference.shape())
      if (this.#columns?.fill(values, size, keyHashes)) return
    } catch (error) {
      throw error === tooManyItems && size === 1 ? noSchemaForAll : error
    }
    // What inference and the loop see differently, for example fields that a changed Object.prototype lends to every record.
    this.#use(anyShape)
    assert(this.#columns?.fill(values, size, keyHashes), 'a record fits no shape')
  }

  #use(shape: Shape): void {
    if (this.#columns !== undefined && shapeText(this.#columns.shape) === shapeText(shape)) return
    this.#columns = new ColumnSetOut(shape, this.#generate, true)
    this.#schemaId++
  }

  #schemaFrame(): Uint8Array {
    const out = new ByteWriter(256)
    packArrayHeader(out, 4)
    packNumber(out, frameType.schema)
    packNumber(out, this.#channel)
    packNumber(out, this.#schemaId)
    packShape(out, (this.#columns as ColumnSetOut).shape)
    return out.take()
  }

  #writeRecords(timestamps: Float64Array, keyHashes: Int32Array | undefined, size: number): void {
    const out = scratch
    const columns = this.#columns as ColumnSetOut
    out.length = 0
    packArrayHeader(out, 6 + columns.items)
    packNumber(out, frameType.records)
    packNumber(out, this.#channel)
    packNumber(out, this.#schemaId)
    packNumber(out, size)
    writeTimestamps(out, timestamps, size)
    if (keyHashes === undefined) packNil(out)
    else writeI32(out, keyHashes, size)
    columns.write(out, size)
  }
}

/** nil when no record has one. */
export function writeTimestamps(out: ByteWriter, timestamps: Float64Array, size: number): void {
  for (let i = 0; i < size; i++) if (timestamps[i] !== NO_TIMESTAMP) return writeF64(out, timestamps, size)
  packNil(out)
}

export class ColumnarDecoder {
  readonly #generate: boolean
  readonly #batches: BatchPool | undefined
  readonly #frameBuffers: FrameBuffers | undefined
  #columns: ColumnSetIn | undefined
  #schemaId = -1

  constructor(options: { readonly generate?: boolean; readonly batches?: BatchPool | undefined; readonly frameBuffers?: FrameBuffers | undefined } = {}) {
    this.#generate = options.generate ?? true
    this.#batches = options.batches
    this.#frameBuffers = options.frameBuffers
  }

  decode(frame: Uint8Array): Batch | undefined {
    const input = new Unpacker(new ByteReader(frame), shapeLimits)
    const items = input.arrayHeader()
    const type = input.uint()
    input.uint()
    const schemaId = input.uint()
    if (type === frameType.schema && items === 4) {
      const shape = unpackShape(input)
      input.end()
      this.#columns = new ColumnSetIn(shape, this.#generate, true)
      this.#schemaId = schemaId
      return undefined
    }
    if (type !== frameType.records) throw new DecodeError(`a frame of type ${type} holds no records`)
    const columns = this.#columns
    if (columns === undefined || schemaId !== this.#schemaId) throw new DecodeError(`schema ${schemaId} was not announced`)
    if (items !== 6 + columns.items) throw new DecodeError(`${items} items in a frame of ${columns.items} columns`)
    const size = input.uint(maxRecordsPerFrame)
    const timestamps = input.optionalBin()
    const keyHashes = input.optionalBin()
    const batch = this.#batch(size, keyHashes !== undefined)
    readTimestamps(timestamps, size, batch.timestamps)
    if (keyHashes !== undefined) readHashes(keyHashes, size, batch.keyHashes as Int32Array)
    columns.read(input, size, batch.values)
    input.end()
    batch.size = size
    // Nothing that was read refers to it: text and bytes are copies.
    this.#frameBuffers?.give(frame)
    return batch
  }

  #batch(size: number, keyed: boolean): Batch {
    const batches = this.#batches
    return batches !== undefined && size <= batches.capacity ? batches.take(keyed) : createBatch(size, keyed)
  }
}
