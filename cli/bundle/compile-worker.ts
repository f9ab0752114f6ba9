/**
 * A worker thread that evaluates a job's bundle and translates it to a job graph. User code runs here and not in the
 * CLI's own thread, because a module may loop for ever at its top: the CLI must still hear Ctrl-C and can end the worker.
 *
 * It is started before there is a bundle, and told what to compile when there is one.
 */
import { setSourceMapsSupport } from 'node:module'
import { pathToFileURL } from 'node:url'
import { parentPort } from 'node:worker_threads'
import { assert } from '../../runtime/core/assert.ts'
import { errorToData, FlinkError, type ErrorData } from '../../runtime/core/errors.ts'
import { evaluateJob, isJob } from '../../runtime/api/job.ts'
import { errorPosition } from '../../runtime/api/position.ts'
import type { JobConfig } from '../../runtime/graph/config.ts'
import { explain } from '../../runtime/graph/explain.ts'
import type { JobGraph } from '../../runtime/graph/job-graph.ts'
import { executionPlan } from '../../runtime/graph/plan.ts'
import { translate } from '../../runtime/graph/translate.ts'

export interface CompileRequest {
  readonly bundlePath: string
  /** As the user named it, for messages. */
  readonly jobFile: string
  readonly config: JobConfig
  /** The code that would be generated, for `explain --generated`. */
  readonly generated: boolean
}
export type CompileAnswer =
  | { readonly kind: 'compiled'; readonly graph: JobGraph; readonly explanation: string; readonly generated?: string }
  | { readonly kind: 'refused'; readonly error: ErrorData }
  /** A package that the job imports is not installed. */
  | { readonly kind: 'packageMissing'; readonly specifier: string }

const port = parentPort
assert(port !== null, 'compile-worker.ts runs in a worker thread')

async function compile({ bundlePath, jobFile, config, generated }: CompileRequest): Promise<CompileAnswer> {
  // From here on stacks name the user's files. Our own files have no maps to load before that.
  setSourceMapsSupport(true, { nodeModules: false, generatedCode: false })
  let exported: unknown
  try {
    exported = ((await import(pathToFileURL(bundlePath).href)) as { default?: unknown }).default
  } catch (error) {
    const specifier = missingPackage(error)
    if (specifier !== undefined) return { kind: 'packageMissing', specifier }
    return { kind: 'refused', error: moduleError(error, jobFile) }
  }
  if (!isJob(exported)) {
    const what = exported === undefined ? 'has no default export' : 'has a default export that is not a job'
    return { kind: 'refused', error: errorToData(new FlinkError('NO_JOB_EXPORT', `${jobFile} ${what}`), 'NO_JOB_EXPORT') }
  }
  try {
    const definition = evaluateJob(exported, config.args)
    const graph = translate(definition, config)
    const explanation = explain(definition, graph, executionPlan(graph))
    if (!generated) return { kind: 'compiled', graph, explanation }
    const { showGenerated } = await import('../../runtime/operators/fusion/show-generated.ts')
    return { kind: 'compiled', graph, explanation, generated: showGenerated(definition, graph) }
  } catch (error) {
    return { kind: 'refused', error: errorToData(error, 'JOB_BUILD_FAILED') }
  }
}

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

port.once('message', (request: CompileRequest) => void compile(request).then(answer => port.postMessage(answer)))
