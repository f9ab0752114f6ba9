import { expect, test } from 'vitest'
import type { TaskMetrics } from '../protocol/slot.ts'
import { backPressureLevel, RateMeter } from './rates.ts'

const metrics = (records: number, busyMs: number, subtask = 0): TaskMetrics => ({
  task: { vertex: 0, subtask }, recordsIn: records, recordsOut: 0, bytesIn: 0, bytesOut: 0, busyMs, idleMs: 0, backPressuredMs: 0,
  currentInputWatermark: 0, currentOutputWatermark: 0, lateRecordsDropped: 0, stateBytes: 0, stateEvictions: 0, stateLoads: 0, pendingCommittables: 0,
})

test('a rate is taken over the last seconds, not since the beginning', () => {
  const meter = new RateMeter(5_000)
  for (let second = 0; second <= 20; second++) meter.add(second * 1000, [metrics(second <= 10 ? 0 : (second - 10) * 100, second * 250)])
  expect(meter.rates(0, 0)).toMatchObject({ recordsInPerSecond: 100, busy: 0.25 })
})

test('one report is no rate; none is nothing', () => {
  const meter = new RateMeter()
  expect(meter.latest(0, 0)).toBeUndefined()
  meter.add(1000, [metrics(500, 10)])
  expect(meter.rates(0, 0)).toMatchObject({ recordsInPerSecond: 0, busy: 0 })
  expect(meter.latest(0, 0)?.recordsIn).toBe(500)
})

test('a report that comes late changes nothing, and of one ms the last counts; tasks do not mix; new tasks count afresh', () => {
  const meter = new RateMeter()
  meter.add(1000, [metrics(0, 0), metrics(0, 0, 1)])
  meter.add(2000, [metrics(100, 0), metrics(7, 0, 1)])
  meter.add(2000, [metrics(120, 0)])
  meter.add(1500, [metrics(900, 0)])
  expect(meter.rates(0, 0).recordsInPerSecond).toBe(120)
  expect(meter.rates(0, 1).recordsInPerSecond).toBe(7)
  meter.reset()
  meter.add(3000, [metrics(0, 0)])
  expect(meter.rates(0, 0).recordsInPerSecond).toBe(0)
})

test("Flink's levels", () => {
  expect([0, 0.1, 0.11, 0.5, 0.51, 1].map(backPressureLevel)).toEqual(['ok', 'ok', 'low', 'low', 'high', 'high'])
})
