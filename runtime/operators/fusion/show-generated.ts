/**
 * The code that would be generated for a job, made readable: `flink-ts explain --generated`. The statements are those that
 * run (`generate.ts`); what is added are indents, and comments that say whose they are.
 */
import { canGenerate } from '../../codec/code-generation.ts'
import type { SourcePosition } from '../../core/errors.ts'
import type { JobGraph, JobOperator } from '../../graph/job-graph.ts'
import { fileName } from '../../graph/stream-graph.ts'
import type { JobDefinition, OperatorTransformation } from '../../graph/transformation.ts'
import { programText, rowShape, type RowShape } from './generate.ts'
import { planUnits, whyNotRowWise, type PlannedUnit } from './plan-units.ts'

export function showGenerated(definition: JobDefinition, graph: JobGraph): string {
  const lines: string[] = []
  graph.vertices.forEach(({ name, operators }, vertex) => {
    lines.push(`[${vertex}] ${name}`, '')
    const transformations = operators.map(operator => definition.transformations[operator.transformation - 1] as OperatorTransformation)
    const leaves = (index: number) => graph.edges.some(edge => edge.source === vertex && edge.sourceOperator === index && edge.tag === undefined)
    const units = planUnits(operators, transformations, leaves)
    const written = new Set(generates(graph) ? units.map(unit => unit.sink) : [])
    for (const unit of units) if (!written.has(unit.members[0])) lines.push(...unitText(unit, operators, transformations, graph).map(line => `  ${line}`.trimEnd()), '')
  })
  return lines.join('\n')
}

const generates = ({ config }: JobGraph) => config.exchange.fusion && canGenerate

function unitText({ members, rowWise, ends, sink }: PlannedUnit, operators: readonly JobOperator[], transformations: readonly OperatorTransformation[], graph: JobGraph): string[] {
  const shown = sink === undefined || !generates(graph) ? members : [...members, sink]
  const all = shown.map(member => operators[member] as JobOperator)
  const names = all.map(operator => operator.name).join(' -> ')
  const first = transformations[members[0] as number] as OperatorTransformation
  if (!rowWise) return [`${nameText(all[0] as JobOperator, first)}: not generated; it ${whyNotRowWise(first)}`]
  if (!graph.config.exchange.fusion) return [`${names}: not generated; exchange.fusion is off, so the functions call each other`]
  if (!canGenerate) return [`${names}: not generated; this Node does not allow code from text, so the functions call each other`]
  const rows = members.map(member => rowShape(transformations[member] as OperatorTransformation))
  const comments = all.map((operator, at) => nameText(operator, transformations[shown[at] as number] as OperatorTransformation))
  const functions = rows.map((row, at) => functionText(row, all[at] as JobOperator, transformations[members[at] as number] as OperatorTransformation))
  return [`${names}: one function over a batch${ends === undefined ? '' : `; it ends there because ${ends}`}`, '', ...readable(programText(rows, names, sink !== undefined), comments, functions).map(line => `  ${line}`)]
}

function nameText({ name }: JobOperator, { kind }: OperatorTransformation): string {
  return `${name} [${kind}]`
}

function functionText({ fn }: RowShape, { at }: JobOperator, transformation: OperatorTransformation): string {
  const place = transformation.at ?? at
  const own = typeof fn === 'function' ? fn.name : ''
  // A function that has no name of its own has that of the property it was given as.
  const name = own === '' || own === 'fn' || own === 'timestamp' ? 'your function' : `your ${own}`
  return `${fn !== undefined && typeof fn !== 'function' ? 'your process function' : name}, ${placeText(place)}`
}
const placeText = (at: SourcePosition | undefined) => (at === undefined ? 'of a place that is not known' : `${fileName(at.file)}:${at.line}`)

/** Names in comments cannot end them: a line ends one. */
function readable(program: string, comments: readonly string[], functions: readonly string[]): string[] {
  let depth = 0
  const safe = (text: string) => JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"')
  return program.split('\n').filter(line => !line.startsWith('//# ')).map(line => {
    const opens = line.split('{').length - line.split('}').length
    const shown = Math.max(0, line.startsWith('}') ? depth - 1 : depth)
    depth += opens
    const user = /^const f(\d+) = /.exec(line)
    const operator = user === null ? /^(?:at|c\d+\.timestamp) = (\d+)\b/.exec(line) : null
    const comment = user !== null ? functions[Number(user[1])] : operator !== null ? comments[Number(operator[1])] : undefined
    return `${'  '.repeat(shown)}${line}${comment === undefined ? '' : `  // ${safe(comment)}`}`
  })
}
