import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  createProjectDirectories, createSocketDirectory, lockProject, maxSocketPathBytes, newClusterId, projectDirectories, readClusterFile, removeClusterFiles,
  removeSocketDirectory, writeClusterFile, type ProjectDirectories,
} from './cluster-directory.ts'
import { findCluster } from './local-cluster.ts'
import { identityOf, isAlive, ownIdentity, signal } from './process-identity.ts'

let base: string
let directories: ProjectDirectories
beforeEach(() => {
  base = mkdtempSync('/tmp/ft-')
  directories = createProjectDirectories(mkdtempSync(join(tmpdir(), 'flink-ts-project-')))
})
afterEach(() => {
  for (const directory of [base, join(directories.root, '..')]) rmSync(directory, { recursive: true, force: true })
})
/** A process that is over. */
const dead = () => ({ pid: spawnSync(process.execPath, ['-e', '']).pid, startTime: '1' })

describe('the directory of sockets', () => {
  test('is new each time, and for its owner only', () => {
    const [a, b] = [createSocketDirectory({ FLINK_TS_RUN_DIR: base }), createSocketDirectory({ FLINK_TS_RUN_DIR: base })]
    expect([a.path === b.path, lstatSync(a.path).mode & 0o777]).toEqual([false, 0o700])
    expect(a.data('tm-1', 3).slice(a.path.length)).toBe('/tm-1-3')
  })

  test('lies under $FLINK_TS_RUN_DIR, else under $XDG_RUNTIME_DIR, else in /tmp', () => {
    const paths = [createSocketDirectory({ FLINK_TS_RUN_DIR: base, XDG_RUNTIME_DIR: '/nowhere' }), createSocketDirectory({ XDG_RUNTIME_DIR: base }), createSocketDirectory({ XDG_RUNTIME_DIR: '/nowhere' })]
    const parents = paths.map(({ path }) => path.replace(/\/[0-9a-f]{8}$/, ''))
    expect(parents).toEqual([base, join(base, 'flink-ts'), `/tmp/flink-ts-${process.getuid?.()}`])
    for (const { path } of paths) removeSocketDirectory(path)
  })

  test.each([
    ['a link', (path: string) => symlinkSync(base, path), 'it is not a plain directory'],
    ['a directory that others may write to', (path: string) => { mkdirSync(path); chmodSync(path, 0o777) }, 'others may write to it'],
  ])('is never made in %s', (_name, make, reason) => {
    const path = join(base, 'run')
    make(path)
    expect(() => createSocketDirectory({ FLINK_TS_RUN_DIR: path })).toThrow(expect.objectContaining({ code: 'STORAGE_FAILED', message: expect.stringContaining(reason) }))
  })

  test('is refused when a path in it could be longer than the system takes, before anything is started', () => {
    const suffix = '/00000000/tm999-99.0000.0000'.length + 1
    for (const bytes of [60, maxSocketPathBytes - suffix - 2, maxSocketPathBytes - suffix + 2, 104, 108, 200]) {
      const path = join(base, 'é'.repeat(2), 'x'.repeat(Math.max(1, bytes - Buffer.byteLength(join(base, 'é'.repeat(2))) - 1)))
      const attempt = () => createSocketDirectory({ FLINK_TS_RUN_DIR: path })
      if (bytes + suffix <= maxSocketPathBytes) expect(attempt().path.startsWith(path)).toBe(true)
      else expect(attempt).toThrow(expect.objectContaining({ code: 'SOCKET_PATH_TOO_LONG' }))
    }
  })

  test('is removed with its sockets, and nothing else ever is', async () => {
    const sockets = createSocketDirectory({ FLINK_TS_RUN_DIR: base })
    const server = createServer().listen(sockets.rest)
    await new Promise(resolve => server.once('listening', resolve))
    writeFileSync(join(sockets.path, 'precious'), 'x')
    removeSocketDirectory(sockets.path)
    expect(readdirSync(sockets.path)).toEqual(['precious'])
    server.close()
    rmSync(join(sockets.path, 'precious'))
    removeSocketDirectory(sockets.path)
    expect(existsSync(sockets.path)).toBe(false)
    // A cluster.json that came with a project may name any directory.
    const home = join(base, 'home')
    mkdirSync(home, { mode: 0o700 })
    removeSocketDirectory(home)
    expect(existsSync(home)).toBe(true)
  })
})

describe('the lock of a project', () => {
  const busy = (pid: number) => expect.objectContaining({ code: 'PROJECT_BUSY', message: `the project is in use by process ${pid}` })

  test('is held by one run at a time', () => {
    const lock = lockProject(directories, ownIdentity(), newClusterId())
    expect(() => lockProject(directories, ownIdentity(), newClusterId())).toThrow(busy(process.pid))
    lock.release()
    lockProject(directories, ownIdentity(), newClusterId()).release()
    expect(readdirSync(directories.root).filter(name => name.startsWith('lock'))).toEqual([])
  })

  test('of a dead process counts for nothing', () => {
    lockProject(directories, dead(), newClusterId())
    lockProject(directories, ownIdentity(), newClusterId()).release()
  })

  test('whose pid belongs to another process by now counts for nothing, and that process is never signalled', async () => {
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    const stale = { pid: stranger.pid as number, startTime: '1' }
    lockProject(directories, stale, newClusterId())
    lockProject(directories, ownIdentity(), newClusterId()).release()
    expect([signal(stale, 'SIGKILL'), isAlive(stale), identityOf(stale.pid)?.pid]).toEqual([false, false, stale.pid])
    const real = identityOf(stale.pid)
    expect(real !== undefined && signal(real, 'SIGKILL')).toBe(true)
    await new Promise(resolve => stranger.on('exit', resolve))
    expect(real !== undefined && isAlive(real)).toBe(false)
  })

  test('that is torn or empty counts for nothing', () => {
    for (const content of ['', '{"pid":', '[]', '{"pid":"1"}']) {
      writeFileSync(directories.lock, content)
      lockProject(directories, ownIdentity(), newClusterId()).release()
    }
  })

  test('is handed on whole', () => {
    const lock = lockProject(directories, dead(), newClusterId())
    lock.giveTo(ownIdentity())
    expect(() => lockProject(directories, ownIdentity(), newClusterId())).toThrow(busy(process.pid))
    lock.release()
    expect(existsSync(directories.lock)).toBe(false)
  })

  test('goes to exactly one of many that take over a stale one at once', async () => {
    const script = `
      import { lockProject, projectDirectories, newClusterId } from ${JSON.stringify(new URL('./cluster-directory.ts', import.meta.url).href)}
      import { ownIdentity } from ${JSON.stringify(new URL('./process-identity.ts', import.meta.url).href)}
      process.stdin.once('data', () => {
        try { lockProject(projectDirectories(${JSON.stringify(join(directories.root, '..'))}), ownIdentity(), newClusterId()); console.log('won') }
        catch (error) { console.log(error.code) }
        process.stdin.once('data', () => process.exit())
      })
      console.log('here')
    `
    lockProject(directories, dead(), newClusterId())
    const contenders = Array.from({ length: 6 }, () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
      const lines: string[] = []
      let wake = () => {}
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        lines.push(...text.trim().split('\n'))
        wake()
      })
      return { child, lines, until: async (count: number) => { while (lines.length < count) await new Promise<void>(resolve => (wake = resolve)) } }
    })
    await Promise.all(contenders.map(each => each.until(1)))
    for (const { child } of contenders) child.stdin.write('go\n')
    await Promise.all(contenders.map(each => each.until(2)))
    for (const { child } of contenders) child.stdin.write('end\n')
    expect(contenders.map(({ lines }) => lines[1]).sort()).toEqual([...Array.from({ length: 5 }, () => 'PROJECT_BUSY'), 'won'])
    await Promise.all(contenders.map(({ child }) => new Promise(resolve => child.on('exit', resolve))))
  })
})

describe('cluster.json', () => {
  const content = () => ({ clusterId: 'c', root: ownIdentity(), detached: false, restSocket: '/r', token: 't', socketDirectory: join(base, '01234567'), created: 1 })
  const find = () => findCluster(join(directories.root, '..'))

  test('is for its owner only, and says who lives', () => {
    writeClusterFile(directories, content())
    expect([lstatSync(directories.clusterFile).mode & 0o777, find()]).toEqual([0o600, { clusterId: 'c', restSocket: '/r', token: 't', rootPid: process.pid, detached: false, created: 1 }])
    writeClusterFile(directories, { ...content(), root: dead() })
    expect([find(), readClusterFile(directories)?.clusterId]).toEqual([undefined, 'c'])
  })

  test('is removed by its own cluster only', () => {
    writeClusterFile(directories, content())
    removeClusterFiles(directories, 'another', '/nowhere')
    expect(existsSync(directories.clusterFile)).toBe(true)
    removeClusterFiles(directories, 'c', '/nowhere')
    expect([existsSync(directories.clusterFile), find()]).toEqual([false, undefined])
  })

  test('that is torn is no cluster', () => {
    writeFileSync(directories.clusterFile, '{"clusterId":"c","root":{')
    expect(find()).toBeUndefined()
  })
})

test('a project directory keeps itself out of version control', () => {
  expect(readFileSync(join(directories.root, '.gitignore'), 'utf8')).toBe('*\n')
  expect(projectDirectories('/p').checkpoints).toBe('/p/.flink-ts/checkpoints')
})
