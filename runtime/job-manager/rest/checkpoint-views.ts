/** What REST shows of checkpoints, in Flink's JSON. */
import type { Acknowledged, CheckpointRecord } from '../../metrics/checkpoint-statistics.ts'
import { summarize } from '../../metrics/checkpoint-statistics.ts'
import type { RestCheckpoint, RestCheckpointConfig, RestCheckpointCounters, RestCheckpoints, RestStatistics } from '../../protocol/rest.ts'
import type { JobRunner } from '../job-master/job-runner.ts'

const none: RestStatistics = summarize([])

export function checkpoints(job: JobRunner): RestCheckpoints {
  const { counts, sizes, stateSizes, durations, latest, restored, history } = job.statistics
  const view = (record: CheckpointRecord | undefined) => (record ? checkpoint(job, record) : null)
  return {
    counts,
    summary: { checkpointed_size: sizes, state_size: stateSizes, end_to_end_duration: durations, alignment_buffered: none, processed_data: none, persisted_data: none },
    latest: {
      completed: view(latest.completed),
      savepoint: view(latest.savepoint),
      failed: view(latest.failed),
      restored: restored ? { id: restored.id, restore_timestamp: restored.at, is_savepoint: restored.savepoint, external_path: restored.path } : null,
    },
    history: history.map(record => checkpoint(job, record)),
  }
}

export function checkpoint(job: JobRunner, record: CheckpointRecord): RestCheckpoint {
  const { id, kind, status, triggeredAt, endedAt } = record
  const tasks = Object.fromEntries(
    job.graph.vertices.map((vertex, index) => {
      const first = job.table.firstTask[index] ?? 0
      const acks = [...record.acknowledged].filter(([task]) => task >= first && task < first + vertex.parallelism).map(([, ack]) => ack)
      const latest = Math.max(-1, ...acks.map(ack => ack.at))
      return [vertex.id, { id, status, ...counters(latest, { bytes: sum(acks, 'bytes'), stateBytes: sum(acks, 'stateBytes') }, latest < 0 ? 0 : latest - triggeredAt, vertex.parallelism, acks.length) }]
    }),
  )
  return {
    className: status === 'COMPLETED' ? 'completed' : status === 'FAILED' ? 'failed' : 'in_progress',
    id,
    status,
    is_savepoint: kind !== 'checkpoint',
    savepointFormat: kind === 'checkpoint' ? null : 'NATIVE',
    checkpoint_type: kind === 'checkpoint' ? 'CHECKPOINT' : kind === 'savepoint' ? 'SAVEPOINT' : 'SYNC_SAVEPOINT',
    trigger_timestamp: triggeredAt,
    ...counters(record.latestAckAt ?? -1, record, (endedAt ?? record.latestAckAt ?? triggeredAt) - triggeredAt, record.tasks, record.acknowledged.size),
    tasks,
    ...(record.path !== undefined && { external_path: record.path, discarded: record.discarded }),
    ...(status === 'FAILED' && { failure_timestamp: endedAt ?? -1, failure_message: record.failure ?? '' }),
  }
}

const sum = (acks: readonly Acknowledged[], size: 'bytes' | 'stateBytes') => acks.reduce((total, ack) => total + ack[size], 0)

function counters(latestAck: number, { bytes, stateBytes }: { readonly bytes: number; readonly stateBytes: number }, duration: number, subtasks: number, acknowledged: number): RestCheckpointCounters {
  return {
    latest_ack_timestamp: latestAck, checkpointed_size: bytes, state_size: stateBytes, end_to_end_duration: duration, alignment_buffered: 0, processed_data: 0, persisted_data: 0,
    num_subtasks: subtasks, num_acknowledged_subtasks: acknowledged,
  }
}

export function checkpointConfig(job: JobRunner): RestCheckpointConfig {
  const { checkpointing, state } = job.graph.config
  return {
    mode: checkpointing.mode === 'exactly-once' ? 'exactly_once' : 'at_least_once',
    // Long.MAX_VALUE, as near as a JSON number comes to it.
    interval: checkpointing.interval ?? Number('9223372036854775807'),
    timeout: checkpointing.timeout,
    min_pause: checkpointing.minPause,
    max_concurrent: 1,
    externalization: { enabled: true, delete_on_cancellation: checkpointing.onCancellation === 'delete' },
    state_backend: state.backend,
    checkpoint_storage: 'filesystem',
    unaligned_checkpoints: false,
    tolerable_failed_checkpoints: checkpointing.tolerableFailures,
    aligned_checkpoint_timeout: 0,
    checkpoints_after_tasks_finish: true,
    state_changelog_enabled: false,
  }
}
