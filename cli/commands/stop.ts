import { resolve } from 'node:path'
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { sanitiseLine } from '../output/sanitise.ts'
import { FlinkCommand } from './command.ts'

export class Stop extends FlinkCommand {
  static readonly summary = 'Take a savepoint of a job, then end it.'
  static readonly description = 'What the job has emitted up to the savepoint is committed. Prints where the savepoint lies.'
  static readonly examples = [
    { command: '<%= config.bin %> stop flights', description: 'Stop, to go on later:' },
    { command: '<%= config.bin %> stop flights --drain', description: 'For good: all windows fire and timers run:' },
  ]
  static readonly args = { job: Args.string({ description: 'Id, beginning of an id, or name. Default: the only one that runs.' }) }
  static readonly flags = {
    drain: Flags.boolean({ summary: 'Let event time end first, so that all windows fire. The job cannot go on where it was.', helpGroup: 'JOB' }),
    'savepoint-path': Flags.string({ char: 'p', aliases: ['savepointPath'], summary: 'Where to put the savepoint. Default: .flink-ts/savepoints of the project.', helpGroup: 'JOB', helpValue: '<dir>' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Stop)
    const [{ connectToProject, endIdleCluster }, { findJob }] = await Promise.all([import('../session/cluster-client.ts'), import('../session/find-job.ts')])
    const projectDirectory = this.projectDirectory(flags)
    const client = connectToProject(projectDirectory)
    const job = findJob(await client.jobs(), args.job)
    const directory = flags['savepoint-path']
    const path = await client.stop(job.jid, { drain: flags.drain, directory: directory === undefined ? undefined : resolve(directory) })
    if (await client.over(job.jid, 30_000)) await endIdleCluster(projectDirectory)
    this.print(flags, { jobId: job.jid, name: job.name, path }, () => sanitiseLine(path))
  }
}
