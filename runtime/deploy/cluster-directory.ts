/**
 * Where a cluster keeps its things. Two places: `<project>/.flink-ts/` for what is worth keeping (jobs, checkpoints,
 * savepoints, logs), and a directory with a short name, mode 0700, for the sockets, because the path of a Unix socket
 * may have 103 bytes at most. One run at a time owns a project: `lock` names it.
 */
import { chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, rmdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { asClusterId, type ClusterId } from '../core/ids.ts'
import { FlinkError } from '../core/errors.ts'
import { randomBytes } from '../rpc/random-bytes.ts'
import { isAlive, type ProcessIdentity } from './process-identity.ts'

/** What is in `<project>/.flink-ts/`. Absolute paths. */
export interface ProjectDirectories {
  readonly root: string
  readonly jobs: string
  readonly checkpoints: string
  readonly savepoints: string
  readonly state: string
  readonly logs: string
  readonly bundles: string
  readonly clusterFile: string
  readonly lock: string
}

/** `cluster.json`: how other commands find the cluster of this project. */
export interface ClusterFile {
  readonly clusterId: string
  /** The process that owns the cluster: when it ends, the cluster ends. */
  readonly root: ProcessIdentity
  readonly detached: boolean
  readonly restSocket: string
  /** What the REST server wants as a bearer token. The file is for its owner only (0600). */
  readonly token: string
  readonly socketDirectory: string
  /** Epoch ms. */
  readonly created: number
}

/** macOS allows 103 bytes and Linux 107; Node cuts a longer path without a word. */
export const maxSocketPathBytes = 103

export function newClusterId(): ClusterId {
  return asClusterId(randomBytes(16).toString('hex'))
}

export function projectDirectories(projectDirectory: string): ProjectDirectories {
  const root = join(projectDirectory, '.flink-ts')
  return {
    root,
    jobs: join(root, 'jobs'),
    checkpoints: join(root, 'checkpoints'),
    savepoints: join(root, 'savepoints'),
    state: join(root, 'state'),
    logs: join(root, 'logs'),
    bundles: join(root, 'bundles'),
    clusterFile: join(root, 'cluster.json'),
    lock: join(root, 'lock'),
  }
}

/**
 * Makes the project's directories.
 *
 * @throws {FlinkError} STORAGE_FAILED when they cannot be made or written
 */
export function createProjectDirectories(projectDirectory: string): ProjectDirectories {
  const directories = projectDirectories(projectDirectory)
  try {
    for (const name of ['root', 'jobs', 'checkpoints', 'savepoints', 'state', 'logs', 'bundles'] as const) {
      mkdirSync(directories[name], { recursive: true, mode: 0o700 })
    }
    const ignoreFile = join(directories.root, '.gitignore')
    if (!existsSync(ignoreFile)) writeFileSync(ignoreFile, '*\n')
  } catch (error) {
    throw new FlinkError('STORAGE_FAILED', `could not make the directory ${directories.root}`, { cause: error })
  }
  return directories
}

// --- sockets ---

/** The sockets of one cluster. */
export interface SocketDirectory {
  readonly path: string
  readonly control: string
  readonly rest: string
  /** Prefix of a slot's data sockets; a running attempt adds `.<epoch>.<attempt>` in base 36. */
  data(taskManager: string, slotIndex: number): string
}

/** Longest suffix that an attempt adds to the path of a data socket. */
const attemptSuffixBytes = 12

export function socketDirectoryAt(path: string): SocketDirectory {
  return {
    path,
    control: socketPath(path, 'jm'),
    rest: socketPath(path, 'rest'),
    data: (taskManager, slotIndex) => socketPath(path, `${taskManager}-${slotIndex}`, attemptSuffixBytes),
  }
}

function socketPath(directory: string, name: string, reserve = 0): string {
  const path = join(directory, name)
  const bytes = Buffer.byteLength(path) + reserve
  if (bytes > maxSocketPathBytes) {
    throw new FlinkError('SOCKET_PATH_TOO_LONG', `the path of a socket would have ${bytes} bytes, more than ${maxSocketPathBytes}: ${path}`)
  }
  return path
}

/**
 * Makes a fresh directory for sockets: under `$FLINK_TS_RUN_DIR`, else `$XDG_RUNTIME_DIR`, else `/tmp/flink-ts-<uid>`.
 *
 * @throws {FlinkError} SOCKET_PATH_TOO_LONG; STORAGE_FAILED when a directory on the way belongs to somebody else
 */
export function createSocketDirectory(environment: Readonly<Record<string, string | undefined>> = process.env): SocketDirectory {
  const base = runDirectory(environment)
  for (let attempt = 0; attempt < 16; attempt++) {
    const path = join(base, randomBytes(4).toString('hex'))
    const sockets = socketDirectoryAt(path)
    // The longest names there will be, so that a path is refused now and not when a TaskManager is started again.
    sockets.data('tm999', 99)
    try {
      mkdirSync(path, { mode: 0o700 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
      throw new FlinkError('STORAGE_FAILED', `could not make the directory ${path} for sockets`, { cause: error })
    }
    chmodSync(path, 0o700)
    return sockets
  }
  throw new FlinkError('STORAGE_FAILED', `could not find a free name for sockets in ${base}`)
}

function runDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  const chosen = environment['FLINK_TS_RUN_DIR']
  if (chosen) return privateDirectory(chosen)
  const runtime = environment['XDG_RUNTIME_DIR']
  if (runtime && existsSync(runtime)) {
    try {
      return privateDirectory(join(runtime, 'flink-ts'))
    } catch {
      // A runtime directory of another user (su, containers) is common; /tmp is as good.
    }
  }
  return privateDirectory(`/tmp/flink-ts-${process.getuid?.() ?? 0}`)
}

/** Makes the directory, or checks that the one that is there is ours alone: no link, our uid, nobody else may write. */
function privateDirectory(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new FlinkError('STORAGE_FAILED', `could not make the directory ${path} for sockets`, { cause: error })
  }
  const stats = lstatSync(path)
  const uid = process.getuid?.()
  const fault = stats.isSymbolicLink() || !stats.isDirectory() ? 'it is not a plain directory'
    : uid !== undefined && stats.uid !== uid ? `it belongs to user ${stats.uid}`
    : (stats.mode & 0o022) !== 0 ? 'others may write to it'
    : undefined
  if (fault !== undefined) {
    throw new FlinkError('STORAGE_FAILED', `the directory ${path} cannot hold sockets: ${fault}`, {
      hint: 'Remove it, or set FLINK_TS_RUN_DIR to a directory of your own with mode 700.',
    })
  }
  return path
}

/**
 * Removes the sockets in a directory made above, and the directory. The path may come from a file in the project, which
 * may come from anywhere, so this removes nothing but sockets from a directory that looks like one of ours.
 */
export function removeSocketDirectory(path: string): void {
  try {
    const stats = lstatSync(path)
    if (!/^[0-9a-f]{8}$/.test(basename(path)) || !stats.isDirectory() || (stats.mode & 0o777) !== 0o700 || stats.uid !== process.getuid?.()) return
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isSocket()) rmSync(join(path, entry.name), { force: true })
    }
    rmdirSync(path)
  } catch {
    // Gone already, or a dying process has just bound one more: whoever comes last removes it.
  }
}

// --- who owns the project ---

interface LockContent extends ProcessIdentity {
  readonly clusterId: string
}

/** An exclusive lock on a project, held until `release`. A lock of a dead process counts for nothing. */
export interface ProjectLock {
  /** Hands the lock to another process (the JobManager of a detached cluster). */
  giveTo(owner: ProcessIdentity): void
  release(): void
}

/** @throws {FlinkError} PROJECT_BUSY if a live process holds the lock of the project */
export function refuseBusyProject(directories: ProjectDirectories): void {
  const holder = readLock(directories.lock)
  if (holder !== undefined && isAlive(holder)) throw busy(directories, holder)
}

/**
 * Takes the lock of a project. The lock is a hard link to a file that was written before, so that it is never seen
 * half-written and exactly one of two contenders makes it.
 *
 * @throws {FlinkError} PROJECT_BUSY naming the pid of the run that owns it
 */
export function lockProject(directories: ProjectDirectories, owner: ProcessIdentity, clusterId: string): ProjectLock {
  const ownFile = unnamed(directories.lock, clusterId)
  const write = (path: string, identity: ProcessIdentity) => writeFileSync(path, JSON.stringify({ ...identity, clusterId } satisfies LockContent), { mode: 0o600 })
  write(ownFile, owner)
  try {
    // Each round either takes the lock, finds a live owner, or removes one stale lock: a few are enough for any race.
    for (let round = 0; round < 20; round++) {
      if (tryLink(ownFile, directories.lock)) {
        if (readLock(directories.lock)?.clusterId === clusterId) return heldLock(directories.lock, clusterId, write)
        continue
      }
      const holder = readLock(directories.lock)
      if (holder !== undefined && isAlive(holder)) throw busy(directories, holder)
      removeStale(directories.lock, holder)
    }
  } finally {
    rmSync(ownFile, { force: true })
  }
  throw busy(directories, readLock(directories.lock))
}

function heldLock(path: string, clusterId: string, write: (path: string, identity: ProcessIdentity) => void): ProjectLock {
  return {
    giveTo(next) {
      const file = unnamed(path, clusterId)
      write(file, next)
      renameSync(file, path)
    },
    release: () => releaseLockOf(path, clusterId),
  }
}

/** Removes the lock if it is this cluster's: after its root was killed, any process of the cluster may do it. */
function releaseLockOf(path: string, clusterId: string): void {
  if (readLock(path)?.clusterId === clusterId) rmSync(path, { force: true })
}

/**
 * Takes a stale lock away by renaming it, and looks at what was renamed: another contender may have replaced the lock in
 * between, and then that one is put back.
 */
function removeStale(path: string, stale: LockContent | undefined): void {
  const aside = `${path}.${randomBytes(4).toString('hex')}`
  try {
    renameSync(path, aside)
  } catch {
    return
  }
  const taken = readLock(aside)
  if (taken !== undefined && taken.clusterId !== stale?.clusterId) tryLink(aside, path)
  rmSync(aside, { force: true })
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new FlinkError('STORAGE_FAILED', `could not lock the project: ${to}`, { cause: error })
  }
}

function readLock(path: string): LockContent | undefined {
  return readJson(path, (value): value is LockContent => isIdentity(value) && typeof (value as Partial<LockContent>).clusterId === 'string')
}

function busy(directories: ProjectDirectories, holder: ProcessIdentity | undefined): FlinkError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid}`
  return new FlinkError('PROJECT_BUSY', `the project is in use by ${who}`, { detail: `It holds ${directories.lock}.` })
}

// --- cluster.json ---

export function writeClusterFile(directories: ProjectDirectories, content: ClusterFile): void {
  const file = unnamed(directories.clusterFile, content.clusterId)
  writeFileSync(file, JSON.stringify(content, undefined, 2), { mode: 0o600 })
  renameSync(file, directories.clusterFile)
}

/** The file as it stands, whether its processes live or not. */
export function readClusterFile(directories: ProjectDirectories): ClusterFile | undefined {
  return readJson(directories.clusterFile, (value): value is ClusterFile => {
    const file = value as Partial<ClusterFile>
    return typeof file.clusterId === 'string' && isIdentity(file.root) && typeof file.restSocket === 'string' && typeof file.token === 'string' && typeof file.socketDirectory === 'string'
  })
}

/** Removes what a cluster leaves when it ends, but for its lock: `cluster.json` if it is this cluster's, and its sockets. */
export function removeClusterFiles(directories: ProjectDirectories, clusterId: string, socketDirectory: string): void {
  if (readClusterFile(directories)?.clusterId === clusterId) rmSync(directories.clusterFile, { force: true })
  removeSocketDirectory(socketDirectory)
}

/** Removes everything that a cluster leaves: for whichever of its processes sees that the root is gone. */
export function removeLeavings({ projectDirectory, clusterId, socketDirectory }: { readonly projectDirectory: string; readonly clusterId: string; readonly socketDirectory: string }): void {
  const directories = projectDirectories(projectDirectory)
  removeClusterFiles(directories, clusterId, socketDirectory)
  rmSync(join(directories.state, clusterId), { recursive: true, force: true })
  releaseLockOf(directories.lock, clusterId)
  // What it was writing when it was killed.
  for (const path of [directories.lock, directories.clusterFile]) rmSync(unnamed(path, clusterId), { force: true })
}

/** Where a file is written before it gets its name. */
const unnamed = (path: string, clusterId: string) => `${path}.${clusterId}`

function isIdentity(value: unknown): value is ProcessIdentity {
  const identity = value as Partial<ProcessIdentity> | null
  return typeof identity === 'object' && identity !== null && typeof identity.pid === 'number' && typeof identity.startTime === 'string'
}

function readJson<T>(path: string, check: (value: unknown) => value is T): T | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return check(value) ? value : undefined
  } catch {
    return undefined
  }
}
