/**
 * Random jobs over random streams, whose result is determined: whatever the parallelism, the batches and the interleaving,
 * each sink must receive the same multiset of records as from the reference interpreter.
 *
 * Not every job has such a result, in Flink neither. A rolling aggregate depends on the order in which records of a key
 * arrive, lateness on how watermarks and records of several channels meet. So the generator keeps book of what a stream
 * still guarantees, and uses an operator only where its result is determined by that.
 */
import { count, job, mapState, max, mean, noWatermarks, outputTag, sum, tumbling, valueState, type AggregateFunction, type Collector, type DataStream, type EventTime, type Job, type KeyedStream, type Source } from '../../index.ts'
import { collectSink } from '../../connectors/console.ts'
import type { Random } from '../../core/random.ts'
import { seededRandom } from '../../core/random.ts'
import { endOfInput, testingSource, watermark, type Mark, type TestingSource } from '../testing-source.ts'

export interface Row {
  readonly id: number
  readonly key: string | number | boolean | readonly [string, number]
  readonly value: number
  readonly time: number
  /** Anything that a record may hold. */
  readonly extra: unknown
}

export interface RandomJob {
  readonly job: Job
  readonly sources: Readonly<Record<string, TestingSource<Row>>>
  /** What was drawn, for a person to read. */
  readonly description: string
}

/** What a stream still guarantees. */
interface Guarantees {
  /** Records of one key arrive in one order. */
  readonly order: boolean
  /** Watermarks and records meet in one order, so timers and lateness are determined. */
  readonly time: boolean
}

interface Stream extends Guarantees {
  readonly stream: DataStream<Row, EventTime>
}

export function randomJob(seed: number): RandomJob {
  const random = seededRandom(seed)
  const sourceCount = 1 + random.int(2)
  const late = random.chance(0.4)
  const sources: Record<string, TestingSource<Row>> = {}
  for (let i = 0; i < sourceCount; i++) sources[`source-${i}`] = testingSource(randomSteps(random.fork(`source ${i}`), i, late))
  const description: string[] = []
  // The job is built anew in every slot, and must be the same each time: its own dice, thrown from the start.
  const definition = job(`random ${seed}`, env => {
    const dice = random.fork('graph')
    description.length = 0
    const say = (text: string) => description.push(text)
    let streams: Stream[] = Object.keys(sources).map(name => {
      const placeholder = testingPlaceholder()
      const stream = env.fromSource(placeholder, { timestamp: row => row.time, watermark: noWatermarks() }, name)
      return { stream, order: true, time: true }
    })
    let sinks = 0
    const sink = (stream: DataStream<Row, EventTime>) => void stream.sinkTo(collectSink<Row>()).uid(`sink-${sinks++}`)
    const steps = 2 + dice.int(5)
    for (let step = 0; step < steps; step++) {
      const index = dice.int(streams.length)
      const from = streams[index] as Stream
      const next = randomStep(dice, from, streams, late, step, say, sink)
      if (next === undefined) continue
      streams = dice.chance(0.25) ? [...streams, next] : streams.map((each, i) => (i === index ? next : each))
    }
    for (const { stream } of streams) sink(stream)
  })
  return {
    job: definition,
    sources,
    get description() {
      return description.join('; ')
    },
  }
}

function randomStep(dice: Random, from: Stream, all: readonly Stream[], late: boolean, step: number, say: (text: string) => void, sink: (stream: DataStream<Row, EventTime>) => void): Stream | undefined {
  const { stream, order, time } = from
  const name = `step-${step}`
  const parallel = <S extends { setParallelism(n: number): S }>(operator: S): S => (dice.chance(0.3) ? operator.setParallelism(1 + dice.int(4)) : operator)
  const keyed = (): KeyedStream<Row, unknown, EventTime> => {
    const kind = dice.int(3)
    return stream.keyBy<unknown>(kind === 0 ? row => row.key : kind === 1 ? row => [part(row.key), row.value % 2] : row => ({ k: part(row.key) }))
  }
  // With another parallelism than its source, a row-wise operator would be an exchange and lose the order.
  const inOrder = <S extends { setParallelism(n: number): S }>(operator: S): S => (order || time ? operator.setParallelism(1) : operator)
  switch (dice.int(10)) {
    case 0: {
      const add = dice.int(5)
      say(`map +${add}`)
      return { ...from, stream: inOrder(stream.map(row => ({ ...row, value: row.value + add }))) }
    }
    case 1: {
      const modulus = 2 + dice.int(4)
      say(`filter %${modulus}`)
      return { ...from, stream: inOrder(stream.filter(row => row.value % modulus !== 0)) }
    }
    case 2: {
      const iterable = dice.chance(0.5)
      say('flatMap')
      return {
        ...from,
        stream: inOrder(
          iterable
            ? stream.flatMap((row): Row[] => Array.from({ length: row.value % 3 }, (_, i) => ({ ...row, id: row.id * 3 + i })))
            : stream.flatMap((row, out: Collector<Row>) => {
                for (let i = 0; i < row.value % 3; i++) out.collect({ ...row, id: row.id * 3 + i })
              }),
        ),
      }
    }
    case 3: {
      // Another parallelism makes an exchange, and with it another order.
      say('rebalance')
      return { stream: parallel(stream.rebalance().map(row => row)), order: false, time: false }
    }
    case 4: {
      const other = dice.pick(all)
      if (late) return undefined
      say('union')
      return { stream: stream.union(other.stream), order: false, time: false }
    }
    case 5: {
      if (!order) return undefined
      const mutate = dice.chance(0.5)
      say(mutate ? 'reduce that mutates' : 'reduce')
      const reduced = keyed().reduce((a, b) => {
        if (!mutate) return { ...a, value: a.value + b.value, id: b.id, time: b.time }
        const total = a as { -readonly [N in keyof Row]: Row[N] }
        total.value += b.value
        total.id = b.id
        total.time = b.time
        return total
      })
      return { stream: parallel(reduced.uid(name)), order: false, time: false }
    }
    case 6: {
      if (!order || !time) return undefined
      const delay = 1 + dice.int(200)
      say(`process with timers +${delay}`)
      const tag = outputTag<Row>(`side-${step}`)
      const processed = keyed().process({
        state: { seen: valueState<number>({ default: 0 }), last: mapState<number, Row>() },
        process(row, ctx, out: Collector<Row>) {
          const seen = ctx.state.seen.value() + 1
          ctx.state.seen.update(seen)
          ctx.state.last.put(seen % 3, row)
          if (seen % 4 === 0) ctx.output(tag, row)
          if (seen % 5 === 0) ctx.state.last.clear()
          ctx.timers.registerEventTimeTimer(row.time + delay)
          if (seen % 7 === 0) ctx.timers.deleteEventTimeTimer(row.time + delay)
          out.collect({ ...row, value: seen, extra: [row.extra, ctx.timestamp, ctx.currentWatermark()] })
        },
        onTimer(at, ctx, out) {
          const rows = [...ctx.state.last.entries()].map(([slot, row]) => [slot, row.id] as const).sort(([a], [b]) => a - b)
          out.collect({ id: -1, key: 'timer', value: ctx.state.seen.value(), time: at, extra: rows })
        },
      })
      sink(processed.getSideOutput(tag))
      return { stream: parallel(processed.uid(name)), order: false, time: false }
    }
    case 7: {
      if (late && !time) return undefined
      const size = 10 * (1 + dice.int(20))
      const lateness = dice.chance(0.5) ? 10 * dice.int(10) : 0
      const windows = keyed().window(tumbling(size, { offset: dice.int(size) }))
      // Of its own, so that the rest of a job stays what it was.
      const phases = dice.fork(`phases-${step}`)
      if (phases.chance(0.5)) {
        const named = phases.chance(0.5)
        say(`${named ? 'named aggregations' : 'aggregate'} in windows of ${size}, in two phases`)
        const result = named
          ? windows.aggregate({ rows: count(), total: sum(row => row.value), most: max(row => row.id), mean: mean(row => row.value) }).map(({ key, window, rows, total, most, mean }): Row => ({ id: window.start, key: 'window', value: total, time: window.end, extra: [key, rows, most, mean] }))
          : windows.aggregate(total, (value, ctx): Row => ({ id: ctx.window.start, key: 'window', value, time: ctx.window.end, extra: ctx.key }))
        return { stream: parallel(result.uid(name)), order: false, time: false }
      }
      say(`aggregate in windows of ${size}, lateness ${lateness}`)
      const tag = outputTag<Row>(`late-${step}`)
      const windowed = windows.allowedLateness(lateness).sideOutputLateData(tag)
      const result = windowed.aggregate(total, (value, ctx): Row => ({ id: ctx.window.start, key: 'window', value, time: ctx.window.end, extra: ctx.key }))
      sink(result.getSideOutput(tag))
      return { stream: parallel(result.uid(name)), order: false, time: false }
    }
    case 8: {
      if (late && !time) return undefined
      const size = 10 * (1 + dice.int(20))
      say(`process in windows of ${size}`)
      const result = keyed()
        .window(tumbling(size))
        .process({
          process(rows, ctx, out: Collector<Row>) {
            const ids = [...rows].map(row => row.id).sort((a, b) => a - b)
            out.collect({ id: ids.length, key: 'all', value: 0, time: ctx.window.start, extra: [ctx.key, ids] })
          },
        })
      return { stream: parallel(result.uid(name)), order: false, time: false }
    }
    default: {
      const mutate = dice.chance(0.5)
      if (late && !time) return undefined
      say('reduce in windows')
      const result = keyed()
        .window(tumbling(10 * (1 + dice.int(20))))
        .reduce((a, b) => {
          if (!mutate) return { ...a, value: a.value + b.value, id: Math.max(a.id, b.id), time: 0, extra: null }
          const sum = a as { -readonly [N in keyof Row]: Row[N] }
          sum.value += b.value
          sum.id = Math.max(a.id, b.id)
          sum.time = 0
          sum.extra = null
          return sum
        })
        // One element alone was never reduced, and which of equal keys comes first is free.
        .map((row): Row => ({ ...row, key: part(row.key), time: 0, extra: null }))
      return { stream: result, order: false, time: false }
    }
  }
}

/** 0 and -0 are one key; which of them the key of a composite shows is not promised. */
const part = (key: Row['key']) => (typeof key === 'number' ? key + 0 : key)

const total: AggregateFunction<Row, { sum: number }, number> = {
  createAccumulator: () => ({ sum: 0 }),
  add(row, accumulator) {
    accumulator.sum += row.value
    return accumulator
  },
  getResult: accumulator => accumulator.sum,
  merge: (a, b) => ({ sum: a.sum + b.sum }),
}

/** A stream of records and watermarks. Unless `late`, no record comes at or below a watermark before it. */
function randomSteps(random: Random, source: number, late: boolean): (Row | Mark)[] {
  const steps: (Row | Mark)[] = []
  const count = random.int(60)
  let now = 0
  let mark = -1
  for (let i = 0; i < count; i++) {
    now += random.int(30)
    const time = late && random.chance(0.2) ? Math.max(0, now - random.int(400)) : Math.max(mark + 1, now - random.int(40))
    steps.push({ id: source * 1000 + i, key: randomKey(random), value: random.int(20), time, extra: randomExtra(random, 2) })
    if (random.chance(0.2)) {
      mark = Math.max(mark, now - random.int(50))
      steps.push(watermark(mark))
    }
  }
  steps.push(endOfInput())
  return steps
}

function randomKey(random: Random): Row['key'] {
  const n = random.int(5)
  switch (random.int(6)) {
    case 0:
      return n
    case 1:
      return n % 2 === 0
    case 2:
      return ['pair', n]
    case 3:
      return n === 0 ? -0 : n + 0.5
    default:
      return `key-${n}`
  }
}

function randomExtra(random: Random, depth: number): unknown {
  switch (random.int(depth > 0 ? 16 : 12)) {
    case 0:
      return undefined
    case 1:
      return NaN
    case 2:
      return -0
    case 3:
      return BigInt(random.int(1000)) * 12345678901234567890n
    case 4:
      return new Date(random.int(100000))
    case 5:
      return '\ud800 lone'
    case 6:
      return 'Grüße, 世界'.repeat(random.int(4))
    case 7:
      return new Uint8Array([1, 2, random.int(256)])
    case 8:
      return random.next()
    case 9:
      return random.int(2) === 0
    case 10:
      return null
    case 11:
      return random.int(1_000_000)
    case 12:
      return Array.from({ length: random.int(4) }, () => randomExtra(random, depth - 1))
    case 13:
      return { a: randomExtra(random, depth - 1), b: random.int(10) }
    case 14:
      return new Map([[random.int(5), randomExtra(random, depth - 1)]])
    default:
      return new Set([random.int(5), 'x'])
  }
}

/** Is replaced by the testing source of the same name before anything runs. */
function testingPlaceholder(): Source<Row> {
  return {
    kind: 'source',
    name: 'placeholder',
    bounded: true,
    createEnumerator(): never {
      throw new Error('this source is to be replaced by a testing source')
    },
    createReader(): never {
      throw new Error('this source is to be replaced by a testing source')
    },
  }
}
