/**
 * The identity of a job graph, so that a slot whose own graph is another one refuses its task, and can say what differs.
 * Hash and difference read the same list of facts. Left out are the configuration (it travels with the deployment) and
 * source positions (they depend on how a bundle was loaded, and mean nothing to a running job); arguments are in.
 */
import { murmur128 } from '../core/murmur.ts'
import type { JobGraph } from './job-graph.ts'

type Hashed = Omit<JobGraph, 'hash'>
interface Fact {
  readonly subject: string
  readonly property: string
  readonly value: unknown
}

/** murmur128 of the canonical text, 32 hex digits. */
export function hashOf(graph: Hashed): string {
  return murmur128(JSON.stringify(factsOf(graph).map(({ subject, property, value }) => [subject, property, value ?? null])))
}

/** The first thing in which two graphs differ, as a sentence without its period; undefined if their hashes are equal. */
export function firstDifference(a: Hashed, b: Hashed): string | undefined {
  const ours = factsOf(a)
  const theirs = factsOf(b)
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    const one = ours[i]
    const other = theirs[i]
    if (one !== undefined && other !== undefined && one.subject === other.subject && one.property === other.property) {
      if (text(one.value) !== text(other.value)) return `${one.subject}: ${one.property} is ${text(one.value)} in one and ${text(other.value)} in the other`
    } else {
      return `one has ${one?.subject ?? 'nothing more'} where the other has ${other?.subject ?? 'nothing more'}`
    }
  }
  return undefined
}

const text = (value: unknown) => JSON.stringify(value ?? null)

function factsOf(graph: Hashed): Fact[] {
  const facts: Fact[] = []
  const state = (subject: string, properties: Readonly<Record<string, unknown>>) => {
    for (const [property, value] of Object.entries(properties)) facts.push({ subject, property, value })
  }
  state('the job', { name: graph.name })
  for (const key of Object.keys(graph.config.args).sort()) state(`argument --${key}`, { value: graph.config.args[key] })
  graph.vertices.forEach((vertex, v) => {
    vertex.operators.forEach((operator, o) => {
      const { id, name, uid, kind, description, transformation, input, states, source, commits } = operator
      const subject = `operator ${v}.${o} "${name}"`
      state(subject, { kind, uid, id, description, transformation, source, commits, 'input in the chain': input === undefined ? null : [input.operator, input.tag ?? null] })
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
