/**
 * The simulator looks for seeds that break exactly-once; the gate looks whether the simulator would find them. More seeds:
 * `npm run sim -- --seeds 20000`.
 */
import { describe, expect, test } from 'vitest'
import type { PlantedBugs } from './planted-bugs.ts'
import { simulate } from './simulate.ts'

const seeds = Number(process.env.FLINK_TS_SEEDS ?? 500)

/** What went wrong in a life, with all that was drawn for it and how to see it again. */
function told(seed: number, bugs: PlantedBugs = {}): string[] {
  const { problems, summary } = simulate(seed, bugs)
  return problems.length === 0 ? [] : [...problems, summary, `again with: npm run sim -- --seed ${seed}`]
}

test(`${seeds} lives of a job: every record exactly once, whatever happens`, { timeout: 600_000 }, () => {
  for (let seed = 1; seed <= seeds; seed++) expect(told(seed), `seed ${seed}`).toEqual([])
})

test.for([
  [1106, 'a disk error while a checkpoint was read made the job go back to an older one, which was gone'],
] as const)('once failed: seed %i, %s', ([seed]) => {
  expect(told(seed)).toEqual([])
})

test('the same seed is the same life, to the last event', { timeout: 600_000 }, () => {
  for (let seed = 1; seed <= 25; seed++) expect(simulate(seed).traceHash, `seed ${seed}`).toBe(simulate(seed).traceHash)
})

describe('planted bugs are found', () => {
  // The seed that found it last is tried first: the rare ones would take a minute otherwise.
  test.for<[keyof PlantedBugs, number, number]>([
    ['noAlignment', 50, 1],
    ['snapshotByReference', 50, 1],
    ['commitOnlyNotified', 50, 1],
    ['notifyBeforeDurable', 100, 1],
    ['noFencing', 500, 206],
    ['noSupersede', 500, 173],
  ])('%s within %i seeds', { timeout: 600_000 }, ([bug, most, first]) => {
    const found = [first, ...Array.from({ length: most }, (_, index) => index + 1)].find(seed => told(seed, { [bug]: true }).length > 0)
    console.log(`${bug}: found by seed ${found}`)
    expect(found).toBeDefined()
  })
})
