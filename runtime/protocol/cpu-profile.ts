/**
 * V8's CPU profile of one slot as it is written to a `.cpuprofile` file, and what it says about where the time went. The
 * slot's thread writes it; the command line adds up those of all slots.
 */

/** Lines of a job's module that is made to be profiled begin here, so that they are not those of any other script. */
export const profiledFirstLine = 30_000

/** As in the DevTools protocol (`Profiler.Profile`); readers ignore what they do not know. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  /** Microseconds. */
  readonly startTime: number
  readonly endTime: number
  /** Ids of nodes. */
  readonly samples: readonly number[]
  /** Microseconds from the sample before. */
  readonly timeDeltas: readonly number[]
}
export interface ProfileNode {
  readonly id: number
  readonly callFrame: CallFrame
  readonly hitCount?: number
  readonly children?: readonly number[]
  /** Lines count from 1. */
  readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[]
}
/** Lines and columns count from 0. */
export interface CallFrame {
  readonly functionName: string
  readonly scriptId: string
  readonly url: string
  readonly lineNumber: number
  readonly columnNumber: number
}

/** A file: the profile, and beside it what is ours. */
export interface SlotProfile extends CpuProfile {
  readonly flinkTs: SlotProfileNote
}
export interface SlotProfileNote {
  readonly jobId: string
  readonly taskManager: string
  readonly slotIndex: number
  readonly attempt: number
  /** It ends before the slot did: so many ms were allowed. */
  readonly cutAfterMs?: number
  readonly shares: ProfileShares
}

/** Every microsecond between the first sample and the last is in `idle` or in one of `rows`. */
export interface ProfileShares {
  readonly idle: number
  readonly rows: readonly ProfileRow[]
  /** Functions of the user by what they used themselves, the most first. */
  readonly functions: readonly ProfiledFunction[]
}
export interface ProfileRow {
  /** `exchange`: channels, sockets, the slot itself; `start`: loading the job. */
  readonly kind: 'operator' | 'codec' | 'state' | 'exchange' | 'gc' | 'start'
  /** Of an operator. */
  readonly name?: string
  readonly micros: number
}
export interface ProfiledFunction {
  readonly name: string
  /** Absolute. */
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly micros: number
}
