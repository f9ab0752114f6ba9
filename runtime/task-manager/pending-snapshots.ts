/**
 * The snapshots that one slot has under way, from the first block to the acknowledgement. The directory of a checkpoint
 * comes with its trigger; a barrier that came faster through the data sockets has its blocks held until then, up to a
 * bound. Blocks of an aborted checkpoint are dropped and what was written of it is removed.
 */
import type { ErrorData } from '../core/errors.ts'
import type { Fence, SubtaskRef } from '../core/ids.ts'
import type { Millis } from '../core/time.ts'
import type { SnapshotBases, SnapshotBlock, SnapshotTimings, TaskSnapshot } from '../protocol/slot.ts'
import { isErrorData, type SnapshotFiles } from './slot-runner.ts'

export interface SnapshotAnswers {
  now(): Millis
  acknowledge(task: SubtaskRef, checkpointId: number, file: TaskSnapshot, timings: SnapshotTimings): void
  decline(task: SubtaskRef, checkpointId: number, error: ErrorData): void
}

/** Bytes of blocks that may wait for the trigger of their checkpoint; beyond, the checkpoint is declined. */
const maxHeldBytes = 128 * 1024 * 1024
/** How many aborted checkpoints are remembered, to know their stragglers. */
const rememberedAborts = 256

interface PendingCheckpoint {
  directory: string | undefined
  /** What waits for the directory. */
  held: { readonly task: SubtaskRef; readonly work: Work }[]
  heldBytes: number
  /** Files begun and not finished. */
  readonly open: Set<string>
}

interface Work {
  readonly bytes: number
  run(path: string, checkpoint: PendingCheckpoint): void
  drop(): void
}

export class PendingSnapshots {
  readonly #files: SnapshotFiles
  readonly #fence: Fence
  readonly #checkpointDirectory: string
  readonly #answers: SnapshotAnswers
  readonly #checkpoints = new Map<number, PendingCheckpoint>()
  readonly #aborted = new Set<number>()

  constructor(files: SnapshotFiles, fence: Fence, checkpointDirectory: string, answers: SnapshotAnswers) {
    this.#files = files
    this.#fence = fence
    this.#checkpointDirectory = checkpointDirectory
    this.#answers = answers
  }

  triggered(checkpointId: number, directory: string): void {
    if (this.#aborted.has(checkpointId)) return
    const checkpoint = this.#checkpoint(checkpointId)
    checkpoint.directory = directory === '' ? this.#checkpointDirectory : directory
    const held = checkpoint.held
    checkpoint.held = []
    checkpoint.heldBytes = 0
    for (const { task, work } of held) this.#run(task, checkpoint, checkpoint.directory, work)
  }

  /** `taken` is called once, whether the block was written or dropped. */
  block(task: SubtaskRef, checkpointId: number, block: SnapshotBlock, taken: () => void): void {
    this.#whenTriggered(task, checkpointId, { bytes: blockBytes(block), drop: taken, run: path => this.#files.write(path, block, taken) })
  }

  done(task: SubtaskRef, checkpointId: number, timings: SnapshotTimings, since: SnapshotBases): void {
    const run = (path: string, checkpoint: PendingCheckpoint) => {
      const startedAt = this.#answers.now()
      this.#files.finish(path, result => {
        checkpoint.open.delete(path)
        if (this.#aborted.has(checkpointId)) return
        if (isErrorData(result)) this.#answers.decline(task, checkpointId, result)
        // Writing the file is the last part of the asynchronous phase.
        else this.#answers.acknowledge(task, checkpointId, { ...result, since }, { ...timings, async: timings.async + this.#answers.now() - startedAt })
      })
    }
    this.#whenTriggered(task, checkpointId, { bytes: 0, drop: () => {}, run })
  }

  declined(task: SubtaskRef, checkpointId: number, error: ErrorData): void {
    if (this.#aborted.has(checkpointId)) return
    const checkpoint = this.#checkpoints.get(checkpointId)
    if (checkpoint?.directory !== undefined) {
      const path = this.#path(checkpoint.directory, task)
      if (checkpoint.open.delete(path)) this.#files.discard(path)
    }
    this.#answers.decline(task, checkpointId, error)
  }

  completed(checkpointId: number): void {
    // An older checkpoint that is still open here was passed by; the JobManager says so with an abort of its own.
    this.#checkpoints.delete(checkpointId)
  }

  aborted(checkpointId: number): void {
    this.#aborted.add(checkpointId)
    if (this.#aborted.size > rememberedAborts) this.#aborted.delete(this.#aborted.values().next().value as number)
    const checkpoint = this.#checkpoints.get(checkpointId)
    if (checkpoint === undefined) return
    this.#checkpoints.delete(checkpointId)
    for (const { work } of checkpoint.held) work.drop()
    for (const path of checkpoint.open) this.#files.discard(path)
  }

  discardAll(): void {
    for (const checkpointId of [...this.#checkpoints.keys()]) this.aborted(checkpointId)
  }

  #whenTriggered(task: SubtaskRef, checkpointId: number, work: Work): void {
    if (this.#aborted.has(checkpointId)) return work.drop()
    const checkpoint = this.#checkpoint(checkpointId)
    if (checkpoint.directory !== undefined) return this.#run(task, checkpoint, checkpoint.directory, work)
    if (this.#heldBytes() + work.bytes <= maxHeldBytes) {
      checkpoint.heldBytes += work.bytes
      checkpoint.held.push({ task, work })
      return
    }
    work.drop()
    this.aborted(checkpointId)
    this.#answers.decline(task, checkpointId, { code: 'CHECKPOINT_FAILED', message: `checkpoint ${checkpointId}: its trigger did not arrive before ${maxHeldBytes} bytes of state` })
  }

  #run(task: SubtaskRef, checkpoint: PendingCheckpoint, directory: string, work: Work): void {
    const path = this.#path(directory, task)
    checkpoint.open.add(path)
    work.run(path, checkpoint)
  }

  #heldBytes(): number {
    let sum = 0
    for (const checkpoint of this.#checkpoints.values()) sum += checkpoint.heldBytes
    return sum
  }

  #checkpoint(checkpointId: number): PendingCheckpoint {
    let checkpoint = this.#checkpoints.get(checkpointId)
    if (checkpoint === undefined) {
      checkpoint = { directory: undefined, held: [], heldBytes: 0, open: new Set() }
      this.#checkpoints.set(checkpointId, checkpoint)
    }
    return checkpoint
  }

  /** A straggler of another attempt writes to another file. */
  #path(directory: string, task: SubtaskRef): string {
    return `${directory}/${task.vertex}-${task.subtask}-${this.#fence.epoch}-${this.#fence.attempt}.snapshot`
  }
}

function blockBytes(block: SnapshotBlock): number {
  return block.kind === 'keyed' ? block.bytes.length : block.items.reduce((sum, item) => sum + item.length, 0)
}
