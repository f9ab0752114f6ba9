/** The figures of windows: by name, shared accumulator, mergeable. */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../core/random.ts'
import { combineAggregations, count, max, mean, min, sum } from './aggregations.ts'

interface Order {
  amount: number
}
const all = combineAggregations<Order>({ n: count(), total: sum(o => o.amount), mean: mean(o => o.amount), least: min(o => o.amount), most: max(o => o.amount) })
const of = (amounts: readonly number[]) => amounts.reduce((accumulator, amount) => all.add({ amount }, accumulator), all.createAccumulator())

const rows: [amounts: number[], result: object][] = [
  [[5], { n: 1, total: 5, mean: 5, least: 5, most: 5 }],
  [[1, 2, 6], { n: 3, total: 9, mean: 3, least: 1, most: 6 }],
  [[-1, -7], { n: 2, total: -8, mean: -4, least: -7, most: -1 }],
  [[1, NaN, 2], { n: 3, total: NaN, mean: NaN, least: NaN, most: NaN }],
  [[Infinity, 1], { n: 2, total: Infinity, mean: Infinity, least: 1, most: Infinity }],
]
test.each(rows)('of %j', (amounts, result) => {
  expect(all.getResult(of(amounts))).toEqual(result)
})

test('an accumulator is one flat array of numbers, new for each window', () => {
  expect(of([1, 2])).toEqual([2, 3, 3, 2, 1, 2])
  expect(all.createAccumulator()).not.toBe(all.createAccumulator())
})

test('merging parts is aggregating the whole, however it is cut', () => {
  const seed = 20_26
  const random = seededRandom(seed)
  for (let round = 0; round < 50; round++) {
    const amounts = Array.from({ length: 1 + random.int(20) }, () => random.int(2000) - 1000)
    const cut = random.int(amounts.length + 1)
    const merged = all.merge!(of(amounts.slice(0, cut)), of(amounts.slice(cut)))
    expect(all.getResult(merged), `seed ${seed}, round ${round}`).toEqual(all.getResult(of(amounts)))
  }
})

describe('a value that is no number fails, whatever the compiler was told', () => {
  test.each([undefined, null, '5', 5n])('%s', amount => {
    expect(() => of([amount as unknown as number])).toThrow(/^sum of /)
  })
})
