/**
 * How the objects of one sequence of names are written: their properties are read one after another by generated code, which
 * knows where they lie, and not by their names. Sequences repeat endlessly; those that are used often get such code.
 */
import { canGenerate } from './code-generation.ts'
import type { PlainObject } from './plain-object.ts'

/** What the code calls. */
interface Target {
  beginShaped(shape: number): void
  write(value: unknown): void
  number(value: number): void
  string(value: string): void
}

/** Writes a plain object as one of `shape` if it has exactly those names, in that order; false, and nothing is written, if not. */
export type ObjectWriter = (writer: Target, value: PlainObject, shape: number) => boolean

const usesBeforeGenerating = 32
const maxGeneratedNames = 64
const maxKept = 1024
let kept = new Map<string, ObjectWriter>()
const never: ObjectWriter = () => false

export function objectWriter(names: readonly string[]): ObjectWriter {
  if (!canGenerate || names.length > maxGeneratedNames) return never
  const key = JSON.stringify(names)
  let writer = kept.get(key)
  if (writer === undefined) {
    // Names that never come again would fill it for ever: when it is full it is emptied and fills again.
    if (kept.size >= maxKept) kept = new Map()
    kept.set(key, (writer = generatedWhenUsed(names)))
  }
  return writer
}

function generatedWhenUsed(names: readonly string[]): ObjectWriter {
  let uses = 0
  let write: ObjectWriter | undefined
  return (writer, value, shape) => {
    if (write !== undefined) return write(writer, value, shape)
    if (++uses >= usesBeforeGenerating) write = generate(names, value)
    return false
  }
}

/** What `sample` holds decides what is looked for first, nothing else. */
function generate(names: readonly string[], sample: PlainObject): ObjectWriter {
  const lines = names.map((name, i) => {
    const type = typeof sample[name]
    const v = `v${i}`
    const first = type === 'number' || type === 'string' ? `if (typeof ${v} === '${type}') writer.${type}(${v}); else ` : ''
    return `const ${v} = r[${JSON.stringify(name)}]; ${first}writer.write(${v})`
  })
  const body = `'use strict'
return function writeObject(writer, r, shape) {
let k = 0
for (const name in r) if (name !== names[k++]) return false
if (k !== ${names.length}) return false
writer.beginShaped(shape)
${lines.join('\n')}
return true
}`
  return new Function('names', body)(names) as ObjectWriter
}
