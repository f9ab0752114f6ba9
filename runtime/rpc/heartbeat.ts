/**
 * Decides when to send a heartbeat and when a silent peer is dead. A pure machine: the owner calls `tick` about every
 * interval, and `heard` for whatever arrives.
 *
 * Silence is counted in ticks and not between two readings of the clock: a tick adds at most two intervals. So a laptop
 * that slept for a night, or a process that was stopped, does not hold its own absence against all its peers.
 */
import type { Millis } from '../core/time.ts'

export interface HeartbeatOptions {
  readonly intervalMs: Millis
  readonly timeoutMs: Millis
}

export type HeartbeatCommand =
  | { readonly kind: 'send'; readonly sequence: number }
  /** Said once. */
  | { readonly kind: 'dead'; readonly silentMs: Millis }

export class Heartbeat {
  readonly #options: HeartbeatOptions
  #lastTick: Millis
  #lastSent: Millis
  #silentMs = 0
  #heard = false
  #sequence = 0
  #dead = false

  /** `now` is monotonic, ms. */
  constructor(options: HeartbeatOptions, now: Millis) {
    this.#options = options
    this.#lastTick = now
    this.#lastSent = now
  }

  /** Anything from the peer proves that it lives. */
  heard(): void {
    this.#heard = true
  }

  tick(now: Millis): HeartbeatCommand[] {
    const elapsed = Math.max(0, now - this.#lastTick)
    this.#lastTick = now
    if (this.#dead) return []
    // Heard at some time since the last tick: taken as now, rather too kind than too strict.
    this.#silentMs = this.#heard ? 0 : this.#silentMs + Math.min(elapsed, 2 * this.#options.intervalMs)
    this.#heard = false
    if (this.#silentMs >= this.#options.timeoutMs) {
      this.#dead = true
      return [{ kind: 'dead', silentMs: Math.round(this.#silentMs) }]
    }
    if (now - this.#lastSent < this.#options.intervalMs) return []
    this.#lastSent = now
    return [{ kind: 'send', sequence: ++this.#sequence }]
  }
}
