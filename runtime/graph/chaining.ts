/**
 * Which operators run as one task. Every edge either chains its two ends or has a reason not to, as a phrase that
 * `explain` and REST show. The conditions are Flink's (`StreamingJobGraphGenerator.isChainable`).
 */
import type { StreamEdge, StreamGraph, StreamNode } from './stream-graph.ts'

/** By edge: why its ends are not chained; undefined where they are. */
export type ChainReasons = readonly (string | undefined)[]

export function chain(graph: StreamGraph, chainingEnabled: boolean): ChainReasons {
  const inputs = graph.nodes.map(() => 0)
  for (const edge of graph.edges) inputs[edge.target]!++
  return graph.edges.map(edge => {
    const source = graph.nodes[edge.source]!
    const target = graph.nodes[edge.target]!
    return (
      partitioning(edge, source, target) ??
      (inputs[edge.target]! > 1 ? `"${target.operator.name}" has ${inputs[edge.target]} inputs` : undefined) ??
      (source.slotSharingGroup === target.slotSharingGroup ? undefined : `different slot-sharing groups (${source.slotSharingGroup}, ${target.slotSharingGroup})`) ??
      strategy(source, target) ??
      (chainingEnabled ? undefined : 'chaining is disabled for the whole job')
    )
  })
}

function partitioning(edge: StreamEdge, source: StreamNode, target: StreamNode): string | undefined {
  // A rebalance that nobody asked for has another cause.
  if (!edge.partitionerExplicit && edge.partitioner !== 'forward') return `different parallelism (${source.parallelism}, ${target.parallelism})`
  switch (edge.partitioner) {
    case 'forward':
      return undefined
    case 'hash':
      return 'hash partitioning'
    case 'rebalance':
      return 'rebalance'
    case 'broadcast':
      return 'broadcast'
  }
}

function strategy(source: StreamNode, target: StreamNode): string | undefined {
  // Made only where it may be chained.
  if (target.phase === 'local') return undefined
  for (const { operator } of [source, target]) {
    if (operator.chaining === 'never') return `chaining is disabled for "${operator.name}"`
  }
  return target.operator.chaining === 'head' ? `"${target.operator.name}" starts a new chain` : undefined
}
