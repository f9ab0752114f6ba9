/**
 * How the records of one channel become frames: the interface behind which the columnar codec and, for comparison, one
 * msgpackr message per record stand. Both sides keep what they know of the channel's shape, so frames must arrive in order.
 */
import type { Batch, BatchPool } from '../core/batch.ts'
import type { FrameBuffers } from '../core/frame-buffers.ts'
import { ColumnarDecoder, ColumnarEncoder } from './columnar.ts'
import { RecordDecoder, RecordEncoder } from './record-codec.ts'

/** `exchange.codec`. */
export type ChannelCodecKind = 'columnar' | 'record'

export interface ChannelEncoder {
  /** Bytes that a record of late has taken, 0 before the first: divide `maxFrameBytes` by it to know how many to collect. */
  readonly sizeHint: number
  /**
   * The frames that carry the batch, to be sent in this order: at most one `schema`, then `records` (more than one only if
   * the batch is far larger than a frame should be). The batch is not changed; the bytes belong to the caller.
   *
   * @throws FlinkError `UNSUPPORTED_VALUE` naming the path, `RECORD_TOO_LARGE`
   */
  encode(batch: Batch): Uint8Array[]
}

export interface ChannelDecoder {
  /** The frame is given up. The records of a `records` frame; undefined for a `schema` frame. @throws DecodeError */
  decode(frame: Uint8Array): Batch | undefined
}

/** `channel` is written into every frame. Frames of columns come from `frameBuffers`. */
export function createChannelEncoder(codec: ChannelCodecKind, channel: number, frameBuffers?: FrameBuffers): ChannelEncoder {
  return codec === 'columnar' ? new ColumnarEncoder(channel, { frameBuffers }) : new RecordEncoder(channel)
}

/** Of columns: batches that fit come from `batches`, and frames that were read go to `frameBuffers`. */
export function createChannelDecoder(codec: ChannelCodecKind, batches?: BatchPool, frameBuffers?: FrameBuffers): ChannelDecoder {
  return codec === 'columnar' ? new ColumnarDecoder({ batches, frameBuffers }) : new RecordDecoder()
}
