/**
 * Whether a TaskManager may open as many files as it will need (N14): found out before anything is started, because a
 * process that runs out of descriptors fails in places that do not say so.
 */
import { readFileSync } from 'node:fs'
import { FlinkError } from '../core/errors.ts'

/** Node's own, the log, the control socket, threads' pipes. */
const descriptorsOfProcess = 40
/** Its event loop, LMDB, files of sources and sinks. */
const descriptorsOfSlot = 16

/** Descriptors of one TaskManager: its slots read from and write to every other slot, each over a socket of its own. */
export function descriptorsNeeded(taskManagers: number, slotsEach: number): number {
  const others = taskManagers * slotsEach - 1
  return descriptorsOfProcess + slotsEach * (descriptorsOfSlot + 2 * others)
}

/** @throws {FlinkError} NOT_ENOUGH_SLOTS */
export function checkOpenFiles(taskManagers: number, slotsEach: number, limit = openFilesLimit()): void {
  const needed = descriptorsNeeded(taskManagers, slotsEach)
  if (limit === undefined || needed <= limit) return
  throw new FlinkError('NOT_ENOUGH_SLOTS', `${taskManagers * slotsEach} slots need ${needed} open files in a TaskManager, but only ${limit} are allowed`, {
    hint: 'Raise the limit with `ulimit -n`, or lower --parallelism.',
  })
}

/** The hard limit, to which Node raises its own; undefined where the system does not tell. */
function openFilesLimit(): number | undefined {
  try {
    const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    return hard === undefined ? undefined : Number(hard)
  } catch {
    return undefined
  }
}
