/**
 * An error as a person reads it: code and message, detail, the line of their source, what to do next.
 *
 *     error FTS-3001: map of "parse": Unexpected token 'x' in JSON
 *       src/job.ts:12:20
 *         11 |   .map(line => {
 *       > 12 |     return JSON.parse(line)
 *            |                 ^
 *       Mend the function at the line above; ...
 *
 * A stack is shown only when asked for (`--verbose`, `DEBUG`) or when the error is a bug of ours.
 */
import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, relative, resolve } from 'node:path'
import { errorTable, errorToData, exitCodes, FlinkError, type ErrorData, type SourcePosition } from '../../runtime/core/errors.ts'
import { codeFrame } from './code-frame.ts'
import { formatCode } from './error-code.ts'
import { plain, type Paint } from './colour.ts'
import { sanitiseLine, sanitiseText } from './sanitise.ts'

export interface ErrorTextOptions {
  readonly paint?: Paint
  readonly verbose?: boolean
  /** Files are shown relative to it. */
  readonly projectDirectory?: string
  readonly readSource?: (file: string) => string | undefined
}

export function formatError(error: ErrorData, options: ErrorTextOptions = {}): string {
  const paint = options.paint ?? plain
  const [message = '', ...more] = sanitiseText(error.message).split('\n')
  const lines = [`${paint(['bold', 'red'], 'error')} ${paint('bold', `${formatCode(error.code)}:`)} ${paint('bold', message)}`]
  lines.push(...indent(more.join('\n')))
  if (error.detail) lines.push(...indent(sanitiseText(error.detail)))
  if (error.at) lines.push(...indent(formatPosition(error.at, options)))
  const hint = error.hint ?? errorTable[error.code].hint
  if (hint) lines.push(...indent(paint('cyan', sanitiseText(hint))))
  if (options.verbose && error.stack) lines.push(...indent(paint('dim', sanitiseText(error.stack))))
  return lines.join('\n')
}

function formatPosition(at: SourcePosition, options: ErrorTextOptions): string {
  const paint = options.paint ?? plain
  const directory = options.projectDirectory ?? process.cwd()
  const absolute = resolve(directory, at.file)
  const fromHere = relative(directory, absolute)
  const shown = fromHere !== '' && !fromHere.startsWith('..') && !isAbsolute(fromHere) ? fromHere : at.file
  const place = paint('cyan', sanitiseLine(`${shown}:${at.line}${at.column === undefined ? '' : `:${at.column}`}`))
  const source = (options.readSource ?? readSmallFile)(absolute)
  const frame = source === undefined ? undefined : codeFrame(source, at.line, at.column, paint)
  return frame === undefined ? place : `${place}\n${indent(frame).join('\n')}`
}

/** A source is read to show three lines of it; what is no source file is left alone. */
function readSmallFile(file: string): string | undefined {
  try {
    const stats = statSync(file)
    return stats.isFile() && stats.size <= 4 * 1024 * 1024 ? readFileSync(file, 'utf8') : undefined
  } catch {
    return undefined
  }
}

const indent = (text: string) => (text === '' ? [] : text.split('\n').map(line => `  ${line}`))

/** An error that nobody foresaw: it is ours, so it comes with its stack and says so. */
export function formatBug(error: unknown, paint: Paint = plain): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return [
    `${paint(['bold', 'red'], 'error')}: flink-ts failed in a way that nobody foresaw; this is a bug of flink-ts, not of your job`,
    ...indent(sanitiseText(stack)),
    '  Please report it with the lines above and the output of `flink-ts --version`.',
  ].join('\n')
}

/** The error and exit code as one JSON object, the same shape for every command. */
export function errorToJson(error: unknown): { readonly schemaVersion: 1; readonly error: Record<string, unknown> } {
  if (!(error instanceof FlinkError)) {
    const message = error instanceof Error ? error.message : String(error)
    return { schemaVersion: 1, error: { code: 'INTERNAL', message, exitCode: exitCodes.internal } }
  }
  const { code, message, detail, hint, at } = errorToData(error, 'JOB_FAILED')
  return { schemaVersion: 1, error: { code, number: formatCode(code), message, detail, hint, at, exitCode: error.exitCode } }
}
