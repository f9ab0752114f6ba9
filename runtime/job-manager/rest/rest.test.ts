import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RestClient } from '../../deploy/rest-client.ts'
import type { RuntimeEvent } from '../../metrics/event.ts'
import { EventJournal } from '../../metrics/journal.ts'
import { MemoryFiles } from '../../testing/memory-files.ts'
import { project, TestCluster } from '../test-cluster.ts'
import { listenForRest, type RestListener } from './rest-listener.ts'
import { createRestServer } from './rest-server.ts'

let directory: string
let socket: string
let server: RestListener
let cluster: TestCluster
let client: RestClient

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rest-'))
  socket = join(directory, 'rest')
  cluster = new TestCluster(new MemoryFiles())
  server = await listenForRest(socket, () => createRestServer(cluster.manager, { token: undefined, onBug: error => expect.fail(String(error)) }))
  client = new RestClient(socket)
})
afterEach(() => {
  server.close()
  rmSync(directory, { recursive: true })
})

/** A request as it stands, for what the client would never send. */
function raw(method: string, path: string, body?: string | Buffer, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: socket, method, path, headers }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', chunk => (text += chunk)).on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
const submit = () => client.submit({ jobGraph: cluster.graph(), bundlePath: '/project/bundle.mjs', projectDirectory: project })

describe('the life of a job', () => {
  test('submit, look at it, take a savepoint, stop', async () => {
    const [a, b] = [cluster.connect('a'), cluster.connect('b')]
    const { jobid, jobUrl } = await submit()
    expect(jobUrl).toBe(`/jobs/${jobid}`)
    expect(await client.jobs()).toEqual({ jobs: [{ id: jobid, status: 'RUNNING' }] })
    expect(await client.jobStatus(jobid)).toEqual({ status: 'RUNNING' })
    expect(await client.overview()).toMatchObject({ taskmanagers: 2, 'slots-total': 2, 'slots-available': 0, 'jobs-running': 1, 'jobs-finished': 0 })
    expect(await client.executionResult(jobid)).toEqual({ status: { id: 'IN_PROGRESS' } })

    const { 'request-id': trigger } = await client.triggerSavepoint(jobid, { 'target-directory': '/elsewhere' })
    expect(await client.savepointResult(jobid, trigger)).toEqual({ status: { id: 'COMPLETED' }, operation: { checkpointId: 1, location: expect.stringMatching(`^/elsewhere/savepoint-${jobid.slice(0, 6)}-`) } })
    b.acknowledges = false
    const { 'request-id': stop } = await client.triggerStop(jobid, { drain: true })
    expect(a.last('trigger')?.barrier).toMatchObject({ checkpointId: 2, kind: 'stop-drain' })
    expect(await client.savepointResult(jobid, stop)).toEqual({ status: { id: 'IN_PROGRESS' } })
    b.acknowledge(b.last('trigger') as never)
    a.finish()
    b.finish()
    expect(await client.savepointResult(jobid, stop)).toMatchObject({ status: { id: 'COMPLETED' } })
    expect(await client.executionResult(jobid)).toEqual({
      status: { id: 'COMPLETED' },
      'job-execution-result': { id: jobid, 'application-status': 'SUCCEEDED', 'accumulator-results': {}, 'net-runtime': 0 },
    })
    expect(await client.overview()).toMatchObject({ 'jobs-running': 0, 'jobs-finished': 1, 'slots-available': 2 })
  })

  test('cancel', async () => {
    cluster.connect('a', 2)
    const { jobid } = await submit()
    expect(await raw('PATCH', `/jobs/${jobid}?mode=cancel`)).toEqual({ status: 202, body: '{}' })
    expect(await client.jobStatus(jobid)).toEqual({ status: 'CANCELED' })
  })

  test('a failure keeps its code, its hint and its place', async () => {
    const a = cluster.connect('a', 2)
    const { jobid } = await submit()
    const running = a.running[0] as (typeof a.running)[number]
    a.status(running, { vertex: 1, subtask: 0 }, 'FAILED', { code: 'MALFORMED_RECORD', message: 'line 7 of flights.csv has 3 columns' })
    const result = await client.executionResult(jobid)
    expect(result['job-execution-result']).toMatchObject({ 'application-status': 'FAILED', 'failure-cause': { class: 'MALFORMED_RECORD', error: { message: 'line 7 of flights.csv has 3 columns' } } })
    const { exceptionHistory } = await client.exceptions(jobid)
    expect(exceptionHistory.entries).toMatchObject([{ exceptionName: 'MALFORMED_RECORD', taskName: expect.stringMatching(/\(1\/2\)$/), taskManagerId: 'a' }])
  })

  test('DELETE /cluster ends the process after the answer', async () => {
    await client.shutdownCluster()
    expect(cluster.shutdowns).toBe(1)
  })
})

describe("Flink's shapes", () => {
  test('job, vertices and plan', async () => {
    cluster.connect('a', 2)
    const { jobid } = await submit()
    const job = await client.job(jobid)
    const [source, counter] = job.vertices
    expect(job).toMatchObject({ jid: jobid, name: 'counting', state: 'RUNNING', 'end-time': -1, 'job-type': 'STREAMING' })
    expect(job['status-counts']).toMatchObject({ RUNNING: 4, FAILED: 0 })
    expect(source).toMatchObject({ parallelism: 2, status: 'RUNNING', tasks: { RUNNING: 2 }, metrics: { 'read-records': 0, 'read-records-complete': false } })
    expect(job.plan.nodes).toMatchObject([{ id: source?.id }, { id: counter?.id, inputs: [{ num: 0, id: source?.id, ship_strategy: 'HASH', exchange: 'pipelined_bounded' }] }])
    expect(await client.jobPlan(jobid)).toEqual({ plan: job.plan })
    expect(await client.vertex(jobid, source?.id as string)).toMatchObject({ subtasks: [{ subtask: 0, status: 'RUNNING', attempt: 1, 'taskmanager-id': 'a' }, { subtask: 1 }] })
    expect((await client.jobsOverview()).jobs).toMatchObject([{ jid: jobid, state: 'RUNNING', tasks: { total: 4, running: 4, finished: 0, reconciling: 0 } }])
    expect(await client.jobConfig(jobid)).toMatchObject({ 'execution-config': { 'restart-strategy': 'exponential-delay', 'job-parallelism': 2 } })
  })

  test('checkpoints', async () => {
    cluster.connect('a', 2)
    const { jobid } = await submit()
    cluster.pass(2000)
    const checkpoints = await client.checkpoints(jobid)
    expect(checkpoints.counts).toEqual({ restored: 0, total: 2, in_progress: 0, completed: 2, failed: 0 })
    expect(checkpoints.history.map(({ id, status, discarded }) => [id, status, discarded])).toEqual([[2, 'COMPLETED', false], [1, 'COMPLETED', true]])
    expect(await client.checkpoint(jobid, 2)).toMatchObject({
      className: 'completed', checkpoint_type: 'CHECKPOINT', is_savepoint: false, num_subtasks: 4, num_acknowledged_subtasks: 4,
      external_path: `${project}/.flink-ts/checkpoints/${jobid}/chk-2`,
    })
    expect(await client.checkpointConfig(jobid)).toMatchObject({ mode: 'exactly_once', interval: 1000, externalization: { enabled: true, delete_on_cancellation: true } })
    const { 'request-id': trigger } = await client.triggerCheckpoint(jobid)
    expect(await client.checkpointResult(jobid, trigger)).toMatchObject({ status: { id: 'COMPLETED' }, operation: { checkpointId: 3 } })
    expect(await client.jobMetrics(jobid, 'lastCompletedCheckpointId', 'nothing')).toEqual([{ id: 'lastCompletedCheckpointId', value: '3' }])
  })

  test('metrics, watermarks and back pressure', async () => {
    const a = cluster.connect('a', 2)
    const { jobid } = await submit()
    const vertex = cluster.graph().vertices[1]?.id as string
    const report = (at: number, part: number) =>
      a.say({
        kind: 'metrics', fence: { epoch: 1, attempt: 1 }, jobId: jobid, at,
        tasks: [{
          task: { vertex: 1, subtask: 0 }, recordsIn: 500 * part, recordsOut: 100 * part, bytesIn: 0, bytesOut: 0, busyMs: 300 * part, idleMs: 100 * part, backPressuredMs: 600 * part,
          currentInputWatermark: -Infinity, currentOutputWatermark: Infinity, lateRecordsDropped: 0, stateBytes: 0, stateEvictions: 0, stateLoads: 0, pendingCommittables: 0,
        }],
      })
    report(cluster.now, 1)
    report(cluster.now + 1000, 2)
    expect(await client.watermarks(jobid, vertex)).toEqual([{ id: '0.currentInputWatermark', value: '-9223372036854775808' }])
    expect(await client.backPressure(jobid, vertex)).toMatchObject({ status: 'ok', backpressureLevel: 'high', subtasks: [{ ratio: 0.6, idleRatio: 0.1, busyRatio: 0.3 }, { backpressureLevel: 'ok' }] })
    expect(await client.vertexMetrics(jobid, vertex, '0.numRecordsInPerSecond', '0.busyTimeMsPerSecond')).toEqual([{ id: '0.numRecordsInPerSecond', value: '500' }, { id: '0.busyTimeMsPerSecond', value: '300' }])
    expect(await client.vertexMetrics(jobid, vertex)).toContainEqual({ id: '0.numLateRecordsDropped' })
  })

  test('task managers', async () => {
    cluster.connect('tm-1', 2)
    expect(await client.taskManagers()).toMatchObject({ taskmanagers: [{ id: 'tm-1', slotsNumber: 2, freeSlots: 2 }] })
    const { jobid } = await submit()
    expect(await client.taskManager('tm-1')).toMatchObject({ freeSlots: 0, allocatedSlots: [{ index: 0, jobId: jobid }, { index: 1, jobId: jobid }] })
  })

  test("times are whole numbers, as Flink's clients expect, whatever the clock gives", async () => {
    cluster.now += 0.75
    cluster.connect('a', 2)
    const { jobid } = await submit()
    const job = await client.job(jobid)
    expect([job.now, job['start-time'], job.duration, job.timestamps.RUNNING, job.vertices[0]?.['start-time']].map(Number.isInteger)).toEqual([true, true, true, true, true])
  })

  test('/v1 may be left out', async () => {
    expect((await raw('GET', '/config')).body).toEqual((await raw('GET', '/v1/config')).body)
  })
})

describe('what is refused', () => {
  const id = 'a'.repeat(32)
  test.each([
    ['GET', '/nothing', undefined, 404],
    ['GET', `/jobs/${id}`, undefined, 404],
    ['GET', `/jobs/${id}/checkpoints/${id}`, undefined, 404],
    ['GET', '/jobs/..%2f..%2fetc%2fpasswd', undefined, 404],
    ['GET', `/jobs/${id.toUpperCase()}`, undefined, 404],
    ['GET', '/jobs/%00', undefined, 404],
    ['PUT', '/jobs', undefined, 405],
    ['DELETE', '/overview', undefined, 405],
    ['POST', '/jobs', 'no json', 400],
    ['POST', '/jobs', '[]', 400],
    ['POST', '/jobs', '{"jobGraph":{}}', 400],
    ['GET', '/flink-ts/events?from=-1', undefined, 400],
  ])('%s %s', async (method, path, body, status) => {
    const answer = await raw(method, path, body)
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.body)).toHaveProperty('errors')
  })

  test('a body that is too long, said or not', async () => {
    cluster.connect('a', 2)
    const { jobid } = await submit()
    const long = JSON.stringify({ 'target-directory': 'x'.repeat(1024 * 1024) })
    expect((await raw('POST', `/jobs/${jobid}/savepoints`, long)).status).toBe(413)
    expect((await raw('POST', `/jobs/${jobid}/savepoints`, long, { 'transfer-encoding': 'chunked' })).status).toBe(413)
  })

  test('whoever has no token, where there is one', async () => {
    server.close()
    server = await listenForRest(socket, () => createRestServer(cluster.manager, { token: 'secret', onBug: () => {} }))
    await expect(client.jobs()).rejects.toThrow('a bearer token is needed')
    await expect(new RestClient(socket, 'guess').jobs()).rejects.toThrow('a bearer token is needed')
    expect(await new RestClient(socket, 'secret').jobs()).toEqual({ jobs: [] })
  })

  test('errors come back as they were thrown', async () => {
    await expect(client.job(id)).rejects.toMatchObject({ code: 'JOB_NOT_FOUND', hint: 'See `flink-ts list` for the jobs of this project.' })
    await expect(new RestClient(join(directory, 'nobody')).jobs()).rejects.toMatchObject({ code: 'NO_CLUSTER' })
  })
})

describe('events', () => {
  const collect = async (from: number, until: (event: RuntimeEvent) => boolean) => {
    const seen: RuntimeEvent[] = []
    for await (const event of client.events(from, AbortSignal.timeout(20_000))) {
      seen.push(event)
      if (until(event)) break
    }
    return seen
  }

  test('what was and what comes, in order, values as they were', async () => {
    const a = cluster.connect('a', 2)
    const { jobid } = await submit()
    const value = { at: new Date(5), big: 2n ** 70n, nan: NaN, zero: -0, missing: undefined, map: new Map([[1, new Set(['x'])]]), bytes: new Uint8Array([1, 2]), $: 'mine' }
    const watching = collect(0, event => event.kind === 'collected')
    a.say({ kind: 'collect', fence: { epoch: 1, attempt: 1 }, jobId: jobid, operatorId: 'o', subtask: 0, value })
    const seen = await watching
    expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_, index) => index))
    expect(seen.slice(0, 4).map(({ kind }) => kind)).toEqual(['clusterStarted', 'taskManagerRegistered', 'jobSubmitted', 'jobStatus'])
    expect(seen.at(-1)).toMatchObject({ kind: 'collected', value })
  })

  test('from a number on', async () => {
    cluster.connect('a')
    expect((await collect(1, () => true)).map(({ kind, sequence }) => [kind, sequence])).toEqual([['taskManagerRegistered', 1]])
  })

  test('a reader that does not read holds nothing but its socket, and is told what it missed', async () => {
    const stuck = connect(socket)
    stuck.write('GET /flink-ts/events?from=0 HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise(resolve => stuck.once('readable', resolve))
    const text = 'x'.repeat(10_000)
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < 1000; i++) cluster.journal.append(0, { kind: 'output', jobId: undefined, stream: 'stdout', text })
      await new Promise(resolve => setImmediate(resolve))
    }
    // 300 MB went by; the reader comes back to life and hears of the gap.
    let received = ''
    await new Promise<void>(resolve => {
      stuck.on('data', chunk => {
        received += chunk.toString('latin1')
        if (received.includes('"kind":"missed"')) resolve()
        received = received.slice(-100)
      })
    })
    stuck.destroy()
  })
})

test('its server is made for the first that connects, and ends with the connections it has', async () => {
  let made = 0
  server.close()
  server = await listenForRest(socket, () => {
    made++
    return createRestServer(cluster.manager, { token: undefined, onBug: () => {} })
  })
  expect(made).toBe(0)
  const waiting = client.events(0)[Symbol.asyncIterator]()
  expect((await waiting.next()).value).toMatchObject({ kind: 'clusterStarted' })
  expect(await client.jobs()).toEqual({ jobs: [] })
  expect(made).toBe(1)
  const lost = expect(waiting.next()).rejects.toMatchObject({ code: 'NO_CLUSTER' })
  server.close()
  await lost
  await expect(client.jobs()).rejects.toMatchObject({ code: 'NO_CLUSTER' })
})

test('the journal is a ring that says what it lost', () => {
  const journal = new EventJournal(3)
  for (let i = 0; i < 5; i++) journal.append(i, { kind: 'log', level: 'info', message: String(i) })
  expect(journal.read(0, 10).map(event => (event.kind === 'log' ? event.message : `missed ${(event as { events: number }).events}`))).toEqual(['missed 2', '2', '3', '4'])
  expect(journal.read(3, 1).map(({ sequence }) => sequence)).toEqual([3])
  expect(journal.read(5, 10)).toEqual([])
})
