/**
 * Builds the channels of all tasks of one slot from the execution plan: who reads what from whom, by channel number, in
 * this slot (by reference, or as frames when `exchange.handover` says so) or in another (as frames through the host).
 */
import type { BatchPool, StreamElement } from '../core/batch.ts'
import { assert } from '../core/assert.ts'
import type { FrameBuffers } from '../core/frame-buffers.ts'
import type { ExchangeConfig } from '../graph/config.ts'
import type { ExecutionPlan, JobEdge, PlanEdge, PlanSubtask } from '../graph/job-graph.ts'
import { channelOf, planIndex } from '../graph/plan.ts'
import type { Transformation } from '../graph/transformation.ts'
import type { KeySelector } from '../api/functions.ts'
import { createChannelEncoder } from '../codec/channel-codec.ts'
import { createCopier } from '../codec/copy.ts'
import { decodeFrame, encodeFrame } from '../codec/frame.ts'
import { keyOfPartials } from '../operators/window/partials.ts'
import { InputChannel, InputGate } from './input-gate.ts'
import { noFrames, OutputChannel, type ChannelLink, type ChannelOwner, type SentElement } from './output-channel.ts'
import { broadcastPartitioner, forwardPartitioner, hashPartitioner, rebalancePartitioner, type Partitioner } from './partitioner.ts'
import { createResultWriter, needsCopy, type WriterEdge } from './result-writer.ts'
import { TaskOutputs, type TaskOutput } from './task-outputs.ts'
import { encodeElement } from './frames.ts'

export interface WiringOptions {
  readonly plan: ExecutionPlan
  /** This logical slot. */
  readonly slot: number
  readonly exchange: ExchangeConfig
  readonly batches: BatchPool
  readonly frameBuffers: FrameBuffers
  transformation(id: number): Transformation
  send(slot: number, frame: Uint8Array): void
  /** Uniform in [0, 1). */
  random(): number
}

export interface TaskWiring {
  readonly subtask: PlanSubtask
  readonly gate: InputGate
  /** How many channels each input has. */
  readonly inputs: readonly number[]
  readonly outputs: TaskOutputs
}
export interface SlotWiring {
  readonly tasks: readonly TaskWiring[]
  /** By channel number: where frames and credits of other slots go. */
  readonly inputs: ReadonlyMap<number, InputChannel>
  readonly outputs: ReadonlyMap<number, OutputChannel>
}

export function wireSlot(options: WiringOptions): SlotWiring {
  const { plan } = options
  const slotOf: SlotOf = planIndex(plan).slotOfSubtask
  const inputs = new Map<number, InputChannel>()
  const outputs = new Map<number, OutputChannel>()
  const subtasks = plan.slots[options.slot]?.subtasks
  assert(subtasks !== undefined, `the plan has no slot ${options.slot}`)
  const gates = subtasks.map(subtask => wireInputs(subtask, slotOf, inputs, outputs, options))
  const tasks = subtasks.map((subtask, index): TaskWiring => {
    const { gate, perInput } = gates[index] as (typeof gates)[number]
    return { subtask, gate, inputs: perInput, outputs: wireOutputs(subtask, slotOf, inputs, outputs, options) }
  })
  return { tasks, inputs, outputs }
}

type SlotOf = (vertex: number, subtask: number) => number

function edgesOf(plan: ExecutionPlan, index: number): { readonly edge: JobEdge; readonly shape: PlanEdge } {
  const edge = plan.graph.edges[index]
  const shape = plan.edges[index]
  assert(edge !== undefined && shape !== undefined, `the plan has no edge ${index}`)
  return { edge, shape }
}

function wireInputs(subtask: PlanSubtask, slotOf: SlotOf, inputs: Map<number, InputChannel>, outputs: ReadonlyMap<number, OutputChannel>, options: WiringOptions) {
  const { plan, slot, exchange } = options
  const perInput: number[] = []
  const channels: InputChannel[] = []
  for (const index of subtask.inputs) {
    const { edge, shape } = edgesOf(plan, index)
    const ups = shape.forward ? [subtask.subtask] : Array.from({ length: shape.upParallelism }, (_, up) => up)
    for (const up of ups) {
      const number = channelOf(shape, up, subtask.subtask)
      const from = slotOf(edge.source, up)
      const inputIndex = perInput[edge.input] ?? 0
      perInput[edge.input] = inputIndex + 1
      const giveCredit =
        from === slot ? (credits: number) => outputs.get(number)?.addCredit(credits) : (credits: number) => options.send(from, encodeFrame({ kind: 'credit', channel: number, credits }))
      const channel = new InputChannel({
        number,
        index: channels.length,
        input: edge.input,
        inputIndex,
        slot: from,
        exchange,
        batches: options.batches,
        frameBuffers: options.frameBuffers,
        giveCredit,
        creditsAtOnce: from === slot ? 1 : Math.max(1, exchange.credits >> 1),
      })
      channels.push(channel)
      inputs.set(number, channel)
    }
  }
  return { gate: new InputGate(channels), perInput: Array.from(perInput, count => count ?? 0) }
}

function wireOutputs(subtask: PlanSubtask, slotOf: SlotOf, inputs: ReadonlyMap<number, InputChannel>, outputs: Map<number, OutputChannel>, options: WiringOptions): TaskOutputs {
  const owner: ChannelOwner = { fullChannels: 0, failure: undefined }
  const leaving = new Map<string, { readonly operator: number; readonly tag: string | undefined; readonly edges: WiredEdge[] }>()
  for (const index of subtask.outputs) {
    const { edge, shape } = edgesOf(options.plan, index)
    const downs = shape.forward ? [subtask.subtask] : Array.from({ length: shape.downParallelism }, (_, down) => down)
    const channels = downs.map(down => {
      const number = channelOf(shape, subtask.subtask, down)
      const to = slotOf(edge.target, down)
      const channel = new OutputChannel({ number, slot: to, link: link(number, to, inputs, options), owner, batches: options.batches, credits: options.exchange.credits, keyed: edge.partitioner === 'hash' })
      outputs.set(number, channel)
      return channel
    })
    const key = `${edge.sourceOperator} ${edge.tag ?? ''}${edge.tag === undefined ? '' : '#'}`
    let output = leaving.get(key)
    if (output === undefined) leaving.set(key, (output = { operator: edge.sourceOperator, tag: edge.tag, edges: [] }))
    output.edges.push({ edge, channels })
  }
  const all = [...leaving.values()].map(({ operator, tag, edges }): TaskOutput => ({ operator, tag, writer: createResultWriter(writerEdges(edges, options), options.batches), channels: edges.flatMap(edge => edge.channels) }))
  return new TaskOutputs(all, owner)
}

interface WiredEdge {
  readonly edge: JobEdge
  readonly channels: readonly OutputChannel[]
}

/** The consumers of one value are the edges, and of a broadcast edge every channel. */
function writerEdges(edges: readonly WiredEdge[], options: WiringOptions): WriterEdge[] {
  const { exchange, slot } = options
  const byReference = (channel: OutputChannel) => channel.slot === slot && exchange.handover === 'reference'
  const references = edges.flatMap(({ edge, channels }) => (edge.partitioner === 'broadcast' ? channels.map(byReference) : [channels.some(byReference)]))
  const copies = needsCopy(references, exchange.objectReuse)
  let consumer = 0
  return edges.map(({ edge, channels }): WriterEdge => {
    const first = consumer
    consumer += edge.partitioner === 'broadcast' ? channels.length : 1
    const copyFor = (index: number) => (copies[index] === true ? createCopier() : undefined)
    const partitioner = createPartitioner(edge, channels, channel => copyFor(first + channel), options)
    return { partitioner, copy: edge.partitioner === 'broadcast' ? undefined : copyFor(first) }
  })
}

function createPartitioner(edge: JobEdge, channels: readonly OutputChannel[], copy: (channel: number) => ((value: unknown) => unknown) | undefined, options: WiringOptions): Partitioner {
  switch (edge.partitioner) {
    case 'forward':
      return forwardPartitioner(channels[0] as OutputChannel)
    case 'rebalance':
      return rebalancePartitioner(channels, options.batches, Math.floor(options.random() * channels.length))
    case 'broadcast':
      return broadcastPartitioner(channels, options.batches, copy)
    case 'hash': {
      assert(edge.keyOf !== undefined, 'a hash edge without its key')
      const transformation = options.transformation(edge.keyOf)
      const { key: keyOfRecords, name } = keyOf(transformation)
      const key = edge.partials === true ? keyOfPartials(keyOfRecords) : keyOfRecords
      const maxParallelism = options.plan.graph.vertices[edge.target]?.maxParallelism
      assert(maxParallelism !== undefined, `no vertex ${edge.target}`)
      return hashPartitioner(channels, options.batches, {
        key,
        maxParallelism,
        operator: name,
        // Found out when there is an error.
        get at() {
          return transformation.at
        },
      })
    }
  }
}

function keyOf(transformation: Transformation): { readonly key: KeySelector; readonly name: string } {
  switch (transformation.kind) {
    case 'reduce':
    case 'keyedProcess':
    case 'window':
      return { key: transformation.key, name: transformation.name }
    case 'partition':
      assert(transformation.partitioner.kind === 'hash', 'the key of a partition without key')
      return { key: transformation.partitioner.key, name: 'keyBy' }
    default:
      assert(false, `a ${transformation.kind} has no key`)
  }
}

function link(number: number, to: number, inputs: ReadonlyMap<number, InputChannel>, options: WiringOptions): ChannelLink {
  const { slot, exchange, frameBuffers, send } = options
  if (to !== slot) return frameLink(number, exchange, frameBuffers, frame => send(to, frame))
  const input = inputs.get(number)
  assert(input !== undefined, `nobody reads channel ${number}`)
  if (exchange.handover === 'bytes') return frameLink(number, exchange, frameBuffers, frame => input.pushBytes(frame))
  return {
    keepsBatches: true,
    send(element) {
      input.push(element)
      return handedOver
    },
    sendFrame: () => assert(false, 'a frame on a channel without bytes'),
  }
}
const handedOver: SentElement = { bytes: 0, credits: 1, rest: noFrames }

function frameLink(number: number, exchange: ExchangeConfig, frameBuffers: FrameBuffers, deliver: (frame: Uint8Array) => void): ChannelLink {
  const encoder = createChannelEncoder(exchange.codec, number, frameBuffers)
  return {
    keepsBatches: false,
    sendFrame: deliver,
    send(element: StreamElement, credit: number) {
      if (element.kind !== 'records') {
        const frame = encodeElement(number, element)
        deliver(frame)
        return { bytes: frame.length, credits: 1, rest: noFrames }
      }
      const frames = encoder.encode(element.batch)
      const [first] = frames
      assert(first !== undefined, 'a batch without a frame')
      // A schema, if there is one, comes first and takes no credit.
      const free = frames.length > 1 && decodeFrame(first).kind === 'schema' ? 1 : 0
      const credits = Math.min(frames.length - free, credit)
      let bytes = 0
      for (let i = 0; i < frames.length; i++) {
        const frame = frames[i] as Uint8Array
        bytes += frame.length
        if (i < free + credits) deliver(frame)
      }
      return { bytes, credits, rest: free + credits === frames.length ? noFrames : frames.slice(free + credits) }
    },
  }
}
