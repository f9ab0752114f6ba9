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
  const textOf = owned ? ownText : keepText
  const deep = (value: unknown) => copyOf(value, [], textOf)
  let copyKnown: ((value: object) => unknown) | undefined
  let shapesLeft = canGenerate ? maxShapesPerCopier : 0

  const copyUnknown = (value: object): unknown => {
    if (Object.getPrototypeOf(value) === Object.prototype) {
      const names = Object.keys(value)
      if (shapesLeft > 0 && names.length <= maxNames) {
        shapesLeft--
        copyKnown = generateCopy(value as Record<string, unknown>, names, deep, textOf)
      }
    }
    return guarded(value, what, textOf)
  }

  return value => {
    switch (typeof value) {
      case 'object': {
        if (value === null) return null
        if (copyKnown !== undefined) {
          try {
            const copied = copyKnown(value)
            if (copied !== undefined) return copied
          } catch (error) {
            throw error === unsupportedSignal ? unsupportedValue(value, what) : error
          }
        }
        return copyUnknown(value)
      }
      case 'string':
        return textOf(value)
      case 'function':
      case 'symbol':
        throw unsupportedValue(value, what)
      default:
        return value
    }
  }
}

/** After so many shapes it is clear that there is no one shape: objects are copied without generated code. */
const maxShapesPerCopier = 8
const maxNames = 64

/**
 * A function that copies an object with exactly these properties, and says undefined to any other. What `sample` holds decides
 * what is looked for first, nothing else. Only names go into the text.
 */
function generateCopy(sample: Readonly<Record<string, unknown>>, names: readonly string[], deep: Copier, textOf: (text: string) => string): (value: object) => unknown {
  const lines = names.map((name, i) => `const v${i} = r[${JSON.stringify(name)}]`)
  const properties = names.map((name, i) => {
    const type = typeof sample[name]
    const v = `v${i}`
    const asIs = type === 'number' || type === 'boolean' || (type === 'string' && textOf === keepText)
    return propertyText(name, asIs ? `typeof ${v} === '${type}' ? ${v} : deep(${v})` : type === 'string' ? `typeof ${v} === 'string' ? textOf(${v}) : deep(${v})` : `deep(${v})`)
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
  return new Function('names', 'prototypeOf', 'objectPrototype', 'deep', 'textOf', body)(names, Object.getPrototypeOf, Object.prototype, deep, textOf) as (value: object) => unknown
}

function guarded(value: unknown, what: string, textOf: (text: string) => string): unknown {
  try {
    return copyOf(value, [], textOf)
  } catch (error) {
    throw error === unsupportedSignal ? unsupportedValue(value, what) : error
  }
}

const keepText = (text: string) => text

function copyOf(value: unknown, ancestors: object[], textOf: (text: string) => string): unknown {
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
  if (ancestors.length >= maxValueDepth || ancestors.includes(value)) throw unsupportedSignal
  ancestors.push(value)
  const copied = copyObject(value, ancestors, textOf)
  ancestors.pop()
  return copied
}

function copyObject(value: object, ancestors: object[], textOf: (text: string) => string): unknown {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) {
    const names = Object.keys(value)
    if (ancestors.length === 1) refuseHidden(value, names)
    const copy = (prototype === null ? Object.create(null) : {}) as Record<string, unknown>
    for (const name of names) define(copy, name, copyOf((value as Record<string, unknown>)[name], ancestors, textOf))
    return copy
  }
  if (prototype === Array.prototype && Array.isArray(value)) {
    const items = value as unknown[]
    if ((value as { index?: unknown }).index !== undefined) throw unsupportedSignal
    const copy: unknown[] = []
    for (let i = 0; i < items.length; i++) {
      if (items[i] === undefined && !Object.hasOwn(items, i)) throw unsupportedSignal
      copy.push(copyOf(items[i], ancestors, textOf))
    }
    return copy
  }
  if (prototype === Map.prototype && value instanceof Map) {
    const copy = new Map<unknown, unknown>()
    for (const [key, item] of value as Map<unknown, unknown>) copy.set(copyOf(key, ancestors, textOf), copyOf(item, ancestors, textOf))
    return copy
  }
  if (prototype === Set.prototype && value instanceof Set) {
    const copy = new Set<unknown>()
    for (const item of value) copy.add(copyOf(item, ancestors, textOf))
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
