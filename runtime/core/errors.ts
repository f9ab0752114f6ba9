/**
 * Every error that a person may see, in one table. An error has a code that never changes, a message that names the
 * thing (lowercase, no period), a detail and a hint that says how to mend it; for user code also the `.ts` line. The
 * exit code of the process follows from the code. Bugs of our own are assertions (`assert.ts`), not rows here.
 */

/** What the process ends with. `flink-ts help exit-codes` prints this table. */
export const exitCodes = {
  ok: 0,
  jobFailed: 1,
  usage: 2,
  build: 3,
  restore: 4,
  environment: 5,
  notFound: 6,
  badInput: 7,
  badValue: 8,
  internal: 70,
  unknownCommand: 127,
  interrupted: 130,
} as const
export type ExitName = keyof typeof exitCodes

interface ErrorRow {
  /** Stable number, `FTS-` in front when shown. */
  readonly number: number
  readonly exit: ExitName
  /** How to mend it, as a sentence. Shown unless the thrower gives a better one. */
  readonly hint: string
}

/** Add a row for a new mistake; never reuse a number. Snapshot-tested with an example message each. */
export const errorTable = {
  // 1xxx: usage
  INVALID_DURATION: { number: 1001, exit: 'usage', hint: "Write milliseconds, or text such as '100 ms', '5 s', '10 min', '1 h', '7 d'." },
  INVALID_OPTION: { number: 1002, exit: 'usage', hint: 'See --help for the values that are allowed.' },
  UNKNOWN_CONFIG_KEY: { number: 1003, exit: 'usage', hint: 'See `flink-ts help config` for all keys.' },
  JOB_NOT_FOUND: { number: 1004, exit: 'notFound', hint: 'See `flink-ts list` for the jobs of this project.' },
  NO_CLUSTER: { number: 1005, exit: 'notFound', hint: 'Start a job with `flink-ts run` in this project, or name its directory with --project.' },
  // 2xxx: building the job
  BUNDLE_FAILED: { number: 2001, exit: 'build', hint: 'Mend the line above and run it again.' },
  JOB_FILE_NOT_FOUND: { number: 2002, exit: 'build', hint: 'Name the file that exports your job: flink-ts run src/job.ts.' },
  NO_JOB_EXPORT: { number: 2003, exit: 'build', hint: "Export your job as the default: export default job('name', env => { ... })." },
  JOB_BUILD_FAILED: { number: 2004, exit: 'build', hint: 'The function given to job(...) threw; see the line above.' },
  INVALID_GRAPH: { number: 2005, exit: 'build', hint: 'Mend the job where the message points.' },
  DUPLICATE_UID: { number: 2006, exit: 'build', hint: 'Give every operator its own .uid(...).' },
  NONDETERMINISTIC_GRAPH: { number: 2007, exit: 'build', hint: 'Building the job must not depend on the clock, on chance or on the machine; read such things inside functions, or pass them as arguments after `--`.' },
  EMPTY_JOB: { number: 2008, exit: 'build', hint: 'A job needs a source and a sink, for example env.fromData([1, 2, 3]).print().' },
  // 3xxx: running user code and data
  USER_CODE_FAILED: { number: 3001, exit: 'jobFailed', hint: 'Mend the function at the line above. `flink-ts run -s <path>` goes on from a savepoint, or from the last checkpoint of the job that failed.' },
  JOB_FAILED: { number: 3002, exit: 'jobFailed', hint: 'See the cause above.' },
  MALFORMED_RECORD: { number: 3003, exit: 'badInput', hint: 'Mend the line in the file, or change the format of the source.' },
  UNSUPPORTED_VALUE: { number: 3004, exit: 'badValue', hint: 'Records and state hold plain data: null, booleans, numbers, bigints, text, Date, Map, Set, typed arrays, arrays and plain objects.' },
  INVALID_KEY: { number: 3005, exit: 'badValue', hint: 'A key is a finite choice of text, number, bigint, boolean, or an array or plain object of these.' },
  MISSING_TIMESTAMP: { number: 3006, exit: 'jobFailed', hint: 'Give the stream timestamps: fromSource(source, { timestamp: r => r.time, watermark: ... }) or .assignTimestampsAndWatermarks(...).' },
  INPUT_NOT_FOUND: { number: 3007, exit: 'badInput', hint: 'Check the path of the source; it is relative to the project directory.' },
  INPUT_CHANGED: { number: 3008, exit: 'badInput', hint: 'A file that a checkpoint points into was changed or removed; restore it, or start without the savepoint.' },
  RECORD_TOO_LARGE: { number: 3009, exit: 'badInput', hint: 'Split the record; the limit is 16 MiB.' },
  // 4xxx: snapshots
  SNAPSHOT_CORRUPT: { number: 4001, exit: 'restore', hint: 'The file named above is damaged. Use another savepoint or checkpoint.' },
  SNAPSHOT_NOT_FOUND: { number: 4002, exit: 'restore', hint: 'Name the directory that `flink-ts savepoint` or `flink-ts stop` printed.' },
  SNAPSHOT_INCOMPATIBLE: { number: 4003, exit: 'restore', hint: 'Give the operator its old uid with .uid(...), or run with --allow-non-restored-state to drop its state.' },
  SNAPSHOT_VERSION: { number: 4004, exit: 'restore', hint: 'The snapshot was written by another version of flink-ts; use that version.' },
  STATE_INCOMPATIBLE: { number: 4005, exit: 'restore', hint: 'The kind or type of a declared state changed; give it a new name or take the old declaration back.' },
  // 5xxx: machine
  DISK_FULL: { number: 5001, exit: 'environment', hint: 'Free some space and run it again; nothing that was committed is lost.' },
  STORAGE_FAILED: { number: 5002, exit: 'environment', hint: 'Check the directory and its permissions; nothing that was committed is lost.' },
  SOCKET_PATH_TOO_LONG: { number: 5003, exit: 'environment', hint: 'Set FLINK_TS_RUN_DIR to a directory with a shorter name.' },
  NOT_ENOUGH_SLOTS: { number: 5004, exit: 'environment', hint: 'Lower --parallelism, or raise --taskmanagers or --slots.' },
  PROCESS_LOST: { number: 5005, exit: 'environment', hint: 'See the log of the process; the machine may be out of memory.' },
  OUT_OF_MEMORY: { number: 5006, exit: 'environment', hint: 'Raise -D taskmanager.memory, or use the lmdb state backend.' },
  CHECKPOINT_FAILED: { number: 5007, exit: 'jobFailed', hint: 'See the cause above; raise -D execution.checkpointing.tolerable-failed-checkpoints to let the job go on.' },
  SAVEPOINT_FAILED: { number: 5008, exit: 'jobFailed', hint: 'See the cause above. The job itself was not changed.' },
  UNSUPPORTED_NODE: { number: 5009, exit: 'environment', hint: 'Install Node 22.22 or later.' },
  PROJECT_BUSY: { number: 5010, exit: 'environment', hint: 'Another run uses this project; stop it, or use another directory.' },
  TARGET_NOT_EMPTY: { number: 5011, exit: 'usage', hint: 'Choose another name, or an empty directory.' },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

/** Where in user code: a `.ts` file as the user wrote it. */
export interface SourcePosition {
  readonly file: string
  readonly line: number
  readonly column?: number
}

export interface ErrorOptions {
  readonly detail?: string
  readonly hint?: string
  readonly at?: SourcePosition
  readonly cause?: unknown
}

/**
 * An error for the person at the keyboard.
 *
 * @example
 * throw new FlinkError('INVALID_KEY', 'keyBy of "orders": a function is not a key', { detail: 'At record.customer.', at })
 */
export class FlinkError extends Error {
  override readonly name = 'FlinkError'
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly hint: string
  readonly at: SourcePosition | undefined

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.detail = options.detail
    this.hint = options.hint ?? errorTable[code].hint
    this.at = options.at
  }

  get exitCode(): number {
    return exitCodes[errorTable[this.code].exit]
  }
}

/** An error as it crosses a process boundary: plain data, rebuilt with `errorFromData`. */
export interface ErrorData {
  readonly code: ErrorCode
  readonly message: string
  readonly detail?: string
  readonly hint?: string
  readonly at?: SourcePosition
  /** Stack of the root cause, already mapped to the user's sources where that was possible. */
  readonly stack?: string
}

/** Turns anything thrown into data; `fallback` is the code for an error that is not ours. */
export function errorToData(error: unknown, fallback: ErrorCode): ErrorData {
  if (error instanceof FlinkError) {
    const cause = error.cause instanceof Error ? error.cause.stack : undefined
    return {
      code: error.code,
      message: error.message,
      ...(error.detail === undefined ? {} : { detail: error.detail }),
      hint: error.hint,
      ...(error.at === undefined ? {} : { at: error.at }),
      ...(cause === undefined ? {} : { stack: cause }),
    }
  }
  if (error instanceof Error) {
    return { code: fallback, message: error.message, ...(error.stack === undefined ? {} : { stack: error.stack }) }
  }
  return { code: fallback, message: String(error) }
}

export function errorFromData(data: ErrorData): FlinkError {
  let cause: Error | undefined
  if (data.stack !== undefined) {
    cause = new Error(data.message)
    cause.stack = data.stack
  }
  return new FlinkError(data.code, data.message, {
    ...(data.detail === undefined ? {} : { detail: data.detail }),
    ...(data.hint === undefined ? {} : { hint: data.hint }),
    ...(data.at === undefined ? {} : { at: data.at }),
    ...(cause === undefined ? {} : { cause }),
  })
}
