/**
 * What the API builds: one node per call of the user, as frozen data. Everything below the API reads this one union;
 * the reference interpreter runs it as it stands, `stream-graph.ts` turns it into something that runs fast.
 *
 * Ids are 1, 2, 3 ... in the order in which the job was built: the same in every process that evaluates the bundle.
 */
import type { AggregateFunction, KeySelector, KeyedProcessFunction, ProcessFunction, ProcessWindowFunction } from '../api/functions.ts'
import type { Sink, Source } from '../api/connector.ts'
import type { ResolvedWatermarkStrategy, WindowAssignerSpec } from '../api/time.ts'
import type { StateDescriptors } from '../api/state.ts'
import type { SourcePosition } from '../core/errors.ts'
import type { Millis } from '../core/time.ts'

interface Node {
  readonly id: number
  /** Where the user wrote it. */
  readonly at?: SourcePosition
}
/** A node that becomes an operator. */
export interface OperatorNode extends Node {
  /** Set by the user with `.name()`, else the kind's own name, for example `Map`. */
  readonly name: string
  readonly uid?: string
  readonly parallelism?: number
  readonly maxParallelism?: number
  readonly slotSharingGroup?: string
  readonly chaining?: 'always' | 'never' | 'head'
}

export type Transformation =
  | SourceTransformation
  | MapTransformation
  | FilterTransformation
  | FlatMapTransformation
  | TimestampsTransformation
  | ProcessTransformation
  | ReduceTransformation
  | KeyedProcessTransformation
  | WindowTransformation
  | SinkTransformation
  | UnionTransformation
  | PartitionTransformation
  | SideOutputTransformation

export interface SourceTransformation extends OperatorNode {
  readonly kind: 'source'
  readonly source: Source<unknown>
  readonly strategy?: ResolvedWatermarkStrategy
}
export interface MapTransformation extends OperatorNode {
  readonly kind: 'map'
  readonly input: Transformation
  readonly fn: (value: unknown) => unknown
}
export interface FilterTransformation extends OperatorNode {
  readonly kind: 'filter'
  readonly input: Transformation
  readonly fn: (value: unknown) => boolean
}
/** `fn` returns an iterable, or emits through the collector and returns nothing. */
export interface FlatMapTransformation extends OperatorNode {
  readonly kind: 'flatMap'
  readonly input: Transformation
  readonly fn: (value: unknown, out: { collect(value: unknown): void }) => Iterable<unknown> | void
}
export interface TimestampsTransformation extends OperatorNode {
  readonly kind: 'timestamps'
  readonly input: Transformation
  readonly strategy: ResolvedWatermarkStrategy
}
export interface ProcessTransformation extends OperatorNode {
  readonly kind: 'process'
  readonly input: Transformation
  readonly fn: ProcessFunction<unknown, unknown>
}
/** Rolling: the first element passes unchanged, then each new accumulated value is emitted. */
export interface ReduceTransformation extends OperatorNode {
  readonly kind: 'reduce'
  readonly input: Transformation
  readonly key: KeySelector
  readonly fn: (accumulated: unknown, value: unknown) => unknown
  /** `sum('count')` is a reduce whose field is known; `fn` does the same and never changes its arguments. */
  readonly sumOf?: string
}
export interface KeyedProcessTransformation extends OperatorNode {
  readonly kind: 'keyedProcess'
  readonly input: Transformation
  readonly key: KeySelector
  readonly fn: KeyedProcessFunction<unknown, unknown, unknown, StateDescriptors>
}
export interface WindowTransformation extends OperatorNode {
  readonly kind: 'window'
  readonly input: Transformation
  readonly key: KeySelector
  readonly assigner: WindowAssignerSpec
  readonly allowedLateness: Millis
  readonly lateTag?: string
  readonly fn: WindowFunctionSpec
}
/** What happens to the elements of a window; `result` gets the one aggregate (for `process`, all elements). */
export type WindowFunctionSpec =
  | { readonly kind: 'reduce'; readonly reduce: (a: unknown, b: unknown) => unknown; readonly result: ProcessWindowFunction<unknown, unknown, unknown> }
  | { readonly kind: 'aggregate'; readonly aggregate: WindowAggregate; readonly result: ProcessWindowFunction<unknown, unknown, unknown> }
  | { readonly kind: 'process'; readonly result: ProcessWindowFunction<unknown, unknown, unknown> }
/** The user's own, or `combineAggregations`. */
export interface WindowAggregate extends AggregateFunction<unknown, unknown, unknown> {
  /** Accumulators are arrays of so many numbers. */
  readonly numbers?: number
  /** See `CombinedAggregations`. */
  addExactly?(value: unknown, accumulator: unknown): boolean
}
export type MergingAggregate = WindowAggregate & { readonly merge: NonNullable<WindowAggregate['merge']> }
export interface SinkTransformation extends OperatorNode {
  readonly kind: 'sink'
  readonly input: Transformation
  readonly sink: Sink<unknown>
}

/** Not operators: they shape the edges. */
export interface UnionTransformation extends Node {
  readonly kind: 'union'
  readonly inputs: readonly Transformation[]
}
export interface PartitionTransformation extends Node {
  readonly kind: 'partition'
  readonly input: Transformation
  readonly partitioner: Partitioner
}
export interface SideOutputTransformation extends Node {
  readonly kind: 'sideOutput'
  readonly input: Transformation
  readonly tag: string
}

export type Partitioner =
  | { readonly kind: 'forward' }
  | { readonly kind: 'rebalance' }
  | { readonly kind: 'broadcast' }
  | { readonly kind: 'hash'; readonly key: KeySelector }

export type OperatorTransformation = Exclude<Transformation, UnionTransformation | PartitionTransformation | SideOutputTransformation>

/** What evaluating a job gives: all nodes in order of id, and the configuration that the code set. */
export interface JobDefinition {
  readonly name: string
  readonly transformations: readonly Transformation[]
  readonly config: JobCodeConfig
}
/** Settings made in code; `-D` and flags lie beneath them, as in Flink. */
export interface JobCodeConfig {
  readonly parallelism?: number
  readonly maxParallelism?: number
  readonly checkpointInterval?: Millis
  readonly objectReuse?: boolean
  readonly bufferTimeout?: Millis
  readonly disableChaining?: boolean
  readonly autoWatermarkInterval?: Millis
}
