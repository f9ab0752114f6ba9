import { expect, test } from 'vitest'
import { defaultJobConfig, type RestartConfig } from '../../graph/config.ts'
import { effectiveRestart, RestartStrategy } from './restart-strategy.ts'

const exponential: RestartConfig = { kind: 'exponential-delay', initial: 100, max: 400, multiplier: 2, jitter: 0, resetAfter: 10_000, attempts: undefined }
const delays = (strategy: RestartStrategy, ...failures: readonly (readonly [at: number, lost: boolean])[]) =>
  failures.map(([at, lost]) => {
    const decision = strategy.onFailure(at, lost)
    return decision.kind === 'restart' ? decision.delay : decision.kind
  })

test('delays grow up to a maximum and start again after a quiet time', () => {
  const strategy = new RestartStrategy(exponential, () => 0.5)
  expect(delays(strategy, [0, false], [1, false], [2, false], [3, false])).toEqual([100, 200, 400, 400])
  expect(delays(strategy, [10_003, false])).toEqual([100])
})

test('the first loss of a process is restarted at once; a loop of losses is not; progress makes the next one the first', () => {
  const strategy = new RestartStrategy(exponential, () => 0.5)
  expect(delays(strategy, [0, true], [1, true], [2, true])).toEqual([0, 100, 200])
  strategy.onProgress()
  expect(delays(strategy, [3, true], [4, true])).toEqual([0, 400])
})

test('jitter takes its chance from outside and never goes over the maximum', () => {
  expect(delays(new RestartStrategy({ ...exponential, jitter: 0.1 }, () => 0), [0, false], [1, false])).toEqual([90, 180])
  expect(delays(new RestartStrategy({ ...exponential, jitter: 0.1, max: 100 }, () => 0.999), [0, false])).toEqual([100])
})

test('limits', () => {
  const fixed = new RestartStrategy({ kind: 'fixed-delay', attempts: 2, delay: 50 }, () => 0.5)
  expect(delays(fixed, [0, false], [1, false], [2, false])).toEqual([50, 50, 'fail'])
  expect(fixed.canRestart(3)).toBe(false)
  const limited = new RestartStrategy({ ...exponential, attempts: 1 }, () => 0.5)
  expect(delays(limited, [0, false], [1, false])).toEqual([100, 'fail'])
  expect(limited.canRestart(20_000)).toBe(true)
  expect(delays(limited, [20_000, false])).toEqual([100])
})

test('without checkpoints the default is not to restart; a fixed delay was asked for', () => {
  const without = defaultJobConfig
  const checkpointed = { ...without, checkpointing: { ...without.checkpointing, interval: 1000 } }
  expect(effectiveRestart(without).kind).toBe('none')
  expect(effectiveRestart(checkpointed).kind).toBe('exponential-delay')
  expect(effectiveRestart({ ...without, restart: { kind: 'fixed-delay', attempts: 1, delay: 1 } }).kind).toBe('fixed-delay')
})
