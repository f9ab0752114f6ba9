/**
 * What the compiler infers and what it refuses, beyond `fixtures/jobs/must-not-compile.ts`. `tsc` is what fails here; the
 * job is built too, so that what compiles is known to build.
 */
import { expect, expectTypeOf, test } from 'vitest'
import { count, max, mean } from './aggregations.ts'
import { outputTag, type AggregateFunction, type Collector, type TimeWindow } from './functions.ts'
import { evaluateJob, job } from './job.ts'
import { mapState, valueState } from './state.ts'
import type { EventTime, KeyedStream, NoTime, SingleOutputStreamOperator } from './streams.ts'
import { boundedOutOfOrderness, watermarkGenerator } from './watermarks.ts'
import { tumbling } from './windows.ts'

interface Reading {
  sensor: string
  celsius: number
  time: number
  note?: string
}
type Event = { kind: 'click'; x: number } | { kind: 'key'; code: string }

const types = job('types', env => {
  const untimed = env.fromData<Reading>([])
  const timed = untimed.assignTimestampsAndWatermarks({ timestamp: r => r.time, watermark: boundedOutOfOrderness('1 s') })
  const keyed = timed.keyBy('sensor')

  // flatMap: an iterable, a generator, a collector
  expectTypeOf(env.fromData(['a b']).flatMap(line => line.split(' '))).toEqualTypeOf<SingleOutputStreamOperator<string, NoTime>>()
  expectTypeOf(
    env.fromSequence(1, 3).flatMap(function* (n) {
      yield { n }
    }),
  ).toEqualTypeOf<SingleOutputStreamOperator<{ n: number }, NoTime>>()
  expectTypeOf(untimed.flatMap((r, out: Collector<number>) => out.collect(r.celsius))).toEqualTypeOf<SingleOutputStreamOperator<number, NoTime>>()
  expectTypeOf(untimed.flatMap<number>((r, out) => out.collect(r.celsius))).toEqualTypeOf<SingleOutputStreamOperator<number, NoTime>>()
  // @ts-expect-error a promise is not an iterable
  untimed.flatMap(async r => [r.celsius])

  // filter: a type guard narrows
  const clicks = env.fromData<Event>([]).filter(e => e.kind === 'click')
  expectTypeOf(clicks.map(e => e.x)).toEqualTypeOf<SingleOutputStreamOperator<number, NoTime>>()

  // keys
  expectTypeOf(keyed).toEqualTypeOf<KeyedStream<Reading, string, EventTime>>()
  expectTypeOf(timed.keyBy(r => [r.sensor, r.time])).toEqualTypeOf<KeyedStream<Reading, readonly [string, number], EventTime>>()
  expectTypeOf(timed.keyBy(r => ({ sensor: r.sensor }))).toEqualTypeOf<KeyedStream<Reading, { readonly sensor: string }, EventTime>>()
  expectTypeOf(keyed.sum('celsius')).toEqualTypeOf<SingleOutputStreamOperator<Reading, EventTime>>()
  // @ts-expect-error an optional text is not a number
  keyed.sum('note')

  // what follows keyBy is not keyed any more
  // @ts-expect-error a map may change what the key was taken from
  keyed.map(r => r).reduce((a: Reading) => a)

  // union: streams of one type and one time
  expectTypeOf(timed.union(timed)).toExtend<{ readonly _time: EventTime }>()
  // @ts-expect-error the untimed stream would hold event time back for ever
  timed.union(untimed)
  // @ts-expect-error streams of different types
  untimed.union(env.fromData([1]))

  // windows
  const window = keyed.window(tumbling('1 h', { offset: '5 min' }))
  const named = window.aggregate({ n: count(), warm: mean(r => r.celsius), hot: max((r: Reading) => r.celsius) })
  named.map(r => {
    expectTypeOf(r.key).toEqualTypeOf<string>()
    expectTypeOf(r.window).toEqualTypeOf<TimeWindow>()
    expectTypeOf(r.n).toEqualTypeOf<number>()
    expectTypeOf(r.warm).toEqualTypeOf<number>()
    // @ts-expect-error no such aggregation
    return r.cold
  })
  // @ts-expect-error the key has this name
  window.aggregate({ key: count() })
  expectTypeOf(window.aggregate({ createAccumulator: () => 0, add: (r, a) => a + r.celsius, getResult: a => ({ total: a }) })).toEqualTypeOf<SingleOutputStreamOperator<{ total: number }, EventTime>>()
  const total: AggregateFunction<Reading, number, number> = { createAccumulator: () => 0, add: (r, a) => a + r.celsius, getResult: a => a, merge: (a, b) => a + b }
  expectTypeOf(window.aggregate(total, (sum, { key, window: { end } }) => ({ key, end, sum }))).toEqualTypeOf<SingleOutputStreamOperator<{ key: string; end: number; sum: number }, EventTime>>()
  expectTypeOf(window.aggregate(total, { process(sums, ctx, out: Collector<string>) { for (const sum of sums) out.collect(ctx.key + sum.toFixed()) } })).toEqualTypeOf<SingleOutputStreamOperator<string, EventTime>>()
  expectTypeOf(window.reduce((a, _b) => a)).toEqualTypeOf<SingleOutputStreamOperator<Reading, EventTime>>()
  expectTypeOf(window.reduce((a, _b) => a, (r, ctx) => [ctx.key, r.celsius] as const)).toEqualTypeOf<SingleOutputStreamOperator<readonly [string, number], EventTime>>()
  // @ts-expect-error a late element is a Reading
  window.sideOutputLateData(outputTag<string>('late'))
  expectTypeOf(named.getSideOutput(outputTag<Reading>('late')).map(r => r.celsius)).toEqualTypeOf<SingleOutputStreamOperator<number, EventTime>>()

  // state
  const seen = keyed.process({
    state: { count: valueState<number>({ default: 0 }), last: valueState<Reading>(), byHour: mapState<number, string>() },
    process(reading, ctx, out: Collector<string>) {
      expectTypeOf(ctx.key).toEqualTypeOf<string>()
      expectTypeOf(ctx.state.count.value()).toEqualTypeOf<number>()
      expectTypeOf(ctx.state.last.value()).toEqualTypeOf<Reading | undefined>()
      expectTypeOf(ctx.state.byHour.get(1)).toEqualTypeOf<string | undefined>()
      // @ts-expect-error the map's keys are numbers
      ctx.state.byHour.put('1', 'x')
      // @ts-expect-error the tag is for numbers
      ctx.output(outputTag<number>('n'), reading.sensor)
      out.collect(reading.sensor)
    },
    onTimer(_time, ctx, out) {
      expectTypeOf(ctx.timeDomain).toEqualTypeOf<'event' | 'processing'>()
      // @ts-expect-error the output is text
      out.collect(1)
    },
  })
  expectTypeOf(seen).toEqualTypeOf<SingleOutputStreamOperator<string, EventTime>>()

  // watermarks
  // @ts-expect-error event time needs timestamps
  untimed.assignTimestampsAndWatermarks({ watermark: boundedOutOfOrderness('1 s') })
  untimed.assignTimestampsAndWatermarks({ timestamp: r => r.time, watermark: watermarkGenerator<Reading>(() => ({ onEvent: (r, t) => (r.note === 'end' ? t : undefined), onPeriodic() {} })) })
  // @ts-expect-error a generator for another type
  untimed.assignTimestampsAndWatermarks({ timestamp: r => r.time, watermark: watermarkGenerator<string>(() => ({ onEvent: text => text.length, onPeriodic() {} })) })

  // @ts-expect-error a virtual stream has no operator to name
  timed.rebalance().uid('x')
})

test('what compiles builds, but for the mistakes that are refused again at build time', () => {
  // The first mistake that the builder sees too: an unkeyed reduce does not exist.
  expect(() => evaluateJob(types)).toThrow(/reduce is not a function/)
})
