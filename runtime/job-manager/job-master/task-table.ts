/**
 * All subtasks of a job in one row: task `firstTask[vertex] + subtask`. Decisions are made on these indexes; names and
 * ids are looked up where people read them.
 */
import { assert } from '../../core/assert.ts'
import type { SubtaskRef } from '../../core/ids.ts'
import type { ExecutionPlan, JobGraph } from '../../graph/job-graph.ts'

export interface TaskTable {
  readonly tasks: readonly TaskRow[]
  /** By vertex. */
  readonly firstTask: readonly number[]
}
export interface TaskRow {
  readonly ref: SubtaskRef
  /** Tasks (indexes) that send to this one. */
  readonly producers: readonly number[]
  /** Logical slot that runs it. */
  readonly slot: number
}

export function taskTable(plan: ExecutionPlan): TaskTable {
  const { graph } = plan
  const firstTask: number[] = []
  let count = 0
  for (const vertex of graph.vertices) {
    firstTask.push(count)
    count += vertex.parallelism
  }
  const slotOf = new Array<number>(count).fill(-1)
  plan.slots.forEach((slot, number) => {
    for (const { vertex, subtask } of slot.subtasks) slotOf[(firstTask[vertex] as number) + subtask] = number
  })
  const tasks: TaskRow[] = []
  graph.vertices.forEach((vertex, index) => {
    for (let subtask = 0; subtask < vertex.parallelism; subtask++) {
      const slot = slotOf[tasks.length] as number
      assert(slot >= 0, `subtask ${subtask} of vertex ${index} has no slot in the execution plan`)
      tasks.push({ ref: { vertex: index, subtask }, producers: producersOf(graph, firstTask, index, subtask), slot })
    }
  })
  return { tasks, firstTask }
}

function producersOf(graph: JobGraph, firstTask: readonly number[], vertex: number, subtask: number): number[] {
  const producers: number[] = []
  for (const edge of graph.edges) {
    if (edge.target !== vertex) continue
    const first = firstTask[edge.source] as number
    const parallelism = graph.vertices[edge.source]?.parallelism ?? 0
    if (edge.partitioner === 'forward') producers.push(first + subtask)
    else for (let up = 0; up < parallelism; up++) producers.push(first + up)
  }
  return producers
}

/** The task's index, or undefined if there is no such subtask: refs come from outside. */
export function taskIndex(table: TaskTable, ref: SubtaskRef): number | undefined {
  const first = table.firstTask[ref.vertex]
  if (first === undefined || !Number.isInteger(ref.subtask) || ref.subtask < 0) return undefined
  const index = first + ref.subtask
  return table.tasks[index]?.ref.vertex === ref.vertex ? index : undefined
}
