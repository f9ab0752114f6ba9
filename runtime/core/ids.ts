/**
 * The identities that processes speak of. Each is a plain string or number with a brand, so that one cannot be passed
 * for another. Ids that Flink prints as 32 lower-case hex digits are that here too.
 */
declare const brand: unique symbol
type Branded<T, B extends string> = T & { readonly [brand]: B }

export type ClusterId = Branded<string, 'ClusterId'>
/** A job vertex (a chain of operators): 32 hex digits, the id of the operator at its head. */
export type VertexId = Branded<string, 'VertexId'>
/** 32 hex digits: murmur3_128 of the user's uid, or of the generated name (Flink `OperatorID`). */
export type OperatorId = Branded<string, 'OperatorId'>

export const asClusterId = (text: string) => text as ClusterId
export const asVertexId = (text: string) => text as VertexId
export const asOperatorId = (text: string) => text as OperatorId

/**
 * What every control message carries, so that a message of an earlier life is dropped and counted: the JobManager's
 * epoch (raised by each JobManager start) and the job's attempt (raised by each restart of its tasks).
 */
export interface Fence {
  readonly epoch: number
  readonly attempt: number
}
export const sameFence = (a: Fence, b: Fence) => a.epoch === b.epoch && a.attempt === b.attempt

/** One parallel instance of a vertex. `vertex` indexes `ExecutionPlan.vertices`. */
export interface SubtaskRef {
  readonly vertex: number
  readonly subtask: number
}
