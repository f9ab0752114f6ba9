import { describe, expect, test } from 'vitest'
import { canonicalKey, keyGroupOf, keyGroupRangeOf } from '../core/key-group.ts'
import { seededRandom } from '../core/random.ts'
import type { Random } from '../core/random.ts'
import type { KeyedBlock, KeyedStateBackend } from '../operators/keyed-state.ts'
import { backends, collect, maxParallelism, open, settle, snapshot, type BackendCase } from './test-state.ts'

const sorted = (entries: Iterable<readonly [unknown, unknown]>) => [...entries].sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))

describe.each(backends)('keyed state, $name', backendCase => {
  test('what is not there is undefined, empty, and not held (S5t)', () => {
    const backend = open(backendCase)
    const values = backend.values('v')
    const maps = backend.maps('m')
    backend.setCurrentKey('a')
    expect(values.get(0)).toBeUndefined()
    values.remove(0)
    expect([...values.entries(0)]).toEqual([])
    expect(values.namespaces()).toEqual([])
    expect(maps.get(0, 'x')).toBeUndefined()
    expect(maps.has(0, 'x')).toBe(false)
    expect(maps.isEmpty(0)).toBe(true)
    expect([...maps.entries(0)]).toEqual([])
    maps.remove(0, 'x')
    maps.clear(0)
    maps.put(0, 'x', null)
    expect([maps.get(0, 'x'), maps.has(0, 'x'), maps.isEmpty(0)]).toEqual([null, true, false])
    maps.remove(0, 'x')
    expect(maps.isEmpty(0)).toBe(true)
    expect(backend.stats()).toMatchObject({ entriesInMemory: 0, bytesInMemory: 0 })
  })

  test('keys, states, namespaces and kinds are apart; the same name is the same table', async () => {
    const backend = open(backendCase)
    for (const key of ['a', 'b', 1, '1', true, 'true', 1n, [1, 'x'], ['1', 'x'], { a: 1 }, '\u0001[1,"x"]', '']) {
      for (const namespace of [0, 10, -5, 1e12]) {
        backend.setCurrentKey(key)
        backend.values('v').put(namespace, `v${String(canonicalKey(key))}${typeof key}${namespace}`)
        backend.values('w').put(namespace, `w${String(canonicalKey(key))}${typeof key}${namespace}`)
      }
      await settle(backend)
    }
    for (const key of [{ a: 1 }, ['1', 'x'], [1, 'x'], 'true', true, '1', 1, 'b', 'a', '', '\u0001[1,"x"]', 1n]) {
      for (const namespace of [0, 10, -5, 1e12]) {
        backend.setCurrentKey(key)
        expect(backend.values('v').get(namespace)).toBe(`v${String(canonicalKey(key))}${typeof key}${namespace}`)
        expect(backend.values('w').get(namespace)).toBe(`w${String(canonicalKey(key))}${typeof key}${namespace}`)
      }
    }
    expect(backend.values('v').namespaces()).toEqual([-5, 0, 10, 1e12])
    expect([...backend.values('v').entries(10)]).toHaveLength(12)
    expect(new Set([...backend.values('v').entries(10)].map(([key]) => canonicalKey(key))).size).toBe(12)
    expect(backend.currentKey()).toBe(1n)
    expect(() => backend.maps('v')).toThrow('state "v" holds a single value per key and cannot be opened as a map per key')
  })

  test('entries come by ascending key group, and clear drops a namespace', async () => {
    const backend = open(backendCase)
    const values = backend.values('v')
    for (let i = 0; i < 2000; i++) {
      backend.setCurrentKey(`key-${i}`)
      values.put(7, i)
      values.put(8, -i)
    }
    await settle(backend)
    const groups = [...values.entries(7)].map(([key]) => keyGroupOf(key, maxParallelism))
    expect(groups).toHaveLength(2000)
    expect(groups).toEqual([...groups].sort((a, b) => a - b))
    values.clear(7)
    expect([...values.entries(7)]).toEqual([])
    expect(values.namespaces()).toEqual([8])
    backend.setCurrentKey('key-5')
    expect([values.get(7), values.get(8)]).toEqual([undefined, -5])
    values.put(7, 'again')
    await settle(backend)
    expect([...values.entries(7)]).toEqual([['key-5', 'again']])
    expect([...values.entries(8)]).toHaveLength(2000)
  })

  test('a map of many fields is read, emptied and snapshotted as one', async () => {
    const backend = open(backendCase)
    const maps = backend.maps('m')
    const fields = 5000
    for (const key of ['big', 'other']) {
      backend.setCurrentKey(key)
      for (let i = 0; i < (key === 'big' ? fields : 3); i++) maps.put(0, `f${i}`, { i })
    }
    await settle(backend)
    backend.setCurrentKey('big')
    expect(maps.get(0, 'f4321')).toEqual({ i: 4321 })
    expect(maps.has(0, 'f5000')).toBe(false)
    expect(new Set([...maps.entries(0)].map(([field]) => field)).size).toBe(fields)
    for (const [field] of maps.entries(0)) if (String(field).endsWith('7')) maps.remove(0, field)
    await settle(backend)
    expect([...maps.entries(0)]).toHaveLength(fields * 0.9)

    const restored = open(backendCase)
    restored.restore(snapshot(backend))
    restored.setCurrentKey('big')
    expect(sorted(restored.maps('m').entries(0))).toEqual(sorted(maps.entries(0)))
    maps.clear(0)
    expect([maps.isEmpty(0), [...maps.entries(0)].length]).toEqual([true, 0])
    backend.setCurrentKey('other')
    expect(sorted(maps.entries(0))).toEqual([['f0', { i: 0 }], ['f1', { i: 1 }], ['f2', { i: 2 }]])
  })

  test('a small map is read in the order in which it was filled, wherever its fields are', async () => {
    const backend = open(backendCase)
    const maps = backend.maps('m')
    const fields = ['zebra', 'apple', 7, 'mango', 1, 'fig']
    for (const [i, field] of fields.entries()) {
      for (let key = 0; key < 300; key++) {
        backend.setCurrentKey(key)
        maps.put(0, field, i)
      }
      await settle(backend)
      backend.setCurrentKey(5)
      maps.get(0, fields[i >> 1])
    }
    for (let key = 0; key < 300; key++) {
      backend.setCurrentKey(key)
      expect([...maps.entries(0)].map(([field]) => field)).toEqual(fields)
    }
    const restored = open(backendCase)
    restored.restore(snapshot(backend))
    restored.setCurrentKey(5)
    expect([...restored.maps('m').entries(0)].map(([field]) => field)).toEqual(fields)
  })

  test('large values lie in pages of few entries', async () => {
    const backend = open(backendCase)
    const text = 'large '.repeat(5000)
    for (let i = 0; i < 300; i++) {
      backend.setCurrentKey(i)
      backend.values('v').put(0, `${i}${text}`)
    }
    await settle(backend)
    const before = backend.stats()
    backend.setCurrentKey(7)
    expect(backend.values('v').get(0)).toBe(`7${text}`)
    await settle(backend)
    const after = backend.stats()
    expect(after.bytesInMemory - before.bytesInMemory).toBeLessThan(120_000)
    const restored = open(backendCase)
    restored.restore(snapshot(backend))
    for (let i = 0; i < 300; i++) {
      restored.setCurrentKey(i)
      expect(restored.values('v').get(0)).toBe(`${i}${text}`)
    }
  })

  test('keys whose hashes are all equal are kept apart and need no deep tree', async () => {
    // Every pair of 'Aa' and 'BB' has the same Java hash.
    const keys = Array.from({ length: 1024 }, (_, i) => i.toString(2).padStart(10, '0').replaceAll('0', 'Aa').replaceAll('1', 'BB'))
    const backend = open(backendCase)
    for (const key of keys) {
      backend.setCurrentKey(key)
      backend.values('v').put(0, key)
    }
    await settle(backend)
    for (const key of keys) {
      backend.setCurrentKey(key)
      expect(backend.values('v').get(0)).toBe(key)
    }
  })

  test('a key that the user changes afterwards does not change what state holds', async () => {
    const backend = open(backendCase)
    const key = { user: 'ann', parts: [1, 2] }
    backend.setCurrentKey(key)
    backend.values('v').put(0, 1)
    key.parts.push(3)
    await settle(backend)
    expect([...backend.values('v').entries(0)]).toEqual([[{ user: 'ann', parts: [1, 2] }, 1]])
    backend.setCurrentKey(key)
    expect(backend.values('v').get(0)).toBeUndefined()
  })

  test('a pair of numbers that the user changes between two accesses is the key that it was', () => {
    const backend = open(backendCase)
    const key = [1, 2]
    backend.setCurrentKey(key)
    expect(backend.values('v').get(0)).toBeUndefined()
    key[1] = 3
    backend.values('v').put(0, 'of [1, 2]')
    backend.setCurrentKey([1, 2])
    expect(backend.values('v').get(0)).toBe('of [1, 2]')
    expect([...backend.values('v').entries(0)]).toEqual([[[1, 2], 'of [1, 2]']])
  })

  test('a value that cannot be stored fails naming its state', () => {
    const backend = open(backendCase)
    backend.setCurrentKey('a')
    backend.values('callbacks').put(0, { run: () => {} })
    expect(() => snapshot(backend)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_VALUE', detail: expect.stringContaining('callbacks') }))
  })

  test('a snapshot restores with the other backend and another split of the key groups', async () => {
    const backend = open(backendCase)
    for (let i = 0; i < 3000; i++) {
      backend.setCurrentKey(i)
      backend.values('v').put(i % 3, { i })
      backend.maps('m').put(0, i % 7, `${i}`)
    }
    await settle(backend)
    const blocks = snapshot(backend)
    for (const parallelism of [3]) {
      for (const other of backends) {
        const parts = Array.from({ length: parallelism }, (_, subtask) => open(other, keyGroupRangeOf(subtask, parallelism, maxParallelism)))
        for (const part of parts) part.restore(blocks)
        const found = parts.flatMap(part => [0, 1, 2].flatMap(namespace => [...part.values('v').entries(namespace)]))
        expect(sorted(found)).toEqual(sorted(Array.from({ length: 3000 }, (_, i) => [i, { i }] as const)))
        for (let i = 0; i < 3000; i += 113) {
          const owner = parts.find(({ keyGroups }) => keyGroupOf(i, maxParallelism) >= keyGroups.start && keyGroupOf(i, maxParallelism) <= keyGroups.end)
          owner?.setCurrentKey(i)
          expect([...(owner?.maps('m').entries(0) ?? [])]).toEqual([[i % 7, `${i}`]])
        }
        for (const part of parts) part.close()
      }
    }
  })

  test('a snapshot that is aborted leaves state as it is and the next one begins', async () => {
    const backend = open(backendCase)
    for (let i = 0; i < 500; i++) {
      backend.setCurrentKey(i)
      backend.values('v').put(0, [i])
    }
    const { blocks, sink } = collect()
    const run = backend.startSnapshot(sink)
    expect(() => backend.startSnapshot(sink)).toThrow('while another is under way')
    run.step(10)
    run.abort()
    const written = blocks.length
    backend.setCurrentKey(3)
    backend.values('v').put(0, 'changed')
    await settle(backend)
    expect(blocks).toHaveLength(written)
    const restored = open(backendCase)
    restored.restore(snapshot(backend))
    expect(sorted(restored.values('v').entries(0))).toEqual(sorted(backend.values('v').entries(0)))
  })

  test('random use agrees with a plain map, and snapshots are of one instant while values are changed in place', async () => {
    const seed = Number(process.env['SEED'] ?? 20_250)
    for (let round = 0; round < 2; round++) {
      const random = seededRandom(seed + round)
      try {
        await modelRound(backendCase, random)
      } catch (error) {
        throw new Error(`seed ${seed + round} (run again with SEED=${seed + round})`, { cause: error })
      }
    }
  })
})

type Model = { readonly values: Map<string, { key: unknown; namespace: number; value: number[] | number }>; readonly maps: Map<string, { key: unknown; namespace: number; field: unknown; value: number[] }> }

async function modelRound(backendCase: BackendCase, random: Random): Promise<void> {
  const backend = open(backendCase)
  const values = backend.values('v')
  const maps = backend.maps('m')
  const model: Model = { values: new Map(), maps: new Map() }
  const range = random.pick([20, 400, 4000])
  const anyKey = () => random.pick([(n: number) => n, (n: number) => `a longer key ${n}`, (n: number) => [n, 'part'], (n: number) => [n, 7 - n]])(random.int(range))
  let run: ReturnType<KeyedStateBackend['startSnapshot']> | undefined
  let blocks: KeyedBlock[] = []
  let expected: Model | undefined
  let snapshots = 0
  let changes = 0
  /** Blocks of complete snapshots, with those that they go on from before them. */
  const complete = new Map<number, readonly KeyedBlock[]>()
  let checkpointId = 0
  for (let step = 0; step < 12_000; step++) {
    const key = anyKey()
    const namespace = random.int(3)
    const at = `${String(canonicalKey(key))} ${typeof key} ${namespace}`
    backend.setCurrentKey(key)
    const choice = random.int(100)
    if (choice < 45) {
      const held = values.get(namespace) as number[] | number | undefined
      expect(held).toEqual(model.values.get(at)?.value)
      if (typeof held === 'number' || random.chance(0.3)) {
        if (random.chance(0.5)) {
          values.put(namespace, step)
          model.values.set(at, { key, namespace, value: step })
        }
      } else {
        // Changed in place before it is put, as user code does.
        const value = held ?? []
        value.push(step)
        if (value.length > 4) value.shift()
        values.put(namespace, value)
        model.values.set(at, { key, namespace, value: [...value] })
      }
    } else if (choice < 52) {
      values.remove(namespace)
      model.values.delete(at)
    } else if (choice < 80) {
      const field = random.chance(0.5) ? random.int(300) : `field ${random.int(50)}`
      const held = maps.get(namespace, field) as number[] | undefined
      expect(held).toEqual(model.maps.get(`${at} ${typeof field} ${field}`)?.value)
      const value = held ?? []
      value[0] = step
      maps.put(namespace, field, value)
      model.maps.set(`${at} ${typeof field} ${field}`, { key, namespace, field, value: [...value] })
    } else if (choice < 84) {
      const fields = [...maps.entries(namespace)]
      const [field, value] = fields.length > 0 ? random.pick(fields) : [0, undefined]
      if (value === undefined || random.chance(0.5)) {
        maps.remove(namespace, field)
        model.maps.delete(`${at} ${typeof field} ${String(field)}`)
      } else {
        ;(value as number[])[0] = step
        maps.put(namespace, field, value)
        model.maps.set(`${at} ${typeof field} ${String(field)}`, { key, namespace, field, value: [step] })
      }
    } else if (choice < 86) {
      expect(maps.isEmpty(namespace)).toBe(![...model.maps.keys()].some(name => name.startsWith(`${at} `)))
      maps.clear(namespace)
      for (const name of model.maps.keys()) if (name.startsWith(`${at} `)) model.maps.delete(name)
    } else if (step % 997 === 0) {
      values.clear(namespace)
      for (const [name, entry] of model.values) if (entry.namespace === namespace) model.values.delete(name)
    } else if (choice < 90) {
      backend.maintain()
    } else if (choice < 92) {
      await new Promise(resolve => setImmediate(resolve))
    } else if (run !== undefined) {
      if (random.chance(0.01)) {
        run.abort()
        run = undefined
      } else if (run.step(random.int(60))) {
        if (run.since !== undefined) changes++
        const chain = run.since === undefined ? blocks : [...(complete.get(run.since) ?? []), ...blocks.map(block => ({ ...block, link: 1 }))]
        run = undefined
        snapshots++
        verify(chain, expected as Model, backendCase, random)
        // What was complete before is no longer kept.
        complete.clear()
        complete.set(checkpointId, chain)
      }
    } else if (random.chance(0.05)) {
      const collected = collect()
      blocks = collected.blocks
      expected = { values: new Map(model.values), maps: new Map(model.maps) }
      const since = random.chance(0.1) ? undefined : complete.keys().next().value
      run = backend.startSnapshot(collected.sink, { checkpointId: ++checkpointId, since })
    }
  }
  expect(snapshots).toBeGreaterThan(0)
  expect(changes).toBeGreaterThan(0)
  if (backendCase.memoryLimit < 10_000) {
    const { evictions, loads, bytesOnDisk } = backend.stats()
    expect(Math.min(evictions, loads, bytesOnDisk)).toBeGreaterThan(0)
  }
  run?.abort()
  verify(snapshot(backend), model, backendCase, random)
  backend.close()
}

function verify(blocks: readonly KeyedBlock[], expected: Model, backendCase: BackendCase, random: Random): void {
  const parallelism = 1 + random.int(4)
  const found: Model = { values: new Map(), maps: new Map() }
  for (let subtask = 0; subtask < parallelism; subtask++) {
    const part = open(backendCase, keyGroupRangeOf(subtask, parallelism, maxParallelism))
    const whole = blocks.filter(block => (block.link ?? 0) === 0)
    part.restore([...random.shuffle(whole), ...blocks.filter(block => (block.link ?? 0) > 0)])
    for (const namespace of part.values('v').namespaces()) {
      for (const [key, value] of part.values('v').entries(namespace)) found.values.set(`${String(canonicalKey(key))} ${typeof key} ${namespace}`, { key, namespace, value: value as number[] | number })
    }
    const mine = (key: unknown) => keyGroupOf(key, maxParallelism) >= part.keyGroups.start && keyGroupOf(key, maxParallelism) <= part.keyGroups.end
    const owners = new Map([...expected.maps.values()].filter(({ key }) => mine(key)).map(({ key, namespace }) => [`${String(canonicalKey(key))} ${typeof key} ${namespace}`, { key, namespace }]))
    for (const [at, { key, namespace }] of owners) {
      part.setCurrentKey(key)
      for (const [field, value] of part.maps('m').entries(namespace)) found.maps.set(`${at} ${typeof field} ${String(field)}`, { key, namespace, field, value: value as number[] })
    }
    part.close()
  }
  expect(new Map([...found.values].sort())).toEqual(new Map([...expected.values].sort()))
  expect(new Map([...found.maps].sort())).toEqual(new Map([...expected.maps].sort()))
}

test.each(backends)('$name: what was restored is a snapshot to go on from, with what came and went since', backendCase => {
  const first = open(backendCase)
  const put = (backend: KeyedStateBackend, key: number, value: unknown) => {
    backend.setCurrentKey(key)
    backend.values('v').put(0, value)
  }
  for (let i = 0; i < 500; i++) put(first, i, [i])
  const whole = snapshot(first)
  const second = open(backendCase)
  second.restore(whole, 7)
  put(second, 1, ['changed'])
  put(second, 600, ['new'])
  second.setCurrentKey(2)
  second.values('v').remove(0)
  second.maintain()
  const { blocks, sink } = collect()
  const run = second.startSnapshot(sink, { checkpointId: 8, since: 7 })
  while (!run.step(100)) {}
  expect(run.since).toBe(7)
  expect(blocks.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThan(whole.reduce((sum, { bytes }) => sum + bytes.length, 0) / (backendCase.memoryLimit < 10_000 ? 1 : 4))
  const third = open(backendCase)
  third.restore([...whole, ...blocks.map(block => ({ ...block, link: 1 }))], 8)
  expect(sorted(third.values('v').entries(0))).toEqual(sorted(second.values('v').entries(0)))
  expect([...third.values('v').entries(0)]).toHaveLength(500)
})
