/**
 * One leaving output of a chain (an operator and a tag) and the edges that read it: the chain emits, every edge gets all.
 *
 * Values that reach several consumers: whoever is handed a value by reference may keep it as state and change it there,
 * so at most one consumer may get the original, and none while another's original still waits to be encoded. The other
 * hand-overs by reference get copies, unless the user promised `objectReuse`.
 */
import type { Batch, BatchPool } from '../core/batch.ts'
import type { ChainOutput } from '../operators/chain.ts'
import type { Partitioner } from './partitioner.ts'

export interface WriterEdge {
  readonly partitioner: Partitioner
  /** Set if this edge must not share values with the others. */
  readonly copy: ((value: unknown) => unknown) | undefined
}

export function createResultWriter(edges: readonly WriterEdge[], batches: BatchPool): ChainOutput {
  const [only, ...others] = edges
  if (only !== undefined && others.length === 0 && only.copy === undefined) {
    const { partitioner } = only
    return {
      emitBatch: batch => {
        if (batch.size > 0) partitioner.batch(batch)
      },
      emit: (value, timestamp) => partitioner.record(value, timestamp),
    }
  }
  return {
    emitBatch(batch) {
      if (batch.size > 0) for (const edge of edges) edge.partitioner.batch(copyBatch(batch, edge.copy, batches))
      batches.give(batch)
    },
    emit(value, timestamp) {
      for (const { partitioner, copy } of edges) partitioner.record(copy === undefined ? value : copy(value), timestamp)
    },
  }
}

/** The batch itself is given up to a partitioner, so several edges need several batches even where they share the values. */
function copyBatch(batch: Batch, copy: ((value: unknown) => unknown) | undefined, batches: BatchPool): Batch {
  const { size, values, timestamps } = batch
  const copied = batches.take()
  for (let i = 0; i < size; i++) {
    copied.values[i] = copy === undefined ? values[i] : copy(values[i])
    copied.timestamps[i] = timestamps[i] as number
  }
  copied.size = size
  return copied
}

/**
 * Which of the consumers of one value get a copy: `references[i]` says whether consumer `i` may be handed values by
 * reference. Originals go to those that encode; if all take references, to the first.
 */
export function needsCopy(references: readonly boolean[], objectReuse: boolean): boolean[] {
  const encodes = references.includes(false)
  let originalGiven = encodes
  return references.map(reference => {
    if (!reference || objectReuse) return false
    if (references.length === 1) return false
    if (!originalGiven) {
      originalGiven = true
      return false
    }
    return true
  })
}
