/**
 * The two loops over the records of a batch: records into columns, columns into records. For every shape they are
 * generated once, so that each field is a plain property access on a known name and all records of a stream get one hidden
 * class. Where code generation is forbidden, closures do the same more slowly.
 *
 * Generated text contains nothing from data but names, as `JSON.stringify` writes them.
 */
import { canGenerate, notPlainText, propertyText } from './code-generation.ts'
import { maxEntries } from './dictionary.ts'
import { hasPresence, shapeText, type Column, type Shape } from './shape.ts'
import { presence, sort } from './sorts.ts'
import { define, refuseHidden } from './plain-object.ts'
import type { ValueReader } from './value-reader.ts'
import type { ValueWriter } from './value-writer.ts'

/** A column to fill. Which arrays are there follows from the kind; they are long enough, and `presence` is zero. */
export interface ColumnBuffers {
  readonly column: Column
  /** i32 values, or the lengths of text in UTF-16 units. */
  readonly i32: Int32Array
  readonly f64: Float64Array
  /** bool, a byte each */
  readonly u8: Uint8Array
  /** Two bits for each record. */
  readonly presence: Uint8Array
  readonly values: ValueWriter
  /** Of a column of lists: takes one; false if it is none. */
  readonly list: { push(list: unknown): boolean } | undefined
  /** All text, joined. */
  text: string
  /** Where it is set, texts are only gathered: it is long enough. */
  readonly texts: string[] | undefined
  /** Values that are present. */
  count: number
}

/** A column to read, checked: as many values as `presence` says, as much text as the lengths say, numbers that have a text. */
export interface ColumnData {
  readonly column: Column
  readonly i32: Int32Array
  readonly f64: Float64Array
  readonly u8: Uint8Array
  readonly presence: Uint8Array
  readonly values: ValueReader
  /** Of a column of lists, whose lengths are in `i32`. */
  readonly list: { next(lengths: Int32Array): unknown[] } | undefined
  readonly text: string
  /** By number, where the column is one of numbers; those from `maxEntries` on are in `passing`. */
  readonly texts: readonly string[] | undefined
  readonly passing: readonly string[]
}

export interface RecordLoops {
  /** Fills the columns; returns the index of the first record that does not fit the shape, or -1. @throws UnsupportedSignal */
  fill(values: readonly unknown[], records: number, columns: readonly ColumnBuffers[]): number
  /** Puts records into `out`, from its beginning. @throws DecodeError */
  build(records: number, columns: readonly ColumnData[], out: unknown[]): void
}

/** Shapes whose loops are kept; a job has a few dozen. When there are more, all are dropped and made again on demand. */
const keptShapes = 256
const kept = new Map<string, RecordLoops>()

/** `numbers`: there may be columns whose `texts` is set. */
export function recordLoops(shape: Shape, generate = canGenerate, numbers = false): RecordLoops {
  if (!generate) return closureLoops(shape)
  const text = `${numbers ? 'numbers' : 'text'} ${shapeText(shape)}`
  let loops = kept.get(text)
  if (loops === undefined) {
    if (kept.size >= keptShapes) kept.clear()
    kept.set(text, (loops = generatedLoops(shape, numbers)))
  }
  return loops
}

const hasOwn = Object.hasOwn
const prototypeOf = Object.getPrototypeOf
const isOptional = ({ absent }: Column) => (absent & sort.missing) !== 0

/** What an object can hide is looked for on the first record of every batch: asking each would cost more than encoding it. */
function checkFirst(values: readonly unknown[], records: number): void {
  const first = records > 0 ? values[0] : undefined
  if (typeof first === 'object' && first !== null && prototypeOf(first) === Object.prototype) refuseHidden(first, Object.keys(first))
}

// --- generated

function generatedLoops(shape: Shape, numbers: boolean): RecordLoops {
  const names = shape.columns.map(column => column.name)
  const make = (body: string) => new Function('names', 'prototypeOf', 'objectPrototype', 'hasOwn', 'define', `'use strict'\n${body}`) as
    (...helpers: unknown[]) => unknown
  const helpers = [names, prototypeOf, Object.prototype, hasOwn, define]
  const fill = make(fillText(shape, numbers))(...helpers) as RecordLoops['fill']
  const build = make(buildText(shape, numbers))(...helpers) as RecordLoops['build']
  return {
    fill(values, records, columns) {
      checkFirst(values, records)
      return fill(values, records, columns)
    },
    build,
  }
}

/** What of a column the loops use. */
const arrays = { none: '', bool: 'u8', i32: 'i32', f64: 'f64', string: 'i32', any: 'values', list: 'list' } as const

function fillText({ layout, columns }: Shape, numbers: boolean): string {
  const lines = ['return function fill(values, records, columns) {']
  const optional = columns.some(isOptional)
  columns.forEach((column, c) => {
    const from = `columns[${c}]`
    if (hasPresence(column)) lines.push(`const p${c} = ${from}.presence; let j${c} = 0`)
    const array = arrays[column.kind]
    if (array !== '') lines.push(`const a${c} = ${from}.${array}`)
    if (column.kind === 'string') lines.push(`let t${c} = ''`, numbers ? `const d${c} = ${from}.texts` : '')
  })
  lines.push('for (let i = 0; i < records; i++) {', 'const r = values[i]')
  if (layout === 'object') {
    lines.push(`if (typeof r !== 'object' || r === null || ${notPlainText(columns.map(column => column.name))}) return i`, 'let k = 0')
    if (optional) {
      // Fields may be missing, but those that are there come in the order of the columns.
      lines.push(`for (const name in r) { while (k < ${columns.length} && names[k] !== name) k++; if (k++ === ${columns.length}) return i }`)
    } else {
      lines.push('for (const name in r) if (name !== names[k++]) return i', `if (k !== ${columns.length}) return i`)
    }
  }
  columns.forEach((column, c) => {
    const name = JSON.stringify(column.name)
    lines.push(`const v${c} = ${layout === 'object' ? `r[${name}]` : 'r'}`)
    const missing = optional ? `!hasOwn(r, ${name})` : 'false'
    if (!hasPresence(column)) {
      if (column.kind === 'none') lines.push(noneCheck(column, c, missing))
      else lines.push(store(column, c, 'i', numbers))
      // An `any` column takes undefined, but not in place of a field that is missing.
      if (optional && column.kind === 'any') lines.splice(-1, 0, `if (v${c} === undefined && ${missing}) return i`)
      return
    }
    const mark = (code: number) => `p${c}[i >> 2] |= ${code} << ((i & 3) << 1)`
    const { absent } = column
    if (column.kind === 'any') {
      lines.push(`if (v${c} !== undefined || !(${missing})) { ${store(column, c, `j${c}`, numbers)}; j${c}++; ${mark(presence.value)} }`)
      return
    }
    lines.push(`if (v${c} === undefined) {`)
    lines.push(`if (${missing}) { ${absent & sort.missing ? '' : 'return i'} }`)
    lines.push(`else { ${absent & sort.undefined ? mark(presence.undefined) : 'return i'} }`)
    lines.push(`} else if (v${c} === null) { ${absent & sort.null ? mark(presence.null) : 'return i'} }`)
    lines.push(column.kind === 'none' ? 'else return i' : `else { ${store(column, c, `j${c}`, numbers)}; j${c}++; ${mark(presence.value)} }`)
  })
  lines.push('}')
  columns.forEach((column, c) => {
    if (column.kind === 'string') lines.push(`columns[${c}].text = t${c}`)
    lines.push(`columns[${c}].count = ${hasPresence(column) ? `j${c}` : 'records'}`)
  })
  lines.push('return -1', '}')
  return lines.join('\n')
}

/** A column that is always null, or always undefined. */
function noneCheck({ absent }: Column, c: number, missing: string): string {
  if (absent === sort.null) return `if (v${c} !== null) return i`
  if (absent === sort.undefined) return `if (v${c} !== undefined || ${missing}) return i`
  return 'return i'
}

/** Statements that put `v` into its column at `index`, or return `i`. */
function store({ kind }: Column, c: number, index: string, numbers: boolean): string {
  const v = `v${c}`
  const at = `a${c}[${index}]`
  switch (kind) {
    case 'bool':
      return `if (${v} === true) ${at} = 1; else if (${v} === false) ${at} = 0; else return i`
    case 'i32':
      // -0 | 0 is 0, which equals it, and NaN | 0 is 0, which does not.
      return `if (typeof ${v} !== 'number') return i; const x${c} = ${v} | 0; if (x${c} !== ${v} || (x${c} === 0 && 1 / ${v} < 0)) return i; ${at} = x${c}`
    case 'f64':
      return `if (typeof ${v} !== 'number') return i; ${at} = ${v} === ${v} ? ${v} : NaN`
    case 'string':
      return `if (typeof ${v} !== 'string') return i; ${numbers ? `if (d${c} !== undefined) d${c}[${index}] = ${v}; else` : ''} { ${at} = ${v}.length; t${c} += ${v} }`
    case 'any':
      return `a${c}.write(${v})`
    case 'list':
      return `if (!a${c}.push(${v})) return i`
    case 'none':
      return 'return i'
  }
}

function buildText({ layout, columns }: Shape, numbers: boolean): string {
  const lines = ['return function build(records, columns, out) {']
  columns.forEach((column, c) => {
    const from = `columns[${c}]`
    if (hasPresence(column)) lines.push(`const p${c} = ${from}.presence; let j${c} = 0`)
    const array = arrays[column.kind]
    if (array !== '') lines.push(`const a${c} = ${from}.${array}`)
    if (column.kind === 'list') lines.push(`const l${c} = ${from}.i32`)
    if (column.kind === 'string') lines.push(`const t${c} = ${from}.text; let q${c} = 0`, numbers ? `const d${c} = ${from}.texts, e${c} = ${from}.passing; let n${c} = 0` : '')
  })
  lines.push('for (let i = 0; i < records; i++) {')
  columns.forEach((column, c) => {
    if (!hasPresence(column)) {
      lines.push(`const v${c} = ${column.kind === 'none' ? (column.absent === sort.null ? 'null' : 'undefined') : load(column, c, 'i', numbers)}`)
      return
    }
    lines.push(`const s${c} = (p${c}[i >> 2] >> ((i & 3) << 1)) & 3`)
    lines.push(`const v${c} = ${column.kind === 'none' ? '' : `s${c} === ${presence.value} ? ${load(column, c, `j${c}++`, numbers)} : `}s${c} === ${presence.null} ? null : undefined`)
  })
  if (layout === 'single') lines.push('out[i] = v0')
  else {
    const property = (column: Column, c: number) => propertyText(column.name, `v${c}`)
    const whole = `{ ${columns.map(property).join(', ')} }`
    const maybe = columns.flatMap((column, c) => (isOptional(column) ? [c] : []))
    if (maybe.length === 0) lines.push(`out[i] = ${whole}`)
    else {
      const first = maybe[0] as number
      lines.push(`if (${maybe.map(c => (hasPresence(columns[c] as Column) ? `s${c} !== 0` : 'false')).join(' && ')}) out[i] = ${whole}`, 'else {')
      lines.push(`const r = { ${columns.slice(0, first).map(property).join(', ')} }`)
      columns.forEach((column, c) => {
        if (c < first) return
        const put = `define(r, ${JSON.stringify(column.name)}, v${c})`
        const assign = column.name === '__proto__' ? put : `r[${JSON.stringify(column.name)}] = v${c}`
        lines.push(isOptional(column) ? (hasPresence(column) ? `if (s${c} !== 0) ${assign}` : '') : assign)
      })
      lines.push('out[i] = r', '}')
    }
  }
  lines.push('}', '}')
  return lines.join('\n')
}

function load({ kind }: Column, c: number, index: string, numbers: boolean): string {
  switch (kind) {
    case 'bool':
      return `a${c}[${index}] === 1`
    case 'string': {
      const plain = `t${c}.substring(q${c}, q${c} += a${c}[${index}])`
      return numbers ? `d${c} === undefined ? ${plain} : (n${c} = a${c}[${index}]) < ${maxEntries} ? d${c}[n${c}] : e${c}[n${c} - ${maxEntries}]` : plain
    }
    case 'any':
      return `a${c}.read()`
    case 'list':
      return `a${c}.next(l${c})`
    case 'none':
      return 'undefined'
    default:
      return `a${c}[${index}]`
  }
}

// --- closures

function closureLoops(shape: Shape): RecordLoops {
  const { layout, columns: described } = shape
  const names = described.map(column => column.name)
  const optional = described.some(isOptional)
  return {
    fill(values, records, columns) {
      checkFirst(values, records)
      for (let i = 0; i < records; i++) {
        const record = values[i]
        if (layout === 'single') {
          if (!fillOne(columns[0] as ColumnBuffers, record, false, i)) return i
          continue
        }
        if (typeof record !== 'object' || record === null || prototypeOf(record) !== Object.prototype) return i
        const fields = record as Readonly<Record<string, unknown>>
        let k = 0
        for (const name in fields) {
          if (optional) while (k < names.length && names[k] !== name) k++
          if (names[k++] !== name) return i
        }
        if (!optional && k !== names.length) return i
        for (let c = 0; c < names.length; c++) {
          const name = names[c] as string
          const value = fields[name]
          if (!fillOne(columns[c] as ColumnBuffers, value, optional && value === undefined && !hasOwn(fields, name), i)) return i
        }
      }
      return -1
    },
    build(records, columns, out) {
      const cursors = columns.map(column => new ClosureCursor(column))
      for (let i = 0; i < records; i++) {
        if (layout === 'single') {
          out[i] = (cursors[0] as ClosureCursor).next(i)
          continue
        }
        const record: Record<string, unknown> = {}
        for (const cursor of cursors) {
          const value = cursor.next(i)
          if (!cursor.missing) define(record, cursor.name, value)
        }
        out[i] = record
      }
    },
  }
}

function fillOne(out: ColumnBuffers, value: unknown, missing: boolean, i: number): boolean {
  const { column } = out
  const { kind, absent } = column
  const marked = hasPresence(column)
  if (missing || (kind !== 'any' && (value === undefined || value === null))) {
    const seen = missing ? sort.missing : value === null ? sort.null : sort.undefined
    if ((absent & seen) === 0) return false
    const code = missing ? presence.missing : value === null ? presence.null : presence.undefined
    if (marked) out.presence[i >> 2] = (out.presence[i >> 2] as number) | (code << ((i & 3) << 1))
    return true
  }
  switch (kind) {
    case 'none':
      return false
    case 'bool':
      if (typeof value !== 'boolean') return false
      out.u8[out.count] = value ? 1 : 0
      break
    case 'i32':
      if (typeof value !== 'number' || (value | 0) !== value || Object.is(value, -0)) return false
      out.i32[out.count] = value
      break
    case 'f64':
      if (typeof value !== 'number') return false
      out.f64[out.count] = value
      break
    case 'string':
      if (typeof value !== 'string') return false
      if (out.texts !== undefined) out.texts[out.count] = value
      else {
        out.i32[out.count] = value.length
        out.text += value
      }
      break
    case 'any':
      out.values.write(value)
      break
    case 'list':
      if (out.list?.push(value) !== true) return false
  }
  out.count++
  if (marked) out.presence[i >> 2] = (out.presence[i >> 2] as number) | (presence.value << ((i & 3) << 1))
  return true
}

class ClosureCursor {
  readonly name: string
  missing = false
  readonly #in: ColumnData
  #next = 0
  #textAt = 0

  constructor(input: ColumnData) {
    this.name = input.column.name
    this.#in = input
  }

  next(i: number): unknown {
    const input = this.#in
    const { kind, absent } = input.column
    this.missing = false
    if (hasPresence(input.column)) {
      const code = ((input.presence[i >> 2] as number) >> ((i & 3) << 1)) & 3
      this.missing = code === presence.missing && isOptional(input.column)
      if (code !== presence.value) return code === presence.null ? null : undefined
    } else if (kind === 'none') {
      this.missing = absent === sort.missing
      return absent === sort.null ? null : undefined
    }
    const at = this.#next++
    switch (kind) {
      case 'bool':
        return input.u8[at] === 1
      case 'i32':
        return input.i32[at]
      case 'f64':
        return input.f64[at]
      case 'string': {
        const number = input.i32[at] as number
        if (input.texts !== undefined) return number < maxEntries ? input.texts[number] : input.passing[number - maxEntries]
        const start = this.#textAt
        this.#textAt += input.i32[at] as number
        return input.text.substring(start, this.#textAt)
      }
      case 'any':
        return input.values.read()
      case 'list':
        return input.list?.next(input.i32)
      case 'none':
        return undefined
    }
  }
}
