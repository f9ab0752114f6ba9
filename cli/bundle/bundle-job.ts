/**
 * Bundles the user's job with esbuild into one ES module, which every process of the cluster evaluates. Packages stay
 * external and are found from the project; `flink-ts` is the running installation, by address. The name of the file is
 * the hash of its content, so a file that exists is never written again and a slot can never read half a bundle.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BuildFailure, Location, Message, Metafile, Plugin } from 'esbuild'
import { FlinkError, type SourcePosition } from '../../runtime/core/errors.ts'
import { murmur128 } from '../../runtime/core/murmur.ts'
import { profiledFirstLine } from '../../runtime/protocol/cpu-profile.ts'
import { didYouMean } from '../../runtime/core/did-you-mean.ts'
import { entryUrl, publicEntries } from './installation.ts'
import { quickBundle } from './quick-bundle.ts'

export interface JobBundle {
  /** Absolute path of the module. */
  readonly path: string
  readonly hash: string
  readonly bytes: number
  /** The user's files that went into it, absolute: what to watch. */
  readonly inputs: readonly string[]
}

/** The same, however it is built. */
const settings = { bundle: true, format: 'esm', platform: 'node', target: 'node22', packages: 'external', sourcemap: 'inline' } as const

/**
 * V8 puts the time of a function that it has inlined down to the one it was inlined into, and says only in which line it was
 * spent. So that the line alone says which function, what is to be profiled has a line for each few words, and its lines
 * have numbers that no other script has.
 */
const profiled = { lineLimit: 1, banner: { js: '\n'.repeat(profiledFirstLine - 1) } } as const

export interface BundleOptions {
  readonly projectDirectory: string
  readonly jobFile: string
  /** For profiles. The same code, in another shape. */
  readonly profiled?: boolean
}

/** @throws {FlinkError} BUNDLE_FAILED with the user's line */
export async function bundleOnce(options: BundleOptions): Promise<JobBundle> {
  const directory = createBundleDirectory(options.projectDirectory)
  const addresses = Object.fromEntries(Object.entries(publicEntries).map(([name, path]) => [name, entryUrl(path).href]))
  const shape = options.profiled ? { 'line-limit': String(profiled.lineLimit), 'banner:js': profiled.banner.js } : {}
  const quick = await quickBundle({ ...options, directory, settings: { ...settings, ...shape, 'source-root': sourceRoot(directory), 'sources-content': 'false' }, addresses })
  if (quick !== undefined) return writeBundle(directory, quick.code, inputsOf(quick.metafile, options.projectDirectory))
  const bundler = await openBundler(options)
  try {
    return await bundler.rebuild()
  } finally {
    await bundler.dispose()
  }
}

export interface Bundler {
  /** @throws {FlinkError} BUNDLE_FAILED with the user's line */
  rebuild(): Promise<JobBundle>
  dispose(): Promise<void>
}

/** As many old bundles are kept: a savepoint can be looked at with the code that wrote it. */
const keptBundles = 20

export async function openBundler({ projectDirectory, jobFile, profiled: forProfiles }: BundleOptions): Promise<Bundler> {
  const directory = createBundleDirectory(projectDirectory)
  // Loaded when it is needed: processes that the start waits for are on their way by then.
  const { context } = await import('esbuild')
  const build = await context({
    absWorkingDir: projectDirectory,
    entryPoints: [jobFile],
    outfile: join(directory, 'job.mjs'),
    ...settings,
    ...(forProfiles ? profiled : {}),
    sourceRoot: sourceRoot(directory),
    // The sources are where the map says. Node looks at each character of a bundle, map included, in each thread that loads it.
    sourcesContent: false,
    metafile: true,
    write: false,
    logLevel: 'silent',
    plugins: [runningInstallation],
  })
  return {
    async rebuild() {
      const { outputFiles, metafile } = await build.rebuild().catch((error: unknown) => {
        throw bundleError(error, jobFile, projectDirectory)
      })
      return writeBundle(directory, outputFiles[0]!.contents, inputsOf(metafile, projectDirectory))
    },
    dispose: () => build.dispose(),
  }
}

/** The JobManager copies the bundle to pin it: the map travels inside, and its sources are absolute. */
const sourceRoot = (directory: string) => pathToFileURL(`${directory}/`).href

function createBundleDirectory(projectDirectory: string): string {
  const directory = join(projectDirectory, '.flink-ts', 'bundles')
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new FlinkError('STORAGE_FAILED', `could not make the directory ${directory}`, { cause: error })
  }
  return directory
}

const runningInstallation: Plugin = {
  name: 'running-installation',
  setup(build) {
    build.onResolve({ filter: /^flink-ts(\/|$)/ }, ({ path }) => {
      const entry = publicEntries[path]
      if (entry !== undefined) return { path: entryUrl(entry).href, external: true }
      const near = didYouMean(path, Object.keys(publicEntries))
      return { errors: [{ text: `"${path}" is not part of flink-ts${near === undefined ? '' : `; did you mean "${near}"?`}`, notes: [{ text: `There are ${Object.keys(publicEntries).join(', ')}.` }] }] }
    })
  },
}

function writeBundle(directory: string, code: Uint8Array, inputs: readonly string[]): JobBundle {
  // Node's cryptography takes longer to load than all of the rest here.
  const hash = murmur128(Buffer.from(code.buffer, code.byteOffset, code.byteLength).toString('latin1'))
  const path = join(directory, `${hash}.mjs`)
  try {
    if (existsSync(path)) utimesSync(path, new Date(), new Date())
    else {
      const temporary = `${path}.${process.pid}.tmp`
      writeFileSync(temporary, code, { mode: 0o600 })
      renameSync(temporary, path)
    }
  } catch (error) {
    throw new FlinkError('STORAGE_FAILED', `could not write the bundle ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  return { path, hash, bytes: code.byteLength, inputs }
}

/** Removes all but the newest bundles. Only the owner of the project may, as a running job still loads its own. */
export function removeOldBundles(projectDirectory: string): void {
  const directory = join(projectDirectory, '.flink-ts', 'bundles')
  if (!existsSync(directory)) return
  const bundles = readdirSync(directory).filter(name => name.endsWith('.mjs')).map(name => ({ path: join(directory, name), at: statSync(join(directory, name)).mtimeMs }))
  for (const { path } of bundles.sort((a, b) => b.at - a.at).slice(keptBundles)) rmSync(path, { force: true })
}

function inputsOf(metafile: Metafile, projectDirectory: string): string[] {
  return Object.keys(metafile.inputs).map(input => resolve(projectDirectory, input))
}

/** At most as many errors are told at once; the first is usually the cause of the others. */
const shownErrors = 5

function bundleError(error: unknown, jobFile: string, projectDirectory: string): FlinkError {
  const messages = (error as Partial<BuildFailure>).errors
  if (messages === undefined || messages.length === 0) {
    return new FlinkError('BUNDLE_FAILED', `could not bundle ${relative(projectDirectory, jobFile)}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  const [first, ...others] = messages as [Message, ...Message[]]
  const at = first.location ? positionOf(first.location, projectDirectory) : undefined
  const notes = first.notes.map(note => `${note.text}${note.location ? ` (${note.location.file}:${note.location.line})` : ''}`)
  const more = others.slice(0, shownErrors - 1).map(message => `${message.location ? `${message.location.file}:${message.location.line}: ` : ''}${message.text}`)
  if (others.length > shownErrors - 1) more.push(`and ${others.length - shownErrors + 1} more errors`)
  const detail = [...notes, ...more].join('\n')
  return new FlinkError('BUNDLE_FAILED', `could not bundle ${relative(projectDirectory, jobFile)}: ${first.text}`, {
    ...(at === undefined ? {} : { at }),
    ...(detail === '' ? {} : { detail }),
    ...(at === undefined ? { hint: 'Mend the import or file named above and run it again.' } : {}),
    cause: error,
  })
}

/** esbuild counts columns from 0 and in bytes of UTF-8. */
function positionOf(location: Location, projectDirectory: string): SourcePosition {
  const column = Buffer.from(location.lineText).subarray(0, location.column).toString().length + 1
  return { file: resolve(projectDirectory, location.file), line: location.line, column }
}

/** Where the user's files import a package: for an error that Node finds only when the bundle is evaluated. */
export function importPosition(inputs: readonly string[], specifier: string, readSource: (file: string) => string): SourcePosition | undefined {
  const quoted = new RegExp(`['"]${specifier.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?:/[^'"]*)?['"]`)
  for (const file of inputs) {
    if (dirname(file).includes('node_modules')) continue
    const lines = readSource(file).split('\n')
    for (let i = 0; i < lines.length; i++) {
      const match = /\b(import|from|require)\b/.test(lines[i]!) ? quoted.exec(lines[i]!) : null
      if (match) return { file, line: i + 1, column: match.index + 1 }
    }
  }
  return undefined
}
