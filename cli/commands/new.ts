import { relative } from 'node:path'
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { FlinkCommand } from './command.ts'

export class New extends FlinkCommand {
  static readonly summary = 'Make a new project: a typed job, a test, a README.'
  static readonly description = 'Refuses a directory that is not empty. Never asks anything.'
  static readonly examples = [
    { command: '<%= config.bin %> new my-job', description: 'A project in ./my-job, with its packages installed:' },
    { command: '<%= config.bin %> new my-job --no-install', description: 'Only the files:' },
  ]
  static readonly args = { directory: Args.string({ description: 'Where; also the name of the project.', required: true }) }
  static readonly flags = {
    template: Flags.string({ summary: 'What to begin with.', default: 'default', helpValue: '<name>', helpGroup: 'PROJECT' }),
    install: Flags.boolean({ summary: 'Run npm install in it.', default: true, allowNo: true, helpGroup: 'PROJECT' }),
    yes: Flags.boolean({ char: 'y', summary: 'Nothing is ever asked; accepted for scripts that say so.', helpGroup: 'PROJECT' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(New)
    const [{ createProject }, { packageDirectory, packageManifest }, { install }] = await Promise.all([
      import('../scaffold/create-project.ts'),
      import('../bundle/installation.ts'),
      import('../scaffold/install.ts'),
    ])
    const project = createProject({ directory: args.directory, template: flags.template, packageDirectory, version: packageManifest().version })
    const installed = flags.install ? await install(project.directory) : false
    const directory = relative(process.cwd(), project.directory) || '.'
    const steps = [...(directory === '.' ? [] : [`cd ${quoted(directory)}`]), ...(installed ? [] : ['npm install']), 'npm test', 'npm start'].slice(0, 3)
    this.print(flags, { ...project, installed, next: steps }, paint =>
      [`${paint('green', 'made')} ${project.name}${directory === project.name ? '' : ` in ${quoted(directory)}`} (${project.files.length} files)`, '', 'Next:', ...steps.map(step => `  ${paint('bold', step)}`)].join('\n'),
    )
    if (flags.install && !installed) process.exitCode = 5
  }
}

const quoted = (path: string) => (/^[\w./-]+$/.test(path) ? path : JSON.stringify(path))
