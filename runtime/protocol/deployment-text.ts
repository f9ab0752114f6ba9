/**
 * A deployment on its way to a slot: its job graph is text, which is made once for all slots of an attempt and read by each.
 * Packing it value by value for each slot took as long as all else that the JobManager does to deploy.
 */
import type { JobGraph } from '../graph/job-graph.ts'
import type { SlotDeployment } from './slot.ts'

/** `graph`: as JSON. What a TaskManager has to know of a deployment is in the rest. */
export type DeploymentText = Omit<SlotDeployment, 'graph'> & { readonly graph: string }

/** For the slot. */
export function readDeployment(deployment: DeploymentText): SlotDeployment {
  return { ...deployment, graph: JSON.parse(deployment.graph) as JobGraph }
}
