/**
 * What every command line has around its command: where output goes, colour, and one place where whatever went wrong anywhere
 * is told. Which command it is, is up to `main.ts` and `run-main.ts`.
 */
import { exitCodes, FlinkError } from '../runtime/core/errors.ts'
import { didYouMean } from '../runtime/core/did-you-mean.ts'
import { formatCode } from './output/error-code.ts'

/** Runs a command. Sets the exit code; never rejects. */
export async function withFrame(argv: readonly string[], command: () => void | Promise<void>): Promise<void> {
  // A reader that has seen enough (`| head`) is no error.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0)
      // A full disk behind `> file`: nothing more can be told there, and a job whose output is lost must not go on.
      if (stream === process.stdout) process.stderr.write(`error ${formatCode(error.code === 'ENOSPC' ? 'DISK_FULL' : 'STORAGE_FAILED')}: standard output cannot be written: ${error.message}\n`)
      process.exit(exitCodes.environment)
    })
  }
  const own = beforeJobArguments(argv)
  if (own.includes('--no-color')) {
    process.env['NO_COLOR'] = '1'
    delete process.env['FORCE_COLOR']
  } else if (own.includes('--color')) {
    process.env['FORCE_COLOR'] = '1'
    delete process.env['NO_COLOR']
  }
  try {
    await command()
  } catch (error) {
    const { tellError } = await import('./output/tell-error.ts')
    process.exitCode = unknownCommand(error) ? 127 : undefined
    const code = tellError(usageError(error, argv), { json: own.includes('--json'), verbose: own.includes('--verbose'), projectDirectory: projectOf(own) })
    process.exitCode ??= code
  }
}

/** `flink-ts rnu`: one line with the nearest command; it is never run, and nothing is asked. */
export class UnknownCommand extends FlinkError {
  constructor(id: string, known: readonly string[]) {
    const near = didYouMean(id, known)
    super('INVALID_OPTION', `${JSON.stringify(id)} is not a command${near === undefined ? '' : `; did you mean "flink-ts ${near}"?`}`, { hint: 'See `flink-ts --help` for all commands.' })
  }
}
const unknownCommand = (error: unknown) => error instanceof UnknownCommand

/** oclif's complaints about flags and arguments, in our words. */
function usageError(error: unknown, argv: readonly string[]): unknown {
  // What the parser refuses has exit code 2; anything else of oclif is not the user's fault.
  if (error instanceof FlinkError || !(error instanceof Error) || (error as { oclif?: { exit?: number } }).oclif?.exit !== 2) return error
  const command = argv[0]
  const hint = `See \`flink-ts ${command} --help\`.`
  if ('flags' in error && Array.isArray(error.flags)) {
    const flags = error.flags as string[]
    const known = (error as { parse?: { input?: { flags?: object } } }).parse?.input?.flags ?? {}
    const names = Object.keys(known).map(name => `--${name}`)
    const [flag = ''] = flags
    const near = didYouMean(flag.split('=')[0]!, names)
    return new FlinkError('INVALID_OPTION', `${command}: there is no flag ${flag}${near === undefined ? '' : `; did you mean ${near}?`}`, { hint })
  }
  const [message = '', ...detail] = withoutColour(error.message).replace(/\nSee more help with --help$/, '').split('\n')
  return new FlinkError('INVALID_OPTION', `${command}: ${message.trim()}`, { hint, cause: error, ...(detail.length === 0 ? {} : { detail: detail.join('\n').trim() }) })
}

// oxlint-disable-next-line no-control-regex
const withoutColour = (text: string) => text.replaceAll(/\u001b\[[\d;]*m/g, '')

/** What stands after `--` belongs to the job. */
export function beforeJobArguments(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return end === -1 ? argv : argv.slice(0, end)
}

function projectOf(own: readonly string[]): string {
  const i = own.indexOf('--project')
  return (i === -1 ? undefined : own[i + 1]) ?? own.find(word => word.startsWith('--project='))?.slice('--project='.length) ?? process.env['FLINK_TS_PROJECT'] ?? process.cwd()
}
