/**
 * How a run is shown, chosen once: events as JSON lines, as lines for people, or live in the terminal. All three get the
 * same events; what the live view showed last is repeated as lines when it closes.
 */
import type { RuntimeEvent } from '../../runtime/metrics/event.ts'
import { coloured, paintFor } from '../output/colour.ts'
import type { Level } from '../output/event-line.ts'
import { eventToJsonLine } from '../output/json-lines.ts'
import { LineLogger } from '../output/line-logger.ts'
import { sanitiseLine, sanitiseText } from '../output/sanitise.ts'
import { emptyClusterView, foldEvent, type ClusterView } from '../ui/cluster-view.ts'
import { drawSummary } from '../ui/summary.ts'
import type { LiveView, Wish } from '../ui/view.tsx'

export interface Face {
  show(event: RuntimeEvent): void
  /** Something the CLI itself has to say. */
  say(level: Level, text: string): void
  /** What the job's module printed while it was loaded. */
  output(text: string): void
  /** The job is submitted: open the live view, if this face has one. */
  live(): Promise<void>
  close(): Promise<void>
}

export interface FaceOptions {
  readonly json: boolean
  readonly ui: boolean
  readonly onWish: (wish: Wish) => void
}

/** So many lines that the job printed or that warn are repeated after the live view has closed. */
const lastLines = 10
const tickMillis = 1_000

export function openFace(options: FaceOptions): Face {
  if (options.json) return jsonFace()
  return options.ui && canShowLive() ? liveFace(options.onWish) : lineFace()
}

/** A live view needs a terminal on both sides, and a person in front of it. */
function canShowLive(): boolean {
  const { CI, TERM } = process.env
  return process.stdin.isTTY === true && process.stdout.isTTY === true && TERM !== 'dumb' && (CI === undefined || CI === '' || CI === 'false' || CI === '0')
}

const lineLogger = () => new LineLogger({ writeOut: text => process.stdout.write(text), writeError: text => process.stderr.write(text) }, paintFor(process.stderr))

function jsonFace(): Face {
  const logger = lineLogger()
  return {
    show: event => void process.stdout.write(`${eventToJsonLine(event)}\n`),
    say: (level, text) => logger.say(level, sanitiseLine(text), Date.now()),
    output: text => void process.stderr.write(sanitiseText(text)),
    live: async () => {},
    close: async () => {},
  }
}

function lineFace(): Face {
  const logger = lineLogger()
  const timer = setInterval(() => logger.tick(Date.now()), tickMillis)
  let view = emptyClusterView
  return {
    show(event) {
      view = foldEvent(view, event)
      logger.show(event, Date.now())
    },
    say: (level, text) => logger.say(level, sanitiseLine(text), Date.now()),
    output: text => void process.stderr.write(sanitiseText(text)),
    live: async () => {},
    async close() {
      clearInterval(timer)
      for (const line of drawSummary(view, Date.now(), paintFor(process.stderr))) process.stderr.write(`${line}\n`)
    },
  }
}

/** Lines until the view is there; it is loaded while the job already starts. */
function liveFace(onWish: (wish: Wish) => void): Face {
  const logger = lineLogger()
  let view: ClusterView = emptyClusterView
  let screen: LiveView | undefined
  let closed = false
  return {
    show(event) {
      view = foldEvent(view, event)
      screen?.show(view)
    },
    say(level, text) {
      if (screen === undefined) logger.say(level, sanitiseLine(text), Date.now())
      else screen.notice(text)
    },
    output: text => void process.stderr.write(sanitiseText(text)),
    async live() {
      const { openView } = await import('../ui/view.tsx')
      if (closed) return
      screen = openView(onWish)
      screen.show(view)
    },
    async close() {
      closed = true
      await screen?.close()
      screen = undefined
      const worthKeeping = view.log.filter(({ kind }) => kind !== 'info')
      for (const { kind, text } of worthKeeping.slice(-lastLines)) process.stdout.write(`${kind === 'warn' ? coloured('yellow', text) : kind === 'error' ? coloured('red', text) : text}\n`)
      for (const line of drawSummary(view, Date.now(), paintFor(process.stdout))) process.stdout.write(`${line}\n`)
    },
  }
}
