import { describe, expect, test } from 'vitest'
import stringWidth from 'string-width'
import { codeFrame } from './code-frame.ts'
import { plain } from './colour.ts'
import { eventToJsonLine, toJsonLine } from './json-lines.ts'
import { LineLogger } from './line-logger.ts'
import { pad, truncate } from './columns.ts'
import { sanitiseLine, sanitiseText } from './sanitise.ts'
import { formatTable } from './table.ts'
import { formatBytes, formatCount, formatElapsed, formatEventTime } from './units.ts'
import type { RuntimeEvent, RuntimeEventBody } from '../../runtime/metrics/event.ts'

describe('what comes from data', () => {
  test.each([
    ['plain text', 'plain text'],
    ['naïve 日本語 🎉', 'naïve 日本語 🎉'],
    ['tab\tand\nnewline', 'tab\tand\nnewline'],
    ['\u001b[2Jcleared', '\\u{1b}[2Jcleared'],
    ['\u001b]8;;http://x\u0007link', '\\u{1b}]8;;http://x\\u{7}link'],
    ['\u009b31mred by C1', '\\u{9b}31mred by C1'],
    ['over\rwritten', 'over\\u{d}written'],
    ['\u007f', '\\u{7f}'],
    ['\u202eevil', '\\u{202e}evil'],
    ['a\u200bb\ufeff', 'a\\u{200b}b\\u{feff}'],
    ['\ud800 alone', '\\u{d800} alone'],
    ['tag \u{e0041}', 'tag \\u{e0041}'],
  ])('%j is shown as %j', (text, shown) => {
    expect(sanitiseText(text)).toBe(shown)
  })

  test('cannot forge a line of its own', () => {
    expect(sanitiseLine('a\nerror FTS-1: no\tx')).toBe('a\\u{a}error FTS-1: no x')
  })

  test.each([
    ['short', 10, 'short'],
    ['exactly ten', 11, 'exactly ten'],
    ['more than ten', 10, 'more than…'],
    ['日本語のテキスト', 7, '日本語…'],
    ['👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀', 4, '👩🏽‍🚀…'],
    ['anything', 0, ''],
  ])('%j in %i columns is %j', (text, columns, shown) => {
    expect(truncate(text, columns)).toBe(shown)
    expect(stringWidth(truncate(text, columns))).toBeLessThanOrEqual(columns)
    expect(stringWidth(pad(text, columns))).toBe(columns)
  })
})

test('numbers are short and keep their unit', () => {
  expect([0, 1023, 1024, 1536, 200 * 1024, 5 * 1024 ** 3].map(formatBytes)).toEqual(['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '200 KiB', '5.0 GiB'])
  expect([0, 999, 999.6, 1_000, 12_345, 999_999, 3_200_000].map(formatCount)).toEqual(['0', '999', '1.0k', '1.0k', '12.3k', '1.0M', '3.2M'])
  expect([0, 340, 999.4, 4_260, 59_999, 185_000, 7_380_000, 90 * 3_600_000].map(formatElapsed)).toEqual([
    '0 ms', '340 ms', '999 ms', '4.2 s', '59.9 s', '3m 05s', '2h 03m', '3d 18h',
  ])
  expect(formatEventTime(Date.parse('2001-01-01T00:10:00Z'))).toBe('2001-01-01 00:10:00')
  expect(formatEventTime(1e18)).toBe('1000000000000000000')
})

test('a code frame shows the line, its neighbours and the column', () => {
  const source = 'one\ntwo\n  three(x)\nfour\nfive'
  expect(codeFrame(source, 3, 9)).toMatchInlineSnapshot(`
    "  2 | two
    > 3 |   three(x)
        |         ^
      4 | four"
  `)
  expect(codeFrame(source, 9, 1)).toBeUndefined()
})

test('a table is as wide as its cells', () => {
  expect(formatTable([{ title: 'NAME' }, { title: 'SIZE', align: 'right' }], [['日本', '1'], ['a\u001bb', '100']], plain)).toMatchInlineSnapshot(`
    "NAME      SIZE
    日本         1
    a\\u{1b}b   100"
  `)
})

describe('a JSON line', () => {
  test('has Flink\'s words for what JSON cannot say, and stays one line', () => {
    const line = eventToJsonLine({
      sequence: 4, at: 0, kind: 'metrics', jobId: 'j',
      tasks: [{ task: { vertex: 0, subtask: 0 }, recordsIn: 1, recordsOut: 1, bytesIn: 0, bytesOut: 0, busyMs: 1, idleMs: 0, backPressuredMs: 0, currentInputWatermark: -Infinity, currentOutputWatermark: Infinity, lateRecordsDropped: 0, stateBytes: 0, stateEvictions: 0, stateLoads: 0, pendingCommittables: 0 }],
    })
    const parsed = JSON.parse(line)
    expect(parsed).toMatchObject({ schemaVersion: 1, sequence: 4, at: 0, kind: 'metrics' })
    expect(parsed.tasks[0]).toMatchObject({ currentInputWatermark: '-9223372036854775808', currentOutputWatermark: '9223372036854775807' })
  })

  test('escapes what a terminal would obey, and loses nothing', () => {
    const evil = 'a\nb\u001b[2J\u009b\u202e\u2028\u007f'
    const line = toJsonLine({ evil, big: 12n, nan: NaN })
    // oxlint-disable-next-line no-control-regex
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/)
    expect(JSON.parse(line)).toEqual({ evil, big: '12', nan: 'NaN' })
  })
})

describe('the line logger', () => {
  const start = Date.parse('2001-01-01T12:00:00Z')
  const record = () => {
    const lines: string[] = []
    const logger = new LineLogger({ writeOut: text => lines.push(`out| ${text}`), writeError: text => lines.push(`err| ${text}`) }, plain)
    let sequence = 0
    const show = (after: number, body: RuntimeEventBody) => logger.show({ sequence: sequence++, at: start + after, ...body } as RuntimeEvent, start + after)
    return { logger, show, text: () => lines.join('') }
  }

  test('tells the story of a job', () => {
    const { show, text } = record()
    const jobId = 'a1b2'
    show(0, { kind: 'taskManagerRegistered', taskManager: 'tm-1', pid: 11, slots: 1 })
    show(5, { kind: 'jobStatus', jobId, status: 'RUNNING', attempt: 1 })
    show(9, { kind: 'output', jobId, stream: 'stdout', text: "2> { word: 'to\u001b[2J' }\n" })
    show(10, { kind: 'output', jobId, stream: 'stderr', text: 'careful' })
    show(1_005, { kind: 'checkpointCompleted', jobId, checkpointId: 1, checkpointKind: 'checkpoint', durationMs: 12, bytes: 2048, path: '/c/1' })
    show(1_105, { kind: 'checkpointCompleted', jobId, checkpointId: 2, checkpointKind: 'checkpoint', durationMs: 12, bytes: 2048, path: '/c/2' })
    show(2_205, { kind: 'checkpointCompleted', jobId, checkpointId: 3, checkpointKind: 'checkpoint', durationMs: 12, bytes: 2048, path: '/c/3' })
    show(2_300, { kind: 'restartScheduled', jobId, attempt: 2, delayMs: 100, cause: { code: 'USER_CODE_FAILED', message: 'no\nmore', at: { file: 'src/job.ts', line: 3 } }, repeats: 1 })
    show(2_400, { kind: 'restartScheduled', jobId, attempt: 4, delayMs: 400, cause: { code: 'USER_CODE_FAILED', message: 'no\nmore', at: { file: 'src/job.ts', line: 3 } }, repeats: 3 })
    show(2_400, { kind: 'jobRestored', jobId, attempt: 2, checkpointId: 3, savepoint: false })
    show(2_500, { kind: 'checkpointCompleted', jobId, checkpointId: 4, checkpointKind: 'savepoint', durationMs: 12, bytes: 2048, path: '/s/4' })
    show(2_600, { kind: 'jobStatus', jobId, status: 'FINISHED', attempt: 2 })
    expect(text()).toMatchInlineSnapshot(`
      "err| 12:00:00.000 info  TaskManager tm-1 is ready with 1 slot (process 11)
      err| 12:00:00.005 info  job is RUNNING
      out| 2> { word: 'to\\u{1b}[2J' }
      err| careful
      err| 12:00:01.005 info  checkpoint 1 completed in 12 ms, 2.0 KiB
      err| 12:00:02.205 info  checkpoint 3 completed in 12 ms, 2.0 KiB (and 1 before it)
      err| 12:00:02.300 warn  restart in 100 ms as attempt 2: FTS-3001 no (src/job.ts:3)
      err| 12:00:02.400 warn  restart in 400 ms as attempt 4: FTS-3001 no (src/job.ts:3); the same failure 3 times in a row: \`flink-ts cancel\` ends the job; with \`-D restart-strategy.type=none\` a job ends at its first failure
      err| 12:00:02.400 info  restored from checkpoint 3 (attempt 2)
      err| 12:00:02.500 info  savepoint 4 completed in 12 ms, 2.0 KiB: /s/4
      err| 12:00:02.600 info  job is FINISHED (attempt 2)
      "
    `)
  })

  test('says that the job is alive after half a minute of silence', () => {
    const { logger, show, text } = record()
    show(0, { kind: 'jobStatus', jobId: 'j', status: 'RUNNING', attempt: 1 })
    logger.tick(start + 29_000)
    logger.tick(start + 30_000)
    logger.tick(start + 31_000)
    expect(text()).toMatchInlineSnapshot(`
      "err| 12:00:00.000 info  job is RUNNING
      err| 12:00:30.000 info  running for 30.0 s, 0 records emitted by all tasks
      "
    `)
  })
})
