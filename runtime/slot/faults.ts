/**
 * Planted bugs, for the proof that the simulator finds them. Off in production: the worker host never passes any.
 * Each is the mistake that somebody makes who writes this protocol for the first time.
 */
export interface SlotFaults {
  /** A barrier does not block its channel: records behind it get into the snapshot. */
  readonly noAlignment?: boolean
  /** The barrier of a newer checkpoint counts for the older one that is being aligned. */
  readonly noSupersede?: boolean
}

export const noFaults: SlotFaults = {}
