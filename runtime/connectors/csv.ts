/** Comma-separated values. A line is read where it stands: no field becomes a string of its own unless the record holds text. */
import { canGenerate, propertyText } from '../codec/code-generation.ts'
import { FlinkError } from '../core/errors.ts'
import type { Format } from './format.ts'

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
      const readers = names.map((name, i) => columnReader(types[i] as ColumnType, name))
      const record = recordBuilder(names, readers, positions)
      const starts: number[] = []
      const ends: number[] = []
      return (line, isFirst) => {
        if ((isFirst && isHeader) || line === '') return undefined
        if (line.includes('"')) {
          // Unquoted, the fields stand one after the other without commas between.
          const fields = splitCsv(line)
          if (fields.length !== width) throw wrongWidth(fields.length, width)
          let at = 0
          fields.forEach((field, i) => {
            starts[i] = at
            ends[i] = at += field.length
          })
          return record(fields.join(''), starts, ends) as T
        }
        let at = 0
        for (let i = 0; i < width; i++) {
          const comma = line.indexOf(',', at)
          starts[i] = at
          ends[i] = comma < 0 ? line.length : comma
          if (comma < 0 !== (i === width - 1)) throw wrongWidth(line.split(',').length, width)
          at = comma + 1
        }
        return record(line, starts, ends) as T
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

const wrongWidth = (found: number, expected: number) => new Error(`${found} fields where there should be ${expected}`)

/** Reads the field of `line` from `start` to `end`. */
type ColumnReader = (line: string, start: number, end: number) => unknown
type RecordBuilder = (line: string, starts: readonly number[], ends: readonly number[]) => unknown

/**
 * Makes the record in one expression, so that all records of a file have one hidden class and none is built name by name.
 * The only text in it that comes from outside are the names, as JSON.stringify writes them.
 */
function recordBuilder(names: readonly string[], readers: readonly ColumnReader[], positions: readonly number[]): RecordBuilder {
  if (!canGenerate) {
    return (line, starts, ends) => {
      const read = (reader: ColumnReader, i: number) => reader(line, starts[positions[i] as number] as number, ends[positions[i] as number] as number)
      return Object.fromEntries(readers.map((reader, i) => [names[i], read(reader, i)]))
    }
  }
  const fields = names.map((name, i) => propertyText(name, `read${i}(line, starts[${positions[i]}], ends[${positions[i]}])`))
  const parameters = names.map((_, i) => `read${i}`)
  return new Function(...parameters, `'use strict'; return function csvRecord(line, starts, ends) { return { ${fields.join(', ')} } }`)(...readers) as RecordBuilder
}

function columnReader(type: ColumnType, name: string): ColumnReader {
  const wrong = (field: string, what: string) => new Error(`column ${name}: ${JSON.stringify(field)} is not ${what}`)
  switch (type) {
    case 'string':
      return (line, start, end) => line.slice(start, end)
    case 'number':
      return (line, start, end) => {
        const whole = wholeNumber(line, start, end)
        if (whole === whole) return whole
        const field = line.slice(start, end)
        const value = Number(field)
        if (field.trim() === '' || Number.isNaN(value)) throw wrong(field, 'a number')
        return value
      }
    case 'boolean':
      return (line, start, end) => {
        const field = line.slice(start, end)
        if (field !== 'true' && field !== 'false') throw wrong(field, 'true or false')
        return field === 'true'
      }
    case 'timestamp':
      return (line, start, end) => {
        const whole = wholeNumber(line, start, end)
        if (whole === whole) return whole
        const field = line.slice(start, end)
        const value = /^-?\d+$/.test(field) ? Number(field) : Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(field) ? field : `${field.replace(' ', 'T')}${field.includes(':') ? 'Z' : ''}`)
        if (!Number.isSafeInteger(value)) throw wrong(field, 'a time')
        return value
      }
  }
}

/** NaN if the field is anything but digits, a minus before them perhaps, or has more of them than a number surely holds. */
function wholeNumber(line: string, start: number, end: number): number {
  const negative = line.charCodeAt(start) === minus
  const first = negative ? start + 1 : start
  if (first >= end || end - first > 15) return NaN
  let value = 0
  for (let i = first; i < end; i++) {
    const digit = line.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return NaN
    value = value * 10 + digit
  }
  // -0 is a number of its own.
  return !negative ? value : value === 0 ? NaN : -value
}
const minus = 45

function formatColumn(value: unknown, type: ColumnType, name: string): string {
  const expected = type === 'timestamp' ? 'number' : type
  if (typeof value !== expected || (expected === 'number' && !Number.isFinite(value))) {
    throw new FlinkError('UNSUPPORTED_VALUE', `column ${name} of type ${type} cannot hold ${typeof value === 'string' ? JSON.stringify(value) : String(value)}`)
  }
  const field = String(value)
  if (field.includes('\n')) throw new FlinkError('UNSUPPORTED_VALUE', `column ${name}: a field of the csv format holds no line break`)
  return /[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field
}
