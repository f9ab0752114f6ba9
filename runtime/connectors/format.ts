/**
 * Formats of files: how a line of text becomes a record and back. One record is one line, so that a large file can be cut
 * into byte ranges that are read in parallel.
 */
import { FlinkError } from '../core/errors.ts'

export interface Format<T> {
  readonly name: string
  /** Of files that a sink writes, without the dot. */
  readonly extension: string
  /**
   * Makes a parser for one file. `firstLine` is the file's first line, which some formats read as a header. The parser
   * throws an Error whose message says what is wrong with the line; `undefined` skips it (an empty line, a header).
   */
  parser(firstLine: string): LineParser<T>
  /** One line, without the newline. */
  format(value: T): string
}
export type LineParser<T> = (line: string, isFirst: boolean) => T | undefined

/**
 * JSON lines: one JSON value per line.
 *
 * @example fileSource({ path: 'events/*.jsonl', format: json<Event>() })
 */
export function json<T>(): Format<T> {
  return {
    name: 'json',
    extension: 'jsonl',
    parser: () => line => (line.trim() === '' ? undefined : (JSON.parse(line) as T)),
    format(value) {
      checkJson(value, 'record')
      return JSON.stringify(value)
    },
  }
}

/** JSON would change some values without a word (NaN to null, a Map to {}); those are refused. */
function checkJson(value: unknown, path: string): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return
    case 'number':
      if (Number.isFinite(value)) return
      throw notJson(String(value), path)
    case 'object': {
      if (value === null || typeof (value as { toJSON?: unknown }).toJSON === 'function') return
      if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++) checkJson(value[i], `${path}[${i}]`)
        return
      }
      const prototype: unknown = Object.getPrototypeOf(value)
      if (prototype !== Object.prototype && prototype !== null) throw notJson(`a ${value.constructor.name}`, path)
      for (const name in value) {
        const field = (value as Record<string, unknown>)[name]
        if (field !== undefined) checkJson(field, `${path}.${name}`)
      }
      return
    }
    default:
      throw notJson(value === undefined ? 'undefined' : `a ${typeof value}`, path)
  }
}

function notJson(what: string, path: string): FlinkError {
  return new FlinkError('UNSUPPORTED_VALUE', `${what} cannot be written as JSON`, { detail: `Found at ${path}.`, hint: 'Map it to text, a finite number, or null before the sink.' })
}

/** Lines as they stand. */
export function text(): Format<string> {
  return {
    name: 'text',
    extension: 'txt',
    parser: () => line => line,
    format(value) {
      if (typeof value !== 'string' || value.includes('\n')) throw new FlinkError('UNSUPPORTED_VALUE', 'the text format writes strings without line breaks', { hint: 'Map the record to one line of text before the sink.' })
      return value
    },
  }
}
