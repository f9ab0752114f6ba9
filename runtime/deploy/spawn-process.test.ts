import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { processesNaming } from '../../fixtures/harness/processes.ts'
import { childEnvironment } from './child-environment.ts'
import { identityOf, isAlive, type ProcessIdentity } from './process-identity.ts'
import type { SpawnRequest } from './spawn-process.ts'

let project: string
const started: ProcessIdentity[] = []

beforeEach(() => {
  project = mkdtempSync(join(realpathSync(tmpdir()), 'flink-ts-ahead-'))
  mkdirSync(join(project, '.flink-ts/logs'), { recursive: true })
})
afterEach(() => {
  for (const each of started.splice(0)) if (isAlive(each)) process.kill(each.pid, 'SIGKILL')
  rmSync(project, { recursive: true, force: true })
})

/** As in a process of its own. */
async function fresh() {
  vi.resetModules()
  return import('./spawn-process.ts')
}
function remember(pid: number | undefined): ProcessIdentity {
  const identity = identityOf(pid ?? 0)!
  started.push(identity)
  return identity
}
const request = (clusterId: string, environment = childEnvironment(process.env)): SpawnRequest => ({
  name: 'jobmanager', entry: 'job-manager', clusterId, projectDirectory: project, logFile: join(project, '.flink-ts/logs/jobmanager.log'), environment,
})
/** All that is waited for here happens; the test runner's time limit is for when it does not. */
async function gone(identity: ProcessIdentity): Promise<void> {
  while (isAlive(identity)) await pause(10)
}

test('the JobManager that was started ahead is the one of the cluster', async () => {
  const { spawnJobManagerAhead, clusterIdAhead, spawnProcess } = await fresh()
  spawnJobManagerAhead(project)
  const clusterId = clusterIdAhead()!
  const { process: child } = spawnProcess(request(clusterId))
  remember(child.pid)
  expect(child.spawnargs).toEqual(expect.arrayContaining(['--cluster', clusterId, '--id', 'jobmanager']))
  expect(clusterIdAhead()).toBeUndefined()
  const other = spawnProcess(request(clusterId)).process
  expect(remember(other.pid).pid).not.toBe(child.pid)
})

test('one that is not what is wanted is replaced', async () => {
  const { spawnJobManagerAhead, clusterIdAhead, spawnProcess } = await fresh()
  spawnJobManagerAhead(project)
  const ahead = remember(processesNaming(clusterIdAhead()!)[0]?.pid)
  const { process: child } = spawnProcess(request(clusterIdAhead()!, { ...childEnvironment(process.env), SECRET: 'passed by name' }))
  expect(remember(child.pid).pid).not.toBe(ahead.pid)
  await gone(ahead)
})

test('a TaskManager is never taken for it', async () => {
  const { spawnJobManagerAhead, clusterIdAhead, spawnProcess } = await fresh()
  spawnJobManagerAhead(project)
  const clusterId = clusterIdAhead()!
  remember(spawnProcess({ ...request(clusterId), entry: 'task-manager', name: 'tm-1' }).process.pid)
  expect(clusterIdAhead()).toBe(clusterId)
  remember(spawnProcess(request(clusterId)).process.pid)
})

test('in a project without a folder for logs none is started, and nothing is made', async () => {
  rmSync(join(project, '.flink-ts'), { recursive: true })
  const { spawnJobManagerAhead, clusterIdAhead } = await fresh()
  spawnJobManagerAhead(project)
  expect(clusterIdAhead()).toBeUndefined()
})

test.each([
  ['comes to its end', ''],
  ['exits', 'process.exit(2)'],
  ['is killed', "process.kill(process.pid, 'SIGKILL')"],
])('when the command line %s without a cluster, the process is gone', async (_how, end) => {
  const script = `
    const { spawnJobManagerAhead, clusterIdAhead } = await import(${JSON.stringify(new URL('./spawn-process.ts', import.meta.url).href)})
    spawnJobManagerAhead(${JSON.stringify(project)})
    process.stdout.write(clusterIdAhead() + '\\n', () => { ${end} })`
  const root = spawn(process.execPath, ['--conditions=flink-ts-source', '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let clusterId = ''
  for await (const text of root.stdout.setEncoding('utf8')) clusterId += text as string
  expect(clusterId.trim()).toMatch(/^[0-9a-f]{32}$/)
  while (processesNaming(clusterId.trim()).length > 0) await pause(10)
})
