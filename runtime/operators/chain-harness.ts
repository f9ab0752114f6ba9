/**
 * Runs one chain by hand, for the tests of this room: a clock that only the test moves, the real state backend (handed in,
 * because it lives above this room), and a log of everything that leaves: `a@5` a record with its timestamp, `a@-` one
 * without, `late: a@5` on a side output, `wm 9`, `idle`, `active`.
 */
import { BatchPool, type CheckpointBarrier, type CheckpointKind } from '../core/batch.ts'
import { asOperatorId } from '../core/ids.ts'
import { keyGroupRangeOf, type KeyGroupRange } from '../core/key-group.ts'
import { MAX_TIMESTAMP, NO_TIMESTAMP, type Timestamp } from '../core/time.ts'
import type { FileSystem } from '../core/files.ts'
import type { KeySelector } from '../api/functions.ts'
import type { PollResult } from '../api/connector.ts'
import { decodeValue } from '../codec/value-codec.ts'
import { defaultJobConfig, type ExchangeConfig } from '../graph/config.ts'
import type { JobOperator, WindowPhase } from '../graph/job-graph.ts'
import type { OperatorTransformation, Transformation } from '../graph/transformation.ts'
import type { Chain, ChainContext } from './chain.ts'
import { createChain } from './create-chain.ts'
import type { KeyedBlock, KeyedStateBackend } from './keyed-state.ts'

type Without<T> = T extends unknown ? Omit<T, 'id' | 'input' | 'name'> : never
/** A transformation without what the harness fills in; its input is the one before it unless `input` says another. */
export type Step = Without<OperatorTransformation> & { readonly name?: string; readonly input?: number; readonly tag?: string; readonly phase?: WindowPhase }

export interface HarnessOptions {
  readonly steps: readonly Step[]
  /** What leaves the chain, as [operator, tag]; the main output of the last operator if left out. */
  readonly leaving?: readonly (readonly [operator: number, tag: string | undefined])[]
  readonly exchange?: Partial<ExchangeConfig>
  readonly subtask?: number
  readonly parallelism?: number
  readonly checkpointing?: boolean
  readonly autoWatermarkInterval?: number
  readonly now?: Timestamp
  readonly restore?: readonly Snapshot[]
  readonly projectDirectory?: string
  openState(keyGroups: KeyGroupRange, maxParallelism: number): KeyedStateBackend
}

export interface Snapshot {
  readonly checkpointId: number
  readonly keyed: readonly (KeyedBlock & { readonly operatorId: string })[]
  readonly lists: readonly { readonly operatorId: string; readonly state: string; readonly items: readonly Uint8Array[] }[]
}

const maxParallelism = 128

export function fieldKey(field: string): KeySelector {
  return { description: field, field, select: value => (value as Record<string, unknown>)[field] }
}

export class ChainHarness {
  now: Timestamp
  readonly log: string[] = []
  readonly chain: Chain
  readonly splitRequests: string[] = []
  readonly collected: unknown[] = []
  /** Values that left, as they are. */
  readonly values: unknown[] = []
  readonly #batchSize: number

  constructor(options: HarnessOptions) {
    this.now = options.now ?? 0
    const transformations = options.steps.map((step, index) => ({ at: { file: 'job.ts', line: index + 1 }, ...step, id: index + 1, name: step.name ?? step.kind }) as unknown as OperatorTransformation)
    const operators: JobOperator[] = options.steps.map((step, index) => ({
      id: asOperatorId(`op${index}`),
      name: step.name ?? step.kind,
      kind: step.kind,
      ...(step.phase === undefined ? {} : { phase: step.phase }),
      transformation: index + 1,
      states: [],
      source: step.kind === 'source',
      commits: false,
      ...(index === 0 ? {} : { input: { operator: step.input ?? index - 1, ...(step.tag === undefined ? {} : { tag: step.tag }) } }),
    }))
    const exchange = { ...defaultJobConfig.exchange, ...options.exchange }
    this.#batchSize = exchange.batchSize
    const leaving = options.leaving ?? [[operators.length - 1, undefined] as const]
    const { subtask = 0, parallelism = 1 } = options
    const keyGroups = keyGroupRangeOf(subtask, parallelism, maxParallelism)
    const mine = ({ keyGroup }: KeyedBlock) => keyGroup >= keyGroups.start && keyGroup <= keyGroups.end
    const restored = options.restore ?? []
    const context: ChainContext = {
      jobId: 'job',
      attempt: 1,
      subtask,
      parallelism,
      maxParallelism,
      operators,
      transformation: id => transformations[id - 1] as Transformation,
      exchange,
      batches: new BatchPool(exchange.batchSize),
      autoWatermarkInterval: options.autoWatermarkInterval ?? 200,
      checkpointing: options.checkpointing ?? true,
      projectDirectory: options.projectDirectory ?? '/project',
      files: undefined as unknown as FileSystem, // no test of this room touches files
      now: () => this.now,
      output: (operator, tag) => {
        if (!leaving.some(([o, t]) => o === operator && t === tag)) return undefined
        const prefix = tag !== undefined ? `${tag}: ` : leaving.length > 1 && operator !== leaving.at(-1)?.[0] ? `${operator}: ` : ''
        const emit = (value: unknown, timestamp: Timestamp) => {
          this.values.push(value)
          this.log.push(`${prefix}${text(value)}@${timestamp === NO_TIMESTAMP ? '-' : timestamp}`)
        }
        return {
          emit,
          emitBatch: batch => {
            for (let i = 0; i < batch.size; i++) emit(batch.values[i], batch.timestamps[i] as number)
            context.batches.give(batch)
          },
        }
      },
      keyedState: () => options.openState(keyGroups, maxParallelism),
      restored: {
        checkpointId: restored[0]?.checkpointId,
        keyed: operatorId => restored.flatMap(snapshot => snapshot.keyed.filter(block => block.operatorId === operatorId && mine(block))),
        list: (operatorId, state) =>
          restored.flatMap(snapshot => snapshot.lists.filter(list => list.operatorId === operatorId && list.state === state).flatMap(list => list.items)).filter((_, i) => i % parallelism === subtask),
      },
      requestSplit: operatorId => this.splitRequests.push(operatorId),
      print: () => {},
      collect: (_, value) => this.collected.push(value),
    }
    const outer = leaving.at(-1)?.[0]
    this.chain = createChain(context, {
      watermark: (timestamp, operator) => operator === outer && this.log.push(`wm ${timestamp}`),
      idle: (idle, operator) => operator === outer && this.log.push(idle ? 'idle' : 'active'),
    })
    this.chain.open()
  }

  /** Pairs of value and timestamp, in batches of the configured size. */
  records(...records: readonly (readonly [value: unknown, timestamp: Timestamp])[]): this {
    for (let from = 0; from < records.length; from += this.#batchSize) {
      const part = records.slice(from, from + this.#batchSize)
      this.chain.processBatch({ size: part.length, values: part.map(([value]) => value), timestamps: Float64Array.from(part, ([, timestamp]) => timestamp) }, 0)
    }
    return this
  }
  watermark(timestamp: Timestamp): this {
    this.chain.processWatermark(timestamp, 0)
    return this
  }
  time(now: Timestamp): Timestamp {
    this.now = now
    return this.chain.onTime(now)
  }
  poll(max = 100): PollResult {
    return this.chain.pollSource(max)
  }
  end(): this {
    this.watermark(MAX_TIMESTAMP)
    this.chain.endInput()
    return this
  }

  snapshot(checkpointId: number, kind: CheckpointKind = 'checkpoint'): Snapshot {
    const barrier: CheckpointBarrier = { checkpointId, timestamp: this.now, kind }
    this.chain.prepareSnapshot(barrier)
    const keyed: (KeyedBlock & { operatorId: string })[] = []
    const lists: { operatorId: string; state: string; items: readonly Uint8Array[] }[] = []
    const run = this.chain.snapshot(barrier, operatorId => ({
      keyed: (state, keyGroup, bytes) => keyed.push({ operatorId, state, keyGroup, bytes }),
      list: (state, items) => lists.push({ operatorId, state, items }),
    }))
    while (!run.step(10));
    return { checkpointId, keyed, lists }
  }

  /** What has left since the last call. */
  take(): string[] {
    return this.log.splice(0)
  }
}

/** Items of a list state, decoded. */
export function listItems(snapshot: Snapshot, state: string): unknown[] {
  return snapshot.lists.filter(list => list.state === state).flatMap(list => list.items.map(item => decodeValue(item)))
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part))
}
