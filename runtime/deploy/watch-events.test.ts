import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RuntimeEvent } from '../metrics/event.ts'
import { eventToJson } from '../protocol/event-json.ts'
import type { Watch, WatchedEvents } from '../protocol/watch.ts'
import { listenForConnections } from '../rpc/connection.ts'
import { newToken } from '../rpc/token.ts'
import { watchEvents } from './watch-events.ts'

const turns = async (n: number) => {
  for (let i = 0; i < n; i++) await new Promise(resolve => setImmediate(resolve))
}

test('who takes no event is sent no more than fits the socket, and gets all of them later', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'watch-'))
  const path = join(directory, 's')
  const token = newToken()
  const count = 2_000
  let left = 0
  const server = await listenForConnections<WatchedEvents, Watch>(path, token, open => {
    const connection = open({
      message(watch) {
        for (let sequence = watch.from; sequence < count; sequence++) {
          const event: RuntimeEvent = { sequence, at: 0, kind: 'log', level: 'info', message: 'x'.repeat(2_000) }
          connection.send({ kind: 'events', bytes: Buffer.from(`${eventToJson(event)}\n`) }, () => left++)
        }
      },
      end() {},
    })
  })
  const events = watchEvents(path, token, 0, new AbortController().signal)[Symbol.asyncIterator]()
  const numbers = [(await events.next()).value!.sequence]
  await turns(200)
  expect(left).toBeLessThan(count / 2)
  while (numbers.length < count) numbers.push((await events.next()).value!.sequence)
  expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i))
  await events.return!()
  server.close()
  rmSync(directory, { recursive: true })
})
