/**
 * What happened to the checkpoints of a job, as REST and the live view show it (Flink `CheckpointStatsTracker`): counts
 * since the job began, the last ones in detail (a bound), and the latest of each kind.
 */
import type { CheckpointKind } from '../core/batch.ts'
import type { Timestamp } from '../core/time.ts'
import type { RestStatistics } from '../protocol/rest.ts'
import type { SnapshotTimings } from '../protocol/slot.ts'

export interface CheckpointRecord {
  readonly id: number
  readonly kind: CheckpointKind
  readonly triggeredAt: Timestamp
  readonly tasks: number
  status: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED'
  /** By task index. */
  readonly acknowledged: Map<number, Acknowledged>
  latestAckAt: Timestamp | undefined
  /** Written for it. */
  bytes: number
  /** All that it holds, in files of earlier ones that it goes on from too; what was written for it as long as that is not known. */
  stateBytes: number
  endedAt: Timestamp | undefined
  path: string | undefined
  failure: string | undefined
  discarded: boolean
}
export interface Acknowledged {
  readonly at: Timestamp
  readonly timings: SnapshotTimings
  readonly bytes: number
  stateBytes: number
}
export interface RestoredRecord {
  readonly id: number
  readonly at: Timestamp
  readonly savepoint: boolean
  readonly path: string
}

/** `web.checkpoints.history` */
const historyLength = 10
/** Completed ones that the summary is made of. */
const summaryLength = 1_000

export class CheckpointStatistics {
  #history: CheckpointRecord[] = []
  #durations: number[] = []
  #sizes: number[] = []
  #stateSizes: number[] = []
  #latest: Partial<Record<'completed' | 'savepoint' | 'failed', CheckpointRecord>> = {}
  #counts = { restored: 0, completed: 0, failed: 0 }
  #restored: RestoredRecord | undefined

  triggered(id: number, kind: CheckpointKind, tasks: number, now: Timestamp): void {
    this.#history.push({
      id, kind, triggeredAt: now, tasks, status: 'IN_PROGRESS', acknowledged: new Map(), latestAckAt: undefined,
      bytes: 0, stateBytes: 0, endedAt: undefined, path: undefined, failure: undefined, discarded: false,
    })
    if (this.#history.length > historyLength) this.#history.shift()
  }
  acknowledged(id: number, task: number, bytes: number, timings: SnapshotTimings, now: Timestamp): void {
    const record = this.find(id)
    if (!record) return
    record.acknowledged.set(task, { at: now, timings, bytes, stateBytes: bytes })
    record.latestAckAt = now
    record.bytes += bytes
    record.stateBytes += bytes
  }
  /** `stateBytes` by task. */
  written(id: number, stateBytes: readonly number[]): void {
    const record = this.find(id)
    if (!record) return
    record.stateBytes = 0
    for (const [task, acknowledged] of record.acknowledged) {
      acknowledged.stateBytes = stateBytes[task] ?? 0
      record.stateBytes += acknowledged.stateBytes
    }
  }
  completed(id: number, path: string, bytes: number, now: Timestamp): void {
    this.#counts.completed++
    const record = this.find(id)
    if (!record) return
    Object.assign(record, { status: 'COMPLETED', path, bytes, endedAt: now } satisfies Partial<CheckpointRecord>)
    this.#latest[record.kind === 'checkpoint' ? 'completed' : 'savepoint'] = record
    for (const [list, value] of [[this.#durations, now - record.triggeredAt], [this.#sizes, bytes], [this.#stateSizes, record.stateBytes]] as const) {
      list.push(value)
      if (list.length > summaryLength) list.shift()
    }
  }
  failed(id: number, reason: string, now: Timestamp): void {
    this.#counts.failed++
    const record = this.find(id)
    if (!record) return
    Object.assign(record, { status: 'FAILED', failure: reason, endedAt: now } satisfies Partial<CheckpointRecord>)
    this.#latest.failed = record
  }
  /** The job ended before it could be completed: as if it had not been. */
  abandoned(id: number): void {
    this.#history = this.#history.filter(record => record.id !== id)
  }
  discarded(id: number): void {
    const record = this.find(id)
    if (record) record.discarded = true
  }
  restoredFrom(record: RestoredRecord): void {
    this.#counts.restored++
    this.#restored = record
  }

  /** Newest first. */
  get history(): readonly CheckpointRecord[] {
    return [...this.#history].reverse()
  }
  get latest(): Readonly<Partial<Record<'completed' | 'savepoint' | 'failed', CheckpointRecord>>> {
    return this.#latest
  }
  get restored(): RestoredRecord | undefined {
    return this.#restored
  }
  get counts(): { readonly restored: number; readonly total: number; readonly in_progress: number; readonly completed: number; readonly failed: number } {
    const inProgress = this.#history.filter(record => record.status === 'IN_PROGRESS').length
    const { restored, completed, failed } = this.#counts
    return { restored, total: completed + failed + inProgress, in_progress: inProgress, completed, failed }
  }
  get durations(): RestStatistics {
    return summarize(this.#durations)
  }
  get sizes(): RestStatistics {
    return summarize(this.#sizes)
  }
  get stateSizes(): RestStatistics {
    return summarize(this.#stateSizes)
  }
  find(id: number): CheckpointRecord | undefined {
    return this.#history.find(record => record.id === id) ?? Object.values(this.#latest).find(record => record?.id === id)
  }
}

export function summarize(values: readonly number[]): RestStatistics {
  if (values.length === 0) return { min: 0, max: 0, avg: 0, p50: 0, p90: 0, p95: 0, p99: 0, p999: 0 }
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))] as number
  const avg = values.reduce((sum, value) => sum + value, 0) / values.length
  return { min: at(0), max: at(1), avg, p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), p999: at(0.999) }
}
