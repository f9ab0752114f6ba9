/** Flags and arguments of the commands that build a job: `run`, `explain`, `demo`. */
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

export const jobArgs = {
  job: Args.string({ description: 'File that exports the job. Default: "flink-ts".job of package.json, else src/job.ts, else the only .ts file.' }),
}

export const jobFlags = {
  parallelism: Flags.integer({ char: 'p', summary: 'Default parallelism of operators.', min: 1, max: 32_768, helpGroup: 'JOB', helpValue: '<n>', env: 'FLINK_TS_PARALLELISM' }),
  define: Flags.string({ char: 'D', summary: 'A setting by Flink\'s name; see `help config`.', multiple: true, helpGroup: 'JOB', helpValue: '<key=value>' }),
}

/** `flink-ts run job.ts -- --input a.csv`: what stands after `--` is the job's own. */
export function splitJobArguments(argv: readonly string[]): { readonly own: string[]; readonly forJob: string[] } {
  const end = argv.indexOf('--')
  return end === -1 ? { own: [...argv], forJob: [] } : { own: argv.slice(0, end), forJob: argv.slice(end + 1) }
}

export const clusterFlags = {
  taskmanagers: Flags.integer({ summary: 'TaskManager processes. Default: as many as slots, at most one per core.', min: 1, max: 256, helpGroup: 'CLUSTER', helpValue: '<n>', env: 'FLINK_TS_TASKMANAGERS' }),
  slots: Flags.integer({ summary: 'Slots of each TaskManager. Default: enough for the job.', min: 1, max: 99, helpGroup: 'CLUSTER', helpValue: '<n>', env: 'FLINK_TS_SLOTS' }),
  detached: Flags.boolean({ char: 'd', summary: 'Leave the job running, print its id and return.', helpGroup: 'CLUSTER' }),
}

export const runFlags = {
  'from-savepoint': Flags.string({ char: 's', aliases: ['fromSavepoint'], summary: 'Go on from this savepoint or checkpoint.', helpGroup: 'JOB', helpValue: '<dir>' }),
  'allow-non-restored-state': Flags.boolean({ char: 'n', aliases: ['allowNonRestoredState'], summary: 'Drop state of the savepoint that no operator of the job claims.', helpGroup: 'JOB' }),
  profile: Flags.boolean({ summary: 'Write a CPU profile of each slot, in which operators and your functions have their names, and say at the end where the time went.', helpGroup: 'OUTPUT' }),
  'profile-dir': Flags.string({ summary: 'Where the profiles go; implies --profile. Default: .flink-ts/profiles/<job>-<time>.', helpGroup: 'OUTPUT', helpValue: '<dir>' }),
  ui: Flags.boolean({ summary: 'Live view; only where input and output are a terminal.', default: true, allowNo: true, helpGroup: 'OUTPUT' }),
}
