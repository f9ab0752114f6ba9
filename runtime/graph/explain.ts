/**
 * The stages of a job as plain text: what the user wrote, what runs as one task and why not more, and which slots it
 * takes. `flink-ts explain` prints it.
 */
import { formatDuration } from '../core/time.ts'
import type { ExecutionPlan, JobEdge, JobGraph, JobOperator, JobVertex } from './job-graph.ts'
import { slotSharingGroups } from './plan.ts'
import { expand, fileName, type LogicalEdge, type LogicalGraph } from './stream-graph.ts'
import { displayName } from './translate.ts'
import type { JobDefinition, OperatorTransformation, Transformation } from './transformation.ts'

export function explain(definition: JobDefinition, graph: JobGraph, plan: ExecutionPlan): string {
  return [header(graph), logicalGraph(expand(definition), graph), jobGraph(definition, graph), executionPlan(plan), ''].join('\n\n').trimEnd() + '\n'
}

function header(graph: JobGraph): string {
  const { checkpointing, state } = graph.config
  const checkpoints = checkpointing.interval === undefined ? 'no checkpoints' : `checkpoint each ${formatDuration(checkpointing.interval)} (${checkpointing.mode})`
  const args = Object.entries(graph.config.args).map(([key, value]) => ` --${key} ${value}`)
  return [`Job "${graph.name}"${args.join('')}`, `  ${checkpoints}, state in ${state.backend}, graph ${graph.hash}`].join('\n')
}

function logicalGraph(logical: LogicalGraph, graph: JobGraph): string {
  const descriptions = new Map(graph.vertices.flatMap(vertex => vertex.operators).map(operator => [operator.transformation, operator.description]))
  const rows = logical.operators.map((operator, index) => {
    const inputs = logical.edges.filter(edge => edge.target === index).map(edge => inputText(edge, logical.operators[edge.source]!))
    return [`#${operator.id}`, displayName(operator), inputs.join(', '), notes([settings(operator), descriptions.get(operator.id)]), place(operator)]
  })
  for (const source of logical.unread) rows.push([`#${source.id}`, displayName(source), '', 'nothing reads it: left out', place(source)])
  return ['Logical graph', ...columns(rows)].join('\n')
}

function inputText({ partitioner, tag }: LogicalEdge, source: OperatorTransformation): string {
  const how = partitioner === undefined ? undefined : partitioner.kind === 'hash' ? `hash of ${partitioner.key.description}` : partitioner.kind
  return `<- #${source.id}${notes([tag === undefined ? undefined : `side output "${tag}"`, how]).replace(/^./, ' $&')}`
}

function settings(operator: OperatorTransformation): string | undefined {
  return operator.uid === undefined ? undefined : `uid "${operator.uid}"`
}

function place({ at }: OperatorTransformation): string {
  return at === undefined ? '' : `${fileName(at.file)}:${at.line}`
}

function jobGraph(definition: JobDefinition, graph: JobGraph): string {
  const lines = [`Job graph: ${counted(graph.vertices.length, 'vertex', 'vertices')}, ${counted(graph.edges.length, 'exchange', 'exchanges')}`]
  graph.vertices.forEach((vertex, v) => {
    lines.push(`  [${v}] ${vertex.name}`, `      ${vertexText(vertex)}`, ...vertex.operators.map(operator => `      ${operatorText(operator, vertex)}`))
    graph.edges.forEach(edge => {
      if (edge.source === v) lines.push(`      => [${edge.target}] ${edgeText(edge, vertex, definition)}; not chained: ${edge.notChained}`)
    })
  })
  return lines.join('\n')
}

function vertexText({ parallelism, maxParallelism, maxParallelismExplicit, slotSharingGroup, id }: JobVertex): string {
  return `parallelism ${parallelism}, max ${maxParallelism}${maxParallelismExplicit ? ' (set)' : ''}, slot-sharing group ${slotSharingGroup}, id ${id}`
}

function operatorText(operator: JobOperator, vertex: JobVertex): string {
  const { kind, name, uid, states, input } = operator
  const state = states.length === 0 ? undefined : `state ${states.map(declared => `${declared.name} (${declared.kind})`).join(', ')}`
  const from = input?.tag === undefined ? undefined : `reads side output "${input.tag}" of ${vertex.operators[input.operator]!.name}`
  return `- ${notes([`${name} [${kind}]`, uid === undefined ? undefined : `uid "${uid}"`, from, operator.description, state])}`
}

function edgeText(edge: JobEdge, vertex: JobVertex, definition: JobDefinition): string {
  const holder = edge.keyOf === undefined ? undefined : definition.transformations[edge.keyOf - 1]
  const how = edge.partitioner === 'hash' && holder !== undefined ? `hash of ${keyText(holder)}` : edge.partitioner
  const from = vertex.operators.length > 1 ? `from ${vertex.operators[edge.sourceOperator]!.name}` : undefined
  return notes([from, edge.tag === undefined ? undefined : `side output "${edge.tag}"`, how])
}

function keyText(node: Transformation): string {
  return node.kind === 'partition' && node.partitioner.kind === 'hash' ? node.partitioner.key.description : ''
}

function executionPlan(plan: ExecutionPlan): string {
  const { graph } = plan
  const lines = [`Execution plan: ${counted(plan.slots.length, 'slot', 'slots')}, ${counted(plan.channelCount, 'channel', 'channels')}`]
  const rows: string[][] = []
  let first = 0
  for (const { group, slots } of slotSharingGroups(graph)) {
    for (const [from, to] of alikeSlots(plan, first, first + slots)) {
      const subtasks = plan.slots[from]!.subtasks.map(({ vertex, subtask }) => {
        const { name, parallelism } = graph.vertices[vertex]!
        return `${name} (${from === to ? subtask + 1 : `${subtask + 1}-${subtask + 1 + to - from}`}/${parallelism})`
      })
      rows.push([`slot ${from === to ? from : `${from}-${to}`}`, group, subtasks.join(' | ')])
    }
    first += slots
  }
  return [...lines, ...columns(rows)].join('\n')
}

/** Ranges of neighbouring slots (both ends inclusive) that run subtasks of the same vertices. */
function alikeSlots(plan: ExecutionPlan, first: number, end: number): [from: number, to: number][] {
  const ranges: [number, number][] = []
  const vertices = (slot: number) => plan.slots[slot]!.subtasks.map(subtask => subtask.vertex).join()
  for (let slot = first; slot < end; slot++) {
    const last = ranges.at(-1)
    if (last !== undefined && vertices(last[1]) === vertices(slot)) last[1] = slot
    else ranges.push([slot, slot])
  }
  return ranges
}

const notes = (parts: readonly (string | undefined)[]) => parts.filter(part => part !== undefined && part !== '').join(', ')
const counted = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`

/** Rows with their cells one below the other. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  const used = widths.map(width => width > 0)
  return rows.map(row => `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).filter((_, i) => used[i]).join('  ')}`.trimEnd())
}
