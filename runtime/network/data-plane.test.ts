import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FrameBuffers } from '../core/frame-buffers.ts'
import { decodeFrame, encodeFrame, joinFrames, type HelloFrame } from '../codec/frame.ts'
import { dataProtocolVersion } from '../protocol/data.ts'
import { newToken } from '../rpc/token.ts'
import { attemptSocket, DataPlane, type DataPlaneOptions } from './data-plane.ts'

let directory: string
const open: DataPlane[] = []
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'flink-ts-data-'))))
afterEach(() => {
  for (const plane of open.splice(0)) plane.destroy()
  rmSync(directory, { recursive: true, force: true })
})

const token = newToken()
const fence = { epoch: 1, attempt: 3 }
const peers = () => [0, 1, 2].map(slot => join(directory, `tm-${slot}`))

/** A slot's data plane and all that it told. `links`: slot -> channels. */
function plane(slot: number, links: { producers?: Record<number, number>; consumers?: Record<number, number> }, change: Partial<DataPlaneOptions> = {}) {
  const seen: string[] = []
  let wake = () => {}
  const asMap = (record: Record<number, number> = {}) => new Map(Object.entries(record).map(([key, value]) => [Number(key), value]))
  const dataPlane = new DataPlane(
    { clusterId: 'c', token, fence, jobId: 'j', slot, peers: peers(), links: { producers: asMap(links.producers), consumers: asMap(links.consumers) }, frameBuffers: new FrameBuffers({ poison: true }), ...change },
    {
      frame: (from, frame) => {
        seen.push(`${from}: ${describeFrame(frame)}`)
        wake()
      },
      linkLost: (from, reason) => {
        seen.push(`${from} lost: ${reason}`)
        wake()
      },
    },
  )
  open.push(dataPlane)
  return {
    dataPlane,
    seen,
    send(to: number, ...frames: Uint8Array[]) {
      for (const frame of frames) dataPlane.send(to, frame)
      dataPlane.flush()
    },
    async until(count: number): Promise<string[]> {
      while (seen.length < count) await new Promise<void>(resolve => (wake = resolve))
      return seen
    },
  }
}

function describeFrame(frame: Uint8Array): string {
  const decoded = decodeFrame(frame)
  const extra = decoded.kind === 'watermark' ? ` ${decoded.timestamp}` : decoded.kind === 'credit' ? ` ${decoded.credits}` : decoded.kind === 'records' ? ` ${frame.length} bytes` : ''
  return `${decoded.kind}${'channel' in decoded ? ` on ${decoded.channel}` : ''}${extra}`
}
const watermark = (channel: number, timestamp: number) => encodeFrame({ kind: 'watermark', channel, timestamp })
const end = (channel: number) => encodeFrame({ kind: 'endOfPartition', channel })
const credit = (channel: number, credits: number) => encodeFrame({ kind: 'credit', channel, credits })
/** The head of a frame of records and as many bytes as wanted; only its head is looked at here. */
const records = (channel: number, bytes: number) => Buffer.concat([Uint8Array.of(0xdc, 0, 20, 1, channel), new Uint8Array(bytes - 5)])

test('frames go from producer to consumer and credits back, whoever starts first', async () => {
  const consumer = plane(1, { producers: { 0: 1 } })
  const producer = plane(0, { consumers: { 1: 1 } })
  producer.send(1, watermark(0, 7), records(0, 100_000), records(0, 50), watermark(0, 8))
  expect(await consumer.until(4)).toEqual(['0: watermark on 0 7', '0: records on 0 100000 bytes', '0: records on 0 50 bytes', '0: watermark on 0 8'])
  consumer.send(0, credit(0, 4), credit(0, 2))
  expect(await producer.until(2)).toEqual(['1: credit on 0 4', '1: credit on 0 2'])
})

test('the memory of frames is used again, once they have left and once they were read', async () => {
  const [sending, receiving] = [new FrameBuffers({ poison: true }), new FrameBuffers()]
  const memory = { sent: new Set<ArrayBufferLike>(), received: new Set<ArrayBufferLike>() }
  const rounds = 40
  let arrived = 0
  let round = () => {}
  const links = { clusterId: 'c', token, fence, jobId: 'j', peers: peers() }
  const consumer = new DataPlane({ ...links, slot: 1, links: { producers: new Map([[0, 1]]), consumers: new Map() }, frameBuffers: receiving }, {
    frame: (_from, frame) => {
      expect(frame.subarray(5).every(byte => byte === arrived % 200)).toBe(true)
      memory.received.add(frame.buffer)
      receiving.give(frame)
      arrived++
      round()
    },
    linkLost: (_from, reason) => expect.unreachable(reason),
  })
  const producer = new DataPlane({ ...links, slot: 0, links: { producers: new Map(), consumers: new Map([[1, 1]]) }, frameBuffers: sending }, { frame: () => {}, linkLost: (_from, reason) => expect.unreachable(reason) })
  open.push(consumer, producer)
  for (let sent = 0; sent < rounds * 3;) {
    for (const bytes of [30_000, 3_000, 60_000]) {
      const frame = sending.take(bytes).fill(sent++ % 200)
      frame.set([0xdc, 0, 20, 1, 0])
      memory.sent.add(frame.buffer)
      producer.send(1, frame)
    }
    producer.flush()
    await new Promise<void>(resolve => (round = () => arrived === sent && resolve()))
  }
  expect(memory.sent.size).toBeLessThan(rounds)
  expect(memory.received.size).toBeLessThan(rounds)
})

test('a busy slot holds a little back for a few turns, never more than half of the credits', async () => {
  const consumer = plane(1, { producers: { 0: 1 } })
  const producer = plane(0, { consumers: { 1: 1 } })
  producer.send(1, watermark(0, 0))
  await consumer.until(1)
  const turn = (...frames: Uint8Array[]) => {
    for (const frame of frames) producer.dataPlane.send(1, frame)
    producer.dataPlane.flush(true)
  }
  // One frame leaves with the eighth turn; the idle flush of a later one would be the only other way.
  turn(watermark(0, 1))
  for (let i = 0; i < 7; i++) turn()
  expect((await consumer.until(2)).at(-1)).toBe('0: watermark on 0 1')
  turn(...[2, 3, 4, 5, 6, 7, 8, 9].map(at => watermark(0, at)))
  expect((await consumer.until(10)).at(-1)).toBe('0: watermark on 0 9')
  turn(records(0, 70_000))
  expect((await consumer.until(11)).at(-1)).toBe('0: records on 0 70000 bytes')
})

test('a barrier leaves at once, with what is before it: the consumer waits for it', async () => {
  const consumer = plane(1, { producers: { 0: 1 } })
  const producer = plane(0, { consumers: { 1: 1 } })
  producer.send(1, watermark(0, 0))
  await consumer.until(1)
  for (const frame of [watermark(0, 1), encodeFrame({ kind: 'barrier', channel: 0, barrier: { checkpointId: 3, timestamp: 4, kind: 'checkpoint' } })]) producer.dataPlane.send(1, frame)
  producer.dataPlane.flush(true)
  // No other turn follows.
  expect((await consumer.until(3)).slice(1)).toEqual(['0: watermark on 0 1', '0: barrier on 0'])
})

test('two slots that send to each other keep records and credits apart', async () => {
  const a = plane(0, { producers: { 1: 1 }, consumers: { 1: 1 } })
  const b = plane(1, { producers: { 0: 1 }, consumers: { 0: 1 } })
  a.send(1, watermark(1, 1), credit(2, 8))
  b.send(0, watermark(2, 2), credit(1, 9))
  expect((await a.until(2)).sort()).toEqual(['1: credit on 1 9', '1: watermark on 2 2'])
  expect((await b.until(2)).sort()).toEqual(['0: credit on 2 8', '0: watermark on 1 1'])
})

test('a link whose channels have all ended closes without a word', async () => {
  const producer = plane(0, { consumers: { 1: 2 } })
  const consumer = plane(1, { producers: { 0: 2 } })
  producer.send(1, records(0, 500_000), end(0), records(1, 60), end(1))
  await producer.dataPlane.close()
  expect(await consumer.until(4)).toEqual(['0: records on 0 500000 bytes', '0: endOfPartition on 0', '0: records on 1 60 bytes', '0: endOfPartition on 1'])
  await consumer.dataPlane.close()
  expect([producer.seen, consumer.seen.length, readdirSync(directory)]).toEqual([[], 4, []])
})

test('a link that breaks before its channels ended is told to both slots', async () => {
  const producer = plane(0, { consumers: { 1: 2 } })
  const consumer = plane(1, { producers: { 0: 2 } })
  producer.send(1, watermark(0, 1), end(0))
  await consumer.until(2)
  producer.dataPlane.destroy()
  expect((await consumer.until(3))[2]).toMatch(/^0 lost: /)

  const next = plane(0, { consumers: { 2: 1 } }, { fence: { epoch: 1, attempt: 4 } })
  const reader = plane(2, { producers: { 0: 1 } }, { fence: { epoch: 1, attempt: 4 } })
  next.send(2, watermark(0, 1))
  await reader.until(1)
  reader.dataPlane.destroy()
  expect((await next.until(1))[0]).toMatch(/^2 lost: /)
})

test('a slot of another attempt does not even find the socket', async () => {
  const old = plane(1, { producers: { 0: 1 } }, { fence: { epoch: 1, attempt: 2 }, connectWindowMs: 30 })
  const producer = plane(0, { consumers: { 1: 1 } })
  producer.send(1, watermark(0, 1))
  expect((await old.until(1))[0]).toMatch(/^1 lost|^0 lost: it could not be reached/)
})

describe('a hello that is not the expected one is refused', () => {
  const right: HelloFrame = { kind: 'hello', protocolVersion: dataProtocolVersion, clusterId: 'c', token, epoch: 1, jobId: 'j', attempt: 3, consumerSlot: 1, producerSlot: 0 }

  /** Connects to slot 0 as slot 1, then sends a credit. Resolves when it was cut off. */
  async function knock(first: Uint8Array): Promise<void> {
    const socket = connect(attemptSocket(peers()[0] as string, fence))
    socket.on('error', () => {})
    socket.write(Buffer.concat([first, joinFrames([credit(0, 1)])]))
    await new Promise<void>(resolve => socket.on('close', () => resolve()))
  }

  test.each<[string, Partial<HelloFrame>]>([
    ['another token', { token: newToken() }],
    ['no token', { token: '' }],
    ['an older attempt', { attempt: 2 }],
    ['an older epoch', { epoch: 0 }],
    ['another job', { jobId: 'k' }],
    ['another cluster', { clusterId: 'd' }],
    ['another version', { protocolVersion: dataProtocolVersion + 1 }],
    ['a slot that reads nothing from here', { consumerSlot: 2 }],
    ['meant for another slot', { producerSlot: 2 }],
  ])('%s', async (_name, change) => {
    const producer = plane(0, { consumers: { 1: 1 } })
    await knock(joinFrames([encodeFrame({ ...right, ...change })]))
    expect([producer.seen, producer.dataPlane.refusedConnections]).toEqual([[], 1])
  })

  test.each<[string, Uint8Array]>([
    ['no hello but records', joinFrames([watermark(0, 1)])],
    ['a first frame that is far too long', Uint8Array.of(0xff, 0xff, 0xff, 0x00, 1)],
    ['no msgpack', joinFrames([Uint8Array.of(0xc1, 0xc1)])],
  ])('%s', async (_name, bytes) => {
    const producer = plane(0, { consumers: { 1: 1 } })
    await knock(bytes)
    expect([producer.seen, producer.dataPlane.refusedConnections]).toEqual([[], 1])
  })

  test('a second connection of the same consumer', async () => {
    const producer = plane(0, { consumers: { 1: 1 } })
    const consumer = plane(1, { producers: { 0: 1 } })
    producer.send(1, watermark(0, 1))
    await consumer.until(1)
    await knock(joinFrames([encodeFrame(right)]))
    producer.send(1, watermark(0, 2))
    expect([await consumer.until(2), producer.seen]).toEqual([['0: watermark on 0 1', '0: watermark on 0 2'], []])
  })

  test('a consumer that sends records breaks its link', async () => {
    const producer = plane(0, { consumers: { 1: 1 } })
    await knock(joinFrames([encodeFrame(right), watermark(0, 1)]))
    expect(await producer.until(1)).toEqual(['1 lost: it sent a frame of type 3'])
  })
})
