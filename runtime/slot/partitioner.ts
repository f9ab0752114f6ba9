/**
 * Which channel of an edge a record takes. `forward` has one channel; `rebalance` goes round from a random start, so that
 * several producers do not all begin at the first consumer (Flink `RebalancePartitioner`); `hash` sends a key to the owner
 * of its key group; `broadcast` sends everything everywhere.
 *
 * The hash loop is generated per edge: it has feedback of its own, and reads a key that is one field in place. Where code
 * generation is forbidden, a closure does the same.
 */
import { createBatch, type Batch, type BatchPool } from '../core/batch.ts'
import { AssertionFailure } from '../core/assert.ts'
import { FlinkError, type SourcePosition } from '../core/errors.ts'
import { spreadKeyHash, subtaskOfKeyGroup } from '../core/key-group.ts'
import type { Timestamp } from '../core/time.ts'
import { canGenerate } from '../codec/code-generation.ts'
import type { KeySelector } from '../api/functions.ts'
import type { OutputChannel } from './output-channel.ts'

/** Sends records into the channels of one edge. Batches and values are given up. */
export interface Partitioner {
  batch(batch: Batch): void
  record(value: unknown, timestamp: Timestamp): void
}

export function forwardPartitioner(channel: OutputChannel): Partitioner {
  return {
    batch: batch => channel.appendBatch(batch),
    record: (value, timestamp) => channel.append(value, timestamp),
  }
}

/** `start` is the channel of the first record. */
export function rebalancePartitioner(channels: readonly OutputChannel[], batches: BatchPool, start: number): Partitioner {
  let next = start
  const record = (value: unknown, timestamp: Timestamp) => {
    ;(channels[next] as OutputChannel).append(value, timestamp)
    next = next + 1 === channels.length ? 0 : next + 1
  }
  return {
    record,
    batch(batch) {
      const { size, values, timestamps } = batch
      for (let i = 0; i < size; i++) record(values[i], timestamps[i] as number)
      batches.give(batch)
    },
  }
}

/** Each consumer gets its own record: `copy` is undefined where sharing cannot be seen. */
export function broadcastPartitioner(channels: readonly OutputChannel[], batches: BatchPool, copy: (channel: number) => ((value: unknown) => unknown) | undefined): Partitioner {
  const copies = channels.map((_, index) => copy(index))
  const record = (value: unknown, timestamp: Timestamp) => {
    for (let i = 0; i < channels.length; i++) {
      const copyValue = copies[i]
      ;(channels[i] as OutputChannel).append(copyValue === undefined ? value : copyValue(value), timestamp)
    }
  }
  return {
    record,
    batch(batch) {
      const { size, values, timestamps } = batch
      for (let i = 0; i < size; i++) record(values[i], timestamps[i] as number)
      batches.give(batch)
    },
  }
}

export interface HashOptions {
  readonly key: KeySelector
  readonly maxParallelism: number
  /** For errors: the keyed operator and where the user wrote it. */
  readonly operator: string
  readonly at: SourcePosition | undefined
}

export function hashPartitioner(channels: readonly OutputChannel[], batches: BatchPool, options: HashOptions): Partitioner {
  const { maxParallelism } = options
  const owners = Array.from({ length: maxParallelism }, (_, group) => channels[subtaskOfKeyGroup(group, channels.length, maxParallelism)] as OutputChannel)
  const loop = hashLoop(options.key)(spreadKeyHash, owners, maxParallelism, options.key)
  const one = createBatch(1)
  const send = (records: Batch) => {
    try {
      loop(records.values, records.timestamps, records.size)
    } catch (error) {
      throw keyError(error, options)
    }
  }
  return {
    batch(records) {
      send(records)
      batches.give(records)
    },
    record(value, timestamp) {
      one.size = 1
      one.values[0] = value
      one.timestamps[0] = timestamp
      send(one)
      one.values[0] = undefined
    },
  }
}

type HashLoop = (values: readonly unknown[], timestamps: Float64Array, size: number) => void
type MakeHashLoop = (hashOf: typeof spreadKeyHash, owners: readonly OutputChannel[], maxParallelism: number, key: KeySelector) => HashLoop

function hashLoop(key: KeySelector): MakeHashLoop {
  if (!canGenerate) return closureHashLoop
  const read = key.field === undefined ? 'key.select(value)' : `value[${JSON.stringify(key.field)}]`
  // The only text that comes from the user is the field's name, and it goes through JSON.stringify.
  return new Function(
    'hashOf', 'owners', 'maxParallelism', 'key',
    `return function hashPartition(values, timestamps, size) {
      for (let i = 0; i < size; i++) {
        const value = values[i]
        const hash = hashOf(${read})
        owners[hash % maxParallelism].appendKeyed(value, timestamps[i], hash)
      }
    }`,
  ) as MakeHashLoop
}

export const closureHashLoop: MakeHashLoop = (hashOf, owners, maxParallelism, key) => (values, timestamps, size) => {
  for (let i = 0; i < size; i++) {
    const value = values[i]
    const hash = hashOf(key.select(value))
    ;(owners[hash % maxParallelism] as OutputChannel).appendKeyed(value, timestamps[i] as number, hash)
  }
}

function keyError(error: unknown, { operator, at, key }: HashOptions): unknown {
  if (error instanceof AssertionFailure) return error
  const where = { ...(at === undefined ? {} : { at }), cause: error }
  if (error instanceof FlinkError) {
    if (error.code !== 'INVALID_KEY') return error
    const detail = error.detail
    return new FlinkError('INVALID_KEY', `keyBy(${key.description}) of ${JSON.stringify(operator)}: ${error.message}`, { ...where, ...(detail === undefined ? {} : { detail }) })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new FlinkError('USER_CODE_FAILED', `keyBy(${key.description}) of ${JSON.stringify(operator)} threw: ${message}`, where)
}
