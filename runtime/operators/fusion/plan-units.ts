/**
 * Which operators of a chain run as one generated function, and why a function ends where it does. Decided by the graph
 * alone, so that `flink-ts explain --generated` says of a job that never ran what `create-chain.ts` would build.
 */
import type { JobOperator } from '../../graph/job-graph.ts'
import type { OperatorTransformation } from '../../graph/transformation.ts'

/** More operators than this in one function cost more in compilation than they save. */
const maxFusedOperators = 10

/** What runs as one: a segment of row-wise operators, or one operator with a loop of its own. */
export interface PlannedUnit {
  /** Indexes into the chain, each reading the one before. */
  readonly members: readonly number[]
  readonly rowWise: boolean
  /** Of a segment: why it goes no further. */
  readonly ends?: string
  /** Of a segment: index of the sink that it hands each record to. The sink is a unit of its own for all else. */
  readonly sink?: number
}

/** `leaves`: whether the main output of an operator is read outside of the chain. In the order of their first members. */
export function planUnits(operators: readonly JobOperator[], transformations: readonly OperatorTransformation[], leaves: (index: number) => boolean): PlannedUnit[] {
  const absorbed = new Set<number>()
  return operators.flatMap((_, first): PlannedUnit[] => {
    if (absorbed.has(first)) return []
    if (!isRowWise(transformations[first] as OperatorTransformation)) return [{ members: [first], rowWise: false }]
    const members = [first]
    for (;;) {
      const next = continuation(members)
      if (next.kind === 'end') return [{ members, rowWise: true, ends: next.why }]
      if (next.kind === 'sink') return [{ members, rowWise: true, sink: next.reader }]
      absorbed.add(next.reader)
      members.push(next.reader)
    }
  })

  /** The operator that goes on with the segment: the only reader of its last main output, and row-wise as it is, or a sink. Else why there is none. */
  function continuation(members: readonly number[]): Continuation {
    const last = members.at(-1) as number
    if (leaves(last)) return end('its records leave the task')
    const readers = operators.flatMap((operator, reader) => (operator.input?.operator === last && operator.input.tag === undefined ? [reader] : []))
    const [reader] = readers
    if (reader === undefined) return end('nothing reads its records')
    if (readers.length > 1) return end(`${readers.length} operators read its records`)
    const transformation = transformations[reader] as OperatorTransformation
    if (transformation.kind === 'sink') return { kind: 'sink', reader }
    if (!isRowWise(transformation)) return end(`${(operators[reader] as JobOperator).name} ${whyNotRowWise(transformation)}`)
    if (members.length === maxFusedOperators) return end(`no more than ${maxFusedOperators} operators are one function`)
    return { kind: 'next', reader }
  }
}

type Continuation = { readonly kind: 'next' | 'sink'; readonly reader: number } | { readonly kind: 'end'; readonly why: string }
const end = (why: string): Continuation => ({ kind: 'end', why })

/** A `timestamps` operator with a generator of the user may emit a watermark in the middle of a batch: it stands alone (`timestamps.ts`). */
export function isRowWise(transformation: OperatorTransformation): boolean {
  switch (transformation.kind) {
    case 'map':
    case 'filter':
    case 'flatMap':
    case 'process':
      return true
    case 'timestamps':
      return transformation.strategy.policy.kind !== 'custom'
    default:
      return false
  }
}

/** As the rest of a sentence that begins with its name. */
export function whyNotRowWise(transformation: OperatorTransformation): string {
  switch (transformation.kind) {
    case 'source':
      return 'reads records and takes none'
    case 'timestamps':
      return 'has a watermark generator of yours, which may emit in the middle of a batch'
    case 'reduce':
    case 'keyedProcess':
    case 'window':
      return 'works under keys, on whole batches in a loop of its own'
    default:
      return 'takes whole batches'
  }
}
