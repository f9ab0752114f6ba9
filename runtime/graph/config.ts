/**
 * The configuration of a job in one frozen object: parsed and checked once, at the edge, from `-D` keys (Flink's names),
 * flags and code. `undefined` means that the thing is off.
 */
import type { Millis } from '../core/time.ts'
import type { JobCodeConfig } from './transformation.ts'

export interface JobConfig {
  /** Default parallelism of operators. */
  readonly parallelism: number
  readonly maxParallelism: number | undefined
  readonly checkpointing: CheckpointConfig
  readonly restart: RestartConfig
  readonly state: StateConfig
  readonly exchange: ExchangeConfig
  readonly profiling: ProfilingConfig
  /** `pipeline.auto-watermark-interval`, ms. */
  readonly autoWatermarkInterval: Millis
  readonly chaining: boolean
  /** Job arguments (after `--`), part of the graph. */
  readonly args: Readonly<Record<string, string>>
}

export interface CheckpointConfig {
  /** ms; undefined: no periodic checkpoints. */
  readonly interval: Millis | undefined
  readonly timeout: Millis
  readonly minPause: Millis
  readonly tolerableFailures: number
  readonly retained: number
  /** Write only what has changed, where that is less. */
  readonly incremental: boolean
  readonly mode: 'exactly-once' | 'at-least-once'
  readonly onCancellation: 'retain' | 'delete'
}

export type RestartConfig =
  | { readonly kind: 'none' }
  | { readonly kind: 'fixed-delay'; readonly attempts: number; readonly delay: Millis }
  /** A first restart after a lost process is immediate; then `initial`, times `multiplier`, up to `max`; back to `initial` after `resetAfter` without failure. */
  | { readonly kind: 'exponential-delay'; readonly initial: Millis; readonly max: Millis; readonly multiplier: number; readonly jitter: number; readonly resetAfter: Millis; readonly attempts: number | undefined }

export interface StateConfig {
  readonly backend: 'hashmap' | 'lmdb'
  /** Bytes of keyed state a slot may hold in memory before `lmdb` evicts. */
  readonly memoryLimit: number
}

/** How records travel. None of it may ever change a result. */
export interface ExchangeConfig {
  /** Records per batch, 1..512. */
  readonly batchSize: number
  readonly fusion: boolean
  /** Windows whose accumulators merge sum up before the shuffle (`two-phases.ts`). */
  readonly combining: boolean
  /** Inside a slot: by reference, or through the codec as between processes. */
  readonly handover: 'reference' | 'bytes'
  /** The user promises that nothing that was emitted is ever changed: state need not be copied when it is emitted. */
  readonly objectReuse: boolean
  /** ms until a batch that is not full is sent; 0: after each turn. */
  readonly bufferTimeout: Millis
  /** Frames under way per channel. */
  readonly credits: number
  /** msgpack frames with columns, or (for comparison) one msgpackr message per record. */
  readonly codec: 'columnar' | 'record'
}

/** V8's CPU profile of each slot. */
export interface ProfilingConfig {
  /** Where the files go, absolute; undefined: no profiles. */
  readonly directory: string | undefined
  /** Between two samples. */
  readonly interval: Millis
  /** A slot that runs longer is profiled no further. */
  readonly maxDuration: Millis
}

export const defaultJobConfig: JobConfig = {
  parallelism: 1,
  maxParallelism: undefined,
  checkpointing: { interval: undefined, timeout: 600_000, minPause: 0, tolerableFailures: 0, retained: 1, incremental: true, mode: 'exactly-once', onCancellation: 'delete' },
  restart: { kind: 'exponential-delay', initial: 100, max: 60_000, multiplier: 1.5, jitter: 0.1, resetAfter: 3_600_000, attempts: undefined },
  state: { backend: 'lmdb', memoryLimit: 256 * 1024 * 1024 },
  exchange: { batchSize: 512, fusion: true, combining: true, handover: 'reference', objectReuse: false, bufferTimeout: 5, credits: 16, codec: 'columnar' },
  profiling: { directory: undefined, interval: 1, maxDuration: 300_000 },
  autoWatermarkInterval: 200,
  chaining: true,
  args: {},
}

/** Settings made in code win over everything else (Flink's order). */
export function withCodeConfig(config: JobConfig, code: JobCodeConfig): JobConfig {
  return Object.freeze({
    ...config,
    parallelism: code.parallelism ?? config.parallelism,
    maxParallelism: code.maxParallelism ?? config.maxParallelism,
    checkpointing: { ...config.checkpointing, interval: code.checkpointInterval ?? config.checkpointing.interval },
    exchange: {
      ...config.exchange,
      objectReuse: code.objectReuse ?? config.exchange.objectReuse,
      bufferTimeout: code.bufferTimeout ?? config.exchange.bufferTimeout,
    },
    autoWatermarkInterval: code.autoWatermarkInterval ?? config.autoWatermarkInterval,
    chaining: config.chaining && code.disableChaining !== true,
  })
}
