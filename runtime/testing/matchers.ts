/**
 * `toBeConsistent()` for whichever vitest the test runs in. Vitest is not imported, so that the kit works without it: its
 * `expect` is found where vitest puts it for extensions, or in the globals. Without either there is no matcher.
 */
// Only for its types: an augmentation needs a module that the compiler has seen.
import type {} from 'vitest'
import type { ThreeWays } from './run-three-ways.ts'

declare module 'vitest' {
  // Vitest's own type parameters, by name; the second one is not needed here.
  interface Matchers<R extends void | Promise<void>, T> {
    /** What `runThreeWays` gave is the same in all three ways. */
    toBeConsistent(): R
  }
}

interface Expect {
  extend(matchers: Record<string, (received: ThreeWays) => { readonly pass: boolean; message(): string; readonly actual?: unknown; readonly expected?: unknown }>): void
}

const globals = globalThis as { readonly expect?: Expect; readonly [name: symbol]: Expect | undefined }
const expect = globals[Symbol.for('expect-global')] ?? globals.expect

expect?.extend({
  toBeConsistent({ differences }) {
    return {
      pass: differences.length === 0,
      message: () => (differences.length === 0 ? 'the three ways are the same' : differences.map(({ way, output }) => `${way}: "${output}" is not what it is in the straight run`).join('\n')),
      actual: differences,
      expected: [],
    }
  },
})
