/**
 * Whether and when a failed job is started again (Flink `none`, `fixed-delay`, `exponential-delay`). Pure: jitter takes
 * its chance from the caller.
 *
 * A lost process is nobody's mistake, so the first restart after one is immediate; "first" means that no other failure
 * happened since the last completed checkpoint. A loop of crashes without progress is slowed like any other failure.
 */
import { unreachable } from '../../core/assert.ts'
import type { ErrorCode } from '../../core/errors.ts'
import type { Millis, Timestamp } from '../../core/time.ts'
import type { JobConfig, RestartConfig } from '../../graph/config.ts'

export type RestartDecision = { readonly kind: 'restart'; readonly delay: Millis } | { readonly kind: 'fail'; readonly reason: string }

/** Running the same code on the same data again gives the same error: these fail at once, whatever the strategy. */
const hopeless: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NONDETERMINISTIC_GRAPH', 'BUNDLE_FAILED', 'JOB_FILE_NOT_FOUND', 'NO_JOB_EXPORT', 'JOB_BUILD_FAILED', 'INVALID_GRAPH', 'DUPLICATE_UID', 'EMPTY_JOB',
  'INVALID_OPTION', 'INVALID_DURATION', 'UNKNOWN_CONFIG_KEY', 'MALFORMED_RECORD', 'UNSUPPORTED_VALUE', 'INVALID_KEY', 'MISSING_TIMESTAMP',
  'INPUT_NOT_FOUND', 'INPUT_CHANGED', 'RECORD_TOO_LARGE', 'SNAPSHOT_CORRUPT', 'SNAPSHOT_NOT_FOUND', 'SNAPSHOT_INCOMPATIBLE', 'SNAPSHOT_VERSION',
  'STATE_INCOMPATIBLE', 'UNSUPPORTED_NODE', 'SOCKET_PATH_TOO_LONG', 'NOT_ENOUGH_SLOTS',
])
export const isHopeless = (code: ErrorCode) => hopeless.has(code)

/**
 * Without checkpoints there is nothing to go on from, so the default strategy does not apply (as in Flink); a
 * fixed delay is never the default, so somebody asked for it.
 */
export function effectiveRestart(config: JobConfig): RestartConfig {
  return config.checkpointing.interval === undefined && config.restart.kind === 'exponential-delay' ? { kind: 'none' } : config.restart
}

export class RestartStrategy {
  readonly #config: RestartConfig
  readonly #random: () => number
  #restarts = 0
  #backoff: Millis
  #lastFailureAt: Timestamp = -Infinity
  #failedSinceProgress = false

  constructor(config: RestartConfig, random: () => number) {
    this.#config = config
    this.#random = random
    this.#backoff = config.kind === 'exponential-delay' ? config.initial : 0
  }

  /** Whether a restart would be tried, without counting one. */
  canRestart(now: Timestamp): boolean {
    const config = this.#config
    if (config.kind === 'none') return false
    if (config.kind === 'exponential-delay' && now - this.#lastFailureAt >= config.resetAfter) return true
    return config.attempts === undefined || this.#restarts < config.attempts
  }

  onFailure(now: Timestamp, processLost: boolean): RestartDecision {
    const config = this.#config
    const quiet = now - this.#lastFailureAt
    const first = !this.#failedSinceProgress
    this.#lastFailureAt = now
    this.#failedSinceProgress = true
    switch (config.kind) {
      case 'none':
        return { kind: 'fail', reason: 'restarts are off (without checkpoints there is nothing to go on from)' }
      case 'fixed-delay':
        if (this.#restarts >= config.attempts) return { kind: 'fail', reason: `it was restarted ${config.attempts} times, which is the limit` }
        this.#restarts++
        return { kind: 'restart', delay: processLost && first ? 0 : config.delay }
      case 'exponential-delay': {
        if (quiet >= config.resetAfter) {
          this.#restarts = 0
          this.#backoff = config.initial
        }
        if (config.attempts !== undefined && this.#restarts >= config.attempts) {
          return { kind: 'fail', reason: `it was restarted ${config.attempts} times, which is the limit` }
        }
        this.#restarts++
        if (processLost && first) return { kind: 'restart', delay: 0 }
        const delay = this.#backoff
        this.#backoff = Math.min(config.max, this.#backoff * config.multiplier)
        const jitter = delay * config.jitter * (this.#random() * 2 - 1)
        return { kind: 'restart', delay: Math.max(0, Math.min(config.max, Math.round(delay + jitter))) }
      }
      default:
        return unreachable(config)
    }
  }

  /** A checkpoint completed: the job gets somewhere. */
  onProgress(): void {
    this.#failedSinceProgress = false
  }
}
