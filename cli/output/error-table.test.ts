/** Every error that a person may see, as it is printed. Read it as a page: is each clear, and does each say what to do? */
import { expect, test } from 'vitest'
import { errorTable, FlinkError, type ErrorCode, type ErrorOptions } from '../../runtime/core/errors.ts'
import { errorToData } from '../../runtime/core/errors.ts'
import { formatError, errorToJson, formatBug } from './error-text.ts'
import { exitCodesPage } from './exit-codes.ts'
import { coloured } from './colour.ts'

const source = ["import { job } from 'flink-ts'", '', 'export default job("orders", env => {', '  env.fromData([1]).map(n => n.toFixed(200)).print()', '})'].join('\n')
const at = { file: 'src/job.ts', line: 4, column: 28 }

/** One real-looking example per code: `Record` makes a new code without an example a compile error. */
const examples: Record<ErrorCode, readonly [message: string, options?: ErrorOptions]> = {
  INVALID_DURATION: ['window size: "1 hour" is not a duration', { at }],
  INVALID_OPTION: ['--parallelism: "two" is not a whole number'],
  UNKNOWN_CONFIG_KEY: ['-D state.backnd.type: there is no such key; did you mean "state.backend.type"?'],
  JOB_NOT_FOUND: ['no job "flights" runs here'],
  NO_CLUSTER: ['no cluster runs for this project'],
  BUNDLE_FAILED: ['could not bundle src/job.ts: Expected ")" but found "}"', { at }],
  JOB_FILE_NOT_FOUND: ['src/jbo.ts: no such file; did you mean "src/job.ts"?'],
  NO_JOB_EXPORT: ['src/job.ts has no job as its default export'],
  JOB_BUILD_FAILED: ['building the job failed: env.fromKafka is not a function', { at }],
  INVALID_GRAPH: ['parallelism 4 of "Map" exceeds its max parallelism 2', { at }],
  DUPLICATE_UID: ['two operators have the uid "counter"', { at }],
  NONDETERMINISTIC_GRAPH: ['slot 1 built another job than the client', { detail: 'First difference: operator 3 is "Map 0.71" here and "Map 0.13" there.' }],
  EMPTY_JOB: ['the job "orders" has no operators'],
  USER_CODE_FAILED: ['map of "Map": toFixed() digits argument must be between 0 and 100', { at }],
  JOB_FAILED: ['the job failed'],
  MALFORMED_RECORD: ['flights/a.csv, line 12: "delay" is not a number: "n/a"'],
  UNSUPPORTED_VALUE: ['a record of "Map" cannot travel: record.user.connection is a Socket'],
  INVALID_KEY: ['keyBy of "orders": a function is not a key', { at, detail: 'At record.customer.' }],
  MISSING_TIMESTAMP: ['"window" needs event time, and a record had no timestamp', { at }],
  INPUT_NOT_FOUND: ['flights/*.csv matches no file'],
  INPUT_CHANGED: ['flights/a.csv is shorter than its position in checkpoint 12'],
  RECORD_TOO_LARGE: ['flights/a.csv, line 12 is longer than 16 MiB'],
  SNAPSHOT_CORRUPT: ['savepoint-1/0-1.state: checksum differs'],
  SNAPSHOT_NOT_FOUND: ['savepoint-9: no such snapshot'],
  SNAPSHOT_INCOMPATIBLE: [
    'savepoint "savepoint-1" does not fit this job',
    { detail: 'Operator "count-per-user" has state in the savepoint but is not in the job.' },
  ],
  SNAPSHOT_VERSION: ['savepoint-1 has format 7; this version reads up to 1'],
  STATE_INCOMPATIBLE: ['state "seen" of "counter" was a value and is a map now'],
  DISK_FULL: ['no space left for checkpoint 12'],
  STORAGE_FAILED: ['could not write .flink-ts/checkpoints: permission denied'],
  SOCKET_PATH_TOO_LONG: ['the socket path has 131 bytes; 103 are possible'],
  NOT_ENOUGH_SLOTS: ['the job needs 4 slots and the cluster has 2'],
  PROCESS_LOST: ['TaskManager tm-1 (process 4711) was ended by SIGKILL'],
  OUT_OF_MEMORY: ['TaskManager tm-1 used 2.1 GiB and was stopped; its limit is 2 GiB'],
  CHECKPOINT_FAILED: ['checkpoint 12 expired after 10 min'],
  SAVEPOINT_FAILED: ['the savepoint could not be taken: task "Map (1/2)" finished'],
  UNSUPPORTED_NODE: ['flink-ts needs Node 22.22 or later; this is v18.0.0'],
  PROJECT_BUSY: ['another cluster runs in this project (process 4711)'],
  TARGET_NOT_EMPTY: ['my-job is not empty'],
}

test('each error says what, where and what to do', () => {
  const page = (Object.keys(errorTable) as ErrorCode[])
    .map(code => formatError(errorToData(new FlinkError(code, ...examples[code]), code), { projectDirectory: '/project', readSource: () => source }))
    .join('\n\n')
  expect(page).toMatchSnapshot()
})

test('codes are four digits, and no two share one', () => {
  const numbers = Object.values(errorTable).map(row => row.number)
  expect(new Set(numbers).size).toBe(numbers.length)
  for (const number of numbers) expect(number).toBeGreaterThanOrEqual(1000)
  for (const number of numbers) expect(number).toBeLessThanOrEqual(9999)
})

test('the exit codes are one page', () => {
  expect(exitCodesPage()).toMatchSnapshot()
})

test('an error from user data cannot reach the terminal with an escape sequence', () => {
  const evil = '\u001b]0;owned\u0007\u001b[2J\u202e'
  const text = formatError({ code: 'USER_CODE_FAILED', message: evil, detail: evil, hint: evil, stack: evil, at: { file: evil, line: 1 } }, { verbose: true, readSource: () => evil })
  expect(text).not.toMatch(/[\u001b\u0007\u202e]/)
  const colouredText = formatError({ code: 'USER_CODE_FAILED', message: evil, at: { file: evil, line: 1 } }, { paint: coloured, readSource: () => evil })
  // oxlint-disable-next-line no-control-regex
  expect(colouredText.replaceAll(/\u001b\[\d+m/g, '')).not.toMatch(/[\u001b\u0007\u202e]/)
})

test('a stack is shown when asked for', () => {
  const data = { code: 'USER_CODE_FAILED', message: 'no', stack: 'Error: no\n    at src/job.ts:4:2' } as const
  expect(formatError(data)).not.toContain('at src/job.ts:4:2')
  expect(formatError(data, { verbose: true })).toContain('at src/job.ts:4:2')
})

test('as JSON an error has the same shape whoever threw it', () => {
  expect(errorToJson(new FlinkError('JOB_NOT_FOUND', 'no job "x" runs here'))).toMatchInlineSnapshot(`
    {
      "error": {
        "at": undefined,
        "code": "JOB_NOT_FOUND",
        "detail": undefined,
        "exitCode": 6,
        "hint": "See \`flink-ts list\` for the jobs of this project.",
        "message": "no job "x" runs here",
        "number": "FTS-1004",
      },
      "schemaVersion": 1,
    }
  `)
  expect(errorToJson(new TypeError('x is not a function'))).toMatchInlineSnapshot(`
    {
      "error": {
        "code": "INTERNAL",
        "exitCode": 70,
        "message": "x is not a function",
      },
      "schemaVersion": 1,
    }
  `)
  expect(formatBug(new TypeError('x is not a function'))).toContain('this is a bug of flink-ts')
})
