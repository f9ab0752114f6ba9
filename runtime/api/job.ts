/**
 * A job as a module exports it, and how it becomes data. The client, the coordinator and every slot evaluate the same
 * bundle and get the same transformations with the same ids; the hash of the job graph proves it.
 */
import { FlinkError } from '../core/errors.ts'
import type { JobDefinition } from '../graph/transformation.ts'
import { JobBuilder } from './builder.ts'
import { StreamExecutionEnvironment } from './environment.ts'
import { errorPosition } from './position.ts'
import { functionOption, textOption } from './refuse.ts'

/** What stands after `--` on the command line: `--input a.csv` is `args.input`, a bare `--flag` is `'true'`. */
export type JobArguments = Readonly<Record<string, string>>

export interface Job {
  readonly kind: 'job'
  readonly name: string
  /** @internal */
  readonly define: (env: StreamExecutionEnvironment, args: JobArguments) => void
}

/**
 * Declares a job; export it as the default of its module. `define` is called once in every process and must build the
 * same streams each time: no clock, no chance, nothing asynchronous, only `args`.
 *
 * @example
 * export default job('word count', (env, args) => {
 *   env.fromData([args.text ?? 'to be or not to be']).flatMap(line => line.split(' ')).print()
 * })
 */
export function job(name: string, define: (env: StreamExecutionEnvironment, args: JobArguments) => void): Job {
  textOption(name, 'job')
  functionOption(define, 'job')
  return Object.freeze({ kind: 'job', name, define })
}

/** Whether what a module exports is a job. */
export function isJob(value: unknown): value is Job {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'job' && 'define' in value && typeof value.define === 'function'
}

/**
 * Runs the user's function once and gives the frozen transformations. Throws what the API refused as it is, and whatever
 * else the function threw as JOB_BUILD_FAILED with the user's line.
 */
export function evaluateJob(job: Job, args: JobArguments = {}): JobDefinition {
  const builder = new JobBuilder(job.name)
  let returned: unknown
  try {
    returned = job.define(new StreamExecutionEnvironment(builder), Object.freeze({ ...args }))
  } catch (error) {
    throw buildError(job.name, error)
  }
  if (typeof returned === 'object' && returned !== null && 'then' in returned) {
    throw new FlinkError('JOB_BUILD_FAILED', `building job "${job.name}" is asynchronous`, {
      hint: 'The function given to job(...) must not be async: read files and services in a source, or at the top of the module.',
    })
  }
  return builder.finish()
}

function buildError(name: string, error: unknown): FlinkError {
  const at = errorPosition(error)
  if (error instanceof FlinkError) {
    if (error.at !== undefined || at === undefined) return error
    return new FlinkError(error.code, error.message, { hint: error.hint, at, cause: error, ...(error.detail === undefined ? {} : { detail: error.detail }) })
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return new FlinkError('JOB_BUILD_FAILED', `building job "${name}" failed: ${message}`, { cause: error, ...(at === undefined ? {} : { at }) })
}
