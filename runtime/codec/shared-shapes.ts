/** The names of objects in many documents, so that none of them has to hold any: small documents are a third as large. */
import { noNames, type ObjectNames } from './object-names.ts'

/** It only grows, up to `maxShapes`. What is written with it can be read with it, or with another that was made of its `names`. */
export class SharedShapes {
  readonly names: (readonly string[])[] = []
  readonly read: ObjectNames[] = []

  constructor(names: readonly (readonly string[])[] = []) {
    for (const each of names) this.add(each)
  }

  add(names: readonly string[]): number {
    let read = noNames()
    for (const name of names) read = read.with(name)
    this.read.push(read)
    return this.names.push(names) - 1
  }
}
