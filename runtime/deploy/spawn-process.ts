/**
 * Starts one process of a cluster. That of the JobManager may be started ahead, before it is known what is asked for: it takes
 * as long to load as the command line, and does nothing before it is told its cluster.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, fstatSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { childEnvironment } from './child-environment.ts'
import { newClusterId, projectDirectories } from './cluster-directory.ts'

export interface SpawnRequest {
  readonly name: string
  readonly entry: 'job-manager' | 'task-manager'
  readonly clusterId: string
  readonly projectDirectory: string
  /** What it writes to stdout and stderr is appended here. */
  readonly logFile: string
  readonly environment: Readonly<Record<string, string>>
}
export interface Spawned {
  readonly process: ChildProcess
  /** How long its log was before. */
  readonly logStart: number
}

/** Waits for its bootstrap, and ends when this process does. */
let ahead: { readonly request: SpawnRequest; readonly spawned: Spawned } | undefined

/** `stdin` is its life line; it tells lines on descriptor 3. */
export function spawnProcess(request: SpawnRequest): Spawned {
  return takeAhead(request) ?? spawnNow(request)
}

/**
 * Starts the JobManager of a project that has had a cluster before: in one that has not, there is no place for its log, and
 * nothing must be left behind by a command line that is refused.
 */
export function spawnJobManagerAhead(projectDirectory: string): void {
  const { logs } = projectDirectories(projectDirectory)
  if (!existsSync(logs)) return
  const request: SpawnRequest = { name: 'jobmanager', entry: 'job-manager', clusterId: newClusterId(), projectDirectory, logFile: join(logs, 'jobmanager.log'), environment: childEnvironment(process.env) }
  let spawned: Spawned
  try {
    spawned = spawnNow(request)
  } catch {
    // Whoever needs it tries again, and says what is wrong.
    return
  }
  ahead = { request, spawned }
  // Nobody waits for it: a command line that is refused ends.
  for (const each of handlesOf(spawned.process)) each.unref()
  spawned.process.on('error', dropAhead)
  spawned.process.on('exit', dropAhead)
  process.on('exit', dropAhead)
}

/** The id that the process that was started ahead has been given, which is on its command line. */
export const clusterIdAhead = (): string | undefined => ahead?.request.clusterId

function takeAhead(wanted: SpawnRequest): Spawned | undefined {
  if (ahead === undefined || wanted.entry !== 'job-manager') return undefined
  const { request, spawned } = ahead
  // Flags and settings may say that it is to be another one.
  if (!same(request, wanted)) {
    dropAhead()
    return undefined
  }
  forgetAhead()
  for (const each of handlesOf(spawned.process)) each.ref()
  return spawned
}

function dropAhead(): void {
  const child = ahead?.spawned.process
  forgetAhead()
  // It leads a group, and is alone in it.
  child?.kill('SIGKILL')
}

function forgetAhead(): void {
  ahead?.spawned.process.off('error', dropAhead).off('exit', dropAhead)
  process.off('exit', dropAhead)
  ahead = undefined
}

function same(one: SpawnRequest, other: SpawnRequest): boolean {
  const text = ({ environment, ...plain }: SpawnRequest) => JSON.stringify([plain.clusterId, plain.projectDirectory, plain.logFile, Object.entries(environment).sort()])
  return text(one) === text(other)
}

/** What keeps this process alive for it. Its pipes are sockets; one that could not be started has none. */
function handlesOf(child: ChildProcess): (ChildProcess | Socket)[] {
  const pipes = [child.stdin, child.stdio[3]].filter(each => each instanceof Socket)
  return [child, ...pipes]
}

function spawnNow({ name, entry, clusterId, projectDirectory, logFile, environment }: SpawnRequest): Spawned {
  const log = openSync(logFile, 'a', 0o600)
  try {
    const logStart = fstatSync(log).size
    const child = spawn(process.execPath, [...entryArguments(entry), '--cluster', clusterId, '--id', name], {
      cwd: projectDirectory,
      env: environment,
      // Away from the terminal's process group: Ctrl-C is for the root, which may still want a savepoint.
      detached: true,
      stdio: ['pipe', log, log, 'pipe'],
    })
    return { process: child, logStart }
  } finally {
    closeSync(log)
  }
}

/**
 * For Node, in each process of a cluster and so in each slot. The young generation of each thread's heap begins with 8 MB
 * instead of 1: what a start loads stays, and looking through it again and again took a tenth of the time to the first result.
 * Not every flag may stand here: under most of them V8 takes no code that was compiled ahead (`cached-script.ts`).
 */
const nodeFlags = ['--min-semi-space-size=8']

/** Sources run as they are (Node strips the types); a build runs the small files of `bin/`. */
function entryArguments(entry: SpawnRequest['entry']): string[] {
  const fromSource = import.meta.url.endsWith('.ts')
  const path = fileURLToPath(new URL(fromSource ? `../${entry}/main.ts` : `../../../bin/${entry}.js`, import.meta.url))
  return [...nodeFlags, ...(fromSource ? ['--conditions=flink-ts-source'] : []), path]
}
