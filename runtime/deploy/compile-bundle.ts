/**
 * From a job's bundle to its graph, and everything that can be wrong with the bundle in words. User code runs in here, so it
 * is called in threads that may be ended: that of the JobManager's enumerators for `run`, one of the command line for `explain`.
 */
import { pathToFileURL } from 'node:url'
import { evaluateJob, isJob } from '../api/job.ts'
import { errorPosition } from '../api/position.ts'
import { errorToData, FlinkError, type ErrorData } from '../core/errors.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import type { JobDefinition } from '../graph/transformation.ts'
import { translate } from '../graph/translate.ts'
import type { CompileAnswer, CompileRequest } from './process-events.ts'
import { showSources } from './source-maps.ts'

/** What was evaluated, for a thread that goes on with it. */
export interface CompiledJob {
  readonly definition: JobDefinition
  readonly graph: JobGraph
}
export interface Refused {
  readonly answer: Exclude<CompileAnswer, { kind: 'compiled' }>
  readonly job?: undefined
}

export async function compileBundle({ bundlePath, jobFile, config }: CompileRequest): Promise<Refused | { readonly answer: CompileAnswer; readonly job: CompiledJob }> {
  showSources()
  let exported: unknown
  try {
    exported = ((await import(pathToFileURL(bundlePath).href)) as { default?: unknown }).default
  } catch (error) {
    const specifier = missingPackage(error)
    if (specifier !== undefined) return { answer: { kind: 'packageMissing', specifier } }
    return refused(moduleError(error, jobFile))
  }
  if (!isJob(exported)) {
    const what = exported === undefined ? 'has no default export' : 'has a default export that is not a job'
    return refused(errorToData(new FlinkError('NO_JOB_EXPORT', `${jobFile} ${what}`), 'NO_JOB_EXPORT'))
  }
  try {
    const definition = evaluateJob(exported, config.args)
    // Plain data, as it goes on to everybody else.
    const graph = JSON.parse(JSON.stringify(translate(definition, config))) as JobGraph
    return { answer: { kind: 'compiled', graph }, job: { definition, graph } }
  } catch (error) {
    return refused(errorToData(error, 'JOB_BUILD_FAILED'))
  }
}

const refused = (error: ErrorData): Refused => ({ answer: { kind: 'refused', error } })

/** What the module threw at its top, before there was a job. */
function moduleError(error: unknown, jobFile: string): ErrorData {
  if (error instanceof FlinkError) return errorToData(error, error.code)
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const at = errorPosition(error)
  return errorToData(new FlinkError('JOB_BUILD_FAILED', `loading ${jobFile} failed: ${message}`, { hint: 'The module threw before it could export its job.', cause: error, ...(at === undefined ? {} : { at }) }), 'JOB_BUILD_FAILED')
}

function missingPackage(error: unknown): string | undefined {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') return undefined
  return /^Cannot find package '([^']+)'/.exec(error.message)?.[1]
}
