/**
 * What the records of a stream look like: one column for values that are not objects, or a column per field. A shape only
 * ever widens. Each column remembers which sorts of values it has seen as bits; its kind follows from them, so widening is
 * `or`, and two histories that saw the same values agree.
 *
 * Arrays are a column of lists where their items, all of the column taken together, have a shape without values of any kind: a
 * list of bids is the columns of a bid. Nobody has to look for cycles in such a column, and its shape bounds how deep it goes.
 */
import { DecodeError, type ByteWriter } from './bytes.ts'
import { ItemBudget, tooManyItems } from './item-budget.ts'
import { packArrayHeader, packNumber, packString, type Unpacker } from './msgpack.ts'
import { seenSort, sort } from './sorts.ts'

export type ColumnKind = 'none' | 'bool' | 'i32' | 'f64' | 'string' | 'any' | 'list'

export interface Column {
  /** Empty for the only column of a single shape. */
  readonly name: string
  readonly kind: ColumnKind
  /** Which of missing, undefined and null occur (bits of `sort`); if there are any and it is not all of one, each record has two bits that say which. */
  readonly absent: number
  /** Of a list, what all items of all its arrays look like. */
  readonly items?: Shape
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
/** Lists in lists in records: deeper ones are values. */
const deepestList = 2

export const anyShape: Shape = { layout: 'single', columns: [{ name: '', kind: 'any', absent: 0 }] }

/** A shape in the making: takes in values, and says which shape holds all of them. */
export class ShapeInference {
  /** undefined: nothing seen; null: objects cannot be columns. */
  #names: string[] | null | undefined
  #seen: Seen[] = []
  /** The values that are not objects. */
  readonly #single: Seen
  #objects = 0
  /** How many lists it lies in. */
  readonly #depth: number
  /** There is a column of values of any kind, and more values change nothing of that. */
  #isAny = false

  readonly #budget: ItemBudget

  constructor(depth = 0, budget = new ItemBudget()) {
    this.#depth = depth
    this.#budget = budget
    this.#single = { sorts: 0, items: undefined }
  }

  /** Takes in a batch or page. @throws TooManyItems; what was seen by then is taken in */
  addAll(values: readonly unknown[], count: number): void {
    this.#budget.begin()
    for (let i = 0; i < count; i++) {
      this.#add(values[i])
      // Only now: a record that was seen in part would make the fields behind its list ones that may be missing.
      if (!this.#budget.take(0)) throw tooManyItems
    }
  }

  #add(value: unknown): void {
    if (this.#names !== null && isRecord(value)) this.#addObject(value)
    else this.#see(this.#single, value)
    if (this.#names === null || (this.#objects > 0 && this.#single.sorts !== 0)) this.#isAny = true
  }

  #see(seen: Seen, value: unknown): void {
    if (typeof value === 'object' && value !== null && Array.isArray(value) && this.#depth < deepestList && Object.getPrototypeOf(value) === Array.prototype) this.#seeItems(seen, value)
    else seen.sorts |= seenSort(value)
    if (isAnySorts(seen.sorts)) this.#isAny = true
  }

  #seeItems(seen: Seen, list: readonly unknown[]): void {
    seen.sorts |= sort.list
    if (isAnySorts(seen.sorts)) return
    const items = (seen.items ??= new ShapeInference(this.#depth + 1, this.#budget))
    for (let i = 0; i < list.length && !items.#isAny; i++) {
      if (!this.#budget.take(1)) return
      items.#add(list[i])
    }
    if (items.#isAny) seen.sorts |= sort.other
  }

  shape(): Shape {
    if (this.#objects === 0 || this.#names === undefined) return { layout: 'single', columns: [columnOf('', this.#single)] }
    if (this.#names === null || this.#single.sorts !== 0 || !this.#names.every(name => name.isWellFormed())) return anyShape
    let columns = this.#names.map((name, i) => columnOf(name, this.#seen[i] as Seen))
    if (columnCount(columns) > maxColumns) columns = columns.map(column => (column.kind === 'list' ? { name: column.name, kind: 'any', absent: column.absent & sort.missing } : column))
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
          this.#seen.splice(at, 0, { sorts: before, items: undefined })
        } else if (found < at) {
          // The same fields in another order: no order of columns gives back both.
          this.#names = null
          return
        } else {
          for (; at < found; at++) (this.#seen[at] as Seen).sorts |= sort.missing
        }
      }
      this.#see(this.#seen[at] as Seen, value[key])
      at++
    }
    for (; at < names.length; at++) (this.#seen[at] as Seen).sorts |= sort.missing
    if (names.length > maxColumns) this.#names = null
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

/** What was seen of a column. */
interface Seen {
  sorts: number
  /** Items of arrays. */
  items: ShapeInference | undefined
}

/** Those of lists' items included. */
function columnCount(columns: readonly Column[]): number {
  return columns.reduce((count, { items }) => count + (items === undefined ? 1 : 1 + columnCount(items.columns)), 0)
}

/** Whether only a column of values of any kind has room for all of these. */
function isAnySorts(sorts: number): boolean {
  const present = sorts & ~sort.absent
  return (present & sort.other) !== 0 || ((present & (present - 1)) !== 0 && present !== (sort.i32 | sort.f64))
}

function columnOf(name: string, { sorts, items }: Seen): Column {
  const absent = sorts & sort.absent
  const present = sorts & ~sort.absent
  const shape = present === sort.list ? items?.shape() : undefined
  // Values in an `any` column say themselves whether they are null or undefined.
  if (isAnySorts(sorts) || shape?.columns.some(column => column.kind === 'any') === true) return { name, kind: 'any', absent: absent & sort.missing }
  if (shape !== undefined) return { name, kind: 'list', absent, items: shape }
  const kind = present === 0 ? 'none' : present === sort.bool ? 'bool' : present === sort.i32 ? 'i32' : present === sort.string ? 'string' : 'f64'
  return { name, kind, absent }
}

/** Whether each record says for itself whether the column has a value. */
export const hasPresence = ({ kind, absent }: Column): boolean => absent !== 0 && !(kind === 'none' && (absent & (absent - 1)) === 0)

/** Equal iff the shapes are. */
export const shapeText = (shape: Shape): string => JSON.stringify(shapeToData(shape))

const kinds: readonly ColumnKind[] = ['none', 'bool', 'i32', 'f64', 'string', 'any']

type ShapeData = readonly (string | number | ShapeData)[]

/**
 * `[layout, name, kind, absent, name, kind, absent, ...]` with numbers for layout and kind, and in place of the kind of lists the shape of
 * their items, likewise: what goes into frames and snapshots.
 */
function shapeToData({ layout, columns }: Shape): ShapeData {
  return [layout === 'single' ? 0 : 1, ...columns.flatMap(({ name, kind, absent, items }) => [name, items === undefined ? kinds.indexOf(kind) : shapeToData(items), absent])]
}

export function packShape(out: ByteWriter, shape: Shape): void {
  packShapeData(out, shapeToData(shape))
}

function packShapeData(out: ByteWriter, data: ShapeData): void {
  packArrayHeader(out, data.length)
  for (const item of data) {
    if (typeof item === 'string') packString(out, item)
    else if (typeof item === 'number') packNumber(out, item)
    else packShapeData(out, item)
  }
}

/** What is read of two shapes and a few numbers beside them. */
export const shapeLimits = { depth: 4, elements: 2048 } as const

/** @throws DecodeError */
export function unpackShape(input: Unpacker): Shape {
  return shapeFromData(input.read(), 0)
}

function shapeFromData(data: unknown, depth: number): Shape {
  if (!Array.isArray(data) || data.length % 3 !== 1 || (data[0] !== 0 && data[0] !== 1)) throw new DecodeError('not a schema')
  const columns: Column[] = []
  const names = new Set<string>()
  for (let i = 1; i < data.length; i += 3) {
    const [name, kindOrItems, absent] = data.slice(i, i + 3) as unknown[]
    const items = Array.isArray(kindOrItems) && depth < deepestList ? shapeFromData(kindOrItems, depth + 1) : undefined
    const kind = items !== undefined ? 'list' : kinds[typeof kindOrItems === 'number' ? kindOrItems : -1]
    if (typeof name !== 'string' || kind === undefined || typeof absent !== 'number' || (absent & sort.absent) !== absent) throw new DecodeError('not a schema')
    if (names.has(name)) throw new DecodeError(`two columns named ${JSON.stringify(name)}`)
    names.add(name)
    columns.push(items === undefined ? { name, kind, absent } : { name, kind, absent, items })
  }
  const single = data[0] === 0
  if (depth > 0 && columns.some(column => column.kind === 'any')) throw new DecodeError('a schema of lists with values of any kind')
  if (columns.length > maxColumns || (single && columns.length !== 1)) throw new DecodeError(`a schema of ${columns.length} columns`)
  if (single && ((columns[0] as Column).absent & sort.missing) !== 0) throw new DecodeError('a record cannot be missing')
  return { layout: single ? 'single' : 'object', columns }
}
