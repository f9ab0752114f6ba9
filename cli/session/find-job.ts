/** Which job is meant: by id, by the beginning of an id, or by name. */
import { FlinkError } from '../../runtime/core/errors.ts'
import { terminalJobStatuses } from '../../runtime/metrics/event.ts'
import type { RestJobSummary } from '../../runtime/protocol/rest.ts'
import { didYouMean } from '../../runtime/core/did-you-mean.ts'

/** @throws {FlinkError} JOB_NOT_FOUND naming the near one; INVALID_OPTION when several are meant */
export function findJob(jobs: readonly RestJobSummary[], named: string | undefined): RestJobSummary {
  const running = jobs.filter(job => !terminalJobStatuses.has(job.state))
  if (named === undefined) {
    if (running.length === 1) return running[0]!
    throw running.length === 0 ? new FlinkError('JOB_NOT_FOUND', 'no job runs here') : several('which job', running)
  }
  const exact = jobs.find(job => job.jid === named)
  if (exact !== undefined) return exact
  // What still runs is meant rather than what is over.
  for (const candidates of [running, jobs]) {
    const found = candidates.filter(job => job.name === named || (named.length >= 4 && job.jid.startsWith(named)))
    if (found.length === 1) return found[0]!
    if (found.length > 1) throw several(JSON.stringify(named), found)
  }
  const near = didYouMean(named, jobs.flatMap(job => [job.name, job.jid]))
  throw new FlinkError('JOB_NOT_FOUND', `no job ${JSON.stringify(named)} runs here${near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`}`)
}

function several(what: string, jobs: readonly RestJobSummary[]): FlinkError {
  return new FlinkError('INVALID_OPTION', `${what} is not clear: ${jobs.length} jobs fit`, { detail: jobs.map(job => `${job.jid}  ${job.name} (${job.state})`).join('\n'), hint: 'Name it by its id.' })
}
