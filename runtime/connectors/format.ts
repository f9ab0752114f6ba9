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

/** `timestamp` reads epoch milliseconds, or a date as text in ISO form (without a zone it is UTC), into epoch milliseconds. */
export type ColumnType = 'string' | 'number' | 'boolean' | 'timestamp'

/**
 * Comma-separated values (RFC 4180, but a field holds no line break). If the first line of a file names all columns it is
 * a header, and columns are found by name, in any order; without one they are in the order given here.
 *
 * @example csv<Reading>({ sensor: 'string', celsius: 'number', time: 'timestamp' })
 */
export function csv<T>(columns: { readonly [N in keyof T & string]: ColumnType }): Format<T> {
  const names = Object.keys(columns)
  const types = Object.values(columns) as ColumnType[]
  return {
    name: 'csv',
    extension: 'csv',
    parser(firstLine) {
      const header = splitCsv(firstLine)
      const isHeader = names.every(name => header.includes(name))
      const positions = names.map((name, index) => (isHeader ? header.indexOf(name) : index))
      const width = isHeader ? header.length : names.length
      return (line, isFirst) => {
        if ((isFirst && isHeader) || line === '') return undefined
        const fields = splitCsv(line)
        if (fields.length !== width) throw new Error(`${fields.length} fields where there should be ${width}`)
        const record: Record<string, unknown> = {}
        for (let i = 0; i < names.length; i++) {
          const name = names[i] as string
          record[name] = parseColumn(fields[positions[i] as number] as string, types[i] as ColumnType, name)
        }
        return record as T
      }
    },
    format(value) {
      const record = value as Record<string, unknown>
      return names.map((name, i) => formatColumn(record[name], types[i] as ColumnType, name)).join(',')
    },
  }
}

function splitCsv(line: string): string[] {
  if (!line.includes('"')) return line.split(',')
  const fields: string[] = []
  let at = 0
  for (;;) {
    if (line.charCodeAt(at) === 34) {
      let field = ''
      let from = at + 1
      for (;;) {
        const quote = line.indexOf('"', from)
        if (quote < 0) throw new Error('a quoted field does not end on its line')
        field += line.slice(from, quote)
        if (line.charCodeAt(quote + 1) !== 34) {
          at = quote + 1
          break
        }
        field += '"'
        from = quote + 2
      }
      if (at < line.length && line.charCodeAt(at) !== 44) throw new Error('text after a closing quote')
      fields.push(field)
    } else {
      const comma = line.indexOf(',', at)
      fields.push(comma < 0 ? line.slice(at) : line.slice(at, comma))
      at = comma < 0 ? line.length : comma
    }
    if (at >= line.length) return fields
    at++
    if (at === line.length) {
      fields.push('')
      return fields
    }
  }
}

function parseColumn(field: string, type: ColumnType, name: string): unknown {
  switch (type) {
    case 'string':
      return field
    case 'number': {
      const value = Number(field)
      if (field.trim() === '' || Number.isNaN(value)) throw new Error(`column ${name}: ${JSON.stringify(field)} is not a number`)
      return value
    }
    case 'boolean':
      if (field === 'true') return true
      if (field === 'false') return false
      throw new Error(`column ${name}: ${JSON.stringify(field)} is not true or false`)
    case 'timestamp': {
      const value = /^-?\d+$/.test(field) ? Number(field) : Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(field) ? field : `${field.replace(' ', 'T')}${field.includes(':') ? 'Z' : ''}`)
      if (!Number.isSafeInteger(value)) throw new Error(`column ${name}: ${JSON.stringify(field)} is not a time`)
      return value
    }
  }
}

function formatColumn(value: unknown, type: ColumnType, name: string): string {
  const expected = type === 'timestamp' ? 'number' : type
  if (typeof value !== expected || (expected === 'number' && !Number.isFinite(value))) {
    throw new FlinkError('UNSUPPORTED_VALUE', `column ${name} of type ${type} cannot hold ${typeof value === 'string' ? JSON.stringify(value) : String(value)}`)
  }
  const field = String(value)
  if (field.includes('\n')) throw new FlinkError('UNSUPPORTED_VALUE', `column ${name}: a field of the csv format holds no line break`)
  return /[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field
}
