/**
 * One simulated life of a job: a seed decides which faults there are and when; afterwards every record must be in the
 * committed output exactly once. Everything that runs is the product: JobManager, TaskManagers, slots, file source, file
 * sink, snapshots on a disk in memory.
 *
 * Two phases: faults until `faultsEnd`, then everything is left alone, and the job must finish within a virtual deadline.
 */
import { job, valueState, type Collector, type Sink } from '../../index.ts'
import { fileSink, fileSource, json, type FileCommittable } from '../../connectors/file.ts'
import { evaluateJob, type Job } from '../../api/job.ts'
import type { Random } from '../../core/random.ts'
import { seededRandom } from '../../core/random.ts'
import { murmur128 } from '../../core/murmur.ts'
import { defaultJobConfig, type JobConfig } from '../../graph/config.ts'
import { translate } from '../../graph/translate.ts'
import { terminalJobStatuses, type RuntimeEvent } from '../../metrics/event.ts'
import { MemoryFiles } from '../memory-files.ts'
import { noPlantedBugs, type PlantedBugs } from './planted-bugs.ts'
import { SimulatedCluster, type Delays } from './simulated-cluster.ts'
import type { Told } from './simulated-slot.ts'
import { VirtualTime } from './virtual-time.ts'

export interface Simulation {
  readonly seed: number
  /** Of everything that happened, in order: equal for equal seeds. */
  readonly traceHash: string
  /** What went wrong; empty if all is well. */
  readonly problems: readonly string[]
  /** What was drawn and what came of it, for a person to read. */
  readonly summary: string
  readonly kills: number
  readonly checkpoints: number
  readonly restores: number
}

interface Counted {
  readonly key: number
  readonly count: number
}

interface World {
  readonly records: number
  readonly keys: number
  readonly files: number
  readonly parallelism: number
  readonly taskManagers: number
  readonly checkpointInterval: number
  /** A short one expires while a slot is stalled and barriers are still on their way. */
  readonly checkpointTimeout: number
  readonly kills: readonly { readonly at: number; readonly what: 'TaskManager' | 'JobManager' }[]
  readonly stalls: readonly { readonly at: number; readonly millis: number }[]
  readonly delays: Delays
  readonly faultsEnd: number
}

const projectDirectory = '/project'

export function simulate(seed: number, bugs: PlantedBugs = noPlantedBugs): Simulation {
  const random = seededRandom(seed)
  const world = drawWorld(random.fork('world'))
  const time = new VirtualTime(1_000_000)
  const files = new MemoryFiles({ now: () => time.now })
  writeInput(files, world)
  const config: JobConfig = {
    ...defaultJobConfig,
    parallelism: world.parallelism,
    state: { ...defaultJobConfig.state, backend: 'hashmap' },
    checkpointing: { ...defaultJobConfig.checkpointing, timeout: world.checkpointTimeout, tolerableFailures: 1_000_000 },
    exchange: { ...defaultJobConfig.exchange, batchSize: random.pick([1, 3, 16]), credits: random.pick([2, 4, 8]), bufferTimeout: random.pick([0, 5]) },
  }
  const evaluate = (_path?: string, _config?: JobConfig, told?: Told) => evaluateJob(ledger(world.checkpointInterval, bugs.commitOnlyNotified ? told : undefined))
  const cluster = new SimulatedCluster({
    taskManagers: world.taskManagers,
    slotsPerTaskManager: Math.ceil(world.parallelism / world.taskManagers),
    projectDirectory,
    files,
    random: random.fork('cluster'),
    time,
    delays: world.delays,
    evaluate,
    bugs,
  })
  cluster.submit({ jobGraph: translate(evaluate(), config), bundlePath: `${projectDirectory}/job.mjs`, projectDirectory })
  const victims = random.fork('victims')
  for (const { at, what } of world.kills) {
    time.after(at, () => {
      if (what === 'JobManager') cluster.killJobManager()
      else cluster.killTaskManager(victims.int(world.taskManagers))
    })
  }

  for (const { at, millis } of world.stalls) time.after(at, () => cluster.stallTaskManager(victims.int(world.taskManagers), millis))

  const problems: string[] = []
  const committed = new CommittedFiles(files)
  const deadline = time.now + world.faultsEnd + 120_000
  let status = 'INITIALIZING'
  cluster.journal.subscribe(event => {
    if (event.kind === 'jobStatus') status = event.status
    // What is committed when a checkpoint completes is looked at again at the end: it may never change.
    if (event.kind === 'checkpointCompleted') problems.push(...committed.look())
  })
  while (!terminalJobStatuses.has(status as never)) {
    if (!time.step(deadline)) {
      problems.push(`the job is ${status} and nothing moves, ${time.now - 1_000_000 - world.faultsEnd} ms after the last fault`)
      break
    }
  }
  // Commits of the last checkpoint come with its notification, before the tasks finish.
  const events = cluster.journal.read(0, Number.MAX_SAFE_INTEGER)
  if (status !== 'FINISHED') problems.push(`the job ended as ${status}: ${lastError(events)}`)
  problems.push(...committed.look(), ...checkLedger(committed.records(), world))
  const count = (kind: RuntimeEvent['kind']) => events.filter(event => event.kind === kind).length
  return {
    seed,
    traceHash: murmur128(JSON.stringify(events.map(({ sequence: _, ...event }) => (event.kind === 'jobSubmitted' ? event.name : event)))),
    problems: [...new Set(problems)].slice(0, 10),
    summary: `${world.records} records, ${world.keys} keys, ${world.files} files, parallelism ${world.parallelism} on ${world.taskManagers} TaskManagers, checkpoint every ${world.checkpointInterval} ms within ${world.checkpointTimeout} ms, kills: ${world.kills.map(kill => `${kill.what} at ${kill.at}`).join(', ') || 'none'}, ${world.stalls.length} stalls; ${count('checkpointCompleted')} checkpoints, ${count('checkpointFailed')} failed ones, ${count('jobRestored')} restores, ${time.steps} steps`,
    kills: world.kills.length,
    checkpoints: count('checkpointCompleted'),
    restores: count('jobRestored'),
  }
}

/** Each seed first draws which faults there are at all, so that rare mixtures come up. */
function drawWorld(random: Random): World {
  const parallelism = 1 + random.int(4)
  const slow = random.chance(0.3) ? 40 : 4
  // Even the slowest connection is fast enough for a checkpoint within its time, or nothing would ever be committed.
  const control = random.chance(0.3) ? { most: 30, factor: 3 } : { most: 3, factor: 30 }
  const dice = random.fork('delays')
  const upTo = (most: number) => () => dice.next() * most
  const taskManagerKills = random.chance(0.8) ? random.int(4) : 0
  const jobManagerKills = random.chance(0.3) ? 1 + random.int(2) : 0
  const faultsEnd = 200 + random.int(1500)
  const kills = [
    ...Array.from({ length: taskManagerKills }, () => ({ at: random.int(faultsEnd), what: 'TaskManager' as const })),
    ...Array.from({ length: jobManagerKills }, () => ({ at: random.int(faultsEnd), what: 'JobManager' as const })),
  ].sort((a, b) => a.at - b.at)
  return {
    records: 60 + random.int(200),
    keys: 1 + random.int(12),
    files: 1 + random.int(4),
    parallelism,
    taskManagers: 1 + random.int(Math.min(3, parallelism)),
    checkpointInterval: 10 + random.int(120),
    checkpointTimeout: random.chance(0.5) ? 200 + random.int(200) : 600_000,
    kills,
    stalls: random.chance(0.5) ? Array.from({ length: 1 + random.int(4) }, () => ({ at: random.int(faultsEnd), millis: 50 + random.int(600) })) : [],
    delays: { control: upTo(control.most), controlFactor: random.chance(0.5) ? () => (dice.chance(0.4) ? control.factor : 1) : () => 1, data: upTo(slow), turn: upTo(random.chance(0.5) ? 8 : 1), restart: upTo(200) },
    faultsEnd,
  }
}

/** Few lines a second, so that the job lives through the faults. */
function ledger(checkpointInterval: number, commitOnly: Told | undefined): Job {
  const sink = fileSink<Counted>({ path: 'out', format: json() })
  return job('ledger', env => {
    env.enableCheckpointing(checkpointInterval)
    env
      .fromSource(fileSource({ path: 'in/*.jsonl', format: json<{ key: number }>(), ratePerSecond: 200, minSplitBytes: 64 }))
      .keyBy('key')
      .process({
        state: { seen: valueState<{ count: number }>() },
        process(_record, ctx, out: Collector<Counted>) {
          // Changes what the state holds before it says so: a snapshot must not see it too early.
          const seen = ctx.state.seen.value() ?? { count: 0 }
          seen.count++
          ctx.state.seen.update(seen)
          out.collect({ key: ctx.key, count: seen.count })
        },
      })
      .uid('counter')
      .sinkTo(commitOnly === undefined ? sink : commitExactly(sink, commitOnly))
      .uid('ledger')
  })
}

/** Planted bug: of what is to be committed only the files of the checkpoint that was told of last. */
function commitExactly(sink: Sink<Counted, FileCommittable>, told: Told): Sink<Counted, FileCommittable> {
  return {
    ...sink,
    createCommitter(ctx) {
      const committer = sink.createCommitter?.(ctx)
      return {
        ...committer,
        commit(committables) {
          const id = told.checkpointComplete
          committer?.commit(id === undefined ? committables : committables.filter(({ final }) => final.includes(`-${id}.`)))
        },
      }
    },
  }
}

function writeInput(files: MemoryFiles, world: World): void {
  files.makeDirectory(`${projectDirectory}/in`)
  for (let file = 0; file < world.files; file++) {
    const lines: string[] = []
    for (let i = file; i < world.records; i += world.files) lines.push(JSON.stringify({ key: i % world.keys }))
    const handle = files.create(`${projectDirectory}/in/${file}.jsonl`)
    handle.write(new TextEncoder().encode(lines.map(line => `${line}\n`).join('')))
    handle.close()
  }
}

/** The sink's directory as a reader sees it: what was there once may never vanish or change. */
class CommittedFiles {
  readonly #files: MemoryFiles
  readonly #seen = new Map<string, string>()

  constructor(files: MemoryFiles) {
    this.#files = files
  }

  look(): string[] {
    const problems: string[] = []
    const names = this.#files.list(`${projectDirectory}/out`).filter(name => !name.startsWith('.'))
    for (const name of this.#seen.keys()) if (!names.includes(name)) problems.push(`the committed file ${name} vanished`)
    for (const name of names) {
      const text = this.#read(name)
      if ((this.#seen.get(name) ?? text) !== text) problems.push(`the committed file ${name} changed`)
      this.#seen.set(name, text)
    }
    return problems
  }

  records(): Counted[] {
    return [...this.#seen.values()].flatMap(text =>
      text
        .split('\n')
        .filter(line => line !== '')
        .map(line => JSON.parse(line) as Counted),
    )
  }

  #read(name: string): string {
    const path = `${projectDirectory}/out/${name}`
    const bytes = new Uint8Array(this.#files.stat(path)?.size ?? 0)
    const handle = this.#files.openRead(path)
    handle.read(bytes, 0)
    handle.close()
    return new TextDecoder().decode(bytes)
  }
}

/** Every (key, count) once: what is missing was lost, what is there twice was counted twice. */
function checkLedger(records: readonly Counted[], world: World): string[] {
  const expected = new Map<string, number>()
  const counts = new Map<number, number>()
  for (let i = 0; i < world.records; i++) {
    const key = i % world.keys
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    expected.set(`${key}/${count}`, 0)
  }
  const problems: string[] = []
  for (const { key, count } of records) {
    const seen = expected.get(`${key}/${count}`)
    if (seen === undefined) problems.push(`alien: key ${key} count ${count}`)
    else {
      if (seen === 1) problems.push(`duplicate: key ${key} count ${count}`)
      expected.set(`${key}/${count}`, seen + 1)
    }
  }
  for (const [id, seen] of expected) if (seen === 0) problems.push(`lost: key ${id.replace('/', ' count ')}`)
  return problems
}

function lastError(events: readonly RuntimeEvent[]): string {
  for (const event of [...events].reverse()) if ((event.kind === 'jobStatus' || event.kind === 'log') && event.error !== undefined) return `${event.error.code} ${event.error.message}`
  return 'no error was told'
}
