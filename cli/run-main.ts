/**
 * The entry of `flink-ts run`, which is waited for with every change of a job: all that it needs is one file (see
 * `scripts/build.mjs`), while the other commands share theirs.
 */
import { Run } from './commands/run.ts'
import { withFrame } from './frame.ts'

export function main(argv: readonly string[]): Promise<void> {
  return withFrame(argv, () => Run.run(argv.slice(1)))
}
