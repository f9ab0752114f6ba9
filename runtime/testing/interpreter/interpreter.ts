/**
 * The oracle: runs a job record by record in one loop. No batches, no threads, no codecs, no chains, no parallelism; each
 * operator is written down a second time in the plainest way, straight from Flink's semantics. Whatever the engine does to
 * be fast, its results must equal these.
 *
 * Time: watermarks come from explicit steps or from a custom generator's `onEvent`; periodic generators emit only at the
 * end of the input, because when their tick comes is no part of a job's meaning. Processing time stands still.
 */
import type { SourceOutput } from '../../api/connector.ts'
import type { KeySelector, KeyedProcessFunction, TimerService } from '../../api/functions.ts'
import type { StateDescriptor, StateDescriptors } from '../../api/state.ts'
import type { ResolvedWatermarkStrategy } from '../../api/time.ts'
import type {
  JobDefinition,
  KeyedProcessTransformation,
  OperatorTransformation,
  ReduceTransformation,
  SourceTransformation,
  Transformation,
  WindowTransformation,
} from '../../graph/transformation.ts'
import { unreachable } from '../../core/assert.ts'
import type { FileSystem } from '../../core/files.ts'
import { canonicalKey, type CanonicalKey } from '../../core/key-group.ts'
import { MAX_TIMESTAMP, MIN_TIMESTAMP, NO_TIMESTAMP, parseDuration, windowStart, type Timestamp } from '../../core/time.ts'

export interface InterpreterResult {
  /** What each sink was given, by transformation id, in order. */
  readonly sinks: ReadonlyMap<number, readonly unknown[]>
  /** What went to each side output, by tag, whether or not anything reads it. */
  readonly sideOutputs: ReadonlyMap<string, readonly unknown[]>
}

export interface InterpreterOptions {
  readonly files?: FileSystem
  readonly projectDirectory?: string
  /** The processing time of the whole run, epoch ms. */
  readonly now?: Timestamp
}

interface Item {
  readonly value: unknown
  readonly timestamp: Timestamp
}

/** One operator at work: gets records and watermarks, and emits. */
interface Worker {
  record(item: Item): void
  /** Only ever rises. */
  watermark(timestamp: Timestamp): void
}

interface Emit {
  record(value: unknown, timestamp: Timestamp): void
  side(tag: string, value: unknown, timestamp: Timestamp): void
  watermark(timestamp: Timestamp): void
}

export function interpret(definition: JobDefinition, options: InterpreterOptions = {}): InterpreterResult {
  const run = new Run(definition, options)
  run.run()
  return { sinks: run.sinks, sideOutputs: run.sideOutputs }
}

class Run {
  readonly sinks = new Map<number, unknown[]>()
  readonly sideOutputs = new Map<string, unknown[]>()
  readonly #definition: JobDefinition
  readonly #options: InterpreterOptions
  readonly #now: Timestamp
  readonly #consumers = new Map<Transformation, Transformation[]>()
  readonly #workers = new Map<Transformation, Worker>()
  /** Per transformation and input, the last watermark it was given; a transformation sees the least. */
  readonly #watermarks = new Map<Transformation, Map<Transformation, Timestamp>>()
  readonly #seen = new Map<Transformation, Timestamp>()

  constructor(definition: JobDefinition, options: InterpreterOptions) {
    this.#definition = definition
    this.#options = options
    this.#now = options.now ?? 0
    for (const node of definition.transformations) {
      for (const input of inputsOf(node)) {
        this.#consumers.set(input, [...(this.#consumers.get(input) ?? []), node])
        this.#watermarks.set(node, (this.#watermarks.get(node) ?? new Map<Transformation, Timestamp>()).set(input, MIN_TIMESTAMP))
      }
      if (node.kind === 'sink') this.sinks.set(node.id, [])
    }
  }

  /** One step of each source in turn, until all have ended. */
  run(): void {
    let running = this.#definition.transformations.filter(node => node.kind === 'source').map(source => ({ source, step: this.#source(source) }))
    while (running.length > 0) {
      running = running.filter(({ source, step }) => {
        if (step()) return true
        this.#sendWatermark(source, MAX_TIMESTAMP)
        return false
      })
    }
  }

  #source(node: SourceTransformation): () => boolean {
    const { source, strategy } = node
    const files = this.#options.files ?? noFiles
    const projectDirectory = this.#options.projectDirectory ?? '/'
    const reader = source.createReader({ subtask: 0, parallelism: 1, projectDirectory, files, now: () => this.#now, requestSplit: () => enumerator.handleSplitRequest(0) })
    const enumerator = source.createEnumerator(
      { parallelism: 1, projectDirectory, files, assignSplit: (_, split) => reader.addSplit(split), signalNoMoreSplits: () => reader.noMoreSplits() },
      undefined,
    )
    enumerator.start()
    const stamp = timestamps(strategy)
    const emit = this.#emitOf(node)
    const out: SourceOutput<unknown> = {
      beginSplit() {},
      endSplit() {},
      collect(value, timestamp = NO_TIMESTAMP) {
        stamp(value, timestamp, emit)
      },
      emitWatermark: timestamp => emit.watermark(timestamp),
    }
    reader.start()
    return () => reader.poll(out, 1) !== 'end'
  }

  #emitOf(node: Transformation): Emit {
    return {
      record: (value, timestamp) => {
        for (const consumer of this.#consumers.get(node) ?? []) if (consumer.kind !== 'sideOutput') this.#give(consumer, { value: structuredClone(value), timestamp })
      },
      side: (tag, value, timestamp) => {
        const all = this.sideOutputs.get(tag)
        if (all === undefined) this.sideOutputs.set(tag, [structuredClone(value)])
        else all.push(structuredClone(value))
        for (const consumer of this.#consumers.get(node) ?? []) if (consumer.kind === 'sideOutput' && consumer.tag === tag) this.#give(consumer, { value: structuredClone(value), timestamp })
      },
      watermark: timestamp => this.#sendWatermark(node, timestamp),
    }
  }

  #give(node: Transformation, item: Item): void {
    if (node.kind === 'union' || node.kind === 'partition' || node.kind === 'sideOutput') {
      // They only shape edges; what reads a side output is a main input from there on.
      for (const consumer of this.#consumers.get(node) ?? []) this.#give(consumer, consumer === this.#consumers.get(node)?.at(-1) ? item : { ...item, value: structuredClone(item.value) })
    } else this.#worker(node).record(item)
  }

  #sendWatermark(from: Transformation, timestamp: Timestamp): void {
    for (const consumer of this.#consumers.get(from) ?? []) {
      const inputs = this.#watermarks.get(consumer) as Map<Transformation, Timestamp>
      inputs.set(from, Math.max(timestamp, inputs.get(from) as Timestamp))
      const least = Math.min(...inputs.values())
      if (least <= (this.#seen.get(consumer) ?? MIN_TIMESTAMP)) continue
      this.#seen.set(consumer, least)
      if (consumer.kind === 'union' || consumer.kind === 'partition' || consumer.kind === 'sideOutput') this.#sendWatermark(consumer, least)
      else this.#worker(consumer).watermark(least)
    }
  }

  #worker(node: OperatorTransformation): Worker {
    let worker = this.#workers.get(node)
    if (worker === undefined) this.#workers.set(node, (worker = this.#createWorker(node, this.#emitOf(node))))
    return worker
  }

  #createWorker(node: OperatorTransformation, emit: Emit): Worker {
    const pass = (timestamp: Timestamp) => emit.watermark(timestamp)
    switch (node.kind) {
      case 'source':
        throw new Error('a source has no input')
      case 'map':
        return { record: ({ value, timestamp }) => emit.record(node.fn(value), timestamp), watermark: pass }
      case 'filter':
        return {
          record({ value, timestamp }) {
            if (node.fn(value)) emit.record(value, timestamp)
          },
          watermark: pass,
        }
      case 'flatMap':
        return {
          record({ value, timestamp }) {
            const results = node.fn(value, { collect: result => emit.record(result, timestamp) })
            if (results !== undefined) for (const result of results) emit.record(result, timestamp)
          },
          watermark: pass,
        }
      case 'timestamps': {
        const stamp = timestamps(node.strategy)
        // Watermarks from upstream are ignored, but for the end of the input (Flink TimestampsAndWatermarksOperator).
        return {
          record: ({ value, timestamp }) => stamp(value, timestamp, emit),
          watermark(timestamp) {
            if (timestamp === MAX_TIMESTAMP) emit.watermark(timestamp)
          },
        }
      }
      case 'process': {
        let watermark = MIN_TIMESTAMP
        return {
          record: ({ value, timestamp }) =>
            node.fn.process(
              value,
              {
                timestamp: timestamp === NO_TIMESTAMP ? undefined : timestamp,
                currentWatermark: () => watermark,
                currentProcessingTime: () => this.#now,
                output: (tag, out) => emit.side(tag.id, out, timestamp),
              },
              { collect: result => emit.record(result, timestamp) },
            ),
          watermark(timestamp) {
            watermark = timestamp
            emit.watermark(timestamp)
          },
        }
      }
      case 'reduce':
        return reduceWorker(node, emit)
      case 'keyedProcess':
        return keyedProcessWorker(node, emit, this.#now)
      case 'window':
        return windowWorker(node, emit, this.#now)
      case 'sink': {
        const written = this.sinks.get(node.id) as unknown[]
        return { record: ({ value }) => void written.push(value), watermark() {} }
      }
      default:
        return unreachable(node)
    }
  }
}

function inputsOf(node: Transformation): readonly Transformation[] {
  if (node.kind === 'source') return []
  return node.kind === 'union' ? node.inputs : [node.input]
}

/** Stamps records and lets a custom generator speak after each. */
function timestamps(strategy: ResolvedWatermarkStrategy | undefined): (value: unknown, timestamp: Timestamp, emit: Emit) => void {
  const generator = strategy?.policy.kind === 'custom' ? strategy.policy.create() : undefined
  return (value, recordTimestamp, emit) => {
    const timestamp = strategy?.timestamp === undefined ? recordTimestamp : strategy.timestamp(value, recordTimestamp)
    emit.record(value, timestamp)
    const watermark = generator?.onEvent(value, timestamp)
    if (watermark !== undefined) emit.watermark(watermark)
  }
}

function reduceWorker(node: ReduceTransformation, emit: Emit): Worker {
  const accumulated = new Map<CanonicalKey, unknown>()
  return {
    record({ value, timestamp }) {
      const key = canonicalKey(keyOf(node, value))
      const result = accumulated.has(key) ? node.fn(accumulated.get(key), value) : value
      accumulated.set(key, result)
      emit.record(result, timestamp)
    },
    watermark: emit.watermark,
  }
}

/** 0 and -0 are one key, which is 0. */
function keyOf(node: { readonly key: KeySelector }, value: unknown): unknown {
  const key = node.key.select(value)
  return key === 0 ? 0 : key
}

interface Timer {
  readonly at: Timestamp
  readonly key: unknown
}

function keyedProcessWorker(node: KeyedProcessTransformation, emit: Emit, now: Timestamp): Worker {
  const fn: KeyedProcessFunction<unknown, unknown, unknown, StateDescriptors> = node.fn
  const timers = new Map<string, Timer>()
  const tables = new Map<CanonicalKey, Record<string, unknown>>()
  let watermark = MIN_TIMESTAMP

  const call = (key: unknown, timestamp: Timestamp, body: (ctx: Parameters<NonNullable<typeof fn.onTimer>>[1], out: { collect(value: unknown): void }) => void) => {
    const canonical = canonicalKey(key)
    const timerId = (at: Timestamp) => `${typeof canonical}:${String(canonical)}@${at}`
    let state = tables.get(canonical)
    if (state === undefined) {
      state = Object.fromEntries(Object.entries(fn.state ?? {}).map(([name, descriptor]) => [name, plainState(descriptor, now)]))
      tables.set(canonical, state)
    }
    const service: TimerService = {
      currentWatermark: () => watermark,
      currentProcessingTime: () => now,
      registerEventTimeTimer: at => void timers.set(timerId(at), { at, key }),
      deleteEventTimeTimer: at => void timers.delete(timerId(at)),
      registerProcessingTimeTimer() {},
      deleteProcessingTimeTimer() {},
    }
    body(
      {
        key,
        timestamp: timestamp === NO_TIMESTAMP ? undefined : timestamp,
        timeDomain: 'event',
        // Each state object is what its descriptor says; the types of user code were checked by its compiler.
        state: state as never,
        timers: service,
        currentWatermark: () => watermark,
        currentProcessingTime: () => now,
        output: (tag, value) => emit.side(tag.id, value, timestamp),
      },
      { collect: value => emit.record(value, timestamp) },
    )
  }

  return {
    record: ({ value, timestamp }) => call(keyOf(node, value), timestamp, (ctx, out) => fn.process(value, ctx, out)),
    watermark(timestamp) {
      watermark = timestamp
      for (;;) {
        const [id, due] = [...timers].filter(([, timer]) => timer.at <= watermark).sort(([, a], [, b]) => a.at - b.at)[0] ?? []
        if (id === undefined || due === undefined) break
        timers.delete(id)
        call(due.key, due.at, (ctx, out) => fn.onTimer?.(due.at, ctx, out))
      }
      emit.watermark(timestamp)
    },
  }
}

/** One state of one key as a plain variable. Values are copied in and out, as if they went to a disk. */
function plainState(descriptor: StateDescriptor, now: Timestamp): unknown {
  const ttl = descriptor.ttl === undefined ? Infinity : parseDuration(descriptor.ttl, 'ttl')
  const alive = (writtenAt: Timestamp) => now < writtenAt + ttl
  if (descriptor.kind === 'value') {
    let held: { readonly value: unknown; readonly writtenAt: Timestamp } | undefined
    return {
      value: () => (held !== undefined && alive(held.writtenAt) ? structuredClone(held.value) : descriptor.defaultValue),
      update: (value: unknown) => void (held = { value: structuredClone(value), writtenAt: now }),
      clear: () => void (held = undefined),
    }
  }
  const map = new Map<CanonicalKey, { readonly key: unknown; readonly value: unknown; readonly writtenAt: Timestamp }>()
  const living = () => [...map.values()].filter(entry => alive(entry.writtenAt))
  const get = (key: unknown) => living().find(entry => canonicalKey(entry.key) === canonicalKey(key))
  return {
    get: (key: unknown) => structuredClone(get(key)?.value),
    put: (key: unknown, value: unknown) => void map.set(canonicalKey(key), { key, value: structuredClone(value), writtenAt: now }),
    has: (key: unknown) => get(key) !== undefined,
    delete: (key: unknown) => void map.delete(canonicalKey(key)),
    entries: () => living().map(entry => [structuredClone(entry.key), structuredClone(entry.value)]),
    keys: () => living().map(entry => structuredClone(entry.key)),
    values: () => living().map(entry => structuredClone(entry.value)),
    isEmpty: () => living().length === 0,
    clear: () => map.clear(),
  }
}

interface OpenWindow {
  readonly key: unknown
  readonly start: Timestamp
  readonly end: Timestamp
  readonly elements: unknown[]
  fired: boolean
}

function windowWorker(node: WindowTransformation, emit: Emit, now: Timestamp): Worker {
  const { assigner, allowedLateness } = node
  const windows = new Map<string, OpenWindow>()
  let watermark = MIN_TIMESTAMP

  const fire = (window: OpenWindow) => {
    window.fired = true
    const results = windowContents(node, window.elements)
    const timestamp = window.end - 1
    node.fn.result.process(
      results,
      {
        key: window.key,
        window: { start: window.start, end: window.end },
        currentWatermark: () => watermark,
        currentProcessingTime: () => now,
        output: (tag, value) => emit.side(tag.id, value, timestamp),
      },
      { collect: value => emit.record(value, timestamp) },
    )
  }

  return {
    record({ value, timestamp }) {
      const start = windowStart(timestamp, assigner.offset, assigner.size)
      const end = start + assigner.size
      if (end - 1 + allowedLateness <= watermark) {
        if (node.lateTag !== undefined) emit.side(node.lateTag, value, timestamp)
        return
      }
      const key = keyOf(node, value)
      const canonical = canonicalKey(key)
      const id = `${typeof canonical}:${String(canonical)}@${start}`
      let window = windows.get(id)
      if (window === undefined) windows.set(id, (window = { key, start, end, elements: [], fired: false }))
      window.elements.push(value)
      if (end - 1 <= watermark) fire(window)
    },
    watermark(timestamp) {
      watermark = timestamp
      for (const [id, window] of [...windows].sort(([, a], [, b]) => a.end - b.end)) {
        if (!window.fired && window.end - 1 <= watermark) fire(window)
        if (window.end - 1 + allowedLateness <= watermark) windows.delete(id)
      }
      emit.watermark(timestamp)
    },
  }
}

function windowContents(node: WindowTransformation, elements: readonly unknown[]): unknown[] {
  const { fn } = node
  const copies = elements.map(element => structuredClone(element))
  switch (fn.kind) {
    case 'process':
      return copies
    case 'reduce':
      return [copies.reduce((a, b) => fn.reduce(a, b))]
    case 'aggregate': {
      let accumulator = fn.aggregate.createAccumulator()
      for (const element of copies) accumulator = fn.aggregate.add(element, accumulator)
      return [fn.aggregate.getResult(accumulator)]
    }
    default:
      return unreachable(fn)
  }
}

const noFiles: FileSystem = {
  stat: () => undefined,
  list: () => [],
  openRead: () => refuse(),
  create: () => refuse(),
  rename: () => refuse(),
  remove: () => refuse(),
  makeDirectory: () => refuse(),
  syncDirectory: () => refuse(),
}
function refuse(): never {
  throw new Error('this run has no file system')
}

