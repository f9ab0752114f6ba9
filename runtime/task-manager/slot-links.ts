/** Which slots a slot exchanges frames with, and over how many channels: read off the execution plan. */
import type { ExecutionPlan } from '../graph/job-graph.ts'
import type { SlotLinks } from '../network/data-plane.ts'

export function linksOf(plan: ExecutionPlan, slot: number): SlotLinks {
  const slotOf = slotsBySubtask(plan)
  const producers = new Map<number, number>()
  const consumers = new Map<number, number>()
  plan.edges.forEach((edge, index) => {
    const { source, target } = plan.graph.edges[index] as ExecutionPlan['graph']['edges'][number]
    for (let up = 0; up < edge.upParallelism; up++) {
      for (let down = 0; down < edge.downParallelism; down++) {
        if (edge.forward && up !== down) continue
        const from = slotOf.get(`${source}:${up}`)
        const to = slotOf.get(`${target}:${down}`)
        // Inside a slot elements are handed over without a socket.
        if (from === undefined || to === undefined || from === to) continue
        if (to === slot) producers.set(from, (producers.get(from) ?? 0) + 1)
        if (from === slot) consumers.set(to, (consumers.get(to) ?? 0) + 1)
      }
    }
  })
  return { producers, consumers }
}

function slotsBySubtask(plan: ExecutionPlan): ReadonlyMap<string, number> {
  const slots = new Map<string, number>()
  plan.slots.forEach((slot, index) => {
    for (const { vertex, subtask } of slot.subtasks) slots.set(`${vertex}:${subtask}`, index)
  })
  return slots
}
