/** What the sinks of a run committed, by sink and subtask. */
import type { Sink } from '../api/connector.ts'
import { FlinkError } from '../core/errors.ts'
import type { JobDefinition, SinkTransformation } from '../graph/transformation.ts'

interface Kept {
  readonly id: string
  /** Who wrote it: after a restore at another parallelism, somebody else commits it again. */
  readonly subtask: number
  readonly values: readonly unknown[]
}

export class CommittedRecords {
  readonly #bySink = new Map<string, Map<string, readonly unknown[]>[]>()

  /** Commits in two phases like a sink on disk; committing again what is there changes nothing. */
  sink(sinkId: string): Sink<unknown, Kept> {
    return {
      kind: 'sink',
      name: 'kept',
      createWriter: ctx => {
        let values: unknown[] = []
        return {
          write: value => void values.push(value),
          prepareCommit(checkpointId) {
            const committable: Kept = { id: `${ctx.subtask}/${checkpointId}`, subtask: ctx.subtask, values }
            values = []
            return committable.values.length === 0 ? [] : [committable]
          },
        }
      },
      createCommitter: () => ({
        commit: committables => {
          let subtasks = this.#bySink.get(sinkId)
          if (subtasks === undefined) this.#bySink.set(sinkId, (subtasks = []))
          for (const { id, subtask, values } of committables) (subtasks[subtask] ??= new Map<string, readonly unknown[]>()).set(id, values)
        },
      }),
    }
  }

  ofSink(definition: JobDefinition, id: string): unknown[] {
    const sinks = definition.transformations.filter(node => node.kind === 'sink' && (node.uid === id || node.name === id))
    if (sinks.length === 0) {
      // Not those that only keep a side output for the test.
      const own = (node: SinkTransformation) => node.input.kind !== 'sideOutput' || node.name !== `side output ${node.input.tag}`
      const names = definition.transformations.flatMap(node => (node.kind === 'sink' && own(node) ? [`"${node.uid ?? node.name}"`] : []))
      throw new FlinkError('INVALID_OPTION', `job "${definition.name}" has no sink "${id}"`, { hint: `Its sinks are ${names.join(', ')}.` })
    }
    return sinks.flatMap(node => this.#records(`sink ${node.id}`))
  }

  ofSideOutput(definition: JobDefinition, id: string): unknown[] {
    return definition.transformations.flatMap(node => (node.kind === 'sideOutput' && node.tag === id ? this.#records(`side output ${node.tag} ${node.id}`) : []))
  }

  #records(id: string): unknown[] {
    return (this.#bySink.get(id) ?? []).flatMap(kept => [...kept.values()].flat())
  }
}
