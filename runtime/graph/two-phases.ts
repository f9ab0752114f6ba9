/**
 * Windows that run in two phases: a local one that is chained to whatever the window reads and sums up what has the same
 * key and window, and a global one behind the shuffle (`operators/window/local-window.ts`). Only where nobody can see it:
 * the accumulators merge, the window fires once at its end, and late records are counted and not handed out.
 */
import { asOperatorId } from '../core/ids.ts'
import { murmur128 } from '../core/murmur.ts'
import type { JobConfig } from './config.ts'
import type { StreamEdge, StreamGraph, StreamNode } from './stream-graph.ts'
import type { MergingAggregate, OperatorTransformation } from './transformation.ts'

export function inTwoPhases(graph: StreamGraph, config: JobConfig): StreamGraph {
  if (!config.exchange.combining || !config.chaining) return graph
  const nodes: StreamNode[] = [...graph.nodes]
  const edges: StreamEdge[] = []
  const split = new Set(nodes.flatMap(({ operator }, index) => (mayBeSplit(operator) && inputsOf(graph, index).every(source => source.operator.chaining !== 'never') ? [index] : [])))
  for (const edge of graph.edges) {
    if (!split.has(edge.target)) {
      edges.push(edge)
      continue
    }
    const window = graph.nodes[edge.target]!
    const source = graph.nodes[edge.source]!
    const local = nodes.length
    const { tag, ...shuffle } = edge
    // A union may read the same twice.
    nodes.push({ ...source, operator: window.operator, id: asOperatorId(murmur128(`${window.id}\nlocal\n${local}`)), phase: 'local' })
    edges.push({ source: edge.source, target: local, ...(tag === undefined ? {} : { tag }), partitioner: 'forward', partitionerExplicit: false })
    edges.push({ ...shuffle, source: local, partials: true })
  }
  for (const index of split) nodes[index] = { ...graph.nodes[index]!, phase: 'global' }
  return { nodes, edges }
}

/** The aggregate whose accumulators travel. */
export function mergingAggregate(operator: OperatorTransformation): MergingAggregate | undefined {
  if (operator.kind !== 'window' || operator.fn.kind !== 'aggregate') return undefined
  const { aggregate } = operator.fn
  return aggregate.merge === undefined ? undefined : (aggregate as MergingAggregate)
}

function mayBeSplit(operator: OperatorTransformation): boolean {
  if (operator.kind !== 'window' || operator.chaining === 'never') return false
  return mergingAggregate(operator) !== undefined && operator.allowedLateness === 0 && operator.lateTag === undefined
}

const inputsOf = (graph: StreamGraph, target: number) => graph.edges.filter(edge => edge.target === target).map(({ source }) => graph.nodes[source]!)
