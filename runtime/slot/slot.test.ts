import { expect, test } from 'vitest'
import { TestNetwork, type TestJob } from './test-network.ts'

/** Two slots: source -hash-> count -forward-> sink, each twice. */
const pipeline = (job: Partial<TestJob> & { records?: number; commits?: boolean; pause?: number } = {}): TestJob => ({
  vertices: [
    { name: 'source', parallelism: 2, records: job.records ?? 1000, watermarkEvery: 100, ...(job.pause === undefined ? {} : { pause: job.pause }) },
    { name: 'count', parallelism: 2 },
    { name: 'sink', parallelism: 2, collect: true, commits: job.commits ?? false },
  ],
  edges: [
    { from: 'source', to: 'count', by: 'hash' },
    { from: 'count', to: 'sink', by: 'forward' },
  ],
  ...job,
})
const ids = (name: string, records: number, subtasks = 2) => Array.from({ length: subtasks }, (_, s) => Array.from({ length: records }, (_, i) => `${name}${s}#${i}`)).flat()
const of = (network: TestNetwork, task: string) => network.log.filter(line => line.startsWith(`${task} `)).map(line => line.slice(task.length + 1))
const withoutWatermarks = (lines: readonly string[]) => lines.filter(line => !line.startsWith('watermark') || line === 'watermark Infinity')

test('a bounded job hands every record to the sink once and finishes', () => {
  const network = new TestNetwork(pipeline())
  network.runUntilAll('FINISHED')
  expect(network.collected.toSorted()).toEqual(ids('source', 1000).toSorted())
  expect(network.slots.every(slot => slot.ended)).toBe(true)
})

test('X13, C11, T16: at its end a task gets MAX, then endInput, then is closed', () => {
  const network = new TestNetwork(pipeline({ records: 10 }))
  network.runUntilAll('FINISHED')
  expect(of(network, 'source0')).toEqual(['INITIALIZING', 'open', 'RUNNING', 'watermark Infinity', 'endInput', 'close', 'FINISHED'])
  expect(of(network, 'sink1')).toEqual(['INITIALIZING', 'open', 'RUNNING', 'watermark Infinity', 'endInput', 'close', 'FINISHED'])
})

test('C11: a job that commits ends with a checkpoint that was taken after the end', () => {
  const network = new TestNetwork(pipeline({ records: 10, commits: true, checkpointing: { interval: 60_000 } }))
  network.run(() => network.log.filter(line => line.endsWith('end of data')).length === 6)
  for (let i = 0; i < 500; i++) if (!network.step()) network.now += 10
  expect([...network.statuses.values()]).toEqual(Array.from({ length: 6 }, () => 'RUNNING'))
  network.trigger(7)
  network.runUntilAll('FINISHED')
  expect(withoutWatermarks(of(network, 'sink0'))).toEqual([
    'INITIALIZING', 'open', 'RUNNING', 'watermark Infinity', 'endInput', 'end of data', 'prepare 7', 'snapshot 7', 'complete 7', 'close', 'FINISHED',
  ])
})

test('C11: a checkpoint that was taken before the end does not count', () => {
  const network = new TestNetwork(pipeline({ records: 40, pause: 10, commits: true, checkpointing: { interval: 60_000 } }))
  network.run(() => network.collected.length > 5)
  const early = network.trigger(1)
  network.run(() => early.waitingFor.size === 0)
  network.run(() => network.log.filter(line => line.endsWith('end of data')).length === 6)
  expect(of(network, 'sink0')).toContain('complete 1')
  for (let i = 0; i < 500; i++) if (!network.step()) network.now += 10
  expect(new Set(network.statuses.values())).toEqual(new Set(['RUNNING']))
  network.trigger(2)
  network.runUntilAll('FINISHED')
})

test('C11: a savepoint commits nothing, so it is not the final checkpoint', () => {
  const network = new TestNetwork(pipeline({ records: 10, commits: true, checkpointing: { interval: 60_000 } }))
  network.run(() => network.log.filter(line => line.endsWith('end of data')).length === 6)
  const savepoint = network.trigger(1, 'savepoint')
  network.run(() => savepoint.status === 'complete')
  for (let i = 0; i < 500; i++) if (!network.step()) network.now += 10
  expect(new Set(network.statuses.values())).toEqual(new Set(['RUNNING']))
  network.trigger(2)
  network.runUntilAll('FINISHED')
})

test('C10: some tasks finish before others; the checkpoints go on', () => {
  const network = new TestNetwork({
    vertices: [
      { name: 'short', parallelism: 1, records: 5 },
      { name: 'long', parallelism: 1, records: 300, pause: 5 },
      { name: 'sink', parallelism: 2, collect: true },
    ],
    edges: [
      { from: 'short', to: 'sink', by: 'rebalance' },
      { from: 'long', to: 'sink', by: 'rebalance' },
    ],
  })
  network.run(() => network.statuses.get('short0') === 'FINISHED' && network.statuses.get('sink1') === 'RUNNING')
  const checkpoint = network.trigger(1)
  network.run(() => checkpoint.status === 'complete')
  expect([...checkpoint.states.keys()].toSorted()).toEqual(['long0', 'sink0', 'sink1'])
  network.runUntilAll('FINISHED')
  expect(network.collected).toHaveLength(305)
})

test('C10: a checkpoint is triggered where inputs end before their barrier comes', () => {
  for (let seed = 0; seed < 40; seed++) {
    const network = new TestNetwork({ ...pipeline({ records: 30, pause: 1 }), seed })
    network.run(() => [...network.statuses.values()].filter(status => status === 'RUNNING').length === 6)
    for (let i = 0; i < seed * 12; i++) if (!network.step()) network.now++
    if (![...network.statuses.values()].includes('RUNNING')) continue
    const checkpoint = network.trigger(1)
    network.run(() => checkpoint.status === 'complete', { maxSteps: 50_000 })
    network.runUntilAll('FINISHED')
  }
})

test('C10: vertices that were finished in the checkpoint end at once, without user code', () => {
  const network = new TestNetwork({ ...pipeline({ records: 10, commits: true, checkpointing: { interval: 1000 } }), finishedVertices: [0] })
  network.run(() => network.log.filter(line => line.endsWith('end of data')).length === 4)
  network.trigger(3)
  network.runUntilAll('FINISHED')
  expect(of(network, 'source0')).toEqual(['INITIALIZING', 'RUNNING', 'FINISHED'])
  expect(withoutWatermarks(of(network, 'count0'))).toEqual([
    'INITIALIZING', 'open', 'RUNNING', 'watermark Infinity', 'endInput', 'end of data', 'prepare 3', 'snapshot 3', 'complete 3', 'close', 'FINISHED',
  ])
})

test('C10: a job that was finished altogether ends at once, with whatever credit', () => {
  const network = new TestNetwork({ ...pipeline({ exchange: { credits: 1 } }), finishedVertices: [0, 1, 2] })
  network.run(() => network.slots.every(slot => slot.ended))
  expect([...network.statuses.values()]).toEqual(Array.from({ length: 6 }, () => 'FINISHED'))
})

test('X13, C15: stop takes a savepoint, then finishes without MAX and without endInput', () => {
  const network = new TestNetwork(pipeline({ records: Infinity, pause: 3 }))
  network.run(() => network.collected.length > 10)
  const savepoint = network.trigger(1, 'stop')
  network.run(() => savepoint.status === 'complete')
  const atSavepoint = network.collected.length
  network.runUntilAll('FINISHED')
  expect(network.collected).toHaveLength(atSavepoint)
  expect(withoutWatermarks(of(network, 'source1')).slice(3)).toEqual(['prepare 1', 'snapshot 1', 'complete 1', 'close', 'FINISHED'])
  expect(withoutWatermarks(of(network, 'sink1')).slice(3)).toEqual(['prepare 1', 'snapshot 1', 'complete 1', 'close', 'FINISHED'])
})

test('X13, T16: stop with drain ends event time before the savepoint', () => {
  const network = new TestNetwork(pipeline({ records: Infinity, pause: 3, commits: true, checkpointing: { interval: 1000 } }))
  network.run(() => network.collected.length > 10)
  network.trigger(1, 'stop-drain')
  network.runUntilAll('FINISHED')
  const end = ['watermark Infinity', 'endInput', 'end of data', 'prepare 1', 'snapshot 1', 'complete 1', 'close', 'FINISHED']
  expect(withoutWatermarks(of(network, 'source0')).slice(3)).toEqual(end)
  expect(withoutWatermarks(of(network, 'sink0')).slice(3)).toEqual(end)
})

test('C15: a stop whose savepoint is given up goes on', () => {
  const network = new TestNetwork(pipeline({ records: 200, pause: 3 }))
  network.run(() => network.collected.length > 10)
  network.trigger(1, 'stop')
  network.run(() => of(network, 'source0').includes('prepare 1') && of(network, 'source1').includes('prepare 1'))
  network.abort(1)
  network.runUntilAll('FINISHED')
  expect(network.collected.toSorted()).toEqual(ids('source', 200).toSorted())
})

test('C15: a stop with drain whose savepoint is given up fails the job: event time cannot be taken back', () => {
  const network = new TestNetwork(pipeline({ records: Infinity, pause: 3 }))
  network.run(() => network.collected.length > 10)
  network.trigger(1, 'stop-drain')
  network.run(() => of(network, 'source0').includes('prepare 1'))
  network.abort(1)
  network.run(() => network.statuses.get('source0') === 'FAILED')
})

test('cancel closes everything and says nothing else', () => {
  const network = new TestNetwork(pipeline({ records: Infinity }))
  network.run(() => network.collected.length > 10)
  network.sendAll({ kind: 'cancel' })
  network.runUntilAll('CANCELED')
  for (const task of ['source0', 'count0', 'sink1']) expect(withoutWatermarks(of(network, task)).slice(-3)).toEqual(['CANCELING', 'close', 'CANCELED'])
  expect(network.slots.every(slot => slot.ended)).toBe(true)
})

test('a slot that is finished but not rid of its last frames can be cancelled', () => {
  const network = new TestNetwork({ ...pipeline({ exchange: { credits: 1 } }), finishedVertices: [0, 1, 2] })
  for (let i = 0; i < 10; i++) network.turn(0)
  expect([network.statuses.get('source0'), network.slots[0]!.ended]).toEqual(['FINISHED', false])
  network.slots[0]!.receive({ kind: 'cancel' })
  network.turn(0)
  expect([network.statuses.get('source0'), network.slots[0]!.ended]).toEqual(['FINISHED', true])
})

test('cancel before the tasks are open', () => {
  const network = new TestNetwork(pipeline())
  network.turn(0)
  network.sendAll({ kind: 'cancel' })
  network.runUntilAll('CANCELED')
  expect(of(network, 'source0')).toEqual(['CANCELING', 'CANCELED'])
  expect(of(network, 'sink0')).toEqual(['INITIALIZING', 'open', 'RUNNING', 'CANCELING', 'close', 'CANCELED'])
})

test('a task that throws fails with its line, closes, and stops its slot', () => {
  const job = pipeline({ records: Infinity })
  const network = new TestNetwork({ ...job, vertices: job.vertices.map(vertex => (vertex.name === 'count' ? { ...vertex, failAt: 'source0#700' } : vertex)) })
  network.run(() => [...network.statuses.values()].includes('FAILED'))
  const failures = network.reports.flatMap(({ report }) => (report.kind === 'status' && report.status === 'FAILED' ? [report.error] : []))
  expect(failures).toMatchObject([{ code: 'USER_CODE_FAILED', message: 'count failed: cannot take source0#700', at: { file: 'job.ts', line: 7 } }])
  const [failed] = network.reports.filter(({ report }) => report.kind === 'status' && report.status === 'FAILED')
  const before = network.reports.filter(({ slot }) => slot === failed!.slot).length
  for (let i = 0; i < 300; i++) network.step()
  expect(network.reports.filter(({ slot }) => slot === failed!.slot)).toHaveLength(before)
  network.sendAll({ kind: 'cancel' })
  network.run(() => [...network.statuses.values()].filter(status => status === 'CANCELED').length === 5)
  expect(network.slots.every(slot => slot.ended)).toBe(true)
})

test('a cancel is heard even if the mail before it fails the slot', () => {
  const network = new TestNetwork(pipeline({ records: Infinity }))
  network.run(() => network.collected.length > 10)
  network.slots[0]!.receive({ kind: 'linkLost', from: 1, reason: 'the process was killed' })
  network.slots[0]!.receive({ kind: 'frame', from: 1, frame: Uint8Array.of(1, 2, 3) })
  network.slots[0]!.receive({ kind: 'cancel' })
  network.turn(0)
  expect(['source0', 'count0', 'sink0'].map(task => network.statuses.get(task))).toEqual(['CANCELED', 'CANCELED', 'CANCELED'])
  expect(network.slots[0]!.ended).toBe(true)
})

test('damaged frames fail the slot and not user code', () => {
  const network = new TestNetwork(pipeline({ records: Infinity }))
  network.run(() => network.collected.length > 10)
  network.slots[0]!.receive({ kind: 'frame', from: 1, frame: Uint8Array.of(0xc1, 2, 3) })
  network.turn(0)
  const failures = network.reports.flatMap(({ report }) => (report.kind === 'status' && report.status === 'FAILED' ? [report.error?.code] : []))
  expect(failures).toEqual(['JOB_FAILED'])
})

test('a lost connection fails a task that needs it', () => {
  const network = new TestNetwork(pipeline({ records: Infinity }))
  network.run(() => network.collected.length > 10)
  network.send(0, { kind: 'linkLost', from: 1, reason: 'the process was killed' })
  network.run(() => [...network.statuses.values()].includes('FAILED'))
  const failures = network.reports.flatMap(({ report }) => (report.kind === 'status' && report.status === 'FAILED' ? [report.error] : []))
  expect(failures).toMatchObject([{ code: 'PROCESS_LOST', message: 'source lost the connection to slot 1: the process was killed' }])
})

test('another graph than the one deployed is refused', () => {
  const { graph } = new TestNetwork(pipeline())
  const [first, ...others] = graph.vertices
  const submitted = { ...graph, hash: 'other', vertices: [{ ...first!, parallelism: 9 }, ...others] }
  expect(() => new TestNetwork({ ...pipeline(), submitted })).toThrow(
    expect.objectContaining({ code: 'NONDETERMINISTIC_GRAPH', detail: 'vertex 0 "source": parallelism is 2 in slot 0 and 9 in what was submitted.' }),
  )
})

test('the same seed gives the same frames and reports; another seed does not', () => {
  const trace = (seed: number) => {
    const network = new TestNetwork({ ...pipeline({ records: 300 }), seed })
    network.runUntilAll('FINISHED')
    return network.traceHash
  }
  expect(trace(11)).toBe(trace(11))
  expect(trace(11)).not.toBe(trace(12))
})

test('busy, idle and back-pressured time sum to the wall time', () => {
  const network = new TestNetwork(pipeline({ records: 1000, pause: 7 }))
  network.run(() => network.now > 6000)
  const metrics = network.reports.flatMap(({ report }) => (report.kind === 'metrics' ? [report] : []))
  expect(metrics.length).toBeGreaterThanOrEqual(8)
  for (const { at, tasks } of metrics) for (const { busyMs, idleMs, backPressuredMs } of tasks) expect(busyMs + idleMs + backPressuredMs).toBe(at - 1000)
  expect(metrics.at(-1)!.tasks[0]!.idleMs).toBeGreaterThan(0)
})
