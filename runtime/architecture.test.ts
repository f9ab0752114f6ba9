/**
 * The laws of the house (runtime/README.md), enforced. A failure names the law, the file and the line of thought behind it.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')

interface Import {
  readonly target: string
  readonly typeOnly: boolean
}
interface SourceFile {
  /** Relative to the root, for example `runtime/core/time.ts`. */
  readonly path: string
  readonly text: string
  /** Relative imports, resolved like `path`. */
  readonly files: readonly Import[]
  readonly packages: readonly string[]
}

function sourceFiles(directory: string): SourceFile[] {
  return readdirSync(join(root, directory)).flatMap(name => {
    const path = `${directory}/${name}`
    if (name === 'node_modules') return []
    if (statSync(join(root, path)).isDirectory()) return sourceFiles(path)
    return /\.tsx?$/.test(name) && !/\.(test|bench)\.tsx?$/.test(name) ? [readSource(path)] : []
  })
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8')
  const files: Import[] = []
  const packages: string[] = []
  for (const match of text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'"\n;]*?|\{[^}]*\}|[^'"\n;]*?,\s*\{[^}]*\})\s*(?:from\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm)) {
    const target = (match[2] ?? match[3]) as string
    if (target.startsWith('.')) files.push({ target: relative(root, resolve(root, dirname(path), target)), typeOnly: match[1] !== undefined })
    else packages.push(target)
  }
  return { path, text, files, packages }
}

const files = [...sourceFiles('runtime'), ...sourceFiles('cli')]
const byPath = new Map(files.map(file => [file.path, file]))
const roomOf = (path: string) => path.split('/').slice(0, 2).join('/')
const inRoom = (room: string) => files.filter(file => file.path.startsWith(`${room}/`))

/** Everything that running `entry` loads, following imports of values. */
function loadedBy(entry: string): Set<string> {
  const seen = new Set<string>()
  const visit = (path: string) => {
    if (seen.has(path)) return
    seen.add(path)
    for (const each of byPath.get(path)?.files ?? []) if (!each.typeOnly) visit(each.target)
  }
  visit(entry)
  return seen
}

test('the reader of imports finds them', () => {
  expect(files.length).toBeGreaterThan(60)
  const unresolved = files.flatMap(file => file.files.filter(each => !each.target.endsWith('.json') && !byPath.has(each.target)).map(each => `${file.path} -> ${each.target}`))
  expect(unresolved).toEqual([])
})

test('law 1: the main thread of the JobManager loads no operator, no channel, no connector and no user code; it schedules ids', () => {
  const loaded = [...loadedBy('runtime/job-manager/main.ts')]
  expect(loaded.length).toBeGreaterThan(10)
  expect(loaded.filter(path => /^runtime\/(operators|slot|network|connectors|testing)\//.test(path))).toEqual([])
  expect(loaded.filter(path => path.startsWith('runtime/api/'))).toEqual([])
})

test('law 2: TaskManager and JobManager never import each other; they meet in protocol/', () => {
  const crossing = (from: string, to: string) => inRoom(from).flatMap(file => file.files.filter(each => each.target.startsWith(`${to}/`)).map(each => `${file.path} -> ${each.target}`))
  expect(crossing('runtime/task-manager', 'runtime/job-manager')).toEqual([])
  expect(crossing('runtime/job-manager', 'runtime/task-manager')).toEqual([])
})

test('law 3: runtime/ never imports cli/ or its packages; lmdb is named only in state/lmdb/, msgpackr only in codec/', () => {
  const runtime = files.filter(file => file.path.startsWith('runtime/'))
  expect(runtime.flatMap(file => file.files.filter(each => each.target.startsWith('cli/')).map(each => `${file.path} -> ${each.target}`))).toEqual([])
  const naming = (pattern: RegExp, allowed: RegExp) => runtime.filter(file => !allowed.test(file.path) && file.packages.some(name => pattern.test(name))).map(file => file.path)
  expect(naming(/^(ink|react|@oclif|oclif|esbuild|chokidar)(\/|$)/, /^$/)).toEqual([])
  expect(naming(/^lmdb$/, /^runtime\/state\/lmdb\//)).toEqual([])
  expect(naming(/^msgpackr(\/|$)/, /^runtime\/codec\//)).toEqual([])
})

const pureRooms = ['runtime/core', 'runtime/protocol', 'runtime/codec', 'runtime/graph', 'runtime/api', 'runtime/operators', 'runtime/slot']

test('law 4: pure rooms see no Node, no clock, no chance, no console (they also compile with "types": [])', () => {
  const found = pureRooms.flatMap(room =>
    inRoom(room).flatMap(file => {
      const code = file.text.replaceAll(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '')
      const named = [...code.matchAll(/\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bconsole\.(?!ts\b)|\bprocess\.|\bsetTimeout\b|\bsetImmediate\b|\bqueueMicrotask\b|\bperformance\.|\bglobalThis\b/g)].map(match => match[0])
      const node = file.packages.filter(name => name.startsWith('node:'))
      // codec/ looks for Node's Buffer, and works without it.
      const allowed = file.path.startsWith('runtime/codec/') ? new Set(['globalThis']) : new Set<string>()
      return [...named.filter(name => !allowed.has(name)), ...node].map(name => `${file.path}: ${name}`)
    }),
  )
  expect(found).toEqual([])
  const config = JSON.parse(readFileSync(join(root, 'runtime/tsconfig.pure.json'), 'utf8')) as { compilerOptions: { types: string[] }; include: string[] }
  expect(config.compilerOptions.types).toEqual([])
  expect(pureRooms.filter(room => !config.include.includes(room.slice('runtime/'.length)))).toEqual([])
})

test('law 5: no import cycle', () => {
  const cycles: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const visit = (path: string, trail: readonly string[]) => {
    if (state.get(path) === 'done') return
    if (state.get(path) === 'open') {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '))
      return
    }
    state.set(path, 'open')
    for (const each of byPath.get(path)?.files ?? []) visit(each.target, [...trail, path])
    state.set(path, 'done')
  }
  for (const file of files) visit(file.path, [])
  expect(cycles).toEqual([])
})

/** What each room may import, besides itself and core/. A room that is not named here may import everything. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'runtime/core': [],
  'runtime/protocol': ['runtime/graph', 'runtime/metrics'],
  'runtime/codec': ['runtime/protocol'],
  'runtime/graph': ['runtime/api'],
  'runtime/api': ['runtime/graph', 'runtime/connectors'],
  'runtime/operators': ['runtime/api', 'runtime/graph', 'runtime/codec'],
  'runtime/slot': ['runtime/api', 'runtime/graph', 'runtime/codec', 'runtime/operators', 'runtime/protocol'],
  'runtime/state': ['runtime/codec', 'runtime/operators', 'runtime/protocol', 'runtime/slot'],
  'runtime/connectors': ['runtime/api'],
  'runtime/network': ['runtime/codec', 'runtime/protocol', 'runtime/rpc'],
  'runtime/rpc': ['runtime/codec', 'runtime/protocol'],
  'runtime/metrics': ['runtime/protocol', 'runtime/graph'],
  'runtime/job-manager': ['runtime/protocol', 'runtime/graph', 'runtime/metrics', 'runtime/rpc', 'runtime/state', 'runtime/codec', 'runtime/api', 'runtime/deploy', 'runtime/operators'],
  'runtime/task-manager': ['runtime/protocol', 'runtime/graph', 'runtime/metrics', 'runtime/rpc', 'runtime/network', 'runtime/state', 'runtime/codec', 'runtime/api', 'runtime/operators', 'runtime/slot', 'runtime/connectors', 'runtime/deploy'],
}

test('rooms are layered: each imports only what its line in the table allows', () => {
  const found = files.flatMap(file => {
    const room = roomOf(file.path)
    const allowed = mayImport[room]
    if (allowed === undefined) return []
    return file.files.filter(each => roomOf(each.target) !== room && roomOf(each.target) !== 'runtime/core' && !allowed.includes(roomOf(each.target))).map(each => `${file.path} -> ${each.target}`)
  })
  expect(found).toEqual([])
})

test('every file is used: imported by another one, or an entry of the build, the package or Node', () => {
  const build = readFileSync(join(root, 'scripts/build.mjs'), 'utf8')
  const imported = new Set([...files.flatMap(file => file.files.map(each => each.target)), ...testImports()])
  const unused = files.filter(file => !imported.has(file.path) && !build.includes(file.path) && !build.includes(file.path.replace(/\.tsx?$/, '')) && !file.path.startsWith('cli/commands/'))
  expect(unused.map(file => file.path)).toEqual([])
})

function testImports(): string[] {
  const all = (directory: string): string[] =>
    readdirSync(join(root, directory)).flatMap(name => {
      const path = `${directory}/${name}`
      if (name === 'node_modules') return []
      if (statSync(join(root, path)).isDirectory()) return all(path)
      return /\.(test|bench)\.tsx?$/.test(name) || directory.startsWith('fixtures') || directory.startsWith('scripts') ? (/\.(tsx?|mjs)$/.test(name) ? [path] : []) : []
    })
  return [...all('runtime'), ...all('cli'), ...all('fixtures'), ...all('scripts')].flatMap(path => readSource(path).files.map(each => each.target))
}
