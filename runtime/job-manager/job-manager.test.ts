import { describe, expect, test } from 'vitest'
import { MemoryFiles } from '../testing/memory-files.ts'
import { project, splitSource, TestCluster, type TestTaskManager } from './test-cluster.ts'

const files = () => new MemoryFiles()

/** Two TaskManagers of one slot, a job of parallelism 2. */
function running(change: Parameters<TestCluster['submit']>[0] = {}, disk = files()) {
  const cluster = new TestCluster(disk)
  const [a, b] = [cluster.connect('a'), cluster.connect('b')]
  const jobId = cluster.submit(change)
  return { cluster, a, b, jobId, disk }
}
const names = (disk: MemoryFiles, under: string) => [...disk.contents().keys()].filter(path => path.startsWith(under)).map(path => path.slice(under.length))
const deployed = (taskManager: TestTaskManager) => taskManager.last('deploy')?.deployment

describe('a job', () => {
  test('from submission to its end; what is kept of it is removed', () => {
    const { cluster, a, b, jobId, disk } = running()
    expect(cluster.statuses()).toEqual(['CREATED', 'RUNNING'])
    expect(deployed(a)).toMatchObject({ fence: { epoch: 1, attempt: 1 }, slot: 0, peers: ['/s/a.0', '/s/b.0'], restore: undefined, finishedVertices: [] })
    expect(deployed(b)).toMatchObject({ slot: 1 })
    cluster.pass(1000)
    expect(names(disk, `${project}/.flink-ts/checkpoints/${jobId}`)).toEqual(['/chk-1/_metadata', '/chk-1/task-0-0', '/chk-1/task-0-1', '/chk-1/task-1-0', '/chk-1/task-1-1'])
    expect(a.last('checkpointComplete')).toMatchObject({ checkpointId: 1, fence: { epoch: 1, attempt: 1 } })
    a.finish()
    b.finish()
    expect(cluster.statuses()).toEqual(['CREATED', 'RUNNING', 'FINISHED'])
    expect(names(disk, `${project}/.flink-ts`)).toEqual(['/jobs/epoch.json'])
  })

  test('waits for slots, and is told when there are none', () => {
    const cluster = new TestCluster(files())
    cluster.connect('a')
    cluster.submit()
    cluster.pass(299_999)
    expect(cluster.statuses()).toEqual(['CREATED'])
    cluster.pass(1)
    expect(cluster.statuses()).toEqual(['CREATED', 'FAILING', 'FAILED'])
    expect(cluster.events('jobStatus').at(-1)?.error).toMatchObject({ code: 'NOT_ENOUGH_SLOTS', message: 'the job needs 2 slots, and they were not free within 300 s' })
  })

  test('is cancelled', () => {
    const { cluster, jobId, disk } = running()
    cluster.pass(1000)
    cluster.manager.cancel(jobId)
    expect(cluster.statuses()).toEqual(['CREATED', 'RUNNING', 'CANCELLING', 'CANCELED'])
    expect(names(disk, `${project}/.flink-ts/checkpoints`)).toEqual([])
  })

  test('two of them share a cluster', () => {
    const cluster = new TestCluster(files())
    cluster.connect('a', 4)
    const [first, second] = [cluster.submit(), cluster.submit()]
    expect(cluster.manager.jobs.map(({ jobId, status }) => [jobId, status])).toEqual([[first, 'RUNNING'], [second, 'RUNNING']])
    cluster.manager.cancel(first)
    expect(cluster.manager.jobs.map(({ jobId, status }) => [jobId, status])).toEqual([[second, 'RUNNING'], [first, 'CANCELED']])
  })
})

describe('splits and checkpoints', () => {
  test('an enumerator goes on from the checkpoint: a split is in its state or in that of a reader', () => {
    const { cluster, a, b } = running()
    a.requestSplit()
    b.requestSplit()
    expect([a.splits, b.splits]).toEqual([['s0'], ['s1']])
    cluster.pass(1000)
    a.requestSplit()
    expect(a.splits).toEqual(['s0', 's2'])
    cluster.kill(b)
    const c = cluster.connect('c')
    expect(cluster.statuses()).toEqual(['CREATED', 'RUNNING', 'RESTARTING', 'RUNNING'])
    c.requestSplit()
    expect(c.splits).toEqual(['s2'])
  })

  test('a split that is asked for while the enumerators are being asked is sent after the trigger', () => {
    const { cluster, a } = running()
    // Reading before and after the trigger arrives: the order on the one connection is what counts.
    cluster.pass(999)
    a.requestSplit()
    cluster.pass(1)
    a.requestSplit()
    expect(a.received.map(({ kind }) => kind).filter(kind => kind === 'addSplit' || kind === 'trigger')).toEqual(['addSplit', 'trigger', 'addSplit'])
  })
})

describe('failover', () => {
  test('restores every operator from the last completed checkpoint, with the next attempt', () => {
    const { cluster, a, b } = running()
    cluster.pass(2000)
    cluster.kill(b)
    cluster.connect('c')
    const deployment = deployed(a)
    expect(deployment?.fence).toEqual({ epoch: 1, attempt: 2 })
    expect(deployment?.restore?.checkpointId).toBe(2)
    const counts = cluster.graph().vertices[1]?.operators[0]?.id as string
    expect(deployment?.restore?.operators[counts]?.files.map(chain => chain[0]?.path.split('/').slice(-2).join('/'))).toEqual(['chk-2/task-1-0', 'chk-2/task-1-1'])
    expect(cluster.events('jobRestored')).toMatchObject([{ attempt: 2, checkpointId: 2, savepoint: false }])
  })

  test('what an earlier attempt still says is dropped and counted', () => {
    const { cluster, a, b, jobId } = running()
    const old = a.running[0]
    cluster.kill(b)
    cluster.connect('c')
    expect(cluster.manager.job(jobId)?.attempt).toBe(2)
    const before = cluster.manager.staleMessages
    a.status(old as never, { vertex: 0, subtask: 0 }, 'FAILED', { code: 'USER_CODE_FAILED', message: 'late' })
    a.say({ kind: 'acknowledge', fence: { epoch: 1, attempt: 1 }, jobId, task: { vertex: 0, subtask: 0 }, checkpointId: 1, file: { path: '', bytes: 0, sha256: '', since: {} }, timings: { startDelay: 0, alignment: 0, sync: 0, async: 0 } })
    a.say({ kind: 'endOfData', fence: { epoch: 0, attempt: 2 }, jobId, task: { vertex: 0, subtask: 0 } })
    a.say({ kind: 'endOfData', fence: { epoch: 1, attempt: 2 }, jobId, task: { vertex: 9, subtask: 0 } })
    expect(cluster.manager.staleMessages).toBe(before + 4)
    expect(cluster.manager.job(jobId)?.status).toBe('RUNNING')
  })

  test('an unreadable checkpoint gives way to an older one that is retained', () => {
    const checkpointing = { interval: 1000, timeout: 600_000, minPause: 0, tolerableFailures: 0, retained: 2, incremental: true, mode: 'exactly-once', onCancellation: 'delete' } as const
    const cluster = new TestCluster(files())
    const disk = cluster.files as MemoryFiles
    const [a, b] = [cluster.connect('a'), cluster.connect('b')]
    const jobId = cluster.submit({ jobGraph: cluster.graph({ checkpointing }) })
    cluster.pass(3000)
    disk.damage(`${project}/.flink-ts/checkpoints/${jobId}/chk-3/task-1-1`, bytes => bytes.map((byte, at) => (at === 20 ? byte ^ 1 : byte)))
    cluster.kill(b)
    cluster.connect('c')
    expect(deployed(a)?.restore?.checkpointId).toBe(2)
    expect(cluster.events('log').map(({ message }) => message)).toEqual([expect.stringContaining('checkpoint 3 of job')])
    // Its id is not used again. The job has time for what it has to do again first.
    cluster.pass(2000)
    expect(a.last('trigger')?.barrier.checkpointId).toBe(4)
  })

  test('a call of the disk that fails gives no checkpoint up: it is tried again, or what was committed since would be written twice', () => {
    const checkpointing = { interval: 1000, timeout: 600_000, minPause: 0, tolerableFailures: 10, retained: 2, incremental: true, mode: 'exactly-once', onCancellation: 'delete' } as const
    let met = 0
    for (let call = 1; call <= 40; call++) {
      const cluster = new TestCluster(files())
      const disk = cluster.files as MemoryFiles
      const [a, b] = [cluster.connect('a'), cluster.connect('b')]
      const jobId = cluster.submit({ jobGraph: cluster.graph({ checkpointing }) })
      cluster.pass(3000)
      disk.failCall(call)
      cluster.kill(b)
      cluster.connect('c')
      if (cluster.manager.job(jobId)?.status === 'RESTARTING') {
        met++
        cluster.pass(200)
      }
      expect(deployed(a)?.restore?.checkpointId, `call ${call}`).toBe(3)
    }
    expect(met).toBeGreaterThan(3)
  })

  test('with no other left the job fails and says which file it is', () => {
    const { cluster, b, jobId, disk } = running()
    cluster.pass(1000)
    disk.damage(`${project}/.flink-ts/checkpoints/${jobId}/chk-1/task-1-0`, bytes => bytes.subarray(1))
    cluster.kill(b)
    expect(cluster.manager.job(jobId)?.error).toMatchObject({ code: 'SNAPSHOT_CORRUPT', message: expect.stringContaining('task-1-0') })
    // A failed job keeps what there is.
    expect(names(disk, `${project}/.flink-ts/checkpoints/${jobId}`)).toContain('/chk-1/_metadata')
  })

  test('R5: a manifest that cannot be written notifies nobody and leaves nothing', () => {
    for (let call = 1; call < 200; call++) {
      const { cluster, a, b, jobId, disk } = running()
      b.acknowledges = false
      cluster.pass(1000)
      const messages = b.writeSnapshots(b.last('trigger') as never)
      const before = disk.calls
      disk.failCall(call)
      for (const message of messages) b.say(message)
      disk.failCall(undefined)
      const completed = cluster.events('checkpointCompleted').length
      expect(a.received.filter(({ kind }) => kind === 'checkpointComplete').length).toBe(completed)
      if (cluster.events('checkpointFailed').length > 0) expect(names(disk, `${project}/.flink-ts/checkpoints/${jobId}/chk-1/_metadata`)).toEqual([])
      else if (disk.calls - before < call) return expect(completed).toBe(1)
    }
    expect.fail('no call was late enough to be after the checkpoint')
  })
})

describe('savepoints', () => {
  const savepoint = (cluster: TestCluster, jobId: string, kind: 'savepoint' | 'stop' = 'savepoint') => {
    const result = cluster.manager.snapshotResult(jobId, cluster.manager.requestSnapshot(jobId, kind))
    if (typeof result === 'string' || result.kind === 'failed') throw new Error(JSON.stringify(result))
    return result.path
  }

  test('has its own directory, and the job goes on', () => {
    const { cluster, jobId, a } = running()
    const path = savepoint(cluster, jobId)
    expect(path).toMatch(new RegExp(`^${project}/.flink-ts/savepoints/savepoint-${jobId.slice(0, 6)}-[0-9a-f]{12}$`))
    expect(a.received.some(({ kind }) => kind === 'checkpointComplete')).toBe(false)
    expect(cluster.manager.job(jobId)?.status).toBe('RUNNING')
  })

  test('another job is started from it: ids go on, and a failure before its first checkpoint goes back to it', () => {
    const { cluster, jobId, a, b } = running()
    a.requestSplit()
    const savepointPath = savepoint(cluster, jobId, 'stop')
    a.finish()
    b.finish()
    expect(cluster.statuses().at(-1)).toBe('FINISHED')
    cluster.submit({ savepointPath })
    expect(deployed(a)?.restore?.checkpointId).toBe(1)
    a.requestSplit()
    expect(a.splits).toEqual(['s0', 's1'])
    cluster.kill(b)
    const c = cluster.connect('c')
    expect(deployed(c)?.restore?.checkpointId).toBe(1)
    cluster.pass(1000)
    expect(a.last('trigger')?.barrier.checkpointId).toBe(2)
    expect(cluster.events('jobRestored').map(({ savepoint: from }) => from)).toEqual([true, true])
  })

  test('C15: a failure after the stop savepoint leaves it, and a failed job', () => {
    const { cluster, jobId, b } = running()
    const path = savepoint(cluster, jobId, 'stop')
    cluster.kill(b)
    expect(cluster.statuses().slice(-2)).toEqual(['FAILING', 'FAILED'])
    expect(cluster.manager.job(jobId)?.error?.detail).toContain(path)
  })

  test('state of an operator that is not in the job is refused, unless it may be dropped', () => {
    const { cluster, jobId } = running()
    const savepointPath = savepoint(cluster, jobId)
    cluster.manager.cancel(jobId)
    cluster.define = env => void env.fromSource({ ...splitSource(3), name: 'splits' }).uid('lines').map(word => ({ word, count: 1 })).keyBy('word').sum('count').uid('renamed').print()
    const refused = cluster.submit({ savepointPath })
    expect(cluster.manager.job(refused)?.error).toMatchObject({ code: 'SNAPSHOT_INCOMPATIBLE', detail: expect.stringContaining('(uid "counts")') })
    const accepted = cluster.submit({ savepointPath, allowNonRestoredState: true })
    expect(cluster.manager.job(accepted)?.status).toBe('RUNNING')
  })

  test('a savepoint of another job is called that', () => {
    const { cluster, jobId } = running()
    const savepointPath = savepoint(cluster, jobId)
    cluster.manager.cancel(jobId)
    cluster.define = env => void env.fromData([1]).uid('other').print()
    const refused = cluster.submit({ savepointPath })
    expect(cluster.manager.job(refused)?.error?.message).toContain('is of job "counting"; none of its operators with state is in job "counting"')
  })

  test('one that is not there fails the job at once', () => {
    const { cluster, jobId } = running({ savepointPath: 'nowhere' })
    expect(cluster.manager.job(jobId)?.error).toMatchObject({ code: 'SNAPSHOT_NOT_FOUND' })
    expect(cluster.statuses()).toEqual(['CREATED', 'FAILING', 'FAILED'])
  })
})

describe('a JobManager that is killed', () => {
  test('comes back with the next epoch and goes on from the last completed checkpoint; no id and no attempt is used twice', () => {
    const { cluster, disk, jobId } = running()
    cluster.pass(2000)
    // A third one is under way.
    for (const taskManager of cluster.taskManagers) taskManager.acknowledges = false
    cluster.pass(1000)
    cluster.restartJobManager()
    expect(cluster.statuses()).toEqual(['CREATED'])
    // What was under way is swept, and so is nothing else.
    expect([...new Set(names(disk, `${project}/.flink-ts/checkpoints/${jobId}`).map(name => name.split('/')[1]))]).toEqual(['chk-2'])
    const [a] = [cluster.connect('a'), cluster.connect('b')]
    expect(a.last('registered')).toMatchObject({ epoch: 2 })
    expect(deployed(a)).toMatchObject({ jobId, fence: { epoch: 2, attempt: 2 }, restore: { checkpointId: 2 } })
    cluster.pass(2000)
    expect(a.last('trigger')?.barrier.checkpointId).toBe(4)
    expect(names(disk, `${project}/.flink-ts/checkpoints/${jobId}`).filter(name => name.endsWith('_metadata'))).toEqual(['/chk-4/_metadata'])
  })

  test('without checkpoints there is nothing to go on from, and the job says so', () => {
    const cluster = new TestCluster(files())
    const graph = cluster.graph()
    const without = { ...graph, config: { ...graph.config, checkpointing: { ...graph.config.checkpointing, interval: undefined } } }
    cluster.connect('a', 2)
    const jobId = cluster.submit({ jobGraph: without as never })
    cluster.restartJobManager()
    expect(cluster.manager.job(jobId)?.error).toMatchObject({ code: 'PROCESS_LOST', message: 'the JobManager was lost, and without checkpoints there is nothing to go on from' })
  })

  test('after a stop savepoint it does not run the job on from an older checkpoint', () => {
    const { cluster, jobId } = running()
    cluster.pass(1000)
    cluster.manager.requestSnapshot(jobId, 'stop')
    cluster.restartJobManager()
    expect(cluster.statuses()).toEqual(['CREATED', 'FAILING', 'FAILED'])
    expect(cluster.manager.job(jobId)?.error?.detail).toContain('The savepoint was complete before')
  })

  test('a job that was over is not started again', () => {
    const { cluster, jobId } = running()
    cluster.manager.cancel(jobId)
    cluster.restartJobManager()
    expect(cluster.manager.jobs).toEqual([])
  })

  test('a message of the old epoch is dropped', () => {
    const { cluster, jobId } = running()
    cluster.pass(1000)
    cluster.restartJobManager()
    const a = cluster.connect('a')
    cluster.connect('b')
    a.say({ kind: 'endOfData', fence: { epoch: 1, attempt: 2 }, jobId, task: { vertex: 0, subtask: 0 } })
    expect(cluster.manager.staleMessages).toBe(1)
  })
})

test('a job graph that makes no sense is refused before it is stored', () => {
  const cluster = new TestCluster(files())
  const graph = cluster.graph()
  expect(() => cluster.submit({ jobGraph: { ...graph, vertices: [] } })).toThrow('the job graph cannot be run')
  expect(() => cluster.submit({ jobGraph: { ...graph, edges: [{ ...graph.edges[0], target: 7 }] } as never })).toThrow('the job graph cannot be run')
  cluster.restartJobManager()
  expect(cluster.manager.jobs).toEqual([])
})

describe('the bundle', () => {
  function withBundle() {
    const disk = files()
    disk.makeDirectory('/project')
    for (const [path, text] of [['/project/bundle.mjs', 'export default 1\n//# sourceMappingURL=bundle.mjs.map\n'], ['/project/bundle.mjs.map', '{}']] as const) {
      const handle = disk.create(path)
      handle.write(new TextEncoder().encode(text))
      handle.close()
    }
    return running({}, disk)
  }

  test('is pinned beside the original, map and all, and removed with the job', () => {
    const { cluster, a, jobId, disk } = withBundle()
    expect(deployed(a)?.bundlePath).toBe(`/project/job-${jobId}.mjs`)
    expect(new TextDecoder().decode(disk.contents().get(`/project/job-${jobId}.mjs`))).toBe(`export default 1\n//# sourceMappingURL=job-${jobId}.mjs.map\n`)
    expect(names(disk, '/project/job-')).toEqual([`${jobId}.mjs`, `${jobId}.mjs.map`])
    cluster.manager.cancel(jobId)
    expect(names(disk, '/project/job-')).toEqual([])
    expect(names(disk, '/project/bundle')).toEqual(['.mjs', '.mjs.map'])
  })

  test('one that lies in .flink-ts, where old bundles are removed, is kept with the job', () => {
    const { jobId, disk, cluster } = withBundle()
    disk.makeDirectory(`${project}/.flink-ts/bundles`)
    const handle = disk.create(`${project}/.flink-ts/bundles/abc.mjs`)
    handle.write(new Uint8Array([32]))
    handle.close()
    cluster.manager.cancel(jobId)
    const next = cluster.submit({ bundlePath: `${project}/.flink-ts/bundles/abc.mjs` })
    expect(names(disk, `${project}/.flink-ts/jobs/${next}`)).toEqual([`/job-${next}.mjs`, '/progress.json', '/submission.json'])
  })

  test('a JobManager that finds another one in its place does not run it', () => {
    const { cluster, jobId, disk } = withBundle()
    disk.damage(`/project/job-${jobId}.mjs`, bytes => bytes.subarray(1))
    cluster.restartJobManager()
    expect(cluster.manager.jobs).toEqual([])
    expect(cluster.events('log')).toMatchObject([{ level: 'error', error: { code: 'BUNDLE_FAILED' } }])
  })
})

test('an enumerator that throws fails the job with its error', () => {
  const cluster = new TestCluster(files())
  cluster.define = env =>
    void env
      .fromSource({
        ...splitSource(3),
        createEnumerator() {
          throw new TypeError('no such table')
        },
      })
      .print()
  cluster.connect('a', 2)
  const jobId = cluster.submit()
  expect(cluster.manager.job(jobId)?.error).toMatchObject({ code: 'USER_CODE_FAILED', message: 'no such table' })
})

