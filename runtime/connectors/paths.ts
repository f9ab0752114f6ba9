/** Paths of sources and sinks: absolute, or relative to the project; with `*` and `?` in any part for sources. */
import type { FileSystem } from '../core/files.ts'

export function resolvePath(projectDirectory: string, path: string): string {
  const parts = (path.startsWith('/') ? path : `${projectDirectory}/${path}`).split('/')
  const resolved: string[] = []
  for (const part of parts) {
    if (part === '' || part === '.') continue
    if (part === '..') resolved.pop()
    else resolved.push(part)
  }
  return `/${resolved.join('/')}`
}

/**
 * The files that a path means, sorted: the file itself; of a directory all files in it, but not those below or hidden
 * (their names begin with `.` or `_`); of a pattern all files that match.
 */
export function findFiles(files: FileSystem, absolutePath: string): string[] {
  let candidates = ['']
  for (const part of absolutePath.split('/').slice(1)) {
    if (!/[*?]/.test(part)) candidates = candidates.map(directory => `${directory}/${part}`)
    else {
      const pattern = new RegExp(`^${part.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll(/\*+/g, '[^/]*').replaceAll('?', '[^/]')}$`)
      candidates = candidates.flatMap(directory =>
        files
          .list(directory === '' ? '/' : directory)
          .filter(name => visible(name) && pattern.test(name))
          .map(name => `${directory}/${name}`),
      )
    }
  }
  const found: string[] = []
  for (const path of candidates) {
    const kind = files.stat(path)?.kind
    if (kind === 'directory') {
      for (const name of files.list(path)) if (visible(name) && files.stat(`${path}/${name}`)?.kind === 'file') found.push(`${path}/${name}`)
    } else if (kind !== undefined) found.push(path)
  }
  return found.sort()
}

const visible = (name: string) => !name.startsWith('.') && !name.startsWith('_')
