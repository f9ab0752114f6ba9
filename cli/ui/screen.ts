/**
 * Draws a cluster view as lines of text, exactly as many as the terminal has rows: a pure function, so that a frame is
 * tested as text. One line is one `<Text>` of ink: a box per cell costs five times as much.
 *
 * What is cut when the terminal is small: first the log, then the table shows a part that follows the selection.
 */
import stringWidth from 'string-width'
import { coloured, type Paint } from '../output/colour.ts'
import { briefly } from '../output/event-line.ts'
import { pad, truncate } from '../output/columns.ts'
import { sanitiseLine } from '../output/sanitise.ts'
import { formatBytes, formatCount, formatElapsed, formatEventTime } from '../output/units.ts'
import { paintStatus } from './summary.ts'
import { slotsOf, summariseVertex, type ClusterView, type JobView, type VertexSummary } from './cluster-view.ts'

export interface ScreenState {
  readonly columns: number
  readonly rows: number
  readonly now: number
  /** Index of the selected vertex. */
  readonly selected: number
  readonly dialog: 'none' | 'help' | 'cancel' | 'quit'
  /** What the last key brought about, for example `savepoint requested`. */
  readonly notice: string | undefined
  /** ms since the last sign of life of the cluster, when that is suspicious. */
  readonly stale: number | undefined
}

const minColumns = 60
const minRows = 15

export function drawScreen(view: ClusterView, screen: ScreenState, paint: Paint = coloured): string[] {
  const { columns, rows } = screen
  if (columns < minColumns || rows < minRows) {
    return fill([truncate(`This view needs ${minColumns}x${minRows}; the terminal has ${columns}x${rows}.`, columns), truncate('Make it larger, or press q.', columns)], rows)
  }
  const header = drawHeader(view, screen, paint)
  const footer = [drawFooter(screen, paint)]
  if (screen.dialog === 'help') return fill([...header, '', ...helpLines.map(line => truncate(line, columns))], rows - 1).concat(footer)

  const details = drawDetails(view, screen, paint)
  const slots = drawSlots(view, columns, paint)
  const free = rows - header.length - footer.length - details.length - slots.length
  // Title, at least one row; and of what is left a third for the log, with a line above it.
  const vertices = view.job?.vertices.length ?? 0
  const tableRows = Math.max(1, Math.min(vertices, free - 5))
  const table = drawTable(view, screen, tableRows, paint)
  const logRows = Math.max(0, free - table.length - 1)
  return fill([...header, ...table, ...details, ...slots, rule('output', columns, paint), ...drawLog(view, logRows, columns, paint)], rows - 1).concat(footer)
}


function drawHeader(view: ClusterView, screen: ScreenState, paint: Paint): string[] {
  const { columns } = screen
  const job = view.job
  if (job === undefined) return [paint('bold', pad('flink-ts', columns)), pad('waiting for the cluster ...', columns)]
  const facts = [`${formatElapsed((job.endedAt ?? screen.now) - job.submittedAt)}`]
  if (job.attempt > 1) facts.push(`attempt ${job.attempt}`)
  if (job.restarts > 0) facts.push(`${job.restarts} ${job.restarts === 1 ? 'restart' : 'restarts'}`)
  if (screen.stale !== undefined) facts.push(`no news for ${formatElapsed(screen.stale)}`)
  const right = `  ${facts.join('  ')}`
  const status = ` ${job.status}`
  const name = truncate(sanitiseLine(job.name), Math.max(8, columns - status.length - right.length))
  const gap = ' '.repeat(Math.max(0, columns - stringWidth(name) - status.length - stringWidth(right)))
  const first = `${paint('bold', name)}${paintStatus(job.status, status, paint)}${gap}${screen.stale === undefined ? right : paint('yellow', right)}`
  if (job.error !== undefined) return [first, paint('red', truncate(sanitiseLine(briefly(job.error)), columns))]
  const restored = job.restoredFrom === undefined ? '' : `restored from ${job.restoredFrom}, `
  return [first, paint('dim', truncate(`${restored}job ${job.id}`, columns))]
}

const columnsOfNumbers = 6 + 10 + 10 + 12
const watermarkColumns = 21
/** From this width on the table has a column for watermarks. */
const withWatermarkColumns = 110
const lagColumns = 13

function drawTable(view: ClusterView, screen: ScreenState, rows: number, paint: Paint): string[] {
  const vertices = view.job?.vertices ?? []
  const withWatermark = screen.columns >= withWatermarkColumns
  const withLag = screen.columns >= 76
  const nameColumns = screen.columns - 2 - columnsOfNumbers - (withWatermark ? watermarkColumns : 0) - (withLag ? lagColumns : 0)
  const title = `  ${pad('TASK', nameColumns)}${pad('PAR', 6, 'right')}${pad('IN/s', 10, 'right')}${pad('OUT/s', 10, 'right')}  ${pad('LOAD', 10)}${withWatermark ? pad('WATERMARK', watermarkColumns, 'right') : ''}${withLag ? pad('LAG', lagColumns, 'right') : ''}`
  const first = Math.max(0, Math.min(screen.selected - rows + 1, vertices.length - rows))
  const lines = [rule('tasks', screen.columns, paint), paint('dim', truncate(title, screen.columns))]
  for (let i = first; i < Math.min(vertices.length, first + rows); i++) {
    const vertex = vertices[i]!
    const summary = summariseVertex(vertex)
    const marker = i === screen.selected ? '>' : summary.status === 'RUNNING' ? ' ' : statusLetter(summary.status)
    const name = pad(sanitiseLine(vertex.name), nameColumns - 1)
    const cells = `${pad(String(summary.parallelism), 6, 'right')}${pad(formatCount(summary.recordsInPerSecond), 10, 'right')}${pad(vertex.sink ? '-' : formatCount(summary.recordsOutPerSecond), 10, 'right')}`
    const watermark = withWatermark ? pad(formatWatermark(summary), watermarkColumns, 'right') : ''
    const lag = withLag ? pad(formatLag(summary, screen.now), lagColumns, 'right') : ''
    const left = `${marker} ${name} `
    lines.push(`${i === screen.selected ? paint('inverse', left) : paintStatus(summary.status, left, paint)}${cells}  ${drawLoad(summary, paint)}${watermark}${lag}`)
  }
  return lines
}

/** A status that is not RUNNING shows as its first letter in front of the row; the name of it stands in the details. */
const statusLetter = (status: string) => (status === 'FINISHED' ? '*' : status === 'FAILED' ? '!' : '.')

/** Ten cells: busy, backpressured, idle: the shapes differ, not only the colours. */
function drawLoad(summary: VertexSummary, paint: Paint): string {
  const cells = 10
  const busy = Math.round(summary.busy * cells)
  const backPressured = Math.min(cells - busy, Math.round(summary.backPressured * cells))
  const rest = cells - busy - backPressured
  return `${paint('green', '█'.repeat(busy))}${paint('red', '▒'.repeat(backPressured))}${paint('dim', '·'.repeat(rest))}`
}

function formatWatermark(summary: VertexSummary): string {
  if (summary.watermark === undefined) return '-'
  // To the second: `23:59:59.999` is what nearly every watermark ends with.
  return summary.watermark === 'end' ? 'end' : formatEventTime(summary.watermark).slice(0, 19)
}

/** How far event time is behind the clock. */
function formatLag(summary: VertexSummary, now: number): string {
  if (summary.watermark === undefined) return '-'
  if (summary.watermark === 'end') return 'end'
  const lag = now - summary.watermark
  // Old data is replayed: how old says less than where it is.
  if (lag >= 365 * 86_400_000) return formatEventTime(summary.watermark).slice(0, 10)
  return lag < 0 ? `-${formatElapsed(-lag)}` : formatElapsed(lag)
}

function drawDetails(view: ClusterView, screen: ScreenState, paint: Paint): string[] {
  const { columns } = screen
  const job = view.job
  const vertex = job?.vertices[screen.selected]
  const lines: string[] = []
  if (vertex !== undefined) {
    const s = summariseVertex(vertex)
    const percent = (share: number) => `${Math.round(share * 100)} %`
    const facts = [
      s.status,
      `${formatCount(s.recordsIn)} in${vertex.sink ? '' : `, ${formatCount(s.recordsOut)} out`}`,
      ...(columns < withWatermarkColumns ? [`watermark ${formatWatermark(s)}`] : []),
      `busy ${percent(s.busy)}, backpressured ${percent(s.backPressured)}, idle ${percent(s.idle)}`,
      ...(s.stateBytes > 0 ? [`state ${formatBytes(s.stateBytes)}`] : []),
      ...(s.late > 0 ? [`${formatCount(s.late)} late`] : []),
    ]
    lines.push(paint('dim', truncate(`> ${facts.join('; ')}`, columns)))
  }
  lines.push(rule('checkpoints', columns, paint), truncate(formatCheckpoints(job, screen.now), columns))
  return lines
}

function formatCheckpoints(job: JobView | undefined, now: number): string {
  const checkpoints = job?.checkpoints
  if (checkpoints === undefined || (checkpoints.completed === 0 && checkpoints.failed === 0)) {
    return checkpoints !== undefined && checkpoints.inProgress.size > 0 ? 'the first is under way' : 'none yet'
  }
  const parts: string[] = []
  const { last } = checkpoints
  if (last !== undefined) parts.push(`last: ${last.kind === 'checkpoint' ? '' : 'savepoint '}${last.id}, ${formatElapsed(now - last.at)} ago, took ${formatElapsed(last.durationMs)}, ${formatBytes(last.bytes)}`)
  parts.push(`${checkpoints.completed} completed`)
  parts.push(`${checkpoints.failed} failed${checkpoints.lastFailure === undefined ? '' : `: ${sanitiseLine(checkpoints.lastFailure)}`}`)
  return parts.join('; ')
}

function drawSlots(view: ClusterView, columns: number, paint: Paint): string[] {
  const taskManagers = slotsOf(view)
  if (taskManagers.length === 0) return []
  // A slot is a digit: how many subtasks run in it; `.` is free, `+` more than nine.
  const text = taskManagers.map(({ id, lost, tasks }) => {
    const slots = lost === undefined ? tasks.map(count => (count === 0 ? '.' : count > 9 ? '+' : String(count))).join('') : 'lost'
    return `${sanitiseLine(id)} [${slots}]`
  })
  if (view.standby !== undefined) text.push(`${sanitiseLine(view.standby)} stands by`)
  return [rule('slots', columns, paint), truncate(text.join('  '), columns)]
}

function drawLog(view: ClusterView, rows: number, columns: number, paint: Paint): string[] {
  if (rows === 0) return []
  return view.log.slice(-rows).map(line => {
    const text = truncate(line.text, columns)
    return line.kind === 'warn' ? paint('yellow', text) : line.kind === 'error' ? paint('red', text) : line.kind === 'info' ? paint('dim', text) : text
  })
}

function drawFooter(screen: ScreenState, paint: Paint): string {
  const { columns } = screen
  switch (screen.dialog) {
    case 'cancel':
      return paint(['inverse', 'yellow'], pad(' Cancel the job? Its state is lost unless a savepoint was taken.  y yes  n no', columns))
    case 'quit':
      return paint(['inverse', 'yellow'], pad(' Leave? That cancels the job.  y yes  n no', columns))
    case 'help':
      return paint('inverse', pad(' any key: back', columns))
    case 'none': {
      const keys = columns >= 76 ? ' up/down select  s savepoint  c cancel  ? help  q quit' : ' s savepoint  c cancel  ? help  q quit'
      return screen.notice === undefined ? paint('inverse', pad(keys, columns)) : paint('inverse', pad(` ${sanitiseLine(screen.notice)}`, columns))
    }
  }
}

const helpLines = [
  '  up, down, k, j   select a task',
  '  s                take a savepoint; the job goes on',
  '  c                cancel the job (asks first)',
  '  q                leave: cancels the job that this view belongs to (asks first)',
  '  Ctrl-C           cancel; pressed again, end everything at once',
  '',
  '  LOAD: █ busy, ▒ backpressured, · idle. A task that is backpressured waits for',
  '  the first busy one below it. LAG: how far event time is behind the clock,',
  '  or its date where that is more than a year.',
  '  [21.]: slots of a TaskManager with the number of subtasks in each. One that',
  '  stands by takes the place of the next that dies.',
  '  In front of a task: * finished, ! failed, . not running.',
]

function rule(title: string, columns: number, paint: Paint): string {
  return paint('dim', `── ${title} ${'─'.repeat(Math.max(0, columns - title.length - 4))}`)
}

function fill(lines: readonly string[], rows: number): string[] {
  return Array.from({ length: rows }, (_, i) => lines[i] ?? '')
}
