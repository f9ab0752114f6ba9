/**
 * `flink-ts new`: copies a template into an empty directory and makes it depend on the flink-ts that made it: the same
 * version from the registry, or, from a clone or a packed tarball, that very directory, so that it installs today.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { FlinkError } from '../../runtime/core/errors.ts'
import { didYouMean } from '../../runtime/core/did-you-mean.ts'

export interface ProjectRequest {
  /** Where; relative to the working directory. */
  readonly directory: string
  readonly template: string
  /** Directory of the flink-ts that runs. */
  readonly packageDirectory: string
  readonly version: string
}
export interface CreatedProject {
  readonly directory: string
  readonly name: string
  readonly files: readonly string[]
  /** What package.json says for flink-ts. */
  readonly dependency: string
}

/**
 * npm leaves the first two out of a package; the third would make a template a package of its own, which could not import
 * `flink-ts` where it stands and so be neither type-checked nor tested with the rest.
 */
const renamed: Readonly<Record<string, string>> = { _gitignore: '.gitignore', _npmrc: '.npmrc', '_package.json': 'package.json' }
const notCopied = new Set(['node_modules', '.flink-ts', 'out', 'dist'])

/** The tools of a new project, as exact as our own tests know them to work. */
const tools = { typescript: '^7.0.2', vitest: '^5.1.0', '@types/node': '^24.0.0' }

/** @throws {FlinkError} TARGET_NOT_EMPTY, INVALID_OPTION for a template or name that does not exist or cannot be */
export function createProject(request: ProjectRequest): CreatedProject {
  const directory = resolve(request.directory)
  const name = packageName(basename(directory))
  const templates = join(request.packageDirectory, 'templates')
  const template = join(templates, request.template)
  const known = templateNames(request.packageDirectory)
  if (!known.includes(request.template)) {
    const near = didYouMean(request.template, known)
    throw new FlinkError('INVALID_OPTION', `--template: there is no template ${JSON.stringify(request.template)}${near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`}`, { hint: `There are: ${known.join(', ')}.` })
  }
  refuseNonEmpty(directory, request.directory)
  const dependency = dependencyOn(request, directory)
  const files: string[] = []
  copy(template, directory, files, directory)
  const manifestPath = join(directory, 'package.json')
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8')) as { name: string; dependencies?: object; devDependencies?: object }
  manifest.name = name
  manifest.dependencies = { 'flink-ts': dependency, ...manifest.dependencies }
  manifest.devDependencies = { ...tools, ...manifest.devDependencies }
  writeFileSync(manifestPath, `${JSON.stringify(manifest, undefined, 2)}\n`)
  for (const file of files.filter(file => /\.(ts|md)$/.test(file))) {
    const path = join(directory, file)
    const text = readFileSync(path, 'utf8')
    // Templates call themselves `my-job`.
    if (text.includes('my-job')) writeFileSync(path, text.replaceAll('my-job', name))
  }
  return { directory, name, files: files.sort(), dependency }
}

function templateNames(packageDirectory: string): string[] {
  return readdirSync(join(packageDirectory, 'templates'), { withFileTypes: true }).filter(entry => entry.isDirectory()).map(entry => entry.name).sort()
}

function refuseNonEmpty(directory: string, named: string): void {
  const stats = statSync(directory, { throwIfNoEntry: false })
  if (stats === undefined) return
  if (!stats.isDirectory()) throw new FlinkError('TARGET_NOT_EMPTY', `${named} is a file`)
  // A fresh clone of an empty repository is as good as empty.
  const found = readdirSync(directory).filter(name => name !== '.git')
  if (found.length > 0) throw new FlinkError('TARGET_NOT_EMPTY', `${named} is not empty`, { detail: `It holds ${found.slice(0, 3).join(', ')}${found.length > 3 ? ` and ${found.length - 3} more` : ''}.` })
}

/** A name that npm takes; refused rather than changed, as the directory keeps its name. */
function packageName(name: string): string {
  const fitting = name.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, '-').replaceAll(/^[._-]+|[-._]+$/g, '')
  if (fitting === '') throw new FlinkError('INVALID_OPTION', `${JSON.stringify(name)} cannot be the name of a package`, { hint: 'Use letters, digits and dashes: flink-ts new my-job.' })
  return fitting
}

/**
 * A clone, or a copy that is not inside a registry's install, is named by its directory; `npm install <tarball>` leaves
 * the address of the tarball in the lock file beside node_modules, which is then the better name.
 */
function dependencyOn({ packageDirectory, version }: ProjectRequest, directory: string): string {
  const parts = packageDirectory.replace(/[\\/]$/, '').split(/[\\/]/)
  const installed = parts.lastIndexOf('node_modules')
  if (installed === -1) return `file:${posix(relative(directory, packageDirectory)) || '.'}`
  const origin = resolvedOrigin(parts.slice(0, installed + 1).join(sep))
  if (origin === undefined || !origin.startsWith('file:')) return `^${version}`
  const tarball = resolve(parts.slice(0, installed).join(sep), origin.slice('file:'.length))
  return existsSync(tarball) ? `file:${posix(relative(directory, tarball))}` : `file:${posix(relative(directory, packageDirectory))}`
}

function resolvedOrigin(nodeModules: string): string | undefined {
  try {
    const lock = JSON.parse(readFileSync(join(nodeModules, '.package-lock.json'), 'utf8')) as { packages?: Record<string, { resolved?: string }> }
    return lock.packages?.['node_modules/flink-ts']?.resolved
  } catch {
    return undefined
  }
}

const posix = (path: string) => path.split(sep).join('/')

function copy(from: string, to: string, files: string[], root: string): void {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (notCopied.has(entry.name)) continue
    const target = join(to, renamed[entry.name] ?? entry.name)
    if (entry.isDirectory()) copy(join(from, entry.name), target, files, root)
    else {
      mkdirSync(dirname(target), { recursive: true })
      copyFileSync(join(from, entry.name), target)
      files.push(posix(relative(root, target)))
    }
  }
}
