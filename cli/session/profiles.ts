/**
 * `run --profile`, on the side of the command line: where the profiles go, and what they say together when the run is
 * over. The slots write them (`runtime/task-manager/profile/`).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { FlinkError } from '../../runtime/core/errors.ts'
import type { ProfilingConfig } from '../../runtime/graph/config.ts'
import type { JobGraph } from '../../runtime/graph/job-graph.ts'
import type { RuntimeEvent } from '../../runtime/metrics/event.ts'
import type { SlotProfile, SlotProfileNote } from '../../runtime/protocol/cpu-profile.ts'
import { paintFor } from '../output/colour.ts'
import { schemaVersion, toJsonLine, type ProfileLine } from '../output/json-lines.ts'
import { profileReport, sumShares, type ProfileReport, type ProfiledSlot } from '../output/profile-report.ts'

/** A sample takes some 40 bytes of memory and a dozen of the file. */
const maxSamples = 4_000_000
/** Deployments that are remembered, to say whose profile is missing. */
const maxDeployments = 10_000

export class Profiles {
  readonly #projectDirectory: string
  readonly #named: string | undefined
  readonly #startedAt = new Date()
  readonly #deployed = new Map<string, ProfiledSlot>()
  #directory: string | undefined

  /** @throws {FlinkError} INVALID_OPTION when there can be no profiles, or they would be too large */
  constructor(projectDirectory: string, named: string | undefined, { interval, maxDuration }: ProfilingConfig) {
    if (!process.features.inspector) throw new FlinkError('INVALID_OPTION', '--profile needs the inspector, which this Node was built without')
    if (maxDuration / interval > maxSamples) {
      throw new FlinkError('INVALID_OPTION', `--profile: ${maxDuration / 1_000} s with a sample each ${interval} ms are more than ${maxSamples} samples`, { hint: 'Lower profiling.duration-max, or raise profiling.interval.' })
    }
    this.#projectDirectory = projectDirectory
    this.#named = named
  }

  /** Absolute. */
  get directory(): string | undefined {
    return this.#directory
  }

  /** The graph to submit: its slots write profiles. @throws {FlinkError} STORAGE_FAILED */
  prepare(graph: JobGraph): JobGraph {
    const directory = resolve(this.#projectDirectory, this.#named ?? join('.flink-ts', 'profiles', `${fileNameOf(graph.name)}-${timeStamp(this.#startedAt)}`))
    try {
      mkdirSync(directory, { recursive: true })
    } catch (error) {
      throw new FlinkError('STORAGE_FAILED', `could not make the directory ${directory}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
    this.#directory = directory
    return { ...graph, config: { ...graph.config, profiling: { ...graph.config.profiling, directory } } }
  }

  /** Remembers which slots ran something: each of them owes a profile. */
  hear(event: RuntimeEvent): void {
    if (event.kind !== 'taskStatus' || event.status !== 'RUNNING' || this.#deployed.size >= maxDeployments) return
    const { jobId, taskManager, slotIndex, attempt } = event
    this.#deployed.set(`${taskManager} ${slotIndex} ${attempt}`, { jobId, taskManager, slotIndex, attempt })
  }

  /** After the cluster has ended. */
  tell(json: boolean): void {
    const directory = this.#directory
    if (directory === undefined) return
    const report = this.#report(directory)
    const line: ProfileLine = { schemaVersion, kind: 'profile', ...report }
    if (json) process.stdout.write(`${toJsonLine(line)}\n`)
    else process.stderr.write(`${profileReport(report, process.cwd(), paintFor(process.stderr))}\n`)
  }

  #report(directory: string): ProfileReport {
    const jobs = new Set([...this.#deployed.values()].map(each => each.jobId))
    // The directory may hold profiles of an earlier run: one that the user named.
    const profiles = notesIn(directory).filter(note => jobs.has(note.jobId))
    const found = new Set(profiles.map(slotText))
    return {
      directory,
      profiles: profiles.map(({ shares: _, ...note }) => note),
      missing: [...this.#deployed.values()].filter(each => !found.has(slotText(each))),
      shares: sumShares(profiles.map(note => note.shares)),
      projectDirectory: this.#projectDirectory,
    }
  }
}

const slotText = ({ jobId, taskManager, slotIndex, attempt }: ProfiledSlot) => `${jobId} ${taskManager} ${slotIndex} ${attempt}`

function notesIn(directory: string): SlotProfileNote[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory).filter(name => name.endsWith('.cpuprofile')).sort().flatMap(name => {
    try {
      const { flinkTs } = JSON.parse(readFileSync(join(directory, name), 'utf8')) as Partial<SlotProfile>
      return flinkTs === undefined ? [] : [flinkTs]
    } catch {
      return []
    }
  })
}

/** Letters and digits of any script; nothing that means something to a shell or to a file system. */
const fileNameOf = (name: string) => name.replaceAll(/[^\p{L}\p{N}]+/gu, '-').replaceAll(/^-|-$/g, '').slice(0, 60) || 'job'
const timeStamp = (at: Date) => at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')
