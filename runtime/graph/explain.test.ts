/** The whole text for each example program, as a person reads it. */
import { expect, test } from 'vitest'
import wordCount from '../../fixtures/jobs/word-count.ts'
import flights from '../../fixtures/jobs/flights.ts'
import fraud from '../../fixtures/jobs/fraud.ts'
import exactlyOnce from '../../fixtures/jobs/exactly-once.ts'
import { evaluateJob, job, type Job } from '../api/job.ts'
import { outputTag, type Collector } from '../api/functions.ts'
import { defaultJobConfig } from './config.ts'
import { explain } from './explain.ts'
import { executionPlan } from './plan.ts'
import { translate } from './translate.ts'

const explained = (example: Job, parallelism: number) => {
  const definition = evaluateJob(example)
  const graph = translate(definition, { ...defaultJobConfig, parallelism })
  return explain(definition, graph, executionPlan(graph))
}

test('word count: a source of parallelism 1 is its own task', () => {
  expect(explained(wordCount, 2)).toMatchInlineSnapshot(`
    "Job "word count"
      no checkpoints, state in lmdb, graph 4096c5e16ee0ca46708a3fd9adda7a86

    Logical graph
      #1  Source: Collection Source                      bounded     word-count.ts:5
      #2  FlatMap                    <- #1                           word-count.ts:6
      #3  Map                        <- #2                           word-count.ts:7
      #5  Sum                        <- #3 hash of word  of "count"  word-count.ts:9
      #6  Sink: print                <- #5                           word-count.ts:10

    Job graph: 3 vertices, 2 exchanges
      [0] Source: Collection Source
          parallelism 1, max 128, slot-sharing group default, id a8db3a05fa0202ef9eb1c3e20bb08b38
          - Collection Source [source], bounded
          => [1] rebalance; not chained: different parallelism (1, 2)
      [1] FlatMap -> Map
          parallelism 2, max 128, slot-sharing group default, id 8c84e38536496b4925aa4ebb63252e37
          - FlatMap [flatMap]
          - Map [map]
          => [2] from Map, hash of word; not chained: hash partitioning
      [2] Sum -> Sink: print
          parallelism 2, max 128, slot-sharing group default, id 362200502480c3984edeae9f0b37f834
          - Sum [reduce], of "count", state reduce (value)
          - print [sink]

    Execution plan: 2 slots, 6 channels
      slot 0  default  Source: Collection Source (1/1) | FlatMap -> Map (1/2) | Sum -> Sink: print (1/2)
      slot 1  default  FlatMap -> Map (2/2) | Sum -> Sink: print (2/2)
    "
  `)
})

test('flights: windows, late data, two sinks', () => {
  expect(explained(flights, 4)).toMatchInlineSnapshot(`
    "Job "delays per airport and hour"
      checkpoint each 1 s (exactly-once), state in lmdb, graph da2697ccf622cbd0372f3ba12ef8a6eb

    Logical graph
      #1  Source: flights                            bounded, out of order by 1 h, idle after 30 s                          flights.ts:17
      #3  Window           <- #1 hash of origin      tumbling 1 h, aggregate, allowed lateness 10 min, late data to "late"  flights.ts:31
      #4  Map              <- #3                                                                                            flights.ts:34
      #5  Sink: File Sink  <- #4                     uid "delays", commits with checkpoints                                 flights.ts:35
      #7  Sink: print      <- #3 side output "late"                                                                         flights.ts:38

    Job graph: 2 vertices, 1 exchange
      [0] Source: flights
          parallelism 4, max 128, slot-sharing group default, id a486b991bd82261b6355fd216e3cd815
          - flights [source], bounded, out of order by 1 h, idle after 30 s
          => [1] hash of origin; not chained: hash partitioning
      [1] Window -> (Map -> Sink: File Sink, Sink: print)
          parallelism 4, max 128, slot-sharing group default, id 462755c238ceff45cdf931e7704d4ae8
          - Window [window], tumbling 1 h, aggregate, allowed lateness 10 min, late data to "late", state window (value)
          - Map [map]
          - File Sink [sink], uid "delays", commits with checkpoints
          - print [sink], reads side output "late" of Window

    Execution plan: 4 slots, 16 channels
      slot 0-3  default  Source: flights (1-4/4) | Window -> (Map -> Sink: File Sink, Sink: print) (1-4/4)
    "
  `)
})

test('fraud: all with parallelism 1, and still only the key parts the chains', () => {
  expect(explained(fraud, 1)).toMatchInlineSnapshot(`
    "Job "fraud"
      no checkpoints, state in lmdb, graph 53223a43231edd4b3fc5a65d5f945e68

    Logical graph
      #1  Source: Collection Source                         bounded                fraud.ts:20
      #2  Timestamps/Watermarks      <- #1                  monotonous timestamps  fraud.ts:26
      #4  KeyedProcess               <- #2 hash of account  uid "detector"         fraud.ts:28
      #5  Sink: print                <- #4                                         fraud.ts:49

    Job graph: 2 vertices, 1 exchange
      [0] Source: Collection Source -> Timestamps/Watermarks
          parallelism 1, max 128, slot-sharing group default, id a8db3a05fa0202ef9eb1c3e20bb08b38
          - Collection Source [source], bounded
          - Timestamps/Watermarks [timestamps], monotonous timestamps
          => [1] from Timestamps/Watermarks, hash of account; not chained: hash partitioning
      [1] KeyedProcess -> Sink: print
          parallelism 1, max 128, slot-sharing group default, id e787d7adf0a48035e8859a1d73cfc94b
          - KeyedProcess [keyedProcess], uid "detector", state sawSmall (value), timer (value)
          - print [sink]

    Execution plan: 1 slot, 1 channel
      slot 0  default  Source: Collection Source -> Timestamps/Watermarks (1/1) | KeyedProcess -> Sink: print (1/1)
    "
  `)
})

test('exactly once', () => {
  expect(explained(exactlyOnce, 2)).toMatchInlineSnapshot(`
    "Job "exactly once"
      checkpoint each 100 ms (exactly-once), state in lmdb, graph 5458c6078ecfc01139191edcd8709d7b

    Logical graph
      #1  Source: Generator Source                     bounded                                 exactly-once.ts:17
      #3  KeyedProcess              <- #1 hash of key  uid "counter"                           exactly-once.ts:19
      #4  Sink: File Sink           <- #3              uid "ledger", commits with checkpoints  exactly-once.ts:28

    Job graph: 2 vertices, 1 exchange
      [0] Source: Generator Source
          parallelism 2, max 128, slot-sharing group default, id 10060d4e89b163a87848d416a3acef2f
          - Generator Source [source], bounded
          => [1] hash of key; not chained: hash partitioning
      [1] KeyedProcess -> Sink: File Sink
          parallelism 2, max 128, slot-sharing group default, id 0da08f51eaa85fc298e176a139b3649a
          - KeyedProcess [keyedProcess], uid "counter", state count (value)
          - File Sink [sink], uid "ledger", commits with checkpoints

    Execution plan: 2 slots, 4 channels
      slot 0-1  default  Source: Generator Source (1-2/2) | KeyedProcess -> Sink: File Sink (1-2/2)
    "
  `)
})

test('unions, side outputs, slot-sharing groups, arguments and what nobody reads', () => {
  const odd = outputTag<number>('odd')
  const example = job('all sorts', env => {
    env.setMaxParallelism(64)
    env.fromSequence(0, 9).name('unread')
    const numbers = env.fromSequence(1, 10).process({
      process(n, ctx, out: Collector<number>) {
        if (n % 2 === 1) ctx.output(odd, n)
        else out.collect(n)
      },
    })
    const squares = numbers.getSideOutput(odd).map(n => n * n).name('square')
    numbers.union(squares).rebalance().map(n => n + 1).slotSharingGroup('heavy').setParallelism(3).print('all').disableChaining()
  })
  const definition = evaluateJob(example)
  const graph = translate(definition, { ...defaultJobConfig, parallelism: 2, args: { limit: '10' } })
  expect(explain(definition, graph, executionPlan(graph))).toMatchInlineSnapshot(`
    "Job "all sorts" --limit 10
      no checkpoints, state in lmdb, graph 9b44f6bba4b416925e8be62eee0c5af1

    Logical graph
      #2  Source: Sequence Source                                    bounded                     explain.test.ts:143
      #3  Process                  <- #2                                                         explain.test.ts:143
      #5  square                   <- #3 side output "odd"                                       explain.test.ts:149
      #8  Map                      <- #3 rebalance, <- #5 rebalance                              explain.test.ts:150
      #9  Sink: print              <- #8                                                         explain.test.ts:150
      #1  Source: unread                                             nothing reads it: left out  explain.test.ts:142

    Job graph: 3 vertices, 3 exchanges
      [0] Source: Sequence Source -> Process -> square
          parallelism 2, max 64 (set), slot-sharing group default, id f0c6daee736481877f3d0d19323ed8ed
          - Sequence Source [source], bounded
          - Process [process]
          - square [map], reads side output "odd" of Process
          => [1] from Process, rebalance; not chained: rebalance
          => [1] from square, rebalance; not chained: rebalance
      [1] Map
          parallelism 3, max 64 (set), slot-sharing group heavy, id 3f9705b7c2d864753e9304c8e86dabc0
          - Map [map]
          => [2] rebalance; not chained: different parallelism (3, 2)
      [2] Sink: print
          parallelism 2, max 64 (set), slot-sharing group heavy, id 5d647b1f49b841f26b0bfa13639a7202
          - print [sink]

    Execution plan: 5 slots, 18 channels
      slot 0-1  default  Source: Sequence Source -> Process -> square (1-2/2)
      slot 2-3  heavy    Map (1-2/3) | Sink: print (1-2/2)
      slot 4    heavy    Map (3/3)
    "
  `)
})
