import { expect, test } from 'vitest'
import { decodeValue } from '../codec/value-codec.ts'
import { seededRandom } from '../core/random.ts'
import type { ExchangeConfig } from '../graph/config.ts'
import type { SlotFaults } from './faults.ts'
import type { ChainState } from './test-chain.ts'
import { TestNetwork, type Checkpoint, type TestJob, type TestVertex } from './test-network.ts'

/** Sources of different length, a hash, a broadcast and a union; in three slots, or every vertex in slots of its own. */
function diamond(seed: number, job: Partial<TestJob> = {}): TestJob {
  const random = seededRandom(seed)
  const exchange: Partial<ExchangeConfig> = { batchSize: random.pick([1, 3, 512]), credits: random.pick([1, 2, 8]), handover: random.pick(['reference', 'bytes']), bufferTimeout: random.pick([0, 5]) }
  const apart = random.chance(0.5)
  const vertices: TestVertex[] = [
    { name: 'source', parallelism: 3, records: 60 + random.int(200), pause: 1, watermarkEvery: 10 },
    { name: 'early', parallelism: 1, records: 20, pause: 2 },
    { name: 'map', parallelism: 3, flushesAtSnapshot: random.chance(0.5), snapshotSteps: 1 + random.int(4) },
    { name: 'wide', parallelism: 2, ...(random.chance(0.5) ? { timerEvery: 7 } : {}) },
    { name: 'sink', parallelism: 2, collect: true },
  ]
  return {
    vertices: vertices.map(vertex => (apart ? { ...vertex, group: vertex.name } : vertex)),
    edges: [
      { from: 'source', to: 'map', by: 'hash' },
      { from: 'early', to: 'map', by: 'rebalance' },
      { from: 'source', to: 'wide', by: 'broadcast' },
      { from: 'map', to: 'sink', by: 'hash' },
      { from: 'wide', to: 'sink', by: 'forward' },
    ],
    exchange,
    seed,
    ...job,
  }
}

/** What the cut lacks: per edge and producer, records sent before the barrier and taken before it must be equal. */
function inconsistencies(network: TestNetwork, { states }: Checkpoint): string[] {
  const { graph } = network
  const found: string[] = []
  const state = (task: string) => {
    const bytes = states.get(task)
    return bytes === undefined ? undefined : (decodeValue(bytes) as ChainState)
  }
  for (const { source, target, partitioner } of graph.edges) {
    const from = graph.vertices[source]!
    const to = graph.vertices[target]!
    for (let up = 0; up < from.parallelism; up++) {
      const producer = state(`${from.name}${up}`)
      if (producer === undefined) continue
      let taken = 0
      let consumers = 0
      for (let down = 0; down < to.parallelism; down++) {
        const consumer = state(`${to.name}${down}`)
        if (consumer === undefined) continue
        consumers++
        taken += consumer.taken[`${from.name}${up}`] ?? 0
      }
      if (consumers < to.parallelism) continue
      const sent = producer.sent * (partitioner === 'broadcast' ? to.parallelism : 1)
      if (taken !== sent) found.push(`${from.name}${up} -> ${to.name}: sent ${sent}, taken ${taken}`)
    }
  }
  return found
}

/** Runs a job with checkpoints at random times, some of which are aborted or overlap; returns the complete ones. */
function runWithCheckpoints(seed: number, job: Partial<TestJob> = {}): { network: TestNetwork; found: string[]; complete: number } {
  const network = new TestNetwork(diamond(seed, job))
  const random = seededRandom(seed).fork('checkpoints')
  let next = 1
  network.runUntilAll('FINISHED', {
    each: () => {
      const running = [...network.statuses.values()].filter(status => status === 'RUNNING' || status === 'FINISHED').length
      if (running < 11 || next > 25) return
      const pending = [...network.checkpoints.values()].filter(({ status }) => status === 'pending')
      // As a coordinator with time-outs: what takes too long is given up, and the next begins at once.
      if (pending.length === 0 ? random.chance(0.01) : random.chance(0.004)) {
        if (random.chance(0.8)) for (const { id } of pending) network.abort(id)
        network.trigger(next++)
      }
    },
  })
  const complete = [...network.checkpoints.values()].filter(({ status }) => status === 'complete')
  return { network, found: complete.flatMap(checkpoint => inconsistencies(network, checkpoint)), complete: complete.length }
}

test('random interleavings: every complete checkpoint is a consistent cut, and nothing is lost', () => {
  let complete = 0
  for (let seed = 1; seed <= 15; seed++) {
    const run = runWithCheckpoints(seed)
    expect(run.found, `seed ${seed}`).toEqual([])
    const perSource = run.network.collected.filter(id => id.startsWith('source') && !id.includes('@'))
    const sources = new Set(perSource).size
    // Once through the hash, twice through the broadcast.
    expect(perSource.length, `seed ${seed}`).toBe(sources * 3)
    complete += run.complete
  }
  expect(complete).toBeGreaterThan(15)
})

test.for([
  ['no alignment', { noAlignment: true }],
  ['a newer barrier does not supersede', { noSupersede: true }],
] as const)('the planted bug is found: %s', ([, faults]: readonly [string, SlotFaults]) => {
  const guilty: number[] = []
  for (let seed = 1; seed <= 200 && guilty.length === 0; seed++) {
    if (runWithCheckpoints(seed, { faults }).found.length > 0) guilty.push(seed)
  }
  expect(guilty).toHaveLength(1)
})

test('C2: at least once, what was taken may be more than what was sent, never less', () => {
  for (let seed = 1; seed <= 8; seed++) {
    const { found } = runWithCheckpoints(seed, { checkpointing: { mode: 'at-least-once' } })
    for (const line of found) {
      const [, sent, taken] = /sent (\d+), taken (\d+)/.exec(line)!
      expect(Number(taken), `seed ${seed}: ${line}`).toBeGreaterThan(Number(sent))
    }
  }
})

test('a job that is restored from a checkpoint ends as if nothing had happened', () => {
  for (let seed = 1; seed <= 6; seed++) {
    const job = diamond(seed, { vertices: diamond(seed).vertices.map(vertex => ({ ...vertex, flushesAtSnapshot: false, timerEvery: undefined as never })) })
    const first = new TestNetwork(job)
    first.run(() => [...first.statuses.values()].filter(status => status === 'RUNNING').length === 11)
    for (let i = 0; i < 200; i++) if (!first.step()) first.now++
    if ([...first.statuses.values()].includes('FINISHED')) continue
    const checkpoint = first.trigger(1)
    first.run(() => checkpoint.status === 'complete')
    const second = new TestNetwork({ ...job, restore: checkpoint.states, seed: seed + 1000 })
    second.runUntilAll('FINISHED')
    // What the sinks took in all is in their state; the records themselves were collected by either run.
    const before = ['sink0', 'sink1'].reduce((sum, sink) => sum + Object.values((decodeValue(checkpoint.states.get(sink)!) as ChainState).taken).reduce((a, b) => a + b, 0), 0)
    const straight = new TestNetwork(job)
    straight.runUntilAll('FINISHED')
    expect(before + second.collected.length, `seed ${seed}`).toBe(straight.collected.length)
  }
})

const line = (name: 'prepare' | 'capture' | 'write'): TestJob => ({
  vertices: [
    { name: 'source', parallelism: 1, records: Infinity, pause: 5 },
    { name: 'sink', parallelism: 1, failSnapshot: name },
  ],
  edges: [{ from: 'source', to: 'sink', by: 'forward' }],
})

test.for(['capture', 'write'] as const)('C8: a snapshot that fails at %s declines the checkpoint; the task goes on', when => {
  const network = new TestNetwork(line(when))
  network.run(() => network.statuses.get('sink0') === 'RUNNING' && network.statuses.get('source0') === 'RUNNING')
  const checkpoint = network.trigger(1)
  network.run(() => checkpoint.status === 'aborted')
  expect(network.log.filter(each => each.includes('declined'))).toEqual([`sink0 declined 1: ${when === 'capture' ? 'cannot capture' : 'disk full'}`])
  network.run(() => network.log.includes('source0 aborted 1') && network.now > 4000)
  expect(network.statuses.get('sink0')).toBe('RUNNING')
})

test('C5: a sink that fails to flush before the barrier fails its task: what it held may be lost', () => {
  const network = new TestNetwork(line('prepare'))
  network.run(() => network.statuses.get('sink0') === 'RUNNING' && network.statuses.get('source0') === 'RUNNING')
  network.trigger(1)
  network.run(() => network.statuses.get('sink0') === 'FAILED')
})

test('a snapshot is written between turns; a newer one lets the older be written to its end first', () => {
  const network = new TestNetwork({ vertices: [{ name: 'source', parallelism: 1, records: Infinity, pause: 1, snapshotSteps: 50 }, { name: 'sink', parallelism: 1 }], edges: [{ from: 'source', to: 'sink', by: 'forward' }] })
  network.run(() => network.statuses.get('source0') === 'RUNNING')
  network.trigger(1)
  for (let i = 0; i < 20; i++) network.step()
  expect(network.log).not.toContain('source0 snapshot 1')
  network.trigger(2, 'savepoint')
  network.run(() => network.log.includes('source0 snapshot 2'))
  const order = network.log.filter(each => /^source0 (prepare|snapshot)/.test(each))
  expect(order).toEqual(['source0 prepare 1', 'source0 snapshot 1', 'source0 prepare 2', 'source0 snapshot 2'])
})

test('an aborted checkpoint is not written on', () => {
  const network = new TestNetwork({ vertices: [{ name: 'source', parallelism: 1, records: Infinity, pause: 1, snapshotSteps: 1000 }, { name: 'sink', parallelism: 1 }], edges: [{ from: 'source', to: 'sink', by: 'forward' }] })
  network.run(() => network.statuses.get('source0') === 'RUNNING')
  network.trigger(1)
  network.run(() => network.log.includes('source0 prepare 1'))
  network.abort(1)
  network.run(() => network.log.includes('source0 aborted 1'))
  expect(network.log.filter(each => each.startsWith('source0')).slice(-2)).toEqual(['source0 abort 1', 'source0 aborted 1'])
  network.run(() => network.now > 3000)
  expect(network.log).not.toContain('source0 snapshot 1')
})
