import { expect, test } from 'vitest'
import { evaluateJob, job } from '../api/job.ts'
import type { StreamExecutionEnvironment } from '../api/environment.ts'
import { defaultJobConfig } from '../graph/config.ts'
import { executionPlan } from '../graph/plan.ts'
import { translate } from '../graph/translate.ts'
import { linksOf } from './slot-links.ts'

/** Every slot of a job as `from -> slot -> to`, with the number of channels behind the slot's number. */
function links(define: (env: StreamExecutionEnvironment) => void, parallelism: number): string[] {
  const plan = executionPlan(translate(evaluateJob(job('j', define)), { ...defaultJobConfig, parallelism }))
  const text = (map: ReadonlyMap<number, number>) => [...map].map(([slot, channels]) => `${slot}x${channels}`).join(' ') || '-'
  return plan.slots.map((_, slot) => {
    const { producers, consumers } = linksOf(plan, slot)
    return `${text(producers)} -> ${slot} -> ${text(consumers)}`
  })
}

test('a job in one slot needs no socket', () => {
  expect(links(env => env.fromData([1]).map(n => ({ n })).keyBy('n').sum('n').print(), 1)).toEqual(['- -> 0 -> -'])
})

test('a source with one subtask feeds the others, and a shuffle links all with all', () => {
  // Source (1) -rebalance-> Map (3) -hash-> Sum (3)
  expect(links(env => env.fromData([1]).map(n => ({ n })).keyBy('n').sum('n').print(), 3)).toEqual([
    '1x1 2x1 -> 0 -> 1x2 2x2',
    '0x2 2x1 -> 1 -> 0x1 2x1',
    '0x2 1x1 -> 2 -> 0x1 1x1',
  ])
})

test('what one slot sends another one expects', () => {
  const sides = links(env => {
    const numbers = env.fromData([{ n: 1 }])
    numbers.keyBy('n').sum('n').union(numbers).map(value => value).setParallelism(2).print()
  }, 4)
  const pairs = (side: 0 | 2) => sides.flatMap(line => {
    const [from, slot, to] = line.split(' -> ') as [string, string, string]
    return (side === 0 ? from : to).split(' ').filter(word => word !== '-').map(word => {
      const [other, channels] = word.split('x') as [string, string]
      return side === 0 ? `${other}>${slot} ${channels}` : `${slot}>${other} ${channels}`
    })
  }).sort()
  expect(pairs(0)).toEqual(pairs(2))
  expect(pairs(0).length).toBeGreaterThan(0)
})
