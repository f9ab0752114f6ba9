/**
 * A deployment between processes: its job graph is text, which is made once for all slots of a job and read by each. Packing it
 * value by value for each slot took as long as all else that the JobManager does to deploy.
 */
import type { JobGraph } from '../graph/job-graph.ts'
import type { SlotDeployment } from './slot.ts'

/** As the graph was submitted, JSON; a TaskManager only passes it on. */
export type DeploymentText = Omit<SlotDeployment, 'graph'> & { readonly graph: string }

const texts = new WeakMap<JobGraph, string>()

export function toDeploymentText(deployment: SlotDeployment): DeploymentText {
  const { graph } = deployment
  let text = texts.get(graph)
  if (text === undefined) texts.set(graph, (text = JSON.stringify(graph)))
  return { ...deployment, graph: text }
}

export function fromDeploymentText(deployment: DeploymentText): SlotDeployment {
  return { ...deployment, graph: JSON.parse(deployment.graph) as JobGraph }
}
