/**
 * The data plane of one slot in one attempt: a socket for each pair of slots that exchange records. The consumer connects
 * to the producer (only the connecting side can read into a buffer that is used again, half the cost of reading), says
 * who it is, and from then on records flow one way and credits the other.
 *
 * Sockets are named after the attempt, so a slot of this attempt cannot reach one of the last, nor take its name away;
 * the hello says it once more, with the token, and is checked before anything else is decoded.
 *
 * What may wait here is bounded by the credits of the channels. A link that breaks is mail (`linkLost`), unless all its
 * channels had ended: then a closed socket is what is expected.
 */
import { chmodSync, existsSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { decodeFrame, encodeFrame, joinFrames, type HelloFrame } from '../codec/frame.ts'
import { FrameSplitter } from '../codec/frame-splitter.ts'
import type { FrameBuffers } from '../core/frame-buffers.ts'
import type { Fence } from '../core/ids.ts'
import { dataProtocolVersion, frameType, maxFrameLength } from '../protocol/data.ts'
import { listenAt } from '../rpc/listen.ts'
import { monotonicMs } from '../rpc/monotonic.ts'
import { sameToken } from '../rpc/token.ts'

export interface SlotLinks {
  /** Slots that send to this one, with the number of channels between. */
  readonly producers: ReadonlyMap<number, number>
  /** Slots that this one sends to. */
  readonly consumers: ReadonlyMap<number, number>
}

export interface DataPlaneOptions {
  readonly clusterId: string
  readonly token: string
  readonly fence: Fence
  readonly jobId: string
  /** Logical number of this slot. */
  readonly slot: number
  /** Data socket of every logical slot, as the TaskManagers registered them. */
  readonly peers: readonly string[]
  readonly links: SlotLinks
  readonly frameBuffers: FrameBuffers
  /** How long a producer may take until it listens. Default 60,000 ms. */
  readonly connectWindowMs?: number
}

export interface DataPlaneEvents {
  /** The frame is owned by whoever gets it. */
  frame(from: number, frame: Uint8Array): void
  /** At most once per slot. */
  linkLost(from: number, reason: string): void
}

const readBufferBytes = 256 * 1024
const helloMaxBytes = 1_024
const helloTimeoutMs = 5_000
/** Credits bound what waits per channel; this is the last resort against a peer that breaks the rules. */
const maxQueuedBytes = 512 * 1024 * 1024

/** Smaller frames are joined into one chunk before they are written. */
const copiedBelow = 8 * 1024

/** Half of the credits that a channel has by default: more held back would make the consumer wait. */
const framesWorthAWrite = 8
const bytesWorthAWrite = 64 * 1024
/** Two milliseconds of a slot that has more to do than it can; one that has not is idle sooner. */
const maxTurnsWaited = 8

/** The path that a slot listens on in one attempt. */
export function attemptSocket(registered: string, fence: Fence): string {
  return `${registered}.${fence.epoch.toString(36)}.${fence.attempt.toString(36)}`
}

export class DataPlane {
  readonly #options: DataPlaneOptions
  readonly #events: DataPlaneEvents
  /** Connections to the slots that send to us, by slot. */
  readonly #producers = new Map<number, Link>()
  /** Connections from the slots that we send to. Links exist before their socket does, so that frames can wait. */
  readonly #consumers = new Map<number, Link>()
  readonly #dirty = new Set<Link>()
  readonly #unidentified = new Set<Socket>()
  readonly #server: Server | undefined
  #closed = false
  readonly #startedAt = monotonicMs()
  #refused = 0

  constructor(options: DataPlaneOptions, events: DataPlaneEvents) {
    this.#options = options
    this.#events = events
    for (const [slot, channels] of options.links.consumers) this.#consumers.set(slot, new Link(slot, 'consumer', channels))
    for (const [slot, channels] of options.links.producers) this.#producers.set(slot, new Link(slot, 'producer', channels))
    if (this.#consumers.size > 0) this.#server = this.#listen()
    for (const link of this.#producers.values()) this.#connect(link, 2, monotonicMs() + (options.connectWindowMs ?? 60_000))
  }

  /** Connections that were not who they should be. */
  get refusedConnections(): number {
    return this.#refused
  }

  /** Queues a frame; `flush` puts it on its way. Credits go to the producer, everything else to the consumer. */
  send(slot: number, frame: Uint8Array): void {
    const type = frameTypeOf(frame)
    const link = (type === frameType.credit ? this.#producers : this.#consumers).get(slot)
    if (link === undefined || link.state === 'closed') return
    if (type === frameType.endOfPartition) link.openChannels--
    // The other slot stops reading from itself until it has this one, too.
    if (type === frameType.barrier) link.turnsWaited = maxTurnsWaited
    link.queue.push(frame)
    link.queuedBytes += frame.length
    this.#dirty.add(link)
  }

  /**
   * Once per turn: what was sent leaves in one write per link. `more`: the next turn follows at once, so a little may wait
   * for it, because each write wakes up another process.
   */
  flush(more = false): void {
    if (this.#dirty.size === 0) return
    for (const link of this.#dirty) {
      if (more && link.queue.length < framesWorthAWrite && link.queuedBytes < bytesWorthAWrite && ++link.turnsWaited < maxTurnsWaited) continue
      link.turnsWaited = 0
      this.#dirty.delete(link)
      if (link.socket !== undefined) this.#write(link, link.socket)
      if (link.queuedBytes + (link.socket?.writableLength ?? 0) > maxQueuedBytes) this.#lose(link, 'it does not take what is sent to it')
    }
  }

  /** Ends in good order: resolves when everything sent has been taken and the consumers have closed. */
  async close(): Promise<void> {
    this.flush()
    const consumers = [...this.#consumers.values()]
    await Promise.all(consumers.map(link => new Promise<void>(resolve => {
      if (link.state === 'closed') return resolve()
      link.onClosed = resolve
      if (link.socket !== undefined) link.socket.end()
    })))
    this.destroy()
  }

  /** Ends at once. Nothing is told any more. */
  destroy(): void {
    this.#closed = true
    this.#server?.close()
    for (const socket of this.#unidentified) socket.destroy()
    for (const link of [...this.#producers.values(), ...this.#consumers.values()]) {
      clearTimeout(link.retry)
      this.#finish(link)
    }
  }

  #write(link: Link, socket: Socket): void {
    const { queue } = link
    if (queue.length === 0) return
    const { frameBuffers } = this.#options
    // Called once it has left; what did not leave may still be read by whoever writes.
    const given = (frame: Uint8Array) => (error?: Error | null) => {
      if (error === undefined || error === null) frameBuffers.give(frame)
    }
    const join = (frames: readonly Uint8Array[]) => {
      if (frames.length > 0) socket.write(joinFrames(frames))
      for (const frame of frames) frameBuffers.give(frame)
    }
    socket.cork()
    let small: Uint8Array[] = []
    for (const frame of queue) {
      if (frame.length < copiedBelow) {
        small.push(frame)
        continue
      }
      // A large frame is not copied: its length goes in front of it, in one piece where there is room, because each costs microseconds.
      join(small)
      small = []
      const whole = frameBuffers.withRoom(frame)
      if (whole === undefined) {
        socket.write(lengthOf(frame))
        socket.write(frame, given(frame))
      } else {
        new DataView(whole.buffer, whole.byteOffset).setUint32(0, frame.length, true)
        socket.write(whole, given(frame))
      }
    }
    join(small)
    socket.uncork()
    link.queue = []
    link.queuedBytes = 0
  }

  // --- towards producers ---

  #connect(link: Link, pause: number, until: number): void {
    const { clusterId, token, fence, jobId, slot, peers } = this.#options
    const path = peers[link.slot]
    if (path === undefined) return queueMicrotask(() => this.#lose(link, 'it has no socket'))
    const address = attemptSocket(path, fence)
    // Slots of a cluster that starts come one after the other. To look costs a hundredth of an attempt, so it can be done often.
    if (!existsSync(address)) return this.#connectLater(link, monotonicMs() - this.#startedAt < 1_000 ? 3 : 50, pause, until, 'its socket is not there')
    const buffer = new Uint8Array(readBufferBytes)
    const splitter = new FrameSplitter(maxFrameLength, this.#options.frameBuffers)
    const socket = connect({
      path: address,
      onread: {
        buffer,
        callback: bytes => {
          this.#received(link, splitter, buffer.subarray(0, bytes))
          return true
        },
      },
    })
    let failure: Error | undefined
    socket.on('connect', () => {
      link.socket = socket
      socket.write(joinFrames([encodeFrame({
        kind: 'hello', protocolVersion: dataProtocolVersion, clusterId, token, epoch: fence.epoch, jobId, attempt: fence.attempt, consumerSlot: slot, producerSlot: link.slot,
      })]))
      this.#write(link, socket)
    })
    socket.on('error', error => (failure = error))
    socket.on('close', () => {
      if (this.#closed || link.state === 'closed') return
      if (link.socket === socket) return this.#ended(link, failure)
      this.#connectLater(link, pause, Math.min(pause * 1.5, 50), until, failure?.message ?? 'no answer')
    })
  }

  /** Nobody listens there yet: the producer's slot is still starting. */
  #connectLater(link: Link, delay: number, pause: number, until: number, reason: string): void {
    if (monotonicMs() <= until) link.retry = setTimeout(() => this.#connect(link, pause, until), delay)
    else queueMicrotask(() => this.#lose(link, `it could not be reached: ${reason}`))
  }

  // --- towards consumers ---

  #listen(): Server {
    const { peers, slot, fence } = this.#options
    const path = attemptSocket(peers[slot] ?? '', fence)
    const server = createServer(socket => this.#identify(socket))
    server.on('error', error => {
      for (const link of this.#consumers.values()) this.#lose(link, `this slot could not listen on ${path}: ${error.message}`)
    })
    listenAt(server, path, () => chmodSync(path, 0o600))
    return server
  }

  /** Reads the hello and nothing else; whoever is not expected is cut off without an answer. */
  #identify(socket: Socket): void {
    let read = Buffer.alloc(0)
    const timer = setTimeout(() => refuse(), helloTimeoutMs)
    const refuse = () => {
      clearTimeout(timer)
      this.#refused++
      socket.destroy()
    }
    this.#unidentified.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      this.#unidentified.delete(socket)
    })
    const onData = (chunk: Buffer) => {
      read = Buffer.concat([read, chunk])
      if (read.length < 4) return
      const length = read.readUInt32LE(0)
      if (length > helloMaxBytes) return refuse()
      if (read.length < 4 + length) return
      const link = this.#expected(readHello(read.subarray(4, 4 + length)))
      if (link === undefined) return refuse()
      clearTimeout(timer)
      this.#unidentified.delete(socket)
      socket.off('data', onData)
      this.#accept(link, socket, read.subarray(4 + length))
    }
    socket.on('data', onData)
  }

  #expected(hello: HelloFrame | undefined): Link | undefined {
    const { clusterId, token, fence, jobId, slot } = this.#options
    if (hello === undefined || !sameToken(hello.token, token)) return undefined
    const matches = hello.protocolVersion === dataProtocolVersion && hello.clusterId === clusterId && hello.jobId === jobId
      && hello.epoch === fence.epoch && hello.attempt === fence.attempt && hello.producerSlot === slot
    const link = matches ? this.#consumers.get(hello.consumerSlot) : undefined
    return link?.socket === undefined && link?.state === 'open' ? link : undefined
  }

  #accept(link: Link, socket: Socket, rest: Uint8Array): void {
    link.socket = socket
    const splitter = new FrameSplitter(maxFrameLength, this.#options.frameBuffers)
    let failure: Error | undefined
    socket.on('data', chunk => this.#received(link, splitter, chunk))
    socket.on('error', error => (failure = error))
    socket.on('close', () => this.#ended(link, failure))
    if (rest.length > 0) this.#received(link, splitter, rest)
    this.#write(link, socket)
    if (link.onClosed !== undefined) socket.end()
  }

  // --- both ---

  #received(link: Link, splitter: FrameSplitter, chunk: Uint8Array): void {
    if (link.state === 'closed') return
    let frames: readonly Uint8Array[]
    try {
      frames = splitter.push(chunk)
    } catch (error) {
      return this.#lose(link, (error as Error).message)
    }
    for (const frame of frames) {
      const type = frameTypeOf(frame)
      // A producer is only ever sent credits, and a consumer everything else; the slot may rely on it.
      if ((type === frameType.credit) !== (link.role === 'consumer') || type === frameType.hello) return this.#lose(link, `it sent a frame of type ${type}`)
      if (type === frameType.endOfPartition) link.openChannels--
      this.#events.frame(link.slot, frame)
    }
    // All is read: the consumer closes, so that the producer knows that its last frames have arrived.
    if (link.role === 'producer' && link.openChannels === 0) this.#finish(link)
  }

  #ended(link: Link, failure: Error | undefined): void {
    if (this.#closed || link.state === 'closed') return
    if (link.openChannels === 0) this.#finish(link)
    else this.#lose(link, failure?.message ?? 'the connection was closed by the other side')
  }

  #lose(link: Link, reason: string): void {
    if (this.#closed || link.state === 'closed') return
    this.#finish(link)
    this.#events.linkLost(link.slot, reason)
  }

  #finish(link: Link): void {
    if (link.state === 'closed') return
    link.state = 'closed'
    clearTimeout(link.retry)
    link.queue = []
    link.queuedBytes = 0
    link.socket?.destroy()
    link.onClosed?.()
  }
}

/** Without decoding the rest: an array header of one, three or five bytes, then the type as a small number. */
function frameTypeOf(frame: Uint8Array): number {
  const header = frame[0]
  return frame[header === 0xdc ? 3 : header === 0xdd ? 5 : 1] ?? -1
}

function readHello(frame: Uint8Array): HelloFrame | undefined {
  if (frameTypeOf(frame) !== frameType.hello) return undefined
  try {
    const hello = decodeFrame(frame)
    return hello.kind === 'hello' ? hello : undefined
  } catch {
    return undefined
  }
}

function lengthOf(frame: Uint8Array): Uint8Array {
  const prefix = new Uint8Array(4)
  new DataView(prefix.buffer).setUint32(0, frame.length, true)
  return prefix
}

/** One direction between two slots. */
class Link {
  readonly slot: number
  /** What the other side is for us. */
  readonly role: 'producer' | 'consumer'
  state: 'open' | 'closed' = 'open'
  /** Channels whose end has not passed yet. */
  openChannels: number
  socket: Socket | undefined
  queue: Uint8Array[] = []
  queuedBytes = 0
  turnsWaited = 0
  retry: NodeJS.Timeout | undefined
  onClosed: (() => void) | undefined

  constructor(slot: number, role: 'producer' | 'consumer', openChannels: number) {
    this.slot = slot
    this.role = role
    this.openChannels = openChannels
  }
}
