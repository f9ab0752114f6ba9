/**
 * The job graph: chains of operators (vertices) and the exchanges between them, as plain data that the JobManager can
 * keep and send without knowing any user code. And the execution plan: the same, multiplied by the parallelism, with
 * every channel and slot numbered. Both are computed alike in every process; `hash` proves it.
 */
import type { OperatorId, VertexId } from '../core/ids.ts'
import type { SourcePosition } from '../core/errors.ts'
import type { JobConfig } from './config.ts'

export interface JobGraph {
  readonly name: string
  /** murmur128 of everything else here and the arguments, but neither the rest of `config` nor source positions (`hash.ts`). */
  readonly hash: string
  /** In topological order. */
  readonly vertices: readonly JobVertex[]
  readonly edges: readonly JobEdge[]
  readonly config: JobConfig
}

export interface JobVertex {
  readonly id: VertexId
  /** `Source: flights -> Map -> Filter` */
  readonly name: string
  readonly parallelism: number
  readonly maxParallelism: number
  /** Set by the user; then a restore with another one is refused. */
  readonly maxParallelismExplicit: boolean
  readonly slotSharingGroup: string
  /** The chain as a tree in topological order; the first is the head. */
  readonly operators: readonly JobOperator[]
}

export interface JobOperator {
  readonly id: OperatorId
  readonly name: string
  readonly uid?: string
  readonly kind: string
  /** What the kind does not say, for people: `tumbling 1 h, aggregate, allowed lateness 10 min`. */
  readonly description?: string
  /** Set if a window runs in two phases (`two-phases.ts`): before the shuffle and behind it. */
  readonly phase?: WindowPhase
  /** `Transformation.id`, to find the user's functions after evaluating the bundle. */
  readonly transformation: number
  /** Where its input comes from inside the chain; undefined for the head. */
  readonly input?: ChainInput
  /** Declared state by name, for listing and for checks at restore. */
  readonly states: readonly StateInfo[]
  readonly source: boolean
  /** Has a committer: its output becomes visible with a checkpoint. */
  readonly commits: boolean
  readonly at?: SourcePosition | undefined
}
export type WindowPhase = 'local' | 'global'
export interface ChainInput {
  /** Index into `operators`. */
  readonly operator: number
  /** Side output it reads, instead of the main one. */
  readonly tag?: string
}
export interface StateInfo {
  readonly name: string
  readonly kind: 'value' | 'map'
}

export type PartitionerKind = 'forward' | 'rebalance' | 'hash' | 'broadcast'

export interface JobEdge {
  /** Indexes `vertices`. */
  readonly source: number
  readonly sourceOperator: number
  readonly tag?: string
  readonly target: number
  /** All edges into a vertex are inputs of its head; a union has several with the same `input`. */
  readonly input: number
  readonly partitioner: PartitionerKind
  /** For `hash`: the id of the transformation that holds the key selector (a keyed operator or a partition). */
  readonly keyOf?: number
  /** What travels are partials of a window in two phases and not what the key selector takes. */
  readonly partials?: true
  /** Why the two are not chained, as a phrase: `hash partitioning`, `different parallelism (4, 1)` ... */
  readonly notChained: string
}

/** The running shape: everything is an index. */
export interface ExecutionPlan {
  readonly graph: JobGraph
  /** Number of logical slots; slot `s` runs `slots[s]`. */
  readonly slots: readonly LogicalSlot[]
  readonly edges: readonly PlanEdge[]
  readonly channelCount: number
}
export interface LogicalSlot {
  readonly group: string
  readonly index: number
  readonly subtasks: readonly PlanSubtask[]
}
export interface PlanSubtask {
  readonly vertex: number
  readonly subtask: number
  /** Edge indexes into and out of its vertex. */
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
}
/** Channel of (up, down) on an edge: `firstChannel + up * downParallelism + down`; for `forward` only `up === down` exists, numbered `firstChannel + up`. */
export interface PlanEdge {
  readonly firstChannel: number
  readonly channelCount: number
  readonly forward: boolean
  readonly upParallelism: number
  readonly downParallelism: number
}
