/** `-D` keys: what each reads, and what is refused. */
import { describe, expect, test } from 'vitest'
import { FlinkError } from '../core/errors.ts'
import { configKeys, parseConfig } from './config-keys.ts'
import { defaultJobConfig, type JobConfig } from './config.ts'

test('nothing set gives the defaults', () => {
  expect(parseConfig({})).toEqual(defaultJobConfig)
})

test('every default that help shows is what the key reads', () => {
  const shown = Object.fromEntries(configKeys.filter(row => row.default !== 'off' && row.default !== 'no limit').map(row => [row.key, row.default]))
  expect(parseConfig(shown)).toEqual(defaultJobConfig)
})

const rows: [key: string, value: string, read: (config: JobConfig) => unknown, expected: unknown][] = [
  ['parallelism.default', '4', c => c.parallelism, 4],
  ['pipeline.max-parallelism', '256', c => c.maxParallelism, 256],
  ['pipeline.max-parallelism', '-1', c => c.maxParallelism, undefined],
  ['pipeline.auto-watermark-interval', '50ms', c => c.autoWatermarkInterval, 50],
  ['pipeline.operator-chaining.enabled', 'false', c => c.chaining, false],
  ['pipeline.object-reuse', 'true', c => c.exchange.objectReuse, true],
  ['execution.checkpointing.interval', '10 s', c => c.checkpointing.interval, 10_000],
  ['execution.checkpointing.interval', '500', c => c.checkpointing.interval, 500],
  ['execution.checkpointing.timeout', '1.5 min', c => c.checkpointing.timeout, 90_000],
  ['execution.checkpointing.min-pause', '0', c => c.checkpointing.minPause, 0],
  ['execution.checkpointing.mode', 'AT_LEAST_ONCE', c => c.checkpointing.mode, 'at-least-once'],
  ['execution.checkpointing.mode', 'exactly-once', c => c.checkpointing.mode, 'exactly-once'],
  ['execution.checkpointing.tolerable-failed-checkpoints', '3', c => c.checkpointing.tolerableFailures, 3],
  ['execution.checkpointing.num-retained', '2', c => c.checkpointing.retained, 2],
  ['execution.checkpointing.externalized-checkpoint-retention', 'RETAIN_ON_CANCELLATION', c => c.checkpointing.onCancellation, 'retain'],
  ['restart-strategy.type', 'none', c => c.restart, { kind: 'none' }],
  ['restart-strategy.type', 'fixed-delay', c => c.restart, { kind: 'fixed-delay', attempts: 1, delay: 1000 }],
  ['restart-strategy.exponential-delay.max-backoff', '5 s', c => c.restart, { ...defaultJobConfig.restart, max: 5000 }],
  ['restart-strategy.exponential-delay.backoff-multiplier', '2.5', c => c.restart, { ...defaultJobConfig.restart, multiplier: 2.5 }],
  ['state.backend.type', 'hashmap', c => c.state.backend, 'hashmap'],
  ['state.backend.memory-limit', '64mb', c => c.state.memoryLimit, 64 * 1024 * 1024],
  ['state.backend.memory-limit', '1 gb', c => c.state.memoryLimit, 1024 ** 3],
  ['execution.buffer-timeout.interval', '0 ms', c => c.exchange.bufferTimeout, 0],
  ['exchange.batch-size', '1', c => c.exchange.batchSize, 1],
  ['exchange.fusion', 'false', c => c.exchange.fusion, false],
  ['exchange.handover', 'bytes', c => c.exchange.handover, 'bytes'],
  ['exchange.credits', '2', c => c.exchange.credits, 2],
  ['exchange.codec', 'record', c => c.exchange.codec, 'record'],
]
test.each(rows)('%s = %s', (key, value, read, expected) => {
  expect(read(parseConfig({ [key]: value }))).toEqual(expected)
})

test('options of several strategies may stand together; the type chooses', () => {
  const both = { 'restart-strategy.fixed-delay.attempts': '5', 'restart-strategy.fixed-delay.delay': '2 s', 'restart-strategy.exponential-delay.initial-backoff': '1 s' }
  expect(parseConfig({ 'restart-strategy.type': 'fixed-delay', ...both }).restart).toEqual({ kind: 'fixed-delay', attempts: 5, delay: 2000 })
  expect(parseConfig(both).restart).toMatchObject({ kind: 'exponential-delay', initial: 1000 })
})

test('no call changes what the next one starts from', () => {
  parseConfig({ 'exchange.batch-size': '1', 'execution.checkpointing.interval': '1 s' })
  expect(parseConfig({})).toEqual(defaultJobConfig)
})

describe('refused', () => {
  const refused: [key: string, value: string, message: string, hint: string][] = [
    ['parallelism.default', '0', 'parallelism.default: "0" is not allowed', 'It takes a whole number from 1 to 32768.'],
    ['parallelism.default', '2.5', 'parallelism.default: "2.5" is not allowed', 'It takes a whole number from 1 to 32768.'],
    ['pipeline.max-parallelism', '0', 'pipeline.max-parallelism: "0" is not allowed', 'It takes a whole number from 1 to 32768, or -1.'],
    ['execution.checkpointing.interval', '5 ms', 'execution.checkpointing.interval: "5 ms" is not allowed', 'It takes a duration of at least 10 ms, for example "500 ms", "10 s", "5 min".'],
    ['execution.checkpointing.interval', 'soon', 'execution.checkpointing.interval: "soon" is not allowed', 'It takes a duration of at least 10 ms, for example "500 ms", "10 s", "5 min".'],
    ['state.backend.memory-limit', '5 apples', 'state.backend.memory-limit: "5 apples" is not allowed', 'It takes a number of bytes, for example "64mb", "1 gb", "65536".'],
    ['state.backend.type', 'rocksdb', 'state.backend.type: "rocksdb" is not allowed', 'It takes lmdb or hashmap.'],
    ['exchange.fusion', 'yes', 'exchange.fusion: "yes" is not allowed', 'It takes true or false.'],
    ['exchange.batch-size', '513', 'exchange.batch-size: "513" is not allowed', 'It takes a whole number from 1 to 512.'],
    ['paralelism.default', '4', '-D paralelism.default: there is no such key; did you mean "parallelism.default"?', 'See `flink-ts help config` for all keys.'],
    ['interval', '4', '-D interval: there is no such key; did you mean "execution.checkpointing.interval"?', 'See `flink-ts help config` for all keys.'],
    ['state.backend.typ', 'lmdb', '-D state.backend.typ: there is no such key; did you mean "state.backend.type"?', 'See `flink-ts help config` for all keys.'],
    ['x', '1', '-D x: there is no such key', 'See `flink-ts help config` for all keys.'],
    ['colour', 'red', '-D colour: there is no such key', 'See `flink-ts help config` for all keys.'],
  ]
  test.each(refused)('%s = %s', (key, value, message, hint) => {
    let error: unknown
    try {
      parseConfig({ [key]: value })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(FlinkError)
    expect(error).toMatchObject({ message, hint })
  })
})
