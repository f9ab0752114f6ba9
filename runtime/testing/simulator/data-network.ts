/**
 * The data plane between simulated slots: what `network/` does with Unix sockets. Frames between two slots arrive in
 * order, after a delay; slots of different attempts never hear each other; what was sent to a slot that is not there yet
 * waits for it, as a consumer's connection attempts do; a slot that goes away breaks its links.
 */
import type { Fence } from '../../core/ids.ts'
import { sameFence } from '../../core/ids.ts'
import { frameType } from '../../protocol/data.ts'
import type { SlotMail } from '../../protocol/slot.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface SlotEnd {
  readonly socket: string
  readonly jobId: string
  readonly fence: Fence
  /** Logical number in its job. */
  readonly slot: number
  receive(mail: SlotMail): void
}

interface Waiting {
  readonly from: SlotEnd
  readonly frame: Uint8Array
}

export class DataNetwork {
  readonly #time: VirtualTime
  readonly #delay: (from: string, to: string) => number
  readonly #believeAll: boolean
  readonly #ends = new Map<string, SlotEnd>()
  readonly #waiting = new Map<string, Waiting[]>()
  /** When the last frame of a link arrives, so that the next one is not before it. */
  readonly #lastArrival = new Map<string, number>()
  readonly #closing = new Map<SlotEnd, () => void>()
  /** Who has talked to whom. */
  readonly #links = new Map<SlotEnd, Set<SlotEnd>>()

  /** `believeAll`: planted bug, frames of another attempt are taken. */
  constructor(time: VirtualTime, delay: (from: string, to: string) => number, believeAll = false) {
    this.#time = time
    this.#delay = delay
    this.#believeAll = believeAll
  }

  join(end: SlotEnd): void {
    this.#ends.set(end.socket, end)
    this.#links.set(end, new Set())
    // Those of another attempt go on waiting, as long as they live: `send` sees to that.
    const waiting = this.#waiting.get(end.socket) ?? []
    this.#waiting.delete(end.socket)
    for (const { from, frame } of waiting) if (this.#believeAll || this.#ends.get(from.socket) === from) this.send(from, end.socket, frame)
    for (const [closing, left] of this.#closing) if (!this.#heldUp(closing)) left()
  }

  /** All is done, but what was sent must still arrive: `left` is called when the last consumer is there to take it. */
  close(end: SlotEnd, left: () => void): void {
    if (this.#heldUp(end)) this.#closing.set(end, left)
    else left()
  }

  send(from: SlotEnd, socket: string, frame: Uint8Array): void {
    const to = this.#ends.get(socket)
    if (to === undefined || !this.#same(to, from)) {
      this.#waiting.set(socket, [...(this.#waiting.get(socket) ?? []), { from, frame }])
      return
    }
    this.#links.get(from)?.add(to)
    this.#links.get(to)?.add(from)
    this.#deliver(from, to, { kind: 'frame', from: from.slot, frame })
  }

  /** The slot is gone. `broken`: not because it was done, so whoever was linked to it learns of it. */
  leave(end: SlotEnd, broken: boolean): void {
    if (this.#ends.get(end.socket) === end) this.#ends.delete(end.socket)
    this.#closing.delete(end)
    const linked = this.#links.get(end) ?? new Set()
    this.#links.delete(end)
    for (const other of linked) {
      this.#links.get(other)?.delete(end)
      if (broken) this.#deliver(end, other, { kind: 'linkLost', from: end.slot, reason: 'the other slot is gone' })
    }
  }

  /** Credits for a producer that is gone hold nobody up. */
  #heldUp(end: SlotEnd): boolean {
    for (const waiting of this.#waiting.values()) if (waiting.some(({ from, frame }) => from === end && frame[1] !== frameType.credit)) return true
    return false
  }

  #same(a: SlotEnd, b: SlotEnd): boolean {
    return this.#believeAll || (a.jobId === b.jobId && sameFence(a.fence, b.fence))
  }

  #deliver(from: SlotEnd, to: SlotEnd, mail: SlotMail): void {
    const link = `${from.socket} ${to.socket}`
    const at = Math.max(this.#time.now + this.#delay(from.socket, to.socket), this.#lastArrival.get(link) ?? 0)
    this.#lastArrival.set(link, at)
    this.#time.at(at, () => {
      const end = this.#ends.get(to.socket)
      if (end === to || (this.#believeAll && end !== undefined)) end.receive(mail)
    })
  }
}
