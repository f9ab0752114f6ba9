/**
 * One subtask: a chain of operators with its channels. The task decides what is alike for every chain: what to read next,
 * when to snapshot, what the end of data means, when it is finished. The slot calls it; it never calls the clock.
 *
 * How data ends: MAX watermark (if event time ends) -> `endInput` -> `endOfData` downstream -> wait for one completed
 * checkpoint that was taken after it, if the job commits anything -> close -> `endOfPartition` -> FINISHED.
 */
import type { BatchPool, CheckpointBarrier, StreamElement } from '../core/batch.ts'
import { assert, AssertionFailure, unreachable } from '../core/assert.ts'
import { DecodeError } from '../codec/bytes.ts'
import { errorToData, FlinkError, type ErrorData } from '../core/errors.ts'
import type { SubtaskRef } from '../core/ids.ts'
import { MAX_TIMESTAMP, type Millis, type Timestamp } from '../core/time.ts'
import type { JobVertex } from '../graph/job-graph.ts'
import type { Chain, ChainMetrics, ChainWatermarks } from '../operators/chain.ts'
import type { SlotReport, TaskMetrics, TaskStatus } from '../protocol/slot.ts'
import { BarrierAligner, type AlignerCommand, type AlignmentMode } from './barrier-aligner.ts'
import type { SlotFaults } from './faults.ts'
import type { InputChannel } from './input-gate.ts'
import { Snapshotter } from './snapshotter.ts'
import { TaskClock } from './task-clock.ts'
import { isOver, moveTask } from './task-status.ts'
import { WatermarkValve, type ValveCommand } from './watermark-valve.ts'
import type { TaskWiring } from './wiring.ts'

export interface TaskOptions {
  readonly ref: SubtaskRef
  readonly vertex: JobVertex
  readonly wiring: TaskWiring
  readonly batches: BatchPool
  readonly alignment: AlignmentMode
  /** The job commits with checkpoints: its tasks end with one. */
  readonly finalCheckpoint: boolean
  /** The whole vertex was finished in the checkpoint that the attempt starts from. */
  readonly finishedBefore: boolean
  /** `exchange.bufferTimeout`. */
  readonly bufferTimeout: Millis
  readonly faults: SlotFaults
  readonly now: Timestamp
  report(report: SlotReport): void
  /** Makes the chain, not opened yet; runs user code. */
  createChain(watermarks: ChainWatermarks): Chain
}

/**
 * What a running task does with its input. `stopped`: a source after the barrier of a stop, until the savepoint is
 * complete. `ended`: `endInput` is done.
 */
type Phase = 'flowing' | 'stopped' | 'ended'

export class Task {
  readonly ref: SubtaskRef
  readonly vertex: JobVertex
  readonly wiring: TaskWiring
  readonly clock: TaskClock
  readonly isSource: boolean
  /** In this turn; kept by the slot. */
  worked = false
  readonly #options: TaskOptions
  readonly #aligner: BarrierAligner
  readonly #isBlocked: (channel: number) => boolean
  readonly #valves: readonly (WatermarkValve | undefined)[]
  readonly #snapshotter: Snapshotter
  #status: TaskStatus = 'CREATED'
  #phase: Phase = 'flowing'
  #chain: Chain | undefined
  /** Of a chain that is not open yet or closed. */
  #lastMetrics: ChainMetrics = noMetrics
  #nextTimer: Timestamp = -Infinity
  /** When to poll the source again: `-Infinity` at once, `Infinity` when a split comes. */
  #nextPoll: Timestamp = -Infinity
  /** A checkpoint that was triggered here while an input was still running: taken when the last one ends without a barrier. */
  #pendingTrigger: CheckpointBarrier | undefined
  /** The synchronous savepoint (stop) that must complete before the task goes on. */
  #synchronous: number | undefined
  /** Sources: the `stop-drain` that ended its event time. */
  #drainedFor: number | undefined
  /** The first checkpoint taken after the end of data that commits. */
  #finalFrom: number | undefined
  /** Taken here and not complete; a savepoint commits nothing, so it ends no task. */
  readonly #savepoints = new Set<number>()
  #finalDone: boolean

  constructor(options: TaskOptions) {
    const { wiring } = options
    this.#options = options
    this.ref = options.ref
    this.vertex = options.vertex
    this.wiring = wiring
    this.isSource = wiring.gate.channels.length === 0
    this.clock = new TaskClock(options.now)
    this.#aligner = new BarrierAligner(wiring.gate.channels.length, options.alignment, options.faults)
    this.#isBlocked = channel => this.#aligner.isBlocked(channel)
    this.#valves = wiring.inputs.map(channels => (channels === 0 ? undefined : new WatermarkValve(channels)))
    this.#snapshotter = new Snapshotter(options.ref, options.report)
    this.#finalDone = !options.finalCheckpoint
  }

  get status(): TaskStatus {
    return this.#status
  }
  get over(): boolean {
    return isOver(this.#status)
  }
  get backPressured(): boolean {
    return this.#running && this.wiring.outputs.full
  }
  get #running(): boolean {
    return this.#status === 'RUNNING'
  }
  #chainOf(): Chain {
    assert(this.#chain !== undefined, `${this.vertex.name} has no chain while it is ${this.#status}`)
    return this.#chain
  }

  // Life.

  open(now: Timestamp): void {
    this.#move('INITIALIZING')
    if (this.#options.finishedBefore) {
      this.#move('RUNNING')
      this.wiring.outputs.broadcast({ kind: 'watermark', timestamp: MAX_TIMESTAMP })
      this.wiring.outputs.broadcast({ kind: 'endOfData', drained: true })
      this.#finish()
      return
    }
    this.#chain = this.#options.createChain(this.wiring.outputs)
    this.#chain.open()
    this.#move('RUNNING')
    this.#nextTimer = this.#chain.onTime(now)
  }

  fail(error: unknown): void {
    this.#snapshotter.drop()
    this.#close(true)
    this.#move('FAILED', this.#errorData(error))
  }

  cancel(): void {
    if (this.over) return
    this.#move('CANCELING')
    this.#snapshotter.drop()
    this.#close(true)
    this.#move('CANCELED')
  }

  /** Lets go of everything without a word. */
  dispose(): void {
    this.#snapshotter.drop()
    this.#close(true)
  }

  #finish(): void {
    // Closed first: downstream must not hear of a good end that then fails.
    this.#close(false)
    this.wiring.outputs.broadcast({ kind: 'endOfPartition' })
    for (const channel of this.wiring.gate.channels) channel.discard()
    this.#move('FINISHED')
  }

  /** `quiet` after a failure: what goes wrong now must not hide it. */
  #close(quiet: boolean): void {
    const chain = this.#chain
    if (chain === undefined) return
    this.#chain = undefined
    try {
      this.#lastMetrics = chain.metrics()
      chain.close()
    } catch (error) {
      if (!quiet) throw error
    }
  }

  #move(to: TaskStatus, error?: ErrorData): void {
    this.#status = moveTask(this.#status, to)
    this.#options.report({ kind: 'status', task: this.ref, status: to, ...(error === undefined ? {} : { error }) })
  }

  #errorData(error: unknown): ErrorData {
    const at = this.vertex.operators[0]?.at
    // Our own bug, or bytes damaged on the way.
    if (error instanceof AssertionFailure || error instanceof DecodeError) return errorToData(error, 'JOB_FAILED')
    if (error instanceof FlinkError) return errorToData(error, error.code)
    const message = error instanceof Error ? error.message : String(error)
    return errorToData(new FlinkError('USER_CODE_FAILED', `${this.vertex.name} failed: ${message}`, { cause: error, ...(at === undefined ? {} : { at }) }), 'USER_CODE_FAILED')
  }

  // Work.

  /** Handles about `budget` records; returns how many, control elements counted as one. */
  work(budget: number, now: Timestamp): number {
    if (!this.#running || this.wiring.outputs.full) return 0
    return this.isSource ? this.#poll(budget, now) : this.#read(budget, now)
  }

  #poll(budget: number, now: Timestamp): number {
    if (this.#phase !== 'flowing' || now < this.#nextPoll) return 0
    const result = this.#chainOf().pollSource(budget)
    if (result === 'more') {
      this.#nextPoll = -Infinity
      return budget
    }
    if (result === 'end') this.#endOfData(true)
    else {
      this.#nextPoll = result === 'waiting' ? Infinity : result.at
      // Nobody waits for a batch to fill while its source has nothing to add for longer than the timeout.
      if (this.#nextPoll - now > this.#options.bufferTimeout) this.wiring.outputs.flush()
    }
    return budget
  }

  #read(budget: number, now: Timestamp): number {
    const { gate, outputs } = this.wiring
    let done = 0
    while (done < budget && this.#running && !outputs.full) {
      const channel = gate.next(this.#isBlocked)
      if (channel === undefined) break
      const element = channel.take()
      if (element === undefined) continue
      if (element.kind === 'records') {
        done += element.batch.size
        this.#chainOf().processBatch(element.batch, channel.input)
        this.#options.batches.give(element.batch)
      } else {
        done++
        this.#control(channel, element, now)
      }
    }
    return done
  }

  #control(channel: InputChannel, element: Exclude<StreamElement, { kind: 'records' }>, now: Timestamp): void {
    const valve = this.#valves[channel.input]
    assert(valve !== undefined, `input ${channel.input} of ${this.vertex.name} has no channels`)
    switch (element.kind) {
      case 'watermark':
        return this.#passOn(valve.watermark(channel.inputIndex, element.timestamp), channel.input)
      case 'idle':
        return this.#passOn(valve.idle(channel.inputIndex), channel.input)
      case 'active':
        return this.#passOn(valve.active(channel.inputIndex), channel.input)
      case 'barrier':
        return this.#align(this.#aligner.barrier(channel.index, element.barrier, now), now)
      case 'endOfData':
        return this.#channelEndOfData(channel, element.drained, valve)
      case 'endOfPartition':
        if (!channel.endOfData) this.#channelEndOfData(channel, false, valve)
        channel.ended = true
        this.#align(this.#aligner.endOfPartition(channel.index), now)
        if (this.#aligner.running === 0 && this.#pendingTrigger !== undefined) this.#inject(this.#pendingTrigger, now)
        return
      default:
        unreachable(element)
    }
  }

  #passOn(commands: readonly ValveCommand[], input: number): void {
    for (const command of commands) {
      if (command.kind === 'watermark') this.#chainOf().processWatermark(command.timestamp, input)
      else this.#chainOf().processIdle(command.kind === 'idle', input)
    }
  }

  #channelEndOfData(channel: InputChannel, drained: boolean, valve: WatermarkValve): void {
    channel.endOfData = true
    channel.drained = drained
    this.#passOn(valve.end(channel.inputIndex, drained), channel.input)
    const { channels } = this.wiring.gate
    if (channels.every(each => each.endOfData)) this.#endOfData(channels.every(each => each.drained))
  }

  /** `drained`: event time ended too. Without it (a stop) nothing is finished: the job will go on from the savepoint. */
  #endOfData(drained: boolean): void {
    assert(this.#phase !== 'ended', `the data of ${this.vertex.name} ended twice`)
    const chain = this.#chainOf()
    if (drained) {
      if (this.isSource) chain.processWatermark(MAX_TIMESTAMP, 0)
      chain.endInput()
    } else this.#finalDone = true
    this.#phase = 'ended'
    this.wiring.outputs.broadcast({ kind: 'endOfData', drained })
    if (!this.#finalDone) this.#options.report({ kind: 'endOfData', task: this.ref })
  }

  /** Finishes if nothing more can come and nothing is waited for. */
  settle(): boolean {
    if (!this.#running || this.#phase !== 'ended' || !this.#finalDone || this.#synchronous !== undefined || this.#snapshotter.busy) return false
    // What waits for credit may still fail to be encoded, so the task lives until it is sent.
    if (!this.wiring.outputs.drained || !this.wiring.gate.channels.every(channel => channel.ended)) return false
    this.#finish()
    return true
  }

  // Time.

  /** Fires what is due, also what the records of this turn made due; nothing fires while the task is back-pressured, stopped or ended. */
  onTime(now: Timestamp): void {
    if (this.#mayFire && (this.worked || now >= this.#nextTimer)) this.#nextTimer = this.#chainOf().onTime(now)
  }
  get #mayFire(): boolean {
    return this.#running && this.#phase === 'flowing' && this.#synchronous === undefined && !this.wiring.outputs.full
  }

  /** When the task wants to run again if no mail comes. */
  get wakeAt(): Timestamp {
    if (!this.#mayFire) return Infinity
    return this.isSource ? Math.min(this.#nextTimer, this.#nextPoll) : this.#nextTimer
  }

  /** Between the records of two turns. True if something is under way. */
  background(now: Timestamp): boolean {
    if (!this.#running) return false
    this.#chainOf().maintain()
    this.#snapshotter.step(now)
    return this.#snapshotter.busy
  }

  // Checkpoints.

  /** From the coordinator: a task without running inputs takes the checkpoint by itself. */
  trigger(barrier: CheckpointBarrier, now: Timestamp): void {
    if (!this.#running) return
    if (this.#aligner.running > 0) this.#pendingTrigger = barrier
    else this.#inject(barrier, now)
  }

  #inject(barrier: CheckpointBarrier, now: Timestamp): void {
    this.#pendingTrigger = undefined
    if (!this.#aligner.isOpen(barrier.checkpointId)) return
    if (barrier.kind === 'stop-drain' && this.#phase === 'flowing') {
      this.#drainedFor = barrier.checkpointId
      this.#endOfData(true)
    }
    this.#align(this.#aligner.taken(barrier.checkpointId), now)
    this.#checkpoint(barrier, now, now)
  }

  #align(commands: readonly AlignerCommand[], now: Timestamp): void {
    for (const command of commands) {
      if (command.kind === 'snapshot') this.#checkpoint(command.barrier, command.alignmentStart, now)
      else this.#snapshotter.decline(command.checkpointId, { code: 'CHECKPOINT_FAILED', message: `${this.vertex.name}: ${command.reason}` })
    }
  }

  /** Flink's order: operators prepare (and may still emit), the barrier goes out, then the state is captured (C5, C6). */
  #checkpoint(barrier: CheckpointBarrier, alignmentStart: Timestamp, now: Timestamp): void {
    const id = barrier.checkpointId
    const chain = this.#chainOf()
    if (this.#pendingTrigger !== undefined && this.#pendingTrigger.checkpointId <= id) this.#pendingTrigger = undefined
    // Older bytes first: preparing may change what they are made from.
    this.#snapshotter.finish(now)
    chain.prepareSnapshot(barrier)
    this.wiring.outputs.broadcast({ kind: 'barrier', barrier })
    this.#snapshotter.begin(barrier, chain, alignmentStart, now)
    if (barrier.kind === 'savepoint') this.#savepoints.add(id)
    else if (this.#phase === 'ended') this.#finalFrom ??= id
    if (barrier.kind === 'stop' || barrier.kind === 'stop-drain') {
      this.#synchronous = id
      if (this.isSource && this.#phase === 'flowing') this.#phase = 'stopped'
    }
  }

  /** "All up to this one are complete" (C7). */
  checkpointComplete(checkpointId: number): void {
    if (!this.#running) return
    this.#chainOf().notifyCheckpointComplete(checkpointId)
    if (this.#finalFrom !== undefined && checkpointId >= this.#finalFrom && !this.#savepoints.has(checkpointId)) this.#finalDone = true
    for (const savepoint of this.#savepoints) if (savepoint <= checkpointId) this.#savepoints.delete(savepoint)
    if (this.#synchronous === undefined || checkpointId < this.#synchronous) return
    this.#synchronous = undefined
    if (this.#phase === 'stopped') this.#endOfData(false)
  }

  checkpointAborted(checkpointId: number): void {
    if (!this.#running) return
    this.#aligner.aborted(checkpointId)
    this.#snapshotter.abort(checkpointId)
    if (this.#pendingTrigger?.checkpointId === checkpointId) this.#pendingTrigger = undefined
    this.#savepoints.delete(checkpointId)
    this.#chainOf().notifyCheckpointAborted(checkpointId)
    if (this.#synchronous !== checkpointId) return
    this.#synchronous = undefined
    if (this.#phase === 'stopped') this.#phase = 'flowing'
    // Event time cannot be taken back: the job has to go on from its last checkpoint.
    if (this.#drainedFor === checkpointId) throw new FlinkError('JOB_FAILED', `the savepoint of a stop with drain failed after ${this.vertex.name} had ended its event time`)
  }

  // Splits.

  addSplit(operatorId: string, split: unknown): void {
    if (!this.#running || this.#phase === 'ended') return
    this.#chainOf().addSplit(operatorId, split)
    this.#nextPoll = -Infinity
  }
  noMoreSplits(operatorId: string): void {
    if (!this.#running || this.#phase === 'ended') return
    this.#chainOf().noMoreSplits(operatorId)
    this.#nextPoll = -Infinity
  }

  // What is lost with the connection to another slot.

  dependsOn(slot: number): boolean {
    if (this.over) return this.wiring.outputs.channels.some(channel => channel.slot === slot && !channel.drained)
    return this.wiring.gate.channels.some(channel => channel.slot === slot && !channel.ended) || this.wiring.outputs.channels.some(channel => channel.slot === slot)
  }

  metrics(): TaskMetrics {
    const { clock, wiring } = this
    const { busyMs, idleMs, backPressuredMs } = clock
    let bytesIn = 0
    for (const channel of wiring.gate.channels) bytesIn += channel.bytesIn
    const chain = this.#chain?.metrics() ?? this.#lastMetrics
    return {
      task: this.ref,
      recordsIn: chain.recordsIn,
      recordsOut: chain.recordsOut,
      bytesIn,
      bytesOut: wiring.outputs.bytesOut,
      busyMs,
      idleMs,
      backPressuredMs,
      currentInputWatermark: chain.currentInputWatermark,
      currentOutputWatermark: chain.currentOutputWatermark,
      lateRecordsDropped: chain.lateRecordsDropped,
      stateBytes: chain.stateBytes,
      stateEvictions: chain.stateEvictions,
      stateLoads: chain.stateLoads,
      pendingCommittables: chain.pendingCommittables,
    }
  }
}

const noMetrics: ChainMetrics = {
  recordsIn: 0,
  recordsOut: 0,
  currentInputWatermark: -Infinity,
  currentOutputWatermark: -Infinity,
  lateRecordsDropped: 0,
  stateBytes: 0,
  stateEvictions: 0,
  stateLoads: 0,
  pendingCommittables: 0,
}
