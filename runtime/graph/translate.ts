/**
 * From what a user built to what a cluster runs: `transformations -> stream graph -> job graph`. The same in every
 * process that evaluates the bundle; the hash of the result proves it.
 */
import { asVertexId } from '../core/ids.ts'
import { unreachable } from '../core/assert.ts'
import { formatDuration } from '../core/time.ts'
import type { ResolvedWatermarkStrategy } from '../api/time.ts'
import { chain, type ChainReasons } from './chaining.ts'
import { withCodeConfig, type JobConfig } from './config.ts'
import { hashOf } from './hash.ts'
import type { ChainInput, JobEdge, JobGraph, JobOperator, JobVertex, StateInfo } from './job-graph.ts'
import { assemble, assignIds, check, expand, resolveParallelism, resolveSlotSharing, type StreamGraph, type StreamNode } from './stream-graph.ts'
import type { JobDefinition, OperatorTransformation } from './transformation.ts'
import { inTwoPhases } from './two-phases.ts'

/** Throws EMPTY_JOB, INVALID_GRAPH or DUPLICATE_UID with the user's line. Settings made in code win over `config`. */
export function translate(definition: JobDefinition, config: JobConfig): JobGraph {
  const effective = withCodeConfig(config, definition.config)
  const logical = expand(definition)
  const sizes = resolveParallelism(logical, effective)
  const groups = resolveSlotSharing(logical)
  const ids = assignIds(logical)
  const assembled = assemble(logical, sizes, groups, ids)
  check(assembled, definition.name)
  const stream = inTwoPhases(assembled, effective)
  const reasons = chain(stream, effective.chaining)
  const graph = { name: definition.name, ...verticesAndEdges(stream, reasons), config: effective }
  return Object.freeze({ ...graph, hash: hashOf(graph) })
}

function verticesAndEdges(stream: StreamGraph, reasons: ChainReasons): Pick<JobGraph, 'vertices' | 'edges'> {
  const chained = stream.edges.filter((_, i) => reasons[i] === undefined)
  const inner = new Set(chained.map(edge => edge.target))
  const vertices: JobVertex[] = []
  const vertexOf: number[] = []
  const operatorOf: number[] = []

  // Heads in order of building are in topological order: an operator is built after its inputs.
  stream.nodes.forEach((head, index) => {
    if (inner.has(index)) return
    const operators: JobOperator[] = []
    const name = addChain(index, undefined)
    vertices.push({
      id: asVertexId(head.id),
      name,
      parallelism: head.parallelism,
      maxParallelism: head.maxParallelism,
      maxParallelismExplicit: head.maxParallelismExplicit,
      slotSharingGroup: head.slotSharingGroup,
      operators,
    })

    /** Depth first; returns the name of the chain from here on: `Map -> (Filter, Sink: print)`. */
    function addChain(node: number, input: ChainInput | undefined): string {
      vertexOf[node] = vertices.length
      const position = (operatorOf[node] = operators.length)
      operators.push(jobOperator(stream.nodes[node]!, input))
      const next = chained
        .filter(edge => edge.source === node)
        .map(edge => addChain(edge.target, { operator: position, ...(edge.tag === undefined ? {} : { tag: edge.tag }) }))
      const rest = next.length === 0 ? '' : next.length === 1 ? ` -> ${next[0]}` : ` -> (${next.join(', ')})`
      return nodeName(stream.nodes[node]!) + rest
    }
  })

  const edges = stream.edges.flatMap((edge, i): JobEdge[] => {
    const notChained = reasons[i]
    if (notChained === undefined) return []
    const { source, target, tag, partitioner, keyOf, partials } = edge
    return [
      {
        source: vertexOf[source]!,
        sourceOperator: operatorOf[source]!,
        ...(tag === undefined ? {} : { tag }),
        target: vertexOf[target]!,
        input: 0,
        partitioner,
        ...(keyOf === undefined ? {} : { keyOf }),
        ...(partials === undefined ? {} : { partials }),
        notChained,
      },
    ]
  })
  return { vertices, edges }
}

/** Flink's way: sources and sinks say what they are. */
export function displayName(operator: OperatorTransformation): string {
  if (operator.kind === 'source') return `Source: ${operator.name}`
  if (operator.kind === 'sink') return `Sink: ${operator.name}`
  return operator.name
}

/** Flink SQL's way: `LocalWindowAggregate`, `GlobalWindowAggregate`. */
function nodeName({ operator, phase }: StreamNode): string {
  return phase === 'local' ? `Local ${operator.name}` : displayName(operator)
}

function jobOperator(node: StreamNode, input: ChainInput | undefined): JobOperator {
  const { operator, id, phase } = node
  const local = phase === 'local'
  const description = local ? 'sums up before the shuffle' : describeOperator(operator)
  return {
    id,
    name: local ? nodeName(node) : operator.name,
    ...(operator.uid === undefined || local ? {} : { uid: operator.uid }),
    kind: operator.kind,
    ...(phase === undefined ? {} : { phase }),
    ...(description === '' ? {} : { description }),
    transformation: operator.id,
    ...(input === undefined ? {} : { input }),
    states: local ? [] : statesOf(operator),
    source: operator.kind === 'source',
    commits: operator.kind === 'sink' && operator.sink.createCommitter !== undefined,
    // Read when it is needed: to find it out is not for nothing.
    get at() {
      return operator.at
    },
  }
}

/** What the user declared; for our own operators the table that they keep (`operators/reduce.ts`, `operators/window/`). */
function statesOf(operator: OperatorTransformation): StateInfo[] {
  if (operator.kind === 'reduce') return [{ name: 'reduce', kind: 'value' }]
  if (operator.kind === 'window') return [{ name: 'window', kind: 'value' }]
  return operator.kind === 'keyedProcess' ? Object.entries(operator.fn.state ?? {}).map(([name, { kind }]) => ({ name, kind })) : []
}

/** What the kind does not say, in words; part of the hash, so never the text of a function. */
function describeOperator(operator: OperatorTransformation): string {
  switch (operator.kind) {
    case 'source':
      return [operator.source.bounded ? 'bounded' : 'unbounded', ...describeStrategy(operator.strategy)].join(', ')
    case 'timestamps':
      return describeStrategy(operator.strategy).join(', ')
    case 'window': {
      const { assigner, allowedLateness, lateTag, fn } = operator
      return [
        `${assigner.kind} ${formatDuration(assigner.size)}${assigner.offset === 0 ? '' : ` offset ${formatDuration(assigner.offset)}`}`,
        fn.kind,
        ...(allowedLateness === 0 ? [] : [`allowed lateness ${formatDuration(allowedLateness)}`]),
        ...(lateTag === undefined ? [] : [`late data to "${lateTag}"`]),
      ].join(', ')
    }
    case 'reduce':
      return operator.sumOf === undefined ? '' : `of "${operator.sumOf}"`
    case 'sink':
      return operator.sink.createCommitter === undefined ? '' : 'commits with checkpoints'
    case 'map':
    case 'filter':
    case 'flatMap':
    case 'process':
    case 'keyedProcess':
      return ''
    default:
      return unreachable(operator)
  }
}

function describeStrategy(strategy: ResolvedWatermarkStrategy | undefined): string[] {
  if (strategy === undefined) return []
  const { policy, idleness } = strategy
  const bound = policy.kind === 'bounded' ? (policy.bound === 0 ? 'monotonous timestamps' : `out of order by ${formatDuration(policy.bound)}`) : undefined
  return [bound ?? (policy.kind === 'none' ? 'no watermarks' : 'own watermarks'), ...(idleness === undefined ? [] : [`idle after ${formatDuration(idleness)}`])]
}
