/**
 * Runs the split enumerators of one attempt: user code, driven by messages. Lives where user code may live, in a worker
 * of the JobManager's process or in the one thread of the embedded cluster; never on the JobManager's main thread.
 *
 * What an enumerator throws fails the attempt; after that it is not called again.
 */
import { decodeValue, encodeValue } from '../../codec/value-codec.ts'
import { unreachable } from '../../core/assert.ts'
import { errorToData, FlinkError } from '../../core/errors.ts'
import type { FileSystem } from '../../core/files.ts'
import type { Source, SplitEnumerator } from '../../api/connector.ts'
import { checkSameGraph } from '../../graph/hash.ts'
import type { JobGraph } from '../../graph/job-graph.ts'
import type { JobDefinition } from '../../graph/transformation.ts'
import type { FromCoordinatorHost, StartEnumerators, ToCoordinatorHost } from './coordinator-protocol.ts'

/** What evaluating the bundle gave; `graph` is its translation with the configuration of the job. */
export interface EvaluatedJob {
  readonly definition: JobDefinition
  readonly graph: JobGraph
}

export class Enumerators {
  readonly #start: StartEnumerators
  readonly #emit: (message: FromCoordinatorHost) => void
  readonly #enumerators = new Map<string, SplitEnumerator<unknown>>()
  #failed = false

  constructor(start: StartEnumerators, job: EvaluatedJob, files: FileSystem, emit: (message: FromCoordinatorHost) => void) {
    this.#start = start
    this.#emit = emit
    this.#guard(() => {
      checkSameGraph(job.graph, start.graph, 'the JobManager')
      for (const { operatorId, transformation, parallelism, restored } of start.sources) {
        const source = findSource(job.definition, transformation)
        const context = {
          parallelism,
          projectDirectory: start.projectDirectory,
          files,
          assignSplit: (subtask: number, split: unknown) => this.#send({ kind: 'addSplit', attempt: start.attempt, operatorId, subtask: checked(subtask, parallelism), split }),
          signalNoMoreSplits: (subtask: number) => this.#send({ kind: 'noMoreSplits', attempt: start.attempt, operatorId, subtask: checked(subtask, parallelism) }),
        }
        const enumerator = source.createEnumerator(context, restored && decodeValue(restored))
        this.#enumerators.set(operatorId, enumerator)
        enumerator.start()
      }
    })
  }

  receive(message: Exclude<ToCoordinatorHost, StartEnumerators>): void {
    switch (message.kind) {
      case 'requestSplit':
        if (message.attempt !== this.#start.attempt) return
        return this.#guard(() => this.#enumerators.get(message.operatorId)?.handleSplitRequest(message.subtask))
      case 'snapshot':
        if (message.attempt !== this.#start.attempt) return
        return this.#guard(() => {
          for (const [operatorId, enumerator] of this.#enumerators) {
            const { attempt } = this.#start
            this.#send({ kind: 'snapshot', attempt, checkpointId: message.checkpointId, operatorId, state: encodeValue(enumerator.snapshot(), 'the state of a split enumerator') })
          }
        })
      case 'stop':
        return this.close()
      default:
        return unreachable(message)
    }
  }

  /** Errors of `close` are dropped: the attempt is over, and they must not hide why. */
  close(): void {
    this.#failed = true
    for (const enumerator of this.#enumerators.values()) {
      try {
        enumerator.close?.()
      } catch {
        continue
      }
    }
    this.#enumerators.clear()
  }

  #send(message: FromCoordinatorHost): void {
    if (!this.#failed) this.#emit(message)
  }

  #guard(work: () => void): void {
    if (this.#failed) return
    try {
      work()
    } catch (error) {
      this.#send({ kind: 'failed', attempt: this.#start.attempt, error: errorToData(error, 'USER_CODE_FAILED') })
      this.#failed = true
    }
  }
}

function findSource(definition: JobDefinition, id: number): Source<unknown> {
  const node = definition.transformations.find(transformation => transformation.id === id)
  if (node?.kind === 'source') return node.source
  throw new FlinkError('NONDETERMINISTIC_GRAPH', `the job was built differently in the JobManager: transformation ${id} is ${node ? `a ${node.kind}` : 'missing'} and not a source`)
}

function checked(subtask: number, parallelism: number): number {
  if (Number.isInteger(subtask) && subtask >= 0 && subtask < parallelism) return subtask
  throw new FlinkError('USER_CODE_FAILED', `a split enumerator named subtask ${subtask}, but the source has ${parallelism}`)
}
