/**
 * The worker thread behind `WorkerCoordinatorHost`: evaluates the bundle and runs the job's enumerators. If it was this thread
 * that built the job before it was submitted, it goes on with what it has evaluated then.
 */
import { parentPort } from 'node:worker_threads'
import { assert } from '../../core/assert.ts'
import { errorToData } from '../../core/errors.ts'
import { startIsOver } from '../../deploy/cached-script.ts'
import { compileBundle, type CompiledJob } from '../../deploy/compile-bundle.ts'
import { translate } from '../../graph/translate.ts'
import { nodeFiles } from '../../deploy/node-files.ts'
import { endStdinWhenAsked } from '../../deploy/thread-stdio.ts'
import type { CompileRequest } from '../../deploy/process-events.ts'
import { loadJobDefinition } from '../../deploy/user-code.ts'
import type { FromCoordinatorWorker, StartEnumerators, ToCoordinatorHost, ToCoordinatorWorker } from './coordinator-protocol.ts'
import { Enumerators, type EvaluatedJob } from './enumerators.ts'

const port = parentPort
endStdinWhenAsked()
assert(port, 'the coordinator worker is a worker thread')
const emit = (message: FromCoordinatorWorker) => port.postMessage(message)

let started = false
let compiled: CompiledJob | undefined
let enumerators: Enumerators | undefined
/** What came while the bundle was being evaluated. */
const early: Exclude<ToCoordinatorHost, StartEnumerators>[] = []
port.on('message', (message: ToCoordinatorWorker) => {
  if (message.kind === 'start') void begin(message)
  else if (message.kind === 'compile') void compile(message.request)
  else if (enumerators) enumerators.receive(message)
  else early.push(message)
})

async function compile(request: CompileRequest): Promise<void> {
  const { answer, job } = await compileBundle(request)
  compiled = job
  emit({ kind: 'compiled', answer })
}

async function begin(start: StartEnumerators): Promise<void> {
  assert(!started, 'one thread runs the enumerators of one attempt')
  started = true
  try {
    const job = await evaluate(start)
    enumerators = new Enumerators(start, job, nodeFiles, emit)
    for (const message of early.splice(0)) enumerators.receive(message)
    // It has little to do from here on, and may be ended at any time.
    startIsOver(20)
  } catch (error) {
    emit({ kind: 'failed', attempt: start.attempt, error: errorToData(error, 'JOB_BUILD_FAILED') })
  }
}

async function evaluate({ bundlePath, graph: { config } }: StartEnumerators): Promise<EvaluatedJob> {
  // Built here and to be run as it was: there is nothing to do again.
  if (compiled !== undefined && JSON.stringify(compiled.graph.config) === JSON.stringify(config)) return compiled
  const definition = compiled?.definition ?? (await loadJobDefinition(bundlePath, config.args))
  return { definition, graph: translate(definition, config) }
}
