/**
 * Slots, the network between them and a small coordinator in one thread, for the tests of this room. A seed decides what
 * happens next: a turn of a slot, a frame that arrives (in order per pair of slots), a mail of the coordinator that
 * arrives, or time that passes. The same seed gives the same trace.
 */
import type { CheckpointKind } from '../core/batch.ts'
import { FrameBuffers } from '../core/frame-buffers.ts'
import { asOperatorId, asVertexId, type SubtaskRef } from '../core/ids.ts'
import { murmur128 } from '../core/murmur.ts'
import { seededRandom, type Random } from '../core/random.ts'
import { decodeFrame } from '../codec/frame.ts'
import { defaultJobConfig, type CheckpointConfig, type ExchangeConfig, type JobConfig } from '../graph/config.ts'
import type { JobEdge, JobGraph, JobVertex, PartitionerKind } from '../graph/job-graph.ts'
import { executionPlan } from '../graph/plan.ts'
import type { JobDefinition, Transformation } from '../graph/transformation.ts'
import type { SlotMail, SlotReport, TaskStatus } from '../protocol/slot.ts'
import type { SlotFaults } from './faults.ts'
import type { SlotHost, TurnResult } from './host.ts'
import { Slot } from './slot.ts'
import { TestChain, type TestOperator, type TestRecord } from './test-chain.ts'

export interface TestVertex extends TestOperator {
  readonly name: string
  readonly parallelism: number
  readonly group?: string
  readonly commits?: boolean
}
/** `a -hash-> b`; the input is 0 unless given. */
export interface TestEdge {
  readonly from: string
  readonly to: string
  readonly by: PartitionerKind
  readonly input?: number
}
export interface TestJob {
  readonly vertices: readonly TestVertex[]
  readonly edges: readonly TestEdge[]
  readonly exchange?: Partial<ExchangeConfig>
  readonly checkpointing?: Partial<CheckpointConfig>
  readonly faults?: SlotFaults
  readonly finishedVertices?: readonly number[]
  readonly restore?: ReadonlyMap<string, Uint8Array>
  /** What is said to have been submitted, where that is another graph. */
  readonly submitted?: JobGraph
  readonly seed?: number
}

export interface Checkpoint {
  readonly id: number
  readonly kind: CheckpointKind
  /** By task: its state. */
  readonly states: Map<string, Uint8Array>
  readonly waitingFor: Set<string>
  status: 'pending' | 'complete' | 'aborted'
}

const key: Transformation = {
  kind: 'partition',
  id: 1,
  input: { kind: 'union', id: 2, inputs: [] },
  partitioner: { kind: 'hash', key: { description: 'key', select: value => (value as TestRecord).key, field: 'key' } },
}
const definition: JobDefinition = { name: 'test', transformations: [key], config: {} }

export class TestNetwork {
  readonly slots: Slot[]
  readonly graph: JobGraph
  readonly random: Random
  readonly reports: { readonly slot: number; readonly report: SlotReport }[] = []
  /** What chains and tasks did, in order. */
  readonly log: string[] = []
  readonly statuses = new Map<string, TaskStatus>()
  readonly collected: string[] = []
  readonly checkpoints = new Map<number, Checkpoint>()
  now = 1000
  /** Largest number of frames that lay on one link, those that take no credit left out. */
  mostOnLink = 0
  readonly #links = new Map<string, { readonly from: number; readonly to: number; readonly frames: Uint8Array[] }>()
  readonly #control: SlotMail[][]
  readonly #idleUntil: number[]
  readonly #slow = new Map<string, boolean>()
  readonly #swarm: Random
  #trace = ''

  constructor(job: TestJob) {
    this.random = seededRandom(job.seed ?? 1)
    this.#swarm = this.random.fork('swarm')
    const config: JobConfig = {
      ...defaultJobConfig,
      exchange: { ...defaultJobConfig.exchange, ...job.exchange },
      checkpointing: { ...defaultJobConfig.checkpointing, ...job.checkpointing },
    }
    const index = (name: string) => job.vertices.findIndex(vertex => vertex.name === name)
    const vertices = job.vertices.map(
      ({ name, parallelism, group, commits, records }): JobVertex => ({
        id: asVertexId(name),
        name,
        parallelism,
        maxParallelism: 128,
        maxParallelismExplicit: false,
        slotSharingGroup: group ?? 'default',
        operators: [{ id: asOperatorId(name), name, kind: 'map', transformation: 0, states: [], source: records !== undefined, commits: commits === true, at: { file: 'job.ts', line: 7 } }],
      }),
    )
    const edges = job.edges.map(
      ({ from, to, by, input }): JobEdge => ({ source: index(from), sourceOperator: 0, target: index(to), input: input ?? 0, partitioner: by, ...(by === 'hash' ? { keyOf: 1 } : {}), notChained: 'test' }),
    )
    this.graph = { name: 'test', hash: 'hash', vertices, edges, config }
    const plan = executionPlan(this.graph)
    this.#control = plan.slots.map(() => [])
    this.#idleUntil = plan.slots.map(() => -Infinity)
    this.slots = plan.slots.map((_, slot) => {
      const host = this.#host(slot, job)
      const deployment = {
        fence: { epoch: 1, attempt: 1 },
        clusterId: 'c',
        jobId: 'j',
        bundlePath: '',
        projectDirectory: '/',
        graph: job.submitted ?? this.graph,
        slot,
        peers: [],
        finishedVertices: job.finishedVertices ?? [],
        restore: undefined,
      }
      const create = (context: ConstructorParameters<typeof TestChain>[0], watermarks: ConstructorParameters<typeof TestChain>[1]) =>
        new TestChain(context, watermarks, job.vertices[index(context.operators[0]!.name)]!, line => this.#say(line))
      return new Slot(host, definition, this.graph, plan, deployment, create, job.faults === undefined ? {} : { faults: job.faults })
    })
  }

  /** Names a task as the log does. */
  nameOf({ vertex, subtask }: SubtaskRef): string {
    return `${this.graph.vertices[vertex]!.name}${subtask}`
  }
  get traceHash(): string {
    return murmur128(this.#trace)
  }

  /** Sends to a slot what a coordinator would; it arrives at some later step. */
  send(slot: number, mail: SlotMail): void {
    this.#control[slot]!.push(mail)
  }
  sendAll(mail: SlotMail): void {
    for (let slot = 0; slot < this.slots.length; slot++) this.send(slot, mail)
  }

  trigger(id: number, kind: CheckpointKind = 'checkpoint'): Checkpoint {
    const waitingFor = new Set([...this.statuses].filter(([, status]) => status === 'RUNNING').map(([task]) => task))
    const checkpoint: Checkpoint = { id, kind, states: new Map(), waitingFor, status: 'pending' }
    this.checkpoints.set(id, checkpoint)
    this.sendAll({ kind: 'trigger', barrier: { checkpointId: id, timestamp: this.now, kind } })
    return checkpoint
  }
  abort(id: number): void {
    const checkpoint = this.checkpoints.get(id)!
    if (checkpoint.status !== 'pending') return
    checkpoint.status = 'aborted'
    this.sendAll({ kind: 'checkpointAborted', checkpointId: id })
  }

  /** One step; false if nothing can happen but time. */
  step(): boolean {
    const { random } = this
    const links = [...this.#links.values()].filter(link => link.frames.length > 0)
    const controls = this.#control.flatMap((mails, slot) => (mails.length > 0 ? [slot] : []))
    const turns = this.slots.flatMap((_, slot) => (this.#idleUntil[slot]! <= this.now ? [slot] : []))
    const choices = links.length + controls.length + turns.length
    if (choices === 0) return false
    let choice = random.int(choices)
    if (choice < links.length) {
      const link = links[choice]!
      if (this.#tarries(`link ${link.from} ${link.to}`)) return true
      this.#receive(link.to, { kind: 'frame', from: link.from, frame: link.frames.shift()! })
    } else if ((choice -= links.length) < controls.length) {
      const slot = controls[choice]!
      if (this.#tarries(`control ${slot}`)) return true
      this.#receive(slot, this.#control[slot]!.shift()!)
    } else this.turn(turns[choice - controls.length]!)
    return true
  }

  /** Some links are slow in a run, so that one slot is far ahead of another. */
  #tarries(name: string): boolean {
    let slow = this.#slow.get(name)
    if (slow === undefined) this.#slow.set(name, (slow = this.#swarm.fork(name).chance(0.25)))
    return slow && this.random.chance(0.8)
  }

  turn(slot: number): TurnResult {
    const result = this.slots[slot]!.turn()
    this.#trace += `turn ${slot} ${result.kind} ${result.kind === 'idle' ? result.at : ''}\n`
    this.#idleUntil[slot] = result.kind === 'more' ? -Infinity : result.at
    return result
  }

  /** Steps until `done`, letting time pass when nothing else can happen. */
  run(done: () => boolean, options: { readonly maxSteps?: number; readonly each?: () => void } = {}): void {
    const { maxSteps = 200_000, each } = options
    for (let steps = 0; steps < maxSteps; steps++) {
      if (done()) return
      each?.()
      if (this.step() && !this.random.chance(0.02)) continue
      this.now += 1 + this.random.int(5)
    }
    throw new Error(`not done after ${maxSteps} steps; tasks: ${JSON.stringify([...this.statuses])}; log: ${this.log.slice(-30).join(' | ')}`)
  }
  runUntilAll(status: TaskStatus, options: { readonly maxSteps?: number; readonly each?: () => void } = {}): void {
    const tasks = this.graph.vertices.reduce((sum, vertex) => sum + vertex.parallelism, 0)
    this.run(() => [...this.statuses.values()].filter(each => each === status).length === tasks, options)
  }

  linkFrames(from: number, to: number): number {
    return this.#links.get(`${from} ${to}`)?.frames.length ?? 0
  }

  /** The frame that arrives next, as text. */
  firstFrame(from: number, to: number): string | undefined {
    return this.#links.get(`${from} ${to}`)?.frames[0]?.join(' ')
  }

  #receive(slot: number, mail: SlotMail): void {
    this.#trace += `mail ${slot} ${mail.kind}\n`
    this.#idleUntil[slot] = -Infinity
    this.slots[slot]!.receive(mail)
  }

  #host(slot: number, job: TestJob): SlotHost {
    const random = this.random.fork(`slot ${slot}`)
    const noFiles = () => {
      throw new Error('no files in this test')
    }
    return {
      now: () => this.now,
      random: () => random.next(),
      frameBuffers: new FrameBuffers({ poison: true }),
      files: { stat: noFiles, list: noFiles, openRead: noFiles, create: noFiles, rename: noFiles, remove: noFiles, makeDirectory: noFiles, syncDirectory: noFiles },
      send: (to, frame) => {
        this.#trace += `frame ${slot} ${to} ${[...frame.subarray(0, 48)].join(' ')}\n`
        const name = `${slot} ${to}`
        let link = this.#links.get(name)
        if (link === undefined) this.#links.set(name, (link = { from: slot, to, frames: [] }))
        link.frames.push(frame)
        this.mostOnLink = Math.max(this.mostOnLink, link.frames.filter(each => !['credit', 'schema'].includes(decodeFrame(each).kind)).length)
      },
      report: report => this.#report(slot, report),
      openKeyedState: noFiles,
      openRestored: (_restore, { subtask }) => ({
        checkpointId: undefined,
        keyed: () => [],
        list: operatorId => {
          const bytes = job.restore?.get(`${operatorId}${subtask}`)
          return bytes === undefined ? [] : [bytes]
        },
      }),
    }
  }

  #report(slot: number, report: SlotReport): void {
    this.reports.push({ slot, report })
    this.#trace += `report ${slot} ${report.kind}\n`
    switch (report.kind) {
      case 'status': {
        const name = this.nameOf(report.task)
        this.statuses.set(name, report.status)
        this.#say(`${name} ${report.status}`)
        if (report.status === 'FINISHED') for (const checkpoint of this.checkpoints.values()) this.#acknowledge(checkpoint, name)
        return
      }
      case 'collect':
        this.collected.push(report.value as string)
        return
      case 'snapshotBlock': {
        if (report.block.kind === 'list') this.checkpoints.get(report.checkpointId)?.states.set(this.nameOf(report.task), report.block.items[0]!)
        return
      }
      case 'snapshotDone': {
        this.#say(`${this.nameOf(report.task)} snapshot ${report.checkpointId}`)
        const checkpoint = this.checkpoints.get(report.checkpointId)
        if (checkpoint !== undefined) this.#acknowledge(checkpoint, this.nameOf(report.task))
        return
      }
      case 'snapshotDeclined':
        this.#say(`${this.nameOf(report.task)} declined ${report.checkpointId}: ${report.error.message}`)
        if (this.checkpoints.has(report.checkpointId)) this.abort(report.checkpointId)
        return
      case 'endOfData':
        this.#say(`${this.nameOf(report.task)} end of data`)
        return
      case 'metrics':
      case 'print':
      case 'requestSplit':
        return
    }
  }

  #acknowledge(checkpoint: Checkpoint, task: string): void {
    checkpoint.waitingFor.delete(task)
    if (checkpoint.status !== 'pending' || checkpoint.waitingFor.size > 0) return
    checkpoint.status = 'complete'
    this.sendAll({ kind: 'checkpointComplete', checkpointId: checkpoint.id })
  }

  #say(line: string): void {
    this.log.push(line)
    this.#trace += `${line}\n`
  }
}
