import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../core/random.ts'
import { packMessage } from '../codec/control.ts'
import { connectWithRetry, listenForConnections, maxQueuedBytes, MessageSplitter, openConnection, type Connection, type ConnectionEnd } from './connection.ts'
import { newToken, sameToken } from './token.ts'

let directory: string
let path: string
const token = newToken()
const cleanUps: (() => void)[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'flink-ts-rpc-'))
  path = join(directory, 's')
})
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp()
  rmSync(directory, { recursive: true, force: true })
})

/** A side of a connection with all that it heard. */
function recorder() {
  const messages: unknown[] = []
  let wake = () => {}
  const end = Promise.withResolvers<ConnectionEnd>()
  return {
    messages,
    end: end.promise,
    events: { message: (message: unknown) => (messages.push(message), wake()), end: (how: ConnectionEnd) => end.resolve(how) },
    async until(count: number): Promise<void> {
      while (messages.length < count) await new Promise<void>(resolve => (wake = resolve))
    },
  }
}

async function listen(accept: (connection: Connection<unknown, unknown>) => void = () => {}) {
  const heard = recorder()
  const server = await listenForConnections<unknown, unknown>(path, token, open => accept(open(heard.events)))
  cleanUps.push(() => server.close())
  return { server, heard }
}

/** A peer that is not one of ours: sends bytes and says whether it was cut off. */
function stranger(bytes: Uint8Array): { readonly closed: Promise<void>; readonly socket: Socket } {
  const socket = connect(path)
  cleanUps.push(() => socket.destroy())
  socket.on('error', () => {})
  socket.write(bytes)
  return { socket, closed: new Promise(resolve => socket.on('close', () => resolve())) }
}
const preamble = (secret: string, magic = 'FTSC\x01') => Buffer.concat([Buffer.from(magic, 'latin1'), Buffer.from(secret, 'hex')])
const framed = (body: Uint8Array, length = body.length) => {
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32LE(length)
  return Buffer.concat([prefix, body])
}

test('messages arrive whole and in order, both ways, however long', async () => {
  const back = recorder()
  const { heard } = await listen(connection => {
    connection.send({ kind: 'registered' })
  })
  const connection = await openConnection(path, token, back.events)
  const messages = [{ kind: 'a', text: 'ü' }, { kind: 'b', bytes: new Uint8Array(300_000) }, { kind: 'c', missing: undefined, list: [1, [2.5, null]] }]
  for (const message of messages) connection.send(message)
  await Promise.all([heard.until(3), back.until(1)])
  expect(heard.messages).toEqual(messages)
  expect(back.messages).toEqual([{ kind: 'registered' }])
})

test('what was sent before a close arrives, and both sides hear of the end once', async () => {
  const { heard } = await listen()
  const own = recorder()
  const connection = await openConnection(path, token, own.events)
  connection.send({ n: 1 })
  connection.close()
  connection.send({ n: 2 })
  expect(await own.end).toEqual({ kind: 'closed' })
  expect((await heard.end).kind).toBe('lost')
  expect(heard.messages).toEqual([{ n: 1 }])
})

describe('who cannot show the token is refused before anything is decoded', () => {
  test.each([
    ['another token', preamble(newToken())],
    ['no preamble, but a message', framed(packMessage({ kind: 'register' }))],
    ['another protocol', Buffer.from(`GET / HTTP/1.1\r\nHost: localhost\r\n\r\n${' '.repeat(64)}`)],
    ['a token in another version of the protocol', preamble(token, 'FTSC\x02')],
  ])('%s', async (_name, bytes) => {
    const { server, heard } = await listen()
    // A message follows at once: it must not be read.
    await stranger(Buffer.concat([bytes, framed(packMessage({ kind: 'register' }))])).closed
    expect([heard.messages, server.refusedConnections()]).toEqual([[], 1])
  })
})

test('a preamble may come byte by byte, and with the first message behind it', async () => {
  const { heard } = await listen()
  const peer = stranger(new Uint8Array(0))
  for (const byte of Buffer.concat([preamble(token), framed(packMessage({ n: 1 }))])) peer.socket.write(Uint8Array.of(byte))
  await heard.until(1)
  expect(heard.messages).toEqual([{ n: 1 }])
})

describe('a peer that says impossible things loses its connection, not the process', () => {
  test.each([
    ['a message longer than allowed', framed(new Uint8Array(0), 0xffff_ffff), /longer than/],
    ['no msgpack', framed(Uint8Array.of(0xc1)), /malformed/],
    ['bytes behind the message', framed(Uint8Array.of(0x01, 0x02)), /malformed/],
    ['an array of four billion', framed(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)), /malformed/],
  ])('%s', async (_name, bytes, reason) => {
    const { heard } = await listen()
    const peer = stranger(Buffer.concat([preamble(token), framed(packMessage({ n: 1 }))]))
    await heard.until(1)
    peer.socket.write(bytes)
    const end = await heard.end
    expect(end).toEqual({ kind: 'refused', reason: expect.stringMatching(reason) })
    expect(heard.messages).toEqual([{ n: 1 }])
    await peer.closed
  })
})

test('a peer that lives but does not read is declared dead when 8 MiB wait for it', async () => {
  const half = createServer(socket => cleanUps.push(() => socket.destroy())).listen(path)
  cleanUps.push(() => half.close())
  const own = recorder()
  const connection = await connectWithRetry(path, token, own.events, 5_000)
  const message = { bytes: new Uint8Array(256 * 1024) }
  let sent = 0
  while (connection.open) {
    connection.send(message)
    sent += message.bytes.length
    expect(sent).toBeLessThan(2 * maxQueuedBytes)
  }
  expect(await own.end).toMatchObject({ kind: 'lost', reason: expect.stringMatching(/does not read/) })
})

test('who connects before anybody listens gets through when somebody does', async () => {
  const own = recorder()
  const connecting = connectWithRetry(path, token, own.events, 10_000)
  const { heard } = await listen()
  const connection = await connecting
  connection.send({ n: 1 })
  await heard.until(1)
  await expect(connectWithRetry(`${path}-nobody`, token, own.events, 20)).rejects.toThrow(/ENOENT/)
})

test('messages are the same however the bytes are cut', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = seededRandom(seed)
  const bodies = Array.from({ length: 200 }, () => new Uint8Array(random.int(random.chance(0.1) ? 5_000 : 40)).fill(random.int(256)))
  const stream = Buffer.concat(bodies.map(body => framed(body)))
  const splitter = new MessageSplitter(10_000)
  const seen: number[][] = []
  for (let at = 0; at < stream.length; ) {
    const size = 1 + random.int(random.chance(0.5) ? 7 : 3_000)
    seen.push(...splitter.push(Buffer.from(stream.subarray(at, at + size))).map(message => [...message]))
    at += size
  }
  expect(seen, `seed ${seed}`).toEqual(bodies.map(body => [...body]))
})

test('tokens are 256 random bits and compared as a whole', () => {
  expect(newToken()).toMatch(/^[0-9a-f]{64}$/)
  expect([sameToken(token, token), sameToken(token.slice(1), token), sameToken('', token), sameToken(newToken(), token)]).toEqual([true, false, false, false])
})
