/**
 * What went wrong first in a chain. `collect` may throw what went wrong behind it, and user code that expects errors of its
 * own around it (`try { out.collect(JSON.parse(line)) } catch {}`) would go on as if nothing had happened, while the batch
 * that was on its way is lost. So the first failure is kept, and the chain fails with it when user code has returned.
 */
export class FirstFailure {
  #error: unknown

  /** Gives the one to throw. */
  keep(error: unknown): unknown {
    return (this.#error ??= error)
  }

  /** Throws what was kept. */
  check(): void {
    if (this.#error !== undefined) throw this.#error
  }
}
