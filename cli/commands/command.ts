/**
 * What all commands share: the flags that each has, and where results go. Errors are thrown and told in one place (`main.ts`).
 *
 * oclif parses, and its help reads what is static here. Its own `Command` is not extended: that would load all of oclif,
 * 90 ms of every start, and none of it but the parser is used to run a command.
 */
import { resolve } from 'node:path'
import * as Flags from '@oclif/core/flags'
import { parse, type ArgInput, type FlagInput } from '@oclif/core/parser'
import { paintFor, type Paint } from '../output/colour.ts'
import { schemaVersion, toJsonLine } from '../output/json-lines.ts'

interface GlobalFlags {
  readonly project: string | undefined
  readonly json: boolean
  readonly color: boolean
  readonly verbose: boolean
}

export abstract class FlinkCommand {
  static readonly baseFlags = {
    project: Flags.string({ summary: 'Directory of the project; the current one unless given.', env: 'FLINK_TS_PROJECT', helpGroup: 'GLOBAL', helpValue: '<dir>' }),
    json: Flags.boolean({ summary: 'Print results as JSON on standard output.', helpGroup: 'OUTPUT' }),
    color: Flags.boolean({ summary: 'Colour; NO_COLOR and FORCE_COLOR are followed too.', allowNo: true, helpGroup: 'OUTPUT' }),
    verbose: Flags.boolean({ summary: 'Show stacks with errors.', helpGroup: 'OUTPUT' }),
  }

  /** oclif takes for a command what has this. */
  static run(this: new (argv: readonly string[]) => FlinkCommand, argv: readonly string[]): Promise<void> {
    return new this(argv).run()
  }

  readonly argv: readonly string[]

  constructor(argv: readonly string[]) {
    this.argv = argv
  }

  abstract run(): Promise<void>

  /** Called with the class itself, which names its flags and arguments. */
  protected async parse<F extends object = object, A extends object = object>(
    command: { readonly flags?: FlagInput<F>; readonly args?: ArgInput<A> }, argv = this.argv,
  ): Promise<{ readonly flags: F & GlobalFlags; readonly args: A }> {
    // oclif takes what is on standard input for an argument that is not given, and waits 10 ms for it: that is the user's own data.
    const given = Object.fromEntries(Object.entries<ArgInput[string]>(command.args ?? {}).map(([name, arg]) => [name, { ...arg, ignoreStdin: true }]))
    const { flags, args } = await parse([...argv], { flags: { ...FlinkCommand.baseFlags, ...command.flags }, args: given })
    // The parser gives what the definitions promise; its own types lose it where flags are put together.
    return { flags: flags as F & GlobalFlags, args: args as A }
  }

  protected projectDirectory(flags: { readonly project?: string | undefined }): string {
    return resolve(flags.project ?? '.')
  }

  /** The result of a command: for people as text, for programs as one JSON object on one line. */
  protected print(flags: { readonly json: boolean }, result: Readonly<Record<string, unknown>>, text: (paint: Paint) => string): void {
    process.stdout.write(flags.json ? `${toJsonLine({ schemaVersion, ...result })}\n` : `${text(paintFor(process.stdout))}\n`)
  }
}
