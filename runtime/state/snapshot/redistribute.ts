/**
 * Who gets which list state of a snapshot when it is restored, perhaps at another parallelism. Pure.
 *
 * All items in the order of the old subtasks, dealt out in contiguous runs, the first subtasks taking one more if it does
 * not divide; unchanged parallelism moves nothing (Flink `RoundRobinOperatorStateRepartitioner`). Unlike Flink, which
 * subtask comes first does not depend on the state's name.
 */

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
