/**
 * Gives each operator a frame of its own in stacks and profiles. Operators of one kind share their code, so a stack says
 * that some window fires but not which. While a slot is profiled, each method of each operator is therefore called through
 * a function that is named after it: one call more a batch. What is not profiled never comes here.
 */
import type { SourcePosition } from '../../core/errors.ts'
import type { JobOperator } from '../../graph/job-graph.ts'
import type { OperatorTransformation } from '../../graph/transformation.ts'
import { programText, rowShape } from '../../operators/fusion/generate.ts'
import { isRowWise } from '../../operators/fusion/plan-units.ts'
import type { Operator } from '../../operators/operator.ts'

/** What runs as one: an operator, or neighbours in one generated function. */
export interface NamedUnit {
  readonly label: string
  readonly members: readonly NamedMember[]
  /** Of a segment: which member a line of its generated script belongs to; lines count from 1, undefined before the first. */
  readonly memberOfLine: readonly (number | undefined)[]
  /** The functions through which it is called: they have a script of their own. */
  readonly trampolines: readonly unknown[]
}
export interface NamedMember {
  readonly name: string
  readonly kind: string
  readonly at: SourcePosition | undefined
  /** The user's function that is called for each record, where it is one. */
  readonly rowFunction: unknown
}

/** What a method of an operator is for, as people would say it; nothing for what every record goes through. */
const purposes: Readonly<Record<string, string>> = {
  open: 'open', processBatch: '', processWatermark: 'watermark', processIdle: 'idle', onTime: 'timers', endInput: 'end of input', prepareSnapshot: 'prepare snapshot',
  snapshot: 'snapshot', checkpointComplete: 'checkpoint complete', maintain: 'maintain', close: 'close',
  // Of sources.
  poll: '', addSplit: 'add split', noMoreSplits: 'no more splits',
}
/** Lines that V8 puts in front of what `new Function` is given. */
const preamble = 2

export function nameOperator(operator: Operator, members: readonly JobOperator[], transformations: readonly OperatorTransformation[]): NamedUnit {
  const label = members.map(member => member.name).join(' -> ')
  const trampolines: unknown[] = []
  for (const [method, purpose] of Object.entries(purposes)) {
    const original: unknown = Reflect.get(operator, method)
    if (typeof original !== 'function') continue
    const name = purpose === '' ? label : `${label} (${purpose})`
    // No string from outside but through `JSON.stringify`, as everywhere in generated code.
    // oxlint-disable-next-line no-implied-eval -- the name of a function in a profile is that of its text
    const make = new Function('original', `'use strict'; return { ${JSON.stringify(name)}(...given) { return original.apply(this, given) } }[${JSON.stringify(name)}]`) as (original: unknown) => unknown
    const trampoline = make(original)
    Object.defineProperty(operator, method, { value: trampoline, writable: true, configurable: true })
    trampolines.push(trampoline)
  }
  return {
    label,
    members: members.map((member, at) => namedMember(member, transformations[at] as OperatorTransformation)),
    memberOfLine: linesOf(transformations),
    trampolines,
  }
}

function namedMember({ name, at }: JobOperator, transformation: OperatorTransformation): NamedMember {
  const { fn } = isRowWise(transformation) ? rowShape(transformation) : { fn: undefined }
  const rowFunction = transformation.kind === 'process' ? transformation.fn.process : fn
  return { name, kind: transformation.kind, at: transformation.at ?? at, rowFunction }
}

/** Nothing but of a segment, at whose end there may be a sink. */
function linesOf(transformations: readonly OperatorTransformation[]): (number | undefined)[] {
  const rows = transformations.filter(isRowWise).map(rowShape)
  if (rows.length === 0) return []
  const members: (number | undefined)[] = Array.from({ length: preamble + 1 })
  let member: number | undefined
  for (const line of programText(rows, '', rows.length < transformations.length).split('\n')) {
    // A line may hold several: what comes before the first of its own is short.
    for (const [, at] of line.matchAll(/\bat = (\d+)/g)) member = Number(at)
    members.push(member)
  }
  return members
}
