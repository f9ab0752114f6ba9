// Builds `dist/` from the TypeScript sources: one esbuild call with shared chunks, so that every class exists once however
// many entries load it. `dist/` mirrors the source tree; a source may therefore say `new URL('./worker.js', import.meta.url)`
// for a file that is an entry below, even where its own code lands in a shared chunk (see `moduleUrls`).
//
//   node scripts/build.mjs            builds when a source is newer than the last build
//   node scripts/build.mjs --force    builds
//   node scripts/build.mjs --clean    builds into an empty `dist/` (for a package)
//   node scripts/build.mjs --types    writes the declaration files of the public entries as well (`tsc`)
import { build } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const stamp = join(dist, '.built')
const staleChunkAge = 10 * 60_000

const entries = [
  'cli/main.ts',
  'cli/commands.ts',
  'cli/bundle/compile-worker.ts',
  'runtime/index.ts',
  'runtime/connectors/file.ts',
  'runtime/connectors/datagen.ts',
  'runtime/testing/index.ts',
  'runtime/job-manager/main.ts',
  'runtime/job-manager/coordinators/coordinator-worker.ts',
  'runtime/task-manager/main.ts',
  'runtime/task-manager/slot-worker-main.ts',
]

/** @param {{ force?: boolean, clean?: boolean, types?: boolean }} options @returns {Promise<boolean>} whether anything was built */
export async function buildDist({ force = false, clean = false, types = false } = {}) {
  if (clean) rmSync(dist, { recursive: true, force: true })
  const present = entries.filter(entry => existsSync(join(root, entry)))
  const stale = force || !isFresh(present)
  if (stale) await bundle(present)
  if (types) declarations()
  return stale
}

async function bundle(present) {
  const startedAt = new Date()
  const result = await build({
    absWorkingDir: root,
    entryPoints: present,
    outdir: dist,
    outbase: root,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    packages: 'external',
    sourcemap: 'linked',
    jsx: 'automatic',
    keepNames: false,
    metafile: true,
    write: false,
    logLevel: 'warning',
    plugins: [moduleUrls],
  })

  // Chunks first and each file by rename: a process that starts while we build finds one whole version or the other.
  const isChunk = file => file.path.startsWith(join(dist, 'chunks') + sep)
  for (const file of [...result.outputFiles].sort((a, b) => Number(isChunk(b)) - Number(isChunk(a)))) {
    if (existsSync(file.path) && readFileSync(file.path).equals(file.contents)) continue
    mkdirSync(dirname(file.path), { recursive: true })
    const temporary = `${file.path}.${process.pid}.tmp`
    writeFileSync(temporary, file.contents)
    renameSync(temporary, file.path)
  }
  removeStaleChunks(new Set(result.outputFiles.map(file => file.path)))
  writeFileSync(stamp, JSON.stringify({ startedAt: startedAt.getTime(), entries: present, node: process.version }))
}

/**
 * Code of `runtime/deploy/x.ts` may end up in `dist/chunks/`. So that `import.meta.url` still says where the module would
 * be on its own, it is replaced by that address, counted from `dist/`.
 */
const moduleUrls = {
  name: 'module-urls',
  setup(build) {
    build.onLoad({ filter: /\.(ts|tsx)$/ }, args => {
      const source = readFileSync(args.path, 'utf8')
      if (!source.includes('import.meta')) return undefined
      if (/import\.meta\.(dirname|filename|resolve)/.test(source)) {
        return { errors: [{ text: 'use import.meta.url: code may move into a shared chunk, where the other forms of import.meta name the chunk', location: { file: args.path } }] }
      }
      const path = relative(root, args.path).split(sep).join('/').replace(/\.tsx?$/, '.js')
      const url = `(import.meta.url.slice(0, import.meta.url.lastIndexOf('/dist/') + 6) + ${JSON.stringify(path)})`
      return { contents: source.replaceAll('import.meta.url', url), loader: args.path.endsWith('x') ? 'tsx' : 'ts' }
    })
  },
}

function isFresh(present) {
  if (!existsSync(stamp)) return false
  let last
  try {
    last = JSON.parse(readFileSync(stamp, 'utf8'))
  } catch {
    return false
  }
  if (last.entries?.join() !== present.join()) return false
  if (!present.every(entry => existsSync(join(dist, entry.replace(/\.tsx?$/, '.js'))))) return false
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
