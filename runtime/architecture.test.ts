/**
 * The laws of the house (README.md, beside this), enforced as far as imports and text can tell. The name of a test is the
 * rule; a failure lists who breaks it.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
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
  /** Without comments. */
  readonly code: string
  /** Relative imports, resolved like `path`. */
  readonly files: readonly Import[]
  readonly packages: readonly string[]
}

const isTest = (path: string) => /\.(test|bench)\.tsx?$/.test(path)
/** Helpers that stand beside the tests they serve. */
const isTestHelper = (path: string) => /\/(test-[\w-]+|[\w-]+-harness|example-events)\.ts$/.test(path)

function pathsIn(directory: string): string[] {
  return readdirSync(join(root, directory)).flatMap(name => {
    const path = `${directory}/${name}`
    if (name === 'node_modules') return []
    return statSync(join(root, path)).isDirectory() ? pathsIn(path) : [path]
  })
}

const statement = /^(?:import|export)\s+(type\s+)?(?:[\w*{][^'";]*?\sfrom\s+)?['"]([^'"\n]+)['"]$/gm
/** `import('x')` and `createRequire(...)('x')`. */
const call = /\b(?:import|createRequire\([^)]*\))\(\s*['"]([^'"]+)['"]\s*\)/g

function readSource(path: string): SourceFile {
  const code = readFileSync(join(root, path), 'utf8').replaceAll(/^\s*\/\*[\s\S]*?\*\/|(?<!:)\/\/ .*$/gm, '')
  const files: Import[] = []
  const packages: string[] = []
  const add = (target: string, typeOnly: boolean) => {
    if (target.startsWith('.')) files.push({ target: relative(root, resolve(root, dirname(path), target)), typeOnly })
    else packages.push(target)
  }
  for (const match of code.matchAll(statement)) add(match[2] as string, match[1] !== undefined)
  for (const match of code.matchAll(call)) add(match[1] as string, false)
  return { path, code, files, packages }
}

const files = [...pathsIn('runtime'), ...pathsIn('cli')].filter(path => /\.tsx?$/.test(path) && !isTest(path)).map(readSource)
const byPath = new Map(files.map(file => [file.path, file]))
const roomOf = (path: string) => path.split('/').slice(0, 2).join('/')
const inRoom = (room: string) => files.filter(file => file.path.startsWith(`${room}/`))
const inRooms = (...rooms: readonly string[]) => rooms.flatMap(room => inRoom(`runtime/${room}`))
/** The files that import something of this path, as `file -> what`. */
const importing = (from: readonly SourceFile[], target: RegExp) => from.flatMap(file => file.files.filter(each => target.test(each.target)).map(each => `${file.path} -> ${each.target}`))
/** The places in code that match, as `file: match`. */
const saying = (from: readonly SourceFile[], pattern: RegExp) => from.flatMap(file => [...file.code.matchAll(pattern)].map(match => `${file.path}: ${match[0]}`))

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
  expect(loaded.filter(path => /^runtime\/(operators|slot|network|connectors|api|testing)\//.test(path))).toEqual([])
  expect(loaded).not.toContain('runtime/deploy/user-code.ts')
})

test('law 1, the other process: the main thread of a TaskManager loads no operator and no user code; those run in the threads of its slots', () => {
  const loaded = [...loadedBy('runtime/task-manager/main.ts')]
  expect(loaded.length).toBeGreaterThan(10)
  expect(loaded.filter(path => /^runtime\/(operators|slot|network|connectors|api|testing)\//.test(path))).toEqual([])
  expect(loaded).not.toContain('runtime/deploy/user-code.ts')
})

test('law 2: TaskManager and JobManager never import each other; they meet in protocol/', () => {
  expect(importing(inRoom('runtime/task-manager'), /^runtime\/job-manager\//)).toEqual([])
  expect(importing(inRoom('runtime/job-manager'), /^runtime\/task-manager\//)).toEqual([])
})

test('law 3: runtime/ never imports cli/ or its packages; lmdb is named only in state/lmdb/, msgpackr only in codec/', () => {
  const runtime = files.filter(file => file.path.startsWith('runtime/'))
  expect(importing(runtime, /^cli\//)).toEqual([])
  const naming = (pattern: RegExp) => runtime.filter(file => file.packages.some(name => pattern.test(name))).map(file => file.path)
  expect(naming(/^(ink|react|@oclif|oclif|esbuild|chokidar)(\/|$)/)).toEqual([])
  expect(naming(/^lmdb$/).filter(path => !path.startsWith('runtime/state/lmdb/'))).toEqual([])
  expect(naming(/^lmdb$/)).not.toEqual([])
  expect(naming(/^msgpackr(\/|$)/).filter(path => !path.startsWith('runtime/codec/'))).toEqual([])
  expect(naming(/^msgpackr(\/|$)/)).not.toEqual([])
})

const pureRooms = ['core', 'protocol', 'codec', 'graph', 'api', 'operators', 'slot']

test('law 4: pure rooms see no Node, no clock, no chance, no console (they also compile with "types": [])', () => {
  const impure = /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bconsole\.(?!ts\b)|(?<![-.\w#])process\.|\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bperformance\.|\bglobalThis\b/g
  // codec/ looks for Node's Buffer, and works without it.
  expect(saying(inRooms(...pureRooms), impure).filter(each => !/^runtime\/codec\/.*: globalThis$/.test(each))).toEqual([])
  expect(inRooms(...pureRooms).filter(file => !isTestHelper(file.path)).flatMap(file => file.packages.filter(name => !/^msgpackr(\/|$)/.test(name)).map(name => `${file.path} -> ${name}`))).toEqual([])
  const config = JSON.parse(readFileSync(join(root, 'runtime/tsconfig.pure.json'), 'utf8')) as { compilerOptions: { types: string[] }; include: string[] }
  expect(config.compilerOptions.types).toEqual([])
  expect(pureRooms.filter(room => !config.include.includes(room))).toEqual([])
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

/** What only grows, and why it cannot grow for ever. */
const boundedByConstruction: Readonly<Record<string, string>> = {
  'runtime/api/builder.ts #nodes': 'an operator for each call of the function that builds the job; frozen after it',
  'runtime/network/data-plane.ts #producers': 'a link per slot that the plan knows, made once',
  'runtime/network/data-plane.ts #consumers': 'a link per slot that the plan knows, made once',
  'runtime/operators/output.ts #sides': 'a side output per tag that the job graph reads',
  'runtime/operators/output.ts #unread': 'no more than maxUnreadTags are remembered',
  'runtime/slot/task-outputs.ts #byOperator': 'an entry per operator of the chain, made once',
  'runtime/task-manager/profile/slot-profiler.ts #units': 'an entry per operator of the slot, made once',
  'runtime/state/memory/kept.ts #fields': 'as the keys beside it: a page of which much is kept is written',
  'runtime/state/snapshot/snapshot-file.ts #index': 'an entry per block of one file',
}

test('law 6: what is kept is bounded: a collection that a class adds to, it also removes from', () => {
  const onlyGrowing = files
    .filter(file => file.path.startsWith('runtime/') && !isTestHelper(file.path) && !file.path.startsWith('runtime/testing/'))
    .flatMap(({ path, code }) =>
      [...code.matchAll(/^ {2}(?:readonly )?(#\w+)(?:: [^=\n]+)? = (?:new (?:Map|Set)\b|\[\])/gm)].flatMap(([, name]) => {
        const grows = new RegExp(`this\\.${name}\\.(?:set|add|push|unshift)\\(`).test(code)
        const shrinks = new RegExp(`this\\.${name}\\.(?:delete|clear|shift|pop|splice|length = )|this\\.${name} = (?!this)|this\\.${name} = this\\.${name}\\.(?:filter|slice)|= this\\.${name}$`, 'm').test(code)
        return grows && !shrinks ? [`${path} ${name}`] : []
      }),
    )
  expect(onlyGrowing.filter(each => !(each in boundedByConstruction))).toEqual([])
  expect(Object.keys(boundedByConstruction).filter(each => !onlyGrowing.includes(each))).toEqual([])
})

test('law 7: the simulator and the tests run the classes of production; only what stands behind their ports is another', () => {
  const simulated = loadedBy('runtime/testing/simulator/simulated-cluster.ts')
  const production = [
    'job-manager/job-manager.ts', 'job-manager/job-master/job-runner.ts', 'job-manager/job-master/job-master.ts', 'job-manager/checkpoint/checkpoint-coordinator.ts',
    'job-manager/checkpoint/snapshot-directory.ts', 'job-manager/coordinators/source-coordinator.ts', 'job-manager/dispatcher/job-store.ts', 'job-manager/resource-manager/resource-manager.ts',
    'task-manager/task-manager.ts', 'task-manager/pending-snapshots.ts', 'slot/slot.ts', 'slot/task.ts', 'operators/create-chain.ts', 'state/memory/paged-state.ts', 'state/snapshot/restored-state.ts',
    'codec/channel-codec.ts', 'graph/translate.ts',
  ]
  expect(production.filter(path => !simulated.has(`runtime/${path}`))).toEqual([])
  // And production does not know that it is tested.
  const outside = files.filter(file => !file.path.startsWith('runtime/testing/') && !isTestHelper(file.path))
  expect(importing(outside, /^runtime\/testing\//)).toEqual([])
  expect(outside.flatMap(file => file.files.filter(each => isTestHelper(each.target)).map(each => `${file.path} -> ${each.target}`))).toEqual([])
  expect(importing(outside, /^runtime\/slot\/faults\.ts$/).filter(each => !each.startsWith('runtime/slot/'))).toEqual([])
  expect(saying(outside, /\bprocess\.env(?:\.|\[')(?:NODE_ENV|VITEST)/g)).toEqual([])
})

test('law 8: nothing in a slot is nondeterministic but what comes through its host', () => {
  const loaded = [...loadedBy('runtime/slot/slot.ts'), ...loadedBy('runtime/operators/create-chain.ts')]
  expect(loaded.filter(path => !pureRooms.some(room => path.startsWith(`runtime/${room}/`)))).toEqual([])
  // Promises resolve when the engine likes, text by locale differs by machine, and what is collected is the collector's choice.
  const machine = inRooms('core', 'codec', 'operators', 'slot').filter(file => !isTestHelper(file.path))
  expect(saying(machine, /\basync [\w(]|\bawait\b|\bPromise\.\w+|\bnew Promise\b|\.toLocale\w+|\bIntl\.|\bWeakRef\b|\bFinalizationRegistry\b|\bgetTimezoneOffset\b/g)).toEqual([])
  // The one door has the production host, the simulator's, and none in between.
  expect(importing(files.filter(file => !file.path.startsWith('runtime/slot/')), /^runtime\/slot\/slot\.ts$/)).toEqual([
    'runtime/task-manager/slot-worker.ts -> runtime/slot/slot.ts',
    'runtime/testing/simulator/simulated-slot.ts -> runtime/slot/slot.ts',
  ])
})

/** What each room may import, besides itself and core/. `testing/` sets up all of them, and may import everything. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  graph: ['api'],
  api: ['graph', 'connectors'],
  connectors: ['api', 'codec'],
  protocol: ['graph', 'metrics'],
  metrics: ['graph', 'protocol'],
  codec: ['protocol'],
  operators: ['api', 'graph', 'codec'],
  slot: ['api', 'graph', 'codec', 'operators', 'protocol'],
  state: ['codec', 'operators', 'protocol', 'slot'],
  rpc: ['codec', 'protocol'],
  network: ['codec', 'protocol', 'rpc'],
  deploy: ['api', 'graph', 'metrics', 'protocol', 'rpc'],
  'job-manager': ['api', 'graph', 'codec', 'protocol', 'metrics', 'rpc', 'state', 'deploy'],
  'task-manager': ['graph', 'codec', 'protocol', 'operators', 'slot', 'state', 'rpc', 'network', 'deploy'],
}

test('law 5, between rooms: each imports only what its line in the table allows', () => {
  const rooms = new Set(files.filter(file => file.path.split('/').length > 2 && file.path.startsWith('runtime/')).map(file => file.path.split('/')[1]))
  expect([...rooms].sort()).toEqual([...Object.keys(mayImport), 'testing'].sort())
  const found = Object.entries(mayImport).flatMap(([room, allowed]) => {
    const open = new Set(['core', room, ...allowed].map(each => `runtime/${each}`))
    return inRooms(room).flatMap(file => file.files.filter(each => !open.has(roomOf(each.target))).map(each => `${file.path} -> ${each.target}`))
  })
  expect(found).toEqual([])
})

test('every file is used: imported by another one, started as a thread, or an entry of the build, the package or Node', () => {
  const build = readFileSync(join(root, 'scripts/build.mjs'), 'utf8')
  const users = [...pathsIn('runtime'), ...pathsIn('cli'), ...pathsIn('fixtures'), ...pathsIn('scripts')].filter(path => /\.(tsx?|mjs)$/.test(path))
  const threads = (path: string, code: string) => Array.from(code.matchAll(/\bnew URL\('(\.[^']+\.ts)', import\.meta\.url\)/g), ([, target]) => relative(root, resolve(root, dirname(path), target as string)))
  const imported = new Set(users.map(readSource).flatMap(({ path, code, files: each }) => [...each.map(({ target }) => target), ...threads(path, code)]))
  expect(files.map(file => file.path).filter(path => !imported.has(path) && !build.includes(`'${path}'`))).toEqual([])
})

test('no value is exported that no other file imports', () => {
  const words = new Map<string, Set<string>>()
  const users = [...pathsIn('runtime'), ...pathsIn('cli'), ...pathsIn('fixtures'), ...pathsIn('scripts'), ...pathsIn('bin'), ...pathsIn('templates')].filter(path => /\.(tsx?|m?js)$/.test(path))
  for (const path of users) {
    for (const [word] of readFileSync(join(root, path), 'utf8').matchAll(/\b[A-Za-z_]\w+\b/g)) words.set(word, (words.get(word) ?? new Set()).add(path))
  }
  const unused = files.flatMap(({ path, code }) =>
    [...code.matchAll(/^export (?:abstract )?(?:async )?(?:function\*?|class|const|let) (\w+)/gm)].flatMap(([, name]) => (words.get(name as string)?.size === 1 ? [`${path} ${name}`] : [])),
  )
  expect(unused).toEqual([])
})

test('the map names no file that is not there', () => {
  const links = [...readFileSync(join(root, 'runtime/README.md'), 'utf8').matchAll(/\]\(([^)#]+)\)/g)].map(match => match[1] as string)
  expect(links.length).toBeGreaterThan(50)
  expect(links.filter(link => !existsSync(join(root, 'runtime', link)))).toEqual([])
})
