// Builds `dist/` from the TypeScript sources. A process or thread that never meets user code is one file of its own, because
// each file costs its start a third of a millisecond and there are ten of them in a small cluster. Those that evaluate jobs
// share chunks with the public entries, so that there every class exists once. `dist/` mirrors the source tree; a source may
// therefore say `new URL('./worker.js', import.meta.url)` for a file that is an entry below, even where its own code lands
// in a shared chunk (see `moduleUrls`).
//
//   node scripts/build.mjs            builds when a source is newer than the last build
//   node scripts/build.mjs --force    builds
//   node scripts/build.mjs --clean    builds into an empty `dist/` (for a package)
//   node scripts/build.mjs --types    writes the declaration files of the public entries as well (`tsc`)
import { build } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const stamp = join(dist, '.built')
const staleChunkAge = 10 * 60_000

/** Entries of one group share their code. */
const groups = [
  ['runtime/deploy/cached-script.ts'],
  ['runtime/deploy/spawn-process.ts'],
  ['cli/run-main.ts'],
  ['cli/main.ts', 'cli/commands.ts'],
  ['runtime/job-manager/main.ts'],
  ['runtime/task-manager/main.ts'],
  ['runtime/task-manager/snapshot-thread.ts'],
  [
    'runtime/index.ts',
    'runtime/connectors/file.ts',
    'runtime/connectors/datagen.ts',
    'runtime/connectors/nexmark.ts',
    'runtime/testing/index.ts',
    'cli/bundle/compile-worker.ts',
    'runtime/job-manager/coordinators/coordinator-worker.ts',
    'runtime/task-manager/slot-thread.ts',
  ],
]

/**
 * Some groups have what they need at every start in one file, by their first entry. Each part alone needs less, but esbuild
 * makes a file of its own for whatever has another set of users, and twenty files cost a start as much as all that is in them.
 * What is not used costs nothing: V8 keeps compiled code of functions that ran.
 */
const oneFileOf = {
  'cli/run-main.ts': {
    modules: ['cli/run-main.ts', 'cli/session/run-job.ts', 'cli/session/build-job.ts'],
    /** Besides these, who loads that file: entries, and what they load late. */
    loaders: ['cli/output/tell-error.ts', 'cli/ui/view.tsx', 'cli/session/profiles.ts'],
  },
  'runtime/index.ts': {
    modules: [
      'runtime/index.ts',
      'runtime/connectors/file.ts',
      'runtime/connectors/datagen.ts',
      'runtime/task-manager/slot-worker.ts',
      'runtime/job-manager/coordinators/enumerators.ts',
      'runtime/deploy/compile-bundle.ts',
    ],
    loaders: [
      'runtime/connectors/nexmark.ts',
      'runtime/testing/index.ts',
      'cli/bundle/compile-worker.ts',
      'runtime/job-manager/coordinators/coordinator-worker.ts',
      'runtime/task-manager/slot-thread.ts',
      'runtime/operators/fusion/show-generated.ts',
      'runtime/task-manager/profile/slot-profiler.ts',
    ],
  },
}

/**
 * What holds one of these is a script with a cache of all its compiled functions (`runtime/deploy/cached-script.ts`) behind a
 * module that has its exports. By role where threads of several kinds load it.
 */
const cachedScripts = {
  'cli/run-main.ts': "'cli'",
  'runtime/job-manager/main.ts': "'job-manager'",
  'runtime/task-manager/main.ts': "'task-manager'",
  'runtime/task-manager/slot-worker.ts': "process.getBuiltinModule('node:worker_threads').workerData?.role ?? 'other'",
}
/**
 * Packages that are part of what we build, because as many small files they cost every start more than all the rest. They
 * are dependencies all the same, and `oclif` as a whole, for the pages of help, is loaded from there.
 */
const inlined = /^(string-width|@oclif\/core\/(parser|flags|args))$/

/** @param {{ force?: boolean, clean?: boolean, types?: boolean }} options @returns {Promise<boolean>} whether anything was built */
export async function buildDist({ force = false, clean = false, types = false } = {}) {
  if (clean) rmSync(dist, { recursive: true, force: true })
  const stale = force || !isFresh()
  if (stale) await bundle()
  if (types) declarations()
  return stale
}

async function bundle() {
  const startedAt = new Date()
  const results = await Promise.all(groups.map(entryPoints => build({
    absWorkingDir: root,
    entryPoints,
    outdir: dist,
    outbase: root,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    banner: { js: requireOfFile },
    sourcemap: 'linked',
    // A stack needs lines only.
    sourcesContent: false,
    jsx: 'automatic',
    keepNames: false,
    metafile: true,
    write: false,
    logLevel: 'warning',
    plugins: [oneFile, sharedModule, lateModules, nodeModules, oclifParserOnly, externalPackages, moduleUrls],
  })))
  const outputs = results.flatMap(({ outputFiles, metafile }) => outputFiles.map(withoutUnusedRequire).map(withConstants).map(withSharedModules).flatMap(file => asCachedScript(file, metafile)))
  const files = [...withoutEmptyMaps(outputs), licencesOf(results.flatMap(result => Object.keys(result.metafile.inputs)))]

  // Chunks first and each file by rename: a process that starts while we build finds one whole version or the other.
  const isChunk = file => file.path.startsWith(join(dist, 'chunks') + sep)
  for (const file of files.sort((a, b) => Number(isChunk(b)) - Number(isChunk(a)))) {
    if (existsSync(file.path) && readFileSync(file.path).equals(file.contents)) continue
    mkdirSync(dirname(file.path), { recursive: true })
    const temporary = `${file.path}.${process.pid}.tmp`
    writeFileSync(temporary, file.contents)
    renameSync(temporary, file.path)
  }
  removeStaleChunks(new Set(files.map(file => file.path)))
  writeFileSync(stamp, JSON.stringify({ startedAt: startedAt.getTime(), groups, node: process.version }))
}

/** Of a file that only passes on what others export. Node would read it in each thread that loads a job. */
function withoutEmptyMaps(files) {
  const empty = new Set(files.filter(({ path, contents }) => path.endsWith('.js.map') && JSON.parse(Buffer.from(contents).toString()).mappings === '').map(({ path }) => path))
  return files.filter(({ path }) => !empty.has(path)).map(({ path, contents }) => ({ path, contents: empty.has(`${path}.map`) ? Buffer.from(Buffer.from(contents).toString().replace(/\/\/# sourceMappingURL=.*\n?$/, '')) : contents }))
}

/** What an inlined package of CommonJS asks for by `require`. */
const requireOfFile = "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);"

/** The line stays, empty: source maps count lines. */
function withoutUnusedRequire({ path, text, contents }) {
  const unused = text.startsWith(requireOfFile) && !/\brequire\b/.test(text.slice(requireOfFile.length))
  return { path, contents: unused ? Buffer.from(text.slice(requireOfFile.length)) : contents }
}

/**
 * esbuild makes a `var` of each constant of a module. V8 compiles a constant into the code that reads it, and reads a `var`
 * each time, and looks each time what it is: a third of what a short loop does. So those of one line, which nothing assigns to, are constants again.
 * (An assignment by destructuring is not seen; it would fail with a TypeError when it is made.)
 */
function withConstants({ path, contents }) {
  if (!path.endsWith('.js')) return { path, contents }
  const text = Buffer.from(contents).toString()
  const assigned = new Set(Array.from(text.matchAll(/(?<!^var )(?<![\w$.#])([\w$]+) *(?:=(?![=>])|[-+*/%&|^]=|<<=|>>>?=|\*\*=|&&=|\|\|=|\?\?=|\+\+|--)|(?:\+\+|--)([\w$]+)/gm), ([, left, right]) => left ?? right))
  return { path, contents: Buffer.from(text.replace(/^var ([\w$]+) = .*[^,]$/gm, (line, name) => (isOneStatement(line) && !assigned.has(name) ? `const${line.slice(3)}` : line))) }
}

/** A number, a sum of numbers, a call: ends where its line does. */
const isOneStatement = line => /^[^'"`]*;$/.test(line) && !/[{]/.test(line)

/**
 * `import`s become parameters of a function that holds all the rest and gives what is exported, once: `export let` is refused
 * (see `moduleUrls`). Lines stay where they are, for source maps.
 *
 * @param {{ path: string, contents: Uint8Array }} file
 * @param {import('esbuild').Metafile} metafile
 */
function asCachedScript(file, metafile) {
  const { inputs, exports } = metafile.outputs[relative(root, file.path).split(sep).join('/')] ?? { inputs: {}, exports: [] }
  const source = Object.keys(cachedScripts).find(input => input in inputs)
  if (source === undefined || !file.path.endsWith('.js')) return [file]
  const text = Buffer.from(file.contents).toString()
  const imports = []
  const parameters = []
  const names = []
  const body = text
    .replaceAll(/^import (?:\{([^}]*)\} from )?("[^"]+");$/gm, (statement, list, from) => {
      if (list === undefined) imports.push(`import ${from}`)
      for (const each of (list ?? '').split(',')) {
        const [name, local = name] = each.trim().split(' as ')
        if (name === '') continue
        imports.push(`import { ${name} as $${parameters.length} } from ${from}`)
        parameters.push(local)
      }
      return statement.replaceAll(/[^\n]/g, '')
    })
    .replace(/^export \{([^}]*)\};$/m, (_, list) => {
      for (const each of list.split(',')) {
        const [local, name = local] = each.trim().split(' as ')
        names.push([local, name])
      }
      return `return [${names.map(([local]) => local).join(', ')}]`
    })
    .replaceAll('import.meta.url', '$url')
    .replaceAll('await import(', 'await $import(')
  const left = /^(import|export)\b.*$|\bimport\.meta\b|(?<!\$)\bimport\(/m.exec(body)
  if (left !== null || names.length !== exports.length) throw new Error(`${file.path} cannot be made a script: ${left?.[0] ?? 'its exports are not at its end'}`)
  const waits = source.endsWith('/main.ts')
  const map = /\/\/# sourceMappingURL=.*\n?$/.exec(body)?.[0] ?? ''
  const wrapped = `(${waits ? 'async ' : ''}(${['$url', '$import', ...parameters].join(', ')}) => { 'use strict'; ${body.slice(0, body.length - map.length)}})\n${map}`
  // In ASCII it is read as it is. esbuild has left some other characters in regular expressions.
  const script = wrapped.replaceAll(/[^\x00-\x7f]/g, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const hash = createHash('sha256').update(script).digest('hex').slice(0, 16)
  const scriptPath = file.path.replace(/\.js$/, '.script.js')
  const module = [
    `import { runScript } from ${JSON.stringify(sharedModuleFrom(file.path, 'runtime/deploy/cached-script.ts'))}`,
    ...imports,
    `const $url = new URL(${JSON.stringify(`./${basename(scriptPath)}`)}, import.meta.url).href`,
    `const $exports = ${waits ? 'await ' : ''}runScript($url, ${JSON.stringify(hash)}, ${cachedScripts[source]})(${['$url', 'specifier => import(specifier)', ...parameters.map((_, i) => `$${i}`)].join(', ')})`,
    ...names.map((_, i) => `const $e${i} = $exports[${i}]`),
    names.length === 0 ? '' : `export { ${names.map(([, name], i) => `$e${i} as ${name}`).join(', ')} }`,
  ]
  return [{ path: scriptPath, contents: Buffer.from(script) }, { path: file.path, contents: Buffer.from(`${module.join('\n')}\n`) }]
}

/** By their paths from the file that imports them. */
function withSharedModules({ path, contents }) {
  const text = path.endsWith('.js') ? Buffer.from(contents).toString() : ''
  if (!text.includes(sharedPrefix)) return { path, contents }
  return { path, contents: Buffer.from(text.replaceAll(new RegExp(`"${sharedPrefix}([^"]+)"`, 'g'), (_, source) => JSON.stringify(sharedModuleFrom(path, source)))) }
}

function sharedModuleFrom(path, source) {
  const name = relative(dirname(path), join(dist, source.replace(/\.ts$/, '.js'))).split(sep).join('/')
  return name.startsWith('.') ? name : `./${name}`
}

/** What we copied of others goes with what they ask of who copies it. */
function licencesOf(inputs) {
  const packages = [...new Set(inputs.flatMap(input => /^[^:]*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []))].sort()
  const texts = packages.map(directory => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, directory, 'package.json'), 'utf8'))
    const file = readdirSync(join(root, directory)).find(entry => /^licen[cs]e/i.test(entry))
    return `${name} ${version} (${license})\n\n${file === undefined ? '' : readFileSync(join(root, directory, file), 'utf8').trim()}\n`
  })
  return { path: join(dist, 'chunks', 'licences.txt'), contents: Buffer.from(`Parts of these packages are in the files beside this one.\n\n${texts.join('\n---\n\n')}`) }
}

/** These lines are part of each file that needs them. Shared, they would be files of their own. */
const ownOf = importer => `?${relative(root, importer)}`

/** What is long to load and seldom used: the first call or `new` loads it. All other names of these modules fail the build. */
const loadedByFirstCall = {
  'node:crypto': { functions: ['createHash', 'randomBytes'], classes: [] },
  'node:child_process': { functions: ['spawn', 'spawnSync'], classes: [] },
  'node:v8': { functions: ['setFlagsFromString'], classes: [] },
  // oclif asks on the terminal for what a flag may be asked for; ours may not.
  'node:readline': { functions: ['createInterface'], classes: [] },
  // The wire format is our own; this one is for comparison (`exchange.codec: 'record'`).
  msgpackr: { functions: [], classes: ['Packr'] },
}

/**
 * `import { readFileSync } from 'node:fs'` reads every export of the module there is, and some are loaded only then: streams
 * of files, all of WebCrypto, locks. Ten processes and threads do it at every start. Here only what is named is read.
 */
const nodeModules = {
  name: 'node-modules',
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path, kind, importer }) => (kind === 'import-statement' ? { path, namespace: 'node-module', suffix: ownOf(importer) } : { path, external: true }))
    build.onLoad({ filter: /./, namespace: 'node-module' }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(path)).filter(name => /^[A-Za-z_]\w*$/.test(name) && name !== 'default')
      // What nobody imports is left out, since it is marked as pure.
      const contents = [
        `const $module = process.getBuiltinModule(${JSON.stringify(path)}), $read = name => $module[name]`,
        ...names.map(name => `export const ${name} = /* @__PURE__ */ $read('${name}')`),
        'export default $module',
      ]
      return { contents: contents.join('\n'), loader: 'js' }
    })
  },
}

const lateModules = {
  name: 'late-modules',
  setup(build) {
    build.onResolve({ filter: new RegExp(`^(${Object.keys(loadedByFirstCall).join('|')})$`) }, ({ path, namespace, importer }) => (namespace === 'late-module' ? { path, external: true } : { path, namespace: 'late-module', suffix: ownOf(importer) }))
    build.onLoad({ filter: /./, namespace: 'late-module' }, ({ path }) => {
      const { functions, classes } = loadedByFirstCall[path]
      // Not a `require` of the file: making one, and the module that esbuild shares it by, is for nothing in nearly every start.
      const get = path.startsWith('node:') ? `process.getBuiltinModule(${JSON.stringify(path)})` : `process.getBuiltinModule('node:module').createRequire(import.meta.url)(${JSON.stringify(path)})`
      const contents = [
        ...functions.map(name => `export function ${name}(...args) { return ${get}.${name}(...args) }`),
        ...classes.map(name => `export function ${name}(...args) { return new (${get}.${name})(...args) }`),
      ]
      return { contents: contents.join('\n'), loader: 'js' }
    })
  },
}

/**
 * The parser of oclif names what it does not use to parse: the pages of help, all that draws on a terminal, a log for
 * debugging, the last resort for errors. They were three quarters of its 20 ms.
 */
const oclifParserOnly = {
  name: 'oclif-parser-only',
  setup(build) {
    build.onLoad({ filter: /@oclif[/\\]core[/\\]lib[/\\](errors[/\\]handle|help[/\\]index|parser[/\\]help)\.js$/ }, () => ({ contents: '' }))
    // Whether a file exists that a flag names; ours look themselves.
    build.onLoad({ filter: /@oclif[/\\]core[/\\]lib[/\\]util[/\\]fs\.js$/ }, ({ path }) => ({ contents: readFileSync(path, 'utf8').replace('require("node:fs/promises")', '{ stat: path => require("node:fs/promises").stat(path) }') }))
    build.onLoad({ filter: /@oclif[/\\]core[/\\]lib[/\\]logger\.js$/ }, () => ({ contents: 'exports.makeDebug = () => () => {}; exports.getLogger = () => ({ error() {} })' }))
  },
}

/**
 * These have a state, so there is one of each in a thread: what runs before the rest is loaded, and what knows all that was.
 */
const sharedModules = ['runtime/deploy/cached-script.ts', 'runtime/deploy/spawn-process.ts']
const sharedPrefix = 'flink-ts-shared:'

const sharedModule = {
  name: 'shared-module',
  setup(build) {
    build.onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ path, resolveDir }) => {
      const source = relative(root, resolve(resolveDir, path)).split(sep).join('/')
      return sharedModules.includes(source) && !build.initialOptions.entryPoints.includes(source) ? { path: sharedPrefix + source, external: true } : undefined
    })
  },
}

const oneFileIn = build => oneFileOf[build.initialOptions.entryPoints[0]]

const oneFile = {
  name: 'one-file',
  setup(build) {
    const file = oneFileIn(build)
    if (file === undefined) return
    build.onResolve({ filter: /^one-file$/ }, () => ({ path: 'one-file', namespace: 'one-file' }))
    build.onLoad({ filter: /./, namespace: 'one-file' }, () => ({ contents: file.modules.map(path => `import './${path}'`).join('\n'), resolveDir: root }))
  },
}

/** A package stays outside, unless it is `inlined` or imported by one that is. */
const externalPackages = {
  name: 'external-packages',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, importer, kind }) => {
      if (kind === 'entry-point' || inlined.test(path) || importer.includes(`${sep}node_modules${sep}`)) return undefined
      return { path, external: true }
    })
  },
}

/**
 * Code of `runtime/deploy/x.ts` may end up in `dist/chunks/`. So that `import.meta.url` still says where the module would
 * be on its own, it is replaced by that address, counted from `dist/`.
 */
const moduleUrls = {
  name: 'module-urls',
  setup(build) {
    build.onLoad({ filter: /\.(ts|tsx)$/ }, args => {
      if (args.path.includes(`${sep}node_modules${sep}`)) return undefined
      const source = readFileSync(args.path, 'utf8')
      const path = relative(root, args.path).split(sep).join('/')
      const loader = args.path.endsWith('x') ? 'tsx' : 'ts'
      // At the end, where it moves no line.
      const file = oneFileIn(build)
      const more = file?.modules.includes(path) || file?.loaders.includes(path) ? "\nimport 'one-file'\n" : ''
      if (/^export (let|var)\b/m.test(source)) return { errors: [{ text: 'export a function that tells the value: what is exported may be read only once', location: { file: args.path } }] }
      if (!source.includes('import.meta')) return more === '' ? undefined : { contents: source + more, loader }
      if (/import\.meta\.(dirname|filename|resolve)/.test(source)) {
        return { errors: [{ text: 'use import.meta.url: code may move into a shared chunk, where the other forms of import.meta name the chunk', location: { file: args.path } }] }
      }
      const url = `(import.meta.url.slice(0, import.meta.url.lastIndexOf('/dist/') + 6) + ${JSON.stringify(path.replace(/\.tsx?$/, '.js'))})`
      return { contents: source.replaceAll('import.meta.url', url) + more, loader }
    })
  },
}

function isFresh() {
  if (!existsSync(stamp)) return false
  let last
  try {
    last = JSON.parse(readFileSync(stamp, 'utf8'))
  } catch {
    return false
  }
  if (last.groups?.join() !== groups.join()) return false
  if (!groups.flat().every(entry => existsSync(join(dist, entry.replace(/\.tsx?$/, '.js'))))) return false
  const newest = Math.max(...['cli', 'runtime', 'package.json', 'scripts/build.mjs'].map(name => newestChange(join(root, name))))
  return newest < last.startedAt
}

function newestChange(path) {
  const stats = statSync(path)
  // A removed file changes the time of its directory only.
  let newest = stats.mtimeMs
  if (stats.isDirectory()) {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.name !== 'node_modules') newest = Math.max(newest, newestChange(join(path, entry.name)))
    }
  }
  return newest
}

/** Old chunks stay for a while: a cluster that was started before this build may still load one. */
function removeStaleChunks(current) {
  const directory = join(dist, 'chunks')
  if (!existsSync(directory)) return
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    if (!current.has(path) && Date.now() - statSync(path).mtimeMs > staleChunkAge) rmSync(path, { force: true })
  }
}

function declarations() {
  const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
  const { status } = spawnSync(process.execPath, [compiler, '-p', join(root, 'scripts/tsconfig.types.json')], { stdio: 'inherit' })
  if (status !== 0) throw new Error('the declaration files could not be written; see the errors above')
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  try {
    await buildDist({ force: process.argv.includes('--force'), clean: process.argv.includes('--clean'), types: process.argv.includes('--types') })
  } catch (error) {
    // esbuild has printed its own errors with their lines.
    if (!error?.errors) console.error(error.message)
    process.exitCode = 1
  }
}
