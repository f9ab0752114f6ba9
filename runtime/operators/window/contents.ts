/**
 * What a window holds per key, and how an element gets in. `reduce` and `aggregate` hold one accumulator; a function that
 * wants all elements gets a list. See `ownership.ts` for what is copied.
 */
import type { WindowFunctionSpec } from '../../graph/transformation.ts'
import { createCopier } from '../../codec/copy.ts'
import { assert } from '../../core/assert.ts'
import { createOwner } from '../ownership.ts'

export interface WindowContents {
  /** The new contents; `held` is undefined for the first element. May change and return `held`. */
  add(held: unknown, value: unknown): unknown
  /** The new contents where `other` is an accumulator from elsewhere; it is given up. Only of an aggregate that merges. */
  merge(held: unknown, other: unknown): unknown
  /** What the window function gets. */
  elements(held: unknown): Iterable<unknown>
}

export function windowContents(spec: WindowFunctionSpec, copies: boolean): WindowContents {
  switch (spec.kind) {
    case 'reduce': {
      const { reduce } = spec
      const own = createOwner()
      return {
        add(held, value) {
          const result = held === undefined ? value : reduce(held, value)
          if (result === undefined) throw new TypeError('the function returned undefined')
          // An accumulator that was changed in place is state's own already.
          return result === held || !copies ? result : own(result, held)
        },
        merge: refuseMerge,
        elements: held => [held],
      }
    }
    case 'aggregate': {
      const { aggregate } = spec
      const own = createOwner()
      return {
        add(held, value) {
          const accumulator = aggregate.add(value, held === undefined ? aggregate.createAccumulator() : held)
          if (accumulator === undefined) throw new TypeError('add of the aggregate function returned undefined')
          // The accumulator may only be the element itself if `add` returns that.
          return accumulator === value && copies ? own(accumulator, held) : accumulator
        },
        merge(held, other) {
          const merged = held === undefined ? other : aggregate.merge?.(held, other)
          if (merged === undefined) throw new TypeError('merge of the aggregate function returned undefined')
          // Numbers hold no text of a batch.
          return merged === held || aggregate.numbers !== undefined ? merged : own(merged, held)
        },
        elements: held => [aggregate.getResult(held)],
      }
    }
    case 'process': {
      const own = createCopier({ what: 'state', ownText: true })
      return {
        add(held, value) {
          const list = held === undefined ? [] : (held as unknown[])
          list.push(copies ? own(value) : value)
          return list
        },
        merge: refuseMerge,
        elements: held => held as unknown[],
      }
    }
  }
}

function refuseMerge(): never {
  assert(false, 'contents that do not merge')
}
