/**
 * Where in the user's code something was called: the first frame of a stack that is not of this package. With
 * `--enable-source-maps` the frames are already those of the `.ts` file, so an error at build time points at the line
 * that the user wrote.
 *
 * This room may not know about modules' addresses (`import.meta` is the platform's), so the package recognises its own
 * frames by a stack taken here, when the module is loaded.
 */
import type { SourcePosition } from '../core/errors.ts'

/** The innermost position in user code that led to this call; undefined if the stack does not say. */
export function userPosition(): SourcePosition | undefined {
  return firstUserFrame(new Error().stack, ownDirectory)
}

/**
 * Gives `node` the position of this call as its `at`, which is worked out when somebody reads it: each slot builds its job again,
 * and needs positions for errors only. That takes a stack as text, and the map of the user's module.
 */
export function locate<N extends object>(node: N): N {
  const here = new Error()
  let at: SourcePosition | undefined
  let known = false
  const get = () => {
    if (!known) at = firstUserFrame(here.stack, ownDirectory)
    known = true
    return at
  }
  return Object.defineProperty(node, 'at', { get, enumerable: true, configurable: true })
}

/** The first frame of `stack` outside of `own` and of the platform. Tests beside our sources count as user code. */
export function firstUserFrame(stack: string | undefined, own: string): SourcePosition | undefined {
  return parseStack(stack).find(frame => !isOwn(frame.file, own))
}

/** Where an error of the user's code was thrown. */
export function errorPosition(error: unknown): SourcePosition | undefined {
  return error instanceof Error ? firstUserFrame(error.stack, ownDirectory) : undefined
}

/** Frames of V8's stack text that lie in a file, innermost first; `node:` frames and evaluated text are left out. */
export function parseStack(stack: string | undefined): SourcePosition[] {
  const frames: SourcePosition[] = []
  for (const line of (stack ?? '').split('\n')) {
    const match = /^\s+at (?:[^(]*? \()?((?:file:\/\/)?(?:\/|[A-Za-z]:[\\/]).*?)(?:\?[^:]*)?:(\d+):(\d+)\)?$/.exec(line)
    if (!match) continue
    frames.push({ file: filePath(match[1] as string), line: Number(match[2]), column: Number(match[3]) })
  }
  return frames
}

function filePath(location: string): string {
  if (!location.startsWith('file://')) return location
  const path = location.slice('file://'.length).replace(/^\/([A-Za-z]:)/, '$1')
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

const ownDirectory = directoryOfPackage(parseStack(new Error().stack)[0]?.file)

/** `.../runtime/` for this file as it stands or as a source map names it, `.../dist/` for the chunk that holds it when built. */
function directoryOfPackage(thisFile: string | undefined): string {
  return (thisFile ?? '').replace(/(?:api[\\/]position\.[jt]s|(?:chunks[\\/])?[^\\/]*)$/, '')
}

const isOwn = (file: string, own: string) =>
  file.includes('/node:internal/') || (own !== '' && file.startsWith(own) && !/\.(?:test|bench)\.[jt]sx?$/.test(file))
