/**
 * What fusing is worth: a chain of 3, 5 and 8 row-wise operators over bids, as one generated function, as composed
 * closures, and as an object per operator with a new record object per step (the obvious design, written here). All run
 * interleaved in one process; the outputs are compared first. Quote the ratios, not the times.
 *
 *     node runtime/operators/chain.bench.ts
 */
import assert from 'node:assert/strict'
import { seededRandom } from '../core/random.ts'
import { BatchPool, type Batch } from '../core/batch.ts'
import { asOperatorId } from '../core/ids.ts'
import { defaultJobConfig } from '../graph/config.ts'
import type { Transformation } from '../graph/transformation.ts'
import type { ChainContext, ChainOutput } from './chain.ts'
import { createChain } from './create-chain.ts'

interface Bid {
  readonly auction: number
  readonly bidder: number
  readonly price: number
  readonly channel: string
  readonly url: string
  readonly dateTime: number
  readonly extra: string
}
type Op = { readonly kind: 'map'; readonly fn: (value: unknown) => unknown } | { readonly kind: 'filter'; readonly fn: (value: unknown) => boolean } | { readonly kind: 'flatMap'; readonly fn: (value: unknown) => unknown[] }

const map = (fn: (bid: Bid) => unknown): Op => ({ kind: 'map', fn: fn as (value: unknown) => unknown })
const filter = (fn: (bid: Bid) => boolean): Op => ({ kind: 'filter', fn: fn as (value: unknown) => boolean })

/** Made anew for each way, so that no way spoils the type feedback of another's user functions. */
function operators(count: 3 | 5 | 8): Op[] {
  const ops = [
    filter(bid => bid.price > 100),
    map(bid => ({ auction: bid.auction, bidder: bid.bidder, price: bid.price * 0.908, channel: bid.channel, url: bid.url, dateTime: bid.dateTime, extra: bid.extra })),
    filter(bid => bid.auction % 8 !== 0),
    map(bid => ({ auction: bid.auction, bidder: bid.bidder, price: bid.price, hour: (bid.dateTime / 3_600_000) | 0 }) as unknown as Bid),
    filter(bid => bid.bidder % 16 !== 3),
    map(bid => ({ ...bid, price: bid.price + 1 })),
    filter(bid => bid.price < 9_000),
    map(bid => bid.price),
  ]
  return ops.slice(0, count)
}

const batchSize = 512
const batches = 8
const bids = (() => {
  const random = seededRandom(1)
  return Array.from({ length: batches }, (_, b): Batch => ({
    size: batchSize,
    values: Array.from({ length: batchSize }, (__, i): Bid => ({ auction: random.int(1000), bidder: random.int(5000), price: random.int(10_000), channel: random.pick(['apple', 'google', 'baidu']), url: `https://www.nexmark.com/${random.int(1000)}/item.htm`, dateTime: 1.6e12 + b * 1000 + i, extra: 'x'.repeat(20) })),
    timestamps: Float64Array.from({ length: batchSize }, (__, i) => 1.6e12 + b * 1000 + i),
  }))
})()

type Run = (out: (value: unknown, timestamp: number) => void) => () => void

function chain(ops: Op[], fusion: boolean): Run {
  return out => {
    const nodes = ops.map((op, i) => ({ ...op, id: i + 1, name: op.kind }) as unknown as Transformation)
    const batches = new BatchPool(defaultJobConfig.exchange.batchSize)
    const output: ChainOutput = {
      emit: out,
      emitBatch(batch) {
        const { size, values, timestamps } = batch
        for (let i = 0; i < size; i++) out(values[i], timestamps[i] as number)
        batches.give(batch)
      },
    }
    const context: ChainContext = {
      jobId: 'j', attempt: 1, subtask: 0, parallelism: 1, maxParallelism: 128, autoWatermarkInterval: 200, checkpointing: false, projectDirectory: '/p',
      operators: ops.map((op, i) => ({ id: asOperatorId(`o${i}`), name: op.kind, kind: op.kind, transformation: i + 1, states: [], source: false, commits: false, ...(i > 0 ? { input: { operator: i - 1 } } : {}) })),
      transformation: id => nodes[id - 1] as Transformation,
      exchange: { ...defaultJobConfig.exchange, fusion },
      batches,
      // Nothing in this chain asks for files or state.
      files: undefined as never,
      keyedState: () => undefined as never,
      now: () => 0,
      output: operator => (operator === ops.length - 1 ? output : undefined),
      restored: { checkpointId: undefined, keyed: () => [], list: () => [] },
      requestSplit() {}, print() {}, collect() {},
    }
    const built = createChain(context, { watermark() {}, idle() {} })
    return () => {
      for (const batch of bids) built.processBatch(batch, 0)
    }
  }
}

/** The obvious design. */
function objects(ops: Op[]): Run {
  class StreamRecord {
    value: unknown
    timestamp: number
    constructor(value: unknown, timestamp: number) {
      this.value = value
      this.timestamp = timestamp
    }
  }
  interface Node {
    process(record: StreamRecord): void
  }
  class MapNode implements Node {
    fn: (value: unknown) => unknown
    next: Node
    constructor(fn: (value: unknown) => unknown, next: Node) {
      this.fn = fn
      this.next = next
    }
    process(record: StreamRecord): void {
      this.next.process(new StreamRecord(this.fn(record.value), record.timestamp))
    }
  }
  class FilterNode implements Node {
    fn: (value: unknown) => boolean
    next: Node
    constructor(fn: (value: unknown) => boolean, next: Node) {
      this.fn = fn
      this.next = next
    }
    process(record: StreamRecord): void {
      if (this.fn(record.value)) this.next.process(new StreamRecord(record.value, record.timestamp))
    }
  }
  return out => {
    let first: Node = { process: record => out(record.value, record.timestamp) }
    for (const op of ops.toReversed()) first = op.kind === 'filter' ? new FilterNode(op.fn, first) : new MapNode(op.fn, first)
    return () => {
      for (const { size, values, timestamps } of bids) for (let i = 0; i < size; i++) first.process(new StreamRecord(values[i], timestamps[i] as number))
    }
  }
}

export interface ChainBenchResult {
  readonly operators: number
  /** ns per record that goes in. */
  readonly fused: number
  readonly closures: number
  readonly objects: number
}

export function runChainBench(rounds = 25, print: (line: string) => void = line => console.log(line)): ChainBenchResult[] {
  print('operators   fused ns  closures ns   objects ns   closures/fused  objects/fused   (30th percentile of interleaved rounds)')
  return ([3, 5, 8] as const).map(count => {
    const ways = { fused: chain(operators(count), true), closures: chain(operators(count), false), objects: objects(operators(count)) }
    const outputs = Object.values(ways).map(way => {
      const seen: unknown[] = []
      way((value, timestamp) => seen.push([value, timestamp]))()
      return seen
    })
    assert.ok((outputs[0] as unknown[]).length > 0)
    for (const output of outputs) assert.deepEqual(output, outputs[0])

    let sum = 0
    const runs = Object.entries(ways).map(([name, way]) => ({ name, run: way((_value, timestamp) => { sum += timestamp }), times: [] as number[] }))
    const passes = 40
    for (const { run } of runs) for (let i = 0; i < passes; i++) run()
    for (let round = 0; round < rounds; round++) {
      for (const { run, times } of runs) {
        const start = performance.now()
        for (let i = 0; i < passes; i++) run()
        times.push(((performance.now() - start) * 1e6) / (passes * batches * batchSize))
      }
    }
    assert.ok(sum > 0)
    const [fused, closures, byObject] = runs.map(({ times }) => times.toSorted((a, b) => a - b)[Math.floor(rounds * 0.3)] as number) as [number, number, number]
    const cell = (value: number, width: number) => value.toFixed(1).padStart(width)
    print(`${String(count).padStart(9)}${cell(fused, 11)}${cell(closures, 13)}${cell(byObject, 13)}${cell(closures / fused, 16)}x${cell(byObject / fused, 14)}x`)
    return { operators: count, fused, closures, objects: byObject }
  })
}

if (import.meta.main) runChainBench()
