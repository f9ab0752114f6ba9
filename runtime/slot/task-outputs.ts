/** Everything that leaves one task: a writer per (operator, tag), and the elements that all channels get. */
import type { StreamElement } from '../core/batch.ts'
import type { Millis, Timestamp } from '../core/time.ts'
import { MIN_TIMESTAMP } from '../core/time.ts'
import type { ChainOutput, ChainWatermarks } from '../operators/chain.ts'
import type { ChannelOwner, OutputChannel } from './output-channel.ts'

/** A leaving output with the channels of all its edges. */
export interface TaskOutput {
  readonly operator: number
  readonly tag: string | undefined
  readonly writer: ChainOutput
  readonly channels: readonly OutputChannel[]
}

interface OperatorChannels {
  readonly channels: readonly OutputChannel[]
  watermark: Timestamp
  idle: boolean
}

export class TaskOutputs implements ChainWatermarks {
  readonly channels: readonly OutputChannel[]
  readonly #owner: ChannelOwner
  readonly #outputs: readonly TaskOutput[]
  readonly #byOperator = new Map<number, OperatorChannels>()

  constructor(outputs: readonly TaskOutput[], owner: ChannelOwner) {
    this.#outputs = outputs
    this.#owner = owner
    this.channels = outputs.flatMap(output => output.channels)
    for (const { operator } of outputs) {
      const channels = outputs.filter(output => output.operator === operator).flatMap(output => output.channels)
      this.#byOperator.set(operator, { channels, watermark: MIN_TIMESTAMP, idle: false })
    }
  }

  output(operator: number, tag: string | undefined): ChainOutput | undefined {
    return this.#outputs.find(output => output.operator === operator && output.tag === tag)?.writer
  }

  /** To all channels of the operator that it leaves, so that one lagging subtask holds everybody (T11). */
  watermark(timestamp: Timestamp, operator: number): void {
    const leaving = this.#byOperator.get(operator)
    if (leaving === undefined || timestamp <= leaving.watermark) return
    leaving.watermark = timestamp
    for (const channel of leaving.channels) channel.element({ kind: 'watermark', timestamp })
  }

  idle(idle: boolean, operator: number): void {
    const leaving = this.#byOperator.get(operator)
    if (leaving === undefined || leaving.idle === idle) return
    leaving.idle = idle
    for (const channel of leaving.channels) channel.element(idle ? { kind: 'idle' } : { kind: 'active' })
  }

  broadcast(element: StreamElement): void {
    for (const channel of this.channels) channel.element(element)
  }

  flush(): void {
    for (const channel of this.channels) channel.flush()
  }

  flushDue(now: Timestamp, timeout: Millis): Timestamp {
    let next = Infinity
    for (const channel of this.channels) next = Math.min(next, channel.flushDue(now, timeout))
    return next
  }

  /** Back-pressure: the task may not run. */
  get full(): boolean {
    return this.#owner.fullChannels > 0
  }
  get drained(): boolean {
    return this.channels.every(channel => channel.drained)
  }
  get bytesOut(): number {
    let bytes = 0
    for (const channel of this.channels) bytes += channel.bytesOut
    return bytes
  }

  /** Throws what went wrong while somebody else was running. */
  check(): void {
    if (this.#owner.failure !== undefined) throw this.#owner.failure
  }
}
