/** Makes a job ready for a test: testing sources in place of named ones, other sinks in place of its own, and one on every side output. */
import type { Sink } from '../api/connector.ts'
import { FlinkError } from '../core/errors.ts'
import type { JobDefinition, SinkTransformation, SourceTransformation, Transformation } from '../graph/transformation.ts'
import { playSteps, type Hold, type TestingSource } from './testing-source.ts'

/** `sinkFor` gives what stands for a sink (`sink <transformation>`) or keeps a side output (`side output <tag> <transformation>`). */
export function prepareJob(definition: JobDefinition, sources: Readonly<Record<string, TestingSource<unknown>>>, sinkFor: (id: string) => Sink<unknown>, hold?: Hold): JobDefinition {
  const used = new Set<string>()
  const replaced = new Map<Transformation, Transformation>()
  const transformations: Transformation[] = []
  for (const node of definition.transformations) {
    let next: Transformation
    if (node.kind === 'source') next = withTestingSource(node, sources, used, hold)
    else if (node.kind === 'sink') next = { ...node, input: replaced.get(node.input) as Transformation, sink: sinkFor(`sink ${node.id}`) }
    else if (node.kind === 'union') next = { ...node, inputs: node.inputs.map(input => replaced.get(input) as Transformation) }
    else next = { ...node, input: replaced.get(node.input) as Transformation }
    replaced.set(node, next)
    transformations.push(next)
  }
  const unknown = Object.keys(sources).filter(name => !used.has(name))
  if (unknown.length > 0) {
    const names = definition.transformations.filter(node => node.kind === 'source').map(node => node.uid ?? node.name)
    throw new FlinkError('INVALID_OPTION', `job "${definition.name}" has no source ${unknown.map(name => `"${name}"`).join(', ')}`, { hint: `Its sources are ${names.map(name => `"${name}"`).join(', ')}.` })
  }
  let id = Math.max(0, ...transformations.map(node => node.id))
  for (const node of [...transformations]) {
    if (node.kind !== 'sideOutput') continue
    const sink: SinkTransformation = { kind: 'sink', id: ++id, name: `side output ${node.tag}`, input: node, sink: sinkFor(`side output ${node.tag} ${node.id}`) }
    transformations.push(sink)
  }
  return { ...definition, transformations }
}

function withTestingSource(node: SourceTransformation, sources: Readonly<Record<string, TestingSource<unknown>>>, used: Set<string>, hold: Hold | undefined): SourceTransformation {
  const name = [node.uid, node.name].find(each => each !== undefined && sources[each] !== undefined)
  if (name === undefined) return node
  used.add(name)
  return {
    ...node,
    source: playSteps(sources[name] as TestingSource<unknown>, hold),
    parallelism: 1,
    // The steps carry their watermarks; timestamps still come from the job.
    strategy: { timestamp: node.strategy?.timestamp, policy: { kind: 'none' }, idleness: undefined },
  }
}
