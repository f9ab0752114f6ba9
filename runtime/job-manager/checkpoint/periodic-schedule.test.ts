import { describe, expect, test } from 'vitest'
import { PeriodicSchedule } from './periodic-schedule.ts'

/** An attempt of which all tasks run at 0, without a checkpoint to start from. */
function running(options: { readonly interval?: number | undefined; readonly minPause?: number } = {}): PeriodicSchedule {
  const schedule = new PeriodicSchedule({ interval: 1000, minPause: 0, ...options })
  schedule.attemptStarted()
  schedule.allRun(0, undefined)
  return schedule
}

describe('the interval', () => {
  test('nothing is due before all tasks run, and the first is due an interval after they do', () => {
    const schedule = new PeriodicSchedule({ interval: 1000, minPause: 0 })
    schedule.attemptStarted()
    expect(schedule.dueAt).toBe(Infinity)
    schedule.allRun(6000, undefined)
    expect(schedule.dueAt).toBe(7000)
  })

  test.each<[string, (schedule: PeriodicSchedule) => void, number]>([
    ['that all tasks run counts once in an attempt: a task that leaves and comes back moves nothing', schedule => schedule.allRun(500, undefined), 1000],
    ['it counts from when the last one began, however late that was', schedule => schedule.begun(1300, false), 2300],
    ['one that somebody asked for leaves the periodic ones where they are', schedule => schedule.begun(900, true), 1000],
  ])('%s', (_, happens, dueAt) => {
    const schedule = running()
    happens(schedule)
    expect(schedule.dueAt).toBe(dueAt)
  })

  test('without an interval nothing is ever due, whatever happens', () => {
    const schedule = running({ interval: undefined, minPause: 100 })
    schedule.begun(1000, false)
    schedule.ended(1500)
    expect(schedule.dueAt).toBe(Infinity)
  })

  test('a new attempt starts from nothing', () => {
    const schedule = running({ minPause: 5000 })
    schedule.begun(1000, false)
    schedule.ended(1100)
    schedule.startOver()
    schedule.attemptStarted()
    expect(schedule.dueAt).toBe(Infinity)
    schedule.allRun(2000, undefined)
    expect(schedule.dueAt).toBe(3000)
  })
})

describe('the pause', () => {
  test.each([
    ['is longer than what is left of the interval: it decides', { interval: 1000, minPause: 400, endedAt: 1900 }, 2300],
    ['is over before the interval: the interval decides', { interval: 1000, minPause: 400, endedAt: 1100 }, 2000],
    ['of nothing: at once, where the last one took longer than the interval', { interval: 1000, minPause: 0, endedAt: 2500 }, 2500],
  ])('%s', (_, { interval, minPause, endedAt }, dueAt) => {
    const schedule = running({ interval, minPause })
    schedule.begun(1000, false)
    schedule.ended(endedAt)
    expect(schedule.dueAt).toBe(dueAt)
  })

  test('it counts after a savepoint too', () => {
    const schedule = running({ minPause: 400 })
    schedule.begun(900, true)
    schedule.ended(950)
    expect(schedule.dueAt).toBe(1350)
  })
})

describe('one that has to start over', () => {
  test('is due at once, past interval and pause, and only until it has begun', () => {
    const schedule = running({ minPause: 400 })
    schedule.begun(1000, false)
    schedule.ended(1010)
    schedule.startOver()
    expect(schedule.dueAt).toBe(-Infinity)
    schedule.begun(1020, false)
    expect(schedule.dueAt).toBe(2020)
  })
})

describe('after a restart', () => {
  const restarted = (now: number, ...points: readonly { readonly id: number; readonly triggeredAt: number }[]) => {
    const schedule = new PeriodicSchedule({ interval: 1000, minPause: 0 })
    for (const point of points) {
      schedule.attemptStarted()
      schedule.allRun(now, point)
    }
    return schedule.dueAt - now
  }

  test.each([
    ['as long again as what is done again has taken', 10_300, { id: 1, triggeredAt: 10_000 }, 1300],
    ['at most another interval', 90_000, { id: 1, triggeredAt: 10_000 }, 2000],
    ['not less than the interval, should the clock have gone back', 9_000, { id: 1, triggeredAt: 10_000 }, 1000],
  ])('the first one waits %s', (_, now, point, wait) => {
    expect(restarted(now, point)).toBe(wait)
  })

  test('twice from the same checkpoint: the second waits no longer than usual, or a job that fails again and again would get no further', () => {
    const point = { id: 1, triggeredAt: 10_000 }
    expect(restarted(10_300, point, point)).toBe(1000)
    expect(restarted(10_300, point, { id: 2, triggeredAt: 10_100 })).toBe(1200)
  })
})
