/** What the profiles of all slots say together, as a short table. */
import { relative } from 'node:path'
import type { ProfiledFunction, ProfileRow, ProfileShares, SlotProfileNote } from '../../runtime/protocol/cpu-profile.ts'
import type { Paint } from './colour.ts'
import { sanitiseLine } from './sanitise.ts'
import { formatTable } from './table.ts'
import { formatElapsed } from './units.ts'

export type ProfiledSlot = Pick<SlotProfileNote, 'jobId' | 'taskManager' | 'slotIndex' | 'attempt'>

export interface ProfileReport {
  /** Absolute. */
  readonly directory: string
  readonly profiles: readonly Omit<SlotProfileNote, 'shares'>[]
  /** Slots that ran something and left no profile. */
  readonly missing: readonly ProfiledSlot[]
  readonly shares: ProfileShares
  readonly projectDirectory: string
}

const shownFunctions = 10
const shownMissing = 5

/** `from`: what the directory is told relative to. */
export function profileReport({ directory, profiles, missing, shares, projectDirectory }: ProfileReport, from: string, paint: Paint): string {
  const busy = shares.rows.reduce((sum, row) => sum + row.micros, 0)
  const share = (micros: number, all: number) => `${(all === 0 ? 0 : (micros / all) * 100).toFixed(1)} %`
  const lines = [`${profiles.length} ${profiles.length === 1 ? 'profile' : 'profiles'} in ${sanitiseLine(relative(from, directory) || '.')}, for Chrome DevTools, VS Code or speedscope`]
  if (profiles.length > 0) {
    const rows = shares.rows.map(row => [share(row.micros, busy), seconds(row.micros), rowText(row)])
    lines.push('', formatTable([{ title: 'share', align: 'right' }, { title: 'time', align: 'right' }, { title: `of ${seconds(busy)} that the slots were busy (and idle ${share(shares.idle, busy + shares.idle)} of the time)` }], rows, paint))
  }
  const functions = shares.functions.slice(0, shownFunctions)
  if (functions.length > 0) {
    const rows = functions.map(each => [share(each.micros, busy), seconds(each.micros), each.name, functionPlace(each, projectDirectory)])
    lines.push('', formatTable([{ title: 'share', align: 'right' }, { title: 'self', align: 'right' }, { title: 'your functions' }, { title: '' }], rows, paint))
  }
  const cut = profiles.filter(each => each.cutAfterMs !== undefined)
  if (cut.length > 0) lines.push('', `${cut.length === profiles.length ? 'They end' : `${cut.length} of them end`} after ${formatElapsed(cut[0]!.cutAfterMs!)}, as profiling.duration-max says; the job ran on.`)
  if (missing.length > 0) {
    const shown = missing.slice(0, shownMissing).map(each => `slot ${each.slotIndex} of ${each.taskManager} (attempt ${each.attempt})`)
    const more = missing.length > shownMissing ? ` and ${missing.length - shownMissing} more` : ''
    lines.push('', `no profile of ${shown.join(', ')}${more}: its process was killed before it could write one`)
  }
  return lines.join('\n')
}

const seconds = (micros: number) => `${(micros / 1e6).toFixed(2)} s`

function rowText({ kind, name }: ProfileRow): string {
  switch (kind) {
    case 'operator':
      return name ?? 'operators'
    case 'codec':
      return '(codec: records to bytes and back)'
    case 'state':
      return '(state)'
    case 'exchange':
      return '(exchange: channels, sockets, the slot itself)'
    case 'gc':
      return '(garbage collection)'
    case 'start':
      return '(start: loading the job)'
  }
}

/** As an editor understands it, from the project on. */
function functionPlace({ file, line }: ProfiledFunction, projectDirectory: string): string {
  const path = relative(projectDirectory, file)
  return `${path.startsWith('..') ? file : path}:${line}`
}

// --- several slots ---

const keptFunctions = 50

/** The profiles of several slots as one. */
export function sumShares(all: readonly ProfileShares[]): ProfileShares {
  const rows = new Map<string, ProfileRow>()
  const functions = new Map<string, ProfiledFunction>()
  let idle = 0
  for (const shares of all) {
    idle += shares.idle
    for (const row of shares.rows) addTo(rows, `${row.kind} ${row.name ?? ''}`, row)
    for (const each of shares.functions) addTo(functions, `${each.file}:${each.line}:${each.name}`, each)
  }
  return { idle, rows: [...rows.values()].sort(longest), functions: [...functions.values()].sort(longest).slice(0, keptFunctions) }
}

function addTo<T extends { readonly micros: number }>(all: Map<string, T>, key: string, more: T): void {
  const before = all.get(key)
  all.set(key, before === undefined ? more : { ...before, micros: before.micros + more.micros })
}
const longest = (a: { readonly micros: number }, b: { readonly micros: number }) => b.micros - a.micros
