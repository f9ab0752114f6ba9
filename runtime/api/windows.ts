/** Window assigners: how a keyed stream is cut into finite pieces of event time. */
import type { Duration } from '../core/time.ts'
import { durationOption, refuse } from './refuse.ts'
import type { TumblingWindows, WindowAssignerSpec } from './time.ts'

/** What `window(...)` takes. */
export type WindowAssigner = WindowAssignerSpec

/**
 * Windows of `size` that follow each other without gap or overlap: `[n * size + offset, (n + 1) * size + offset)` in
 * epoch ms. Days are UTC days; `offset: '-8 h'` gives those of China. Flink `TumblingEventTimeWindows`.
 * Throws INVALID_DURATION unless `size` is positive and `offset` shorter than it.
 *
 * @example
 * readings.keyBy('sensor').window(tumbling('1 h')).aggregate({ hottest: max(r => r.celsius) })
 */
export function tumbling(size: Duration, options: { readonly offset?: Duration } = {}): TumblingWindows {
  const sizeMillis = durationOption(size, 'tumbling', 1)
  const offset = options.offset === undefined ? 0 : durationOption(options.offset, 'tumbling: offset', -Infinity)
  if (Math.abs(offset) >= sizeMillis) {
    refuse('INVALID_DURATION', `tumbling: offset ${JSON.stringify(options.offset)} is not shorter than the window`, { hint: 'An offset moves windows by less than their size.' })
  }
  return Object.freeze({ kind: 'tumbling', size: sizeMillis, offset })
}
