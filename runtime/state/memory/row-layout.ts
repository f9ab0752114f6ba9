/**
 * How an entry lies in a row of numbers (`row-entries.ts`): its hash, its stamp, its key if that is a whole number or two, and the
 * fields of its value, which is an object of numbers, or a list of just one such object. Whole numbers of 32 bits take four bytes, all others eight.
 *
 *   i32 hash | i32 stamp | i32 key... | f64 and i32 fields, each f64 at a multiple of eight bytes
 *
 * Functions that read and write the fields are generated, so that what is read has the hidden class of the user's own objects. Of data
 * only names go into their text.
 */
import { isI32 } from '../../core/key-group.ts'
import { canGenerate, notListText, notPlainText, propertyText } from '../../codec/code-generation.ts'

/** Keys that are one whole number of 32 bits, two of them (`isPair`), or others, which lie elsewhere. */
export type RowKeys = 'one' | 'two' | 'others'

const mostFields = 32
const noNumbers = new Float64Array(0)
const keysIn = { one: 1, two: 2, others: 0 } as const
/** Where keys begin. */
export const keyOffset = 2
/** Of one row: what does not fit is tried out here. */
const scratchI32 = new Int32Array(keyOffset + 2 + 2 * mostFields + 2)
const scratchF64 = new Float64Array(scratchI32.buffer)

export interface RowLayout {
  readonly keys: RowKeys
  /** Values are lists of one object each. */
  readonly list: boolean
  readonly names: readonly string[]
  /** Of the fields: whether they take eight bytes. */
  readonly wide: readonly boolean[]
  /** Of a row, in numbers of 32 bits; even where there are wide fields. */
  readonly width: number
  /** A new object. */
  readonly read: (i32: Int32Array, f64: Float64Array, at: number) => unknown
  /** Writes all fields; false, and nothing is written, if the value is not an object of just these numbers, in this order (or a list of one). */
  readonly write: (value: unknown, i32: Int32Array, f64: Float64Array, at: number) => boolean
}

/** What pages of a table know of its rows. */
export class TableRows {
  /** The newest. Each has room for what the one before it had room for. */
  layout: RowLayout | undefined = undefined
  /** Pages that could have none. */
  refused = 0
  /** A page with more of them splits, if its keys lie in rows too. */
  readonly largestPage: number

  constructor(largestPage: number) {
    this.largestPage = largestPage
  }
}

/** undefined: such a value cannot lie in a row. */
export function rowLayout(value: unknown, keys: RowKeys): RowLayout | undefined {
  const list = isListOfOne(value)
  return layoutOfObject(list ? value[0] : value, keys, list)
}

function isListOfOne(value: unknown): value is [unknown] {
  if (!Array.isArray(value) || value.length !== 1 || Object.getPrototypeOf(value) !== Array.prototype) return false
  // What hangs on it stays with the list.
  return Object.getOwnPropertyNames(value).length === 2 && Object.getOwnPropertySymbols(value).length === 0
}

function layoutOfObject(value: unknown, keys: RowKeys, list: boolean): RowLayout | undefined {
  if (!canGenerate || typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return undefined
  const names = Object.keys(value)
  // What reading these would not show stays with the object.
  if (names.length === 0 || names.length > mostFields || Object.getOwnPropertyNames(value).length !== names.length || Object.getOwnPropertySymbols(value).length > 0) return undefined
  if (names.some(name => Object.getOwnPropertyDescriptor(value, name)?.get !== undefined)) return undefined
  const fields = Object.values(value)
  if (!fields.every(field => typeof field === 'number')) return undefined
  return layoutOf(keys, names, fields.map(isWide), list)
}

/** A layout that also has room for this value, under a key of this kind; undefined: none has. */
export function widened(layout: RowLayout, value: unknown, keys: RowKeys): RowLayout | undefined {
  const own = rowLayout(value, keys)
  if (own === undefined || own.list !== layout.list || own.names.length !== layout.names.length || own.names.some((name, i) => name !== layout.names[i])) return undefined
  return layoutOf(keys === layout.keys ? keys : 'others', layout.names, layout.wide.map((wide, i) => wide || (own.wide[i] as boolean)), layout.list)
}

/** Whether a value under a key of this kind can lie in such a row. */
export function hasRoom(layout: RowLayout, value: unknown, keys: RowKeys): boolean {
  return (layout.keys === 'others' || layout.keys === keys) && layout.write(value, scratchI32, scratchF64, 0)
}

const isWide = (field: number) => !isI32(field) || Object.is(field, -0)

export function layoutOf(keys: RowKeys, names: readonly string[], wide: readonly boolean[], list: boolean): RowLayout {
  let end = keyOffset + keysIn[keys]
  const offsets: number[] = []
  const place = (i: number, numbers: number) => {
    offsets[i] = end
    end += numbers
  }
  const anyWide = wide.includes(true)
  if (anyWide && end % 2 === 1) {
    const small = wide.indexOf(false)
    if (small < 0) end++
    else place(small, 1)
  }
  wide.forEach((eight, i) => eight && place(i, 2))
  wide.forEach((eight, i) => eight || offsets[i] !== undefined || place(i, 1))
  return { keys, list, names, wide, width: anyWide ? end + (end % 2) : end, ...generate(names, wide, offsets, list) }
}

/** The same memory in numbers of 64 bits, where the layout has such. */
export function wideView({ wide }: RowLayout, i32: Int32Array): Float64Array {
  return wide.includes(true) ? new Float64Array(i32.buffer) : noNumbers
}

function generate(names: readonly string[], wide: readonly boolean[], offsets: readonly number[], list: boolean): Pick<RowLayout, 'read' | 'write'> {
  // Where no function can be made from text there are no rows in memory, but perhaps in a snapshot that was made elsewhere.
  if (!canGenerate) {
    const read = (i32: Int32Array, f64: Float64Array, at: number) => Object.fromEntries(names.map((name, i) => [name, wide[i] === true ? f64[(at + offsets[i]!) >> 1] : i32[at + offsets[i]!]]))
    return { read: (i32, f64, at) => (list ? [read(i32, f64, at)] : read(i32, f64, at)), write: () => false }
  }
  const at = (i: number) => (wide[i] === true ? `f64[(at + ${offsets[i]}) >> 1]` : `i32[at + ${offsets[i]}]`)
  const check = (i: number) =>
    `const v${i} = r[${JSON.stringify(names[i])}]; if (typeof v${i} !== 'number') return false\n` +
    // -0 | 0 is 0, which equals it.
    (wide[i] === true ? '' : `const x${i} = v${i} | 0; if (x${i} !== v${i} || Object.is(v${i}, -0)) return false\n`)
  const body = `'use strict'
return {
read(i32, f64, at) {
return ${list ? '[' : ''}{ ${names.map((name, i) => propertyText(name, at(i))).join(', ')} }${list ? ']' : ''}
},
write(${list ? 'list' : 'r'}, i32, f64, at) {
${list ? `if (${notListText('list')} || list.length !== 1 || list.index !== undefined) return false\nconst r = list[0]\n` : ''}if (typeof r !== 'object' || r === null || ${notPlainText(names)}) return false
let k = 0
for (const name in r) if (name !== names[k++]) return false
if (k !== ${names.length}) return false
${names.map((_, i) => check(i)).join('')}
${names.map((_, i) => `${at(i)} = ${wide[i] === true ? `v${i}` : `x${i}`}`).join('\n')}
return true
} }`
  // oxlint-disable-next-line no-implied-eval -- the only text that comes from outside are names, as JSON.stringify writes them
  return new Function('prototypeOf', 'objectPrototype', 'arrayPrototype', 'names', body)(Object.getPrototypeOf, Object.prototype, Array.prototype, names) as Pick<RowLayout, 'read' | 'write'>
}
