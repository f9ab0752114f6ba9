/** The TaskManagers of a cluster as processes, for whoever is the root: the CLI, or the JobManager of a detached cluster. */
import { rm, rmSync } from 'node:fs'
import { join } from 'node:path'
import { monotonicMs } from '../rpc/monotonic.ts'
import { projectDirectories } from './cluster-directory.ts'
import type { TaskManagerBootstrap, TaskManagersSpec } from './process-events.ts'
import { Standby, type StandbyEvent } from './standby.ts'
import type { ProcessSpec, Supervisor } from './supervisor.ts'
import { warmAfterMs } from './warm-up.ts'

export const jobManagerName = 'jobmanager'

export interface TaskManagersContext {
  readonly clusterId: string
  readonly token: string
  readonly socketDirectory: string
  readonly projectDirectory: string
  readonly environment: Readonly<Record<string, string>>
  readonly taskManagers: TaskManagersSpec
}

/**
 * Until the first process is started that stands by, and the next after it took over: warm threads of slots come at that time
 * too, and a job that started or restarted has caught up.
 */
export const standbyAfterMs = warmAfterMs

/**
 * Starts all TaskManagers at once, and later one more that stands by. One that dies is replaced by that, or by one with a new
 * name: the old one's messages cannot be taken for the new one's.
 */
export function startTaskManagers(supervisor: Supervisor, context: TaskManagersContext): void {
  const { clusterId, token, socketDirectory, projectDirectory, environment, taskManagers } = context
  const { logs } = projectDirectories(projectDirectory)
  const standby = new Standby(taskManagers.standbyAfterMs, monotonicMs())
  let number = 0
  let timer: NodeJS.Timeout | undefined

  function spec(standsBy = false): ProcessSpec {
    const name = `tm-${++number}`
    return {
      name,
      entry: 'task-manager',
      clusterId,
      projectDirectory,
      logFile: join(logs, `${name}.log`),
      environment,
      standsBy,
      bootstrap: () => ({
        clusterId, token, id: name, slots: taskManagers.slotsEach, socketDirectory, projectDirectory,
        memoryLimit: taskManagers.memoryLimit, cancelGraceMs: taskManagers.cancelGraceMs, standsBy,
      }) satisfies TaskManagerBootstrap,
      next: () => next(name),
    }
  }

  function next(dead: string): ProcessSpec | undefined {
    return decide({ kind: dead === standby.name ? 'standbyLost' : 'lost' })
  }

  /** Returns what is to be started in the place of a process that died. */
  function decide(event: StandbyEvent): ProcessSpec | undefined {
    let replacement: ProcessSpec | undefined
    for (const command of standby.handle(event, monotonicMs())) {
      if (command.kind === 'takeOver') supervisor.takeOver(command.name)
      else if (command.kind === 'replace') replacement = spec()
      else {
        const another = spec(true)
        supervisor.start(another)
        decide({ kind: 'started', name: another.name })
      }
    }
    clearTimeout(timer)
    const at = standby.nextWakeAt()
    // Only a cluster that is at work keeps this process alive.
    if (at !== Infinity) timer = setTimeout(() => supervisor.active && decide({ kind: 'tick' }), Math.max(0, at - monotonicMs())).unref()
    return replacement
  }

  for (let i = 0; i < taskManagers.count; i++) {
    const first = spec()
    rmSync(first.logFile, { force: true })
    supervisor.start(first)
  }
  decide({ kind: 'tick' })
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
