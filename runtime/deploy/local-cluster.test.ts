/**
 * Real processes, run from the sources. Nothing here sleeps: every wait ends with an event or when a process is gone.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defaultJobConfig, type JobConfig } from '../graph/config.ts'
import { translate } from '../graph/translate.ts'
import type { RuntimeEvent } from '../metrics/event.ts'
import { projectDirectories, readClusterFile } from './cluster-directory.ts'
import { findCluster, startLocalCluster, type LocalCluster, type LocalClusterOptions } from './local-cluster.ts'
import { identityOf, isAlive } from './process-identity.ts'
import { RestClient } from './rest-client.ts'
import { loadJobDefinition } from './user-code.ts'
import { watchEvents } from './watch-events.ts'

const api = new URL('../index.ts', import.meta.url).href
const datagen = new URL('../connectors/datagen.ts', import.meta.url).href
let project: string
let sockets: string
let cluster: LocalCluster | undefined
const roots: ChildProcess[] = []
const pids = new Set<number>()

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'flink-ts-cluster-'))
  sockets = mkdtempSync('/tmp/ft-')
  process.env['FLINK_TS_RUN_DIR'] = sockets
})
afterEach(() => {
  cluster?.kill()
  cluster = undefined
  for (const root of roots.splice(0)) root.kill('SIGKILL')
  for (const pid of pids) {
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {}
  }
  pids.clear()
  delete process.env['FLINK_TS_RUN_DIR']
  for (const directory of [project, sockets]) rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
})

function start(options: Partial<LocalClusterOptions> = {}): LocalCluster {
  cluster = startLocalCluster({ projectDirectory: project, taskManagers: 1, slotsPerTaskManager: 1, detached: false, cancelGraceMs: 500, ...options })
  cluster.onProcessEvent(event => event.kind === 'started' && pids.add(event.pid))
  for (const pid of cluster.processes().values()) pids.add(pid)
  return cluster
}

/** Writes a job whose pipeline is `body`, submits it and gives its events as they come. */
async function submit(body: string, target: { restSocket: string; token: string }, config: Partial<JobConfig> = {}) {
  const bundlePath = join(project, 'job.mjs')
  writeFileSync(bundlePath, `import { job } from ${JSON.stringify(api)}
import { generatorSource } from ${JSON.stringify(datagen)}
import { execSync } from 'node:child_process'
export default job('test', env => { ${body} })
`)
  const jobGraph = translate(await loadJobDefinition(bundlePath, {}, String(Math.random())), { ...defaultJobConfig, ...config })
  const client = new RestClient(target.restSocket, target.token)
  const { jobid } = await client.submit({ jobGraph, bundlePath, projectDirectory: project })
  return { client, jobId: jobid, events: watch(client) }
}

/** All events so far, and a way to wait for one. */
function watch(client: RestClient) {
  const seen: RuntimeEvent[] = []
  let wake = () => {}
  void (async () => {
    for await (const event of client.events(0)) {
      seen.push(event)
      wake()
    }
  })().catch(() => {})
  return {
    seen,
    async until(what: (event: RuntimeEvent) => boolean): Promise<RuntimeEvent> {
      for (let at = 0; ; ) {
        for (; at < seen.length; at++) if (what(seen[at] as RuntimeEvent)) return seen[at] as RuntimeEvent
        await new Promise<void>(resolve => (wake = resolve))
      }
    },
    output: () => seen.flatMap(event => (event.kind === 'output' ? event.text.split('\n') : [])),
  }
}
const over = (event: RuntimeEvent) => event.kind === 'jobStatus' && ['FINISHED', 'FAILED', 'CANCELED'].includes(event.status)
const printed = (text: string) => (event: RuntimeEvent) => event.kind === 'output' && event.text.includes(text)

/** Looks until a condition holds; the test's own time limit is the bound. */
async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 10))
}
const gone = (pid: number) => identityOf(pid) === undefined

function leavings(): string[] {
  const { root, logs: _, ...rest } = projectDirectories(project)
  return [...readdirSync(root).filter(name => /lock|cluster/.test(name)), ...readdirSync(rest.state), ...readdirSync(sockets)]
}

const endless = `env.fromSource(generatorSource({ count: 1e9, ratePerSecond: 1000, generate: i => i }))`

describe('an attached cluster', () => {
  test('runs a job over several processes, shows what it prints, and leaves nothing', async () => {
    const running = start({ taskManagers: 2 })
    await running.ready
    expect(findCluster(project)).toMatchObject({ clusterId: running.clusterId, rootPid: process.pid, restSocket: running.restSocket, detached: false })
    const { events } = await submit(
      `env.fromData(['to be or', 'not to be']).flatMap(line => line.split(' ')).map(word => { console.log('saw', word); return { word, count: 1 } }).keyBy('word').sum('count').print()`,
      running, { parallelism: 2 },
    )
    expect(await events.until(over)).toMatchObject({ status: 'FINISHED' })
    const lines = events.output().map(line => line.replace(/^.*?> /, '')).sort()
    expect(lines.filter(line => line.startsWith('{'))).toEqual([
      '{"word":"be","count":1}', '{"word":"be","count":2}', '{"word":"not","count":1}', '{"word":"or","count":1}', '{"word":"to","count":1}', '{"word":"to","count":2}',
    ])
    const saw = events.output().filter(line => line.includes('saw'))
    expect(saw.map(line => line.replace(/^\[[\w >-]+ \([12]\/2\)\] /, '')).sort()).toEqual(['saw be', 'saw be', 'saw not', 'saw or', 'saw to', 'saw to'])
    const processes = [...running.processes().values()]
    await running.stop(10_000)
    await eventually(() => processes.every(gone))
    expect([processes.length, processes.every(gone), leavings(), findCluster(project)]).toEqual([3, true, [], undefined])
  })

  test('tells its children the token through a pipe only, and gives them no more of the environment than is allowed', async () => {
    process.env['AWS_SECRET_ACCESS_KEY'] = 'canary-1'
    process.env['NAMED_SECRET'] = 'canary-2'
    try {
      const running = start({ passEnvironment: ['NAMED_SECRET'] })
      await running.ready
      for (const pid of running.processes().values()) {
        const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readFileSync(`/proc/${pid}/environ`, 'utf8')
        expect([text.includes(running.clusterId), text.includes(running.token), text.includes('canary-1'), text.includes('canary-2')]).toEqual([true, false, false, true])
      }
    } finally {
      delete process.env['AWS_SECRET_ACCESS_KEY']
      delete process.env['NAMED_SECRET']
    }
  })

  test('refuses a second run in the same project, naming the first', async () => {
    start()
    expect(() => startLocalCluster({ projectDirectory: project, taskManagers: 1, slotsPerTaskManager: 1, detached: false })).toThrow(
      expect.objectContaining({ code: 'PROJECT_BUSY', message: `the project is in use by process ${process.pid}` }),
    )
  })

  test('goes on after a TaskManager was killed', async () => {
    const running = start()
    await running.ready
    const { events } = await submit(`${endless}.map(i => { if (i === 0) console.log('began'); return i }).filter(() => false).print()`, running, checkpointed)
    await events.until(printed('began'))
    await events.until(event => event.kind === 'checkpointCompleted')
    process.kill(running.processes().get('tm-1') as number, 'SIGKILL')
    await events.until(event => event.kind === 'taskManagerLost')
    expect(await events.until(event => event.kind === 'jobRestored')).toMatchObject({ attempt: 2 })
    expect([...running.processes().keys()].sort()).toEqual(['jobmanager', 'tm-2'])
  })

  test('a process that stands by is no TaskManager until it takes the place of one that was killed', async () => {
    const running = start({ standbyAfterMs: 0 })
    const told: string[] = []
    running.onProcessEvent(event => told.push('standsBy' in event && event.standsBy ? `${event.process} stands by` : `${event.process} ${event.kind}`))
    await running.ready
    const { client, events } = await submit(`${endless}.map(i => { if (i === 0) console.log('began'); return i }).filter(() => false).print()`, running, checkpointed)
    await events.until(printed('began'))
    await events.until(event => event.kind === 'checkpointCompleted')
    const standby = running.processes().get('tm-2')
    const registered = () => events.seen.flatMap(event => (event.kind === 'taskManagerRegistered' ? [[event.taskManager, event.pid]] : []))
    expect(registered()).toEqual([['tm-1', running.processes().get('tm-1')]])
    expect(await client.overview()).toMatchObject({ taskmanagers: 1, 'slots-total': 1, standby: { id: 'tm-2', pid: standby } })
    const first = registered()
    process.kill(running.processes().get('tm-1') as number, 'SIGKILL')
    expect(await events.until(event => event.kind === 'jobRestored')).toMatchObject({ attempt: 2 })
    expect(registered()).toEqual([...first, ['tm-2', standby]])
    await eventually(() => told.includes('tm-3 stands by'))
    expect(told.filter(each => /tm-/.test(each))).toEqual(['tm-1 ended', 'tm-2 tookOver', 'tm-3 stands by'])
    const standing = () => events.seen.flatMap(event => (event.kind === 'standby' ? [event.process?.id] : []))
    await events.until(event => event.kind === 'standby' && event.process?.id === 'tm-3')
    expect(standing()).toEqual(['tm-2', undefined, 'tm-3'])
  })

  test('a process that dies while it stands by is not missed', async () => {
    const running = start({ standbyAfterMs: 0 })
    await running.ready
    const { events } = await submit(`${endless}.map(i => { if (i === 0) console.log('began'); return i }).filter(() => false).print()`, running, checkpointed)
    await events.until(printed('began'))
    process.kill(running.processes().get('tm-2') as number, 'SIGKILL')
    await eventually(() => running.processes().has('tm-3'))
    await events.until(event => event.kind === 'checkpointCompleted')
    expect(events.seen.filter(event => event.kind === 'taskManagerLost' || event.kind === 'restartScheduled')).toEqual([])
    expect([...running.processes().keys()].sort()).toEqual(['jobmanager', 'tm-1', 'tm-3'])
  })

  test('says what a TaskManager died of, where nothing brings the job back', async () => {
    const running = start()
    await running.ready
    const { events } = await submit(`${endless}.map(i => { if (i === 0) console.log('began'); return i }).filter(() => false).print()`, running)
    await events.until(printed('began'))
    process.kill(running.processes().get('tm-1') as number, 'SIGKILL')
    expect(await events.until(over)).toMatchObject({ status: 'FAILED', error: { code: 'PROCESS_LOST', message: 'tm-1 ended unexpectedly (SIGKILL)', detail: expect.stringContaining('tm-1.log') } })
  })

  test('a TaskManager whose heap is full is no accident: the restart is not immediate', async () => {
    process.env['NODE_OPTIONS'] = '--max-old-space-size=60'
    try {
      const running = start({ passEnvironment: ['NODE_OPTIONS'] })
      await running.ready
      const { events } = await submit(`const kept = []; ${endless}.map(i => { kept.push(Array.from({ length: 1e5 }, (_, n) => ({ n }))); return i }).filter(() => false).print()`, running, checkpointed)
      expect(await events.until(event => event.kind === 'restartScheduled')).toMatchObject({ cause: { code: 'OUT_OF_MEMORY' }, delayMs: expect.toSatisfy((delay: number) => delay > 0) })
    } finally {
      delete process.env['NODE_OPTIONS']
    }
  })

  test('goes on after the JobManager was killed: a new one with the next epoch takes the job from its last checkpoint', async () => {
    const running = start()
    await running.ready
    const first = await submit(`${endless}.filter(() => false).print()`, running, checkpointed)
    await first.events.until(event => event.kind === 'checkpointCompleted')
    const restarted = new Promise<void>(resolve => running.onProcessEvent(event => event.kind === 'ready' && resolve()))
    process.kill(running.processes().get('jobmanager') as number, 'SIGKILL')
    await restarted
    const events = watch(first.client)
    expect(await events.until(event => event.kind === 'clusterStarted')).toMatchObject({ epoch: 2 })
    expect(await events.until(event => event.kind === 'jobRestored')).toMatchObject({ jobId: first.jobId })
    // The same TaskManager serves the new one.
    expect([...running.processes().keys()].sort()).toEqual(['jobmanager', 'tm-1'])
  })
})

const checkpointed: Partial<JobConfig> = { checkpointing: { ...defaultJobConfig.checkpointing, interval: 50 } }

describe('user code', () => {
  test.each([
    ['throws in a callback of its own', `setImmediate(() => { throw new Error('out of nowhere') })`, 'USER_CODE_FAILED', /uncaught error: out of nowhere/],
    ['forgets a promise', `Promise.reject(new Error('nobody looked'))`, 'USER_CODE_FAILED', /unhandled rejection: nobody looked/],
    ['calls process.exit', `process.exit(3)`, 'USER_CODE_FAILED', /process\.exit\(3\)/],
    ['throws', `throw new Error('as usual')`, 'USER_CODE_FAILED', /as usual/],
  ])('that %s fails its job and not its process', async (_name, code, errorCode, message) => {
    const running = start()
    await running.ready
    const { events } = await submit(`${endless}.map(i => { if (i === 3) { ${code} } return i }).print()`, running)
    expect(await events.until(over)).toMatchObject({ status: 'FAILED', error: { code: errorCode, message: expect.stringMatching(message) } })
    expect([...running.processes().keys()].sort()).toEqual(['jobmanager', 'tm-1'])
  })

  test.each([
    ['spins', `while (true) {}`],
    ['sits in a blocking call', `execSync('sleep 1000')`],
  ])('that %s when the job is cancelled costs its TaskManager', async (_name, code) => {
    const running = start()
    await running.ready
    const { events, client, jobId } = await submit(`${endless}.map(i => { if (i === 3) { setImmediate(() => { console.log('stuck'); ${code} }) } return i }).filter(() => false).print()`, running)
    await events.until(printed('stuck'))
    await client.cancel(jobId)
    expect(await events.until(over)).toMatchObject({ status: 'CANCELED' })
    await eventually(() => running.processes().has('tm-2'))
    expect(events.seen.some(event => event.kind === 'taskManagerLost')).toBe(true)
  })

  test('that takes more memory than allowed fails the job with OUT_OF_MEMORY', async () => {
    const running = start({ memoryLimit: 400 * 1024 * 1024 })
    await running.ready
    const { events } = await submit(`const kept = []; ${endless}.map(i => { kept.push(new Uint8Array(4e6).fill(1)); return i }).filter(() => false).print()`, running)
    expect(await events.until(over)).toMatchObject({ status: 'FAILED', error: { code: 'OUT_OF_MEMORY' } })
  })
})

/** A root of its own: a process that starts a cluster, says what it started, and waits. */
async function startRoot(options: Partial<LocalClusterOptions>): Promise<{ root: ChildProcess; restSocket: string; token: string; processes: number[] }> {
  const script = `
    import { startLocalCluster } from ${JSON.stringify(new URL('./local-cluster.ts', import.meta.url).href)}
    const cluster = startLocalCluster(${JSON.stringify({ projectDirectory: project, taskManagers: 1, slotsPerTaskManager: 1, detached: false, ...options })})
    await cluster.ready
    console.log(JSON.stringify({ restSocket: cluster.restSocket, token: cluster.token, processes: [...cluster.processes().values()] }))
    if (${options.detached === true}) await cluster.stop(0)
    else setInterval(() => {}, 1000)
  `
  const root = spawn(process.execPath, ['--conditions=flink-ts-source', '--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'],
  })
  roots.push(root)
  let text = ''
  for await (const chunk of root.stdout) {
    text += String(chunk)
    if (text.includes('\n')) break
  }
  const told = JSON.parse(text) as { restSocket: string; token: string; processes: number[] }
  for (const pid of told.processes) pids.add(pid)
  return { root, ...told }
}

test('when the root is killed everything is gone, spinning user code and its children included', async () => {
  const { root, restSocket, token, processes } = await startRoot({})
  const { events } = await submit(
    `${endless}.map(i => { if (i === 3) { setImmediate(() => { console.log('stuck'); while (true) {} }) } return i }).filter(() => false).print()`, { restSocket, token },
  )
  await events.until(printed('stuck'))
  root.kill('SIGKILL')
  await eventually(() => processes.every(gone))
  await eventually(() => leavings().length === 0)
  // And the project is free again.
  await start().ready
})

test('a detached cluster outlives who started it, replaces its TaskManagers, and ends when it is asked to', async () => {
  const { root, restSocket, token, processes } = await startRoot({ detached: true })
  await new Promise(resolve => root.on('exit', resolve))
  const [jobManager] = processes as [number]
  const info = findCluster(project)
  expect(info).toMatchObject({ restSocket, token, rootPid: jobManager, detached: true })
  expect(() => start()).toThrow(`the project is in use by process ${jobManager}`)
  const client = new RestClient(restSocket, token)
  const events = watch(client)
  const taskManager = await events.until(event => event.kind === 'taskManagerRegistered')
  process.kill((taskManager as { pid: number }).pid, 'SIGKILL')
  const second = await events.until(event => event.kind === 'taskManagerRegistered' && event.taskManager === 'tm-2')
  await client.shutdownCluster()
  await eventually(() => gone(jobManager) && gone((second as { pid: number }).pid))
  expect([leavings(), findCluster(project)]).toEqual([[], undefined])
})

test('when the root of a detached cluster is killed, its TaskManagers go and clean up after it', async () => {
  const { restSocket, token, processes } = await startRoot({ detached: true })
  const [jobManager] = processes as [number]
  const taskManager = await watch(new RestClient(restSocket, token)).until(event => event.kind === 'taskManagerRegistered')
  process.kill(jobManager, 'SIGKILL')
  await eventually(() => gone((taskManager as { pid: number }).pid))
  expect(findCluster(project)).toBeUndefined()
  // What the dead root could not remove itself is gone with the next start.
  const running = start()
  await running.ready
  expect(isAlive(readClusterFile(projectDirectories(project))!.root)).toBe(true)
  await running.stop(10_000)
  expect([leavings(), existsSync(running.restSocket)]).toEqual([[], false])
})

describe('a job is built by the JobManager', () => {
  /** A module that does `top` when it is loaded, before it exports its job. */
  const request = (top: string) => {
    const bundlePath = join(project, 'job.mjs')
    writeFileSync(bundlePath, `import { job } from ${JSON.stringify(api)}
import { existsSync, writeFileSync } from 'node:fs'
${top}
export default job('test', env => { env.fromData([1]).print() })
`)
    return { bundlePath, jobFile: 'src/job.ts', config: defaultJobConfig }
  }
  const forever = new AbortController().signal

  test('before it is ready already; what the module prints is handed on', async () => {
    const printed: string[] = []
    const answer = await start().compile(request(`console.log('hello')`), text => printed.push(text), forever)
    expect(answer).toMatchObject({ kind: 'compiled', graph: { name: 'test' } })
    expect(printed.join('')).toBe('hello\n')
  })

  test('and run as it was built; whoever has its token may watch', async () => {
    const running = start()
    const built = request('')
    await running.compile(built, () => {}, forever)
    await running.ready
    expect(await running.submitBuilt({ bundlePath: join(project, 'another.mjs'), projectDirectory: project })).toBeUndefined()
    const jobId = await running.submitBuilt({ bundlePath: built.bundlePath, projectDirectory: project })
    const seen: RuntimeEvent[] = []
    for await (const event of running.events(0, forever)) {
      seen.push(event)
      if (over(event)) break
    }
    expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_, index) => index))
    expect(seen.at(-1)).toMatchObject({ jobId, status: 'FINISHED' })
    expect(seen.some(printed('1'))).toBe(true)
    for await (const event of running.events(seen.length - 1, forever)) {
      expect(event).toEqual(seen.at(-1))
      break
    }
    const strangers = watchEvents(running.restSocket.replace(/rest$/, 'jm'), '0'.repeat(64), 0, forever)
    await expect(strangers[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'NO_CLUSTER' })
  })

  test('what is wrong with it is told; a JobManager that ends over it does not answer', async () => {
    const running = start()
    const built = request('')
    await running.compile(built, () => {}, forever)
    await running.ready
    const wrong = { bundlePath: built.bundlePath, projectDirectory: project, jobId: 'mine' }
    await expect(running.submitBuilt(wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION', message: '"mine" is not a job id: 32 lower-case hex digits' })
    const watching = running.events(0, forever)[Symbol.asyncIterator]()
    await watching.next()
    process.kill(running.processes().get('jobmanager')!, 'SIGKILL')
    await expect(running.submitBuilt({ ...wrong, jobId: '0'.repeat(32) })).rejects.toMatchObject({ code: 'NO_CLUSTER' })
    await expect((async () => { for (;;) await watching.next() })()).rejects.toMatchObject({ code: 'NO_CLUSTER' })
  })

  test('one that is lost over it is asked again', async () => {
    const marker = join(project, 'was here')
    const answer = await start().compile(request(`if (!existsSync(${JSON.stringify(marker)})) { writeFileSync(${JSON.stringify(marker)}, ''); process.kill(process.pid, 'SIGKILL') }`), () => {}, forever)
    expect(answer).toMatchObject({ kind: 'compiled' })
  })

  test('a module that ends it each time is told as what it is', async () => {
    await expect(start().compile(request(`process.kill(process.pid, 'SIGKILL')`), () => {}, forever)).rejects.toMatchObject({ code: 'PROCESS_LOST' })
  })

  test('a module that never ends is given up', async () => {
    const giveUp = new AbortController()
    const answer = start().compile(request(`console.log('looping'); await new Promise(() => {})`), () => giveUp.abort(new Error('enough')), giveUp.signal)
    await expect(answer).rejects.toThrow('enough')
  })
})
