/** A runtime event as one line for people; undefined for what only a live view shows. */
import { unreachable } from '../../runtime/core/assert.ts'
import type { ErrorData } from '../../runtime/core/errors.ts'
import type { CheckpointKind } from '../../runtime/core/batch.ts'
import type { RuntimeEvent } from '../../runtime/metrics/event.ts'
import { formatCode } from './error-code.ts'
import { sanitiseLine } from './sanitise.ts'
import { formatBytes, formatElapsed } from './units.ts'

export type Level = 'info' | 'warn' | 'error'

export interface EventLine {
  readonly level: Level
  /** Safe for a terminal. */
  readonly text: string
}

export function eventLine(event: RuntimeEvent): EventLine | undefined {
  switch (event.kind) {
    case 'clusterStarted':
      return event.epoch > 1 ? line('warn', `the JobManager is back (epoch ${event.epoch})`) : undefined
    case 'taskManagerRegistered':
      return line('info', `TaskManager ${event.taskManager} is ready with ${event.slots} ${event.slots === 1 ? 'slot' : 'slots'} (process ${event.pid})`)
    case 'taskManagerLost':
      return line('warn', `TaskManager ${event.taskManager} is lost: ${event.reason}`)
    case 'standby':
      return undefined
    case 'jobSubmitted':
      return line('info', `job "${event.name}" has id ${event.jobId}`)
    case 'jobStatus': {
      // `jobSubmitted` has said so.
      if (event.status === 'CREATED') return undefined
      const attempt = event.attempt > 1 ? ` (attempt ${event.attempt})` : ''
      const level = event.status === 'FAILED' || event.status === 'FAILING' ? 'error' : event.status === 'RESTARTING' ? 'warn' : 'info'
      return line(level, `job is ${event.status}${attempt}`)
    }
    case 'jobRestored':
      return line('info', `restored from ${event.savepoint ? 'savepoint' : 'checkpoint'} ${event.checkpointId}${event.attempt > 1 ? ` (attempt ${event.attempt})` : ''}`)
    case 'restartScheduled':
      return line('warn', `restart ${event.delayMs === 0 ? 'at once' : `in ${formatElapsed(event.delayMs)}`} as attempt ${event.attempt}: ${briefly(event.cause)}${advice(event.repeats)}`)
    case 'taskStatus':
    case 'metrics':
    case 'output':
      return undefined
    case 'checkpointTriggered':
      return event.checkpointKind === 'checkpoint' ? undefined : line('info', `${checkpointName(event.checkpointKind)} ${event.checkpointId} started`)
    case 'checkpointCompleted': {
      const path = event.checkpointKind === 'checkpoint' ? '' : `: ${event.path}`
      return line('info', `${checkpointName(event.checkpointKind)} ${event.checkpointId} completed in ${formatElapsed(event.durationMs)}, ${formatBytes(event.bytes)}${path}`)
    }
    case 'checkpointFailed':
      return line('warn', `${checkpointName(event.checkpointKind)} ${event.checkpointId} failed: ${event.reason}`)
    case 'collected':
      return undefined
    case 'log':
      return line(event.level, event.error === undefined || event.message.includes(event.error.message) ? event.message : `${event.message}: ${briefly(event.error)}`)
    case 'missed':
      return line('warn', `${event.events} events were missed: this reader was slower than the cluster`)
    default:
      return unreachable(event)
  }
}

const line = (level: Level, text: string): EventLine => ({ level, text: sanitiseLine(text) })

/** A job that fails the same way for ever is restarted for ever, as in Flink: somebody has to say what ends it. */
function advice(repeats: number): string {
  if (repeats < 3) return ''
  return `; the same failure ${repeats} times in a row: \`flink-ts cancel\` ends the job; with \`-D restart-strategy.type=none\` a job ends at its first failure`
}

/** An error within a line: code, message and where. */
export function briefly(error: ErrorData): string {
  const where = error.at === undefined ? '' : ` (${error.at.file}:${error.at.line})`
  return `${formatCode(error.code)} ${error.message.split('\n', 1)[0]}${where}`
}

function checkpointName(kind: CheckpointKind): string {
  switch (kind) {
    case 'checkpoint':
      return 'checkpoint'
    case 'savepoint':
      return 'savepoint'
    case 'stop':
    case 'stop-drain':
      return 'savepoint to stop'
    default:
      return unreachable(kind)
  }
}
