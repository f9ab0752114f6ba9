import { expect, test } from 'vitest'
import { defaultJobConfig } from '../../graph/config.ts'
import { MemoryFiles } from '../../testing/memory-files.ts'
import { JobStore, noProgress, type Submission } from './job-store.ts'

const root = '/project/.flink-ts/jobs'
const jobId = '0123456789abcdef0123456789abcdef'

const submission: Submission = {
  jobId, graph: { name: 'g', hash: 'h', vertices: [], edges: [], config: defaultJobConfig }, bundlePath: '/project/job.mjs', bundleHash: undefined, projectDirectory: '/project', savepointPath: undefined, allowNonRestoredState: false, submittedAt: 5,
}

function withOneJob() {
  const files = new MemoryFiles()
  const store = new JobStore(files, root)
  store.raiseEpoch(1)
  store.add(submission)
  store.saveProgress(jobId, { ...noProgress, attempt: 3 })
  return { files, store }
}

test('a call that fails while jobs are recovered does not cost a job its life, whichever it is', () => {
  const calls = (() => {
    const { files, store } = withOneJob()
    const before = files.calls
    store.recover()
    return files.calls - before
  })()
  let recovered = 0
  for (let n = 1; n <= calls; n++) {
    const { files, store } = withOneJob()
    files.failCall(n)
    try {
      const { jobs, unreadable } = store.recover()
      expect([jobs.map(({ progress }) => progress.attempt), unreadable], `call ${n}`).toEqual([[3], []])
      recovered++
    } catch {
      // The start of the JobManager fails as a whole, and with it nothing is lost.
    }
  }
  expect(recovered).toBeGreaterThan(calls / 2)
})

test('a job that could not be stored is not found by the next JobManager, whichever call failed', () => {
  let refused = 0
  for (let n = 1; n <= 40; n++) {
    const files = new MemoryFiles()
    const store = new JobStore(files, root)
    store.raiseEpoch(1)
    files.failCall(n)
    try {
      store.add(submission)
    } catch {
      refused++
      expect(store.recover(), `call ${n}`).toEqual({ jobs: [], unreadable: [] })
    }
  }
  expect(refused).toBeGreaterThan(10)
})

test('a job that cannot be read is reported and left where it is', () => {
  const { files, store } = withOneJob()
  files.damage(`${root}/${jobId}/progress.json`, () => new Uint8Array([1]))
  const { jobs, unreadable } = store.recover()
  expect(jobs).toEqual([])
  expect(unreadable.map(each => [each.jobId, each.error.code])).toEqual([[jobId, 'STORAGE_FAILED']])
  expect(files.stat(`${root}/${jobId}/submission.json`)?.kind).toBe('file')
})
