/**
 * Stacks that name the user's files. Node's own support reads the map of a module, and looks at each of its characters, in each
 * thread that loads a job, where nearly always nobody asks: 3 ms of a start each, with what V8 makes of that loop meanwhile.
 * Here a map is read when a stack is shown that has a frame of its module. Frames look as Node writes them.
 *
 * Our own files keep the lines they have in `dist/`: that is how a frame is known for ours.
 */
import { readFileSync } from 'node:fs'
import type { SourceMap, SourceMapPayload } from 'node:module'
import { isAbsolute } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** By address; undefined for a module without a map. */
const maps = new Map<string, SourceMap | undefined>()
const own = new URL(import.meta.url.endsWith('.ts') ? '../' : '../../', import.meta.url).href

/** From here on, in this thread, unless user code shows stacks in a way of its own. */
export function showSources(): void {
  const before = Error.prepareStackTrace
  Error.prepareStackTrace = (error, sites) => {
    const head = typeof before === 'function' ? String(before.call(Error, error, [])) : String(error)
    return head + sites.map((site, i) => `\n    at ${frameOf(site, sites[i + 1])}`).join('')
  }
}

/** The map of a module that is neither ours nor a package's; it is not asked for until there is a frame of it. */
export function sourceMapOf(url: string): SourceMap | undefined {
  if (!maps.has(url)) maps.set(url, url.startsWith('file:') && !url.startsWith(own) && !url.includes('/node_modules/') ? readMap(url) : undefined)
  return maps.get(url)
}

function readMap(url: string): SourceMap | undefined {
  try {
    const text = readFileSync(fileURLToPath(url), 'utf8')
    // The last one: before it, it may stand in a string.
    const named = /^\s*([^\s]+)/.exec(text.slice(text.lastIndexOf(comment) + comment.length))?.[1]
    if (!text.includes(comment) || named === undefined) return undefined
    const inside = /^data:application\/json[^,]*;base64,(.*)$/.exec(named)?.[1]
    const base = inside === undefined ? new URL(named, url) : new URL(url)
    const payload = JSON.parse(inside === undefined ? readFileSync(fileURLToPath(base), 'utf8') : Buffer.from(inside, 'base64').toString('utf8')) as SourceMapPayload
    const sources = payload.sources.map(source => {
      const rooted = (payload.sourceRoot ?? '') + source
      return isAbsolute(rooted) ? pathToFileURL(rooted).href : new URL(rooted, base).href
    })
    const { SourceMap: Map } = process.getBuiltinModule('node:module')
    return new Map({ ...payload, sources, sourceRoot: '' })
  } catch {
    // No map, or none that can be read: the stack shows what runs.
    return undefined
  }
}
// In two parts, or Node would take it for the one of this file.
const comment = ['//#', 'sourceMappingURL='].join(' ')

function frameOf(site: NodeJS.CallSite, caller: NodeJS.CallSite | undefined): string {
  try {
    const file = site.getFileName() ?? site.getEvalOrigin()
    const map = file === undefined ? undefined : sourceMapOf(isAbsolute(file) ? pathToFileURL(file).href : file)
    const at = map && entryAt(map, site.getLineNumber(), site.getColumnNumber())
    if (map === undefined || at === undefined) return asItRuns(site)
    const place = `${at.originalSource.startsWith('file:') ? fileURLToPath(at.originalSource) : at.originalSource}:${at.originalLine + 1}:${at.originalColumn + 1}`
    const type = site.getTypeName()
    const prefix = site.isAsync() ? 'async ' : site.isConstructor() ? 'new ' : ''
    const name = nameIn(map, site, caller) ?? (site.getFunctionName() ?? site.getMethodName() ?? '<anonymous>')
    return `${prefix}${type === null || type === 'global' ? '' : `${type}.`}${name === '' ? '<anonymous>' : name} (${place})`
  } catch {
    return asItRuns(site)
  }
}

/** V8's own text; the type does not tell that a frame has one. */
const asItRuns = (site: { toString(): string }): string => site.toString()

/** What a function was called before its name was shortened. */
function nameIn(map: SourceMap, site: NodeJS.CallSite, caller: NodeJS.CallSite | undefined): string | undefined {
  const enclosing = entryAt(map, site.getEnclosingLineNumber(), site.getEnclosingColumnNumber())?.name
  if (enclosing !== undefined && enclosing !== '') return enclosing
  const called = caller?.getFileName() === site.getFileName() ? entryAt(map, caller?.getLineNumber() ?? null, caller?.getColumnNumber() ?? null)?.name : undefined
  return called === '' ? undefined : called
}

interface Entry {
  readonly originalSource: string
  readonly originalLine: number
  readonly originalColumn: number
  readonly name?: string
}

/** Lines and columns of stacks count from 1, those of maps from 0. */
function entryAt(map: SourceMap, line: number | null, column: number | null): Entry | undefined {
  const entry = line === null ? {} : map.findEntry(line - 1, (column ?? 1) - 1)
  return 'originalSource' in entry && entry.originalSource !== undefined ? (entry as Entry) : undefined
}
