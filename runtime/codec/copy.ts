/**
 * Deep copies of records, for the law that what state holds never travels: a stateful operator hands over a copy. Almost
 * all of them are flat objects of one shape, so a copier writes itself a function for the shape that it sees.
 */
import { maxValueDepth, isBufferPrototype, typedArrayIndex } from './kinds.ts'
import { canGenerate, notPlainText, propertyText } from './code-generation.ts'
import { nodeBuffer, text as textCodec } from './text.ts'
import { unsupportedSignal, unsupportedValue } from './unsupported.ts'
import { define, refuseHidden } from './plain-object.ts'

export type Copier = (value: unknown) => unknown

export interface CopierOptions {
  /** Root of the path in an error; `record` if left out. */
  readonly what?: string
  /** Copies text too, out of the batch whose memory it may share: for values that go into state. */
  readonly ownText?: boolean
}

/**
 * A deep copy of any supported value. Objects that occur in two places are copied twice.
 *
 * @throws FlinkError `UNSUPPORTED_VALUE`
 */
export function copyValue(value: unknown, what: string): unknown {
  return guarded(value, what, keepText)
}

/**
 * A copier for one place in a job: it adapts to the shape of the objects that it is given. Keep it; it is not for many shapes
 * at once, though it copies them all.
 *
 * @example
 * const copy = createCopier()
 * output.emit(copy(accumulator), timestamp)
 */
export function createCopier({ what = 'record', ownText: owned = false }: CopierOptions = {}): Copier {
  const place = new Place(owned ? ownText : keepText, 0)
  return value => {
    try {
      return place.copy(value)
    } catch (error) {
      throw error === unsupportedSignal ? unsupportedValue(value, what) : error
    }
  }
}

/** After so many shapes in one place it is clear that there is no one shape: objects are copied without generated code. */
const maxShapesPerPlace = 8
const maxNames = 64
/** Values that lie deeper are copied without a place of their own. */
const deepestPlace = 6

/** Where values of one kind come along: a record, a property of it, the items of an array. */
class Place {
  readonly #textOf: (text: string) => string
  readonly #depth: number
  #copyKnown: ((value: object) => unknown) | undefined
  #shapesLeft = canGenerate ? maxShapesPerPlace : 0
  #items: Place | undefined

  constructor(textOf: (text: string) => string, depth: number) {
    this.#textOf = textOf
    this.#depth = depth
  }

  /** @throws UnsupportedSignal */
  copy(value: unknown): unknown {
    switch (typeof value) {
      case 'object': {
        if (value === null) return null
        const copied = this.#copyKnown?.(value)
        return copied === undefined ? this.#copyUnknown(value) : copied
      }
      case 'string':
        return this.#textOf(value)
      case 'function':
      case 'symbol':
        throw unsupportedSignal
      default:
        return value
    }
  }

  #copyUnknown(value: object): unknown {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Array.prototype && Array.isArray(value) && this.#depth < deepestPlace) return this.#copyArray(value)
    if (prototype === Object.prototype && this.#shapesLeft > 0 && this.#depth < deepestPlace) {
      const names = Object.keys(value)
      if (names.length <= maxNames) {
        this.#shapesLeft--
        this.#copyKnown = generateCopy(value as Record<string, unknown>, names, this.#textOf, this.#depth + 1)
      }
    }
    return copyOf(value, [], this.#textOf, this.#depth)
  }

  #copyArray(items: readonly unknown[]): unknown[] {
    refuseMatch(items)
    const place = (this.#items ??= new Place(this.#textOf, this.#depth + 1))
    const copy: unknown[] = []
    for (let i = 0; i < items.length; i++) {
      const item = items[i]
      if (item === undefined) refuseHole(items, i)
      copy.push(place.copy(item))
    }
    return copy
  }
}

/**
 * A function that copies an object with exactly these properties, and says undefined to any other. What `sample` holds decides
 * what is looked for first, nothing else. Only names go into the text.
 */
function generateCopy(sample: Readonly<Record<string, unknown>>, names: readonly string[], textOf: (text: string) => string, depth: number): (value: object) => unknown {
  const places = names.map(() => new Place(textOf, depth))
  const lines = names.map((name, i) => `const v${i} = r[${JSON.stringify(name)}], p${i} = places[${i}]`)
  const properties = names.map((name, i) => {
    const type = typeof sample[name]
    const v = `v${i}`
    const deep = `p${i}.copy(${v})`
    const asIs = type === 'number' || type === 'boolean' || (type === 'string' && textOf === keepText)
    return propertyText(name, asIs ? `typeof ${v} === '${type}' ? ${v} : ${deep}` : type === 'string' ? `typeof ${v} === 'string' ? textOf(${v}) : ${deep}` : deep)
  })
  const body = `'use strict'
return function copy(r) {
if (${notPlainText(names)}) return undefined
let k = 0
for (const name in r) if (name !== names[k++]) return undefined
if (k !== ${names.length}) return undefined
${lines.join('\n')}
return { ${properties.join(',\n')} }
}`
  return new Function('names', 'prototypeOf', 'objectPrototype', 'places', 'textOf', body)(names, Object.getPrototypeOf, Object.prototype, places, textOf) as (value: object) => unknown
}

function guarded(value: unknown, what: string, textOf: (text: string) => string): unknown {
  try {
    return copyOf(value, [], textOf, 0)
  } catch (error) {
    throw error === unsupportedSignal ? unsupportedValue(value, what) : error
  }
}

const keepText = (text: string) => text

/** `above`: how deep the first of the ancestors lies. */
function copyOf(value: unknown, ancestors: object[], textOf: (text: string) => string, above: number): unknown {
  switch (typeof value) {
    case 'string':
      return textOf(value)
    case 'object':
      break
    case 'function':
    case 'symbol':
      throw unsupportedSignal
    default:
      return value
  }
  if (value === null) return null
  if (above + ancestors.length >= maxValueDepth || ancestors.includes(value)) throw unsupportedSignal
  ancestors.push(value)
  const copied = copyObject(value, ancestors, textOf, above)
  ancestors.pop()
  return copied
}

function copyObject(value: object, ancestors: object[], textOf: (text: string) => string, above: number): unknown {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) {
    const names = Object.keys(value)
    if (ancestors.length === 1) refuseHidden(value, names)
    const copy = (prototype === null ? Object.create(null) : {}) as Record<string, unknown>
    for (const name of names) define(copy, name, copyOf((value as Record<string, unknown>)[name], ancestors, textOf, above))
    return copy
  }
  if (prototype === Array.prototype && Array.isArray(value)) {
    const items = value as unknown[]
    refuseMatch(items)
    const copy: unknown[] = []
    for (let i = 0; i < items.length; i++) {
      if (items[i] === undefined) refuseHole(items, i)
      copy.push(copyOf(items[i], ancestors, textOf, above))
    }
    return copy
  }
  if (prototype === Map.prototype && value instanceof Map) {
    const copy = new Map<unknown, unknown>()
    for (const [key, item] of value as Map<unknown, unknown>) copy.set(copyOf(key, ancestors, textOf, above), copyOf(item, ancestors, textOf, above))
    return copy
  }
  if (prototype === Set.prototype && value instanceof Set) {
    const copy = new Set<unknown>()
    for (const item of value) copy.add(copyOf(item, ancestors, textOf, above))
    return copy
  }
  if (prototype === Date.prototype && value instanceof Date) return new Date(value.getTime())
  if (prototype === ArrayBuffer.prototype && value instanceof ArrayBuffer && !value.resizable && !value.detached) return value.slice(0)
  if (ArrayBuffer.isView(value)) {
    if (typedArrayIndex(prototype) >= 0) return (value as Uint8Array).slice()
    if (nodeBuffer !== undefined && isBufferPrototype(prototype)) {
      const { buffer } = new Uint8Array(value as Uint8Array)
      return nodeBuffer.from(buffer, 0, buffer.byteLength)
    }
  }
  throw unsupportedSignal
}

/** What `match` returns, the one array with extra properties that people have in hand. */
function refuseMatch(items: readonly unknown[]): void {
  if ((items as { index?: unknown }).index !== undefined) throw unsupportedSignal
}

function refuseHole(items: readonly unknown[], i: number): void {
  if (!Object.hasOwn(items, i)) throw unsupportedSignal
}

const textScratch = new Uint8Array(4096)

/**
 * The same text with memory of its own. Text that was decoded is cut from its batch: 20 characters that are kept keep 10 KiB
 * alive. V8 copies what is shorter than 13 anyway.
 */
export function ownText(text: string): string {
  const { length } = text
  if (length < 13) return text
  const scratch = length * 3 <= textScratch.length ? textScratch : new Uint8Array(length * 3)
  if (textCodec.writeUtf8(scratch, text, 0) === length) return textCodec.readAscii(scratch, 0, length)
  return textCodec.readUcs2(scratch, 0, textCodec.writeUcs2(scratch, text, 0))
}
