import * as Flags from '@oclif/core/flags'
import { FlinkCommand } from './command.ts'
import { jobArgs, jobFlags, splitJobArguments } from './job-flags.ts'

export class Explain extends FlinkCommand {
  static readonly summary = 'Show what would run: tasks, operators, and why two operators are not one task.'
  static readonly description = 'Builds the job and starts nothing. Arguments of the job stand after `--`.'
  static readonly examples = [
    { command: '<%= config.bin %> explain', description: 'The job of this project:' },
    { command: '<%= config.bin %> explain src/job.ts -p 4 --json', description: 'The whole job graph as JSON:' },
    { command: '<%= config.bin %> explain --generated', description: 'The loops that your functions run in:' },
  ]
  static readonly args = jobArgs
  static readonly flags = {
    ...jobFlags,
    generated: Flags.boolean({ summary: 'Show the code that is generated for each task, or why there is none.', helpGroup: 'OUTPUT' }),
    timing: Flags.boolean({ summary: 'Say how long bundling and building took.', helpGroup: 'OUTPUT' }),
  }

  override async run(): Promise<void> {
    const { own, forJob } = splitJobArguments(this.argv)
    const { args, flags } = await this.parse(Explain, own)
    const [{ compileProject }, { parseRunConfig }, { parseJobArguments }, { sanitiseText }] = await Promise.all([
      import('../session/compile-project.ts'),
      import('../session/job-config.ts'),
      import('../../runtime/api/arguments.ts'),
      import('../output/sanitise.ts'),
    ])
    const projectDirectory = this.projectDirectory(flags)
    const { job: config } = parseRunConfig({ properties: flags.define ?? [], parallelism: flags.parallelism, args: parseJobArguments(forJob) })
    const { graph, explanation, generated, bundleMillis, compileMillis } = await compileProject({
      projectDirectory, jobFile: args.job, config, generated: flags.generated, onOutput: text => process.stderr.write(sanitiseText(text)),
    })
    const timing = { bundleMillis: Math.round(bundleMillis), compileMillis: Math.round(compileMillis) }
    this.print(flags, { graph, ...(generated === undefined ? {} : { generated }), ...(flags.timing ? { timing } : {}) }, () =>
      `${sanitiseText((generated ?? explanation).trimEnd())}${flags.timing ? `\n\nbundled in ${timing.bundleMillis} ms, built in ${timing.compileMillis} ms` : ''}`,
    )
  }
}
