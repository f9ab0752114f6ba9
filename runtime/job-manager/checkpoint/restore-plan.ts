/**
 * Which state of a snapshot goes to which operator of a job graph (Flink `StateAssignmentOperation`,
 * `VertexFinishedStateChecker`). Operators find their state by id alone. What does not fit is refused with its name,
 * before any task is deployed. Pure.
 */
import { FlinkError } from '../../core/errors.ts'
import type { ExecutionPlan, JobGraph, JobOperator, JobVertex } from '../../graph/job-graph.ts'
import type { OperatorRestore, SnapshotFile, SubtaskRestore } from '../../protocol/slot.ts'

/** A snapshot as the JobManager sees it. */
export interface SnapshotContent {
  readonly checkpointId: number
  /** Absolute path of its directory. */
  readonly path: string
  readonly jobName: string
  readonly operators: readonly SnapshotOperator[]
}
export interface SnapshotOperator {
  readonly id: string
  readonly name: string
  readonly uid?: string
  readonly parallelism: number
  readonly maxParallelism: number
  /** Every subtask was finished: it is not run again. */
  readonly finished: boolean
  /** Left anything that would be lost: keyed state, splits, committables. */
  readonly stateful: boolean
  /** Has state by key group, so that its max parallelism cannot change. */
  readonly keyed: boolean
  /** State of the split enumerator. */
  readonly coordinator?: Uint8Array
  /** As in `OperatorRestore`. */
  readonly files: readonly (readonly SnapshotFile[])[]
}

export interface RestorePlan {
  readonly checkpointId: number
  readonly operators: Readonly<Record<string, OperatorRestore>>
  readonly coordinators: ReadonlyMap<string, Uint8Array>
  readonly finishedVertices: readonly number[]
  /** By vertex, where the snapshot's max parallelism replaces the graph's (K5). */
  readonly maxParallelism: Readonly<Record<number, number>>
}

/** @throws {FlinkError} SNAPSHOT_INCOMPATIBLE; the types of states are checked by the slots, which know them */
export function planRestore(graph: JobGraph, snapshot: SnapshotContent, allowNonRestoredState: boolean): RestorePlan {
  const saved = new Map(snapshot.operators.map(operator => [operator.id, operator]))
  refuseUnmatched(graph, snapshot, allowNonRestoredState)
  const operators: Record<string, OperatorRestore> = {}
  const coordinators = new Map<string, Uint8Array>()
  const maxParallelism: Record<number, number> = {}
  graph.vertices.forEach((vertex, index) => {
    for (const operator of vertex.operators) {
      const old = saved.get(operator.id)
      if (!old) continue
      operators[operator.id] = { files: old.files }
      if (old.coordinator) coordinators.set(operator.id, old.coordinator)
      if (!old.keyed) continue
      const max = restoredMaxParallelism(vertex, operator, old)
      const before = maxParallelism[index]
      if (before !== undefined && before !== max) {
        throw incompatible(`the operators of "${vertex.name}" were saved with different max parallelism (${before} and ${max}), but they are chained now`, 'Set .setMaxParallelism(...) or disable chaining between them.')
      }
      maxParallelism[index] = max
    }
  })
  for (const [index, max] of Object.entries(maxParallelism)) if (graph.vertices[Number(index)]?.maxParallelism === max) delete maxParallelism[Number(index)]
  return { checkpointId: snapshot.checkpointId, operators, coordinators, finishedVertices: finishedVertices(graph, saved), maxParallelism }
}

function incompatible(message: string, detail: string): FlinkError {
  return new FlinkError('SNAPSHOT_INCOMPATIBLE', message, { detail })
}

const label = (operator: { readonly name: string; readonly uid?: string }) => (operator.uid === undefined ? `"${operator.name}" (no uid)` : `"${operator.name}" (uid "${operator.uid}")`)

function refuseUnmatched(graph: JobGraph, snapshot: SnapshotContent, allowNonRestoredState: boolean): void {
  const present = new Set<string>(graph.vertices.flatMap(vertex => vertex.operators.map(operator => operator.id)))
  const stateful = snapshot.operators.filter(operator => operator.stateful)
  const unmatched = stateful.filter(operator => !present.has(operator.id))
  if (unmatched.length === 0 || allowNonRestoredState) return
  const names = unmatched.map(label)
  // Operators without state get their ids from their kind and place, so they may agree by chance; a name in common with an
  // operator that has state looks like a changed uid.
  const known = new Set(graph.vertices.flatMap(vertex => vertex.operators.map(operator => operator.name)))
  if (unmatched.length === stateful.length && !unmatched.some(operator => known.has(operator.name))) {
    throw new FlinkError('SNAPSHOT_INCOMPATIBLE', `snapshot ${snapshot.path} is of job "${snapshot.jobName}"; none of its operators with state is in job "${graph.name}"`, {
      detail: `It has state of ${names.join(', ')}.`,
      hint: 'Name a savepoint of this job, or start without one.',
    })
  }
  throw new FlinkError('SNAPSHOT_INCOMPATIBLE', `snapshot ${snapshot.path} does not fit job "${graph.name}"`, {
    detail: `It has state of ${names.length === 1 ? 'an operator' : 'operators'} that the job does not have: ${names.join(', ')}.`,
  })
}

function restoredMaxParallelism(vertex: JobVertex, operator: JobOperator, old: SnapshotOperator): number {
  if (vertex.maxParallelismExplicit && vertex.maxParallelism !== old.maxParallelism) {
    throw incompatible(
      `${label(operator)} is set to max parallelism ${vertex.maxParallelism}, but its state was saved with ${old.maxParallelism}`,
      'The number of key groups of saved state cannot change: take the setting back.',
    )
  }
  if (vertex.parallelism > old.maxParallelism) {
    throw incompatible(`${label(operator)} runs with parallelism ${vertex.parallelism}, but its state was saved with max parallelism ${old.maxParallelism}`, `Lower its parallelism to ${old.maxParallelism} at most.`)
  }
  return old.maxParallelism
}

/** A vertex is finished when all its operators were. Half a chain, or a finished vertex behind a running one, cannot be. */
function finishedVertices(graph: JobGraph, saved: ReadonlyMap<string, SnapshotOperator>): number[] {
  const finished: number[] = []
  graph.vertices.forEach((vertex, index) => {
    const done = vertex.operators.filter(operator => saved.get(operator.id)?.finished)
    if (done.length === 0) return
    const running = vertex.operators.find(operator => !saved.get(operator.id)?.finished)
    if (running) throw incompatible(`${label(running)} is chained with ${label(done[0] as JobOperator)}, which was finished when the snapshot was taken`, 'Disable chaining between them, or start without the snapshot.')
    finished.push(index)
  })
  for (const edge of graph.edges) {
    if (!finished.includes(edge.target) || finished.includes(edge.source)) continue
    throw incompatible(
      `"${graph.vertices[edge.target]?.name}" was finished when the snapshot was taken, but its input "${graph.vertices[edge.source]?.name}" was not`,
      'An input was added behind an operator that has ended. Start without the snapshot.',
    )
  }
  return finished
}

/** What of it the subtasks of one slot need. */
export function restoreOfSlot(restore: RestorePlan, plan: ExecutionPlan, slot: number): SubtaskRestore {
  const operators: Record<string, OperatorRestore> = {}
  for (const { vertex } of plan.slots[slot]?.subtasks ?? []) {
    for (const { id } of plan.graph.vertices[vertex]?.operators ?? []) {
      const operator = restore.operators[id]
      if (operator) operators[id] = operator
    }
  }
  return { checkpointId: restore.checkpointId, operators }
}
