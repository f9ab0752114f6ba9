import { FlinkCommand } from './command.ts'
import { clusterFlags, jobArgs, jobFlags, runFlags, splitJobArguments } from './job-flags.ts'

export class Run extends FlinkCommand {
  static readonly summary = 'Run a job on a cluster of this machine, and show it.'
  static readonly description = 'Bundles the job, starts one JobManager and some TaskManagers, and follows the job to its end. The exit code is the job\'s own result; see `help exit-codes`. Arguments of the job stand after `--`. Ctrl-C cancels the job; a second one ends everything at once.'
  static readonly examples = [
    { command: '<%= config.bin %> run', description: 'The job of this project:' },
    { command: '<%= config.bin %> run src/job.ts -p 4 -D state.backend.type=hashmap -- --input data.csv', description: 'With settings, and an argument of the job:' },
    { command: '<%= config.bin %> run --profile', description: 'Where does the time go?' },
    { command: '<%= config.bin %> run -s .flink-ts/savepoints/savepoint-1 -p 3', description: 'From a savepoint, at another parallelism:' },
  ]
  static readonly args = jobArgs
  static readonly flags = { ...jobFlags, ...clusterFlags, ...runFlags }

  override async run(): Promise<void> {
    const { own, forJob } = splitJobArguments(this.argv)
    const { args, flags } = await this.parse(Run, own)
    const { runJob } = await import('../session/run-job.ts')
    await runJob({ ...flags, properties: flags.define ?? [], projectDirectory: this.projectDirectory(flags), jobFile: args.job, jobArguments: forJob })
  }
}
