/**
 * The stream graph: operators and the edges between them, still one node per operator. Here what is not an operator goes
 * away: unions become several edges into one input, partitions and side outputs properties of an edge. Then every node
 * gets what it needs to run: its parallelism, key groups, slot-sharing group and id. Semantics: Flink
 * `StreamGraphGenerator`; ids in the manner of `StreamGraphHasherV2`, but see `assignIds`.
 */
import { assert } from '../core/assert.ts'
import { FlinkError, type SourcePosition } from '../core/errors.ts'
import { asOperatorId, type OperatorId } from '../core/ids.ts'
import { defaultMaxParallelism } from '../core/key-group.ts'
import { murmur128 } from '../core/murmur.ts'
import type { JobConfig } from './config.ts'
import type { PartitionerKind, WindowPhase } from './job-graph.ts'
import type { JobDefinition, OperatorTransformation, Partitioner, Transformation } from './transformation.ts'

/** What `expand` gives. */
export interface LogicalGraph {
  /** In order of building, so that inputs come before who reads them. */
  readonly operators: readonly OperatorTransformation[]
  readonly edges: readonly LogicalEdge[]
  /** Sources that nobody reads: left out, as in Flink. */
  readonly unread: readonly OperatorTransformation[]
}
export interface LogicalEdge {
  /** Indexes `operators`. */
  readonly source: number
  readonly target: number
  readonly tag?: string
  /** What the user asked for; the partition nearest to the reader wins. */
  readonly partitioner: Partitioner | undefined
  /** The partition with the key selector, for `hash`. */
  readonly keyOf?: number
}

export interface StreamGraph {
  readonly nodes: readonly StreamNode[]
  readonly edges: readonly StreamEdge[]
}
export interface StreamNode {
  readonly operator: OperatorTransformation
  readonly id: OperatorId
  /** Of a window that runs in two (`two-phases.ts`). */
  readonly phase?: WindowPhase
  readonly parallelism: number
  readonly maxParallelism: number
  readonly maxParallelismExplicit: boolean
  readonly slotSharingGroup: string
}
export interface StreamEdge {
  readonly source: number
  readonly target: number
  readonly tag?: string
  readonly partitioner: PartitionerKind
  /** False where it follows from the parallelism of the two ends. */
  readonly partitionerExplicit: boolean
  readonly keyOf?: number
  readonly partials?: true
}

/** Leaves out what is not an operator. */
export function expand(definition: JobDefinition): LogicalGraph {
  const all = definition.transformations.filter(isOperator)
  const routes = all.map(operator => (operator.kind === 'source' ? [] : routesOf(operator.input)))
  const read = new Set(routes.flat().map(route => route.operator.id))
  const unread = all.filter(operator => operator.kind === 'source' && !read.has(operator.id))
  const operators = all.filter(operator => !unread.includes(operator))

  const indexOf = new Map(operators.map((operator, index) => [operator.id, index]))
  const edges = all.flatMap((operator, i) =>
    (routes[i] ?? []).map(({ operator: source, ...route }): LogicalEdge => ({ source: indexOf.get(source.id)!, target: indexOf.get(operator.id)!, ...route })),
  )
  return { operators, edges, unread }
}

interface Route {
  readonly operator: OperatorTransformation
  readonly tag?: string
  readonly partitioner: Partitioner | undefined
  readonly keyOf?: number
}

/** Every operator that an input stands for, seen through unions, partitions and side outputs. */
function routesOf(input: Transformation): Route[] {
  switch (input.kind) {
    case 'union':
      return input.inputs.flatMap(routesOf)
    case 'partition':
      return routesOf(input.input).map(({ operator, tag }) => ({
        operator,
        ...(tag === undefined ? {} : { tag }),
        partitioner: input.partitioner,
        ...(input.partitioner.kind === 'hash' ? { keyOf: input.id } : {}),
      }))
    case 'sideOutput':
      return routesOf(input.input).map(route => ({ ...route, tag: input.tag }))
    default:
      return [{ operator: input, partitioner: undefined }]
  }
}

const isOperator = (node: Transformation): node is OperatorTransformation => node.kind !== 'union' && node.kind !== 'partition' && node.kind !== 'sideOutput'

/** Operator before environment before configuration (which the environment is already part of). */
export function resolveParallelism(logical: LogicalGraph, config: JobConfig): readonly ResolvedParallelism[] {
  return logical.operators.map(operator => {
    const parallelism = operator.parallelism ?? config.parallelism
    const explicit = operator.maxParallelism ?? config.maxParallelism
    return { parallelism, maxParallelism: explicit ?? defaultMaxParallelism(parallelism), maxParallelismExplicit: explicit !== undefined }
  })
}
export type ResolvedParallelism = Pick<StreamNode, 'parallelism' | 'maxParallelism' | 'maxParallelismExplicit'>

/** The user's group, else that of the inputs if all agree, else `default` (Flink `determineSlotSharingGroup`). */
export function resolveSlotSharing(logical: LogicalGraph): readonly string[] {
  const groups: string[] = []
  logical.operators.forEach((operator, index) => {
    const inherited = new Set(logical.edges.filter(edge => edge.target === index).map(edge => groups[edge.source]!))
    groups.push(operator.slotSharingGroup ?? (inherited.size === 1 ? [...inherited][0]! : 'default'))
  })
  return groups
}

/**
 * The uid's murmur hash where the user gave one, as in Flink. Otherwise Flink hashes the place in the graph, so that any
 * change moves the state of everything after it; ours hashes kind, name and the number among those alike (and without
 * uid), so that an operator inserted elsewhere moves nothing.
 */
export function assignIds(logical: LogicalGraph): readonly OperatorId[] {
  const seen = new Map<string, number>()
  return logical.operators.map(operator => {
    if (operator.uid !== undefined) return asOperatorId(murmur128(operator.uid))
    const alike = `${operator.kind}\n${operator.name}`
    const number = seen.get(alike) ?? 0
    seen.set(alike, number + 1)
    return asOperatorId(murmur128(`\n${alike}\n${number}`))
  })
}

/** Puts the resolved parts together; an edge that nobody partitioned is `forward` between equals, else `rebalance`. */
export function assemble(logical: LogicalGraph, sizes: readonly ResolvedParallelism[], groups: readonly string[], ids: readonly OperatorId[]): StreamGraph {
  const nodes = logical.operators.map((operator, i): StreamNode => ({ operator, id: ids[i]!, ...sizes[i]!, slotSharingGroup: groups[i]! }))
  const edges = logical.edges.map(({ partitioner, ...edge }): StreamEdge => {
    const equal = nodes[edge.source]!.parallelism === nodes[edge.target]!.parallelism
    return { ...edge, partitioner: partitioner?.kind ?? (equal ? 'forward' : 'rebalance'), partitionerExplicit: partitioner !== undefined }
  })
  return { nodes, edges }
}

/** Refuses what cannot run, pointing at the operator. */
export function check(graph: StreamGraph, jobName: string): void {
  if (graph.nodes.length === 0) throw new FlinkError('EMPTY_JOB', `job "${jobName}" has no operators`)
  if (!graph.nodes.some(node => node.operator.kind === 'sink')) throw new FlinkError('EMPTY_JOB', `job "${jobName}" has no sink`, located(graph.nodes.at(-1)!.operator.at))
  checkIds(graph)
  for (const { operator, parallelism, maxParallelism } of graph.nodes) {
    if (parallelism <= maxParallelism) continue
    throw new FlinkError('INVALID_GRAPH', `"${operator.name}": parallelism ${parallelism} is above its max parallelism ${maxParallelism}`, {
      hint: 'Lower the parallelism, or raise it with .setMaxParallelism(...); then state of older savepoints cannot be restored.',
      ...located(operator.at),
    })
  }
  for (const edge of graph.edges) checkEdge(edge, graph)
}

function checkIds(graph: StreamGraph) {
  const holders = new Map<OperatorId, StreamNode>()
  for (const node of graph.nodes) {
    const other = holders.get(node.id)
    holders.set(node.id, node)
    if (other === undefined) continue
    const { operator } = node
    throw new FlinkError('DUPLICATE_UID', `uid "${operator.uid ?? other.operator.uid}" is used twice`, {
      detail: `By "${other.operator.name}"${place(other.operator.at)} and "${operator.name}"${place(operator.at)}.`,
      ...located(operator.at),
    })
  }
}

function checkEdge(edge: StreamEdge, graph: StreamGraph) {
  const source = graph.nodes[edge.source]!
  const target = graph.nodes[edge.target]!
  if (edge.partitioner === 'forward' && source.parallelism !== target.parallelism) {
    throw new FlinkError('INVALID_GRAPH', `forward() from "${source.operator.name}" to "${target.operator.name}" changes the parallelism from ${source.parallelism} to ${target.parallelism}`, {
      hint: 'Give both the same parallelism, or use .rebalance() instead.',
      ...located(target.operator.at),
    })
  }
  const { operator } = target
  assert(!('key' in operator) || edge.partitioner === 'hash', `keyed operator ${operator.id} (${operator.kind}) reads an input that is not partitioned by key`)
}

const located = (at: SourcePosition | undefined) => (at === undefined ? {} : { at })
const place = (at: SourcePosition | undefined) => (at === undefined ? '' : ` (${fileName(at.file)}:${at.line})`)
export const fileName = (path: string) => path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
