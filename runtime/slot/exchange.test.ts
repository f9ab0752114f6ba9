import { expect, test } from 'vitest'
import type { ExchangeConfig } from '../graph/config.ts'
import { BatchPool, createBatch } from '../core/batch.ts'
import { decodeFrame } from '../codec/frame.ts'
import { keyGroupOf, spreadKeyHash, subtaskOfKeyGroup } from '../core/key-group.ts'
import { maxWaiting, OutputChannel, type ChannelLink, type ChannelOwner } from './output-channel.ts'
import { closureHashLoop, hashPartitioner } from './partitioner.ts'
import { needsCopy } from './result-writer.ts'
import { TestNetwork, type TestJob } from './test-network.ts'

/** One slot produces, another consumes. */
const apart = (exchange: Partial<ExchangeConfig>, records = 20_000, pause?: number): TestJob => ({
  vertices: [
    { name: 'source', parallelism: 1, records, group: 'a', watermarkEvery: 50, ...(pause === undefined ? {} : { pause }) },
    { name: 'sink', parallelism: 1, group: 'b', collect: true },
  ],
  edges: [{ from: 'source', to: 'sink', by: 'rebalance' }],
  exchange,
})
const sumOf = (network: TestNetwork, task: string, what: 'backPressuredMs' | 'idleMs' | 'busyMs') =>
  network.reports.flatMap(({ report }) => (report.kind === 'metrics' ? report.tasks : [])).findLast(each => network.nameOf(each.task) === task)![what]

test.for([1, 2, 8, 32])('with %i credits no more frames are under way, and the producer is held', credits => {
  const network = new TestNetwork(apart({ credits, batchSize: 16 }, Infinity))
  // The consumer never takes anything.
  for (let i = 0; i < 300; i++) {
    network.turn(0)
    network.now++
  }
  expect(network.mostOnLink).toBe(credits)
  for (let i = 0; i < 1000; i++) {
    network.turn(0)
    network.now++
  }
  expect(network.mostOnLink).toBe(credits)
  expect(sumOf(network, 'source0', 'backPressuredMs')).toBeGreaterThan(900)
})

test('back-pressure ends when the consumer goes on, and nothing is lost', () => {
  const network = new TestNetwork(apart({ credits: 2, batchSize: 16 }))
  for (let i = 0; i < 300; i++) network.turn(0)
  network.runUntilAll('FINISHED')
  expect(network.collected).toEqual(Array.from({ length: 20_000 }, (_, i) => `source0#${i}`))
  expect(network.mostOnLink).toBeLessThanOrEqual(2)
})

test('a channel holds what has no credit, says so, and sends it in order when credit comes', () => {
  const sent: string[] = []
  const owner: ChannelOwner = { fullChannels: 0, failure: undefined }
  const link = {
    keepsBatches: false,
    send: (element: Parameters<OutputChannel['element']>[0]) => {
      sent.push(element.kind === 'records' ? element.batch.values.slice(0, element.batch.size).join('') : element.kind)
      return { bytes: 1, credits: 1, rest: [] }
    },
    sendFrame: () => {},
  }
  const channel = new OutputChannel({ number: 0, slot: 0, link, owner, batches: new BatchPool(2), credits: 1 })
  for (const value of 'abcde') channel.append(value, 0)
  channel.element({ kind: 'watermark', timestamp: 1 })
  expect([sent, channel.waiting, owner.fullChannels]).toEqual([['ab'], 3, 1])
  expect(channel.waiting).toBeGreaterThanOrEqual(maxWaiting)
  channel.addCredit(2)
  expect([sent, channel.waiting, owner.fullChannels]).toEqual([['ab', 'cd', 'e'], 1, 0])
  channel.addCredit(2)
  expect([sent, channel.waiting, channel.credit]).toEqual([['ab', 'cd', 'e', 'watermark'], 0, 1])
})

test.for([1, 7, 512])('records that wait are counted one by one, in batches of %i: beyond the bound the task fails', batchSize => {
  const link = { keepsBatches: true, send: () => ({ bytes: 0, credits: 1, rest: [] }), sendFrame: () => {} }
  const channel = new OutputChannel({ number: 0, slot: 0, link, owner: { fullChannels: 0, failure: undefined }, batches: new BatchPool(batchSize), credits: 0, mostWaitingRecords: 1000 })
  const fill = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      channel.append(i, 0)
      // Small batches count as little as they hold.
      if (i % 100 === 0) channel.flush()
    }
    channel.flush()
  }
  fill(0, 999)
  channel.element({ kind: 'watermark', timestamp: 1 })
  expect(() => fill(999, 1000)).toThrow(expect.objectContaining({ code: 'USER_CODE_FAILED', message: 'more than 1000 records came out of one call of a function and wait for the next task' }))
})

test('what was sent waits no longer', () => {
  const link = { keepsBatches: true, send: () => ({ bytes: 0, credits: 1, rest: [] }), sendFrame: () => {} }
  const channel = new OutputChannel({ number: 0, slot: 0, link, owner: { fullChannels: 0, failure: undefined }, batches: new BatchPool(4), credits: 0, mostWaitingRecords: 8 })
  for (let i = 0; i < 1000; i++) {
    channel.append(i, 0)
    if (i % 8 === 7) channel.addCredit(2)
  }
  expect(channel.drained).toBe(true)
})

test('a batch that becomes more frames than there is credit is sent piece by piece', () => {
  const sent: number[] = []
  const frames = [1, 2, 3, 4, 5].map(byte => Uint8Array.of(byte))
  const link = {
    keepsBatches: false,
    send: (element: Parameters<OutputChannel['element']>[0], credit: number) => {
      if (element.kind !== 'records') return sent.push(9), { bytes: 1, credits: 1, rest: [] }
      for (const frame of frames.slice(0, credit)) sent.push(frame[0]!)
      return { bytes: 5, credits: Math.min(credit, 5), rest: frames.slice(credit) }
    },
    sendFrame: (frame: Uint8Array) => void sent.push(frame[0]!),
  }
  const channel = new OutputChannel({ number: 0, slot: 0, link, owner: { fullChannels: 0, failure: undefined }, batches: new BatchPool(2), credits: 2 })
  channel.append('a', 0)
  channel.append('b', 0)
  channel.element({ kind: 'watermark', timestamp: 1 })
  expect([sent, channel.credit, channel.drained]).toEqual([[1, 2], 0, false])
  channel.addCredit(2)
  expect([sent, channel.credit]).toEqual([[1, 2, 3, 4], 0])
  channel.addCredit(3)
  expect([sent, channel.credit, channel.drained]).toEqual([[1, 2, 3, 4, 5, 9], 1, true])
})

test('a large batch goes on as it is, a small one is gathered, an over-large one is split', () => {
  const sizes: number[] = []
  const link = { keepsBatches: true, send: (element: Parameters<OutputChannel['element']>[0]) => (element.kind === 'records' && sizes.push(element.batch.size), { bytes: 0, credits: 1, rest: [] }), sendFrame: () => {} }
  const channel = new OutputChannel({ number: 0, slot: 0, link, owner: { fullChannels: 0, failure: undefined }, batches: new BatchPool(8), credits: 100 })
  const batch = (size: number) => ({ ...createBatch(size), size, values: Array.from({ length: size }, (_, i): unknown => i) })
  for (const size of [8, 4, 3, 3, 3, 20]) channel.appendBatch(batch(size))
  channel.flush()
  expect(sizes).toEqual([8, 4, 8, 8, 8, 5])
})

test('large records make smaller batches, so that frames stay near 128 KiB', () => {
  const link = { keepsBatches: false, send: (element: Parameters<OutputChannel['element']>[0]) => (element.kind === 'records' && sizes.push(element.batch.size), { bytes: element.kind === 'records' ? element.batch.size * 1024 : 1, credits: 1, rest: [] }), sendFrame: () => {} }
  const sizes: number[] = []
  const channel = new OutputChannel({ number: 0, slot: 0, link, owner: { fullChannels: 0, failure: undefined }, batches: new BatchPool(512), credits: 100 })
  for (let i = 0; i < 800; i++) channel.append(i, 0)
  expect(sizes).toEqual([512, 128, 128])
})

test('a batch that does not fill is sent when the buffer timeout is over', () => {
  const network = new TestNetwork({
    vertices: [
      { name: 'source', parallelism: 1, records: Infinity, group: 'a', pause: 1000 },
      { name: 'map', parallelism: 1, group: 'a' },
      { name: 'sink', parallelism: 1, group: 'b', collect: true },
    ],
    edges: [
      { from: 'source', to: 'map', by: 'forward' },
      { from: 'map', to: 'sink', by: 'forward' },
    ],
    exchange: { bufferTimeout: 20 },
  })
  const settle = () => {
    while (network.turn(0).kind === 'more');
  }
  const frames = () => network.linkFrames(0, 1)
  settle()
  expect(frames()).toBe(0)
  network.now += 19
  settle()
  expect(frames()).toBe(0)
  network.now += 1
  settle()
  expect(frames()).toBe(2) // a schema and one record
})

test.for([
  ['the source has nothing to add', { bufferTimeout: 20 }],
  ['the timeout is 0: after each turn', { bufferTimeout: 0 }],
] as const)('a batch is sent at once when %s', ([, exchange]) => {
  const network = new TestNetwork(apart(exchange, Infinity, 1000))
  while (network.turn(0).kind === 'more');
  expect(network.linkFrames(0, 1)).toBe(2)
})

test('a source that only pauses for less than the timeout does not send a frame each time', () => {
  const network = new TestNetwork(apart({ bufferTimeout: 20 }, Infinity, 3))
  while (network.turn(0).kind === 'more');
  for (let i = 0; i < 19; i++) {
    network.now++
    while (network.turn(0).kind === 'more');
  }
  expect(network.linkFrames(0, 1)).toBe(0)
  network.now++
  while (network.turn(0).kind === 'more');
  expect(network.linkFrames(0, 1)).toBe(2)
})

test('results are the same for every batch size, hand-over and codec', () => {
  const results = new Set<string>()
  for (const batchSize of [1, 2, 512]) {
    for (const handover of ['reference', 'bytes'] as const) {
      for (const codec of ['columnar', 'record'] as const) {
        const network = new TestNetwork({
          vertices: [
            { name: 'source', parallelism: 2, records: 400, watermarkEvery: 7 },
            { name: 'twice', parallelism: 2, copies: 2 },
            { name: 'other', parallelism: 2 },
            { name: 'sink', parallelism: 1, collect: true },
          ],
          edges: [
            { from: 'source', to: 'twice', by: 'hash' },
            { from: 'source', to: 'other', by: 'broadcast' },
            { from: 'twice', to: 'sink', by: 'rebalance' },
            { from: 'other', to: 'sink', by: 'rebalance' },
          ],
          exchange: { batchSize, handover, codec },
          seed: batchSize,
        })
        network.runUntilAll('FINISHED')
        expect(network.collected).toHaveLength(800 * 2 + 1600)
        results.add(network.collected.toSorted().join())
      }
    }
  }
  expect(results.size).toBe(1)
})

test.for([
  ['reference', 1],
  ['reference', 512],
  ['bytes', 512],
] as const)('owned values: a consumer that changes its records is not seen by another (%s, batches of %i)', ([handover, batchSize]) => {
  const network = new TestNetwork({
    vertices: [
      { name: 'source', parallelism: 1, records: 100 },
      { name: 'first', parallelism: 1, mutates: true, collect: true },
      { name: 'second', parallelism: 1, collect: true, mutates: true },
      { name: 'third', parallelism: 2, collect: true, mutates: true },
    ],
    edges: [
      { from: 'source', to: 'first', by: 'forward' },
      { from: 'source', to: 'second', by: 'hash' },
      { from: 'source', to: 'third', by: 'broadcast' },
    ],
    exchange: { handover, batchSize },
  })
  network.runUntilAll('FINISHED')
  expect(network.collected.toSorted()).toEqual(Array.from({ length: 400 }, (_, i) => `source0#${Math.floor(i / 4)}`).toSorted())
})

test.for([
  ['one consumer', [true], false, [false]],
  ['two by reference: the first keeps the original', [true, true], false, [false, true]],
  ['one encodes later: the original must not change', [true, false], false, [true, false]],
  ['all encode', [false, false], false, [false, false]],
  ['the user promised not to change anything', [true, true, false], true, [false, false, false]],
] as const)('copies: %s', ([, references, objectReuse, expected]) => {
  expect(needsCopy(references, objectReuse)).toEqual(expected)
})

test('X8: rebalance goes round, from a start that chance decides', () => {
  const starts = new Set<number>()
  for (let seed = 0; seed < 20; seed++) {
    const network = new TestNetwork({
      vertices: [
        { name: 'source', parallelism: 1, records: 8 },
        { name: 'sink', parallelism: 4, collect: true },
      ],
      edges: [{ from: 'source', to: 'sink', by: 'rebalance' }],
      seed,
    })
    const bySlot = new Map<number, string[]>()
    network.runUntilAll('FINISHED')
    for (const { slot, report } of network.reports) if (report.kind === 'collect') bySlot.set(slot, [...(bySlot.get(slot) ?? []), report.value as string])
    expect([...bySlot.values()].map(values => values.length)).toEqual([2, 2, 2, 2])
    starts.add([...bySlot].find(([, values]) => values.includes('source0#0'))![0])
  }
  expect(starts.size).toBeGreaterThan(1)
})

test('K: a key goes to the owner of its key group, by the generated loop and by the closure', () => {
  const key = { description: 'key', select: (value: unknown) => (value as { key: unknown }).key, field: 'key' }
  const collect = () => {
    const taken: unknown[][] = [[], [], []]
    const channels = taken.map((values, number) => {
      const link: ChannelLink = {
        keepsBatches: true,
        send(element) {
          if (element.kind !== 'records') return { bytes: 0, credits: 1, rest: [] }
          const { size, values: records, keyHashes } = element.batch
          values.push(...records.slice(0, size))
          expect([...keyHashes!.slice(0, size)]).toEqual(records.slice(0, size).map(record => spreadKeyHash((record as { key: unknown }).key)))
          return { bytes: 0, credits: 1, rest: [] }
        },
        sendFrame: () => {},
      }
      return new OutputChannel({ number, slot: 0, link, owner: { fullChannels: 0, failure: undefined }, batches: new BatchPool(1), credits: 1e9, keyed: true })
    })
    return { taken, channels }
  }
  const values = ['a', 'b', 'c', 1, 2, 2.5, -1, true, 10n, ['x', 1]].map(k => ({ key: k }))
  const expected = [0, 1, 2].map(subtask => values.filter(value => subtaskOfKeyGroup(keyGroupOf(value.key, 128), 3, 128) === subtask))
  const generated = collect()
  const batch = { size: values.length, values, timestamps: new Float64Array(values.length) }
  hashPartitioner(generated.channels, new BatchPool(1), { key, maxParallelism: 128, operator: 'count', at: undefined }).batch(batch)
  expect(generated.taken).toEqual(expected)
  const closure = collect()
  const owners = Array.from({ length: 128 }, (_, group) => closure.channels[subtaskOfKeyGroup(group, 3, 128)]!)
  closureHashLoop(spreadKeyHash, owners, 128, key)(values, batch.timestamps, values.length)
  expect(closure.taken).toEqual(expected)
})

test('an error of a key names the operator and the line', () => {
  const at = { file: 'job.ts', line: 3 }
  const partition = (select: (value: unknown) => unknown) => {
    const link = { keepsBatches: true, send: () => ({ bytes: 0, credits: 1, rest: [] }), sendFrame: () => {} }
    const channel = new OutputChannel({ number: 0, slot: 0, link, owner: { fullChannels: 0, failure: undefined }, batches: new BatchPool(1), credits: 1, keyed: true })
    hashPartitioner([channel], new BatchPool(1), { key: { description: "'user'", select }, maxParallelism: 128, operator: 'orders', at }).record({ user: undefined }, 0)
  }
  expect(() => partition(() => undefined)).toThrow(expect.objectContaining({ code: 'INVALID_KEY', message: `keyBy('user') of "orders": undefined cannot be a key`, at }))
  expect(() => partition(() => { throw new Error('oh') })).toThrow(expect.objectContaining({ code: 'USER_CODE_FAILED', message: `keyBy('user') of "orders" threw: oh`, at }))
})

test('a record that cannot be encoded fails its producer, also when it waited for credit', () => {
  const job = apart({ credits: 1, batchSize: 1 }, 20)
  const network = new TestNetwork({ ...job, vertices: job.vertices.map(vertex => (vertex.name === 'source' ? { ...vertex, unencodableAt: 5 } : vertex)) })
  network.run(() => network.statuses.get('source0') === 'FAILED')
  const failures = network.reports.flatMap(({ report }) => (report.kind === 'status' && report.status === 'FAILED' ? [report.error?.code] : []))
  expect(failures).toEqual(['UNSUPPORTED_VALUE'])
  expect(network.statuses.get('sink0')).toBe('RUNNING')
})

test('behind what could not be sent nothing is sent, on no channel of the task: no barrier completes a checkpoint without it', () => {
  const sent: string[] = []
  const owner: ChannelOwner = { fullChannels: 0, failure: undefined }
  const channels = ['a', 'b'].map((name, number) => {
    const link: ChannelLink = {
      keepsBatches: true,
      send(element) {
        if (element.kind === 'records' && element.batch.values[0] === 'bad') throw new TypeError('refused')
        sent.push(`${name} ${element.kind === 'records' ? String(element.batch.values[0]) : element.kind}`)
        return { bytes: 0, credits: 1, rest: [] }
      },
      sendFrame: () => {},
    }
    return new OutputChannel({ number, slot: 0, link, owner, batches: new BatchPool(1), credits: 0 })
  })
  const [a, b] = channels as [OutputChannel, OutputChannel]
  a.append('good', 0)
  a.append('bad', 0)
  b.append('good', 0)
  for (const channel of channels) channel.element({ kind: 'barrier', barrier: { checkpointId: 1, timestamp: 0, kind: 'checkpoint' } })
  a.addCredit(2)
  expect([sent, owner.failure]).toEqual([['a good'], new TypeError('refused')])
  a.addCredit(2)
  b.addCredit(2)
  b.append('more', 0)
  expect(sent).toEqual(['a good'])
})

test('frames between slots are what the protocol says', () => {
  const network = new TestNetwork(apart({}, 3))
  const kinds: string[] = []
  network.runUntilAll('FINISHED', {
    each: () => {
      const frame = network.firstFrame(0, 1)
      if (frame !== undefined && kinds.at(-1) !== frame) kinds.push(frame)
    },
  })
  expect(kinds.map(frame => decodeFrame(Uint8Array.from(frame.split(' ').map(Number))).kind)).toEqual(['schema', 'records', 'watermark', 'endOfData', 'endOfPartition'])
})
