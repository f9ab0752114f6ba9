/** What the sinks of a run committed, by sink and subtask. */
import type { Sink } from '../api/connector.ts'
import { FlinkError } from '../core/errors.ts'
import type { JobDefinition } from '../graph/transformation.ts'

export class CommittedRecords {
  readonly #bySink = new Map<string, Map<string, readonly unknown[]>[]>()

  /** Commits in two phases like a sink on disk; committing again what is there changes nothing. */
  sink(id: string): Sink<unknown, { readonly id: string; readonly values: readonly unknown[] }> {
    return {
      kind: 'sink',
      name: 'kept',
      createWriter: ctx => {
        let values: unknown[] = []
        return {
          write: value => void values.push(value),
          prepareCommit(checkpointId) {
            const committable = { id: `${ctx.subtask}/${checkpointId}`, values }
            values = []
            return committable.values.length === 0 ? [] : [committable]
          },
        }
      },
      createCommitter: ctx => ({
        commit: committables => {
          let subtasks = this.#bySink.get(id)
          if (subtasks === undefined) this.#bySink.set(id, (subtasks = []))
          const kept = (subtasks[ctx.subtask] ??= new Map<string, readonly unknown[]>())
          for (const committable of committables) kept.set(committable.id, committable.values)
        },
      }),
    }
  }

  ofSink(definition: JobDefinition, id: string): unknown[] {
    const sinks = definition.transformations.filter(node => node.kind === 'sink' && (node.uid === id || node.name === id))
    if (sinks.length === 0) {
      const names = definition.transformations.filter(node => node.kind === 'sink').map(node => `"${node.uid ?? node.name}"`)
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
