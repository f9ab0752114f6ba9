import { existsSync, symlinkSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { FlinkError } from '../../runtime/core/errors.ts'
import { FlinkCommand } from './command.ts'
import { clusterFlags, jobFlags, runFlags } from './job-flags.ts'

export class Demo extends FlinkCommand {
  static readonly summary = 'Run the demo that comes with flink-ts.'
  static readonly description = 'Runs the project in fixtures/demo of this installation as `run` would; its output stands in out/ there.'
  static readonly examples = [
    { command: '<%= config.bin %> demo', description: 'Live in the terminal:' },
    { command: '<%= config.bin %> demo --no-ui -p 2', description: 'As lines, on two slots:' },
  ]
  static readonly flags = { ...jobFlags, ...clusterFlags, ...runFlags }

  override async run(): Promise<void> {
    const { flags } = await this.parse(Demo)
    const [{ packageDirectory }, { runJob }] = await Promise.all([import('../bundle/installation.ts'), import('../session/run-job.ts')])
    const projectDirectory = join(packageDirectory, 'fixtures/demo')
    if (!existsSync(projectDirectory)) throw new FlinkError('JOB_FILE_NOT_FOUND', 'this installation has no demo', { hint: 'Make a project of your own with `flink-ts new my-job`.' })
    await prepareData(packageDirectory, projectDirectory)
    await runJob({ ...flags, parallelism: flags.parallelism ?? defaultParallelism, properties: flags.define ?? [], projectDirectory, jobFile: undefined, jobArguments: [] })
  }
}

const defaultParallelism = 4

/** The flights are made from a package of real data on the first run in a clone; that takes some seconds. */
async function prepareData(packageDirectory: string, projectDirectory: string): Promise<void> {
  const flights = join(projectDirectory, 'flights')
  const maker = join(packageDirectory, 'fixtures/data/flights.ts')
  if (existsSync(flights)) return
  if (!existsSync(maker)) {
    throw new FlinkError('JOB_FILE_NOT_FOUND', 'the demo needs its flights, which only a clone of the repository can make', { hint: 'In a clone run `npm start`. Or make a project of your own with `flink-ts new my-job`.' })
  }
  process.stderr.write('preparing 600,000 flights (once) ...\n')
  // Outside of the build: Node takes the types off by itself.
  const { prepareFlights } = (await import(pathToFileURL(maker).href)) as { prepareFlights(set: 'demo'): Promise<string> }
  symlinkSync(relative(projectDirectory, await prepareFlights('demo')), flights)
}
