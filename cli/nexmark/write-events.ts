/** Writes Nexmark's events as lines of JSON, in pieces of some 64 KiB: never a write per event, never more than a piece in memory. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import type { NexmarkEvent } from '../../runtime/connectors/nexmark.ts'
import { NexmarkGenerator, type NexmarkOptions } from '../../runtime/connectors/nexmark/generator.ts'
import { jsonLine } from '../../runtime/connectors/nexmark/json-line.ts'
import { storageError } from '../../runtime/deploy/node-files.ts'

export type EventKind = NexmarkEvent['kind']
export const eventKinds = ['person', 'auction', 'bid'] as const satisfies readonly EventKind[]

export interface WriteEventsOptions extends NexmarkOptions {
  /** Events 0 to `events - 1` are made, of which those of `kinds` are written. */
  readonly events: number
  readonly kinds: ReadonlySet<EventKind>
  readonly digest: boolean
}

export interface Written {
  readonly events: number
  readonly bytes: number
  /** Of the bytes that were written. */
  readonly sha256?: string
}

/** Takes a piece; a promise is waited for before the next is made. */
export type Output = (piece: Buffer) => Promise<void> | void

const pieceLength = 65_536

export async function writeEvents(options: WriteEventsOptions, output: Output): Promise<Written> {
  const { events, kinds } = options
  const generator = new NexmarkGenerator(options)
  const hash = options.digest ? createHash('sha256') : undefined
  let written = 0
  let bytes = 0
  let text = ''
  const flush = () => {
    // Every letter is ASCII.
    const piece = Buffer.from(text, 'latin1')
    text = ''
    bytes += piece.length
    hash?.update(piece)
    return output(piece)
  }
  for (let number = 0; number < events; number++) {
    const event = generator.eventAt(number)
    if (!kinds.has(event.kind)) continue
    text += jsonLine(event)
    written++
    if (text.length >= pieceLength) {
      const drained = flush()
      if (drained !== undefined) await drained
    }
  }
  if (text !== '') await flush()
  return { events: written, bytes, ...(hash && { sha256: hash.digest('hex') }) }
}

/** A stream is given time to drain. What is wrong with it is its own business: its `error` says so. */
export function toStream(stream: NodeJS.WritableStream): Output {
  return piece => (stream.write(piece) ? undefined : new Promise(resolve => stream.once('drain', resolve)))
}

/** A file is written anew. Throws DISK_FULL or STORAGE_FAILED. */
export async function toFile<T>(path: string, work: (output: Output) => Promise<T>): Promise<T> {
  const attempt = <R>(verb: string, io: () => R): R => {
    try {
      return io()
    } catch (error) {
      throw storageError(verb, path, error)
    }
  }
  const descriptor = attempt('create', () => openSync(path, 'w'))
  try {
    return await work(piece => {
      // A write may be short.
      for (let at = 0; at < piece.length; ) at += attempt('write', () => writeSync(descriptor, piece, at))
    })
  } finally {
    attempt('close', () => closeSync(descriptor))
  }
}
