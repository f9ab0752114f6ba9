/**
 * The deterministic machine: runs all subtasks of one logical slot in one cooperative loop. The host hands it mail and
 * calls `turn()` as long as it says `more`. A turn reads the clock once, handles the mail, fires due timers, lets the
 * tasks work for about a thousand records in all, fairly, and sends what is due.
 *
 * Everything that is not deterministic comes through the host: the same mail in the same order and the same clock give
 * the same frames and the same reports.
 *
 * A task that fails stops the slot: it reports FAILED, and nothing moves any more until the slot is cancelled or disposed.
 * When all tasks are finished the slot still takes credit for their last elements, until it has `ended`.
 */
import { assert } from '../core/assert.ts'
import { BatchPool } from '../core/batch.ts'
import { FlinkError } from '../core/errors.ts'
import { decodeFrame } from '../codec/frame.ts'
import { keyGroupRangeOf } from '../core/key-group.ts'
import type { Timestamp } from '../core/time.ts'
import { checkSameGraph } from '../graph/hash.ts'
import type { ExecutionPlan, JobGraph, JobVertex } from '../graph/job-graph.ts'
import type { JobDefinition, Transformation } from '../graph/transformation.ts'
import type { Chain, ChainWatermarks, CreateChain } from '../operators/chain.ts'
import type { SlotDeployment, SlotMail } from '../protocol/slot.ts'
import { noFaults, type SlotFaults } from './faults.ts'
import type { SlotHost, TurnResult } from './host.ts'
import { Task } from './task.ts'
import { wireSlot, type SlotWiring, type TaskWiring } from './wiring.ts'

/** Records per turn, over all tasks, and per task before the next one has its turn. */
const turnRecords = 1024
const taskRecords = 512
const metricsInterval = 1000

export interface SlotOptions {
  /** Planted bugs, for tests only. */
  readonly faults?: SlotFaults
}

export class Slot {
  readonly #host: SlotHost
  readonly #graph: JobGraph
  readonly #deployment: SlotDeployment
  readonly #createChain: CreateChain
  readonly #transformations: ReadonlyMap<number, Transformation>
  readonly #batches: BatchPool
  readonly #wiring: SlotWiring
  readonly #tasks: readonly Task[]
  /** Opened one per turn, the last of the topology first; nothing runs before all are open. */
  readonly #unopened: Task[]
  #mails: Exclude<SlotMail, { kind: 'cancel' }>[] = []
  #cancelled = false
  #now: Timestamp
  #nextMetrics: Timestamp
  #first = 0
  #current: Task
  #state: 'running' | 'failed' | 'finished' | 'gone' = 'running'

  /** @throws FlinkError `NONDETERMINISTIC_GRAPH` if this slot built another graph than the one that was deployed. */
  constructor(host: SlotHost, definition: JobDefinition, graph: JobGraph, plan: ExecutionPlan, deployment: SlotDeployment, createChain: CreateChain, options: SlotOptions = {}) {
    checkSameGraph(graph, deployment.graph, `slot ${deployment.slot}`)
    this.#host = host
    this.#graph = graph
    this.#deployment = deployment
    this.#createChain = createChain
    this.#transformations = new Map(definition.transformations.map(transformation => [transformation.id, transformation]))
    this.#now = host.now()
    this.#nextMetrics = this.#now + metricsInterval
    this.#batches = new BatchPool(graph.config.exchange.batchSize)
    this.#wiring = wireSlot({
      plan,
      slot: deployment.slot,
      exchange: graph.config.exchange,
      batches: this.#batches,
      transformation: id => this.#transformation(id),
      frameBuffers: host.frameBuffers,
      send: (slot, frame) => host.send(slot, frame),
      random: () => host.random(),
    })
    this.#tasks = this.#wiring.tasks.map(wiring => this.#createTask(wiring, options.faults ?? noFaults))
    this.#unopened = [...this.#tasks]
    const first = this.#tasks[0]
    assert(first !== undefined, `slot ${deployment.slot} has nothing to run`)
    this.#current = first
  }

  /** Takes mail for the next turn. Frames are given up. */
  receive(mail: SlotMail): void {
    // Goes ahead of everything, so that no mail that fails the slot can swallow it.
    if (mail.kind === 'cancel') this.#cancelled = true
    else this.#mails.push(mail)
  }

  /** All tasks are over and what they sent has left: the host may let the slot go. */
  get ended(): boolean {
    if (this.#state === 'running' || !this.#tasks.every(task => task.over)) return false
    return this.#state !== 'finished' || this.#tasks.every(task => task.wiring.outputs.drained)
  }

  /** Whose code runs, or ran last: it stands in front of what user code prints. */
  get currentTask(): { readonly name: string; readonly subtask: number; readonly parallelism: number } {
    const { ref, vertex } = this.#current
    return { name: vertex.name, subtask: ref.subtask, parallelism: vertex.parallelism }
  }

  turn(): TurnResult {
    const now = this.#host.now()
    this.#now = now
    for (const task of this.#tasks) task.clock.advance(now)
    try {
      return this.#turn(now)
    } catch (error) {
      this.#fail(this.#current, error)
      return idle
    }
  }

  /** Closes everything and reports nothing: the host does not want this slot any more. */
  dispose(): void {
    this.#state = 'gone'
    this.#mails = []
    for (const task of this.#tasks) task.dispose()
  }

  #turn(now: Timestamp): TurnResult {
    if (this.#cancelled && this.#state !== 'gone') this.#cancel()
    const mailed = this.#handleMail(now)
    if (this.#state !== 'running') return idle
    if (this.#unopened.length > 0) {
      this.#current = this.#unopened.pop() as Task
      this.#current.open(now)
      this.#checkOver(now)
      return more
    }
    const worked = this.#work(now)
    const wakeAt = this.#endOfTurn(now)
    if (mailed || worked > 0 || wakeAt <= now) return more
    return { kind: 'idle', at: wakeAt }
  }

  // Mail.

  /** True if there was any. Until all tasks are open, only frames are let in, and the others wait. */
  #handleMail(now: Timestamp): boolean {
    const mails = this.#mails
    if (mails.length === 0) return false
    this.#mails = []
    const opening = this.#unopened.length > 0
    let handled = false
    for (const mail of mails) {
      if (this.#state !== 'running' && mail.kind !== 'frame') continue
      if (opening && mail.kind !== 'frame' && mail.kind !== 'linkLost') {
        this.#mails.push(mail)
        continue
      }
      handled = true
      this.#handle(mail, now)
    }
    return handled
  }

  #handle(mail: Exclude<SlotMail, { kind: 'cancel' }>, now: Timestamp): void {
    switch (mail.kind) {
      case 'frame':
        return this.#frame(mail.frame)
      case 'trigger':
        return this.#forEach(task => task.trigger(mail.barrier, now))
      case 'checkpointComplete':
        return this.#forEach(task => task.checkpointComplete(mail.checkpointId))
      case 'checkpointAborted':
        return this.#forEach(task => task.checkpointAborted(mail.checkpointId))
      case 'addSplit':
        return this.#forEach(task => this.#hasSource(task, mail) && task.addSplit(mail.operatorId, mail.split))
      case 'noMoreSplits':
        return this.#forEach(task => this.#hasSource(task, mail) && task.noMoreSplits(mail.operatorId))
      case 'linkLost':
        return this.#linkLost(mail.from, mail.reason)
    }
  }

  #cancel(): void {
    this.#state = 'gone'
    this.#unopened.length = 0
    this.#mails = []
    for (const task of this.#tasks) task.cancel()
    this.#reportMetrics(this.#now)
  }

  #hasSource(task: Task, { operatorId, subtask }: { readonly operatorId: string; readonly subtask: number }): boolean {
    return task.ref.subtask === subtask && task.vertex.operators[0]?.id === operatorId
  }

  #frame(bytes: Uint8Array): void {
    const frame = decodeFrame(bytes)
    assert(frame.kind !== 'hello', 'a hello frame in the mail: the host keeps those')
    const { channel } = frame
    if (frame.kind === 'credit') {
      const output = this.#wiring.outputs.get(channel)
      assert(output !== undefined, `credit for channel ${channel}, which does not begin in slot ${this.#deployment.slot}`)
      output.addCredit(frame.credits)
      return
    }
    const input = this.#wiring.inputs.get(channel)
    assert(input !== undefined, `a frame for channel ${channel}, which does not end in slot ${this.#deployment.slot}`)
    // A finished slot still gives credit for what it drops: somebody waits for it to end.
    if (this.#state === 'running' || this.#state === 'finished') input.pushFrame(frame)
  }

  /** Whoever still has something to say to the lost slot, or to hear from it, cannot go on. */
  #linkLost(from: number, reason: string): void {
    const task = this.#tasks.find(each => !each.over && each.dependsOn(from)) ?? this.#tasks.find(each => each.dependsOn(from))
    if (task === undefined || task.over) return
    this.#current = task
    throw new FlinkError('PROCESS_LOST', `${task.vertex.name} lost the connection to slot ${from}: ${reason}`)
  }

  // Work.

  /** Round-robin in portions, so that no task starves another; the next turn begins where this one stopped. */
  #work(now: Timestamp): number {
    const tasks = this.#tasks
    let left = turnRecords
    let worked = 0
    let round: number
    do {
      round = 0
      for (let i = 0; i < tasks.length && left > 0; i++) {
        const task = tasks[this.#first] as Task
        this.#first = this.#first + 1 === tasks.length ? 0 : this.#first + 1
        this.#current = task
        task.wiring.outputs.check()
        const done = task.work(Math.min(left, taskRecords), now)
        if (done === 0) continue
        task.worked = true
        round += done
        left -= done
      }
      worked += round
    } while (round > 0 && left > 0)
    return worked
  }

  /** Timers, time-outs of batches, snapshots, ends; returns when to wake up if no mail comes. */
  #endOfTurn(now: Timestamp): Timestamp {
    const { bufferTimeout } = this.#graph.config.exchange
    let wakeAt = Infinity
    let ended = false
    for (const task of this.#tasks) {
      this.#current = task
      // First: one that could not send what it had left is not finished.
      task.wiring.outputs.check()
      task.onTime(now)
      const writing = task.background(now)
      if (task.settle()) ended = true
      const flushAt = task.wiring.outputs.flushDue(now, bufferTimeout)
      task.clock.did(task.worked ? 'busy' : task.backPressured ? 'backPressured' : 'idle')
      task.worked = false
      wakeAt = Math.min(wakeAt, flushAt, task.wakeAt)
      if (writing) wakeAt = -Infinity
    }
    if (ended) {
      // Its last elements lie in the channels of this slot.
      wakeAt = -Infinity
      this.#checkOver(now)
    }
    if (this.#state === 'finished') return Infinity
    return Math.min(wakeAt, this.#metrics(now))
  }

  #metrics(now: Timestamp): Timestamp {
    // A wall clock may be set back.
    if (now >= this.#nextMetrics || this.#nextMetrics - now > metricsInterval) {
      this.#reportMetrics(now)
      this.#nextMetrics = now + metricsInterval
    }
    return this.#nextMetrics
  }

  #reportMetrics(now: Timestamp): void {
    this.#host.report({ kind: 'metrics', at: now, tasks: this.#tasks.map(task => task.metrics()) })
  }

  // Ends.

  #checkOver(now: Timestamp): void {
    if (this.#unopened.length > 0 || !this.#tasks.every(task => task.over)) return
    this.#state = 'finished'
    this.#reportMetrics(now)
  }

  #fail(task: Task, error: unknown): void {
    this.#state = 'failed'
    this.#mails = []
    this.#unopened.length = 0
    // What mail breaks may belong to a task that is over; somebody has to tell.
    const teller = task.over ? this.#tasks.find(each => !each.over) : task
    teller?.fail(error)
    this.#reportMetrics(this.#now)
  }

  // What a task needs of its slot.

  #forEach(call: (task: Task) => void): void {
    for (const task of this.#tasks) {
      this.#current = task
      call(task)
    }
  }

  #transformation(id: number): Transformation {
    const transformation = this.#transformations.get(id)
    assert(transformation !== undefined, `the job has no transformation ${id}`)
    return transformation
  }

  #createTask(wiring: TaskWiring, faults: SlotFaults): Task {
    const { vertex: index, subtask } = wiring.subtask
    const { finishedVertices } = this.#deployment
    const { config } = this.#graph
    const vertex = this.#graph.vertices[index]
    assert(vertex !== undefined, `the graph has no vertex ${index}`)
    const commits = this.#graph.vertices.some(({ operators }) => operators.some(operator => operator.commits))
    return new Task({
      ref: { vertex: index, subtask },
      vertex,
      wiring,
      batches: this.#batches,
      alignment: config.checkpointing.mode,
      finalCheckpoint: commits && config.checkpointing.interval !== undefined,
      finishedBefore: finishedVertices.includes(index),
      bufferTimeout: config.exchange.bufferTimeout,
      faults,
      now: this.#now,
      report: report => this.#host.report(report),
      createChain: watermarks => this.#chain(vertex, wiring, watermarks),
    })
  }

  #chain(vertex: JobVertex, { subtask: { subtask }, outputs }: TaskWiring, watermarks: ChainWatermarks): Chain {
    const host = this.#host
    const { jobId, fence, restore, projectDirectory } = this.#deployment
    const { config } = this.#graph
    const { parallelism, maxParallelism } = vertex
    const keyGroups = keyGroupRangeOf(subtask, parallelism, maxParallelism)
    const memoryLimit = Math.floor(config.state.memoryLimit / this.#keyedOperators())
    return this.#createChain(
      {
        jobId,
        attempt: fence.attempt,
        subtask,
        parallelism,
        maxParallelism,
        operators: vertex.operators,
        transformation: id => this.#transformation(id),
        exchange: config.exchange,
        batches: this.#batches,
        autoWatermarkInterval: config.autoWatermarkInterval,
        checkpointing: config.checkpointing.interval !== undefined,
        projectDirectory,
        files: host.files,
        now: () => this.#now,
        output: (operator, tag) => outputs.output(operator, tag),
        // Closed by the chain.
        keyedState: operatorId => host.openKeyedState({ id: `${operatorId}-${subtask}`, backend: config.state.backend, keyGroups, maxParallelism, memoryLimit }),
        restored: host.openRestored(restore, { subtask, parallelism, keyGroups }),
        requestSplit: operatorId => host.report({ kind: 'requestSplit', operatorId, subtask }),
        print: (operatorId, text) => host.report({ kind: 'print', operatorId, subtask, text }),
        collect: (operatorId, value) => host.report({ kind: 'collect', operatorId, subtask, value }),
      },
      watermarks,
    )
  }

  /** The memory of the slot is shared evenly by the operators that keep tables; one that has timers alone needs none of it. */
  #keyedOperators(): number {
    let count = 0
    for (const task of this.#tasks) count += task.vertex.operators.filter(operator => operator.states.length > 0).length
    return Math.max(1, count)
  }
}

const more: TurnResult = { kind: 'more' }
const idle: TurnResult = { kind: 'idle', at: Infinity }
