/**
 * Planted bugs, for the proof that the simulator finds them. Off in production: the worker host never passes any.
 * Each is the mistake that somebody makes who writes this protocol for the first time.
 */
export interface SlotFaults {
  /** A barrier does not block its channel: records behind it get into the snapshot. */
  readonly noAlignment?: boolean
  /** A newer barrier takes over the older alignment, with the channels that delivered only the older barrier. */
  readonly noSupersede?: boolean
}

export const noFaults: SlotFaults = {}
