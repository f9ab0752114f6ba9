/**
 * Which file holds the job: the one that was named; else `"flink-ts": { "job": "..." }` of package.json; else
 * `src/job.ts`; else the only TypeScript file of the project directory.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, relative, resolve } from 'node:path'
import { FlinkError } from '../../runtime/core/errors.ts'
import { didYouMean } from '../../runtime/core/did-you-mean.ts'

const extensions = new Set(['.ts', '.mts', '.tsx', '.js', '.mjs', '.jsx'])

/** @throws {FlinkError} JOB_FILE_NOT_FOUND naming what was looked for, and the file that was perhaps meant */
export function findJobFile(projectDirectory: string, named: string | undefined): string {
  if (named !== undefined) return existing(projectDirectory, named, undefined)
  const configured = jobOfManifest(projectDirectory)
  if (configured !== undefined) return existing(projectDirectory, configured, 'package.json names it as the job ("flink-ts": { "job": ... }).')
  const usual = join(projectDirectory, 'src', 'job.ts')
  if (isFile(usual)) return usual
  const candidates = isDirectory(projectDirectory) ? readdirSync(projectDirectory).filter(name => /\.m?ts$/.test(name) && !/\.(d|test|spec|config)\.m?ts$/.test(name)) : []
  if (candidates.length === 1) return join(projectDirectory, candidates[0]!)
  throw new FlinkError('JOB_FILE_NOT_FOUND', `no job file in ${projectDirectory}`, {
    detail: candidates.length === 0 ? 'There is no src/job.ts and no other TypeScript file.' : `There is no src/job.ts, and more than one file to choose from: ${candidates.slice(0, 5).join(', ')}.`,
    ...(candidates.length === 0 ? { hint: 'Name the file that exports your job (flink-ts run src/job.ts), or make a project with `flink-ts new my-job`.' } : {}),
  })
}

function existing(projectDirectory: string, named: string, why: string | undefined): string {
  const path = resolve(projectDirectory, named)
  if (isFile(path)) {
    if (extensions.has(extname(path))) return path
    throw new FlinkError('JOB_FILE_NOT_FOUND', `${named}: not a TypeScript or JavaScript file`)
  }
  const directory = dirname(path)
  const near = isDirectory(directory) ? didYouMean(basename(path), readdirSync(directory).filter(name => extensions.has(extname(name)))) : undefined
  const meant = near === undefined ? '' : `; did you mean ${JSON.stringify(relative(projectDirectory, join(directory, near)))}?`
  throw new FlinkError('JOB_FILE_NOT_FOUND', `${named}: ${isDirectory(path) ? 'is a directory' : 'no such file'}${meant}`, why === undefined ? {} : { detail: why })
}

function jobOfManifest(projectDirectory: string): string | undefined {
  const path = join(projectDirectory, 'package.json')
  if (!existsSync(path)) return undefined
  let manifest: unknown
  try {
    manifest = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new FlinkError('JOB_FILE_NOT_FOUND', `${path} is not valid JSON: ${error instanceof Error ? error.message : String(error)}`, { hint: 'Mend package.json, or name the job file: flink-ts run src/job.ts.' })
  }
  const settings = (manifest as { 'flink-ts'?: { job?: unknown } } | null)?.['flink-ts']
  return typeof settings?.job === 'string' ? settings.job : undefined
}

const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
const isDirectory = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
