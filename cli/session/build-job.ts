/** For `run`: bundles the job here and has it built by the cluster that is going to run it. */
import { relative } from 'node:path'
import type { LocalCluster } from '../../runtime/deploy/local-cluster.ts'
import type { JobConfig } from '../../runtime/graph/config.ts'
import type { JobGraph } from '../../runtime/graph/job-graph.ts'
import { bundleOnce, type JobBundle } from '../bundle/bundle-job.ts'
import { findJobFile } from '../bundle/job-file.ts'
import { refusalOf } from '../bundle/refusal.ts'

export interface BuildJobOptions {
  readonly projectDirectory: string
  /** As the user named it; undefined for the project's own. */
  readonly jobFile: string | undefined
  readonly config: JobConfig
  /** A bundle in a shape that profiles understand. */
  readonly profiled: boolean
  readonly cluster: LocalCluster
  readonly signal: AbortSignal
  /** What the module prints while it is evaluated. */
  readonly onOutput: (text: string) => void
}
export interface BuiltJob {
  readonly bundle: JobBundle
  readonly graph: JobGraph
}

/** @throws {FlinkError} with the user's line where there is one; the reason of `signal` when aborted */
export async function buildJob({ projectDirectory, jobFile: named, config, profiled, cluster, signal, onOutput }: BuildJobOptions): Promise<BuiltJob> {
  const jobFile = findJobFile(projectDirectory, named)
  const bundle = await bundleOnce({ projectDirectory, jobFile, profiled })
  signal.throwIfAborted()
  const answer = await cluster.compile({ bundlePath: bundle.path, jobFile: relative(projectDirectory, jobFile), config }, onOutput, signal)
  if (answer.kind !== 'compiled') throw refusalOf(answer, bundle)
  return { bundle, graph: answer.graph }
}
