import { unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import { seededRandom } from '../core/random.ts'
import { dataProtocolVersion } from '../protocol/data.ts'
import { DecodeError } from './bytes.ts'
import { decodeFrame, encodeFrame, joinFrames, type ControlFrame } from './frame.ts'
import { FrameSplitter } from './frame-splitter.ts'

const hello: ControlFrame = { kind: 'hello', protocolVersion: dataProtocolVersion, clusterId: 'c-1', token: 'f'.repeat(64), epoch: 3, jobId: 'a'.repeat(32), attempt: 2, consumerSlot: 1, producerSlot: 0 }
const frames: readonly ControlFrame[] = [
  hello,
  ...[-Infinity, -1, 0, 1700000000123, Infinity, Number.MIN_SAFE_INTEGER].map(timestamp => ({ kind: 'watermark', channel: 70_000, timestamp }) as const),
  { kind: 'status', channel: 1, idle: true },
  { kind: 'status', channel: 1, idle: false },
  ...(['checkpoint', 'savepoint', 'stop', 'stop-drain'] as const).map(kind => ({ kind: 'barrier', channel: 200, barrier: { checkpointId: 123456, timestamp: 1700000000123, kind } }) as const),
  { kind: 'endOfData', channel: 2, drained: true },
  { kind: 'endOfPartition', channel: 5_000_000_000 },
  { kind: 'credit', channel: 2, credits: 8 },
]

test('control frames arrive equal', () => {
  for (const frame of frames) expect(decodeFrame(encodeFrame(frame))).toEqual(frame)
})

test('control frames are msgpack arrays', () => {
  const read = (frame: ControlFrame) => JSON.stringify(unpack(encodeFrame(frame)), (_, value) => (value?.type === 'Buffer' ? `bin ${value.data.join(' ')}` : value))
  expect(frames.map(read).join('\n')).toMatchInlineSnapshot(`
    "[0,3,"c-1","ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",3,"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",2,1,0]
    [3,70000,{"0":128,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0}]
    [3,70000,{"0":255,"1":255,"2":255,"3":255,"4":255,"5":255,"6":255,"7":255}]
    [3,70000,{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0}]
    [3,70000,{"0":0,"1":0,"2":1,"3":139,"4":207,"5":229,"6":104,"7":123}]
    [3,70000,{"0":127,"1":255,"2":255,"3":255,"4":255,"5":255,"6":255,"7":255}]
    [3,70000,{"0":255,"1":224,"2":0,"3":0,"4":0,"5":0,"6":0,"7":1}]
    [4,1,true]
    [4,1,false]
    [5,200,123456,1700000000123,"checkpoint",0]
    [5,200,123456,1700000000123,"savepoint",0]
    [5,200,123456,1700000000123,"stop",0]
    [5,200,123456,1700000000123,"stop-drain",0]
    [6,2,true]
    [7,5000000000]
    [8,2,8]"
  `)
})

test('a watermark with a fraction is rounded down, never up', () => {
  expect(decodeFrame(encodeFrame({ kind: 'watermark', channel: 1, timestamp: 99.9 }))).toMatchObject({ timestamp: 99 })
})

test('altered frames are a DecodeError or another frame, never anything else', () => {
  const seed = Number(process.env['CODEC_SEED']) || Math.trunc(Math.random() * 2 ** 31)
  console.log(`frames: CODEC_SEED=${seed}`)
  const random = seededRandom(seed)
  for (let round = 0; round < 20_000; round++) {
    const bytes = encodeFrame(random.pick(frames))
    const altered = bytes.slice(0, random.chance(0.3) ? random.int(bytes.length + 1) : bytes.length)
    for (let n = random.int(4); n > 0 && altered.length > 0; n--) altered[random.int(altered.length)] = random.int(256)
    try {
      decodeFrame(altered)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
    }
  }
})

test('the splitter gives back the frames, however the stream is cut', () => {
  const random = seededRandom(11)
  const sent = Array.from({ length: 200 }, (_, i) => new Uint8Array(1 + random.int(300)).fill(i))
  const stream = joinFrames(sent)
  for (const largest of [1, 3, 64, 5000, stream.length]) {
    const splitter = new FrameSplitter()
    const arrived: Uint8Array[] = []
    const socketBuffer = new Uint8Array(largest)
    for (let at = 0; at < stream.length; ) {
      const taken = Math.min(1 + random.int(largest), stream.length - at)
      // The same buffer each time, as sockets do: frames must not share it.
      socketBuffer.set(stream.subarray(at, at + taken))
      arrived.push(...splitter.push(socketBuffer.subarray(0, taken)))
      at += taken
    }
    expect(arrived).toEqual(sent)
    expect(splitter.atBoundary).toBe(true)
  }
})

test('a length beyond the limit is refused before anything is reserved', () => {
  expect(() => new FrameSplitter(1000).push(new Uint8Array([0xe9, 3, 0, 0]))).toThrow('a frame of 1001 bytes, the limit is 1000')
  expect(() => new FrameSplitter().push(new Uint8Array([255, 255, 255, 255]))).toThrow(DecodeError)
  expect(() => new FrameSplitter().push(new Uint8Array([0, 0, 0, 0]))).toThrow('a frame of 0 bytes')
  const splitter = new FrameSplitter(1000)
  expect(splitter.push(new Uint8Array([0xe8, 3, 0, 0, 1]))).toEqual([])
  expect(splitter.atBoundary).toBe(false)
})
