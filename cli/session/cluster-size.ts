/** How many processes and slots: slots in total as many as the job needs, one TaskManager per slot but not more than cores. */
export interface ClusterSize {
  readonly taskManagers: number
  readonly slotsPerTaskManager: number
}

export function clusterSize(slotsNeeded: number, cores: number, asked: { readonly taskmanagers?: number | undefined; readonly slots?: number | undefined }): ClusterSize {
  const taskManagers = asked.taskmanagers ?? (asked.slots === undefined ? Math.min(slotsNeeded, Math.max(1, cores)) : Math.ceil(slotsNeeded / asked.slots))
  return { taskManagers, slotsPerTaskManager: asked.slots ?? Math.ceil(slotsNeeded / taskManagers) }
}

export const slotsOf = (size: ClusterSize): number => size.taskManagers * size.slotsPerTaskManager
