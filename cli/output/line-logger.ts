/**
 * The plain face of a running job: one line per thing that happens. What the job prints goes to standard output as it is
 * (made safe for a terminal); everything about the job goes to standard error with time and level. Nothing here looks at
 * whether somebody watches: the same lines come out in CI, in a pipe and in a terminal with `--no-ui`.
 */
import type { RuntimeEvent } from '../../runtime/metrics/event.ts'
import type { Paint } from './colour.ts'
import { eventLine, type Level } from './event-line.ts'
import { sanitiseText } from './sanitise.ts'
import { formatCount, formatElapsed, formatTimeOfDay } from './units.ts'

export interface LineOutput {
  writeOut(text: string): void
  writeError(text: string): void
}

const heartbeatMillis = 30_000
/** Checkpoints that follow each other faster than this share a line. */
const checkpointLineMillis = 1_000

const levelStyle = { info: 'dim', warn: 'yellow', error: 'red' } as const

export class LineLogger {
  readonly #output: LineOutput
  readonly #paint: Paint
  #lastLineAt = -Infinity
  #lastCheckpointLineAt = -Infinity
  #checkpointsUnsaid = 0
  #runningSince: number | undefined
  /** By vertex and subtask. */
  #recordsOut = new Map<string, number>()

  constructor(output: LineOutput, paint: Paint) {
    this.#output = output
    this.#paint = paint
  }

  /** @param now when the line is written; the event has its own time, which is the one that is shown */
  show(event: RuntimeEvent, now: number): void {
    if (event.kind === 'output') {
      this.#output[event.stream === 'stdout' ? 'writeOut' : 'writeError'](`${sanitiseText(event.text).replace(/\n$/, '')}\n`)
      this.#lastLineAt = now
      return
    }
    if (event.kind === 'jobStatus') this.#runningSince = event.status === 'RUNNING' ? event.at : undefined
    if (event.kind === 'metrics') {
      for (const { task, recordsOut } of event.tasks) this.#recordsOut.set(`${task.vertex}.${task.subtask}`, recordsOut)
    }
    const line = eventLine(event)
    if (line === undefined) return
    if (event.kind === 'checkpointCompleted' && event.checkpointKind === 'checkpoint') {
      if (event.at - this.#lastCheckpointLineAt < checkpointLineMillis) {
        this.#checkpointsUnsaid++
        return
      }
      const others = this.#checkpointsUnsaid === 0 ? '' : ` (and ${this.#checkpointsUnsaid} before it)`
      this.#checkpointsUnsaid = 0
      this.#lastCheckpointLineAt = event.at
      this.say(line.level, line.text + others, event.at)
    } else {
      this.say(line.level, line.text, event.at)
    }
    this.#lastLineAt = now
  }

  /** A line of the CLI's own. `text` is safe for a terminal. */
  say(level: Level, text: string, at: number): void {
    this.#output.writeError(`${this.#paint('dim', formatTimeOfDay(at))} ${this.#paint(levelStyle[level], level.padEnd(5))} ${text}\n`)
  }

  /** Call now and then: says that the job is alive when nothing was said for half a minute. */
  tick(now: number): void {
    if (this.#runningSince === undefined || now - this.#lastLineAt < heartbeatMillis) return
    let records = 0
    for (const count of this.#recordsOut.values()) records += count
    this.say('info', `running for ${formatElapsed(now - this.#runningSince)}, ${formatCount(records)} records emitted by all tasks`, now)
    this.#lastLineAt = now
  }
}
