/** For `explain`: runs `compile-worker.ts` and waits for its answer; the caller may give up at any moment. */
import { relative } from 'node:path'
import { Worker } from 'node:worker_threads'
import { errorFromData, errorToData, FlinkError } from '../../runtime/core/errors.ts'
import type { JobConfig } from '../../runtime/graph/config.ts'
import type { JobGraph } from '../../runtime/graph/job-graph.ts'
import type { JobBundle } from './bundle-job.ts'
import type { ExplainAnswer, ExplainRequest } from './compile-worker.ts'
import { entryUrl } from './installation.ts'
import { refusalOf } from './refusal.ts'

export interface CompileOptions {
  readonly bundle: JobBundle
  readonly projectDirectory: string
  readonly jobFile: string
  readonly config: JobConfig
  readonly generated?: boolean
  /** Ends the worker, whatever it is doing. */
  readonly signal?: AbortSignal
  /** Lines that the module prints while it is evaluated. */
  readonly onOutput?: (text: string) => void
}

const lingerMs = 1_000

/** A thread that is started before it is needed: it takes as long to start as esbuild takes to bundle. */
export interface JobCompiler {
  /** Once. @throws {FlinkError} what the job, its module or its graph was refused for; the reason of `signal` when aborted */
  compile(options: CompileOptions): Promise<{ readonly graph: JobGraph; readonly explanation: string; readonly generated?: string }>
  /** Lets go of the thread, whatever it is doing. */
  close(): void
}

export function openCompiler(): JobCompiler {
  const worker = new Worker(entryUrl('cli/bundle/compile-worker.js'), { execArgv: [], stdout: true, stderr: true })
  // One that cannot even start has ended before anybody listens: what it said then is told when it is asked.
  let failed: FlinkError | undefined
  let compiled = false
  worker.once('error', error => (failed ??= errorFromData(errorToData(error, 'JOB_BUILD_FAILED'))))
  worker.once('exit', code => (failed ??= new FlinkError('JOB_BUILD_FAILED', `the thread that builds the job ended with code ${code} before it began`)))
  return {
    async compile(options) {
      const jobFile = relative(options.projectDirectory, options.jobFile)
      options.signal?.throwIfAborted()
      if (failed !== undefined) throw failed
      worker.stdout.on('data', (chunk: Buffer) => options.onOutput?.(chunk.toString()))
      worker.stderr.on('data', (chunk: Buffer) => options.onOutput?.(chunk.toString()))
      const answered = answerOf(worker, options.signal, jobFile)
      worker.postMessage({ bundlePath: options.bundle.path, jobFile, config: options.config, generated: options.generated === true } satisfies ExplainRequest)
      const answer = await answered
      if (answer.kind !== 'compiled') throw refusalOf(answer, options.bundle)
      compiled = true
      return answer
    },
    close() {
      // One that has answered is in nobody's way, and to take it down now would take time from the cluster that just starts.
      if (compiled) setTimeout(() => void worker.terminate(), lingerMs).unref()
      // Not waited for: it does not return while user code is in a blocking call.
      else void worker.terminate()
      worker.unref()
    },
  }
}

function answerOf(worker: Worker, signal: AbortSignal | undefined, jobFile: string): Promise<ExplainAnswer> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal!.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    const settle = (act: () => void) => () => {
      signal?.removeEventListener('abort', onAbort)
      act()
    }
    worker.once('message', (answer: ExplainAnswer) => settle(() => resolve(answer))())
    worker.once('error', error => settle(() => reject(errorFromData(errorToData(error, 'JOB_BUILD_FAILED'))))())
    worker.once('exit', code => settle(() => reject(new FlinkError('JOB_BUILD_FAILED', `${jobFile} ended its process with code ${code} while it was loaded`, { hint: 'A job file must only export its job; remove process.exit().' })))())
  })
}
