/**
 * Stands between the split enumerators and the readers (Flink `SourceCoordinator` with its `SubtaskGatewayImpl`). It
 * keeps the one promise on which exactly-once reading rests: at a checkpoint a split is in the enumerator's state or in
 * a reader's, never in both and never in none.
 *
 *     assigned before the enumerator's snapshot   -> sent before the trigger, so the reader has it in its state
 *     assigned after the enumerator's snapshot    -> held back until the trigger was sent: the enumerator's state has it
 *
 * Both ways are in order (host to JobManager, JobManager to TaskManager), which is all it takes. Pure.
 */
import { unreachable } from '../../core/assert.ts'
import type { ErrorData } from '../../core/errors.ts'

export type Assignment =
  | { readonly kind: 'addSplit'; readonly operatorId: string; readonly subtask: number; readonly split: unknown }
  | { readonly kind: 'noMoreSplits'; readonly operatorId: string; readonly subtask: number }

export type SourceEvent =
  /** New enumerators are started; nothing may reach the readers before they are deployed. */
  | { readonly kind: 'attemptPrepared' }
  | { readonly kind: 'deployed' }
  | { readonly kind: 'attemptEnded' }
  | { readonly kind: 'requestSplit'; readonly operatorId: string; readonly subtask: number }
  | { readonly kind: 'assignment'; readonly assignment: Assignment }
  | { readonly kind: 'snapshotTaken'; readonly operatorId: string; readonly checkpointId: number }
  /** The barriers of this checkpoint are on their way, or it was given up. */
  | { readonly kind: 'released'; readonly checkpointId: number }

export type SourceCommand =
  | { readonly kind: 'askEnumerator'; readonly operatorId: string; readonly subtask: number }
  | { readonly kind: 'send'; readonly assignment: Assignment }
  | { readonly kind: 'fail'; readonly error: ErrorData }

/** Held back at most: a checkpoint is triggered within milliseconds of the enumerators' snapshots, so more is a loop in an enumerator. */
export const maxHeldAssignments = 100_000

export class SourceCoordinator {
  /** Operators whose gate is closed, by the checkpoint that closed it. */
  readonly #closed = new Map<string, number>()
  /** A checkpoint that was released before its last snapshot came in (given up meanwhile). */
  #releasedUpTo = -1
  #phase: 'idle' | 'prepared' | 'deployed' = 'idle'
  #held: Assignment[] = []

  handle(event: SourceEvent): SourceCommand[] {
    switch (event.kind) {
      case 'attemptPrepared':
        this.#reset('prepared')
        return []
      case 'deployed':
        this.#phase = 'deployed'
        return this.#drain()
      case 'attemptEnded':
        this.#reset('idle')
        return []
      case 'requestSplit':
        return this.#phase === 'deployed' ? [{ kind: 'askEnumerator', operatorId: event.operatorId, subtask: event.subtask }] : []
      case 'assignment':
        return this.#assign(event.assignment)
      case 'snapshotTaken':
        if (event.checkpointId > this.#releasedUpTo) this.#closed.set(event.operatorId, event.checkpointId)
        return []
      case 'released':
        this.#releasedUpTo = Math.max(this.#releasedUpTo, event.checkpointId)
        for (const [operatorId, checkpointId] of this.#closed) if (checkpointId <= event.checkpointId) this.#closed.delete(operatorId)
        return this.#drain()
      default:
        return unreachable(event)
    }
  }

  #reset(phase: 'idle' | 'prepared'): void {
    this.#phase = phase
    this.#held = []
    this.#closed.clear()
  }

  #assign(assignment: Assignment): SourceCommand[] {
    if (this.#phase === 'idle') return []
    if (this.#phase === 'deployed' && !this.#closed.has(assignment.operatorId)) return [{ kind: 'send', assignment }]
    if (this.#held.length >= maxHeldAssignments) {
      this.#reset('idle')
      return [{ kind: 'fail', error: { code: 'USER_CODE_FAILED', message: `a split enumerator assigned more than ${maxHeldAssignments} splits in one go` } }]
    }
    this.#held.push(assignment)
    return []
  }

  #drain(): SourceCommand[] {
    if (this.#phase !== 'deployed') return []
    const due = this.#held.filter(assignment => !this.#closed.has(assignment.operatorId))
    this.#held = this.#held.filter(assignment => this.#closed.has(assignment.operatorId))
    return due.map(assignment => ({ kind: 'send', assignment }))
  }
}
