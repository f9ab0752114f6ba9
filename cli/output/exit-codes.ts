/** The page `flink-ts help exit-codes`, made from the table that decides them. */
import { errorTable, exitCodes, type ExitName } from '../../runtime/core/errors.ts'

const meaning: Readonly<Record<ExitName, string>> = {
  ok: 'the command did what it was asked for; of `run`: the job finished, or was stopped with a savepoint',
  jobFailed: 'the job failed, or was canceled by somebody else',
  usage: 'a flag, argument or setting is wrong',
  build: 'the job could not be built: its file, its syntax, its graph',
  restore: 'the snapshot does not fit the job, or is damaged',
  environment: 'the machine: disk, memory, processes, Node version',
  notFound: 'no such job, or no cluster runs',
  badInput: 'an input cannot be read',
  badValue: 'a record or key is of a kind that cannot travel',
  internal: 'a bug of flink-ts',
  unknownCommand: 'no such command',
  interrupted: 'Ctrl-C',
}

export function exitCodesPage(): string {
  const lines = ['What `flink-ts` ends with:', '']
  for (const name of Object.keys(exitCodes) as ExitName[]) {
    lines.push(`  ${String(exitCodes[name]).padStart(3)}  ${meaning[name]}`)
    const codes = Object.values(errorTable).filter(row => row.exit === name)
    if (codes.length > 0) lines.push(`       ${codes.map(row => `FTS-${row.number}`).join(' ')}`)
  }
  lines.push('', 'After SIGTERM it is 143, after SIGHUP 129.')
  return lines.join('\n')
}
