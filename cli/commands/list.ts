import * as Flags from '@oclif/core/flags'
import { FlinkCommand } from './command.ts'

export class List extends FlinkCommand {
  static readonly summary = 'List the jobs of this project\'s cluster.'
  static readonly description = 'Without a cluster the list is empty.'
  static readonly examples = [
    { command: '<%= config.bin %> list', description: 'What runs:' },
    { command: '<%= config.bin %> list --all --json', description: 'Jobs that are over as well, as JSON:' },
  ]
  static readonly flags = { all: Flags.boolean({ char: 'a', summary: 'Jobs that are over as well.', helpGroup: 'JOB' }) }

  override async run(): Promise<void> {
    const { flags } = await this.parse(List)
    const [{ jobsOfProject }, { terminalJobStatuses }, { formatTable }, { formatElapsed }] = await Promise.all([
      import('../session/cluster-client.ts'),
      import('../../runtime/metrics/event.ts'),
      import('../output/table.ts'),
      import('../output/units.ts'),
    ])
    const all = await jobsOfProject(this.projectDirectory(flags))
    const jobs = all.filter(job => flags.all || !terminalJobStatuses.has(job.state))
    this.print(flags, { jobs: jobs.map(job => ({ id: job.jid, name: job.name, status: job.state, startTime: Math.round(job['start-time']), endTime: Math.round(job['end-time']), duration: Math.round(job.duration), tasks: job.tasks })) }, paint => {
      if (jobs.length === 0) return all.length === 0 ? 'no jobs' : 'no job runs; see --all for those that are over'
      const rows = jobs.map(job => [job.jid, job.name, job.state, formatElapsed(job.duration), `${job.tasks.running}/${job.tasks.total}`])
      return formatTable([{ title: 'ID' }, { title: 'NAME' }, { title: 'STATUS' }, { title: 'DURATION', align: 'right' }, { title: 'TASKS', align: 'right' }], rows, paint)
    })
  }
}
