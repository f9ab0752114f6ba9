/**
 * Aligns checkpoint barriers over the input channels of one task (Carbone et al., asynchronous barrier snapshotting;
 * Flink's aligned checkpoints). Sans-I/O: the task says what arrived, the aligner says when to snapshot, which older
 * checkpoint is given up, and which channels stay blocked.
 *
 * Picture a gate with several lanes: in exactly-once mode the first barrier closes its lane, the last one opens them all.
 * In at-least-once mode no lane closes and several checkpoints may be counted at a time.
 */
import type { CheckpointBarrier } from '../core/batch.ts'
import { assert } from '../core/assert.ts'
import type { Timestamp } from '../core/time.ts'
import { noFaults, type SlotFaults } from './faults.ts'

export type AlignerCommand =
  /** All channels delivered the barrier: snapshot now. `alignmentStart` is when the first one did. */
  | { readonly kind: 'snapshot'; readonly barrier: CheckpointBarrier; readonly alignmentStart: Timestamp }
  /** This checkpoint will never be taken here. */
  | { readonly kind: 'decline'; readonly checkpointId: number; readonly reason: string }

export type AlignmentMode = 'exactly-once' | 'at-least-once'

interface Pending {
  readonly barrier: CheckpointBarrier
  readonly start: Timestamp
  readonly arrived: Uint8Array
}

/** At-least-once: checkpoints counted at a time; the oldest is given up beyond. Also how many ids aborted ahead of their barrier are remembered. */
const maxPending = 50

export class BarrierAligner {
  readonly #mode: AlignmentMode
  readonly #faults: SlotFaults
  readonly #ended: Uint8Array
  readonly #blocked: Uint8Array
  #running: number
  /** Ascending by id; in exactly-once mode at most one. */
  readonly #pending: Pending[] = []
  /** Barriers up to this id are history. */
  #settled = -1
  readonly #abortedAhead = new Set<number>()

  constructor(channels: number, mode: AlignmentMode, faults: SlotFaults = noFaults) {
    this.#mode = mode
    this.#faults = faults
    this.#ended = new Uint8Array(channels)
    this.#blocked = new Uint8Array(channels)
    this.#running = channels
  }

  /** What this channel holds must wait until the alignment is over. */
  isBlocked(channel: number): boolean {
    return this.#blocked[channel] === 1
  }

  /** Channels that have not ended. */
  get running(): number {
    return this.#running
  }

  barrier(channel: number, barrier: CheckpointBarrier, now: Timestamp): AlignerCommand[] {
    assert(this.#ended[channel] === 0, `barrier ${barrier.checkpointId} on channel ${channel}, which has ended`)
    const commands: AlignerCommand[] = []
    const id = barrier.checkpointId
    if (id <= this.#settled) return commands
    if (this.#mode === 'exactly-once') this.#superseded(barrier, commands)
    if (this.#abortedAhead.has(id)) return commands
    const pending = this.#pendingFor(barrier, now, commands)
    if (pending === undefined) return commands
    pending.arrived[channel] = 1
    if (this.#mode === 'exactly-once' && !this.#faults.noAlignment) this.#blocked[channel] = 1
    this.#completeIfAligned(commands)
    return commands
  }

  /** Nothing follows on this channel: it holds up no checkpoint any more. */
  endOfPartition(channel: number): AlignerCommand[] {
    const commands: AlignerCommand[] = []
    if (this.#ended[channel] === 1) return commands
    this.#ended[channel] = 1
    this.#blocked[channel] = 0
    this.#running--
    this.#completeIfAligned(commands)
    return commands
  }

  /** The coordinator gave the checkpoint up: its channels are released, and barriers of it that come later are ignored. */
  aborted(checkpointId: number): void {
    if (checkpointId <= this.#settled) return
    const index = this.#pending.findIndex(pending => pending.barrier.checkpointId === checkpointId)
    if (index >= 0) {
      this.#pending.splice(index, 1)
      if (this.#mode === 'exactly-once') {
        this.#blocked.fill(0)
        this.#settled = checkpointId
        return
      }
    }
    this.#abortedAhead.add(checkpointId)
    if (this.#abortedAhead.size > maxPending) this.#abortedAhead.delete(Math.min(...this.#abortedAhead))
  }

  /** A checkpoint was taken here without barriers (injected, because no input runs any more). */
  taken(checkpointId: number): AlignerCommand[] {
    const commands: AlignerCommand[] = []
    if (checkpointId > this.#settled) this.#settle(checkpointId, commands, 'a newer checkpoint was taken')
    return commands
  }

  /** Whether this id may still be taken here. */
  isOpen(checkpointId: number): boolean {
    return checkpointId > this.#settled && !this.#abortedAhead.has(checkpointId)
  }

  /** Exactly-once: one alignment at a time, the newest. */
  #superseded(newer: CheckpointBarrier, commands: AlignerCommand[]): void {
    const older = this.#pending[0]
    const id = newer.checkpointId
    if (older === undefined || older.barrier.checkpointId >= id) return
    if (this.#faults.noSupersede) {
      this.#pending[0] = { ...older, barrier: newer }
      return
    }
    commands.push({ kind: 'decline', checkpointId: older.barrier.checkpointId, reason: `barrier ${id} arrived before the alignment was complete` })
    this.#settled = older.barrier.checkpointId
    this.#pending.length = 0
    this.#blocked.fill(0)
  }

  #pendingFor(barrier: CheckpointBarrier, now: Timestamp, commands: AlignerCommand[]): Pending | undefined {
    const id = barrier.checkpointId
    const first = this.#pending[0]
    // An older barrier than the one being aligned: it was superseded.
    if (first !== undefined && this.#mode === 'exactly-once' && first.barrier.checkpointId > id) return undefined
    const known = this.#pending.find(pending => pending.barrier.checkpointId === id)
    if (known !== undefined) return known
    const pending: Pending = { barrier, start: now, arrived: new Uint8Array(this.#ended.length) }
    this.#pending.push(pending)
    this.#pending.sort((a, b) => a.barrier.checkpointId - b.barrier.checkpointId)
    if (this.#pending.length > maxPending) {
      const oldest = this.#pending.shift() as Pending
      this.#settled = Math.max(this.#settled, oldest.barrier.checkpointId)
      commands.push({ kind: 'decline', checkpointId: oldest.barrier.checkpointId, reason: `more than ${maxPending} checkpoints at a time` })
      if (oldest === pending) return undefined
    }
    return pending
  }

  #completeIfAligned(commands: AlignerCommand[]): void {
    // From the newest: in at-least-once mode it makes the older ones pointless.
    for (let i = this.#pending.length - 1; i >= 0; i--) {
      const pending = this.#pending[i] as Pending
      if (!this.#complete(pending)) continue
      this.#pending.splice(i, 1)
      this.#settle(pending.barrier.checkpointId, commands, `checkpoint ${pending.barrier.checkpointId} was complete before`)
      commands.push({ kind: 'snapshot', barrier: pending.barrier, alignmentStart: pending.start })
      return
    }
  }

  #complete(pending: Pending): boolean {
    const { arrived } = pending
    for (let i = 0; i < arrived.length; i++) if (arrived[i] === 0 && this.#ended[i] === 0) return false
    return true
  }

  /** Everything up to `id` is history; what was pending of it is given up. */
  #settle(id: number, commands: AlignerCommand[], reason: string): void {
    while (this.#pending.length > 0 && (this.#pending[0] as Pending).barrier.checkpointId <= id) {
      const pending = this.#pending.shift() as Pending
      if (pending.barrier.checkpointId < id) commands.push({ kind: 'decline', checkpointId: pending.barrier.checkpointId, reason })
    }
    this.#settled = id
    if (this.#mode === 'exactly-once' && this.#pending.length === 0) this.#blocked.fill(0)
    for (const aborted of this.#abortedAhead) if (aborted <= id) this.#abortedAhead.delete(aborted)
  }
}
