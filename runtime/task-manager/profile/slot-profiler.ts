/**
 * V8's CPU profiler in the thread of one slot, from the moment its job is loaded to its end. Loaded only where profiles
 * were asked for. The profile is written by the thread that it is of, so one whose process is killed loses its own and no
 * other's.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { SourceMap } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { SourcePosition } from '../../core/errors.ts'
import { sourceMapOf } from '../../deploy/source-maps.ts'
import type { ProfilingConfig } from '../../graph/config.ts'
import { createObservedChain } from '../../operators/create-chain.ts'
import type { CreateChain } from '../../operators/chain.ts'
import type { CpuProfile, SlotProfile, SlotProfileNote } from '../../protocol/cpu-profile.ts'
import type { SlotDeployment } from '../../protocol/slot.ts'
import { nameOperator, type NamedMember, type NamedUnit } from './named-operators.ts'
import { functionsByLine, splitInlined, type CoveredFunction } from './inlined-functions.ts'
import { frameProfile, functionKey, type FunctionKey, type NamedCode } from './profile-frames.ts'

export class SlotProfiler {
  readonly #session = new Session()
  readonly #config: ProfilingConfig
  readonly #deployment: SlotDeployment
  readonly #who: Pick<SlotProfileNote, 'taskManager' | 'slotIndex'>
  readonly #say: (text: string) => void
  readonly #units: NamedUnit[] = []
  readonly #limit: NodeJS.Timeout
  #over = false

  /** Builds chains whose operators have frames of their own. */
  readonly createChain: CreateChain = createObservedChain((operator, members, transformations) => {
    this.#units.push(nameOperator(operator, members, transformations))
  })

  /** `say` gets what the user should know: a line for each. */
  constructor(config: ProfilingConfig, deployment: SlotDeployment, who: Pick<SlotProfileNote, 'taskManager' | 'slotIndex'>, say: (text: string) => void) {
    this.#config = config
    this.#deployment = deployment
    this.#who = who
    this.#say = say
    this.#session.connect()
    this.#call('Profiler.enable')
    this.#call('Profiler.setSamplingInterval', { interval: config.interval * 1_000 })
    this.#call('Profiler.start')
    this.#limit = setTimeout(() => this.#finish(config.maxDuration), config.maxDuration)
    this.#limit.unref()
  }

  /** Stops and writes the file; does nothing the second time. Never throws: a job does not fail for its profile. */
  finish(): void {
    this.#finish(undefined)
  }

  #finish(cutAfterMs: number | undefined): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#limit)
    const { taskManager, slotIndex } = this.#who
    try {
      const { profile } = this.#call('Profiler.stop') as { profile: CpuProfile }
      this.#write(profile, cutAfterMs)
      if (cutAfterMs !== undefined) this.#say(`profile of slot ${slotIndex} of ${taskManager}: written, and over: ${cutAfterMs / 1_000} s is all that profiling.duration-max allows`)
    } catch (error) {
      this.#say(`profile of slot ${slotIndex} of ${taskManager} could not be written: ${error instanceof Error ? error.message : String(error)}`)
    } finally {
      this.#session.disconnect()
    }
  }

  #write(raw: CpuProfile, cutAfterMs: number | undefined): void {
    const { jobId, fence: { attempt } } = this.#deployment
    const { taskManager, slotIndex } = this.#who
    const code = this.#namedCode()
    const { profile, shares } = frameProfile(this.#withInlined(raw, code), code)
    const note: SlotProfileNote = { jobId, taskManager, slotIndex, attempt, ...(cutAfterMs === undefined ? {} : { cutAfterMs }), shares }
    const directory = this.#config.directory as string
    const path = join(directory, `${taskManager}-slot-${slotIndex}-attempt-${attempt}.cpuprofile`)
    mkdirSync(directory, { recursive: true })
    // Under its name when it is whole: somebody may look at the directory while the job runs.
    const unfinished = `${path}.tmp`
    try {
      writeFileSync(unfinished, JSON.stringify({ flinkTs: note, ...profile } satisfies SlotProfile))
      renameSync(unfinished, path)
    } catch (error) {
      rmSync(unfinished, { force: true })
      throw error
    }
  }

  /** Functions that V8 has inlined get their time back. */
  #withInlined(raw: CpuProfile, { bundleUrl }: NamedCode): CpuProfile {
    const { result } = this.#call('Profiler.getBestEffortCoverage') as { result: readonly { scriptId: string; url: string; functions: readonly CoveredFunction[] }[] }
    const script = result.find(each => each.url === bundleUrl)
    return script === undefined ? raw : splitInlined(raw, functionsByLine(script, readFileSync(this.#deployment.bundlePath, 'utf8')))
  }

  #namedCode(): NamedCode {
    const trampolines = new Map<FunctionKey, NamedUnit>()
    const rowFunctions = new Map<FunctionKey, NamedMember[]>()
    for (const unit of this.#units) {
      for (const key of this.#keysOf(unit.trampolines)) if (key !== undefined) trampolines.set(key, unit)
      this.#keysOf(unit.members.map(member => member.rowFunction)).forEach((key, at) => {
        if (key !== undefined) rowFunctions.set(key, [...(rowFunctions.get(key) ?? []), unit.members[at] as NamedMember])
      })
    }
    const bundleUrl = pathToFileURL(this.#deployment.bundlePath).href
    return { trampolines, rowFunctions, bundleUrl, origin: origins() }
  }

  /** Where V8 has each of these functions: only the inspector tells. */
  #keysOf(functions: readonly unknown[]): (FunctionKey | undefined)[] {
    const slot = '__flinkTsProfiledFunctions'
    const holder = globalThis as { [slot]?: readonly unknown[] }
    holder[slot] = functions
    try {
      const list = this.#call('Runtime.evaluate', { expression: `globalThis.${slot}` }) as { result: { objectId: string } }
      return functions.map((each, at) => {
        if (typeof each !== 'function') return undefined
        const one = this.#call('Runtime.callFunctionOn', { objectId: list.result.objectId, functionDeclaration: `function () { return this[${at}] }` }) as { result: { objectId: string } }
        const { internalProperties = [] } = this.#call('Runtime.getProperties', { objectId: one.result.objectId, ownProperties: true }) as { internalProperties?: readonly InternalProperty[] }
        const location = internalProperties.find(property => property.name === '[[FunctionLocation]]')?.value?.value
        return location === undefined ? undefined : functionKey(location)
      })
    } finally {
      delete holder[slot]
    }
  }

  /** In this very thread answers come before the call returns. */
  #call(method: string, parameters: object = {}): unknown {
    let answer: unknown
    let failure: Error | null = null
    this.#session.post(method, parameters, (error, result) => {
      failure = error
      answer = result
    })
    if (failure !== null) throw failure as Error
    return answer
  }
}

interface InternalProperty {
  readonly name: string
  readonly value?: { readonly value?: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber: number } }
}

/** Looks through source maps: that of the job, as its errors do; ours lie beside our files. */
function origins(): NamedCode['origin'] {
  const maps = new Map<string, SourceMap | undefined>()
  const positions = new Map<string, SourcePosition | undefined>()
  return (url, line, column) => {
    if (!url.startsWith('file:')) return undefined
    const key = `${url}:${line}:${column}`
    if (!positions.has(key)) {
      if (!maps.has(url)) maps.set(url, sourceMapOf(url) ?? mapBeside(url))
      positions.set(key, originIn(maps.get(url), url, line, column))
    }
    return positions.get(key)
  }
}

function originIn(map: SourceMap | undefined, url: string, line: number, column: number): SourcePosition | undefined {
  const entry = map?.findEntry(line - 1, Math.min(column, 1e9))
  if (entry === undefined || !('originalSource' in entry)) return undefined
  const source = entry.originalSource
  const file = source.startsWith('file:') ? fileURLToPath(source) : resolve(dirname(fileURLToPath(url)), source)
  return { file, line: entry.originalLine + 1, column: entry.originalColumn + 1 }
}

function mapBeside(url: string): SourceMap | undefined {
  // A script that V8's cache knows (`deploy/cached-script.ts`) has the lines of the module that it was made of.
  const module = fileURLToPath(url).replace(/\.script\.js$/, '.js')
  try {
    return new SourceMap(JSON.parse(readFileSync(`${module}.map`, 'utf8')) as ConstructorParameters<typeof SourceMap>[0])
  } catch {
    return undefined
  }
}
