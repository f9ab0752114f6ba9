import { describe, expect, test } from 'vitest'
import { asOperatorId, asVertexId } from '../../core/ids.ts'
import { defaultJobConfig } from '../../graph/config.ts'
import type { JobGraph, JobVertex } from '../../graph/job-graph.ts'
import { planRestore, type SnapshotContent, type SnapshotOperator } from './restore-plan.ts'

const vertex = (names: readonly string[], change: Partial<JobVertex> = {}): JobVertex => ({
  id: asVertexId(names[0] as string), name: names.join(' -> '), parallelism: 2, maxParallelism: 128, maxParallelismExplicit: false, slotSharingGroup: 'default',
  operators: names.map((name, transformation) => ({ id: asOperatorId(name), name, kind: 'map', transformation, states: [], source: false, commits: false })),
  ...change,
})
const graph = (...vertices: readonly JobVertex[]): JobGraph => ({
  name: 'job', hash: 'h', vertices, config: defaultJobConfig,
  edges: vertices.slice(1).map((_, index) => ({ source: index, sourceOperator: 0, target: index + 1, input: 0, partitioner: 'hash', notChained: 'hash partitioning' })),
})
const saved = (id: string, change: Partial<SnapshotOperator> = {}): SnapshotOperator => ({
  id, name: id, parallelism: 2, maxParallelism: 128, finished: false, stateful: true, keyed: true,
  files: [0, 1].map(subtask => [{ path: `/sp/${id}-${subtask}`, bytes: 1, sha256: 'x' }]), ...change,
})
const snapshot = (...operators: readonly SnapshotOperator[]): SnapshotContent => ({ checkpointId: 7, path: '/sp', jobName: 'job', operators })
const plan = (to: JobGraph, from: SnapshotContent, allow = false) => planRestore(to, from, allow)

test('operators find their state by id; new ones start empty', () => {
  const restored = plan(graph(vertex(['source']), vertex(['count', 'new'])), snapshot(saved('source', { keyed: false, coordinator: new Uint8Array([1]) }), saved('count')))
  expect(Object.keys(restored.operators)).toEqual(['source', 'count'])
  expect(restored.operators.count?.files.map(chain => chain[0]?.path)).toEqual(['/sp/count-0', '/sp/count-1'])
  expect(restored).toMatchObject({ checkpointId: 7, finishedVertices: [], maxParallelism: {} })
  expect([...restored.coordinators.keys()]).toEqual(['source'])
})

describe('S11t: state that nobody claims', () => {
  const from = snapshot(saved('source'), saved('gone', { uid: 'my-uid' }), saved('stateless', { stateful: false }))
  test('is refused by name', () => {
    expect(() => plan(graph(vertex(['source'])), from)).toThrow(
      expect.objectContaining({ code: 'SNAPSHOT_INCOMPATIBLE', message: 'snapshot /sp does not fit job "job"', detail: 'It has state of an operator that the job does not have: "gone" (uid "my-uid").' }),
    )
  })
  test('may be dropped on demand', () => {
    expect(Object.keys(plan(graph(vertex(['source'])), from, true).operators)).toEqual(['source'])
  })
  test('all of it: a snapshot of another job', () => {
    expect(() => plan(graph(vertex(['elsewhere'])), from)).toThrow('snapshot /sp is of job "job"; none of its operators with state is in job "job"')
  })
  test('all of it, but by the names it is this job: the ids changed', () => {
    const renamed = vertex(['x'], { operators: [{ id: asOperatorId('x'), name: 'source', kind: 'map', transformation: 0, states: [], source: false, commits: false }] })
    expect(() => plan(graph(renamed), from)).toThrow('snapshot /sp does not fit job "job"')
  })
})

describe('K5: max parallelism', () => {
  test.each([
    ['not set: taken from the snapshot', { parallelism: 100, maxParallelism: 256 }, 128, { 0: 128 }],
    ['set to the same', { maxParallelism: 64, maxParallelismExplicit: true }, 64, {}],
    ['set to another: refused', { maxParallelism: 64, maxParallelismExplicit: true }, 128, '"count" (no uid) is set to max parallelism 64, but its state was saved with 128'],
    ['more subtasks than key groups: refused', { parallelism: 200, maxParallelism: 512 }, 128, '"count" (no uid) runs with parallelism 200, but its state was saved with max parallelism 128'],
  ])('%s', (_, change, old, expected) => {
    const restore = () => plan(graph(vertex(['count'], change)), snapshot(saved('count', { maxParallelism: old })))
    if (typeof expected === 'string') expect(restore).toThrow(expected)
    else expect(restore().maxParallelism).toEqual(expected)
  })
  test('only keyed state binds it', () => {
    expect(plan(graph(vertex(['source'], { parallelism: 200, maxParallelism: 512 })), snapshot(saved('source', { keyed: false }))).maxParallelism).toEqual({})
  })
  test('operators that were saved apart and are chained now must agree', () => {
    expect(() => plan(graph(vertex(['a', 'b'])), snapshot(saved('a'), saved('b', { maxParallelism: 256 })))).toThrow('the operators of "a -> b" were saved with different max parallelism (128 and 256), but they are chained now')
  })
})

describe('C10: what was finished', () => {
  const done = { finished: true, stateful: false, keyed: false, files: [[], []] }
  test('is not run again', () => {
    expect(plan(graph(vertex(['source', 'map']), vertex(['count'])), snapshot(saved('source', done), saved('map', done), saved('count'))).finishedVertices).toEqual([0])
  })
  test('half a chain cannot be', () => {
    expect(() => plan(graph(vertex(['source', 'new'])), snapshot(saved('source', done)))).toThrow('"new" (no uid) is chained with "source" (no uid), which was finished when the snapshot was taken')
  })
  test('neither can what has an input that was not', () => {
    expect(() => plan(graph(vertex(['source']), vertex(['count'])), snapshot(saved('source'), saved('count', done)))).toThrow('"count" was finished when the snapshot was taken, but its input "source" was not')
  })
})
