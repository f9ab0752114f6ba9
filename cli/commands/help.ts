import * as Args from '@oclif/core/args'
import { FlinkError } from '../../runtime/core/errors.ts'
import { didYouMean } from '../../runtime/core/did-you-mean.ts'
import { commandNames, isCommandName } from './names.ts'
import { FlinkCommand } from './command.ts'

/** Pages that belong to no command. */
const topics: Readonly<Record<string, () => Promise<string>>> = {
  'exit-codes': async () => (await import('../output/exit-codes.ts')).exitCodesPage(),
  config: async () => (await import('../session/job-config.ts')).configPage(),
}

export class Help extends FlinkCommand {
  static readonly summary = 'Show how a command is used, or one of the pages exit-codes, config.'
  static readonly examples = [
    { command: '<%= config.bin %> help run', description: 'How `run` is used:' },
    { command: '<%= config.bin %> help exit-codes', description: 'What the process ends with:' },
  ]
  static readonly args = { topic: Args.string({ description: 'A command, or exit-codes, config.' }) }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Help)
    const topic = args.topic
    const page = topic !== undefined && Object.hasOwn(topics, topic) ? topics[topic] : undefined
    if (page !== undefined) {
      const text = await page()
      this.print(flags, { topic, text }, () => text)
      return
    }
    if (topic === undefined || isCommandName(topic)) return (await import('../help.ts')).showHelp(topic)
    const near = didYouMean(topic, [...commandNames, ...Object.keys(topics)])
    throw new FlinkError('INVALID_OPTION', `help: there is no command or page ${JSON.stringify(topic)}${near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`}`, { hint: 'See `flink-ts --help` for all commands.' })
  }
}
