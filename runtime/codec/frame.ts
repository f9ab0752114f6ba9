/**
 * The frames that slots send to each other (`protocol/data.ts`) as bytes. Records and schemas are left to the channel's
 * codec; everything else is built and read here.
 */
import { assert, unreachable } from '../core/assert.ts'
import type { CheckpointBarrier, CheckpointKind } from '../core/batch.ts'
import type { Timestamp } from '../core/time.ts'
import { frameType, maxFrameLength } from '../protocol/data.ts'
import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import { packArrayHeader, packBin, packBool, packNumber, packString, Unpacker } from './msgpack.ts'

export interface HelloFrame {
  readonly kind: 'hello'
  readonly protocolVersion: number
  readonly clusterId: string
  readonly token: string
  readonly epoch: number
  readonly jobId: string
  readonly attempt: number
  readonly consumerSlot: number
  readonly producerSlot: number
}

export type ControlFrame =
  | HelloFrame
  | { readonly kind: 'watermark'; readonly channel: number; readonly timestamp: Timestamp }
  | { readonly kind: 'status'; readonly channel: number; readonly idle: boolean }
  | { readonly kind: 'barrier'; readonly channel: number; readonly barrier: CheckpointBarrier }
  | { readonly kind: 'endOfData'; readonly channel: number; readonly drained: boolean }
  | { readonly kind: 'endOfPartition'; readonly channel: number }
  | { readonly kind: 'credit'; readonly channel: number; readonly credits: number }

export type Frame =
  | ControlFrame
  /** For the channel's decoder, whole. */
  | { readonly kind: 'records' | 'schema'; readonly channel: number; readonly frame: Uint8Array }

export function encodeFrame(frame: ControlFrame): Uint8Array {
  const out = new ByteWriter(64)
  if (frame.kind === 'hello') {
    const { protocolVersion, clusterId, token, epoch, jobId, attempt, consumerSlot, producerSlot } = frame
    packArrayHeader(out, 9)
    packNumber(out, frameType.hello)
    for (const item of [protocolVersion, clusterId, token, epoch, jobId, attempt, consumerSlot, producerSlot]) {
      if (typeof item === 'string') packString(out, item)
      else packNumber(out, item)
    }
    return out.take()
  }
  const begin = (items: number) => {
    packArrayHeader(out, items)
    packNumber(out, frameType[frame.kind])
    packNumber(out, frame.channel)
  }
  switch (frame.kind) {
    case 'watermark':
      begin(3)
      packBin(out, longFromTimestamp(frame.timestamp))
      break
    case 'status':
      begin(3)
      packBool(out, frame.idle)
      break
    case 'barrier':
      begin(6)
      packNumber(out, frame.barrier.checkpointId)
      packNumber(out, frame.barrier.timestamp)
      packString(out, frame.barrier.kind)
      // Checkpoints are numbered from 1.
      packNumber(out, frame.barrier.since ?? 0)
      break
    case 'endOfData':
      begin(3)
      packBool(out, frame.drained)
      break
    case 'endOfPartition':
      begin(2)
      break
    case 'credit':
      begin(3)
      packNumber(out, frame.credits)
      break
    default:
      unreachable(frame)
  }
  return out.take()
}

/** @throws DecodeError */
export function decodeFrame(bytes: Uint8Array): Frame {
  const input = new Unpacker(new ByteReader(bytes), { depth: 2, elements: 64 })
  const items = input.arrayHeader()
  const type = input.uint()
  const expect = (count: number) => {
    if (items !== count) throw new DecodeError(`${items} items in a frame of type ${type}`)
  }
  const complete = <T>(frame: T): T => {
    input.end()
    return frame
  }
  if (type === frameType.hello) {
    expect(9)
    return complete({
      kind: 'hello', protocolVersion: input.uint(), clusterId: input.string(), token: input.string(), epoch: input.uint(), jobId: input.string(),
      attempt: input.uint(), consumerSlot: input.uint(), producerSlot: input.uint(),
    })
  }
  const channel = input.uint()
  switch (type) {
    case frameType.records:
      return { kind: 'records', channel, frame: bytes }
    case frameType.schema:
      return { kind: 'schema', channel, frame: bytes }
    case frameType.watermark:
      expect(3)
      return complete({ kind: 'watermark', channel, timestamp: timestampFromLong(input.bin()) })
    case frameType.status:
      expect(3)
      return complete({ kind: 'status', channel, idle: input.bool() })
    case frameType.barrier:
      expect(6)
      return complete({ kind: 'barrier', channel, barrier: { checkpointId: input.uint(), timestamp: input.number(), kind: checkpointKind(input.string()), since: input.uint() || undefined } })
    case frameType.endOfData:
      expect(3)
      return complete({ kind: 'endOfData', channel, drained: input.bool() })
    case frameType.endOfPartition:
      expect(2)
      return complete({ kind: 'endOfPartition', channel })
    case frameType.credit:
      expect(3)
      return complete({ kind: 'credit', channel, credits: input.uint() })
    default:
      throw new DecodeError(`unknown type of frame ${type}`)
  }
}

const checkpointKinds: Readonly<Record<CheckpointKind, true>> = { checkpoint: true, savepoint: true, stop: true, 'stop-drain': true }
function checkpointKind(text: string): CheckpointKind {
  if (!Object.hasOwn(checkpointKinds, text)) throw new DecodeError('unknown kind of checkpoint')
  return text as CheckpointKind
}

const minLong = -(2n ** 63n)
const maxLong = 2n ** 63n - 1n

/** Big-endian, as msgpack's own numbers are. Event time has whole milliseconds; a fraction is rounded down, which is always a right watermark. */
function longFromTimestamp(timestamp: Timestamp): Uint8Array {
  assert(!Number.isNaN(timestamp), 'a watermark that is NaN')
  const long = timestamp <= -(2 ** 63) ? minLong : timestamp >= 2 ** 63 ? maxLong : BigInt(Math.floor(timestamp))
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigInt64(0, long)
  return bytes
}

function timestampFromLong(bytes: Uint8Array): Timestamp {
  if (bytes.length !== 8) throw new DecodeError(`a watermark of ${bytes.length} bytes`)
  const long = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0)
  return long === minLong ? -Infinity : long === maxLong ? Infinity : Number(long)
}

/** Frames with their length in front, as one chunk: what goes into the socket. */
export function joinFrames(frames: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const frame of frames) length += 4 + frame.length
  const joined = new Uint8Array(length)
  const view = new DataView(joined.buffer)
  let at = 0
  for (const frame of frames) {
    assert(frame.length > 0 && frame.length <= maxFrameLength, `a frame of ${frame.length} bytes`)
    view.setUint32(at, frame.length, true)
    joined.set(frame, at + 4)
    at += 4 + frame.length
  }
  return joined
}
