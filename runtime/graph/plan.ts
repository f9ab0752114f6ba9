/**
 * The execution plan: the job graph times its parallelism, with every channel and slot numbered, so that what runs never
 * looks anything up by name. Subtask `i` of every vertex of a slot-sharing group runs in slot `i` of the group, hence a
 * group needs as many slots as its widest vertex.
 */
import { assert } from '../core/assert.ts'
import type { ExecutionPlan, JobGraph, LogicalSlot, PlanEdge } from './job-graph.ts'

export function executionPlan(graph: JobGraph): ExecutionPlan {
  const edges: PlanEdge[] = []
  let channelCount = 0
  for (const { source, target, partitioner } of graph.edges) {
    const upParallelism = graph.vertices[source]!.parallelism
    const downParallelism = graph.vertices[target]!.parallelism
    const forward = partitioner === 'forward'
    assert(!forward || upParallelism === downParallelism, `forward edge between parallelism ${upParallelism} and ${downParallelism}`)
    const edge: PlanEdge = { firstChannel: channelCount, channelCount: forward ? upParallelism : upParallelism * downParallelism, forward, upParallelism, downParallelism }
    edges.push(edge)
    channelCount += edge.channelCount
  }
  return { graph, slots: logicalSlots(graph), edges, channelCount }
}

function logicalSlots(graph: JobGraph): LogicalSlot[] {
  const inputs = graph.vertices.map((_, v) => graph.edges.flatMap((edge, e) => (edge.target === v ? [e] : [])))
  const outputs = graph.vertices.map((_, v) => graph.edges.flatMap((edge, e) => (edge.source === v ? [e] : [])))
  return slotSharingGroups(graph).flatMap(({ group, vertices, slots }) =>
    Array.from({ length: slots }, (_, index): LogicalSlot => ({
      group,
      index,
      subtasks: vertices.filter(v => index < graph.vertices[v]!.parallelism).map(v => ({ vertex: v, subtask: index, inputs: inputs[v]!, outputs: outputs[v]! })),
    })),
  )
}

/** In order of first appearance. */
export function slotSharingGroups(graph: JobGraph): readonly { readonly group: string; readonly vertices: readonly number[]; readonly slots: number }[] {
  const groups = new Map<string, number[]>()
  graph.vertices.forEach((vertex, v) => groups.set(vertex.slotSharingGroup, [...(groups.get(vertex.slotSharingGroup) ?? []), v]))
  return [...groups].map(([group, vertices]) => ({ group, vertices, slots: Math.max(...vertices.map(v => graph.vertices[v]!.parallelism)) }))
}

/**
 * The graph with the max parallelism that restored state was saved with (K5): it fixes which key is in which key group.
 * The hash stays that of the graph as it was built, so this comes after translating and before the plan is made.
 */
export function withMaxParallelism(graph: JobGraph, byVertex: Readonly<Record<number, number>> | undefined): JobGraph {
  if (byVertex === undefined) return graph
  return { ...graph, vertices: graph.vertices.map((vertex, v) => ({ ...vertex, maxParallelism: byVertex[v] ?? vertex.maxParallelism })) }
}

/** The channel from subtask `up` to subtask `down` of an edge; a forward edge has only those with `up === down`. */
export function channelOf(edge: PlanEdge, up: number, down: number): number {
  if (!edge.forward) return edge.firstChannel + up * edge.downParallelism + down
  assert(up === down, `no channel ${up} -> ${down} on a forward edge`)
  return edge.firstChannel + up
}

/** From numbers back to what they stand for; made once per process. */
export interface PlanIndex {
  /** Logical slot of a subtask. */
  slotOfSubtask(vertex: number, subtask: number): number
  /** By vertex: the slot of its subtask 0; the others follow. */
  readonly firstSlot: Int32Array
  /** By channel: its edge. */
  readonly edgeOfChannel: Int32Array
  /** By channel: the subtask that writes, and the one that reads. */
  readonly upOfChannel: Int32Array
  readonly downOfChannel: Int32Array
}

export function planIndex(plan: ExecutionPlan): PlanIndex {
  const firstSlot = new Int32Array(plan.graph.vertices.length).fill(-1)
  plan.slots.forEach((slot, s) => {
    for (const { vertex, subtask } of slot.subtasks) if (subtask === 0) firstSlot[vertex] = s
  })
  const edgeOfChannel = new Int32Array(plan.channelCount)
  const upOfChannel = new Int32Array(plan.channelCount)
  const downOfChannel = new Int32Array(plan.channelCount)
  plan.edges.forEach((edge, e) => {
    for (let i = 0; i < edge.channelCount; i++) {
      const channel = edge.firstChannel + i
      edgeOfChannel[channel] = e
      upOfChannel[channel] = edge.forward ? i : Math.floor(i / edge.downParallelism)
      downOfChannel[channel] = edge.forward ? i : i % edge.downParallelism
    }
  })
  return {
    slotOfSubtask(vertex, subtask) {
      const first = firstSlot[vertex]
      assert(first !== undefined && subtask < plan.graph.vertices[vertex]!.parallelism, `no subtask ${subtask} of vertex ${vertex}`)
      return first + subtask
    },
    firstSlot,
    edgeOfChannel,
    upOfChannel,
    downOfChannel,
  }
}
