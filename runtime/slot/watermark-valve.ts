/**
 * Combines the watermarks and the idleness of all channels of one input (Flink `StatusWatermarkValve`, with the FINISHED
 * status proposed in FLINK-38477). Pure: what arrived goes in, what the operators are to be told comes out.
 *
 * A channel is active, idle or finished. The output is the smallest watermark of the channels that are active and
 * *aligned*: one that comes back from idleness counts again only once it has caught up with the output, so that it
 * cannot pull time back. A finished channel (its watermark reached MAX, or its data ended) holds nothing back and pushes
 * nothing on either: MAX comes out when all channels are finished, not when the others happen to be idle.
 */
import { assert } from '../core/assert.ts'
import { MAX_TIMESTAMP, MIN_TIMESTAMP, type Timestamp } from '../core/time.ts'

export type ValveCommand =
  | { readonly kind: 'watermark'; readonly timestamp: Timestamp }
  | { readonly kind: 'idle' }
  | { readonly kind: 'active' }

interface ValveChannel {
  status: 'active' | 'idle' | 'finished'
  /** Counts for the minimum. */
  aligned: boolean
  watermark: Timestamp
  /** Finished with its event time at the end. */
  drained: boolean
}

const nothing: readonly ValveCommand[] = []

export class WatermarkValve {
  readonly #channels: ValveChannel[]
  #output: Timestamp = MIN_TIMESTAMP
  #idle = false

  constructor(channels: number) {
    assert(channels > 0, 'a valve without channels')
    this.#channels = Array.from({ length: channels }, () => ({ status: 'active', aligned: true, watermark: MIN_TIMESTAMP, drained: false }))
  }

  watermark(channel: number, timestamp: Timestamp): readonly ValveCommand[] {
    const from = this.#channel(channel)
    if (from.status === 'finished') return nothing
    if (timestamp === MAX_TIMESTAMP) return this.#finish(from, true)
    if (from.status === 'idle' || timestamp <= from.watermark) return nothing
    from.watermark = timestamp
    if (!from.aligned) {
      if (timestamp < this.#output) return nothing
      from.aligned = true
    }
    return this.#advance([])
  }

  idle(channel: number): readonly ValveCommand[] {
    const from = this.#channel(channel)
    if (from.status !== 'active') return nothing
    from.status = 'idle'
    from.aligned = false
    return this.#settle()
  }

  active(channel: number): readonly ValveCommand[] {
    const from = this.#channel(channel)
    if (from.status !== 'idle') return nothing
    from.status = 'active'
    from.aligned = from.watermark >= this.#output
    const commands: ValveCommand[] = []
    if (this.#idle) {
      this.#idle = false
      commands.push({ kind: 'active' })
    }
    return commands
  }

  /** The channel's data ended; `drained` if its event time ended too. */
  end(channel: number, drained: boolean): readonly ValveCommand[] {
    const from = this.#channel(channel)
    return from.status === 'finished' ? nothing : this.#finish(from, drained)
  }

  #channel(channel: number): ValveChannel {
    const found = this.#channels[channel]
    assert(found !== undefined, `valve has no channel ${channel}`)
    return found
  }

  #finish(channel: ValveChannel, drained: boolean): readonly ValveCommand[] {
    channel.status = 'finished'
    channel.aligned = false
    channel.drained = drained
    return this.#settle()
  }

  /** One channel fewer is active. */
  #settle(): readonly ValveCommand[] {
    const commands: ValveCommand[] = []
    if (this.#channels.every(channel => channel.status === 'finished')) {
      if (this.#channels.every(channel => channel.drained)) {
        if (this.#idle) commands.push({ kind: 'active' })
        this.#idle = false
        if (this.#output !== MAX_TIMESTAMP) commands.push({ kind: 'watermark', timestamp: MAX_TIMESTAMP })
        this.#output = MAX_TIMESTAMP
      }
      return commands
    }
    if (this.#channels.some(channel => channel.status === 'active')) return this.#advance(commands)
    if (this.#idle) return commands
    // Nobody is left who could bring more: let out all that was seen, then be idle.
    let largest = MIN_TIMESTAMP
    for (const channel of this.#channels) largest = Math.max(largest, channel.watermark)
    if (largest > this.#output) {
      this.#output = largest
      commands.push({ kind: 'watermark', timestamp: largest })
    }
    this.#idle = true
    commands.push({ kind: 'idle' })
    return commands
  }

  #advance(commands: ValveCommand[]): readonly ValveCommand[] {
    let smallest = MAX_TIMESTAMP
    for (const channel of this.#channels) if (channel.aligned && channel.watermark < smallest) smallest = channel.watermark
    if (smallest !== MAX_TIMESTAMP && smallest > this.#output) {
      this.#output = smallest
      commands.push({ kind: 'watermark', timestamp: smallest })
    }
    return commands
  }
}
