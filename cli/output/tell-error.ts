/** The one place where an error ends: as text on standard error or as JSON on standard output, and as an exit code. */
import { stripVTControlCharacters } from 'node:util'
import { errorToData, exitCodes, FlinkError } from '../../runtime/core/errors.ts'
import { paintFor } from './colour.ts'
import { errorToJson, formatBug, formatError } from './error-text.ts'
import { toJsonLine } from './json-lines.ts'

export interface TellOptions {
  readonly json: boolean
  readonly verbose: boolean
  readonly projectDirectory?: string
}

/** @returns the exit code */
export function tellError(error: unknown, { json, verbose, projectDirectory }: TellOptions): number {
  const known = error instanceof FlinkError ? error : systemError(error)
  if (json) process.stdout.write(`${toJsonLine(errorToJson(known ?? error))}\n`)
  const paint = paintFor(process.stderr)
  const text = known === undefined
    ? formatBug(error, paint)
    : formatError(errorToData(known, known.code), { paint, verbose: verbose || Boolean(process.env['DEBUG']), ...(projectDirectory === undefined ? {} : { projectDirectory }) })
  process.stderr.write(`${stripTrailing(text)}\n`)
  return known?.exitCode ?? exitCodes.internal
}

const stripTrailing = (text: string) => (stripVTControlCharacters(text).trimEnd() === '' ? '' : text.trimEnd())

/** What the machine refuses is not a bug of ours, wherever it was met. */
function systemError(error: unknown): FlinkError | undefined {
  if (!(error instanceof Error)) return undefined
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new FlinkError('DISK_FULL', error.message, { cause: error })
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'EMFILE':
    case 'EIO':
      return new FlinkError('STORAGE_FAILED', error.message, { cause: error })
    default:
      return undefined
  }
}
