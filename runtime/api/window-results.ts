/** How the one result of a window is shaped before it is emitted: three forms for the user, one for the runtime. */
import type { ProcessWindowFunction, WindowContext } from './functions.ts'
import { functionOption } from './refuse.ts'

/** A function of the result, the key and the window; or a `ProcessWindowFunction`, which may emit any number of records. */
export type WindowResultFunction<K, R, O> = ((result: R, ctx: WindowContext<K>) => O) | ProcessWindowFunction<K, R, O>

/** Every form of a result function as the one that the runtime calls with a single element. */
export function windowResult<K, R, O>(result: WindowResultFunction<K, R, O> | undefined): ProcessWindowFunction<unknown, unknown, unknown> {
  if (result === undefined) return passOn
  if (typeof result === 'object') {
    functionOption(result?.process, 'the result of a window')
    return result as ProcessWindowFunction<unknown, unknown, unknown>
  }
  functionOption(result, 'the result of a window')
  // Below the API values are unknown: only the compiler knew their types.
  const shape = result as (value: unknown, ctx: WindowContext<unknown>) => unknown
  return {
    process(elements, ctx, out) {
      for (const element of elements) out.collect(shape(element, ctx))
    },
  }
}

const passOn: ProcessWindowFunction<unknown, unknown, unknown> = {
  process(elements, _ctx, out) {
    for (const element of elements) out.collect(element)
  },
}
