/**
 * What a TaskManager needs of a slot: something that runs one deployment after the other. In a real process it is a
 * worker thread (`worker-slot.ts`), in the embedded cluster and the simulator a `Slot` in the same thread.
 */
import type { ErrorData } from '../core/errors.ts'
import type { DeploymentText } from '../protocol/deployment-text.ts'
import type { SlotMail, SlotReport, SnapshotBlock, SnapshotFile } from '../protocol/slot.ts'

export interface SlotRunner {
  /** Begins a deployment. Called only when the one before has ended. */
  start(deployment: DeploymentText, events: SlotEvents): RunningSlot
}

export interface RunningSlot {
  receive(mail: SlotMail): void
  /** What `SlotEvents.report` gave with a report has been taken by the JobManager, or by the disk: the slot may make more. */
  taken(load: ReportLoad): void
}

/** Reports that a slot may have under way only up to a bound: what is printed and collected, and blocks of snapshots. */
export interface ReportLoad {
  readonly kind: 'output' | 'snapshot'
  readonly bytes: number
}

export interface SlotEvents {
  /** `load` must come back through `taken`; undefined for reports that need no flow control. */
  report(report: SlotReport, load: ReportLoad | undefined): void
  /** What user code wrote to its console; whole lines. */
  log(stream: 'stdout' | 'stderr', text: string): void
  /** Once, and the last: everything that ran is gone. `error`: it did not end by itself. */
  ended(error: ErrorData | undefined): void
}

/** Writes the files of snapshots. Calls for one file are in order; results come later or at once. */
export interface SnapshotFiles {
  /** `path` is absolute; its directory is made if need be. The first call for a path begins the file. `taken`: in any case, once. */
  write(path: string, block: SnapshotBlock, taken: () => void): void
  /** Makes the file durable under its name. A snapshot without blocks is a file too. */
  finish(path: string, done: (result: SnapshotFile | ErrorData) => void): void
  /** Drops a file that is not finished and what was written of it; after `finish`, its result is not told. */
  discard(path: string): void
}

export const isErrorData = (result: SnapshotFile | ErrorData): result is ErrorData => 'code' in result
