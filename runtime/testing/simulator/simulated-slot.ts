/**
 * A slot in the one thread of a simulated cluster: the same `Slot` as in a worker, with virtual time and a simulated data
 * plane behind its door. Each deployment evaluates the job anew, as each worker does.
 */
import { errorToData } from '../../core/errors.ts'
import type { FileSystem } from '../../core/files.ts'
import type { Random } from '../../core/random.ts'
import { executionPlan, withMaxParallelism } from '../../graph/plan.ts'
import { translate } from '../../graph/translate.ts'
import type { JobDefinition } from '../../graph/transformation.ts'
import { createChain } from '../../operators/create-chain.ts'
import { readDeployment, type DeploymentText } from '../../protocol/deployment-text.ts'
import type { SlotDeployment, SlotMail } from '../../protocol/slot.ts'
import type { SlotFaults } from '../../slot/faults.ts'
import { Slot } from '../../slot/slot.ts'
import { PagedState } from '../../state/memory/paged-state.ts'
import { FrameBuffers } from '../../core/frame-buffers.ts'
import { openRestored } from '../../state/snapshot/restored-state.ts'
import type { RunningSlot, SlotEvents, SlotRunner } from '../../task-manager/slot-runner.ts'
import type { DataNetwork, SlotEnd } from './data-network.ts'
import { MemoryPageStore } from '../memory-page-store.ts'
import { lateSnapshots, type Told } from './planted-bugs.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface SlotWorld {
  readonly time: VirtualTime
  readonly network: DataNetwork
  readonly files: FileSystem
  readonly random: Random
  /** Evaluates the job of a deployment; a new copy of its functions each time. `told`: what this slot has been told last. */
  evaluate(deployment: SlotDeployment, told: Told): JobDefinition
  /** How long a turn takes, ms. */
  turnTime(): number
  /** Until then user code or the machine holds up all slots of the process. */
  stalledUntil(): number
  readonly faults?: SlotFaults
  /** Planted bug: a snapshot is of when it is written, not of when it was taken. */
  readonly snapshotByReference?: boolean
}

export class SimulatedSlot implements SlotRunner {
  readonly #world: SlotWorld
  readonly #socket: string
  #running: Running | undefined

  constructor(world: SlotWorld, socket: string) {
    this.#world = world
    this.#socket = socket
  }

  start(deployment: DeploymentText, events: SlotEvents): RunningSlot {
    this.#running = new Running(this.#world, this.#socket, readDeployment(deployment), events)
    return this.#running
  }

  /** The process is killed: nothing is said to anybody but by the broken links. */
  kill(): void {
    this.#running?.kill()
  }
}

class Running implements RunningSlot {
  readonly #world: SlotWorld
  readonly #deployment: SlotDeployment
  readonly #events: SlotEvents
  readonly #end: SlotEnd
  #slot: Slot | undefined
  #early: SlotMail[] = []
  #cancelTurn: (() => void) | undefined
  #turnAt = Infinity
  readonly #told: Told = { checkpointComplete: undefined }
  #over = false
  #cancelled = false
  #closing = false

  constructor(world: SlotWorld, socket: string, deployment: SlotDeployment, events: SlotEvents) {
    this.#world = world
    this.#deployment = deployment
    this.#events = events
    this.#end = { socket, jobId: deployment.jobId, fence: deployment.fence, slot: deployment.slot, receive: mail => this.receive(mail) }
    world.time.after(world.turnTime(), () => this.#load())
  }

  receive(mail: SlotMail): void {
    if (this.#over) return
    if (mail.kind === 'cancel') this.#cancelled = true
    if (this.#closing) {
      if (this.#cancelled) this.#finish(undefined)
      return
    }
    if (mail.kind === 'checkpointComplete') this.#told.checkpointComplete = mail.checkpointId
    if (this.#slot === undefined) this.#early.push(mail)
    else {
      this.#slot.receive(mail)
      this.#plan(this.#world.time.now + this.#world.turnTime())
    }
  }

  /** Reports are not held back here: nothing between a simulated slot and its TaskManager can fill up. */
  taken(): void {}

  kill(): void {
    if (this.#over) return
    this.#over = true
    this.#cancelTurn?.()
    this.#world.network.leave(this.#end, true)
  }

  #load(): void {
    if (this.#over) return
    const { time, network, files, random } = this.#world
    const stalledUntil = this.#world.stalledUntil()
    if (stalledUntil > time.now) return void time.at(stalledUntil, () => this.#load())
    const deployment = this.#deployment
    try {
      const definition = this.#world.evaluate(deployment, this.#told)
      const graph = withMaxParallelism(translate(definition, deployment.graph.config), deployment.maxParallelism)
      this.#slot = new Slot(
        {
          now: () => time.now,
          random: () => random.next(),
          frameBuffers: new FrameBuffers({ poison: true }),
          files,
          send: (slot, frame) => network.send(this.#end, deployment.peers[slot] as string, frame),
          report: report => {
            if (!this.#over) this.#events.report(report, undefined)
          },
          openKeyedState: ({ backend, keyGroups, maxParallelism, memoryLimit }) => {
            const state = new PagedState({ keyGroups, maxParallelism, memoryLimit, store: backend === 'hashmap' ? undefined : new MemoryPageStore(), clock: () => time.now, alwaysChanges: true })
            return this.#world.snapshotByReference ? lateSnapshots(state) : state
          },
          openRestored: (restore, subtask) => openRestored(files, restore, subtask),
        },
        definition,
        graph,
        executionPlan(graph),
        deployment,
        createChain,
        this.#world.faults === undefined ? {} : { faults: this.#world.faults },
      )
    } catch (error) {
      this.#finish(errorToData(error, 'JOB_BUILD_FAILED'))
      return
    }
    network.join(this.#end)
    for (const mail of this.#early) this.#slot.receive(mail)
    this.#early = []
    this.#plan(time.now)
  }

  #plan(at: number): void {
    if (this.#over || this.#closing || at >= this.#turnAt) return
    this.#cancelTurn?.()
    this.#turnAt = at
    this.#cancelTurn = this.#world.time.at(at, () => this.#turn())
  }

  #turn(): void {
    this.#turnAt = Infinity
    if (this.#world.stalledUntil() > this.#world.time.now) return this.#plan(this.#world.stalledUntil())
    const slot = this.#slot as Slot
    const result = slot.turn()
    if (slot.ended) this.#close()
    else if (result.kind === 'more') this.#plan(this.#world.time.now + this.#world.turnTime())
    else if (result.at !== Infinity) this.#plan(result.at)
  }

  #close(): void {
    this.#closing = true
    this.#world.network.close(this.#end, () => this.#finish(undefined))
  }

  #finish(error: ReturnType<typeof errorToData> | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#cancelTurn?.()
    this.#slot?.dispose()
    this.#world.network.leave(this.#end, this.#cancelled || error !== undefined)
    this.#events.ended(error)
  }
}
