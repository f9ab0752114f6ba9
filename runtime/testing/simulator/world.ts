/**
 * What a seed decides: the job, the machines, and which faults there are and when. Each seed first draws which kinds of
 * faults there are at all, so that rare mixtures come up.
 *
 * Two phases: faults until `faultsEnd`, then everything is healed: links are fast, the disk is sound, nobody is killed.
 */
import type { Random } from '../../core/random.ts'
import { seededRandom } from '../../core/random.ts'
import type { ConnectionEnd } from './connection.ts'
import type { Delays } from './simulated-cluster.ts'

export interface World {
  readonly job: LedgerShape
  /** Of the job, and after each stop with savepoint. */
  readonly parallelisms: readonly number[]
  readonly taskManagers: number
  readonly slotsPerTaskManager: number
  readonly checkpointTimeout: number
  readonly batchSize: number
  readonly credits: number
  readonly bufferTimeout: number
  readonly handover: 'reference' | 'bytes'
  /** Bytes for state in a slot; what does not fit goes to its disk. undefined: all there is. */
  readonly stateMemory: number | undefined
  readonly heartbeat: { readonly heartbeatInterval: number; readonly heartbeatTimeout: number }
  readonly faults: readonly Fault[]
  readonly faultsEnd: number
  /** `calm`: whether the faults are over. */
  delays(calm: () => boolean): Delays
  readonly description: string
}

/** The job of a life: records go from a source through exchanges, one after the other, into a sink. */
export interface LedgerShape {
  readonly records: number
  readonly files: number
  /** Keys of each exchange. */
  readonly keys: readonly number[]
  /** Every vertex in slots of its own, so that each exchange crosses the network. */
  readonly ownSlots: boolean
  readonly checkpointInterval: number
}

export type Fault = { readonly at: number } & (
  | { readonly kind: 'killTaskManager'; readonly index: number }
  | { readonly kind: 'killJobManager' }
  /** Everything dies at once, and the disk forgets what was not synced. */
  | { readonly kind: 'powerOff' }
  | { readonly kind: 'stall'; readonly index: number; readonly slot: number | 'all'; readonly millis: number }
  | { readonly kind: 'freeze'; readonly index: number; readonly millis: number }
  | { readonly kind: 'cut'; readonly index: number; readonly ends: readonly ConnectionEnd[]; readonly millis: number }
  /** The n-th call from then on fails. */
  | { readonly kind: 'storageError'; readonly call: number }
  | { readonly kind: 'diskFull'; readonly room: number; readonly millis: number }
  /** A savepoint, and the job goes on. */
  | { readonly kind: 'savepoint' }
  /** A stop with savepoint, and another job goes on from it at another parallelism. */
  | { readonly kind: 'rescale' }
)

export function drawWorld(random: Random): World {
  // Checkpoints one upon the other over a slow network: they expire while their barriers are still on the way.
  const hurried = random.chance(0.35)
  const faultsEnd = hurried ? 800 + random.int(600) : 200 + random.int(1300)
  const exchanges = hurried ? 2 + random.int(2) : random.pick([1, 1, 2])
  const ownSlots = random.chance(hurried ? 0.8 : 0.3)
  const rescale = random.chance(0.25)
  const parallelisms = Array.from({ length: rescale ? 2 : 1 }, () => (hurried ? 2 : 1) + random.int(hurried ? 2 : 4))
  const groups = ownSlots ? exchanges + 1 : 1
  const slots = Math.max(...parallelisms) * groups
  // Each slot in a process of its own hears from the JobManager at a time of its own.
  const taskManagers = random.chance(hurried ? 0.7 : 0.1) ? slots : 1 + random.int(Math.min(3, slots))
  const job: LedgerShape = {
    records: 60 + random.int(150),
    files: 1 + random.int(5),
    keys: Array.from({ length: exchanges }, () => 1 + random.int(12)),
    ownSlots,
    checkpointInterval: hurried ? 20 + random.int(40) : 30 + random.int(200),
  }
  const times = <F>(probability: number, most: number, draw: () => F): F[] => (random.chance(hurried ? probability / 3 : probability) ? Array.from({ length: 1 + random.int(most) }, draw) : [])
  const at = () => random.int(faultsEnd)
  const index = () => random.int(taskManagers)
  // What lasts ends with the faults.
  const lasting = (least: number, most: number) => {
    const begin = at()
    return { at: begin, millis: Math.min(least + random.int(most - least), faultsEnd - begin) }
  }
  const checkpointTimeout = hurried ? 60 + random.int(120) : random.chance(0.3) ? 100 + random.int(300) : 600_000
  const slotsPerTaskManager = Math.ceil(slots / taskManagers)
  const ends: readonly (readonly ConnectionEnd[])[] = [['JobManager'], ['TaskManager'], ['JobManager', 'TaskManager']]
  const faults: Fault[] = [
    ...times(0.6, 3, (): Fault => ({ kind: 'killTaskManager', at: at(), index: index() })),
    ...times(0.25, 2, (): Fault => ({ kind: 'killJobManager', at: at() })),
    ...times(0.08, 1, (): Fault => ({ kind: 'powerOff', at: at() })),
    ...times(0.4, 4, (): Fault => ({ kind: 'stall', index: index(), slot: 'all', ...lasting(50, 650) })),
    // One slot stands still until about when a checkpoint expires: its neighbours have passed the barrier on, it has not.
    ...times(0.2, 8, (): Fault => ({ kind: 'stall', index: index(), slot: random.int(slotsPerTaskManager), ...lasting(40, Math.min(checkpointTimeout, 400) + 60) })),
    ...times(0.25, 2, (): Fault => ({ kind: 'freeze', index: index(), ...lasting(20, 700) })),
    ...times(0.2, 2, (): Fault => ({ kind: 'cut', index: index(), ends: random.pick(ends), ...lasting(20, 700) })),
    ...times(0.2, 3, (): Fault => ({ kind: 'storageError', at: at(), call: 1 + random.int(100) })),
    ...times(0.08, 1, (): Fault => ({ kind: 'diskFull', room: random.int(2000), ...lasting(20, 300) })),
    ...times(0.2, 2, (): Fault => ({ kind: 'savepoint', at: at() })),
    ...(rescale ? [{ kind: 'rescale' as const, at: at() }] : []),
  ].sort((a, b) => a.at - b.at)
  const slow = drawDelays(random, hurried, taskManagers, slotsPerTaskManager)
  const heartbeatInterval = 50 + random.int(100)
  const world = {
    job,
    parallelisms,
    // Sometimes a spare one, so that the job goes on elsewhere while a process that was given up still runs.
    taskManagers: taskManagers + (random.chance(0.4) ? 1 : 0),
    slotsPerTaskManager,
    checkpointTimeout,
    batchSize: random.pick([1, 3, 16]),
    credits: random.pick([2, 4, 8]),
    bufferTimeout: random.pick([0, 5]),
    handover: random.pick(['reference', 'bytes'] as const),
    stateMemory: random.fork('state').pick([undefined, 1, 2_000]),
    heartbeat: { heartbeatInterval, heartbeatTimeout: heartbeatInterval * (2 + random.int(3)) },
    faults,
    faultsEnd,
    delays: slow.delays,
  }
  return { ...world, description: describe(world, slow.description) }
}

/** How slow the links and the machines are. One process may hear the JobManager late, and one slot may be slow: others run ahead of them. */
function drawDelays(random: Random, hurried: boolean, taskManagers: number, slotsPerTaskManager: number): { delays(calm: () => boolean): Delays; readonly description: string } {
  const dice = random.fork('delays')
  const links = random.int(1_000_000)
  const often = hurried ? 0.9 : 0.3
  const slower = (choices: readonly number[], usual: number) => (random.chance(often) ? random.pick(choices) : usual)
  const control = random.pick([1, 3, hurried ? 3 : 30])
  const slowControl = slower([60, 120], control)
  const slowConnection = random.int(taskManagers)
  const data = random.pick([1, 4, hurried ? 15 : 40])
  const slowData = slower(hurried ? [30, 100] : [60, 300], data)
  const turn = random.pick([1, 8])
  const slowTurn = slower(hurried ? [120, 240] : [60, 150], turn)
  const slowSlot = `-${random.int(taskManagers)}/${random.int(slotsPerTaskManager)}`
  const restart = random.pick([5, 200])
  const delays = (calm: () => boolean): Delays => {
    const slowLinks = new Map<string, boolean>()
    const isSlow = (link: string) => {
      let slow = slowLinks.get(link)
      if (slow === undefined) slowLinks.set(link, (slow = seededRandom(links).fork(link).chance(0.2)))
      return slow
    }
    const slowSlots = new Map<string, boolean>()
    // Whoever takes the place of a process is as slow as that one was.
    const isSlowSlot = (slot: string) => {
      let slow = slowSlots.get(slot)
      if (slow === undefined) slowSlots.set(slot, (slow = slot.replace(/\d+(?=\/)/, number => String(Number(number) % taskManagers)).endsWith(slowSlot)))
      return slow
    }
    const upTo = (most: number) => dice.next() * (calm() ? 1 : most)
    return {
      control: connection => upTo(connection % taskManagers === slowConnection ? slowControl : control),
      data: (from, to) => upTo(isSlow(`${from} ${to}`) ? slowData : data),
      turn: slot => upTo(isSlowSlot(slot) ? slowTurn : turn),
      restart: () => upTo(restart),
    }
  }
  const description = `control up to ${control} ms (one connection ${slowControl}), data up to ${data} ms (one link in 5 ${slowData}), turns up to ${turn} ms (slot ${slowSlot} ${slowTurn}), restarts up to ${restart} ms`
  return { delays, description }
}

function describe(world: Omit<World, 'delays' | 'description'>, delays: string): string {
  const { job } = world
  const faults = world.faults.map(fault => {
    const { kind, at, ...rest } = fault
    return `${kind} at ${at}${Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : ''}`
  })
  return (
    `${job.records} records in ${job.files} files through ${job.keys.length} exchanges with ${job.keys.join(', ')} keys, parallelism ${world.parallelisms.join(' then ')}` +
    `${job.ownSlots ? ', every vertex in slots of its own' : ''}, ${world.taskManagers} TaskManagers with ${world.slotsPerTaskManager} slots, ` +
    `checkpoint every ${job.checkpointInterval} ms within ${world.checkpointTimeout} ms, heartbeat within ${world.heartbeat.heartbeatTimeout} ms, ` +
    `batches of ${world.batchSize}, ${world.credits} credits, ${world.handover}, ${world.stateMemory ?? 'all'} bytes for state; ${delays}; faults until ${world.faultsEnd}: ${faults.join(', ') || 'none'}`
  )
}
