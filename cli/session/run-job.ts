/**
 * `flink-ts run`: carries out what `run-machine.ts` decides. The job is bundled and built while the cluster starts; then
 * the job is submitted and its events are followed to the end. Everything that happens comes through one `dispatch`.
 */
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { unreachable } from '../../runtime/core/assert.ts'
import { errorToData, exitCodes, FlinkError, errorFromData } from '../../runtime/core/errors.ts'
import { parseJobArguments } from '../../runtime/api/arguments.ts'
import { keepCompiledCode, startIsOver } from '../../runtime/deploy/cached-script.ts'
import { startLocalCluster, type LocalCluster } from '../../runtime/deploy/local-cluster.ts'
import { jobManagerName } from '../../runtime/deploy/task-managers.ts'
import type { ProcessEvent } from '../../runtime/deploy/process-events.ts'
import { executionPlan } from '../../runtime/graph/plan.ts'
import { removeOldBundles } from '../bundle/bundle-job.ts'
import { schemaVersion, toJsonLine, type StartedLine } from '../output/json-lines.ts'
import { clusterClient, endIdleCluster, followEvents, type ClusterClient } from './cluster-client.ts'
import { clusterSize, slotsOf, type ClusterSize } from './cluster-size.ts'
import type { BuiltJob } from './build-job.ts'
import { parseRunConfig, type RunConfig } from './job-config.ts'
import { initialSession, sessionStep, type SessionCommand, type SessionEvent, type SessionResult, type Signal } from './run-machine.ts'
import { openFace, type Face } from './face.ts'
import type { Profiles } from './profiles.ts'

export interface RunOptions {
  readonly projectDirectory: string
  readonly jobFile: string | undefined
  /** What stood after `--`. */
  readonly jobArguments: readonly string[]
  /** `-D key=value`. */
  readonly properties: readonly string[]
  readonly parallelism?: number | undefined
  readonly taskmanagers?: number | undefined
  readonly slots?: number | undefined
  readonly 'from-savepoint'?: string | undefined
  readonly 'allow-non-restored-state': boolean
  readonly profile: boolean
  readonly 'profile-dir'?: string | undefined
  readonly detached: boolean
  readonly json: boolean
  readonly ui: boolean
  readonly verbose: boolean
}

/** How long a cluster may take to end in good order. */
const stopGraceMillis = 2_000
/** A slot that writes its profile takes longer to end. */
const profilingGraceMillis = 15_000
/** A job that was asked to cancel and has not ended after this is ended by force. */
const cancelOverdueMillis = 15_000
/** Work that takes longer says what it waits for. */
const patienceMillis = 2_000

/** Ends the process with the job's own result; mistakes in the options are thrown. */
export async function runJob(options: RunOptions): Promise<void> {
  const config = parseRunConfig({ properties: options.properties, parallelism: options.parallelism, args: parseJobArguments(options.jobArguments) })
  const savepointPath = existingSavepoint(options)
  const profiles = options.profile || options['profile-dir'] !== undefined ? new (await import('./profiles.ts')).Profiles(options.projectDirectory, options['profile-dir'], config.job.profiling) : undefined
  const session = new RunSession(options, config, savepointPath, profiles)
  await session.run()
}

/** @throws {FlinkError} SNAPSHOT_NOT_FOUND before anything is started; what is in it the JobManager looks at */
function existingSavepoint(options: RunOptions): string | undefined {
  const named = options['from-savepoint']
  if (named === undefined) return undefined
  const path = resolve(options.projectDirectory, named.replace(/^file:\/\//, ''))
  if (!existsSync(path)) throw new FlinkError('SNAPSHOT_NOT_FOUND', `${named}: no such savepoint`, { detail: `Looked for ${path}.` })
  return path
}

class RunSession {
  readonly #options: RunOptions
  readonly #config: RunConfig
  readonly #savepointPath: string | undefined
  readonly #abort = new AbortController()
  readonly #over = Promise.withResolvers<{ readonly force: boolean; readonly result: SessionResult }>()
  readonly #face: Face
  readonly #profiles: Profiles | undefined
  #state = initialSession
  #cluster: LocalCluster | undefined
  #client: ClusterClient | undefined
  #project: BuiltJob | undefined
  #overdue: NodeJS.Timeout | undefined

  constructor(options: RunOptions, config: RunConfig, savepointPath: string | undefined, profiles: Profiles | undefined) {
    this.#options = options
    this.#profiles = profiles
    this.#config = config
    this.#savepointPath = savepointPath
    this.#face = openFace({
      json: options.json,
      ui: options.ui && !options.detached,
      onWish: wish => this.#dispatch(wish.kind === 'interrupt' ? { kind: 'interrupt', signal: 'SIGINT' } : { kind: 'wish', wish: wish.kind }),
    })
  }

  async run(): Promise<void> {
    const signals: readonly Signal[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
    const handlers = signals.map(signal => [signal, () => this.#dispatch({ kind: 'interrupt', signal })] as const)
    for (const [signal, handler] of handlers) process.on(signal, handler)
    // Whatever ends this process in a way it can see: the processes it started go with it. What it cannot see they notice themselves.
    const killCluster = () => this.#cluster?.kill()
    process.on('exit', killCluster)
    const impatient = setTimeout(() => this.#sayWhatIsAwaited(), patienceMillis)

    this.#work(this.#start())
    // What is thrown here is a bug of ours: the run ends as it does by force, and the bug is what is told.
    const { force, result, thrown } = await this.#over.promise.then(
      ({ force, result }) => ({ force, result, thrown: result.error && errorFromData(result.error) }),
      (bug: unknown) => ({ force: true, result: { exitCode: exitCodes.internal } satisfies SessionResult, thrown: bug }),
    )

    clearTimeout(impatient)
    clearTimeout(this.#overdue)
    keepCompiledCode()
    const detached = this.#options.detached && result.exitCode === 0
    this.#abort.abort()
    if (detached) process.off('exit', killCluster)
    if (detached) await this.#cluster?.stop(0)
    else if (force || this.#options.detached) this.#cluster?.kill()
    else await this.#cluster?.stop(this.#profiles === undefined ? stopGraceMillis : profilingGraceMillis)
    await this.#face.close()
    if (!detached) this.#profiles?.tell(this.#options.json)
    const exitCode = thrown === undefined ? result.exitCode : await this.#tell(thrown)
    for (const [signal, handler] of handlers) process.off(signal, handler)
    process.exit(exitCode)
  }

  /** @returns the exit code */
  async #tell(error: unknown): Promise<number> {
    const { tellError } = await import('../output/tell-error.ts')
    const { json, verbose, projectDirectory } = this.#options
    return tellError(error, { json, verbose, projectDirectory })
  }

  /** The one door: everything that happens to the session. */
  #dispatch(event: SessionEvent): void {
    const { state, commands } = sessionStep(this.#state, event)
    this.#state = state
    for (const command of commands) this.#carryOut(command)
  }

  #carryOut(command: SessionCommand): void {
    switch (command.kind) {
      case 'submit':
        return this.#work(this.#submit())
      case 'cancel':
        this.#overdue = setTimeout(() => this.#dispatch({ kind: 'overdue' }), cancelOverdueMillis)
        // If it cannot be told, the time limit ends it.
        void this.#connected().cancel(command.jobId).catch((error: unknown) => this.#face.say('warn', `could not cancel the job: ${messageOf(error)}`))
        return
      case 'savepoint':
        this.#face.say('info', 'savepoint requested')
        void this.#connected().savepoint(command.jobId, undefined).then(
          path => this.#face.say('info', `savepoint: ${path}`),
          (error: unknown) => this.#face.say('warn', `savepoint failed: ${messageOf(error)}`),
        )
        return
      case 'say':
        return this.#face.say(command.level, command.text)
      case 'end':
        return this.#over.resolve({ force: command.force, result: command.result })
      default:
        return unreachable(command)
    }
  }

  /** A step that runs beside the others; its failure is the session's. */
  #work(step: Promise<void>): void {
    step.catch((error: unknown) => {
      if (this.#abort.signal.aborted) return
      if (error instanceof FlinkError) this.#dispatch({ kind: 'failed', error: errorToData(error, error.code) })
      else this.#over.reject(error)
    })
  }

  async #start(): Promise<void> {
    // The cluster is started for the parallelism asked for, before it is known what the job needs; the two seldom differ.
    const size = this.#sizeFor(this.#config.job.parallelism)
    // A detached cluster whose job is over would block the project; if it does not answer, starting ours says why not.
    await endIdleCluster(this.#options.projectDirectory).catch(() => {})
    this.#startCluster(size)
    const { projectDirectory, jobFile } = this.#options
    const { buildJob } = await import('./build-job.ts')
    this.#project = await buildJob({
      projectDirectory, jobFile, config: this.#config.job, profiled: this.#profiles !== undefined, cluster: this.#cluster!, signal: this.#abort.signal,
      onOutput: text => this.#face.output(text),
    })
    const needed = executionPlan(this.#project.graph).slots.length
    const { slots, taskmanagers } = this.#options
    if (needed > slotsOf(size) && slots === undefined) {
      if (taskmanagers === undefined || slotsOf(this.#sizeFor(needed)) > slotsOf(size)) await this.#restartCluster(this.#sizeFor(needed))
    }
    this.#dispatch({ kind: 'compiled' })
  }

  #sizeFor(slotsNeeded: number): ClusterSize {
    return clusterSize(slotsNeeded, availableParallelism(), this.#options)
  }

  #startCluster({ taskManagers, slotsPerTaskManager }: ClusterSize): void {
    const { memoryLimit, cancelGraceMs, passEnvironment } = this.#config.cluster
    const cluster = startLocalCluster({
      projectDirectory: this.#options.projectDirectory,
      taskManagers,
      slotsPerTaskManager,
      detached: this.#options.detached,
      passEnvironment,
      ...(memoryLimit === undefined ? {} : { memoryLimit }),
      ...(cancelGraceMs !== undefined ? { cancelGraceMs } : this.#profiles === undefined ? {} : { cancelGraceMs: profilingGraceMillis }),
    })
    this.#cluster = cluster
    cluster.onProcessEvent(event => this.#onProcessEvent(event))
    this.#client = clusterClient(cluster)
    this.#work(
      cluster.ready.then(
        () => {
          if (this.#cluster === cluster) this.#dispatch({ kind: 'clusterReady' })
        },
        (error: unknown) => {
          // One that was stopped to start a larger one is not missed.
          if (this.#cluster === cluster) throw error
        },
      ),
    )
  }

  /** The job set a parallelism of its own. */
  async #restartCluster(size: ClusterSize): Promise<void> {
    const small = this.#cluster
    this.#cluster = undefined
    // A detached one is let go of by `stop`; nothing runs on it yet.
    if (this.#options.detached) small?.kill()
    else await small?.stop(stopGraceMillis)
    if (this.#abort.signal.aborted) return
    this.#startCluster(size)
  }

  #onProcessEvent(event: ProcessEvent): void {
    if (this.#state.phase === 'over') return
    if (event.kind === 'shutdown') this.#dispatch({ kind: 'failed', error: { code: 'JOB_FAILED', message: 'somebody ended the cluster', hint: 'It was asked to over REST.' } })
    else if (event.kind === 'gaveUp') {
      if (event.process === jobManagerName) this.#dispatch({ kind: 'failed', error: event.error })
      else this.#face.say('error', `${event.process} is not started any more: ${event.error.message}`)
    } else if (event.process === jobManagerName && event.kind === 'ended') this.#face.say('warn', event.error.message)
  }

  async #submit(): Promise<void> {
    const { graph, bundle } = this.#project!
    const request = {
      bundlePath: bundle.path,
      projectDirectory: this.#options.projectDirectory,
      ...(this.#savepointPath === undefined ? {} : { savepointPath: this.#savepointPath, allowNonRestoredState: this.#options['allow-non-restored-state'] }),
    }
    // The JobManager has the graph that it built. Another graph, or another JobManager, is for REST.
    const accepted = this.#profiles === undefined ? await this.#cluster!.submitBuilt(request) : undefined
    const jobId = accepted ?? (await this.#connected().submit({ ...request, jobGraph: this.#profiles === undefined ? graph : this.#profiles.prepare(graph) }))
    removeOldBundles(this.#options.projectDirectory)
    if (this.#options.detached) {
      const started: StartedLine = { schemaVersion, jobId, name: graph.name, clusterId: this.#cluster!.clusterId, ...(this.#profiles && { profiles: this.#profiles.directory }) }
      process.stdout.write(`${this.#options.json ? toJsonLine(started) : jobId}\n`)
      if (this.#profiles !== undefined) this.#face.say('info', `each slot writes its profile to ${this.#profiles.directory} when the job ends`)
      this.#over.resolve({ force: false, result: { exitCode: 0 } })
      return
    }
    this.#dispatch({ kind: 'submitted', jobId })
    startIsOver()
    this.#work(this.#follow())
    await this.#face.live()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort
    for await (const event of followEvents(() => this.#cluster!.events(0, signal), signal)) {
      this.#profiles?.hear(event)
      this.#face.show(event)
      this.#dispatch({ kind: 'runtime', event })
    }
  }

  #connected(): ClusterClient {
    return this.#client!
  }

  #sayWhatIsAwaited(): void {
    if (this.#state.phase !== 'starting') return
    this.#face.say('info', this.#state.compiled ? 'waiting for the cluster ...' : 'still building the job ...')
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

