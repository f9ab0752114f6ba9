/**
 * A worker thread that builds a job for `explain`, which starts no cluster: the stages of the job as text beside its graph.
 * User code runs here and not in the CLI's own thread, because a module may loop for ever at its top: the CLI must still hear
 * Ctrl-C and can end the worker.
 *
 * It is started before there is a bundle, and told what to compile when there is one.
 */
import { parentPort } from 'node:worker_threads'
import { assert } from '../../runtime/core/assert.ts'
import { compileBundle } from '../../runtime/deploy/compile-bundle.ts'
import type { CompileAnswer, CompileRequest } from '../../runtime/deploy/process-events.ts'
import { explain } from '../../runtime/graph/explain.ts'
import { executionPlan } from '../../runtime/graph/plan.ts'

export interface ExplainRequest extends CompileRequest {
  /** The code that would be generated, for `explain --generated`. */
  readonly generated: boolean
}
export type ExplainAnswer = Exclude<CompileAnswer, { kind: 'compiled' }> | (Extract<CompileAnswer, { kind: 'compiled' }> & { readonly explanation: string; readonly generated?: string })

const port = parentPort
assert(port !== null, 'compile-worker.ts runs in a worker thread')

async function compile(request: ExplainRequest): Promise<ExplainAnswer> {
  const { answer, job } = await compileBundle(request)
  if (job === undefined) return answer
  const { definition, graph } = job
  const compiled = { kind: 'compiled', graph, explanation: explain(definition, graph, executionPlan(graph)) } as const
  if (!request.generated) return compiled
  const { showGenerated } = await import('../../runtime/operators/fusion/show-generated.ts')
  return { ...compiled, generated: showGenerated(definition, graph) }
}

port.once('message', (request: ExplainRequest) => void compile(request).then(answer => port.postMessage(answer)))
