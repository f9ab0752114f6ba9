/** Checkpoints of what has changed, as the JobManager sees them: which files they name, what is kept, what is offered to the tasks. */
import { expect, test } from 'vitest'
import { defaultJobConfig } from '../graph/config.ts'
import type { ToTaskManager } from '../protocol/task-executor.ts'
import { MemoryFiles } from '../testing/memory-files.ts'
import { checkpoints } from './rest/checkpoint-views.ts'
import { project, TestCluster, type TestTaskManager } from './test-cluster.ts'

const directories = (cluster: TestCluster, jobId: string) => {
  const all = `${project}/.flink-ts/checkpoints/${jobId}`
  return cluster.files.list(all).toSorted().map(name => `${name}${cluster.files.stat(`${all}/${name}/_metadata`) === undefined ? ' (files only)' : ''}`)
}
const chains = (worker: TestTaskManager) => {
  const restore = worker.last('deploy')?.deployment.restore
  const all = Object.values(restore?.operators ?? {}).map(operator => operator.files.map(chain => chain.map(file => file.path.split('/').slice(-2).join('/')).join(' ')))
  return all.filter(each => each.some(chain => chain !== ''))
}

function goingOn(goesOn: (checkpointId: number) => boolean) {
  const cluster = new TestCluster(new MemoryFiles())
  const [a, b] = [cluster.connect('a'), cluster.connect('b')]
  const jobId = cluster.submit({ jobGraph: cluster.graph({ checkpointing: { ...defaultJobConfig.checkpointing, interval: 1000, tolerableFailures: 1 } }) })
  for (const worker of [a, b]) worker.goesOn = goesOn
  return { cluster, a, b, jobId }
}

test('they name the files that they go on from, whose directories stay as long as they are needed', () => {
  const { cluster, jobId } = goingOn(id => id !== 4)
  const seen = []
  for (let checkpoint = 1; checkpoint <= 6; checkpoint++) {
    cluster.pass(1000)
    seen.push(directories(cluster, jobId))
  }
  expect(seen).toEqual([
    ['chk-1'],
    ['chk-1 (files only)', 'chk-2'],
    ['chk-1 (files only)', 'chk-2 (files only)', 'chk-3'],
    ['chk-4'],
    ['chk-4 (files only)', 'chk-5'],
    ['chk-4 (files only)', 'chk-5 (files only)', 'chk-6'],
  ])
})

test('they are restored with all of them, and the first of the next attempt may go on from them', () => {
  const { cluster, a, b } = goingOn(() => true)
  cluster.pass(3000)
  expect(a.last('trigger')?.barrier).toMatchObject({ checkpointId: 3, since: 2 })
  cluster.kill(b)
  cluster.connect('c')
  expect(chains(a)).toEqual([
    ['chk-1/task-1-0 chk-2/task-1-0 chk-3/task-1-0', 'chk-1/task-1-1 chk-2/task-1-1 chk-3/task-1-1'],
  ])
  const c = cluster.taskManagers.at(-1) as TestTaskManager
  c.goesOn = () => true
  cluster.pass(1000)
  expect(a.last('trigger')?.barrier).toMatchObject({ checkpointId: 4, since: 3 })
  cluster.kill(c)
  cluster.connect('d')
  expect(chains(a)[0]?.[0]).toBe('chk-1/task-1-0 chk-2/task-1-0 chk-3/task-1-0 chk-4/task-1-0')
})

test('they never go on from the snapshot that the job was started from', () => {
  const { cluster, jobId } = goingOn(() => true)
  cluster.pass(1000)
  const savepointPath = `${project}/.flink-ts/checkpoints/${jobId}/chk-1`
  const other = cluster.submit({ savepointPath })
  const [c, d] = [cluster.connect('c'), cluster.connect('d')]
  for (const worker of [c, d]) worker.goesOn = () => true
  cluster.pass(1000)
  expect(c.last('trigger')).toMatchObject({ jobId: other, barrier: { since: undefined } })
})

test('they go on from the last that is complete, not from one that was given up', () => {
  const { cluster, a, b, jobId } = goingOn(() => true)
  cluster.pass(1000)
  b.acknowledges = false
  cluster.pass(1000)
  const trigger = b.last('trigger') as Extract<ToTaskManager, { kind: 'trigger' }>
  b.say({ kind: 'decline', fence: trigger.fence, jobId, task: { vertex: 1, subtask: 1 }, checkpointId: 2, error: { code: 'CHECKPOINT_FAILED', message: 'no' } })
  b.acknowledges = true
  cluster.pass(1000)
  expect(a.last('trigger')?.barrier).toMatchObject({ checkpointId: 3, since: 1 })
  expect(directories(cluster, jobId)).toEqual(['chk-1 (files only)', 'chk-3'])
})

test('they are found again by a JobManager that was restarted, with what they need and nothing else', () => {
  const { cluster, jobId } = goingOn(id => id > 2)
  cluster.pass(4000)
  expect(directories(cluster, jobId)).toEqual(['chk-2 (files only)', 'chk-3 (files only)', 'chk-4'])
  cluster.files.makeDirectory(`${project}/.flink-ts/checkpoints/${jobId}/chk-5`)
  cluster.restartJobManager()
  expect(directories(cluster, jobId)).toEqual(['chk-2 (files only)', 'chk-3 (files only)', 'chk-4'])
  const workers = [cluster.connect('d'), cluster.connect('e')]
  expect(chains(workers[0] as TestTaskManager)[0]?.[0]).toBe('chk-2/task-1-0 chk-3/task-1-0 chk-4/task-1-0')
  for (const worker of workers) worker.goesOn = () => true
  cluster.pass(2000)
  // 5 was taken, durably, when 4 was completed: it may have been under way, and is not used again.
  expect(directories(cluster, jobId)).toEqual(['chk-2 (files only)', 'chk-3 (files only)', 'chk-4 (files only)', 'chk-6 (files only)', 'chk-7'])
})

test('savepoints, and jobs that ask for it, have everything in one place', () => {
  const { cluster, a, jobId } = goingOn(() => true)
  cluster.pass(1000)
  cluster.manager.job(jobId)?.requestSnapshot('savepoint', undefined, 'now')
  cluster.pass(1)
  expect(a.last('trigger')?.barrier).toMatchObject({ kind: 'savepoint', since: undefined })
  const whole = new TestCluster(new MemoryFiles())
  const worker = whole.connect('a')
  whole.connect('b')
  whole.submit({ jobGraph: whole.graph({ checkpointing: { ...defaultJobConfig.checkpointing, interval: 1000, incremental: false } }) })
  whole.pass(2000)
  expect(worker.last('trigger')?.barrier).toMatchObject({ checkpointId: 2, since: undefined })
})

test('people are told what was written for one, and what it holds', () => {
  const { cluster, jobId } = goingOn(() => true)
  const job = cluster.manager.job(jobId)
  if (job === undefined) throw new Error('there is no job')
  const [source, counts] = job.graph.vertices.map(vertex => vertex.id)
  const sizes = []
  for (let checkpoint = 1; checkpoint <= 3; checkpoint++) {
    cluster.pass(1000)
    const completed = checkpoints(job).latest.completed
    sizes.push([completed, completed?.tasks[String(source)], completed?.tasks[String(counts)]].map(each => [each?.checkpointed_size ?? NaN, each?.state_size ?? NaN] as const))
  }
  // Each checkpoint writes as much: the sources' files stand alone, the others go on from all before.
  const [all, ofSource, ofCounts] = sizes[0]!.map(([written]) => written) as [number, number, number]
  expect(all).toBe(ofSource + ofCounts)
  expect(sizes).toEqual([1, 2, 3].map(n => [[all, ofSource + n * ofCounts], [ofSource, ofSource], [ofCounts, n * ofCounts]]))
  const { checkpointed_size: written, state_size: held } = checkpoints(job).summary
  expect([written.min, written.max, held.min, held.max]).toEqual([all, all, all, ofSource + 3 * ofCounts])
})
