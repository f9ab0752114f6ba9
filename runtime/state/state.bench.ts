/**
 * What keyed state costs, as ratios: get + put under random keys against a bare Map per key group that does the same
 * hashing; a snapshot of a million keys while updates go on; `lmdb` with memory for a third of its objects, so that the
 * others are packed into bytes, and for a twentieth, so that most of them are on disk.
 *
 *   node runtime/state/state.bench.ts
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keyGroupOf } from '../core/key-group.ts'
import { seededRandom } from '../core/random.ts'
import type { KeyedStateBackend, SnapshotSink } from '../operators/keyed-state.ts'
import { openKeyedState } from './open-keyed-state.ts'

interface Count {
  count: number
  sum: number
  last: number
}

export interface StateBenchRow {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** Against the row's yardstick; below 1 is better than it. */
  readonly ratio?: number
}

const maxParallelism = 128
const keyGroups = { start: 0, end: maxParallelism - 1 }
const operations = 1_000_000
const limitOfHashmap = 1024 * 1024 * 1024
const clock = () => performance.now()
/** Loop turns a slot would take: records between two calls of `maintain`. */
const turn = 1000

export async function runStateBench(print: (line: string) => void = () => {}): Promise<StateBenchRow[]> {
  const rows: StateBenchRow[] = []
  const add = (row: StateBenchRow) => {
    rows.push(row)
    print(`${row.name.padEnd(52)} ${row.value.toFixed(row.value < 10 ? 2 : 0).padStart(9)} ${row.unit}${row.ratio === undefined ? '' : `  x${row.ratio.toFixed(2)}`}`)
  }
  for (const keys of [10_000, 1_000_000]) {
    for (const kind of ['int', 'string'] as const) await accessRows(keys, kind, add)
  }
  await snapshotRows(add)
  for (const part of [3, 20]) for (const skewed of [false, true]) await spillRows(part, skewed, add)
  return rows
}

type Add = (row: StateBenchRow) => void

async function accessRows(keys: number, kind: 'int' | 'string', add: Add): Promise<void> {
  const keyOf = kind === 'int' ? (i: number) => i : (i: number) => `user-${i}`
  const order = randomOrder(keys)
  const maps: Map<unknown, Count>[] = Array.from({ length: maxParallelism }, () => new Map())
  const bare = (key: unknown, i: number) => {
    const map = maps[keyGroupOf(key, maxParallelism)] as Map<unknown, Count>
    const held = map.get(key)
    if (held === undefined) map.set(key, { count: 1, sum: i, last: i })
    else {
      held.count++
      held.sum += i
      held.last = i
      map.set(key, held)
    }
  }
  const heapBefore = heap()
  for (let i = 0; i < keys; i++) bare(keyOf(i), i)
  const heapOfMaps = heap() - heapBefore
  const bareNs = best(() => order.forEach((key, i) => bare(keyOf(key), i)))
  maps.length = 0

  const heapThen = heap()
  const backend = hashmap()
  const count = counter(backend)
  let worst = 0
  for (let i = 0; i < keys; i++) {
    if (i % turn !== 0) count(keyOf(i), i)
    else {
      const start = performance.now()
      for (const end = Math.min(i + turn, keys); i < end; i++) count(keyOf(i), i)
      i--
      worst = Math.max(worst, performance.now() - start)
    }
  }
  const heapOfState = heap() - heapThen
  const ns = best(() => order.forEach((key, i) => count(keyOf(key), i)))
  add({ name: `get+put, ${keys} ${kind} keys, bare Map per key group`, value: bareNs, unit: 'ns' })
  add({ name: `get+put, ${keys} ${kind} keys, keyed state`, value: ns, unit: 'ns', ratio: ns / bareNs })
  add({ name: `  heap per key (bare ${Math.round(heapOfMaps / keys)})`, value: heapOfState / keys, unit: 'B', ratio: heapOfState / heapOfMaps })
  add({ name: '  estimated by stats()', value: backend.stats().bytesInMemory / keys, unit: 'B', ratio: backend.stats().bytesInMemory / heapOfState })
  add({ name: `  longest turn of ${turn} inserts`, value: worst, unit: 'ms' })
  backend.close()
}

async function snapshotRows(add: Add): Promise<void> {
  const keys = 1_000_000
  const backend = hashmap()
  const count = counter(backend)
  for (let i = 0; i < keys; i++) count(`user-${i}`, i)
  const blocks: { state: string; keyGroup: number; bytes: Uint8Array }[] = []
  const sink: SnapshotSink = { keyed: (state, keyGroup, bytes) => void blocks.push({ state, keyGroup, bytes }), list: () => {} }

  let start = performance.now()
  const still = backend.startSnapshot(sink)
  const begun = performance.now() - start
  while (!still.step(2048)) {}
  const alone = performance.now() - start
  const bytes = blocks.reduce((sum, block) => sum + block.bytes.length, 0)
  add({ name: 'snapshot of 1e6 string keys, nothing else going on', value: alone, unit: 'ms' })
  add({ name: '  startSnapshot', value: begun, unit: 'ms' })
  add({ name: '  bytes per key', value: bytes / keys, unit: 'B' })

  blocks.length = 0
  const order = randomOrder(keys)
  const turnAlone = quantiles(turnTimes(300, n => { for (let i = 0; i < turn; i++) count(`user-${order[(n * turn + i) % operations]}`, i) }))
  start = performance.now()
  const run = backend.startSnapshot(sink)
  let turns = 0
  const steps: number[] = []
  const during: number[] = []
  for (let done = false; !done; turns++) {
    let at = performance.now()
    for (let i = 0; i < turn; i++) count(`user-${order[(turns * turn + i) % operations]}`, i)
    during.push(performance.now() - at)
    at = performance.now()
    done = run.step(2048)
    steps.push(performance.now() - at)
  }
  const total = performance.now() - start
  add({ name: `snapshot of 1e6 keys with ${turn} updates per step: total`, value: total, unit: 'ms' })
  add({ name: '  step: p99', value: quantiles(steps).p99, unit: 'ms' })
  add({ name: '  step: longest', value: Math.max(...steps), unit: 'ms' })
  add({ name: `  turn of ${turn} updates meanwhile: median`, value: quantiles(during).p50, unit: 'ms', ratio: quantiles(during).p50 / turnAlone.p50 })
  add({ name: `  turn of ${turn} updates meanwhile: longest`, value: Math.max(...during), unit: 'ms', ratio: Math.max(...during) / turnAlone.max })

  const fresh = hashmap()
  start = performance.now()
  fresh.restore(blocks)
  add({ name: 'restore of 1e6 keys', value: performance.now() - start, unit: 'ms' })
  fresh.close()
  backend.close()
}

async function spillRows(part: number, skewed: boolean, add: Add): Promise<void> {
  const keys = 200_000
  const directory = mkdtempSync(join(tmpdir(), 'state-bench-'))
  const memory = hashmap()
  const inMemory = counter(memory)
  for (let i = 0; i < keys; i++) inMemory(`user-${i}`, i)
  const limit = memory.stats().bytesInMemory / part
  const backend = openKeyedState({ id: 'bench', backend: 'lmdb', keyGroups, maxParallelism, memoryLimit: limit }, directory, clock)
  const count = counter(backend)
  const random = seededRandom(7)
  // 90 % of the accesses go to a tenth of the keys.
  const pick = skewed ? () => (random.chance(0.9) ? random.int(keys / 10) : random.int(keys)) : () => random.int(keys)
  const drive = async (each: (i: number) => void, n: number) => {
    let longest = 0
    let worstMaintain = 0
    let highest = 0
    for (let i = 0; i < n; ) {
      let at = performance.now()
      for (const end = Math.min(i + turn, n); i < end; i++) each(i)
      longest = Math.max(longest, performance.now() - at)
      at = performance.now()
      backend.maintain()
      worstMaintain = Math.max(worstMaintain, performance.now() - at)
      highest = Math.max(highest, backend.stats().bytesInMemory)
      await new Promise(resolve => setImmediate(resolve))
    }
    return { longest, worstMaintain, highest }
  }
  let start = performance.now()
  await drive(i => count(`user-${i}`, i), keys)
  const name = `lmdb, memory for 1/${part} of ${keys} keys, ${skewed ? '90 % on a tenth' : 'uniform'}`
  add({ name: `${name}: fill`, value: ((performance.now() - start) * 1e6) / keys, unit: 'ns' })
  const n = 200_000
  start = performance.now()
  let result = await drive(i => count(`user-${pick()}`, i), n)
  const first = ((performance.now() - start) * 1e6) / n
  start = performance.now()
  const before = backend.stats()
  result = await drive(i => count(`user-${pick()}`, i), n)
  const ns = ((performance.now() - start) * 1e6) / n
  const after = backend.stats()
  const memoryNs = best(() => { for (let i = 0; i < n; i++) inMemory(`user-${pick()}`, i) }, n)
  add({ name: '  get+put while it learns', value: first, unit: 'ns', ratio: first / memoryNs })
  add({ name: '  get+put', value: ns, unit: 'ns', ratio: ns / memoryNs })
  add({ name: '  loads per operation', value: (after.loads - before.loads) / n, unit: '' })
  add({ name: '  longest turn / maintain', value: result.longest, unit: `/ ${result.worstMaintain.toFixed(1)} ms` })
  add({ name: '  highest memory over the limit', value: result.highest / limit, unit: 'x' })
  start = performance.now()
  let pause = 0
  let bytes = 0
  const run = backend.startSnapshot({ keyed: (_state, _keyGroup, block) => void (bytes += block.length), list: () => {} })
  for (let done = false; !done; ) {
    const at = performance.now()
    done = run.step(2048)
    pause = Math.max(pause, performance.now() - at)
  }
  add({ name: '  snapshot (longest step below)', value: performance.now() - start, unit: 'ms' })
  add({ name: '  snapshot, longest step', value: pause, unit: 'ms' })
  memory.close()
  backend.close()
  rmSync(directory, { recursive: true, force: true })
}

function hashmap(): KeyedStateBackend {
  return openKeyedState({ id: 'bench', backend: 'hashmap', keyGroups, maxParallelism, memoryLimit: limitOfHashmap }, '', clock)
}

function counter(backend: KeyedStateBackend): (key: unknown, i: number) => void {
  const table = backend.values('count')
  return (key, i) => {
    backend.setCurrentKey(key)
    const held = table.get(0) as Count | undefined
    if (held === undefined) table.put(0, { count: 1, sum: i, last: i })
    else {
      held.count++
      held.sum += i
      held.last = i
      table.put(0, held)
    }
  }
}

function randomOrder(keys: number): Uint32Array {
  const random = seededRandom(1)
  return Uint32Array.from({ length: operations }, () => random.int(keys))
}

/** ns per operation, the best of three. */
function best(work: () => void, n = operations): number {
  let least = Infinity
  for (let round = 0; round < 3; round++) {
    const start = performance.now()
    work()
    least = Math.min(least, performance.now() - start)
  }
  return (least * 1e6) / n
}

function turnTimes(turns: number, work: (turn: number) => void): number[] {
  return Array.from({ length: turns }, (_, n) => {
    const start = performance.now()
    work(n)
    return performance.now() - start
  })
}

function quantiles(times: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** After a collection, where the process lets us ask for one (`node --expose-gc`). */
function heap(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

if (import.meta.main) await runStateBench(line => console.log(line))
