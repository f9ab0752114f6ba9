/**
 * What all commands share: the flags that each has, where results go, and how a mistake in flags is told. oclif wants a
 * class to extend; this is the only one. Errors are thrown and told in one place (`main.ts`).
 */
import { resolve } from 'node:path'
import { Command, Flags } from '@oclif/core'
import { paintFor, type Paint } from '../output/colour.ts'
import { schemaVersion, toJsonLine } from '../output/json-lines.ts'

export abstract class FlinkCommand extends Command {
  static override baseFlags = {
    project: Flags.string({ summary: 'Directory of the project; the current one unless given.', env: 'FLINK_TS_PROJECT', helpGroup: 'GLOBAL', helpValue: '<dir>' }),
    json: Flags.boolean({ summary: 'Print results as JSON on standard output.', helpGroup: 'OUTPUT' }),
    color: Flags.boolean({ summary: 'Colour; NO_COLOR and FORCE_COLOR are followed too.', allowNo: true, helpGroup: 'OUTPUT' }),
    verbose: Flags.boolean({ summary: 'Show stacks with errors.', helpGroup: 'OUTPUT' }),
  }

  protected projectDirectory(flags: { readonly project?: string | undefined }): string {
    return resolve(flags.project ?? '.')
  }

  /** The result of a command: for people as text, for programs as one JSON object on one line. */
  protected print(flags: { readonly json: boolean }, result: Readonly<Record<string, unknown>>, text: (paint: Paint) => string): void {
    process.stdout.write(flags.json ? `${toJsonLine({ schemaVersion, ...result })}\n` : `${text(paintFor(process.stdout))}\n`)
  }

  /** oclif would print the error and the exit code would be its own; here everything is left to `main.ts`. */
  protected override catch(error: Error): Promise<never> {
    return Promise.reject(error)
  }
}
