import { resolve } from 'node:path'
import * as Args from '@oclif/core/args'
import { sanitiseLine } from '../output/sanitise.ts'
import { FlinkCommand } from './command.ts'

export class Savepoint extends FlinkCommand {
  static readonly summary = 'Take a consistent snapshot of a job; the job goes on.'
  static readonly description = 'Prints where it lies. `run --from-savepoint` goes on from there, at any parallelism.'
  static readonly examples = [
    { command: '<%= config.bin %> savepoint flights', description: 'Of the job named flights, under .flink-ts/savepoints:' },
    { command: '<%= config.bin %> savepoint 4f1c /backups/flights', description: 'Somewhere else:' },
  ]
  static readonly args = {
    job: Args.string({ description: 'Id, beginning of an id, or name. Default: the only one that runs.' }),
    directory: Args.string({ description: 'Where to put it. Default: .flink-ts/savepoints of the project.' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Savepoint)
    const [{ connectToProject }, { findJob }] = await Promise.all([import('../session/cluster-client.ts'), import('../session/find-job.ts')])
    const client = connectToProject(this.projectDirectory(flags))
    const job = findJob(await client.jobs(), args.job)
    const path = await client.savepoint(job.jid, args.directory === undefined ? undefined : resolve(args.directory))
    this.print(flags, { jobId: job.jid, name: job.name, path }, () => sanitiseLine(path))
  }
}
