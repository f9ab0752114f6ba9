/** A small story of a cluster as events, for the tests of the view and the lines. */
import { asOperatorId, asVertexId } from '../../runtime/core/ids.ts'
import { defaultJobConfig } from '../../runtime/graph/config.ts'
import type { JobGraph } from '../../runtime/graph/job-graph.ts'
import type { RuntimeEvent, RuntimeEventBody } from '../../runtime/metrics/event.ts'
import type { TaskMetrics } from '../../runtime/protocol/slot.ts'

export const storyStart = Date.parse('2001-01-01T12:00:00Z')
export const jobId = 'a1b2c3d4e5f60718293a4b5c6d7e8f90'

function vertex(name: string, parallelism: number, source: boolean): JobGraph['vertices'][number] {
  const id = name.length.toString(16).padStart(32, '0')
  return {
    id: asVertexId(id), name, parallelism, maxParallelism: 128, maxParallelismExplicit: false, slotSharingGroup: 'default',
    operators: [{ id: asOperatorId(id), name, kind: source ? 'source' : 'map', transformation: 1, states: [], source, commits: false }],
  }
}

export const storyGraph: JobGraph = {
  name: 'delays per airport and hour',
  hash: '00',
  vertices: [vertex('Source: flights -> Timestamps', 2, true), vertex('Window(tumbling 1 h) -> Map -> Sink: delays', 2, false)],
  edges: [{ source: 0, sourceOperator: 0, target: 1, input: 0, partitioner: 'hash', notChained: 'hash partitioning' }],
  config: defaultJobConfig,
}

export function metrics(vertex: number, subtask: number, values: Partial<TaskMetrics>): TaskMetrics {
  return {
    task: { vertex, subtask }, recordsIn: 0, recordsOut: 0, bytesIn: 0, bytesOut: 0, busyMs: 0, idleMs: 0, backPressuredMs: 0,
    currentInputWatermark: -Infinity, currentOutputWatermark: -Infinity, lateRecordsDropped: 0, stateBytes: 0, stateEvictions: 0, stateLoads: 0, pendingCommittables: 0,
    ...values,
  }
}

/** `events([after ms, body], ...)` numbers and dates them. */
export function events(...bodies: readonly (readonly [after: number, body: RuntimeEventBody])[]): RuntimeEvent[] {
  return bodies.map(([after, body], sequence) => ({ sequence, at: storyStart + after, ...body }))
}

const midnight = Date.parse('2001-01-01T00:00:00Z')

/** From the start of the cluster to two seconds of work, with a savepoint that failed. */
export const story: readonly RuntimeEvent[] = events(
  [0, { kind: 'clusterStarted', clusterId: 'c1', epoch: 1 }],
  [100, { kind: 'taskManagerRegistered', taskManager: 'tm-1', pid: 4711, slots: 1 }],
  [110, { kind: 'taskManagerRegistered', taskManager: 'tm-2', pid: 4712, slots: 1 }],
  [120, { kind: 'jobSubmitted', jobId, name: storyGraph.name, graph: storyGraph }],
  [130, { kind: 'jobStatus', jobId, status: 'CREATED', attempt: 1 }],
  ...[0, 1].flatMap(vertex => [0, 1].map(subtask => [150, { kind: 'taskStatus', jobId, attempt: 1, vertex, subtask, status: 'RUNNING', taskManager: `tm-${subtask + 1}`, slotIndex: 0 }] as const)),
  [160, { kind: 'jobStatus', jobId, status: 'RUNNING', attempt: 1 }],
  [1000, {
    kind: 'metrics', jobId, tasks: [
      metrics(0, 0, { recordsIn: 1_000, recordsOut: 1_000 }), metrics(0, 1, { recordsIn: 2_000, recordsOut: 2_000 }), metrics(1, 0, { recordsIn: 900 }), metrics(1, 1, { recordsIn: 1_900 }),
    ],
  }],
  [1200, { kind: 'output', jobId, stream: 'stdout', text: 'late:1> flight AA1\u001b[2J' }],
  [1300, { kind: 'checkpointTriggered', jobId, checkpointId: 1, checkpointKind: 'checkpoint' }],
  [1340, { kind: 'checkpointCompleted', jobId, checkpointId: 1, checkpointKind: 'checkpoint', durationMs: 40, bytes: 125_000, path: '/p/.flink-ts/checkpoints/1' }],
  [1500, { kind: 'checkpointFailed', jobId, checkpointId: 2, checkpointKind: 'savepoint', reason: 'task "Source: flights (1/2)" finished' }],
  [2000, {
    kind: 'metrics', jobId, tasks: [
      metrics(0, 0, { recordsIn: 13_345, recordsOut: 13_345, busyMs: 300, backPressuredMs: 600, idleMs: 100, currentOutputWatermark: midnight + 3_600_000 }),
      metrics(0, 1, { recordsIn: 14_000, recordsOut: 14_000, busyMs: 500, backPressuredMs: 500, currentOutputWatermark: midnight + 7_200_000 }),
      metrics(1, 0, { recordsIn: 12_900, busyMs: 1_000, currentInputWatermark: midnight + 3_600_000, stateBytes: 40_000, lateRecordsDropped: 3 }),
      metrics(1, 1, { recordsIn: 13_900, busyMs: 900, idleMs: 100, currentInputWatermark: midnight + 3_600_000, stateBytes: 50_000 }),
    ],
  }],
)
