/**
 * The identity of a job graph, so that a slot whose own graph is another one refuses its task, and can say what differs.
 * Hash and difference read the same list of facts. Left out are the configuration (it travels with the deployment) and
 * source positions (they depend on how a bundle was loaded, and mean nothing to a running job); arguments are in.
 */
import { FlinkError } from '../core/errors.ts'
import { murmur128 } from '../core/murmur.ts'
import type { JobGraph } from './job-graph.ts'

type Hashed = Omit<JobGraph, 'hash'>
/** What is said of one thing: always the same properties, in the same order, of the same kind of thing. */
interface Fact {
  readonly subject: string
  readonly properties: Readonly<Record<string, unknown>>
}

/** murmur128 of the canonical text, 32 hex digits. */
export function hashOf(graph: Hashed): string {
  // JSON writes undefined in an array as null, as `text` does.
  return murmur128(JSON.stringify(factsOf(graph).map(({ subject, properties }) => [subject, ...Object.values(properties)])))
}

/** The first thing in which two graphs differ, as a sentence without its period; undefined if their hashes are equal. */
export function firstDifference(a: Hashed, b: Hashed, nameOfA = 'one', nameOfB = 'the other'): string | undefined {
  const ours = factsOf(a)
  const theirs = factsOf(b)
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    const one = ours[i]
    const other = theirs[i]
    if (one?.subject !== other?.subject) return `${nameOfA} has ${one?.subject ?? 'nothing more'} where ${nameOfB} has ${other?.subject ?? 'nothing more'}`
    for (const [property, value] of Object.entries(one?.properties ?? {})) {
      const otherValue = other?.properties[property]
      if (text(value) !== text(otherValue)) return `${one?.subject}: ${property} is ${text(value)} in ${nameOfA} and ${text(otherValue)} in ${nameOfB}`
    }
  }
  return undefined
}

/** @throws FlinkError `NONDETERMINISTIC_GRAPH` if the graph that was built `where` is not the one that was submitted. */
export function checkSameGraph(built: JobGraph, submitted: JobGraph, where: string): void {
  if (built.hash === submitted.hash) return
  throw new FlinkError('NONDETERMINISTIC_GRAPH', `job ${JSON.stringify(submitted.name)} was built differently in ${where}`, {
    detail: `${firstDifference(built, submitted, where, 'what was submitted') ?? 'Nothing that can be named differs'}.`,
  })
}

const text = (value: unknown) => JSON.stringify(value ?? null)

function factsOf(graph: Hashed): Fact[] {
  const facts: Fact[] = []
  const state = (subject: string, properties: Fact['properties']) => facts.push({ subject, properties })
  state('the job', { name: graph.name })
  for (const key of Object.keys(graph.config.args).sort()) state(`argument --${key}`, { value: graph.config.args[key] })
  graph.vertices.forEach((vertex, v) => {
    vertex.operators.forEach((operator, o) => {
      const { id, name, uid, kind, phase, description, transformation, input, states, source, commits } = operator
      const subject = `operator ${v}.${o} "${name}"`
      state(subject, { kind, phase, uid, id, description, transformation, source, commits, 'input in the chain': input === undefined ? null : [input.operator, input.tag ?? null] })
      for (const declared of states) state(`state "${declared.name}" of ${subject}`, { kind: declared.kind })
    })
    const { parallelism, maxParallelism, maxParallelismExplicit, slotSharingGroup, id, name } = vertex
    state(`vertex ${v} "${name}"`, { id, parallelism, 'max parallelism': maxParallelism, 'max parallelism explicit': maxParallelismExplicit, 'slot-sharing group': slotSharingGroup })
  })
  graph.edges.forEach(edge => {
    const { source, sourceOperator, tag, target, input, partitioner, keyOf, notChained } = edge
    state(`the edge from vertex ${source} to vertex ${target}`, { operator: sourceOperator, 'side output': tag, input, partitioner, key: keyOf, 'reason not to chain': notChained })
  })
  return facts
}
