/**
 * A small real chain for the tests of this room: a source over numbers it counts up, or a function over records. Its
 * state is what it has taken and sent, so that a snapshot can be checked for being a consistent cut.
 */
import type { PollResult } from '../api/connector.ts'
import { createBatch, type Batch, type CheckpointBarrier } from '../core/batch.ts'
import { decodeValue, encodeValue } from '../codec/value-codec.ts'
import { MIN_TIMESTAMP, type Timestamp } from '../core/time.ts'
import type { Chain, ChainContext, ChainMetrics, ChainOutput, ChainSnapshot, ChainWatermarks } from '../operators/chain.ts'
import type { SnapshotSink } from '../operators/keyed-state.ts'

/** What flows in the tests: an id that is never used twice in a run, its key, and the subtask that sent it last. */
export interface TestRecord {
  readonly id: string
  readonly key: number
  readonly from: string
}

export interface TestOperator {
  /** Sources: how many records each subtask emits, `Infinity` for ever; a watermark follows every `watermarkEvery` records. */
  readonly records?: number
  readonly watermarkEvery?: number
  /** Sources: waits for so many ms after every record. */
  readonly pause?: number
  /** Sources: the record at this position holds what no codec takes. */
  readonly unencodableAt?: number
  /** Throws at the record with this id. */
  readonly failAt?: string
  /** Emits each record so many times (default once). */
  readonly copies?: number
  /** Emits one record in `prepareSnapshot`. */
  readonly flushesAtSnapshot?: boolean
  /** Steps a snapshot takes. */
  readonly snapshotSteps?: number
  readonly failSnapshot?: 'prepare' | 'capture' | 'write'
  /** Sinks: reports each record through `collect`. */
  readonly collect?: boolean
  /** Sinks: changes what it is given, as a user's reducer may. */
  readonly mutates?: boolean
  /** A processing-time timer every so many ms, which emits. */
  readonly timerEvery?: number
}

export interface ChainState {
  /** Position of a source. */
  position: number
  sent: number
  /** By the subtask they came from. */
  taken: Record<string, number>
}

/** `log` hears every call but those per record. */
export class TestChain implements Chain {
  readonly commits = false
  readonly #context: ChainContext
  readonly #watermarks: ChainWatermarks
  readonly #operator: TestOperator
  readonly #log: (line: string) => void
  readonly #out: ChainOutput | undefined
  readonly #name: string
  readonly #inputWatermarks = [MIN_TIMESTAMP, MIN_TIMESTAMP]
  #state: ChainState = { position: 0, sent: 0, taken: {} }
  #batch = createBatch(512)
  #watermark: Timestamp = MIN_TIMESTAMP
  #nextTimer = Infinity
  #nextRecord: Timestamp = -Infinity
  #in = 0

  constructor(context: ChainContext, watermarks: ChainWatermarks, operator: TestOperator, log: (line: string) => void) {
    this.#context = context
    this.#watermarks = watermarks
    this.#operator = operator
    this.#log = log
    this.#out = context.output(0, undefined)
    this.#name = `${context.operators[0]!.name}${context.subtask}`
  }

  open(): void {
    const [bytes] = this.#context.restored.list(this.#context.operators[0]!.id, 'state')
    if (bytes !== undefined) this.#state = decodeValue(bytes) as ChainState
    if (this.#operator.timerEvery !== undefined) this.#nextTimer = this.#context.now() + this.#operator.timerEvery
    this.#say('open')
  }
  processBatch(batch: Batch): void {
    this.#in += batch.size
    for (let i = 0; i < batch.size; i++) {
      const record = batch.values[i] as TestRecord
      if (this.#operator.failAt === record.id) throw new Error(`cannot take ${record.id}`)
      this.#state.taken[record.from] = (this.#state.taken[record.from] ?? 0) + 1
      if (this.#operator.collect === true) this.#context.collect('sink', record.id)
      if (this.#operator.mutates === true) (record as { id: string }).id += '!'
      for (let copy = 0; copy < (this.#operator.copies ?? 1); copy++) this.#emit(copy === 0 ? record.id : `${record.id}/${copy}`, record.key, batch.timestamps[i] as number)
    }
    this.#flush()
  }
  processWatermark(timestamp: Timestamp, input: number): void {
    this.#inputWatermarks[input] = timestamp
    this.#say(`watermark ${timestamp}`)
    this.#sendWatermark(timestamp)
  }
  processIdle(idle: boolean): void {
    this.#say(idle ? 'idle' : 'active')
    this.#watermarks.idle(idle, 0)
  }
  pollSource(maxRecords: number): PollResult {
    const { records = 0, watermarkEvery, pause } = this.#operator
    const now = this.#context.now()
    if (now < this.#nextRecord) return { at: this.#nextRecord }
    for (let i = 0; i < maxRecords; i++) {
      if (this.#state.position >= records) {
        this.#flush()
        return 'end'
      }
      const at = this.#state.position++
      this.#emit(`${this.#name}#${at}`, at * 7 + this.#context.subtask, at)
      if (watermarkEvery !== undefined && at % watermarkEvery === watermarkEvery - 1) this.#sendWatermark(at)
      if (pause !== undefined) {
        this.#nextRecord = now + pause
        this.#flush()
        return { at: this.#nextRecord }
      }
    }
    this.#flush()
    return 'more'
  }
  addSplit(_operatorId: string, split: unknown): void {
    this.#say(`split ${String(split)}`)
  }
  noMoreSplits(): void {
    this.#say('no more splits')
  }
  onTime(now: Timestamp): Timestamp {
    const { timerEvery } = this.#operator
    if (timerEvery === undefined) return Infinity
    while (this.#nextTimer <= now) {
      this.#emit(`${this.#name}@${this.#nextTimer}`, 0, MIN_TIMESTAMP)
      this.#nextTimer += timerEvery
    }
    this.#flush()
    return this.#nextTimer
  }
  endInput(): void {
    this.#say('endInput')
  }
  prepareSnapshot(barrier: CheckpointBarrier): void {
    this.#say(`prepare ${barrier.checkpointId}`)
    if (this.#operator.failSnapshot === 'prepare') throw new Error('cannot flush')
    if (this.#operator.flushesAtSnapshot === true) this.#emit(`${this.#name}!${barrier.checkpointId}`, 0, MIN_TIMESTAMP)
    this.#flush()
  }
  snapshot(barrier: CheckpointBarrier, sink: (operatorId: string) => SnapshotSink): ChainSnapshot {
    if (this.#operator.failSnapshot === 'capture') throw new Error('cannot capture')
    const bytes = encodeValue(this.#state, 'state')
    let steps = this.#operator.snapshotSteps ?? 1
    return {
      step: budget => {
        steps -= budget > 1_000_000 ? Infinity : 1
        if (this.#operator.failSnapshot === 'write') throw new Error('disk full')
        if (steps > 0) return false
        sink(this.#context.operators[0]!.id).list('state', [bytes])
        return true
      },
      abort: () => this.#say(`abort ${barrier.checkpointId}`),
    }
  }
  notifyCheckpointComplete(checkpointId: number): void {
    this.#say(`complete ${checkpointId}`)
  }
  notifyCheckpointAborted(checkpointId: number): void {
    this.#say(`aborted ${checkpointId}`)
  }
  maintain(): void {}
  close(): void {
    this.#say('close')
  }
  metrics(): ChainMetrics {
    return {
      recordsIn: this.#in,
      recordsOut: this.#state.sent,
      lateRecordsDropped: 0,
      currentInputWatermark: Math.min(...this.#inputWatermarks),
      currentOutputWatermark: this.#watermark,
      stateBytes: 0,
      stateEvictions: 0,
      stateLoads: 0,
      pendingCommittables: 0,
    }
  }

  #say(line: string): void {
    this.#log(`${this.#name} ${line}`)
  }
  #emit(id: string, key: number, timestamp: Timestamp): void {
    if (this.#out === undefined) return
    const bad = this.#operator.unencodableAt !== undefined && this.#state.position === this.#operator.unencodableAt + 1
    const record: TestRecord = bad ? ({ id: () => id, key, from: this.#name } as unknown as TestRecord) : { id, key, from: this.#name }
    const batch = this.#batch
    batch.values[batch.size] = record
    batch.timestamps[batch.size++] = timestamp
    this.#state.sent++
    if (batch.size === 512) this.#flush()
  }
  #flush(): void {
    if (this.#batch.size === 0) return
    const batch = this.#batch
    this.#batch = createBatch(512)
    this.#out?.emitBatch(batch)
  }
  #sendWatermark(timestamp: Timestamp): void {
    if (timestamp <= this.#watermark) return
    this.#flush()
    this.#watermark = timestamp
    this.#watermarks.watermark(timestamp, 0)
  }
}
