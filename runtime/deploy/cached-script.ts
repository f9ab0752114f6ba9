/**
 * Runs a file of our build together with the code that V8 compiled of it the last time.
 *
 * Node's own cache of compiled code is made when a module has been compiled and before it runs, when V8 has looked at its top
 * level only: each function was compiled again at its first call, in each process and thread of a cluster, a tenth of a start.
 * Here it is made after a job has run for a moment, with all functions that were called. Where it is not there or does not
 * fit, V8 compiles as ever.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'

/** Five files of some 300 KB are for one build and one version of Node. When there are more, those that were not used for the longest time go. */
const mostFiles = 25
/** What is used is marked as used so often. */
const markEveryMs = 24 * 60 * 60_000

/**
 * V8 makes objects old from their birth if a look through the young ones finds the first few hundred of their place in the
 * code alive, and it never thinks better of it. Records come in batches, and those of one batch are alive together: by
 * chance, of a `map` for one, each record of a job was an object old from then on, which only a look through the whole heap
 * frees. Such a chain cost twice to three times as much.
 *
 * V8's flags are those of the process. It takes code that was compiled ahead, Node's own too, only under the flags under which
 * that was made. So this one is set when a job begins and not on the command line, where it cost 20 ms of CPU for each thread, and what
 * is kept is made as if it were not set.
 */
const recordsYoung = '--no-allocation-site-pretenuring'
const asAtStart = '--allocation-site-pretenuring'
let areRecordsYoung = false

/** In a slot, before its first record. */
export function keepRecordsYoung(): void {
  slotsKeepRecordsYoung()
  setFlagsFromString(recordsYoung)
}

/** In another thread of a process that has slots. */
export function slotsKeepRecordsYoung(): void {
  areRecordsYoung = true
}

let started = false
/** Those whose code is to be kept. */
const wanted: { readonly script: Script; readonly file: string }[] = []

/**
 * @param url of a script, ASCII, with a function for its value
 * @param hash of its text
 * @param role threads that use one file for different things have a cache each
 */
export function runScript(url: string, hash: string, role: string): (...given: readonly unknown[]) => unknown {
  const directory = cacheDirectory()
  const file = `${hash}-${role}-${process.version}-${process.arch}`
  const cachedData = directory === undefined ? undefined : read(join(directory, file))
  const script = new Script(readFileSync(fileURLToPath(url), 'latin1'), { filename: url, ...(cachedData === undefined ? {} : { cachedData }) })
  if (directory !== undefined && (cachedData === undefined || script.cachedDataRejected === true)) wanted.push({ script, file: join(directory, file) })
  return script.runInThisContext() as (...given: readonly unknown[]) => unknown
}

/**
 * All that a start needs has run: what is compiled is kept in a moment, when the job has had its first records and before V8
 * forgets what has not run for long. Some 10 ms, once for each build and role.
 */
export function startIsOver(keepAfterMs = 1_500): void {
  if (started) return
  started = true
  if (wanted.length > 0) setTimeout(keepCompiledCode, keepAfterMs).unref()
}

/** For a thread that ends sooner. Nothing happens in one whose start was never over. */
export function keepCompiledCode(): void {
  if (!started || wanted.length === 0) return
  if (areRecordsYoung) setFlagsFromString(asAtStart)
  for (const { script, file } of wanted.splice(0)) {
    try {
      const temporary = `${file}.${process.pid}-${Math.random().toString(36).slice(2)}`
      // V8 does not look whether what it is given is whole.
      writeFileSync(temporary, script.createCachedData(), { mode: 0o600, flush: true })
      renameSync(temporary, file)
      removeOldest(join(file, '..'))
    } catch {
      // A full disk, say: the next start compiles again.
    }
  }
  if (areRecordsYoung) setFlagsFromString(recordsYoung)
}

/** Where code is kept, if anywhere: what lies there is run, so it must be this user's alone. */
function cacheDirectory(): string | undefined {
  const { NODE_DISABLE_COMPILE_CACHE: disabled, NODE_COMPILE_CACHE: chosen, XDG_CACHE_HOME: caches } = process.env
  if (disabled !== undefined && disabled !== '' && disabled !== '0') return undefined
  try {
    const base = chosen ? chosen : caches && isAbsolute(caches) ? caches : join(homedir(), '.cache')
    const directory = join(base, 'flink-ts')
    let stats = lstatSync(directory, { throwIfNoEntry: false })
    if (stats === undefined) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      stats = lstatSync(directory)
    }
    return stats.isDirectory() && stats.uid === process.getuid?.() && (stats.mode & 0o022) === 0 ? directory : undefined
  } catch {
    return undefined
  }
}

function read(file: string): Buffer | undefined {
  try {
    const { mtimeMs } = statSync(file)
    const now = Date.now()
    if (now - mtimeMs > markEveryMs) utimesSync(file, now / 1000, now / 1000)
    return readFileSync(file)
  } catch {
    return undefined
  }
}

function removeOldest(directory: string): void {
  const files = readdirSync(directory).map(name => join(directory, name)).map(path => ({ path, at: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
  for (const { path } of files.sort((a, b) => b.at - a.at).slice(mostFiles)) rmSync(path, { force: true })
}
