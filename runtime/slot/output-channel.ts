/**
 * The producer's end of one channel: the batch being built, the credit, and what waits for credit.
 *
 * Every element takes one credit, records or not, so what is under way on a channel is bounded by `exchange.credits` and
 * what waits here by one piece of work of the task: a task does not run while one of its channels has `maxWaiting`
 * elements waiting (`ChannelOwner`). Batches wait as values and are encoded only when they can be sent.
 */
import type { Batch, BatchPool, StreamElement } from '../core/batch.ts'
import { maxFrameBytes } from '../core/batch.ts'
import { FlinkError } from '../core/errors.ts'
import { RingBuffer } from '../core/ring-buffer.ts'
import type { Timestamp } from '../core/time.ts'

/** Where elements go: to another slot as frames, or to a task of this slot by reference or as frames. */
export interface ChannelLink {
  /** Takes the batch of `records` for itself, so it cannot be filled again. */
  readonly keepsBatches: boolean
  /** Sends it in at most `credit` frames (at least 1); what does not fit is sent later by `sendFrame`. */
  send(element: StreamElement, credit: number): SentElement
  sendFrame(frame: Uint8Array): void
}
export interface SentElement {
  /** Of all frames; 0 by reference. */
  readonly bytes: number
  readonly credits: number
  /** Frames that found no credit: a batch of very large records becomes many. */
  readonly rest: readonly Uint8Array[]
}
export const noFrames: readonly Uint8Array[] = []

/** What the channels of a task tell it. */
export interface ChannelOwner {
  /** How many of them are too full for it to run. */
  fullChannels: number
  /**
   * Sending failed (a value that is not plain data) at a time when somebody else was running. Nothing more is sent on any of
   * them: a barrier behind what is lost would complete a checkpoint without it.
   */
  failure: unknown
}

/** Elements that may wait for credit before the task is held. */
export const maxWaiting = 2
/** One call into user code may emit without end; beyond so many records on one channel the task fails. */
const mostWaitingRecords = 2 ** 25

export interface OutputChannelOptions {
  readonly number: number
  /** Logical slot of the consumer. */
  readonly slot: number
  readonly link: ChannelLink
  readonly owner: ChannelOwner
  readonly batches: BatchPool
  readonly credits: number
  /** Of an edge by key: every record comes with the hash of its key. */
  readonly keyed?: boolean
  /** How many may wait for credit at the most; other elements count as one. */
  readonly mostWaitingRecords?: number
}

export class OutputChannel {
  readonly number: number
  /** Logical slot of the consumer. */
  readonly slot: number
  readonly #link: ChannelLink
  readonly #owner: ChannelOwner
  readonly #batches: BatchPool
  readonly #keyed: boolean
  readonly #mostWaitingRecords: number
  readonly #waiting: RingBuffer<StreamElement>
  /** What they count together. */
  #waitingRecords = 0
  /** Frames of the element that was sent last, before everything in `#waiting`. */
  #rest: readonly Uint8Array[] = noFrames
  #credit: number
  #batch: Batch
  /** Records per batch; below `batchSize` where records are so large that a frame would be over `maxFrameBytes`. */
  #limit: number
  #deadline: Timestamp = Infinity
  #ended = false
  bytesOut = 0

  constructor({ number, slot, link, owner, batches, credits, keyed = false, mostWaitingRecords: most = mostWaitingRecords }: OutputChannelOptions) {
    this.number = number
    this.slot = slot
    this.#link = link
    this.#owner = owner
    this.#batches = batches
    this.#keyed = keyed
    this.#mostWaitingRecords = most
    this.#waiting = new RingBuffer(most)
    this.#limit = batches.capacity
    this.#credit = credits
    this.#batch = batches.take(keyed)
  }

  /** Values are given up. */
  append(value: unknown, timestamp: Timestamp): void {
    const batch = this.#batch
    const at = batch.size
    batch.values[at] = value
    batch.timestamps[at] = timestamp
    batch.size = at + 1
    if (at + 1 >= this.#limit) this.flush()
  }

  /** On an edge by key; `hash` is the key's `spreadKeyHash`. */
  appendKeyed(value: unknown, timestamp: Timestamp, hash: number): void {
    const batch = this.#batch
    ;(batch.keyHashes as Int32Array)[batch.size] = hash
    this.append(value, timestamp)
  }

  /** The batch is given up; a large one goes on as it is. */
  appendBatch(batch: Batch): void {
    const size = batch.size
    if (this.#batch.size === 0 && size <= this.#limit && size * 2 >= this.#limit) {
      this.#push({ kind: 'records', batch })
      return
    }
    const { values, timestamps } = batch
    for (let i = 0; i < size; i++) this.append(values[i], timestamps[i] as number)
    this.#batches.give(batch)
  }

  flush(): void {
    const batch = this.#batch
    if (batch.size === 0) return
    this.#deadline = Infinity
    this.#batch = this.#batches.take(this.#keyed)
    this.#push({ kind: 'records', batch })
  }

  /** Watermark, status, barrier, end: after all records so far. */
  element(element: StreamElement): void {
    this.flush()
    if (element.kind === 'endOfPartition') this.#ended = true
    this.#push(element)
  }

  /** Flushes what is older than `timeout`; returns when to look again. */
  flushDue(now: Timestamp, timeout: number): Timestamp {
    if (this.#batch.size === 0) return Infinity
    // A wall clock may be set back.
    if (this.#deadline > now + timeout) this.#deadline = now + timeout
    if (now < this.#deadline) return this.#deadline
    this.flush()
    return Infinity
  }

  addCredit(credits: number): void {
    this.#credit += credits
    if (this.#owner.failure !== undefined) return
    while (this.#credit > 0 && this.#rest.length > 0) {
      const [frame, ...rest] = this.#rest
      this.#rest = rest
      this.#credit--
      this.#link.sendFrame(frame as Uint8Array)
    }
    while (this.#credit > 0 && this.#rest.length === 0 && this.#waiting.length > 0) {
      const element = this.#waiting.shift() as StreamElement
      this.#waitingRecords -= recordsIn(element)
      if (this.#waiting.length === maxWaiting - 1) this.#owner.fullChannels--
      try {
        this.#send(element)
      } catch (error) {
        this.#owner.failure ??= error
        return
      }
    }
  }

  get credit(): number {
    return this.#credit
  }
  get waiting(): number {
    return this.#waiting.length
  }
  /** The end of the partition was put in. */
  get ended(): boolean {
    return this.#ended
  }
  /** Nothing is left here. */
  get drained(): boolean {
    return this.#waiting.length === 0 && this.#batch.size === 0 && this.#rest.length === 0
  }

  /** Nothing that came earlier is here. */
  get #mayPass(): boolean {
    return this.#credit > 0 && this.#waiting.length === 0 && this.#rest.length === 0 && this.#owner.failure === undefined
  }

  #push(element: StreamElement): void {
    if (this.#mayPass) {
      this.#send(element)
      return
    }
    // In records, so that a job does not fail at one size of batches and run at another.
    this.#waitingRecords += recordsIn(element)
    if (this.#waitingRecords > this.#mostWaitingRecords) throw tooMany(this.#mostWaitingRecords)
    this.#waiting.push(element)
    if (this.#waiting.length === maxWaiting) this.#owner.fullChannels++
  }

  #send(element: StreamElement): void {
    const { bytes, credits, rest } = this.#link.send(element, this.#credit)
    this.#credit -= credits
    this.#rest = rest
    this.bytesOut += bytes
    if (element.kind !== 'records') return
    if (bytes > 0) this.#adapt(element.batch.size, bytes)
    if (!this.#link.keepsBatches) this.#batches.give(element.batch)
  }

  /** Frames of about `maxFrameBytes` at most. */
  #adapt(records: number, bytes: number): void {
    const { capacity } = this.#batches
    if (bytes <= maxFrameBytes && this.#limit === capacity) return
    const fitting = Math.floor((records * maxFrameBytes) / bytes)
    this.#limit = Math.max(1, Math.min(capacity, fitting))
  }
}

const recordsIn = (element: StreamElement) => (element.kind === 'records' ? element.batch.size : 1)

function tooMany(most: number): FlinkError {
  return new FlinkError('USER_CODE_FAILED', `more than ${most} records came out of one call of a function and wait for the next task`, {
    hint: 'Does a function call collect without end? Otherwise let it make fewer records of each one.',
  })
}
