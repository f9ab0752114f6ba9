import { expect, test } from 'vitest'
import type { ProfileShares } from '../../runtime/protocol/cpu-profile.ts'
import { plain } from './colour.ts'
import { profileReport, sumShares } from './profile-report.ts'

const shares: ProfileShares = {
  idle: 1_000_000,
  rows: [{ kind: 'operator', name: 'parse', micros: 600_000 }, { kind: 'gc', micros: 150_000 }, { kind: 'exchange', micros: 100_000 }, { kind: 'codec', micros: 50_000 }, { kind: 'state', micros: 60_000 }, { kind: 'start', micros: 40_000 }],
  functions: [{ name: 'toRecord', file: '/p/src/job.ts', line: 12, micros: 500_000 }, { name: 'map parse', file: '/elsewhere/shared.ts', line: 3, micros: 20_000 }],
}
const slot = { jobId: '1', taskManager: 'tm-1', slotIndex: 0, attempt: 1 }
const report = { directory: '/p/.flink-ts/profiles/job', profiles: [slot], missing: [], shares, projectDirectory: '/p' }

test('where the time went', () => {
  expect(profileReport(report, '/p', plain)).toMatchInlineSnapshot(`
    "1 profile in .flink-ts/profiles/job, for Chrome DevTools, VS Code or speedscope

     share    time  of 1.00 s that the slots were busy (and idle 50.0 % of the time)
    60.0 %  0.60 s  parse
    15.0 %  0.15 s  (garbage collection)
    10.0 %  0.10 s  (exchange: channels, sockets, the slot itself)
     5.0 %  0.05 s  (codec: records to bytes and back)
     6.0 %  0.06 s  (state)
     4.0 %  0.04 s  (start: loading the job)

     share    self  your functions
    50.0 %  0.50 s  toRecord        src/job.ts:12
     2.0 %  0.02 s  map parse       /elsewhere/shared.ts:3"
  `)
})

test('what is not there is said', () => {
  const killed = { ...slot, taskManager: 'tm-2', attempt: 1 }
  const text = profileReport({ ...report, profiles: [slot, { ...slot, slotIndex: 1, cutAfterMs: 300_000 }], missing: [killed] }, '/p', plain)
  expect(text.split('\n').slice(-3)).toEqual([
    '1 of them end after 5m 00s, as profiling.duration-max says; the job ran on.',
    '',
    'no profile of slot 0 of tm-2 (attempt 1): its process was killed before it could write one',
  ])
  const none = profileReport({ ...report, profiles: [], missing: Array.from({ length: 8 }, (_, slotIndex) => ({ ...killed, slotIndex })), shares: sumShares([]) }, '/p', plain)
  expect(none).toBe(`0 profiles in .flink-ts/profiles/job, for Chrome DevTools, VS Code or speedscope

no profile of slot 0 of tm-2 (attempt 1), slot 1 of tm-2 (attempt 1), slot 2 of tm-2 (attempt 1), slot 3 of tm-2 (attempt 1), slot 4 of tm-2 (attempt 1) and 3 more: its process was killed before it could write one`)
})

test('slots are added up: operators by name, functions by place', () => {
  expect(sumShares([shares, { idle: 5, rows: [{ kind: 'gc', micros: 900_000 }, { kind: 'operator', name: 'gc', micros: 1 }], functions: [{ name: 'toRecord', file: '/p/src/job.ts', line: 12, micros: 1 }] }])).toMatchObject({
    idle: 1_000_005,
    rows: [{ kind: 'gc', micros: 1_050_000 }, { name: 'parse', micros: 600_000 }, {}, {}, {}, {}, { kind: 'operator', name: 'gc', micros: 1 }],
    functions: [{ name: 'toRecord', micros: 500_001 }, { name: 'map parse', micros: 20_000 }],
  })
})
