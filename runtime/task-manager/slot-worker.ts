/**
 * The real host of a slot: a worker thread that evaluates the bundle, builds the slot and runs it. Between two turns the
 * event loop looks at the sockets and the port; a slot with nothing to do sleeps until the time it asked for, or mail.
 *
 * User code runs here and nowhere else in the process. It may block, spin or exit: the main thread goes on.
 */
import type { MessagePort } from 'node:worker_threads'
import { encodeValue, decodeValue } from '../codec/value-codec.ts'
import { errorToData, FlinkError, type ErrorCode, type ErrorData } from '../core/errors.ts'
import { keepCompiledCode, keepRecordsYoung, startIsOver } from '../deploy/cached-script.ts'
import { showSources } from '../deploy/source-maps.ts'
import { endStdinWhenAsked } from '../deploy/thread-stdio.ts'
import { loadJobDefinition } from '../deploy/user-code.ts'
import { executionPlan, withMaxParallelism } from '../graph/plan.ts'
import { translate } from '../graph/translate.ts'
import { FrameBuffers } from '../core/frame-buffers.ts'
import { DataPlane } from '../network/data-plane.ts'
import type { CreateChain } from '../operators/chain.ts'
import { createChain } from '../operators/create-chain.ts'
import { userFrame } from '../operators/user-error.ts'
import { readDeployment } from '../protocol/deployment-text.ts'
import type { SlotDeployment, SlotMail, SlotReport } from '../protocol/slot.ts'
import type { SlotHost } from '../slot/host.ts'
import { monotonicMs } from '../rpc/monotonic.ts'
import { Slot } from '../slot/slot.ts'
import { openKeyedState } from '../state/open-keyed-state.ts'
import { openRestored } from '../state/snapshot/restored-state.ts'
import { nodeFiles } from '../deploy/node-files.ts'
import { stateDirectoryOf, transferable, type FromSlotWorker, type SlotWorkerData, type ToSlotWorker } from './slot-messages.ts'
import type { ReportLoad } from './slot-runner.ts'
import type { SlotProfiler } from './profile/slot-profiler.ts'
import { linksOf } from './slot-links.ts'
import { captureUserOutput } from './user-output.ts'

/** What may be under way to the JobManager and to the disk before the slot pauses. */
const maxUnderWay: Readonly<Record<ReportLoad['kind'], number>> = { output: 512 * 1024, snapshot: 64 * 1024 * 1024 }

export function runSlotWorker(data: SlotWorkerData, port: MessagePort): void {
  endStdinWhenAsked()
  const post = (message: FromSlotWorker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer)
  let deployment: SlotDeployment | undefined
  let run: SlotRun | undefined
  let profiler: SlotProfiler | undefined
  const early: Exclude<ToSlotWorker, { kind: 'start' }>[] = []

  const output = captureUserOutput((stream, text) => post({ kind: 'log', stream, text }), () => run?.prefix ?? '')
  const ended = (error: ErrorData | undefined) => {
    profiler?.finish()
    output.flush()
    if (error === undefined) keepCompiledCode()
    post({ kind: 'ended', error })
  }
  // Nobody waits for these: user code threw in a callback of its own, or forgot a promise.
  const uncaught = (what: string) => (error: unknown) => {
    run?.destroy()
    ended(describeUncaught(what, error, deployment))
  }
  process.on('uncaughtException', uncaught('uncaught error'))
  process.on('unhandledRejection', uncaught('unhandled rejection'))

  port.on('message', (message: ToSlotWorker) => {
    if (message.kind === 'start') {
      deployment = readDeployment(message.deployment)
      open(deployment).then(
        opened => {
          run = opened
          keepRecordsYoung()
          startIsOver()
          for (const held of early.splice(0)) opened.receive(held)
        },
        (error: unknown) => ended(errorToData(error, 'JOB_BUILD_FAILED')),
      )
    } else if (run !== undefined) {
      run.receive(message)
    } else if (message.kind === 'mail' && message.mail.kind === 'cancel') {
      // Still loading the job, perhaps for ever.
      ended(undefined)
    } else {
      early.push(message)
    }
  })

  async function open(deployed: SlotDeployment): Promise<SlotRun> {
    const { profiling } = deployed.graph.config
    if (profiling.directory !== undefined) {
      const { SlotProfiler } = await import('./profile/slot-profiler.ts')
      profiler = new SlotProfiler(profiling, deployed, data, text => post({ kind: 'log', stream: 'stderr', text }))
      // User code may call `process.exit`.
      process.once('exit', () => profiler?.finish())
    }
    return SlotRun.open(data, deployed, port, ended, profiler?.createChain ?? createChain)
  }
}

class SlotRun {
  readonly #port: MessagePort
  readonly #slot: Slot
  readonly #network: DataPlane
  readonly #ended: (error: ErrorData | undefined) => void
  readonly #underWay = { output: 0, snapshot: 0 }
  #reports: [SlotReport, ReportLoad | undefined][] = []
  #transfer: ArrayBuffer[] = []
  #scheduled = false
  #timer: NodeJS.Timeout | undefined
  /** `closing`: the tasks are over, and what they sent is still on its way. */
  #state: 'running' | 'closing' | 'over' = 'running'

  static async open(data: SlotWorkerData, deployment: SlotDeployment, port: MessagePort, ended: (error: ErrorData | undefined) => void, create: CreateChain): Promise<SlotRun> {
    showSources()
    const { graph: { config }, bundlePath } = deployment
    // A thread has modules of its own, so the address may be the same in all: Node keeps compiled code of each for ever.
    const definition = await loadJobDefinition(bundlePath, config.args)
    return new SlotRun(data, deployment, definition, port, ended, create)
  }

  private constructor(
    data: SlotWorkerData, deployment: SlotDeployment, definition: Awaited<ReturnType<typeof loadJobDefinition>>, port: MessagePort,
    ended: (error: ErrorData | undefined) => void, create: CreateChain,
  ) {
    this.#port = port
    this.#ended = ended
    const { fence, jobId, slot, peers } = deployment
    const graph = withMaxParallelism(translate(definition, deployment.graph.config), deployment.maxParallelism)
    const plan = executionPlan(graph)
    const stateDirectory = stateDirectoryOf(data, fence)
    const frameBuffers = new FrameBuffers()
    const host: SlotHost = {
      frameBuffers,
      now: () => Date.now(),
      random: () => Math.random(),
      files: nodeFiles,
      send: (to, frame) => this.#network.send(to, frame),
      report: report => this.#report(report),
      openKeyedState: options => openKeyedState(options, stateDirectory, monotonicMs),
      openRestored: (restore, subtask) => openRestored(nodeFiles, restore, subtask),
    }
    // The slot checks the hash of the graph before anything runs.
    this.#slot = new Slot(host, definition, graph, plan, deployment, create)
    this.#network = new DataPlane(
      { clusterId: data.clusterId, token: data.token, fence, jobId, slot, peers, links: linksOf(plan, slot), frameBuffers },
      {
        frame: (from, frame) => this.#mail({ kind: 'frame', from, frame }),
        linkLost: (from, reason) => this.#mail({ kind: 'linkLost', from, reason }),
      },
    )
    this.#schedule()
  }

  /** Stands in front of what user code prints. */
  get prefix(): string {
    const { name, subtask, parallelism } = this.#slot.currentTask
    return `[${name} (${subtask + 1}/${parallelism})] `
  }

  receive(message: Exclude<ToSlotWorker, { kind: 'start' }>): void {
    if (message.kind === 'taken') {
      this.#underWay.output -= message.bytes.output
      this.#underWay.snapshot -= message.bytes.snapshot
      return this.#schedule()
    }
    const { mail } = message
    if (mail.kind === 'cancel') return this.#cancel()
    this.#mail(mail.kind === 'addSplit' ? { ...mail, split: decodeValue(mail.split as Uint8Array) } : mail)
  }

  destroy(): void {
    this.#state = 'over'
    clearTimeout(this.#timer)
    this.#network.destroy()
  }

  #mail(mail: SlotMail): void {
    if (this.#state !== 'running') return
    this.#slot.receive(mail)
    this.#schedule()
  }

  #cancel(): void {
    if (this.#state === 'over') return
    if (this.#state === 'running') {
      this.#slot.receive({ kind: 'cancel' })
      this.#slot.turn()
      this.#slot.dispose()
    }
    this.#finish()
  }

  #schedule(): void {
    if (this.#scheduled || this.#state !== 'running') return
    this.#scheduled = true
    clearTimeout(this.#timer)
    setImmediate(this.#turn)
  }

  readonly #turn = () => {
    this.#scheduled = false
    if (this.#state !== 'running') return
    // Whoever takes what was printed, or writes the snapshot, is behind: wait for word from there.
    if (this.#underWay.output > maxUnderWay.output || this.#underWay.snapshot > maxUnderWay.snapshot) return
    const result = this.#slot.turn()
    this.#network.flush(result.kind === 'more' && !this.#slot.ended)
    this.#postReports()
    if (this.#slot.ended) return this.#end()
    if (result.kind === 'more') return this.#schedule()
    if (result.at === Infinity) return
    const delay = result.at - Date.now()
    if (delay <= 0) this.#schedule()
    // Timers hold 31 bits; waking up for nothing once in three weeks is fine.
    else this.#timer = setTimeout(() => this.#schedule(), Math.min(delay, 2 ** 31 - 1))
  }

  /** All is done: what was sent must still arrive. */
  #end(): void {
    this.#state = 'closing'
    clearTimeout(this.#timer)
    void this.#network.close().then(() => this.#finish())
  }

  #finish(): void {
    if (this.#state === 'over') return
    this.destroy()
    this.#postReports()
    this.#ended(undefined)
  }

  #report(report: SlotReport): void {
    let load: ReportLoad | undefined
    if (report.kind === 'print') load = { kind: 'output', bytes: report.text.length }
    else if (report.kind === 'collect') {
      // Any value that a stream may hold; control messages carry plain data only.
      const value = encodeValue(report.value, 'collected value')
      load = { kind: 'output', bytes: value.length }
      report = { ...report, value }
    } else if (report.kind === 'snapshotBlock') {
      const parts = transferable(report.block)
      load = { kind: 'snapshot', bytes: parts.reduce((sum, part) => sum + part.byteLength, 0) }
      this.#transfer.push(...parts)
    }
    if (load !== undefined) this.#underWay[load.kind] += load.bytes
    this.#reports.push([report, load])
  }

  #postReports(): void {
    if (this.#reports.length === 0) return
    const message: FromSlotWorker = { kind: 'reports', reports: this.#reports }
    const transfer = this.#transfer
    this.#reports = []
    this.#transfer = []
    this.#port.postMessage(message, transfer)
  }
}

function describeUncaught(what: string, error: unknown, deployment: SlotDeployment | undefined): ErrorData {
  if (error instanceof FlinkError) return errorToData(error, 'USER_CODE_FAILED')
  const { code, message, stack } = (error ?? {}) as { code?: unknown; message?: string; stack?: string }
  // LMDB rejects a promise of its own when the disk is full, with the number of EIO or ENOSPC.
  const full: ErrorCode | undefined = code === 'ENOSPC' || code === 'EDQUOT' || code === 28 || code === 5 ? 'DISK_FULL' : undefined
  const at = deployment && userFrame(stack, deployment.projectDirectory)
  return {
    code: full ?? 'USER_CODE_FAILED',
    message: `${what}: ${message ?? String(error)}`,
    ...(at === undefined ? {} : { at }),
    ...(stack === undefined ? {} : { stack }),
  }
}
