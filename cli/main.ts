/**
 * The entry of the CLI (`bin/flink-ts.js` calls `main`). The version and the first page are answered before oclif is even
 * loaded; oclif then parses.
 */
import { packageManifest } from './bundle/installation.ts'
import { commandNames, isCommandName, type CommandName } from './commands/names.ts'
import { beforeJobArguments, UnknownCommand, withFrame } from './frame.ts'

export function main(argv: readonly string[]): Promise<void> {
  return withFrame(argv, () => {
    const [first] = argv
    if (first === '--version' || first === '-v' || first === 'version') process.stdout.write(`flink-ts ${packageManifest().version} (node ${process.version}, ${process.platform}-${process.arch})\n`)
    else if (first === undefined) process.stdout.write(firstPage)
    else return runCommand(argv)
  })
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
  if (!helpWanted || !name.startsWith('-')) throw new UnknownCommand(name, commandNames)
  return (await import('./help.ts')).showHelp()
}

async function load(name: CommandName): Promise<{ run(argv: readonly string[]): Promise<void> }> {
  const { commands } = await import('./commands.ts')
  return commands[name]
}
