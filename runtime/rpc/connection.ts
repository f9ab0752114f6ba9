/**
 * A control connection between two processes of a cluster: length-prefixed msgpack messages over a Unix socket, one way
 * each, in order. Before the first message the side that connects sends a preamble of fixed size with the token; a peer
 * without it is refused before anything is decoded.
 *
 * A connection ends in one of three ways, and each is told exactly once: `closed` (we ended it), `refused` (what the peer
 * said cannot be right: wrong token, a message too long or malformed), `lost` (the peer is gone, or does not read).
 * A peer that does not read is bounded: with 8 MiB waiting for it, it is declared dead.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { chmodSync } from 'node:fs'
import { packMessage, unpackMessage } from '../codec/control.ts'
import { FlinkError } from '../core/errors.ts'
import { listenAt } from './listen.ts'
import { monotonicMs } from './monotonic.ts'
import { sameToken } from './token.ts'

export type ConnectionEnd =
  | { readonly kind: 'closed' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'lost'; readonly reason: string }

export interface ConnectionEvents<In> {
  message(message: In): void
  /** Once; nothing comes after it. */
  end(end: ConnectionEnd): void
}

/** Bytes that may wait for a peer that does not read. */
export const maxQueuedBytes = 8 * 1024 * 1024
/** A longer message ends the connection. Deployments with the manifest of a large checkpoint are the longest. */
const maxMessageBytes = 16 * 1024 * 1024
const preambleMagic = Buffer.from('FTSC\x01', 'latin1')
const preambleBytes = preambleMagic.length + 32
const preambleTimeoutMs = 5_000
const maxConnections = 1_024

export class Connection<Out, In> {
  readonly #socket: Socket
  readonly #events: ConnectionEvents<In>
  readonly #splitter = new MessageSplitter(maxMessageBytes)
  #ended = false
  #corked = false

  /** `head` are bytes that were read behind the preamble. */
  constructor(socket: Socket, events: ConnectionEvents<In>, head?: Uint8Array) {
    this.#socket = socket
    this.#events = events
    socket.setNoDelay?.(true)
    socket.on('data', chunk => this.#read(chunk))
    socket.on('error', error => this.#end({ kind: 'lost', reason: error.message }))
    socket.on('close', () => this.#end({ kind: 'lost', reason: 'the connection was closed by the other side' }))
    if (head !== undefined && head.length > 0) queueMicrotask(() => this.#read(head))
  }

  get open(): boolean {
    return !this.#ended
  }

  /** Never throws; what is sent after the end is dropped. `flushed` is called when the bytes have left this process. */
  send(message: Out, flushed?: () => void): void {
    if (this.#ended) return
    if (this.#socket.writableLength > maxQueuedBytes) {
      this.#end({ kind: 'lost', reason: `the peer does not read: ${this.#socket.writableLength} bytes wait for it` })
      return
    }
    const bytes = packMessage(message)
    const prefix = Buffer.allocUnsafe(4)
    prefix.writeUInt32LE(bytes.length)
    if (!this.#corked) {
      this.#corked = true
      this.#socket.cork()
      process.nextTick(() => {
        this.#corked = false
        this.#socket.uncork()
      })
    }
    this.#socket.write(prefix)
    this.#socket.write(bytes, flushed && (error => void (error == null && flushed())))
  }

  /** Reads nothing more, after what it has read already, until `resume`: for an owner that has enough to do. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Ends in good order: what was sent before is delivered. */
  close(): void {
    if (this.#ended) return
    this.#socket.end(() => this.#socket.destroy())
    this.#end({ kind: 'closed' }, false)
  }

  /** Ends at once, because of what the owner knows of the peer (no heartbeat, an impossible message). */
  destroy(reason: string): void {
    this.#end({ kind: 'lost', reason })
  }

  #read(chunk: Uint8Array): void {
    if (this.#ended) return
    let messages: Uint8Array[]
    try {
      messages = this.#splitter.push(chunk)
    } catch (error) {
      this.#end({ kind: 'refused', reason: (error as Error).message })
      return
    }
    for (const bytes of messages) {
      let message: In
      try {
        // The peer has proved that it belongs to this cluster; its messages are typed by `protocol/`.
        message = unpackMessage(bytes) as In
      } catch (error) {
        this.#end({ kind: 'refused', reason: `malformed message: ${(error as Error).message}` })
        return
      }
      this.#events.message(message)
      // The owner may have ended the connection because of it.
      if (this.#ended) return
    }
  }

  #end(end: ConnectionEnd, destroy = true): void {
    if (this.#ended) return
    this.#ended = true
    if (destroy) this.#socket.destroy()
    this.#events.end(end)
  }
}

/** Connects and presents the token. Rejects while nobody listens; see `connectWithRetry`. */
export function openConnection<Out, In>(path: string, token: string, events: ConnectionEvents<In>): Promise<Connection<Out, In>> {
  const { promise, resolve, reject } = Promise.withResolvers<Connection<Out, In>>()
  const socket = connect(path)
  socket.once('error', reject)
  socket.once('connect', () => {
    socket.off('error', reject)
    socket.write(Buffer.concat([preambleMagic, Buffer.from(token, 'hex')]))
    resolve(new Connection(socket, events))
  })
  return promise
}

/**
 * Connects, again and again while nobody listens, with pauses from 5 ms up to 100 ms.
 *
 * @throws the last error once `windowMs` have passed, or at once when `signal` is aborted
 */
export async function connectWithRetry<Out, In>(
  path: string, token: string, events: ConnectionEvents<In>, windowMs: number, signal?: AbortSignal,
): Promise<Connection<Out, In>> {
  const until = monotonicMs() + windowMs
  for (let pause = 5; ; pause = Math.min(pause * 1.5, 100)) {
    try {
      return await openConnection(path, token, events)
    } catch (error) {
      if (signal?.aborted || monotonicMs() > until) throw error
    }
    await new Promise<void>(resolve => setTimeout(resolve, pause))
  }
}

/**
 * Listens for control connections; `accept` gets a connection only after the token was right.
 *
 * @throws {FlinkError} STORAGE_FAILED when the socket cannot be bound
 */
export function listenForConnections<Out, In>(
  path: string, token: string, accept: (open: (events: ConnectionEvents<In>) => Connection<Out, In>) => void,
): Promise<{ close(): void; refusedConnections(): number }> {
  const expected = Buffer.from(token, 'hex')
  let refused = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    readPreamble(socket, expected, head => {
      if (head === undefined) {
        refused++
        socket.destroy()
      } else {
        accept(events => new Connection<Out, In>(socket, events, head))
      }
    })
  })
  server.maxConnections = maxConnections
  const { promise, resolve, reject } = Promise.withResolvers<{ close(): void; refusedConnections(): number }>()
  server.once('error', error => reject(new FlinkError('STORAGE_FAILED', `could not listen on ${path}`, { cause: error })))
  listenAt(server, path, () => {
    chmodSync(path, 0o600)
    resolve({
      close() {
        server.close()
        for (const socket of sockets) socket.destroy()
      },
      refusedConnections: () => refused,
    })
  })
  return promise
}

/** Calls back once: with what was read behind the preamble, or with undefined when the peer is to be refused. */
function readPreamble(socket: Socket, expected: Uint8Array, done: (head: Uint8Array | undefined) => void): void {
  let read = Buffer.alloc(0)
  let timer: NodeJS.Timeout | undefined
  const finish = (head: Uint8Array | undefined) => {
    clearTimeout(timer)
    socket.off('data', onData)
    socket.off('close', onClose)
    // Until the connection has its own listener, an error must not end the process.
    socket.on('error', ignore)
    if (head !== undefined) socket.pause()
    done(head)
    if (head !== undefined) socket.resume()
  }
  const onData = (chunk: Buffer) => {
    read = Buffer.concat([read, chunk])
    if (read.length < preambleBytes) return
    const magicIsRight = read.subarray(0, preambleMagic.length).equals(preambleMagic)
    const tokenIsRight = sameToken(read.subarray(preambleMagic.length, preambleBytes), expected)
    finish(magicIsRight && tokenIsRight ? read.subarray(preambleBytes) : undefined)
  }
  const onClose = () => finish(undefined)
  timer = setTimeout(onClose, preambleTimeoutMs)
  timer.unref()
  socket.on('data', onData)
  socket.on('close', onClose)
  socket.on('error', ignore)
}
const ignore = () => {}

/** Cuts a stream of bytes into messages of a u32 little-endian length each. The length is checked before anything is kept. */
export class MessageSplitter {
  readonly #maxBytes: number
  /** Chunks of a message that is not whole yet, joined once when it is. */
  #parts: Uint8Array[] = []
  #have = 0
  #need = 4

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  push(chunk: Uint8Array): Uint8Array[] {
    this.#parts.push(chunk)
    this.#have += chunk.length
    if (this.#have < this.#need) return []
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const messages: Uint8Array[] = []
    let at = 0
    for (;;) {
      this.#need = 4
      if (bytes.length - at < 4) break
      const length = view.getUint32(at, true)
      if (length > this.#maxBytes) throw new RangeError(`a message of ${length} bytes is longer than ${this.#maxBytes}`)
      this.#need = 4 + length
      if (bytes.length - at < this.#need) break
      messages.push(bytes.subarray(at + 4, at + 4 + length))
      at += 4 + length
    }
    const tail = bytes.subarray(at)
    this.#parts = tail.length === 0 ? [] : [tail]
    this.#have = tail.length
    return messages
  }
}
