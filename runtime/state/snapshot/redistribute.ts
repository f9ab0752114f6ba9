/**
 * Who gets what of a snapshot when it is restored, perhaps at another parallelism. Pure.
 *
 * Keyed state goes by key group (`keyGroupRangeOf`): a new subtask reads the old files whose ranges overlap its own. List
 * state: all items in the order of the old subtasks, dealt out in contiguous runs, the first subtasks taking one more if
 * it does not divide; unchanged parallelism moves nothing (Flink `RoundRobinOperatorStateRepartitioner`). Unlike Flink,
 * which subtask comes first does not depend on the state's name.
 */
import { FlinkError } from '../../core/errors.ts'
import { keyGroupRangeOf } from '../../core/key-group.ts'
import type { KeyGroupRange } from '../../core/key-group.ts'

/** A run of items of one old subtask. */
export interface ListShare {
  readonly oldSubtask: number
  /** First item, and the one after the last. */
  readonly from: number
  readonly to: number
}

/** The share of `subtask` of `parallelism` in a list of which old subtask i held `counts[i]` items. */
export function listShares(counts: readonly number[], subtask: number, parallelism: number): ListShare[] {
  if (counts.length === parallelism) {
    const count = counts[subtask] ?? 0
    return count === 0 ? [] : [{ oldSubtask: subtask, from: 0, to: count }]
  }
  const total = counts.reduce((sum, count) => sum + count, 0)
  const base = Math.floor(total / parallelism)
  const remainder = total % parallelism
  const first = subtask * base + Math.min(subtask, remainder)
  const end = first + base + (subtask < remainder ? 1 : 0)
  const shares: ListShare[] = []
  let start = 0
  counts.forEach((count, oldSubtask) => {
    const from = Math.max(first - start, 0)
    const to = Math.min(end - start, count)
    if (from < to) shares.push({ oldSubtask, from, to })
    start += count
  })
  return shares
}

/** The old subtasks that may hold key groups of `range`. */
export function oldSubtasksOf(range: KeyGroupRange, oldParallelism: number, maxParallelism: number): number[] {
  const found: number[] = []
  for (let subtask = 0; subtask < oldParallelism; subtask++) {
    const old = keyGroupRangeOf(subtask, oldParallelism, maxParallelism)
    if (old.start <= range.end && old.end >= range.start) found.push(subtask)
  }
  return found
}

/**
 * The max parallelism to run an operator with that had `snapshot` of it in the snapshot (flink.md K5): the snapshot's,
 * because it fixes which key is in which key group.
 *
 * @param explicit what the job sets itself, if it does
 * @throws FlinkError SNAPSHOT_INCOMPATIBLE
 */
export function restoredMaxParallelism(operator: string, snapshot: number, explicit: number | undefined, parallelism: number): number {
  if (explicit !== undefined && explicit !== snapshot) {
    throw new FlinkError('SNAPSHOT_INCOMPATIBLE', `operator "${operator}" has max parallelism ${explicit} in the job and ${snapshot} in the snapshot`, {
      detail: 'The key groups of its state are counted by it, so it cannot change.',
      hint: `Set max parallelism to ${snapshot}, or leave it out.`,
    })
  }
  if (parallelism > snapshot) {
    throw new FlinkError('SNAPSHOT_INCOMPATIBLE', `operator "${operator}" has parallelism ${parallelism}, above its max parallelism ${snapshot} in the snapshot`, {
      hint: `Lower the parallelism to ${snapshot} or less.`,
    })
  }
  return snapshot
}
