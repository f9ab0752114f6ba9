/**
 * What a window holds per key, and how an element gets in. `reduce` and `aggregate` hold one accumulator; a function that
 * wants all elements gets a list. See `ownership.ts` for what is copied.
 */
import type { WindowFunctionSpec } from '../../graph/transformation.ts'
import { createCopier } from '../../codec/copy.ts'
import { createOwner } from '../ownership.ts'

export interface WindowContents {
  /** The new contents; `held` is undefined for the first element. May change and return `held`. */
  add(held: unknown, value: unknown): unknown
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
        elements: held => held as unknown[],
      }
    }
  }
}
