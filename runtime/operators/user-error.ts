/**
 * Errors out of user code, made fit to be shown: which operator, what was thrown, and the line of the user's file. An
 * error that has a code already (`FlinkError`) and a bug of our own pass as they are.
 */
import { AssertionFailure } from '../core/assert.ts'
import { FlinkError, type SourcePosition } from '../core/errors.ts'
import type { JobOperator } from '../graph/job-graph.ts'
import type { OperatorTransformation } from '../graph/transformation.ts'
import type { ChainContext } from './chain.ts'

/** What an error has to be able to say about the operator that threw. */
export interface Blame {
  /** The kind as users know it: `map`, `keyBy`, `sink` ... */
  readonly kind: string
  readonly name: string
  readonly at: SourcePosition | undefined
  /** Frames of the stack below this directory are the user's. */
  readonly projectDirectory: string
}

/** `map "double"`, at the line where the operator was built. */
export function blameOf(context: ChainContext, operator: JobOperator, transformation: OperatorTransformation, kind: string = transformation.kind): Blame {
  return {
    kind,
    name: operator.name,
    // Found out when there is an error.
    get at() {
      return transformation.at ?? operator.at
    },
    projectDirectory: context.projectDirectory,
  }
}

export function userError(error: unknown, blame: Blame): unknown {
  if (error instanceof FlinkError || error instanceof AssertionFailure) return error
  const message = error instanceof Error ? error.message : describe(error)
  const at = (error instanceof Error ? userFrame(error.stack, blame.projectDirectory) : undefined) ?? blame.at
  return new FlinkError('USER_CODE_FAILED', `${blame.kind} ${JSON.stringify(blame.name)} threw: ${message}`, { cause: error, ...(at === undefined ? {} : { at }) })
}

/** What went wrong while a key was taken: the selector threw, or what it returned cannot be a key. */
export function keyError(error: unknown, blame: Blame): unknown {
  if (!(error instanceof FlinkError) || error.code !== 'INVALID_KEY') return userError(error, blame)
  const { detail, hint, at = blame.at } = error
  return new FlinkError('INVALID_KEY', `${blame.kind} ${JSON.stringify(blame.name)}: ${error.message}`, {
    cause: error,
    hint,
    ...(detail === undefined ? {} : { detail }),
    ...(at === undefined ? {} : { at }),
  })
}

/** What a timestamp function (or whoever else gives timestamps) returned is no timestamp. */
export function invalidTimestamp(got: unknown, blame: Blame, giver = 'its timestamp function'): FlinkError {
  return missingTimestamp(`${giver} returned ${describe(got)}`, blame, 'A timestamp is a whole number of epoch milliseconds, for example Date.parse(record.time).')
}

/** `hint` where the usual one, to give the stream timestamps, is of no use. */
export function missingTimestamp(what: string, blame: Blame, hint?: string): FlinkError {
  return new FlinkError('MISSING_TIMESTAMP', `${blame.kind} ${JSON.stringify(blame.name)}: ${what}`, { ...(blame.at !== undefined && { at: blame.at }), ...(hint !== undefined && { hint }) })
}

function describe(value: unknown): string {
  try {
    return typeof value === 'string' ? JSON.stringify(value) : String(value)
  } catch {
    // Thrown objects may have a `toString` that throws, or no prototype.
    return `a value of type ${typeof value}`
  }
}

/** `at fn (file:///project/src/job.ts:12:5)` and `at /project/src/job.ts:12:5`. */
const framePattern = /^\s*at (?:.*?\()?(?:file:\/\/)?(\/[^()]*?):(\d+):(\d+)\)?$/

/** The innermost frame of the user's own files: below the project, not in an installed package. Needs source maps to be on for `.ts` lines. */
export function userFrame(stack: string | undefined, projectDirectory: string): SourcePosition | undefined {
  if (stack === undefined) return undefined
  const root = projectDirectory.endsWith('/') ? projectDirectory : `${projectDirectory}/`
  for (const line of stack.split('\n')) {
    const match = framePattern.exec(line)
    if (match === null) continue
    const file = decodePath(match[1] as string)
    if (!file.startsWith(root) || file.includes('/node_modules/')) continue
    return { file, line: Number(match[2]), column: Number(match[3]) }
  }
  return undefined
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
