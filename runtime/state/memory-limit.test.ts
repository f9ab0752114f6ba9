/** What `state.backend.memory-limit` promises: a bound of bytes, whatever state is used for. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { KeyedStateBackend } from '../operators/keyed-state.ts'
import { openKeyedState } from './open-keyed-state.ts'
import { allKeyGroups, backends, maxParallelism, open, settle, snapshot } from './test-state.ts'

describe('the memory limit of lmdb', () => {
  const limited = { name: 'lmdb', backend: 'lmdb', memoryLimit: 200_000 } as const

  test('holds after every turn, an unchanged page is only dropped, and everything is found again', async () => {
    const backend = open(limited)
    const values = backend.values('v')
    for (let i = 0; i < 20_000; i++) {
      backend.setCurrentKey(`user-${i}`)
      values.put(0, { count: i, text: 'some text' })
      if (i % 500 === 499) await settle(backend)
    }
    expect(backend.stats().bytesInMemory).toBeLessThanOrEqual(200_000)
    const filled = backend.stats()
    // A third of them: as objects it would be a tenth.
    expect(filled.entriesInMemory).toBeGreaterThan(3000)
    expect(filled.entriesInMemory).toBeLessThan(7000)
    expect(filled.bytesOnDisk).toBeGreaterThan(200_000)
    for (let i = 0; i < 20_000; i++) {
      backend.setCurrentKey(`user-${i}`)
      expect(values.get(0)).toEqual({ count: i, text: 'some text' })
      if (i % 500 === 499) await settle(backend)
    }
    const { loads, evictions, bytesInMemory } = backend.stats()
    expect(loads).toBeGreaterThan(0)
    expect(evictions).toBeGreaterThan(filled.evictions)
    expect(bytesInMemory).toBeLessThanOrEqual(200_000)
  })

  test('entries and snapshots stream: they take no room in memory', async () => {
    const backend = open(limited)
    for (let i = 0; i < 10_000; i++) {
      backend.setCurrentKey(i)
      backend.values('v').put(0, { i })
      if (i % 500 === 499) await settle(backend)
    }
    await settle(backend)
    expect([...backend.values('v').entries(0)]).toHaveLength(10_000)
    snapshot(backend)
    expect(backend.stats().bytesInMemory).toBeLessThanOrEqual(200_000)
  })

  test('a restore of more than fits goes to disk at once', () => {
    const source = open(backends[0])
    for (let i = 0; i < 20_000; i++) {
      source.setCurrentKey(i)
      source.values('v').put(0, { i })
    }
    const backend = open(limited)
    backend.restore(snapshot(source))
    expect(backend.stats().bytesInMemory).toBeLessThanOrEqual(200_000)
    for (let i = 0; i < 20_000; i += 37) {
      backend.setCurrentKey(i)
      expect(backend.values('v').get(0)).toEqual({ i })
    }
  })

  test('states of one slot share an environment and do not meet in it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'keyed-state-'))
    const options = { backend: 'lmdb', keyGroups: allKeyGroups, maxParallelism, memoryLimit: 1000 } as const
    const [one, two] = ['one', 'two'].map(name => openKeyedState({ id: name, ...options }, directory, () => 0)) as [KeyedStateBackend, KeyedStateBackend]
    for (let i = 0; i < 3000; i++) {
      for (const [backend, sign] of [[one, 1], [two, -1]] as const) {
        backend.setCurrentKey(i)
        backend.values('v').put(0, i * sign)
      }
    }
    await Promise.all([settle(one), settle(two)])
    expect(one.stats().entriesInMemory).toBeLessThan(3000)
    one.setCurrentKey(1234)
    two.setCurrentKey(1234)
    expect([one.values('v').get(0), two.values('v').get(0)]).toEqual([1234, -1234])
    one.close()
    expect([...two.values('v').entries(0)]).toHaveLength(3000)
    two.close()
    rmSync(directory, { recursive: true, force: true })
  })
})
