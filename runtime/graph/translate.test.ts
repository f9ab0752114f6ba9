/** Chaining, slot sharing, parallelism, operator ids and what is refused, as tables. */
import { describe, expect, test } from 'vitest'
import { count } from '../api/aggregations.ts'
import { outputTag, type AggregateFunction, type Collector } from '../api/functions.ts'
import type { StreamExecutionEnvironment } from '../api/environment.ts'
import { evaluateJob, job } from '../api/job.ts'
import type { EventTime, SingleOutputStreamOperator } from '../api/streams.ts'
import { monotonousTimestamps } from '../api/watermarks.ts'
import { tumbling } from '../api/windows.ts'
import { FlinkError } from '../core/errors.ts'
import { murmur128 } from '../core/murmur.ts'
import { defaultJobConfig, type JobConfig } from './config.ts'
import { firstDifference } from './hash.ts'
import { channelOf, executionPlan, planIndex } from './plan.ts'
import { translate } from './translate.ts'

type Define = (env: StreamExecutionEnvironment) => void
const graphOf = (define: Define, config: Partial<JobConfig> = {}) => translate(evaluateJob(job('test', define)), { ...defaultJobConfig, parallelism: 2, ...config })

/** The vertices with their parallelism, and every exchange with its partitioner and reason. */
function shape(define: Define, config: Partial<JobConfig> = {}): string[] {
  const { vertices, edges } = graphOf(define, config)
  return [...vertices.map(v => `${v.name} x${v.parallelism}`), ...edges.map(e => `${e.source} -> ${e.target} ${e.partitioner}: ${e.notChained}`)]
}

const numbers = (env: StreamExecutionEnvironment) => env.fromSequence(1, 100).name('numbers')
const inc = (n: number) => n + 1

describe('chaining', () => {
  const rows: [name: string, define: Define, shape: string[]][] = [
    ['forward between equals chains, from the source to the sink', env => void numbers(env).map(inc).print(), ['Source: numbers -> Map -> Sink: print x2']],
    ['two readers make a tree', env => void [numbers(env).map(inc)].forEach(s => (s.filter(n => n > 1).print(), s.print())), ['Source: numbers -> Map -> (Filter -> Sink: print, Sink: print) x2']],
    ['an explicit forward chains too', env => void numbers(env).forward().map(inc).print(), ['Source: numbers -> Map -> Sink: print x2']],
    [
      'keyBy never chains, not even with parallelism 1',
      env => void numbers(env.setParallelism(1)).keyBy(n => n % 3).reduce(inc).print(),
      ['Source: numbers x1', 'Reduce -> Sink: print x1', '0 -> 1 hash: hash partitioning'],
    ],
    [
      'another parallelism means rebalance',
      env => void numbers(env).map(inc).setParallelism(3).print(),
      ['Source: numbers x2', 'Map x3', 'Sink: print x2', '0 -> 1 rebalance: different parallelism (2, 3)', '1 -> 2 rebalance: different parallelism (3, 2)'],
    ],
    ['rebalance between equals', env => void numbers(env).rebalance().map(inc).print(), ['Source: numbers x2', 'Map -> Sink: print x2', '0 -> 1 rebalance: rebalance']],
    ['broadcast', env => void numbers(env).broadcast().map(inc).print(), ['Source: numbers x2', 'Map -> Sink: print x2', '0 -> 1 broadcast: broadcast']],
    ['the partition nearest to the reader wins', env => void numbers(env).broadcast().rebalance().map(inc).print(), ['Source: numbers x2', 'Map -> Sink: print x2', '0 -> 1 rebalance: rebalance']],
    [
      'a union has several inputs',
      env => void numbers(env).union(env.fromSequence(1, 2).name('more')).map(inc).print(),
      ['Source: numbers x2', 'Source: more x2', 'Map -> Sink: print x2', '0 -> 2 forward: "Map" has 2 inputs', '1 -> 2 forward: "Map" has 2 inputs'],
    ],
    [
      'a union with itself reads twice',
      env => {
        const stream = numbers(env)
        stream.union(stream).print()
      },
      ['Source: numbers x2', 'Sink: print x2', '0 -> 1 forward: "print" has 2 inputs', '0 -> 1 forward: "print" has 2 inputs'],
    ],
    ['a union of one is nothing', env => void numbers(env).union().print(), ['Source: numbers -> Sink: print x2']],
    [
      'disableChaining keeps both sides away',
      env => void numbers(env).map(inc).disableChaining().print(),
      ['Source: numbers x2', 'Map x2', 'Sink: print x2', '0 -> 1 forward: chaining is disabled for "Map"', '1 -> 2 forward: chaining is disabled for "Map"'],
    ],
    ['startNewChain keeps only the side before away', env => void numbers(env).map(inc).startNewChain().print(), ['Source: numbers x2', 'Map -> Sink: print x2', '0 -> 1 forward: "Map" starts a new chain']],
    [
      'another slot-sharing group, inherited by what follows',
      env => void numbers(env).map(inc).slotSharingGroup('heavy').print(),
      ['Source: numbers x2', 'Map -> Sink: print x2', '0 -> 1 forward: different slot-sharing groups (default, heavy)'],
    ],
    ['chaining disabled for the job', env => void numbers(env.disableOperatorChaining()).print(), ['Source: numbers x2', 'Sink: print x2', '0 -> 1 forward: chaining is disabled for the whole job']],
    [
      'a side output chains like the main one',
      env => {
        const odd = outputTag<number>('odd')
        const even = numbers(env).process({ process: (n, ctx, out: Collector<number>) => (n % 2 ? ctx.output(odd, n) : out.collect(n)) })
        even.getSideOutput(odd).print()
        even.getSideOutput(odd).rebalance().print()
      },
      ['Source: numbers -> Process -> Sink: print x2', 'Sink: print x2', '0 -> 1 rebalance: rebalance'],
    ],
    ['fromData has parallelism 1', env => void env.fromData([1, 2]).print(), ['Source: Collection Source x1', 'Sink: print x2', '0 -> 1 rebalance: different parallelism (1, 2)']],
    ['... unless told', env => void env.fromData([1, 2]).setParallelism(2).print(), ['Source: Collection Source -> Sink: print x2']],
    ['a source that nobody reads is left out', env => void [env.fromSequence(1, 2), numbers(env).print()], ['Source: numbers -> Sink: print x2']],
  ]
  test.each(rows)('%s', (_name, define, expected) => {
    expect(shape(define)).toEqual(expected)
  })

  test('-D pipeline.operator-chaining.enabled=false', () => {
    expect(shape(env => void numbers(env).print(), { chaining: false })).toEqual(['Source: numbers x2', 'Sink: print x2', '0 -> 1 forward: chaining is disabled for the whole job'])
  })

  test('a side output inside a chain says so, and where from', () => {
    const tag = outputTag<number>('odd')
    const { vertices } = graphOf(env => void numbers(env).process({ process(_n, _ctx, _out: Collector<number>) {} }).getSideOutput(tag).map(inc).print())
    expect(vertices[0]?.operators.map(({ name, input }) => ({ name, input }))).toEqual([
      { name: 'numbers', input: undefined },
      { name: 'Process', input: { operator: 0 } },
      { name: 'Map', input: { operator: 1, tag: 'odd' } },
      { name: 'print', input: { operator: 2 } },
    ])
  })
})

test('the operator sets its parallelism over the environment, the environment over the configuration', () => {
  const define = (env: StreamExecutionEnvironment) => void numbers(env).map(inc).setParallelism(5).print()
  expect(shape(define, { parallelism: 7 }).slice(0, 3)).toEqual(['Source: numbers x7', 'Map x5', 'Sink: print x7'])
  expect(shape(env => define(env.setParallelism(3)), { parallelism: 7 }).slice(0, 3)).toEqual(['Source: numbers x3', 'Map x5', 'Sink: print x3'])
})

test('max parallelism is derived from the parallelism, unless set on the operator, the environment or in the configuration', () => {
  const max = (define: Define, config: Partial<JobConfig>) => graphOf(define, config).vertices.map(v => `${v.maxParallelism}${v.maxParallelismExplicit ? ' set' : ''}`)
  const define = (env: StreamExecutionEnvironment) => void numbers(env).print()
  expect(max(define, { parallelism: 85 })).toEqual(['128'])
  expect(max(define, { parallelism: 86 })).toEqual(['256'])
  expect(max(define, { maxParallelism: 64 })).toEqual(['64 set'])
  expect(max(env => define(env.setMaxParallelism(32)), { maxParallelism: 64 })).toEqual(['32 set'])
  expect(max(env => void numbers(env).setMaxParallelism(16).print(), { maxParallelism: 64 })).toEqual(['16 set'])
})

describe('a window sums up before the shuffle as well where nobody can see it', () => {
  interface Word {
    readonly word: string
    readonly n: number
  }
  const words = (env: StreamExecutionEnvironment) => env.fromData<Word>([]).name('words').assignTimestampsAndWatermarks({ timestamp: () => 0, watermark: monotonousTimestamps() })
  const windows = (env: StreamExecutionEnvironment) => words(env).keyBy('word').window(tumbling('1 s'))
  const merging: AggregateFunction<Word, number, number> = { createAccumulator: () => 0, add: ({ n }, total) => total + n, getResult: total => total, merge: (a, b) => a + b }
  const { merge, ...notMerging } = merging
  const one = 'Window -> Sink: print x1'
  const two = 'Source: words -> Timestamps/Watermarks -> Local Window x1'
  const rows: [name: string, define: Define, config: Partial<JobConfig>, vertices: string[]][] = [
    ['named aggregations', env => void windows(env).aggregate({ n: count() }).print(), {}, [two, one]],
    ['an aggregate function that merges', env => void windows(env).aggregate(merging).print(), {}, [two, one]],
    ['but not one that does not', env => void windows(env).aggregate(notMerging).print(), {}, ['Source: words -> Timestamps/Watermarks x1', one]],
    ['nor a reduce, which need not be associative', env => void windows(env).reduce(a => a).print(), {}, ['Source: words -> Timestamps/Watermarks x1', one]],
    ['nor where late records fire again', env => void windows(env).allowedLateness('1 s').aggregate(merging).print(), {}, ['Source: words -> Timestamps/Watermarks x1', one]],
    ['or are handed out', env => void windows(env).sideOutputLateData(outputTag<Word>('late')).aggregate(merging).print(), {}, ['Source: words -> Timestamps/Watermarks x1', one]],
    ['nor where nothing may be chained', env => void windows(env).aggregate(merging).print(), { chaining: false }, ['Source: words x1', 'Timestamps/Watermarks x1', 'Window x1', 'Sink: print x1']],
    ['or the input may not', env => void words(env).map(w => w).disableChaining().keyBy('word').window(tumbling('1 s')).aggregate(merging).print(), {}, ['Source: words -> Timestamps/Watermarks x1', 'Map x1', one]],
    ['or it is switched off', env => void windows(env).aggregate(merging).print(), { exchange: { ...defaultJobConfig.exchange, combining: false } }, ['Source: words -> Timestamps/Watermarks x1', one]],
    ['once for each input', env => void words(env).union(words(env)).keyBy('word').window(tumbling('1 s')).aggregate(merging).print(), {}, [two, two, one]],
    [
      'even of a union with itself',
      env => {
        const stream = words(env)
        stream.union(stream).keyBy('word').window(tumbling('1 s')).aggregate(merging).print()
      },
      {},
      ['Source: words -> Timestamps/Watermarks -> (Local Window, Local Window) x1', one],
    ],
    [
      'once for each window that reads the same',
      env => {
        const keyed = words(env).keyBy('word')
        keyed.window(tumbling('1 s')).aggregate(merging).print()
        keyed.window(tumbling('2 s')).aggregate(merging).print()
      },
      {},
      ['Source: words -> Timestamps/Watermarks -> (Local Window, Local Window) x1', one, one],
    ],
  ]
  test.each(rows)('%s', (_name, define, config, vertices) => {
    const graph = graphOf(define, { parallelism: 1, ...config })
    expect(graph.vertices.map(v => `${v.name} x${v.parallelism}`)).toEqual(vertices)
    const ids = graph.vertices.flatMap(({ operators }) => operators.map(({ id }) => id))
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('the state stays where it was', () => {
    const define: Define = env => void windows(env).aggregate(merging).uid('sums').print()
    const [inTwo, inOne] = [true, false].map(combining => graphOf(define, { exchange: { ...defaultJobConfig.exchange, combining } }).vertices.flatMap(({ operators }) => operators))
    const states = (operators: typeof inTwo) => operators?.filter(operator => operator.states.length > 0).map(({ id, uid, states }) => ({ id, uid, states }))
    expect(states(inTwo)).toEqual(states(inOne))
    expect(states(inOne)).toEqual([{ id: murmur128('sums'), uid: 'sums', states: [{ name: 'window', kind: 'value' }] }])
    const local = inTwo?.find(({ phase }) => phase === 'local')
    expect(local).toMatchObject({ name: 'Local Window', states: [] })
    expect(local?.uid).toBeUndefined()
  })
})

describe('slots', () => {
  const slots = (define: Define, parallelism = 2) => {
    const plan = executionPlan(graphOf(define, { parallelism }))
    return plan.slots.map(slot => `${slot.group} ${slot.index}: ${slot.subtasks.map(({ vertex, subtask }) => `${vertex}.${subtask}`).join(' ')}`)
  }
  const rows: [name: string, define: Define, slots: string[]][] = [
    ['one group needs as many slots as its widest vertex', env => void numbers(env).map(inc).setParallelism(3).print().setParallelism(1), ['default 0: 0.0 1.0 2.0', 'default 1: 0.1 1.1', 'default 2: 1.2']],
    [
      'groups add up',
      env => void numbers(env).map(inc).slotSharingGroup('a').map(inc).slotSharingGroup('b').setParallelism(1).print().slotSharingGroup('a'),
      ['default 0: 0.0', 'default 1: 0.1', 'a 0: 1.0 3.0', 'a 1: 1.1 3.1', 'b 0: 2.0'],
    ],
    [
      'inputs of different groups fall back to default',
      env => void numbers(env).slotSharingGroup('a').union(numbers(env).slotSharingGroup('b')).print().setParallelism(1),
      ['a 0: 0.0', 'a 1: 0.1', 'b 0: 1.0', 'b 1: 1.1', 'default 0: 2.0'],
    ],
  ]
  test.each(rows)('%s', (_name, define, expected) => {
    expect(slots(define)).toEqual(expected)
  })
})

test('every channel and subtask is numbered once, and found again', () => {
  const graph = graphOf(env => {
    const source = numbers(env)
    source.keyBy(n => n % 3).reduce(inc).setParallelism(3).print().setParallelism(4)
    source.map(inc).startNewChain().print().slotSharingGroup('aside')
  })
  const plan = executionPlan(graph)
  const index = planIndex(plan)
  const seen: number[] = []
  plan.edges.forEach((edge, e) => {
    for (let up = 0; up < edge.upParallelism; up++) {
      for (let down = 0; down < edge.downParallelism; down++) {
        if (edge.forward && up !== down) continue
        const channel = channelOf(edge, up, down)
        seen.push(channel)
        expect([index.edgeOfChannel[channel], index.upOfChannel[channel], index.downOfChannel[channel]]).toEqual([e, up, down])
      }
    }
  })
  expect(seen).toEqual(Array.from({ length: plan.channelCount }, (_, i) => i))
  plan.slots.forEach((slot, s) => slot.subtasks.forEach(({ vertex, subtask }) => expect(index.slotOfSubtask(vertex, subtask)).toBe(s)))
  expect(plan.slots.flatMap(slot => slot.subtasks)).toHaveLength(graph.vertices.reduce((sum, vertex) => sum + vertex.parallelism, 0))
})

describe('operator ids', () => {
  const ids = (define: Define) => new Map(graphOf(define).vertices.flatMap(v => v.operators).map(operator => [operator.uid ?? operator.name, operator.id]))

  test('a uid is its murmur hash, as in Flink', () => {
    expect(ids(env => void numbers(env).map(inc).uid('detector').print()).get('detector')).toBe(murmur128('detector'))
  })
  test('without a uid, inserting an operator elsewhere moves nothing', () => {
    const plain = ids(env => void numbers(env).keyBy(n => n % 2).reduce(inc).print())
    const changed = ids(env => void numbers(env).filter(n => n > 3).map(inc).keyBy(n => n % 2).reduce(inc).map(inc).print())
    for (const name of ['numbers', 'Reduce', 'print']) expect(changed.get(name)).toBe(plain.get(name))
  })
  test('operators that are alike are told apart by their number', () => {
    const graph = graphOf(env => void numbers(env).map(inc).map(inc).map(inc).uid('x').map(inc).print())
    const all = graph.vertices.flatMap(v => v.operators.map(operator => operator.id))
    expect(new Set(all).size).toBe(6)
  })
  test('chaining and parallelism do not change ids', () => {
    const define = (env: StreamExecutionEnvironment) => void numbers(env).map(inc).print()
    expect(ids(env => define(env.disableOperatorChaining().setParallelism(7)))).toEqual(ids(define))
  })
})

describe('what is refused, with the line', () => {
  const line = /translate\.test\.ts$/
  const rows: [name: string, define: Define, code: string, message: string][] = [
    ['nothing at all', () => {}, 'EMPTY_JOB', 'job "test" has no operators'],
    ['only a source', env => void numbers(env), 'EMPTY_JOB', 'job "test" has no operators'],
    ['no sink', env => void numbers(env).map(inc), 'EMPTY_JOB', 'job "test" has no sink'],
    ['one uid twice', env => void numbers(env).map(inc).uid('x').print().uid('x'), 'DUPLICATE_UID', 'uid "x" is used twice'],
    ['forward to another parallelism', env => void numbers(env).forward().map(inc).setParallelism(5).print(), 'INVALID_GRAPH', 'forward() from "numbers" to "Map" changes the parallelism from 2 to 5'],
    ['more subtasks than key groups', env => void numbers(env).map(inc).setMaxParallelism(1).print(), 'INVALID_GRAPH', '"Map": parallelism 2 is above its max parallelism 1'],
  ]
  test.each(rows)('%s', (name, define, code, message) => {
    const error = refusal(() => graphOf(define))
    expect({ code: error.code, message: error.message }).toEqual({ code, message })
    if (!message.includes('no operators')) expect(error.at?.file).toMatch(line)
    else expect(name).toBeTruthy()
  })
  test('both holders of a uid are named', () => {
    expect(refusal(() => graphOf(env => void numbers(env).map(inc).uid('x').print().uid('x'))).detail).toMatch(/^By "Map" \(translate\.test\.ts:\d+\) and "print" \(translate\.test\.ts:\d+\)\.$/)
  })
})

function refusal(action: () => unknown): FlinkError {
  try {
    action()
  } catch (error) {
    if (error instanceof FlinkError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('the hash', () => {
  const define = (env: StreamExecutionEnvironment) => numbers(env).map(inc).print()
  test('is the same for the same job, wherever its lines are, and whatever the configuration', () => {
    const a = graphOf(env => void define(env))
    const b = graphOf(env => void env.fromSequence(1, 100).name('numbers').map(inc).print(), { state: { backend: 'hashmap', memoryLimit: 1 } })
    expect(b.hash).toBe(a.hash)
    expect(firstDifference(a, b)).toBeUndefined()
  })
  const rows: [name: string, define: Define, config: Partial<JobConfig>, difference: string][] = [
    ['a name', env => void numbers(env).map(inc).name('other').print(), {}, 'operator 0.1 "Map" where the other has operator 0.1 "other"'],
    ['parallelism', env => void define(env), { parallelism: 3 }, 'vertex 0 "Source: numbers -> Map -> Sink: print": parallelism is 2 in one and 3 in the other'],
    ['an argument', env => void define(env), { args: { limit: '5' } }, 'one has operator 0.0 "numbers" where the other has argument --limit'],
    ['a uid', env => void define(env).uid('x'), {}, 'operator 0.2 "print": uid is null in one and "x" in the other'],
    ['one more sink', env => void [define(env), define(env)], {}, 'one has nothing more where the other has operator 1.0 "numbers"'],
  ]
  test.each(rows)('differs by %s, and says so', (_name, other, config, difference) => {
    const a = graphOf(env => void define(env))
    const b = graphOf(other, config)
    expect(b.hash).not.toBe(a.hash)
    expect(firstDifference(a, b)).toContain(difference)
  })
})

test('settings made in code win over the configuration', () => {
  const { config } = graphOf(env => {
    env.enableCheckpointing('1 s').setBufferTimeout(0).enableObjectReuse().setAutoWatermarkInterval('50 ms')
    numbers(env).print()
  }, { checkpointing: { ...defaultJobConfig.checkpointing, interval: 77, timeout: 5 } })
  expect(config).toMatchObject({ checkpointing: { interval: 1000, timeout: 5 }, exchange: { bufferTimeout: 0, objectReuse: true }, autoWatermarkInterval: 50 })
})

test('operators are described, and the states that they keep are listed', () => {
  const late = outputTag<{ t: number }>('late')
  const { vertices } = graphOf(env => {
    const timed: SingleOutputStreamOperator<{ t: number }, EventTime> = env
      .fromData([{ t: 1 }])
      .assignTimestampsAndWatermarks({ timestamp: r => r.t, watermark: { kind: 'bounded', bound: 5000 }, idleness: '1 min' })
    timed.keyBy('t').window({ kind: 'tumbling', size: 86_400_000, offset: -28_800_000 }).sideOutputLateData(late).reduce(a => a).print()
  })
  expect(vertices.flatMap(v => v.operators.map(operator => operator.states.map(({ name, kind }) => `${name} ${kind}`).join()))).toEqual(['', '', 'window value', ''])
  expect(vertices.flatMap(v => v.operators.map(operator => operator.description ?? ''))).toEqual(['bounded', 'out of order by 5 s, idle after 1 min', 'tumbling 1 d offset -8 h, reduce, late data to "late"', ''])
})
