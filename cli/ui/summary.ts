/** What is left of a run when it is over: a few lines, whatever it was shown in. */
import type { Paint, Style } from '../output/colour.ts'
import { sanitiseLine } from '../output/sanitise.ts'
import { formatCount, formatElapsed } from '../output/units.ts'
import { summariseVertex, type ClusterView } from './cluster-view.ts'

const statusStyle: Partial<Record<string, Style>> = {
  RUNNING: 'green', FINISHED: 'blue', FAILED: 'red', FAILING: 'red', RESTARTING: 'yellow', CANCELLING: 'yellow', CANCELING: 'yellow', CANCELED: 'yellow',
}
export const paintStatus = (status: string, text: string, paint: Paint) => (statusStyle[status] === undefined ? text : paint(statusStyle[status], text))

/** Tasks count from nothing in each attempt: some of what came before comes again. */
const sinceWhen = (restarts: number) => (restarts === 0 ? '' : restarts === 1 ? ' since the restart' : ' since the last restart')

/** The last words on the normal screen, after the view is gone. */
export function drawSummary(view: ClusterView, now: number, paint: Paint): string[] {
  const job = view.job
  if (job === undefined) return []
  const lines = [`job "${sanitiseLine(job.name)}" ${paintStatus(job.status, job.status, paint)} after ${formatElapsed((job.endedAt ?? now) - job.submittedAt)}${job.restarts > 0 ? `, ${job.restarts} ${job.restarts === 1 ? 'restart' : 'restarts'}` : ''}`]
  const sources = job.vertices.filter(vertex => vertex.source).map(summariseVertex)
  const records = sources.reduce((sum, source) => sum + source.recordsIn, 0)
  const { completed, failed, lastSavepoint, last } = job.checkpoints
  lines.push(`${formatCount(records)} ${records === 1 ? 'record' : 'records'} from ${sources.length} ${sources.length === 1 ? 'source' : 'sources'}${sinceWhen(job.restarts)}, ${completed} ${completed === 1 ? 'checkpoint' : 'checkpoints'}${failed > 0 ? `, ${failed} failed` : ''}`)
  if (lastSavepoint !== undefined) lines.push(`savepoint: ${sanitiseLine(lastSavepoint)}`)
  // Only the checkpoints of a job that failed outlive it.
  if (job.status === 'FAILED' && last?.kind === 'checkpoint') lines.push(`last checkpoint: ${sanitiseLine(last.path)}`)
  return lines
}
