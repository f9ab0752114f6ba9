/**
 * Builds everything that runs inside a chain, and drives it: the tree of operators of a job vertex, with neighbouring
 * row-wise operators joined to segments. The contract with the task is `chain.ts`.
 */
import { assert } from '../core/assert.ts'
import type { Batch, CheckpointBarrier } from '../core/batch.ts'
import { MIN_TIMESTAMP, type Timestamp } from '../core/time.ts'
import type { PollResult } from '../api/connector.ts'
import type { JobOperator } from '../graph/job-graph.ts'
import type { OperatorTransformation } from '../graph/transformation.ts'
import type { Chain, ChainContext, ChainMetrics, ChainSnapshot, ChainWatermarks, CreateChain } from './chain.ts'
import { FirstFailure } from './first-failure.ts'
import { planUnits, type PlannedUnit } from './fusion/plan-units.ts'
import { Segment } from './fusion/segment.ts'
import { KeyedProcessOperator } from './keyed-process.ts'
import type { SnapshotRun, SnapshotSink } from './keyed-state.ts'
import type { Operator, OperatorStats } from './operator.ts'
import { Outputs, type Consumer } from './output.ts'
import { ReduceOperator } from './reduce.ts'
import { SinkOperator } from './sink.ts'
import { SourceOperator } from './source.ts'
import { PunctuatedTimestamps } from './timestamps.ts'
import { LocalWindowOperator } from './window/local-window.ts'
import { WindowOperator } from './window/window-operator.ts'

export const createChain: CreateChain = (context, watermarks) => new OperatorChain(context, watermarks, () => {})

/** The same, for somebody who wants to see each thing that runs before it does (a profiler, which names it). */
export const createObservedChain = (built: UnitBuilt): CreateChain => (context, watermarks) => new OperatorChain(context, watermarks, built)

/** `members`: the job operators that this object runs; more than one for a segment, the last perhaps a sink that it gives each record. */
export type UnitBuilt = (operator: Operator, members: readonly JobOperator[], transformations: readonly OperatorTransformation[]) => void

/**
 * Records that may come about in a turn for each that the source may be asked for. Those that leave the chain may have to wait in
 * channels, as values, and a barrier waits behind them; those that only pass on inside it take time and nothing else.
 */
const mostLeaving = 8
const mostPassing = 64

/** One thing that runs: an operator, or a segment of several. */
interface Unit {
  readonly operator: Operator
  /** Index of its first (for a stateful one: its only) job operator. */
  readonly index: number
}

class OperatorChain implements Chain {
  readonly commits: boolean
  readonly #context: ChainContext
  /** From the head to the last. */
  readonly #units: readonly Unit[]
  readonly #outputs: readonly Outputs[]
  readonly #leaves: readonly Outputs[]
  readonly #head: Operator
  readonly #source: SourceOperator | undefined
  #recordsIn = 0
  /** How many records the source is asked for at a time; it has to show first what becomes of them. */
  #pollRecords = 64
  #inputWatermark: Timestamp = MIN_TIMESTAMP
  /** Raised while something runs in here; it stays up when that throws, and then `close` has nothing to add. */
  #running = false
  readonly #failure = new FirstFailure()

  constructor(context: ChainContext, watermarks: ChainWatermarks, built: UnitBuilt) {
    this.#context = context
    const { units, outputs } = build(context, watermarks, built, this.#failure)
    this.#units = units
    this.#outputs = outputs
    const read = new Set(context.operators.map(operator => operator.input?.operator))
    this.#leaves = outputs.filter((_, index) => !read.has(index))
    this.#head = (units[0] as Unit).operator
    this.#source = this.#head instanceof SourceOperator ? this.#head : undefined
    this.commits = units.some(({ operator }) => operator instanceof SinkOperator && operator.commits)
  }

  /** What ran has returned; not all is well if it caught what it should not have. */
  #ran(): void {
    this.#failure.check()
    this.#running = false
  }

  open(): void {
    this.#running = true
    for (const { operator } of this.#units.toReversed()) operator.open?.()
    this.#ran()
  }

  processBatch(batch: Batch, input: number): void {
    assert(input === 0, `operator has one input, not ${input + 1}`)
    this.#running = true
    this.#recordsIn += batch.size
    this.#head.processBatch(batch)
    this.#ran()
  }

  processWatermark(timestamp: Timestamp, input: number): void {
    assert(input === 0, `operator has one input, not ${input + 1}`)
    // Never back, and never twice (T3).
    if (!(timestamp > this.#inputWatermark)) return
    this.#inputWatermark = timestamp
    this.#running = true
    this.#head.processWatermark(timestamp)
    this.#ran()
  }

  processIdle(idle: boolean, input: number): void {
    assert(input === 0, `operator has one input, not ${input + 1}`)
    this.#running = true
    this.#head.processIdle(idle)
    this.#ran()
  }

  pollSource(maxRecords: number): PollResult {
    assert(this.#source !== undefined, 'the chain has no source')
    this.#running = true
    const records = Math.min(maxRecords, this.#pollRecords)
    const before = this.#outputs.map(({ recordsPassed, recordsLeft }) => ({ recordsPassed, recordsLeft }))
    const readBefore = this.#source.recordsRead
    const result = this.#source.poll(records)
    this.#adaptPoll(records, this.#source.recordsRead - readBefore, maxRecords, before)
    this.#ran()
    return result
  }

  /** A turn is about as much work wherever it comes about: of a record of the source, a flatMap may make thousands. */
  #adaptPoll(asked: number, read: number, maxRecords: number, before: readonly Pick<Outputs, 'recordsPassed' | 'recordsLeft'>[]): void {
    // How much of a turn's work that was.
    let work = 0
    before.forEach(({ recordsPassed, recordsLeft }, i) => {
      const now = this.#outputs[i] as Outputs
      work = Math.max(work, (now.recordsLeft - recordsLeft) / (maxRecords * mostLeaving), (now.recordsPassed - recordsPassed) / (maxRecords * mostPassing))
    })
    if (work > 1) this.#pollRecords = Math.max(1, Math.floor(read / work))
    else if (read >= asked && work <= 0.5) this.#pollRecords = Math.min(maxRecords, asked * 2)
  }

  addSplit(operatorId: string, split: unknown): void {
    this.#running = true
    this.#sourceOf(operatorId).addSplit(split)
    this.#ran()
  }
  noMoreSplits(operatorId: string): void {
    this.#running = true
    this.#sourceOf(operatorId).noMoreSplits()
    this.#ran()
  }
  #sourceOf(operatorId: string): SourceOperator {
    assert(this.#source !== undefined && this.#context.operators[0]?.id === operatorId, `${operatorId} is not the source of this chain`)
    return this.#source
  }

  onTime(now: Timestamp): Timestamp {
    this.#running = true
    let next = Infinity
    for (const { operator } of this.#units) {
      if (operator.onTime === undefined) continue
      const at = operator.onTime(now)
      if (at < next) next = at
    }
    this.#ran()
    return next
  }

  endInput(): void {
    this.#running = true
    for (const { operator } of this.#units) operator.endInput?.()
    for (const outputs of this.#outputs) outputs.flush()
    this.#ran()
  }

  prepareSnapshot(barrier: CheckpointBarrier): void {
    this.#running = true
    for (const { operator } of this.#units) operator.prepareSnapshot?.(barrier)
    for (const outputs of this.#outputs) outputs.flush()
    this.#ran()
  }

  snapshot({ checkpointId, since }: CheckpointBarrier, sink: (operatorId: string) => SnapshotSink): ChainSnapshot {
    this.#running = true
    const runs: SnapshotRun[] = []
    const goesOnFrom: Record<string, number> = {}
    for (const { operator, index } of this.#units) {
      const id = this.#context.operators[index]?.id as string
      const run = operator.snapshot?.(sink(id), { checkpointId, since })
      if (run === undefined) continue
      runs.push(run)
      if (run.since !== undefined) goesOnFrom[id] = run.since
    }
    this.#ran()
    return {
      since: goesOnFrom,
      step(budget) {
        const run = runs[0]
        if (run?.step(budget) === true) runs.shift()
        return runs.length === 0
      },
      abort() {
        for (const run of runs.splice(0)) run.abort()
      },
    }
  }

  notifyCheckpointComplete(checkpointId: number): void {
    this.#running = true
    for (const { operator } of this.#units) operator.checkpointComplete?.(checkpointId)
    this.#ran()
  }
  /** Nothing to do: what an aborted checkpoint prepared is committed with the next that completes. */
  notifyCheckpointAborted(): void {}

  maintain(): void {
    this.#running = true
    for (const { operator } of this.#units) operator.maintain?.()
    this.#ran()
  }

  close(): void {
    const failedBefore = this.#running
    const errors: unknown[] = []
    for (const { operator } of this.#units) {
      try {
        operator.close?.()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0 && !failedBefore) throw errors[0]
  }

  metrics(): ChainMetrics {
    const totals = { lateRecordsDropped: 0, stateBytes: 0, stateEvictions: 0, stateLoads: 0, pendingCommittables: 0 }
    for (const { operator } of this.#units) add(totals, operator.stats?.() ?? {})
    let recordsOut = 0
    for (const outputs of this.#outputs) recordsOut += outputs.recordsLeft
    return {
      recordsIn: this.#source?.recordsRead ?? this.#recordsIn,
      recordsOut,
      currentInputWatermark: this.#source?.watermark ?? this.#inputWatermark,
      currentOutputWatermark: Math.min(...this.#leaves.map(outputs => outputs.watermarkSent)),
      ...totals,
    }
  }
}

function add(totals: { -readonly [K in keyof OperatorStats]-?: number }, stats: OperatorStats): void {
  for (const name of Object.keys(totals) as (keyof OperatorStats)[]) totals[name] += stats[name] ?? 0
}

/** From the last operator to the head, because an operator's outputs need those who read them. */
function build(context: ChainContext, watermarks: ChainWatermarks, built: UnitBuilt, failure: FirstFailure): { units: Unit[]; outputs: Outputs[] } {
  const { operators } = context
  const transformations = operators.map(operator => context.transformation(operator.transformation) as OperatorTransformation)
  const planned = new Map(planUnits(operators, transformations, index => context.output(index, undefined) !== undefined).map(unit => [unit.members[0], unit]))
  const units: Unit[] = []
  const outputs: Outputs[] = []
  /** What reads each operator inside the chain. A fused successor reads from inside its segment and is not here. */
  const consumers: Consumer[][] = operators.map(() => [])
  for (let index = operators.length - 1; index >= 0; index--) {
    const job = operators[index] as (typeof operators)[number]
    const transformation = transformations[index] as OperatorTransformation
    outputs[index] = new Outputs({
      index,
      batches: context.batches,
      consumers: (consumers[index] as Consumer[]).toReversed(),
      leaving: tag => context.output(index, tag),
      watermarks,
      failure,
    })
    const unit = planned.get(index)
    if (unit === undefined) continue
    const operator = unit.rowWise ? segmentOf(unit) : createOperator(context, job, transformation, outputs[index] as Outputs)
    const members = unit.sink === undefined ? unit.members : [...unit.members, unit.sink]
    built(operator, members.map(member => operators[member] as JobOperator), members.map(member => transformations[member] as OperatorTransformation))
    units.push({ operator, index })
    if (job.input !== undefined) (consumers[job.input.operator] as Consumer[]).push({ tag: job.input.tag, operator })
  }
  return { units: units.reverse(), outputs }

  function segmentOf({ members, sink }: PlannedUnit): Segment {
    const member = (index: number) => ({ operator: operators[index] as JobOperator, transformation: transformations[index] as OperatorTransformation })
    // It was created before, and stands among the consumers: watermarks and what a batch does not carry come to it from there.
    const end = sink === undefined ? undefined : { ...member(sink), sink: units.find(unit => unit.index === sink)?.operator as SinkOperator }
    return new Segment(context, members.map(index => ({ ...member(index), outputs: outputs[index] as Outputs })), failure, end)
  }
}

function createOperator(context: ChainContext, job: ChainContext['operators'][number], transformation: OperatorTransformation, outputs: Outputs): Operator {
  switch (transformation.kind) {
    case 'source':
      return new SourceOperator(context, job, transformation, outputs)
    case 'timestamps':
      return new PunctuatedTimestamps(context, job, transformation, outputs)
    case 'reduce':
      return new ReduceOperator(context, job, transformation, outputs)
    case 'keyedProcess':
      return new KeyedProcessOperator(context, job, transformation, outputs)
    case 'window':
      if (job.phase === 'local') return new LocalWindowOperator(context, job, transformation, outputs)
      return new WindowOperator(context, job, transformation, outputs)
    case 'sink':
      return new SinkOperator(context, job, transformation, outputs)
    default:
      assert(false, `${transformation.kind} is not an operator of its own`)
  }
}
