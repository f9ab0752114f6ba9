/**
 * The property names of objects that are read. They repeat endlessly, so the reader walks a trie that guesses each next name
 * and compares it with the bytes, without making a string of them. A set of names that is read often gets a generated
 * literal: its objects share one hidden class.
 */
import type { ByteReader } from './bytes.ts'
import { canGenerate, propertyText } from './code-generation.ts'

interface Source {
  read(): unknown
}

/** One sequence of names, reached by reading them one after another. */
export class ObjectNames {
  readonly names: readonly string[]
  #next: Map<string, ObjectNames> | undefined
  #guessedName = ''
  #guess: ObjectNames | undefined
  #uses = 0
  #make: ((source: Source) => Record<string, unknown>) | undefined

  constructor(names: readonly string[]) {
    this.names = names
  }

  /** Reads one more name. */
  then(input: ByteReader): ObjectNames {
    const guess = this.#guess
    if (guess !== undefined && input.skipAscii(this.#guessedName)) return guess
    return this.with(input.string())
  }

  /** Reads the values: with the generated literal once it is worth it, undefined until then. */
  make(source: Source): Record<string, unknown> | undefined {
    if (this.#make !== undefined) return this.#make(source)
    if (++this.#uses < usesBeforeGenerating || !canGenerate || this.names.length > maxGeneratedNames) return undefined
    const properties = this.names.map(name => propertyText(name, 'source.read()'))
    this.#make = new Function('source', `'use strict'\nreturn { ${properties.join(', ')} }`) as (source: Source) => Record<string, unknown>
    return this.#make(source)
  }

  /** One more name. */
  with(name: string): ObjectNames {
    this.#next ??= new Map()
    let node = this.#next.get(name)
    if (node === undefined) {
      // A trie of dynamic names would grow for ever: when it is full it is dropped and grows again.
      if (++nodes > maxNodes) {
        nodes = 1
        root = new ObjectNames([])
      }
      node = new ObjectNames([...this.names, name])
      this.#next.set(name, node)
    }
    // Only ASCII is compared with the bytes as it is: the two characters Ã¼ are the bytes of ü.
    if (name.length < 64 && !/[^\0-\x7f]/.test(name)) {
      this.#guess = node
      this.#guessedName = name
    }
    return node
  }
}

const usesBeforeGenerating = 32
const maxGeneratedNames = 64
const maxNodes = 4096
let nodes = 1
let root = new ObjectNames([])

/** Where every object begins. */
export const noNames = (): ObjectNames => root
