/**
 * Evaluates a job's bundle. Every slot and every coordinator evaluates a copy of its own, so that variables at the top of
 * the user's module are never shared: `copy` makes the URL unique where several copies live in one thread.
 */
import { pathToFileURL } from 'node:url'
import { evaluateJob, isJob } from '../api/job.ts'
import { errorPosition } from '../api/position.ts'
import { FlinkError } from '../core/errors.ts'
import type { JobDefinition } from '../graph/transformation.ts'

/**
 * @param bundlePath absolute path of an ES module that exports the job as its default
 * @param copy any text that is different for each slot and attempt
 * @throws {FlinkError} JOB_FILE_NOT_FOUND, NO_JOB_EXPORT, JOB_BUILD_FAILED and what the API refuses
 */
export async function loadJobDefinition(bundlePath: string, args: Readonly<Record<string, string>>, copy?: string): Promise<JobDefinition> {
  const url = pathToFileURL(bundlePath)
  if (copy !== undefined) url.searchParams.set('copy', copy)
  let module: { readonly default?: unknown }
  try {
    module = await import(url.href)
  } catch (error) {
    throw importError(bundlePath, url.href, error)
  }
  if (!isJob(module.default)) throw new FlinkError('NO_JOB_EXPORT', `${bundlePath} does not export a job as its default`)
  return evaluateJob(module.default, args)
}

function importError(bundlePath: string, url: string, error: unknown): FlinkError {
  if (error instanceof FlinkError) return error
  const { code, message } = error as { readonly code?: string; readonly message?: string }
  if (code === 'ERR_MODULE_NOT_FOUND' && (error as { readonly url?: string }).url === url) {
    return new FlinkError('JOB_FILE_NOT_FOUND', `the bundle ${bundlePath} is not there`, { cause: error })
  }
  const at = errorPosition(error)
  return new FlinkError('JOB_BUILD_FAILED', `loading the job failed: ${message ?? String(error)}`, { cause: error, ...(at === undefined ? {} : { at }) })
}
