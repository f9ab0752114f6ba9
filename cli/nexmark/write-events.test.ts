import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { NexmarkGenerator } from '../../runtime/connectors/nexmark.ts'
import { eventKinds, toFile, toStream, writeEvents, type Output } from './write-events.ts'

const all = new Set(eventKinds)
const expected = (events: number, options = {}) => {
  const generator = new NexmarkGenerator(options)
  return Array.from({ length: events }, (_, number) => generator.eventAt(number))
}

test.each([[0], [1], [49], [12_345]])('%i events are as many lines of JSON, in order', async events => {
  let text = ''
  const written = await writeEvents({ events, kinds: all, digest: true, seed: 3, rate: 1_000 }, piece => void (text += piece.toString()))
  expect(text).toBe(expected(events, { seed: 3, rate: 1_000 }).map(event => `${JSON.stringify(event)}\n`).join(''))
  expect(written).toEqual({ events, bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') })
})

test('of some kinds only those are written', async () => {
  let text = ''
  const written = await writeEvents({ events: 1_000, kinds: new Set(['person', 'auction']), digest: false }, piece => void (text += piece.toString()))
  expect(text.trim().split('\n').map(line => JSON.parse(line) as unknown)).toEqual(expected(1_000).filter(({ kind }) => kind !== 'bid'))
  expect(written).toEqual({ events: 80, bytes: text.length })
})

test('pieces are few, and the next is not made before the stream has drained', async () => {
  const sizes: number[] = []
  let waiting: (() => void) | undefined
  let blocked = 0
  const slow = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _, done) {
      if (waiting !== undefined) blocked++
      sizes.push(chunk.length)
      waiting = () => {
        waiting = undefined
        done()
      }
      setImmediate(waiting)
    },
  })
  const output = toStream(slow)
  let inFlight = 0
  let most = 0
  const counted: Output = async piece => {
    most = Math.max(most, ++inFlight)
    await output(piece)
    inFlight--
  }
  const { bytes } = await writeEvents({ events: 5_000, kinds: all, digest: false }, counted)
  expect({ most, blocked }).toEqual({ most: 1, blocked: 0 })
  expect(sizes.length).toBe(Math.ceil(bytes / 66_500))
  expect(Math.max(...sizes)).toBeLessThan(68_000)
})

test('a file is written over; one that cannot be says why', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'flink-ts-nexmark-'))
  const path = join(directory, 'events.ndjson')
  writeFileSync(path, 'x'.repeat(1_000_000))
  const { bytes } = await toFile(path, output => writeEvents({ events: 2_000, kinds: all, digest: false }, output))
  expect(readFileSync(path, 'utf8')).toBe(expected(2_000).map(event => `${JSON.stringify(event)}\n`).join(''))
  expect(readFileSync(path)).toHaveLength(bytes)
  await expect(toFile(directory, () => Promise.resolve())).rejects.toMatchObject({ code: 'STORAGE_FAILED', message: `could not create ${directory}: it is a directory` })
  rmSync(directory, { recursive: true })
})
