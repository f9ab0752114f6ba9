/**
 * The entry of the CLI (`bin/flink-ts.js` calls `main`). The version and the first page are answered before oclif is even
 * loaded; oclif then parses, and whatever goes wrong anywhere comes back here to be told once.
 */
import { exitCodes, FlinkError } from '../runtime/core/errors.ts'
import { packageManifest } from './bundle/installation.ts'
import { commandNames, isCommandName, type CommandName } from './commands/names.ts'
import { formatCode } from './output/error-code.ts'
import { didYouMean } from '../runtime/core/did-you-mean.ts'

export async function main(argv: readonly string[]): Promise<void> {
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
    const [first] = argv
    if (first === '--version' || first === '-v' || first === 'version') process.stdout.write(`flink-ts ${packageManifest().version} (node ${process.version}, ${process.platform}-${process.arch})\n`)
    else if (first === undefined) process.stdout.write(firstPage)
    else await runCommand(argv)
  } catch (error) {
    const { tellError } = await import('./output/tell-error.ts')
    process.exitCode = unknownCommand(error) ? 127 : undefined
    const code = tellError(usageError(error, argv), { json: own.includes('--json'), verbose: own.includes('--verbose'), projectDirectory: projectOf(own) })
    process.exitCode ??= code
  }
}

/** What a newcomer needs; `--help` has the rest. */
const firstPage = `flink-ts: stateful, event-time, exactly-once streaming jobs in TypeScript

  flink-ts new my-job       make a project
  flink-ts run              run its job on a cluster of this machine, live in the terminal
  flink-ts list             what runs
  flink-ts savepoint <job>  a consistent snapshot of a job
  flink-ts stop <job>       snapshot, then stop

  flink-ts --help           all commands        flink-ts help run   one of them
`

async function runCommand(argv: readonly string[]): Promise<void> {
  const [name = '', ...rest] = argv
  const helpWanted = beforeJobArguments(argv).some(word => word === '--help' || word === '-h')
  if (isCommandName(name)) return helpWanted ? (await import('./help.ts')).showHelp(name) : (await load(name)).run(rest)
  if (!helpWanted || !name.startsWith('-')) throw new UnknownCommand(name)
  return (await import('./help.ts')).showHelp()
}

/** `run` is waited for with every keystroke that comes to it, so it alone is loaded apart from the others. */
async function load(name: CommandName): Promise<{ run(argv: readonly string[]): Promise<void> }> {
  if (name === 'run') return (await import('./commands/run.ts')).Run
  const { commands } = await import('./commands.ts')
  return commands[name]
}

/** `flink-ts rnu`: one line with the nearest command; it is never run, and nothing is asked. */
class UnknownCommand extends FlinkError {
  constructor(id: string) {
    const near = didYouMean(id, commandNames)
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
function beforeJobArguments(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return end === -1 ? argv : argv.slice(0, end)
}

function projectOf(own: readonly string[]): string {
  const i = own.indexOf('--project')
  return (i === -1 ? undefined : own[i + 1]) ?? own.find(word => word.startsWith('--project='))?.slice('--project='.length) ?? process.env['FLINK_TS_PROJECT'] ?? process.cwd()
}
