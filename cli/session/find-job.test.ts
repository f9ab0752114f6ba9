import { expect, test } from 'vitest'
import { FlinkError } from '../../runtime/core/errors.ts'
import type { JobStatus } from '../../runtime/metrics/event.ts'
import type { RestJobSummary } from '../../runtime/protocol/rest.ts'
import { findJob } from './find-job.ts'

// Only what is looked at; the rest of a summary is counts and times.
const job = (jid: string, name: string, state: JobStatus) => ({ jid, name, state }) as RestJobSummary
const jobs = [job('aaaa1111', 'flights', 'FINISHED'), job('aaaa2222', 'flights', 'RUNNING'), job('bbbb1111', 'fraud', 'RUNNING')]
const found = (named: string | undefined, all = jobs) => {
  try {
    return findJob(all, named).jid
  } catch (error) {
    if (error instanceof FlinkError) return `${error.code}: ${error.message}`
    throw error
  }
}

test.each([
  ['aaaa1111', 'aaaa1111'],
  ['bbbb', 'bbbb1111'],
  // The one that runs is meant, not the one that is over.
  ['aaaa', 'aaaa2222'],
  ['flights', 'aaaa2222'],
  ['bb', 'JOB_NOT_FOUND: no job "bb" runs here'],
  ['flihgts', 'JOB_NOT_FOUND: no job "flihgts" runs here; did you mean "flights"?'],
  [undefined, 'INVALID_OPTION: which job is not clear: 2 jobs fit'],
])('%s: %s', (named, expected) => {
  expect(found(named)).toBe(expected)
})

test('without a name the only one that runs is meant', () => {
  expect(found(undefined, jobs.slice(0, 2))).toBe('aaaa2222')
  expect(found(undefined, jobs.slice(0, 1))).toBe('JOB_NOT_FOUND: no job runs here')
})
