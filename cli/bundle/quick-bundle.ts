/**
 * One bundle by esbuild's executable alone. Its JavaScript API starts the same executable as a service and talks to it: good
 * for building again and again, but half of the time that a first bundle takes. The executable has no plugins and tells
 * mistakes as text, so whatever is not a plain success is left to the API, which does it again and says what is wrong.
 */
import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'

export interface QuickBundleOptions {
  readonly projectDirectory: string
  readonly jobFile: string
  /** Where the bundle will be; it exists. */
  readonly directory: string
  /** As esbuild's API takes them. */
  readonly settings: Readonly<Record<string, string | true>>
  /** Imports, and the addresses to put in their place. */
  readonly addresses: Readonly<Record<string, string>>
}

/** Undefined: ask the API. */
export async function quickBundle(options: QuickBundleOptions): Promise<{ readonly code: Uint8Array; readonly metafile: Metafile } | undefined> {
  const { projectDirectory, jobFile, directory, settings, addresses } = options
  const executable = findExecutable()
  if (executable === undefined) return undefined
  const outfile = join(directory, `${process.pid}.tmp`)
  const metafile = `${outfile}.json`
  try {
    const flags = Object.entries(settings).map(([name, value]) => (value === true ? `--${name}` : `--${name}=${value}`))
    const aliases = Object.entries(addresses).map(([name, address]) => `--alias:${name}=${address}`)
    if (!(await succeeds(executable, [jobFile, ...flags, ...aliases, `--outfile=${outfile}`, `--metafile=${metafile}`, '--log-level=silent'], projectDirectory))) return undefined
    const result = { code: readFileSync(outfile), metafile: JSON.parse(readFileSync(metafile, 'utf8')) as Metafile }
    // An alias holds for what begins with it too: `flink-ts/nowhere` has become something behind the address of `flink-ts`.
    const wrong = Object.values(addresses).some(address => result.code.includes(`${address}/`))
    return wrong ? undefined : result
  } catch {
    return undefined
  } finally {
    for (const file of [outfile, metafile]) rmSync(file, { force: true })
  }
}

function succeeds(executable: string, args: readonly string[], cwd: string): Promise<boolean> {
  return new Promise(resolve => {
    spawn(executable, args, { cwd, stdio: 'ignore' })
      .on('exit', code => resolve(code === 0))
      .on('error', () => resolve(false))
  })
}

/** Where npm puts it; other installers are left to the API, which knows their ways. */
function findExecutable(): string | undefined {
  try {
    const api = createRequire(import.meta.url).resolve('esbuild')
    return createRequire(api).resolve(`@esbuild/${process.platform}-${process.arch}/bin/esbuild`)
  } catch {
    return undefined
  }
}
