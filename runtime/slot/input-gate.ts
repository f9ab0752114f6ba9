/**
 * The input channels of one task, read round-robin, one element at a time from each. What a blocked channel (alignment)
 * holds stays queued; the producer runs out of credit and waits. An element gives its credit back when it is taken.
 */
import type { BatchPool, StreamElement } from '../core/batch.ts'
import { assert } from '../core/assert.ts'
import type { FrameBuffers } from '../core/frame-buffers.ts'
import { RingBuffer } from '../core/ring-buffer.ts'
import { createChannelDecoder, type ChannelDecoder } from '../codec/channel-codec.ts'
import { decodeFrame, type Frame } from '../codec/frame.ts'
import type { ExchangeConfig } from '../graph/config.ts'
import { elementOf } from './frames.ts'

export interface InputChannelOptions {
  readonly number: number
  /** Index among the task's channels, and among those of its input. */
  readonly index: number
  readonly input: number
  readonly inputIndex: number
  /** Logical slot of the producer. */
  readonly slot: number
  readonly exchange: ExchangeConfig
  readonly batches: BatchPool
  readonly frameBuffers: FrameBuffers
  /** Gives credits back to the producer. */
  giveCredit(credits: number): void
  /** 1 inside a slot; between slots credits are announced in halves. */
  readonly creditsAtOnce: number
}

export class InputChannel {
  readonly number: number
  readonly index: number
  readonly input: number
  readonly inputIndex: number
  readonly slot: number
  /** No more data will come. */
  endOfData = false
  drained = false
  /** Nothing will come. */
  ended = false
  bytesIn = 0
  readonly #queue: RingBuffer<StreamElement | Uint8Array>
  readonly #decoder: ChannelDecoder
  readonly #giveCredit: (credits: number) => void
  readonly #creditsAtOnce: number
  #owed = 0
  #discarding = false

  constructor(options: InputChannelOptions) {
    this.number = options.number
    this.index = options.index
    this.input = options.input
    this.inputIndex = options.inputIndex
    this.slot = options.slot
    // Schemas come on top, at most one before each frame of records.
    this.#queue = new RingBuffer(options.exchange.credits * 2)
    this.#decoder = createChannelDecoder(options.exchange.codec, options.batches, options.frameBuffers)
    this.#giveCredit = options.giveCredit
    this.#creditsAtOnce = options.creditsAtOnce
  }

  get queued(): number {
    return this.#queue.length
  }

  push(item: StreamElement | Uint8Array): void {
    this.#queue.push(item)
    if (this.#discarding) while (this.take() !== undefined);
  }

  /** What arrived as bytes: frames of records and schemas stay as they are until their turn comes. */
  pushFrame(frame: Exclude<Frame, { kind: 'hello' | 'credit' }>): void {
    this.push('frame' in frame ? frame.frame : elementOf(frame))
  }
  pushBytes(bytes: Uint8Array): void {
    const frame = decodeFrame(bytes)
    assert(frame.kind !== 'hello' && frame.kind !== 'credit', `a ${frame.kind} frame to the consumer`)
    this.pushFrame(frame)
  }

  /** The next element; undefined if there is none. */
  take(): StreamElement | undefined {
    for (;;) {
      const item = this.#queue.shift()
      if (item === undefined) return undefined
      if (!(item instanceof Uint8Array)) {
        this.#consumed()
        return item
      }
      this.bytesIn += item.length
      const batch = this.#decoder.decode(item)
      // A schema: it only tells how to read what follows, and took no credit.
      if (batch === undefined) continue
      this.#consumed()
      return { kind: 'records', batch }
    }
  }

  /** Whatever is here and comes later is dropped: its task is over. */
  discard(): void {
    this.#discarding = true
    while (this.take() !== undefined);
  }

  #consumed(): void {
    this.#owed++
    if (this.#owed < this.#creditsAtOnce) return
    const credits = this.#owed
    this.#owed = 0
    this.#giveCredit(credits)
  }
}

export class InputGate {
  readonly channels: readonly InputChannel[]
  #next = 0

  constructor(channels: readonly InputChannel[]) {
    this.channels = channels
  }

  /** The next channel in turn that holds something and is not blocked. */
  next(isBlocked: (channel: number) => boolean): InputChannel | undefined {
    const { channels } = this
    const count = channels.length
    for (let i = 0; i < count; i++) {
      const index = (this.#next + i) % count
      const channel = channels[index]
      assert(channel !== undefined, 'gate without its channel')
      if (channel.queued === 0 || isBlocked(index)) continue
      this.#next = (index + 1) % count
      return channel
    }
    return undefined
  }
}
