/** Every error that a person may see, as it is printed. Read it as a page: is each clear, and does each say what to do? */
import { expect, test } from 'vitest'
import { errorTable, FlinkError, type ErrorCode, type ErrorOptions } from '../../runtime/core/errors.ts'
import { errorToData } from '../../runtime/core/errors.ts'
import { formatError, errorToJson, formatBug } from './error-text.ts'
import { exitCodesPage } from './exit-codes.ts'
import { coloured } from './colour.ts'

const source = ["import { job } from 'flink-ts'", '', 'export default job("orders", env => {', '  env.fromData([1]).map(n => n.toFixed(200)).print()', '})'].join('\n')
const at = { file: 'src/job.ts', line: 4, column: 28 }

/** What the code really says, one example per code: `Record` makes a new code without an example a compile error. */
const examples: Record<ErrorCode, readonly [message: string, options?: ErrorOptions]> = {
  INVALID_DURATION: ['tumbling: size: "1 hour" is not a duration', { at }],
  INVALID_OPTION: ['state.backend.type: "rocksdb" is not allowed', { hint: 'It takes lmdb or hashmap.' }],
  UNKNOWN_CONFIG_KEY: ['-D state.backnd.type: there is no such key; did you mean "state.backend.type"?'],
  JOB_NOT_FOUND: ['there is no job 3e5f9a6c2b7d41e88a0c5d2f96b1e374'],
  NO_CLUSTER: ['no cluster runs in /project'],
  BUNDLE_FAILED: ['could not bundle src/job.ts: Expected ")" but found "}"', { at }],
  JOB_FILE_NOT_FOUND: ['src/jbo.ts: no such file; did you mean "src/job.ts"?'],
  NO_JOB_EXPORT: ['src/job.ts has no default export'],
  JOB_BUILD_FAILED: ['building job "orders" failed: env.fromKafka is not a function', { at }],
  INVALID_GRAPH: ['"Map": parallelism 4 is above its max parallelism 2', { at }],
  DUPLICATE_UID: ['uid "counter" is used twice', { at }],
  NONDETERMINISTIC_GRAPH: ['job "orders" was built differently in slot 1', { detail: 'Its graph has the hash 68f2b3c43a333901afd28b637121ecd2 here, and 029bbd41b3a7d8cb191dae486a901e5b where it was submitted.' }],
  EMPTY_JOB: ['job "orders" has no sink', { at }],
  USER_CODE_FAILED: ['map "Map" threw: toFixed() digits argument must be between 0 and 100', { at }],
  JOB_FAILED: ['the savepoint of a stop with drain failed after Source: orders had ended its event time'],
  MALFORMED_RECORD: ['flights/a.csv:12 is not csv: column delay: "n/a" is not a number'],
  UNSUPPORTED_VALUE: ['record: a promise cannot be sent or kept', { detail: 'Found at record.user.connection.' }],
  INVALID_KEY: ["keyBy('customer') of \"orders\": a function cannot be a key", { at, detail: 'Found at key.owner.' }],
  MISSING_TIMESTAMP: ['timestamps "times": its timestamp function returned undefined', { at }],
  INPUT_NOT_FOUND: ['no file matches "flights/*.csv"', { detail: 'Looked for /project/flights/*.csv.' }],
  INPUT_CHANGED: ['flights/a.csv has 120 bytes, but 4711 were there when it was first read'],
  RECORD_TOO_LARGE: ['flights/a.csv:12 is longer than 16 MiB'],
  SNAPSHOT_CORRUPT: ['snapshot file 0-1-1-2.snapshot: its sha256 does not match'],
  SNAPSHOT_NOT_FOUND: ['/project/savepoint-9 holds no snapshot', { detail: 'There is no _metadata in it.' }],
  SNAPSHOT_INCOMPATIBLE: ['snapshot /project/savepoint-1 does not fit job "orders"', { detail: 'It has state of an operator that the job does not have: "gone" (uid "count-per-user").' }],
  SNAPSHOT_VERSION: ['/project/savepoint-1/_metadata: manifest version 7 is not known'],
  STATE_INCOMPATIBLE: ['state "seen" holds a single value per key and cannot be opened as a map per key'],
  DISK_FULL: ['could not write /project/out/.part-1.inprogress: no space left'],
  STORAGE_FAILED: ['could not make the directory /project/.flink-ts'],
  SOCKET_PATH_TOO_LONG: ['the path of a socket would have 131 bytes, more than 103: /a/long/one/control.sock'],
  NOT_ENOUGH_SLOTS: ['the job needs 4 slots, and they were not free within 300 s'],
  PROCESS_LOST: ['tm-1 ended unexpectedly (SIGKILL)', { detail: 'Its log is /project/.flink-ts/logs/tm-1.log.' }],
  OUT_OF_MEMORY: ['tm-1 uses 2150 MB of memory, more than taskmanager.memory allows (2048 MB)'],
  CHECKPOINT_FAILED: ['checkpoint 12 expired after 600000 ms: 1 of 4 tasks did not acknowledge'],
  SAVEPOINT_FAILED: ['stop with savepoint failed: checkpoint 12 expired after 600000 ms: 1 of 4 tasks did not acknowledge'],
  UNSUPPORTED_NODE: ['flink-ts needs Node 22.22 or later; this is v18.0.0 (/usr/bin/node)'],
  PROJECT_BUSY: ['the project is in use by process 4711', { detail: 'It holds /project/.flink-ts/lock.' }],
  TARGET_NOT_EMPTY: ['my-job is not empty', { detail: 'It holds package.json, src.' }],
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
