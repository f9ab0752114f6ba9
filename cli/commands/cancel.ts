import * as Args from '@oclif/core/args'
import { FlinkCommand } from './command.ts'

export class Cancel extends FlinkCommand {
  static readonly summary = 'End a job without a savepoint.'
  static readonly description = 'A job is named by its id, the beginning of it, or its name; without a name the only one that runs is meant.'
  static readonly examples = [
    { command: '<%= config.bin %> cancel', description: 'The only job that runs:' },
    { command: '<%= config.bin %> cancel 4f1c', description: 'By the beginning of its id:' },
  ]
  static readonly args = { job: Args.string({ description: 'Id, beginning of an id, or name.' }) }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Cancel)
    const [{ connectToProject, endIdleCluster }, { findJob }] = await Promise.all([import('../session/cluster-client.ts'), import('../session/find-job.ts')])
    const projectDirectory = this.projectDirectory(flags)
    const client = connectToProject(projectDirectory)
    const job = findJob(await client.jobs(), args.job)
    await client.cancel(job.jid)
    const over = await client.over(job.jid, 30_000)
    if (over) await endIdleCluster(projectDirectory)
    this.print(flags, { jobId: job.jid, name: job.name, over }, () => `${over ? 'canceled' : 'canceling'} ${job.jid}`)
  }
}
