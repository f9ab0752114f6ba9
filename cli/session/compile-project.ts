/** From a project directory to a job graph: find the job file, bundle it, evaluate it. */
import type { JobConfig } from '../../runtime/graph/config.ts'
import type { JobGraph } from '../../runtime/graph/job-graph.ts'
import { bundleOnce, type JobBundle } from '../bundle/bundle-job.ts'
import { openCompiler } from '../bundle/compile-job.ts'
import { findJobFile } from '../bundle/job-file.ts'

export interface CompileProjectOptions {
  readonly projectDirectory: string
  /** As the user named it; undefined for the project's own. */
  readonly jobFile: string | undefined
  readonly config: JobConfig
  readonly generated?: boolean
  readonly signal?: AbortSignal
  /** What the module prints while it is evaluated. */
  readonly onOutput?: (text: string) => void
}
export interface CompiledProject {
  readonly bundle: JobBundle
  readonly graph: JobGraph
  /** The stages of the job as text. */
  readonly explanation: string
  /** Where it was asked for: the code that would be generated. */
  readonly generated?: string
  readonly bundleMillis: number
  readonly compileMillis: number
}

/** For `explain`, without a cluster. @throws {FlinkError} with the user's line where there is one; the reason of `signal` when aborted */
export async function compileProject({ projectDirectory, jobFile: named, config, generated: wanted, signal, onOutput }: CompileProjectOptions): Promise<CompiledProject> {
  const jobFile = findJobFile(projectDirectory, named)
  const started = performance.now()
  const compiler = openCompiler()
  try {
    const bundle = await bundleOnce({ projectDirectory, jobFile })
    const bundled = performance.now()
    const { graph, explanation, generated } = await compiler.compile({ bundle, projectDirectory, jobFile, config, generated: wanted === true, ...(signal === undefined ? {} : { signal }), ...(onOutput === undefined ? {} : { onOutput }) })
    return { bundle, graph, explanation, ...(generated === undefined ? {} : { generated }), bundleMillis: bundled - started, compileMillis: performance.now() - bundled }
  } finally {
    compiler.close()
  }
}
