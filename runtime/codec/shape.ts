/**
 * What the records of a stream look like: one column for values that are not objects, or a column per field. A shape only
 * ever widens. Each column remembers which sorts of values it has seen as bits; its kind follows from them, so widening is
 * `or`, and two histories that saw the same values agree.
 */
import { DecodeError, type ByteWriter } from './bytes.ts'
import { packArrayHeader, packNumber, packString, type Unpacker } from './msgpack.ts'
import { seenSort, sort } from './sorts.ts'

export type ColumnKind = 'none' | 'bool' | 'i32' | 'f64' | 'string' | 'any'

export interface Column {
  /** Empty for the only column of a single shape. */
  readonly name: string
  readonly kind: ColumnKind
  /** Which of missing, undefined and null occur (bits of `sort`); if there are any and it is not all of one, each record has two bits that say which. */
  readonly absent: number
}

export interface Shape {
  /** A `single` shape has one column that holds the whole value. */
  readonly layout: 'single' | 'object'
  readonly columns: readonly Column[]
}

/** More fields than this, in one record or in the union of all: the records travel as values, not as columns. */
const maxColumns = 128
/** More fields that are there only sometimes than this: likewise. Records that share few fields gain nothing from columns. */
const maxOptionalColumns = 32

export const anyShape: Shape = { layout: 'single', columns: [{ name: '', kind: 'any', absent: 0 }] }

/** A shape in the making: takes in values, and says which shape holds all of them. */
export class ShapeInference {
  /** undefined: nothing seen; null: objects cannot be columns. */
  #names: string[] | null | undefined
  #seen: number[] = []
  /** Sorts of the values that are not objects. */
  #single = 0
  #objects = 0

  add(value: unknown): void {
    if (this.#names !== null && isRecord(value)) this.#addObject(value)
    else this.#single |= seenSort(value)
  }

  shape(): Shape {
    if (this.#objects === 0 || this.#names === undefined) return { layout: 'single', columns: [columnOf('', this.#single)] }
    if (this.#names === null || this.#single !== 0 || !this.#names.every(name => name.isWellFormed())) return anyShape
    const columns = this.#names.map((name, i) => columnOf(name, this.#seen[i] as number))
    const optional = columns.filter(column => column.absent & sort.missing)
    // Reading `toString` of a record without such a field would find the one of every object.
    if (optional.length > maxOptionalColumns || (optional.length > 0 && columns.some(column => column.name in Object.prototype))) return anyShape
    return { layout: 'object', columns }
  }

  #addObject(value: Readonly<Record<string, unknown>>): void {
    this.#objects++
    const keys = Object.keys(value)
    let names = this.#names as string[] | undefined
    if (names === undefined) {
      names = this.#names = []
    }
    if (keys.length > maxColumns) {
      this.#names = null
      return
    }
    const before = this.#objects > 1 ? sort.missing : 0
    let at = 0
    for (const key of keys) {
      if (names[at] !== key) {
        const found = names.indexOf(key)
        if (found === -1) {
          names.splice(at, 0, key)
          this.#seen.splice(at, 0, before)
        } else if (found < at) {
          // The same fields in another order: no order of columns gives back both.
          this.#names = null
          return
        } else {
          for (; at < found; at++) this.#seen[at] = (this.#seen[at] as number) | sort.missing
        }
      }
      this.#seen[at] = (this.#seen[at] as number) | seenSort(value[key])
      at++
    }
    for (; at < names.length; at++) this.#seen[at] = (this.#seen[at] as number) | sort.missing
    if (names.length > maxColumns) this.#names = null
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function columnOf(name: string, seen: number): Column {
  const absent = seen & sort.absent
  const present = seen & ~sort.absent
  // Values in an `any` column say themselves whether they are null or undefined.
  if (present & sort.other || (present & (present - 1) && present !== (sort.i32 | sort.f64))) return { name, kind: 'any', absent: absent & sort.missing }
  const kind = present === 0 ? 'none' : present === sort.bool ? 'bool' : present === sort.i32 ? 'i32' : present === sort.string ? 'string' : 'f64'
  return { name, kind, absent }
}

/** Whether each record says for itself whether the column has a value. */
export const hasPresence = ({ kind, absent }: Column): boolean => absent !== 0 && !(kind === 'none' && (absent & (absent - 1)) === 0)

/** Equal iff the shapes are. */
export const shapeText = (shape: Shape): string => JSON.stringify(shapeToData(shape))

const kinds: readonly ColumnKind[] = ['none', 'bool', 'i32', 'f64', 'string', 'any']

/** `[layout, name, kind, absent, name, kind, absent, ...]` with numbers for layout and kind: what goes into frames and snapshots. */
function shapeToData(shape: Shape): (string | number)[] {
  return [shape.layout === 'single' ? 0 : 1, ...shape.columns.flatMap(({ name, kind, absent }) => [name, kinds.indexOf(kind), absent])]
}

export function packShape(out: ByteWriter, shape: Shape): void {
  const data = shapeToData(shape)
  packArrayHeader(out, data.length)
  for (const item of data) {
    if (typeof item === 'string') packString(out, item)
    else packNumber(out, item)
  }
}

/** @throws DecodeError */
export function unpackShape(input: Unpacker): Shape {
  const data = input.read()
  if (!Array.isArray(data) || data.length % 3 !== 1 || (data[0] !== 0 && data[0] !== 1)) throw new DecodeError('not a schema')
  const columns: Column[] = []
  const names = new Set<string>()
  for (let i = 1; i < data.length; i += 3) {
    const [name, kindNumber, absent] = data.slice(i, i + 3) as unknown[]
    const kind = kinds[typeof kindNumber === 'number' ? kindNumber : -1]
    if (typeof name !== 'string' || kind === undefined || typeof absent !== 'number' || (absent & sort.absent) !== absent) throw new DecodeError('not a schema')
    if (names.has(name)) throw new DecodeError(`two columns named ${JSON.stringify(name)}`)
    names.add(name)
    columns.push({ name, kind, absent })
  }
  const single = data[0] === 0
  if (columns.length > maxColumns || (single && columns.length !== 1)) throw new DecodeError(`a schema of ${columns.length} columns`)
  if (single && ((columns[0] as Column).absent & sort.missing) !== 0) throw new DecodeError('a record cannot be missing')
  return { layout: single ? 'single' : 'object', columns }
}
