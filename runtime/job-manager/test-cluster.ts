/**
 * A JobManager with everything around it in one thread, for tests: time is a number, TaskManagers do by script what real
 * ones do (register, deploy, acknowledge with real snapshot files, cancel), and enumerators really run.
 */
import { evaluateJob, job } from '../api/job.ts'
import type { Source } from '../api/connector.ts'
import type { StreamExecutionEnvironment } from '../api/environment.ts'
import { encodeValue } from '../codec/value-codec.ts'
import type { FileSystem } from '../core/files.ts'
import { seededRandom } from '../core/random.ts'
import { defaultJobConfig, type JobConfig } from '../graph/config.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import { executionPlan } from '../graph/plan.ts'
import { translate } from '../graph/translate.ts'
import type { RuntimeEvent } from '../metrics/event.ts'
import { EventJournal } from '../metrics/journal.ts'
import { protocolVersion, type FromTaskManager } from '../protocol/job-master.ts'
import type { DeploymentText } from '../protocol/deployment-text.ts'
import type { TaskStatus } from '../protocol/slot.ts'
import type { ToTaskManager } from '../protocol/task-executor.ts'
import { SnapshotFileWriter } from '../state/snapshot/snapshot-file.ts'
import { SnapshotDirectory } from './checkpoint/snapshot-directory.ts'
import { EmbeddedCoordinatorHost } from './coordinators/embedded-coordinator-host.ts'
import { JobManager, jobManagerDefaults, type JobManagerOptions, type JobSubmission } from './job-manager.ts'

export const project = '/project'

/** Splits `s0` ... in order; its state is what is left. */
export function splitSource(count: number): Source<string, string, string[]> {
  return {
    kind: 'source',
    name: 'splits',
    bounded: true,
    createEnumerator(ctx, restored) {
      const left = restored ?? Array.from({ length: count }, (_, index) => `s${index}`)
      return {
        start() {},
        handleSplitRequest(subtask) {
          const split = left.shift()
          if (split === undefined) ctx.signalNoMoreSplits(subtask)
          else ctx.assignSplit(subtask, split)
        },
        snapshot: () => [...left],
      }
    },
    createReader() {
      throw new Error('readers run in slots')
    },
  }
}

export type DefineJob = (env: StreamExecutionEnvironment) => void
/** A source (2 subtasks) and a keyed counter with a sink (2 subtasks). */
export const counting: DefineJob = env => {
  env.fromSource(splitSource(5)).uid('lines').map(word => ({ word, count: 1 })).keyBy('word').sum('count').uid('counts').print()
}

export class TestCluster {
  now = 1_000_000
  wakeAt = Infinity
  readonly files: FileSystem
  readonly options: Partial<JobManagerOptions>
  journal = new EventJournal()
  manager: JobManager
  shutdowns = 0
  define: DefineJob = counting
  readonly taskManagers: TestTaskManager[] = []
  #connections = new Map<number, TestTaskManager>()
  #nextConnection = 1
  #graph: { readonly define: DefineJob; readonly graph: JobGraph } | undefined

  constructor(files: FileSystem, options: Partial<JobManagerOptions> = {}) {
    this.files = files
    this.options = options
    this.manager = this.#startJobManager()
  }

  #startJobManager(): JobManager {
    this.journal = new EventJournal()
    const random = seededRandom(this.now)
    const manager: JobManager = new JobManager(
      { ...jobManagerDefaults, clusterId: 'c', token: 'secret', projectDirectory: project, epoch: 1, ...this.options },
      {
        now: () => this.now,
        random: () => random.next(),
        files: this.files,
        snapshots: new SnapshotDirectory(this.files),
        coordinatorHost: new EmbeddedCoordinatorHost(this.files, ({ graph: { config } }) => {
          const definition = evaluateJob(job('counting', this.define))
          return { definition, graph: translate(definition, config) }
        }),
        journal: this.journal,
        send: (connection, message) => this.#connections.get(connection)?.receive(message),
        close: connection => void this.#connections.delete(connection),
        wakeAt: at => void (this.wakeAt = at),
        shutdown: () => void this.shutdowns++,
      },
    )
    manager.start()
    return manager
  }

  /** `kill -9` of the JobManager; a new one starts on the same disk. TaskManagers must connect again. */
  restartJobManager(): void {
    this.#connections = new Map()
    this.manager = this.#startJobManager()
  }

  connect(id: string, slots = 1): TestTaskManager {
    const connection = this.#nextConnection++
    const taskManager = new TestTaskManager(this, id, connection)
    this.#connections.set(connection, taskManager)
    this.taskManagers.push(taskManager)
    taskManager.say({
      kind: 'register', clusterId: 'c', token: 'secret', protocolVersion,
      taskManager: { id, pid: connection, slots: Array.from({ length: slots }, (_, index) => `/s/${id}.${index}`) },
    })
    return taskManager
  }

  /** `kill -9` of a TaskManager. */
  kill(taskManager: TestTaskManager): void {
    this.#connections.delete(taskManager.connection)
    this.manager.onClosed(taskManager.connection)
  }

  /** Lets time pass, waking the JobManager when it asked for it. */
  pass(ms: number): void {
    const end = this.now + ms
    while (this.wakeAt <= end) {
      this.now = Math.max(this.now, this.wakeAt)
      for (const taskManager of this.taskManagers) if (this.#connections.get(taskManager.connection) === taskManager) taskManager.say({ kind: 'heartbeat', sequence: 0, rssBytes: 1 })
      this.manager.tick()
    }
    this.now = end
  }

  /** Of `define`; what does not change is translated once. */
  graph(config?: Partial<JobConfig>): JobGraph {
    if (config !== undefined) return this.#translate(config)
    if (this.#graph?.define !== this.define) this.#graph = { define: this.define, graph: this.#translate({}) }
    return this.#graph.graph
  }

  #translate(config: Partial<JobConfig>): JobGraph {
    return translate(evaluateJob(job('counting', this.define)), {
      ...defaultJobConfig, parallelism: 2, checkpointing: { ...defaultJobConfig.checkpointing, interval: 1000 }, ...config,
    })
  }

  submit(change: Partial<JobSubmission> = {}): string {
    return this.manager.submit({ jobGraph: this.graph(), bundlePath: '/project/bundle.mjs', projectDirectory: project, ...change })
  }

  events<K extends RuntimeEvent['kind']>(kind: K): Extract<RuntimeEvent, { kind: K }>[] {
    return this.journal.read(0, Infinity).filter((event): event is Extract<RuntimeEvent, { kind: K }> => event.kind === kind)
  }
  statuses(): string[] {
    return this.events('jobStatus').map(event => event.status)
  }
}

interface Running {
  readonly deployment: DeploymentText
  readonly slotIndex: number
  readonly tasks: { readonly vertex: number; readonly subtask: number }[]
}

export class TestTaskManager {
  readonly id: string
  readonly connection: number
  readonly #cluster: TestCluster
  readonly received: ToTaskManager[] = []
  readonly running: Running[] = []
  /** What it does by itself. */
  acknowledges = true
  stopsWhenTold = true

  constructor(cluster: TestCluster, id: string, connection: number) {
    this.#cluster = cluster
    this.id = id
    this.connection = connection
  }

  say(message: FromTaskManager): void {
    this.#cluster.manager.onMessage(this.connection, message)
  }

  receive(message: ToTaskManager): void {
    this.received.push(message)
    if (message.kind === 'deploy') this.#deploy(message.deployment, message.slotIndex)
    if (message.kind === 'cancel' && this.stopsWhenTold) this.#endAll(message.jobId, 'CANCELED')
    if (message.kind === 'trigger' && this.acknowledges) this.acknowledge(message)
  }

  #deploy(deployment: DeploymentText, slotIndex: number): void {
    const tasks = executionPlan(this.#cluster.graph()).slots[deployment.slot]?.subtasks.map(({ vertex, subtask }) => ({ vertex, subtask })) ?? []
    const running = { deployment, slotIndex, tasks }
    this.running.push(running)
    for (const task of tasks) {
      this.status(running, task, 'INITIALIZING')
      this.status(running, task, deployment.finishedVertices.includes(task.vertex) ? 'FINISHED' : 'RUNNING')
    }
  }

  status(running: Running, task: { readonly vertex: number; readonly subtask: number }, status: TaskStatus, error?: { readonly code: 'USER_CODE_FAILED' | 'MALFORMED_RECORD'; readonly message: string }): void {
    const { fence, jobId } = running.deployment
    this.say({ kind: 'taskStatus', fence, jobId, task, status, ...(error && { error }) })
  }

  #end(running: Running, status: TaskStatus): void {
    for (const task of running.tasks) this.status(running, task, status)
    const { fence, jobId } = running.deployment
    this.say({ kind: 'slotFree', fence, jobId, slotIndex: running.slotIndex })
  }

  /** All tasks reach their end. */
  finish(): void {
    this.#endAll(undefined, 'FINISHED')
  }

  #endAll(jobId: string | undefined, status: TaskStatus): void {
    for (const running of [...this.running]) {
      if (jobId !== undefined && running.deployment.jobId !== jobId) continue
      this.running.splice(this.running.indexOf(running), 1)
      this.#end(running, status)
    }
  }

  acknowledge(trigger: Extract<ToTaskManager, { kind: 'trigger' }>): void {
    for (const message of this.writeSnapshots(trigger)) this.say(message)
  }

  /** Whether the tasks with keyed state write only what has changed. */
  goesOn: (checkpointId: number) => boolean = () => false

  /** Writes a real file for every task; what is returned acknowledges them. */
  writeSnapshots({ barrier, directory, jobId: triggered }: Extract<ToTaskManager, { kind: 'trigger' }>): FromTaskManager[] {
    const messages: FromTaskManager[] = []
    for (const { deployment: { fence, jobId }, tasks } of this.running) {
      for (const task of jobId === triggered ? tasks : []) {
        const writer = new SnapshotFileWriter(this.#cluster.files, `${directory}/task-${task.vertex}-${task.subtask}`)
        const operator = this.#cluster.graph().vertices[task.vertex]?.operators[0]
        if (task.vertex === 1) writer.add({ kind: 'keyed', operatorId: operator?.id as string, state: 'sum', keyGroup: task.subtask * 64, bytes: encodeValue(barrier.checkpointId, 'sum') })
        const since = task.vertex === 1 && barrier.since !== undefined && this.goesOn(barrier.checkpointId) ? { [operator?.id as string]: barrier.since } : {}
        messages.push({ kind: 'acknowledge', fence, jobId, task, checkpointId: barrier.checkpointId, file: { ...writer.finish(), since }, timings: { startDelay: 1, alignment: 2, sync: 3, async: 4 } })
      }
    }
    return messages
  }

  requestSplit(): void {
    const { deployment: { fence, jobId }, tasks } = this.running[0] as Running
    const operatorId = this.#cluster.graph().vertices[0]?.operators[0]?.id as string
    this.say({ kind: 'requestSplit', fence, jobId, operatorId, subtask: tasks[0]?.subtask as number })
  }

  get splits(): unknown[] {
    return this.received.flatMap(message => (message.kind === 'addSplit' ? [message.split] : message.kind === 'noMoreSplits' ? ['no more'] : []))
  }
  last<K extends ToTaskManager['kind']>(kind: K): Extract<ToTaskManager, { kind: K }> | undefined {
    return this.received.filter((message): message is Extract<ToTaskManager, { kind: K }> => message.kind === kind).at(-1)
  }
}
