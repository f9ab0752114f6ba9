/** The TaskManagers of a cluster as processes, for whoever is the root: the CLI, or the JobManager of a detached cluster. */
import { rm, rmSync } from 'node:fs'
import { join } from 'node:path'
import { projectDirectories } from './cluster-directory.ts'
import type { TaskManagerBootstrap, TaskManagersSpec } from './process-events.ts'
import type { ProcessSpec, Supervisor } from './supervisor.ts'

export const jobManagerName = 'jobmanager'

export interface TaskManagersContext {
  readonly clusterId: string
  readonly token: string
  readonly socketDirectory: string
  readonly projectDirectory: string
  readonly environment: Readonly<Record<string, string>>
  readonly taskManagers: TaskManagersSpec
}

/** Starts all TaskManagers at once. One that dies is replaced by one with a new name: the old one's messages cannot be taken for the new one's. */
export function startTaskManagers(supervisor: Supervisor, context: TaskManagersContext): void {
  const { clusterId, token, socketDirectory, projectDirectory, environment, taskManagers } = context
  const { logs } = projectDirectories(projectDirectory)
  let number = 0
  const spec = (): ProcessSpec => {
    const name = `tm-${++number}`
    return {
      name,
      entry: 'task-manager',
      clusterId,
      projectDirectory,
      logFile: join(logs, `${name}.log`),
      environment,
      bootstrap: () => ({
        clusterId, token, id: name, slots: taskManagers.slotsEach, socketDirectory, projectDirectory,
        memoryLimit: taskManagers.memoryLimit, cancelGraceMs: taskManagers.cancelGraceMs,
      }) satisfies TaskManagerBootstrap,
      next: spec,
    }
  }
  for (let i = 0; i < taskManagers.count; i++) {
    const first = spec()
    rmSync(first.logFile, { force: true })
    supervisor.start(first)
  }
}

/** The JobManager first: it tells the TaskManagers to end their tasks. */
export async function stopAll(supervisor: Supervisor, graceMs: number): Promise<void> {
  const force = setTimeout(() => supervisor.signal('SIGKILL'), graceMs)
  supervisor.signal('SIGTERM', [jobManagerName])
  await supervisor.ended(jobManagerName)
  supervisor.signal('SIGTERM')
  await supervisor.ended()
  clearTimeout(force)
}

/** The working copies of state that a TaskManager left when it died. */
export function removeStateOf(projectDirectory: string, clusterId: string, taskManager: string): void {
  rm(join(projectDirectories(projectDirectory).state, clusterId, taskManager), { recursive: true, force: true }, () => {})
}
