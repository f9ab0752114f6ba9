/**
 * The `-D` keys of a job: Flink's names where Flink has the thing. One table serves parsing, help and documentation.
 * Keys of the cluster (`taskmanager.*`, `jobmanager.*`, `rest.*`) are not the job's and not here.
 */
import { didYouMean } from '../core/did-you-mean.ts'
import { FlinkError } from '../core/errors.ts'
import { formatDuration, type Millis } from '../core/time.ts'
import { defaultJobConfig, type JobConfig, type RestartConfig } from './config.ts'

export interface ConfigKey {
  readonly key: string
  /** For help: `duration`, `whole number`, `bytes`, or the values it may have. */
  readonly type: string
  readonly default: string
  /** One line. */
  readonly description: string
}

/** Those of `defaultJobConfig`, whose strategy this is. */
const exponentialDefaults = { initial: 100, max: 60_000, multiplier: 1.5, jitter: 0.1, resetAfter: 3_600_000, attempts: undefined }

const table = keyTable()

/** Every key, for help. */
export const configKeys: readonly ConfigKey[] = table.map(({ key, type, default: text, description }) => ({ key, type, default: text, description }))

/**
 * Reads `-D` entries over the defaults. Throws UNKNOWN_CONFIG_KEY (with the nearest key) and INVALID_OPTION (with what
 * the key takes).
 *
 * @example
 * parseConfig({ 'parallelism.default': '4', 'execution.checkpointing.interval': '10 s' })
 */
export function parseConfig(entries: Readonly<Record<string, string>>): JobConfig {
  const draft = draftOf(defaultJobConfig)
  for (const [key, value] of Object.entries(entries)) {
    const row = table.find(candidate => candidate.key === key)
    if (row === undefined) throw unknownKey(key, configKeys)
    row.read(value.trim(), draft)
  }
  const { restart, ...config } = draft
  return Object.freeze({ ...config, restart: restartConfig(restart) })
}

type Mutable<T> = { -readonly [P in keyof T]: T[P] }
interface Draft {
  parallelism: number
  maxParallelism: number | undefined
  readonly checkpointing: Mutable<JobConfig['checkpointing']>
  readonly restart: RestartDraft
  readonly state: Mutable<JobConfig['state']>
  readonly exchange: Mutable<JobConfig['exchange']>
  readonly profiling: Mutable<JobConfig['profiling']>
  autoWatermarkInterval: Millis
  chaining: boolean
  readonly args: JobConfig['args']
}
/** The options of all strategies; `kind` chooses whose count, as in Flink. */
interface RestartDraft {
  kind: RestartConfig['kind']
  readonly fixed: Mutable<Omit<Extract<RestartConfig, { kind: 'fixed-delay' }>, 'kind'>>
  readonly exponential: Mutable<Omit<Extract<RestartConfig, { kind: 'exponential-delay' }>, 'kind'>>
}

function draftOf(config: JobConfig): Draft {
  return {
    ...config,
    checkpointing: { ...config.checkpointing },
    restart: { kind: config.restart.kind, fixed: { attempts: 1, delay: 1_000 }, exponential: { ...exponentialDefaults } },
    state: { ...config.state },
    exchange: { ...config.exchange },
    profiling: { ...config.profiling },
  }
}

function restartConfig({ kind, fixed, exponential }: RestartDraft): RestartConfig {
  if (kind === 'none') return { kind }
  return kind === 'fixed-delay' ? { kind, ...fixed } : { kind, ...exponential }
}

interface Row extends ConfigKey {
  read(value: string, draft: Draft): void
}

function keyTable(): readonly Row[] {
  const { checkpointing, state, exchange, profiling, autoWatermarkInterval, chaining, parallelism } = defaultJobConfig
  return [
    whole('parallelism.default', { from: 1, to: 32_768 }, String(parallelism), 'subtasks of operators that set no parallelism of their own', (n, draft) => (draft.parallelism = n)),
    whole('pipeline.max-parallelism', { from: -1, to: 32_768 }, '-1', 'key groups, the highest parallelism state can be spread to; -1 derives it', (n, draft) => {
      if (n === 0) throw invalid('pipeline.max-parallelism', '0', 'a whole number from 1 to 32768, or -1')
      draft.maxParallelism = n === -1 ? undefined : n
    }),
    duration('pipeline.auto-watermark-interval', 1, formatDuration(autoWatermarkInterval), 'how often watermarks are generated', (ms, draft) => (draft.autoWatermarkInterval = ms)),
    flag('pipeline.operator-chaining.enabled', chaining, 'run neighbouring operators as one task where possible', (on, draft) => (draft.chaining = on)),
    flag('pipeline.object-reuse', exchange.objectReuse, 'you promise that no function changes a value it was given or has emitted', (on, draft) => (draft.exchange.objectReuse = on)),

    duration('execution.checkpointing.interval', 10, 'off', 'time between checkpoints', (ms, draft) => (draft.checkpointing.interval = ms)),
    duration('execution.checkpointing.timeout', 10, formatDuration(checkpointing.timeout), 'a checkpoint that takes longer is given up', (ms, draft) => (draft.checkpointing.timeout = ms)),
    duration('execution.checkpointing.min-pause', 0, formatDuration(checkpointing.minPause), 'time between the end of a checkpoint and the next', (ms, draft) => (draft.checkpointing.minPause = ms)),
    choice('execution.checkpointing.mode', { EXACTLY_ONCE: 'exactly-once', AT_LEAST_ONCE: 'at-least-once' } as const, checkpointing.mode, 'what a restore guarantees for state', (mode, draft) => (draft.checkpointing.mode = mode)),
    whole('execution.checkpointing.tolerable-failed-checkpoints', { from: 0 }, String(checkpointing.tolerableFailures), 'failed checkpoints in a row that do not fail the job', (n, draft) => (draft.checkpointing.tolerableFailures = n)),
    whole('execution.checkpointing.num-retained', { from: 1 }, String(checkpointing.retained), 'completed checkpoints that are kept', (n, draft) => (draft.checkpointing.retained = n)),
    flag('execution.checkpointing.incremental', checkpointing.incremental, 'checkpoints hold only the keyed state that has changed, where that is less; savepoints hold all of it', (on, draft) => (draft.checkpointing.incremental = on)),
    choice(
      'execution.checkpointing.externalized-checkpoint-retention',
      { DELETE_ON_CANCELLATION: 'delete', RETAIN_ON_CANCELLATION: 'retain' } as const,
      checkpointing.onCancellation,
      'what happens to checkpoints when the job is cancelled',
      (retention, draft) => (draft.checkpointing.onCancellation = retention),
    ),

    choice('restart-strategy.type', { none: 'none', 'fixed-delay': 'fixed-delay', 'exponential-delay': 'exponential-delay' } as const, defaultJobConfig.restart.kind, 'what happens after a failure', (kind, draft) => (draft.restart.kind = kind)),
    whole('restart-strategy.fixed-delay.attempts', { from: 0 }, '1', 'restarts before the job fails', (n, draft) => (draft.restart.fixed.attempts = n)),
    duration('restart-strategy.fixed-delay.delay', 0, '1 s', 'time before a restart', (ms, draft) => (draft.restart.fixed.delay = ms)),
    duration('restart-strategy.exponential-delay.initial-backoff', 1, formatDuration(exponentialDefaults.initial), 'time before the first restart', (ms, draft) => (draft.restart.exponential.initial = ms)),
    duration('restart-strategy.exponential-delay.max-backoff', 1, formatDuration(exponentialDefaults.max), 'the longest time before a restart', (ms, draft) => (draft.restart.exponential.max = ms)),
    decimal('restart-strategy.exponential-delay.backoff-multiplier', { from: 1 }, String(exponentialDefaults.multiplier), 'by what the time grows with each restart', (n, draft) => (draft.restart.exponential.multiplier = n)),
    decimal('restart-strategy.exponential-delay.jitter-factor', { from: 0, to: 1 }, String(exponentialDefaults.jitter), 'part of the time that is left to chance', (n, draft) => (draft.restart.exponential.jitter = n)),
    duration('restart-strategy.exponential-delay.reset-backoff-threshold', 1, formatDuration(exponentialDefaults.resetAfter), 'time without failure after which it begins anew', (ms, draft) => (draft.restart.exponential.resetAfter = ms)),
    whole('restart-strategy.exponential-delay.attempts-before-reset-backoff', { from: 1 }, 'no limit', 'restarts before the job fails', (n, draft) => (draft.restart.exponential.attempts = n)),

    choice('state.backend.type', { lmdb: 'lmdb', hashmap: 'hashmap' } as const, state.backend, 'lmdb: state may be larger than memory; hashmap: all of it in memory', (backend, draft) => (draft.state.backend = backend)),
    bytes('state.backend.memory-limit', '256 mb', 'state that a slot may hold in memory before lmdb moves some to disk', (n, draft) => (draft.state.memoryLimit = n)),

    duration('execution.buffer-timeout.interval', 0, formatDuration(exchange.bufferTimeout), 'how long a batch that is not full may wait; 0 sends after each turn', (ms, draft) => (draft.exchange.bufferTimeout = ms)),
    whole('exchange.batch-size', { from: 1, to: 512 }, String(exchange.batchSize), 'records per batch', (n, draft) => (draft.exchange.batchSize = n)),
    flag('exchange.fusion', exchange.fusion, 'run neighbouring functions as one generated function', (on, draft) => (draft.exchange.fusion = on)),
    flag('exchange.combining', exchange.combining, 'windows whose accumulators merge sum up before the shuffle as well', (on, draft) => (draft.exchange.combining = on)),
    choice('exchange.handover', { reference: 'reference', bytes: 'bytes' } as const, exchange.handover, 'inside a slot: by reference, or encoded as between processes', (handover, draft) => (draft.exchange.handover = handover)),
    whole('exchange.credits', { from: 1, to: 1_024 }, String(exchange.credits), 'frames under way per channel', (n, draft) => (draft.exchange.credits = n)),
    choice('exchange.codec', { columnar: 'columnar', record: 'record' } as const, exchange.codec, 'frames of columns, or (to compare) one message per record', (codec, draft) => (draft.exchange.codec = codec)),

    duration('profiling.interval', 1, formatDuration(profiling.interval), 'with `run --profile`: time between two samples', (ms, draft) => (draft.profiling.interval = ms)),
    duration('profiling.duration-max', 1_000, formatDuration(profiling.maxDuration), 'with `run --profile`: a slot that runs longer is profiled no further', (ms, draft) => (draft.profiling.maxDuration = ms)),
  ]
}

interface Bounds {
  readonly from: number
  readonly to?: number
}
function rangeText({ from, to }: Bounds): string {
  return to === undefined ? `at least ${from}` : `from ${from} to ${to}`
}

function number(key: string, type: string, pattern: RegExp, bounds: Bounds, defaultText: string, description: string, set: (n: number, draft: Draft) => void): Row {
  const takes = `a ${type} ${rangeText(bounds)}`
  return {
    key,
    type: `${type} ${rangeText(bounds)}`,
    default: defaultText,
    description,
    read(value, draft) {
      const parsed = pattern.test(value) ? Number(value) : NaN
      if (!(parsed >= bounds.from && parsed <= (bounds.to ?? Number.MAX_SAFE_INTEGER))) throw invalid(key, value, takes)
      set(parsed, draft)
    },
  }
}
function whole(key: string, bounds: Bounds, defaultText: string, description: string, set: (n: number, draft: Draft) => void): Row {
  return number(key, 'whole number', /^-?\d+$/, bounds, defaultText, description, set)
}
function decimal(key: string, bounds: Bounds, defaultText: string, description: string, set: (n: number, draft: Draft) => void): Row {
  return number(key, 'number', /^\d+(\.\d+)?$/, bounds, defaultText, description, set)
}

const millisOf: Readonly<Record<string, Millis>> = { ms: 1, s: 1_000, sec: 1_000, min: 60_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** As in Flink's configuration: a bare number is ms, the space may be left out. Throws INVALID_OPTION. */
export function readDuration(key: string, value: string, shortest: Millis): Millis {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(value.toLowerCase())
  const millis = match === null ? NaN : Number(match[1]) * (millisOf[match[2] || 'ms'] ?? NaN)
  if (!Number.isSafeInteger(millis) || millis < shortest) throw invalid(key, value, `a duration of at least ${shortest} ms, for example "500 ms", "10 s", "5 min"`)
  return millis
}

function duration(key: string, shortest: Millis, defaultText: string, description: string, set: (ms: Millis, draft: Draft) => void): Row {
  return {
    key,
    type: 'duration',
    default: defaultText,
    description,
    read: (value, draft) => set(readDuration(key, value, shortest), draft),
  }
}

const bytesOf: Readonly<Record<string, number>> = { b: 1, bytes: 1, k: 1024, kb: 1024, m: 1024 ** 2, mb: 1024 ** 2, g: 1024 ** 3, gb: 1024 ** 3 }

/** A bare number is bytes; units are powers of 1024. Throws INVALID_OPTION. */
export function readBytes(key: string, value: string): number {
  const match = /^(\d+)\s*([a-z]*)$/.exec(value.toLowerCase())
  const count = match === null ? NaN : Number(match[1]) * (bytesOf[match[2] || 'b'] ?? NaN)
  if (!Number.isSafeInteger(count) || count < 1) throw invalid(key, value, 'a number of bytes, for example "64mb", "1 gb", "65536"')
  return count
}

function bytes(key: string, defaultText: string, description: string, set: (n: number, draft: Draft) => void): Row {
  return {
    key,
    type: 'bytes',
    default: defaultText,
    description,
    read: (value, draft) => set(readBytes(key, value), draft),
  }
}

function flag(key: string, defaultValue: boolean, description: string, set: (on: boolean, draft: Draft) => void): Row {
  return {
    key,
    type: 'true | false',
    default: String(defaultValue),
    description,
    read(value, draft) {
      if (value !== 'true' && value !== 'false') throw invalid(key, value, 'true or false')
      set(value === 'true', draft)
    },
  }
}

/** Upper or lower case, `-` or `_`: Flink's files have both. */
function choice<V extends string>(key: string, values: Readonly<Record<string, V>>, defaultValue: V, description: string, set: (value: V, draft: Draft) => void): Row {
  const names = Object.keys(values)
  const plain = (text: string) => text.toLowerCase().replaceAll('_', '-')
  return {
    key,
    type: names.join(' | '),
    default: names.find(name => values[name] === defaultValue) ?? defaultValue,
    description,
    read(value, draft) {
      const chosen = names.find(name => plain(name) === plain(value))
      if (chosen === undefined) throw invalid(key, value, names.join(' or '))
      set(values[chosen]!, draft)
    },
  }
}

const invalid = (key: string, value: string, takes: string) => new FlinkError('INVALID_OPTION', `${key}: ${JSON.stringify(value)} is not allowed`, { hint: `It takes ${takes}.` })

/** With the nearest of `known`; half a key is near to it as well: `state.backend`, `memory-limit`. */
export function unknownKey(key: string, known: readonly ConfigKey[]): FlinkError {
  const keys = known.map(row => row.key)
  const near = didYouMean(key, keys) ?? keys.find(each => each.endsWith(`.${key}`) || each.startsWith(`${key}.`))
  return new FlinkError('UNKNOWN_CONFIG_KEY', `-D ${key}: there is no such key${near === undefined ? '' : `; did you mean "${near}"?`}`)
}
