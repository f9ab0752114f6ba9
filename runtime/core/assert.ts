/**
 * Assertions guard what must be true if our own code is right. They stay on in production: a violated invariant stops
 * the component (fail stop), it is never continued on doubtful data. What a person may get wrong is an error with a
 * code (`errors.ts`), not an assertion.
 */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure'
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(`flink-ts bug: ${message}`)
}

/** Ends a `switch` over a union: a new `kind` breaks the build where it must be handled. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`flink-ts bug: unhandled case ${(value as { kind?: string } | undefined)?.kind ?? JSON.stringify(value)}`)
}
