/** Runs `compile-worker.ts` and waits for its answer; the caller may give up at any moment. */
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { Worker } from 'node:worker_threads'
import { errorFromData, errorToData, FlinkError } from '../../runtime/core/errors.ts'
import type { JobConfig } from '../../runtime/graph/config.ts'
import type { JobGraph } from '../../runtime/graph/job-graph.ts'
import { importPosition, type JobBundle } from './bundle-job.ts'
import type { CompileAnswer, CompileRequest } from './compile-worker.ts'
import { entryUrl } from './installation.ts'

export interface CompileOptions {
  readonly bundle: JobBundle
  readonly projectDirectory: string
  readonly jobFile: string
  readonly config: JobConfig
  /** Ends the worker, whatever it is doing. */
  readonly signal?: AbortSignal
  /** Lines that the module prints while it is evaluated. */
  readonly onOutput?: (text: string) => void
}

/** @throws {FlinkError} what the job, its module or its graph was refused for; the reason of `signal` when aborted */
export async function compileJob(options: CompileOptions): Promise<{ readonly graph: JobGraph; readonly explanation: string }> {
  const jobFile = relative(options.projectDirectory, options.jobFile)
  const request: CompileRequest = { bundlePath: options.bundle.path, jobFile, config: options.config }
  options.signal?.throwIfAborted()
  const worker = new Worker(entryUrl('cli/bundle/compile-worker.js'), {
    workerData: request,
    execArgv: ['--enable-source-maps'],
    stdout: true,
    stderr: true,
  })
  worker.stdout.on('data', (chunk: Buffer) => options.onOutput?.(chunk.toString()))
  worker.stderr.on('data', (chunk: Buffer) => options.onOutput?.(chunk.toString()))
  try {
    const answer = await answerOf(worker, options.signal, jobFile)
    switch (answer.kind) {
      case 'compiled':
        return answer
      case 'refused':
        throw errorFromData(answer.error)
      case 'packageMissing':
        throw packageMissing(answer.specifier, options)
    }
  } finally {
    await worker.terminate()
  }
}

function answerOf(worker: Worker, signal: AbortSignal | undefined, jobFile: string): Promise<CompileAnswer> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal!.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    const settle = (act: () => void) => () => {
      signal?.removeEventListener('abort', onAbort)
      act()
    }
    worker.once('message', (answer: CompileAnswer) => settle(() => resolve(answer))())
    worker.once('error', error => settle(() => reject(errorFromData(errorToData(error, 'JOB_BUILD_FAILED'))))())
    worker.once('exit', code => settle(() => reject(new FlinkError('JOB_BUILD_FAILED', `${jobFile} ended its process with code ${code} while it was loaded`, { hint: 'A job file must only export its job; remove process.exit().' })))())
  })
}

function packageMissing(specifier: string, { bundle }: CompileOptions): FlinkError {
  const at = importPosition(bundle.inputs, specifier, file => readFileSync(file, 'utf8'))
  return new FlinkError('BUNDLE_FAILED', `package "${specifier}" is not installed`, {
    hint: `Install it: npm install ${specifier}`,
    ...(at === undefined ? {} : { at }),
  })
}
