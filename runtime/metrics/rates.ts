/**
 * Rates and levels from the cumulative counts that tasks report: records per second, and how a second was spent (busy,
 * idle, back-pressured; Flink's names and levels). A rate is taken over the last few seconds.
 */
import type { Millis, Timestamp } from '../core/time.ts'
import type { TaskMetrics } from '../protocol/slot.ts'

export interface TaskRates {
  readonly recordsInPerSecond: number
  readonly recordsOutPerSecond: number
  readonly bytesInPerSecond: number
  readonly bytesOutPerSecond: number
  /** Parts of the time, 0..1; together about 1. */
  readonly busy: number
  readonly idle: number
  readonly backPressured: number
}
export type BackPressureLevel = 'ok' | 'low' | 'high'

/** Flink's limits: up to 10 % is ok, up to 50 % is low. */
export const backPressureLevel = (ratio: number): BackPressureLevel => (ratio <= 0.1 ? 'ok' : ratio <= 0.5 ? 'low' : 'high')

interface Sample {
  readonly at: Timestamp
  readonly metrics: TaskMetrics
}
const noRates: TaskRates = { recordsInPerSecond: 0, recordsOutPerSecond: 0, bytesInPerSecond: 0, bytesOutPerSecond: 0, busy: 0, idle: 0, backPressured: 0 }

/** The last samples of each task of a job; one attempt at a time. */
export class RateMeter {
  readonly #window: Millis
  readonly #samples = new Map<string, Sample[]>()

  constructor(window: Millis = 5_000) {
    this.#window = window
  }

  /** New tasks count from 0 again. */
  reset(): void {
    this.#samples.clear()
  }

  add(at: Timestamp, tasks: readonly TaskMetrics[]): void {
    for (const metrics of tasks) {
      const key = keyOf(metrics.task.vertex, metrics.task.subtask)
      const samples = this.#samples.get(key) ?? []
      const last = samples.at(-1)
      // Out of order: nothing can be learned from it.
      if (last !== undefined && at < last.at) continue
      // A task that ends in the ms of its last report says so once more, and that is what counts.
      if (last?.at === at) samples.pop()
      samples.push({ at, metrics })
      // The oldest one that is kept is the one just outside of the window, or the last 64 if reports are frequent.
      while (samples.length > 2 && ((samples[1] as Sample).at <= at - this.#window || samples.length > 64)) samples.shift()
      this.#samples.set(key, samples)
    }
  }

  latest(vertex: number, subtask: number): TaskMetrics | undefined {
    return this.#samples.get(keyOf(vertex, subtask))?.at(-1)?.metrics
  }

  rates(vertex: number, subtask: number): TaskRates {
    const samples = this.#samples.get(keyOf(vertex, subtask))
    const first = samples?.[0]
    const last = samples?.at(-1)
    if (!first || !last || last.at <= first.at) return noRates
    const ms = last.at - first.at
    const perSecond = (name: 'recordsIn' | 'recordsOut' | 'bytesIn' | 'bytesOut') => (Math.max(0, last.metrics[name] - first.metrics[name]) * 1000) / ms
    const part = (name: 'busyMs' | 'idleMs' | 'backPressuredMs') => Math.min(1, Math.max(0, last.metrics[name] - first.metrics[name]) / ms)
    return {
      recordsInPerSecond: perSecond('recordsIn'),
      recordsOutPerSecond: perSecond('recordsOut'),
      bytesInPerSecond: perSecond('bytesIn'),
      bytesOutPerSecond: perSecond('bytesOut'),
      busy: part('busyMs'),
      idle: part('idleMs'),
      backPressured: part('backPressuredMs'),
    }
  }
}

const keyOf = (vertex: number, subtask: number) => `${vertex}:${subtask}`
