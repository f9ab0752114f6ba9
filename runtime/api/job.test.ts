/** Building a job: what it gives, what is refused, and where the errors point. */
import { describe, expect, test } from 'vitest'
import { FlinkError } from '../core/errors.ts'
import { count, max } from './aggregations.ts'
import type { StreamExecutionEnvironment } from './environment.ts'
import { outputTag, type Collector, type WindowContext } from './functions.ts'
import { evaluateJob, isJob, job } from './job.ts'
import { mapState, valueState } from './state.ts'
import type { DataStream, NoTime } from './streams.ts'
import { boundedOutOfOrderness, monotonousTimestamps, noWatermarks, watermarkGenerator } from './watermarks.ts'
import { tumbling } from './windows.ts'

interface Reading {
  sensor: string
  celsius: number
  time: number
}
const readings: Reading[] = [{ sensor: 's1', celsius: 21, time: 0 }]

type Define = (env: StreamExecutionEnvironment) => void
const built = (define: Define) => evaluateJob(job('test', define))
const last = (define: Define) => built(define).transformations.at(-1)!
const timed = (env: StreamExecutionEnvironment) => env.fromData(readings).assignTimestampsAndWatermarks({ timestamp: r => r.time, watermark: monotonousTimestamps() })

test('nodes are numbered in the order of calls and frozen', () => {
  const { transformations } = built(env => env.fromData(['a b']).flatMap(line => line.split(' ')).keyBy(word => word).reduce(a => a).uid('r').print('words'))
  expect(transformations.map(({ id, kind }) => `${id} ${kind}`)).toEqual(['1 source', '2 flatMap', '3 partition', '4 reduce', '5 sink'])
  expect(transformations.every(node => Object.isFrozen(node))).toBe(true)
  expect(transformations[3]).toMatchObject({ uid: 'r', name: 'Reduce' })
  expect(transformations[3]).toHaveProperty('input', transformations[2])
})

test('building twice gives the same, and each has its own nodes', () => {
  const example = job('twice', env => void env.fromSequence(1, 3).print())
  const [a, b] = [evaluateJob(example), evaluateJob(example)]
  expect(b.transformations.map(({ id, kind }) => [id, kind])).toEqual(a.transformations.map(({ id, kind }) => [id, kind]))
  expect(b.transformations[0]).not.toBe(a.transformations[0])
})

test('the arguments reach the function and cannot be changed', () => {
  const seen: unknown[] = []
  evaluateJob(job('args', (_env, args) => void seen.push(args.input, Object.isFrozen(args))), { input: 'a.csv' })
  expect(seen).toEqual(['a.csv', true])
})

test('a job is known by its shape', () => {
  expect(isJob(job('x', () => {}))).toBe(true)
  for (const other of [undefined, null, () => {}, { name: 'x' }, { kind: 'job' }]) expect(isJob(other)).toBe(false)
})

test('sum adds one field, keeps the others of the first element, and changes nothing', () => {
  const node = last(env => void env.fromData([{ word: 'a', count: 1, at: 1 }]).keyBy('word').sum('count'))
  if (node.kind !== 'reduce') throw new Error(node.kind)
  const a = Object.freeze({ word: 'a', count: 1, at: 1 })
  expect(node.fn(a, Object.freeze({ word: 'a', count: 41, at: 2 }))).toEqual({ word: 'a', count: 42, at: 1 })
  expect(node.fn({ count: 1n }, { count: 2n })).toEqual({ count: 3n })
  expect(node.sumOf).toBe('count')
})

test('keys: a field, a function, a tuple', () => {
  const keyOf = (define: (env: StreamExecutionEnvironment) => unknown) => {
    const node = last(env => void define(env))
    if (node.kind !== 'partition' || node.partitioner.kind !== 'hash') throw new Error(node.kind)
    const { key } = node.partitioner
    return { key: key.select(readings[0]), field: key.field, description: key.description }
  }
  expect(keyOf(env => env.fromData(readings).keyBy('sensor'))).toEqual({ key: 's1', field: 'sensor', description: 'sensor' })
  expect(keyOf(env => env.fromData(readings).keyBy(r => r.sensor.length))).toEqual({ key: 2, field: undefined, description: '(r) => r.sensor.length' })
  expect(keyOf(env => env.fromData(readings).keyBy(r => [r.sensor, r.time])).key).toEqual(['s1', 0])
})

describe('what a window does with its elements', () => {
  const ctx: WindowContext<string> = { key: 's1', window: { start: 0, end: 10 }, currentWatermark: () => 10, currentProcessingTime: () => 0, output() {} }
  const run = (define: Define, elements: unknown[]) => {
    const node = last(define)
    if (node.kind !== 'window') throw new Error(node.kind)
    const { fn } = node
    const out: unknown[] = []
    const single = fn.kind === 'process' ? elements : [fn.kind === 'reduce' ? elements.reduce(fn.reduce) : aggregated(fn.aggregate, elements)]
    fn.result.process(single, ctx, { collect: value => out.push(value) })
    return out
  }
  const aggregated = (fn: { createAccumulator(): unknown; add(value: unknown, accumulator: unknown): unknown; getResult(accumulator: unknown): unknown }, elements: unknown[]) =>
    fn.getResult(elements.reduce((accumulator, value) => fn.add(value, accumulator), fn.createAccumulator()))
  const window = (env: StreamExecutionEnvironment) => timed(env).keyBy('sensor').window(tumbling('10 ms'))
  const two = [readings[0], { sensor: 's1', celsius: 25, time: 5 }]
  const total = { createAccumulator: () => ({ sum: 0 }), add: (r: Reading, a: { sum: number }) => ({ sum: a.sum + r.celsius }), getResult: (a: { sum: number }) => a.sum }

  const rows: [name: string, define: Define, result: unknown[]][] = [
    ['named aggregations', env => void window(env).aggregate({ n: count(), hottest: max(r => r.celsius) }), [{ key: 's1', window: { start: 0, end: 10 }, n: 2, hottest: 25 }]],
    ['an aggregate function', env => void window(env).aggregate(total), [46]],
    ['... with a result function', env => void window(env).aggregate(total, (sum, { key, window }) => `${key}@${window.end} ${sum}`), ['s1@10 46']],
    ['... with a ProcessWindowFunction', env => void window(env).aggregate(total, { process(sums, c, out: Collector<string>) { for (const sum of sums) out.collect(`${c.key} ${sum}`) } }), ['s1 46']],
    ['reduce', env => void window(env).reduce((a, b) => (a.celsius > b.celsius ? a : b)), [two[1]]],
    ['reduce with a result function', env => void window(env).reduce((a, b) => (a.celsius > b.celsius ? a : b), (r, c) => [c.key, r.celsius]), [['s1', 25]]],
    ['process', env => void window(env).process({ process(all, _c, out: Collector<number>) { out.collect([...all].length) } }), [2]],
  ]
  test.each(rows)('%s', (_name, define, result) => {
    expect(run(define, two)).toEqual(result)
  })

  test('lateness, late data and offset stand in the node', () => {
    const late = outputTag<Reading>('late')
    const node = last(env => void timed(env).keyBy('sensor').window(tumbling('1 h', { offset: '-15 min' })).allowedLateness('5 s').sideOutputLateData(late).reduce(a => a))
    expect(node).toMatchObject({ assigner: { kind: 'tumbling', size: 3_600_000, offset: -900_000 }, allowedLateness: 5000, lateTag: 'late' })
  })
})

test('watermark strategies in normal form', () => {
  const create = () => ({ onEvent() {}, onPeriodic() {} })
  const policies = [boundedOutOfOrderness('5 s'), monotonousTimestamps(), noWatermarks(), watermarkGenerator<Reading>(create)].map(watermark => {
    const node = last(env => void env.fromData(readings).assignTimestampsAndWatermarks({ timestamp: r => r.time, watermark, idleness: '30 s' }))
    return node.kind === 'timestamps' ? [node.strategy.policy, node.strategy.idleness] : undefined
  })
  expect(policies).toEqual([[{ kind: 'bounded', bound: 5000 }, 30_000], [{ kind: 'bounded', bound: 0 }, 30_000], [{ kind: 'none' }, 30_000], [{ kind: 'custom', create }, 30_000]])
})

test('state is declared as data', () => {
  expect(valueState<number>({ default: 0, ttl: '1 h' })).toEqual({ kind: 'value', defaultValue: 0, ttl: 3_600_000 })
  expect(valueState<number>()).toEqual({ kind: 'value' })
  expect(mapState<string, number>({ ttl: 5 })).toEqual({ kind: 'map', ttl: 5 })
})

describe('refused at the line of the mistake', () => {
  // Casts stand for what plain JavaScript would let through.
  const wrong = (value: unknown) => value as never
  let kept: DataStream<number, NoTime> | undefined
  const rows: [name: string, define: Define, code: string, message: string][] = [
    ['a duration that is none', env => void env.enableCheckpointing(wrong('1 hour')), 'INVALID_DURATION', 'enableCheckpointing: "1 hour" is not a duration'],
    ['a checkpoint interval below 10 ms', env => void env.enableCheckpointing('9 ms'), 'INVALID_DURATION', 'enableCheckpointing: "9 ms" is too short'],
    ['a window of nothing', () => void tumbling(0), 'INVALID_DURATION', 'tumbling: 0 is too short'],
    ['an offset as long as the window', () => void tumbling('1 h', { offset: '-1 h' }), 'INVALID_DURATION', 'tumbling: offset "-1 h" is not shorter than the window'],
    ['negative lateness', env => void timed(env).keyBy('sensor').window(tumbling('1 h')).allowedLateness(-1), 'INVALID_DURATION', 'allowedLateness: -1 is too short'],
    ['a negative bound', () => void boundedOutOfOrderness('-1 s'), 'INVALID_DURATION', 'boundedOutOfOrderness: "-1 s" is too short'],
    ['a ttl of nothing', () => void valueState({ ttl: 0 }), 'INVALID_DURATION', 'ttl: 0 is too short'],
    ['a parallelism of nothing', env => void env.fromData([1]).setParallelism(0), 'INVALID_OPTION', 'setParallelism: 0 is not a parallelism'],
    ['too many key groups', env => void env.setMaxParallelism(32_769), 'INVALID_OPTION', 'setMaxParallelism: 32769 is not a parallelism'],
    ['no function', env => void env.fromData([1]).map(wrong(5)), 'INVALID_OPTION', 'map needs a function, not a number'],
    ['no values', env => void env.fromData<number>(wrong('abc')), 'INVALID_OPTION', 'fromData takes an array, not "abc"'],
    ['a sequence backwards', env => void env.fromSequence(5, 1), 'INVALID_OPTION', 'fromSequence: 5 is above 1'],
    ['half a number', env => void env.fromSequence(0, 1.5), 'INVALID_OPTION', 'fromSequence: 1.5 is not a whole number'],
    ['no sink', env => void env.fromData([1]).sinkTo(wrong({})), 'INVALID_OPTION', 'sinkTo needs a sink, not an Object'],
    ['no source', env => void env.fromSource<number>(wrong(undefined)), 'INVALID_OPTION', 'fromSource needs a source, not undefined'],
    ['no watermarks', env => void env.fromData([1]).assignTimestampsAndWatermarks(wrong({ timestamp: () => 1 })), 'INVALID_OPTION', 'assignTimestampsAndWatermarks: watermark is missing'],
    ['an empty uid', env => void env.fromData([1]).uid(' '), 'INVALID_OPTION', 'uid needs a text, not " "'],
    ['state that is not declared', env => void env.fromData([1]).keyBy(n => n).process({ state: wrong({ n: 0 }), process() {} }), 'INVALID_OPTION', 'state "n" is a number, not a declaration'],
    ['state with a name of ours', env => void env.fromData([1]).keyBy(n => n).process({ state: { _timers: valueState() }, process() {} }), 'INVALID_OPTION', 'state "_timers" has a name that is taken'],
    ['state without a key', env => void env.fromData([1]).process(wrong({ state: { n: valueState() }, process() {} })), 'INVALID_GRAPH', 'keyed state on a stream without keys'],
    ['a side output of a map', env => void env.fromData([1]).map(n => n).getSideOutput(outputTag('x')), 'INVALID_GRAPH', '"Map" has no side outputs'],
    ['an aggregation called key', env => void timed(env).keyBy('sensor').window(tumbling(1)).aggregate(wrong({ key: count() })), 'INVALID_OPTION', 'aggregate: the name "key" is taken'],
    ['no aggregation', env => void timed(env).keyBy('sensor').window(tumbling(1)).aggregate({}), 'INVALID_OPTION', 'aggregate needs at least one aggregation'],
    ['streams of two jobs', env => (kept ? void env.fromData([1]).union(kept) : (built(other => (kept = other.fromData([1]))), void env.fromData([1]).union(kept!))), 'INVALID_GRAPH', 'union of streams of two jobs'],
    ['a stream used after its job was built', () => void kept!.map(n => n), 'INVALID_GRAPH', 'job "test" is built already'],
  ]
  test.each(rows)('%s', (_name, define, code, message) => {
    let error: unknown
    try {
      built(define)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(FlinkError)
    expect(error).toMatchObject({ code, message })
    expect((error as FlinkError).at?.file).toMatch(/api\/job\.test\.ts$/)
  })

  test('what the function itself throws becomes JOB_BUILD_FAILED with the line', () => {
    const boom = () => {
      throw new RangeError('boom')
    }
    let error: unknown
    try {
      built(() => boom())
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code: 'JOB_BUILD_FAILED', message: 'building job "test" failed: RangeError: boom', at: { file: expect.stringMatching(/job\.test\.ts$/) } })
    expect((error as FlinkError).cause).toBeInstanceOf(RangeError)
  })

  test('an asynchronous function is refused', () => {
    // eslint-disable-next-line -- a mistake that the compiler allows: a promise is a kind of void
    expect(() => built((async () => {}) as Define)).toThrow('building job "test" is asynchronous')
  })
})
