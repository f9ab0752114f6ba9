/** What the sinks of a run committed, by sink and subtask. */
import type { Sink } from '../api/connector.ts'
import { FlinkError } from '../core/errors.ts'
import type { JobDefinition, SideOutputTransformation, SinkTransformation } from '../graph/transformation.ts'

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
      const names = definition.transformations.flatMap(node => (node.kind === 'sink' && keptSideOutput(node) === undefined ? [`"${node.uid ?? node.name}"`] : []))
      throw new FlinkError('INVALID_OPTION', `job "${definition.name}" has no sink "${id}"`, { hint: `Its sinks are ${names.join(', ')}.` })
    }
    return sinks.flatMap(node => this.#records(`sink ${node.id}`))
  }

  ofSideOutput(definition: JobDefinition, id: string): unknown[] {
    return definition.transformations.flatMap(node => (node.kind === 'sideOutput' && node.tag === id ? this.#records(`side output ${node.tag} ${node.id}`) : []))
  }

  /** By sink and by side output. */
  all(definition: JobDefinition): Map<string, unknown[]> {
    const sinks = definition.transformations.filter(node => node.kind === 'sink')
    return new Map(
      sinks.map(node => {
        const kept = keptSideOutput(node)
        return kept === undefined ? [node.uid ?? `${node.name} (${node.id})`, this.#records(`sink ${node.id}`)] : [`side output ${kept.tag} (${kept.id})`, this.#records(`side output ${kept.tag} ${kept.id}`)]
      }),
    )
  }

  #records(id: string): unknown[] {
    return (this.#bySink.get(id) ?? []).flatMap(kept => [...kept.values()].flat())
  }
}

/** The side output that `prepareJob` added this sink for; undefined for the job's own. */
export function keptSideOutput({ name, input }: SinkTransformation): SideOutputTransformation | undefined {
  return input.kind === 'sideOutput' && name === `side output ${input.tag}` ? input : undefined
}
