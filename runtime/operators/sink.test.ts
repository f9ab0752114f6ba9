/** Two-phase commit, row by row of flink.md 2.7, with a ledger as the outside world. */
import { expect, test } from 'vitest'
import type { Committer, Sink } from '../api/connector.ts'
import { PagedState } from '../state/memory/paged-state.ts'
import { ChainHarness, listItems, type HarnessOptions, type Step } from './chain-harness.ts'

const openState: HarnessOptions['openState'] = (keyGroups, maxParallelism) => new PagedState({ keyGroups, maxParallelism, memoryLimit: 1 << 30, store: undefined, clock: () => 0 })

interface Prepared {
  readonly id: number
  readonly records: unknown[]
}

/** What is outside: `visible` records and every call that was made. A commit of the same committable shows it once. */
class Ledger {
  readonly calls: string[] = []
  readonly #committed = new Map<string, unknown[]>()
  failCommit = false

  get visible(): unknown[] {
    return [...this.#committed.values()].flat()
  }

  sink(options: { committer: boolean } = { committer: true }): Sink<unknown> {
    const { calls } = this
    const committer = (): Committer<unknown> => ({
      commit: committables => {
        if (this.failCommit) throw new Error('disk gone')
        const prepared = committables as Prepared[]
        calls.push(`commit ${prepared.map(({ id, records }) => `${id}:${records.join('')}`).join()}`)
        for (const { records } of prepared) this.#committed.set(records.join(), records)
      },
      cleanUp: () => calls.push('cleanUp'),
      close: () => calls.push('close committer'),
    })
    return {
      kind: 'sink',
      name: 'ledger',
      createWriter: () => {
        calls.push('open')
        let open: unknown[] = []
        return {
          write: value => open.push(value),
          flush: endOfInput => calls.push(endOfInput ? 'flush end' : 'flush'),
          prepareCommit(id) {
            if (open.length === 0) return []
            const records = open
            open = []
            return [{ id, records }]
          },
          close: () => calls.push('close writer'),
        }
      },
      ...(options.committer ? { createCommitter: committer } : {}),
    }
  }
  take(): string[] {
    return this.calls.splice(0)
  }
}

const harness = (ledger: Ledger, options: Partial<HarnessOptions> = {}, committer = true) =>
  new ChainHarness({ steps: [{ kind: 'map', fn: v => v }, { kind: 'sink', name: 'out', sink: ledger.sink({ committer }) } as Step], openState, ...options })
const write = (h: ChainHarness, ...values: string[]) => h.records(...values.map(value => [value, 0] as const))

test('P1 P8 flush, prepare before the barrier, part of the snapshot, visible only when the checkpoint is complete', () => {
  const ledger = new Ledger()
  const h = harness(ledger)
  expect(h.chain.commits).toBe(true)
  write(h, 'a', 'b')
  const snapshot = h.snapshot(1)
  expect(listItems(snapshot, 'committables')).toEqual([{ checkpointId: 1, committable: { id: 1, records: ['a', 'b'] } }])
  expect([ledger.visible, h.chain.metrics().pendingCommittables]).toEqual([[], 1])
  h.chain.notifyCheckpointComplete(1)
  expect([ledger.visible, h.chain.metrics().pendingCommittables]).toEqual([['a', 'b'], 0])
  expect(ledger.take()).toEqual(['open', 'flush', 'commit 1:ab', 'cleanUp'])
})

test('P2 P4 a notification stands for all checkpoints up to it, which are committed one after the other; aborted ones are not lost', () => {
  const ledger = new Ledger()
  const h = harness(ledger)
  for (const id of [1, 2, 3, 4]) {
    write(h, `r${id}`)
    h.snapshot(id)
  }
  h.chain.notifyCheckpointAborted(2)
  h.chain.notifyCheckpointComplete(3)
  h.chain.notifyCheckpointComplete(1)
  expect(ledger.take().filter(call => call.startsWith('commit'))).toEqual(['commit 1:r1', 'commit 2:r2', 'commit 3:r3'])
  h.chain.notifyCheckpointComplete(4)
  expect(ledger.visible).toEqual(['r1', 'r2', 'r3', 'r4'])
})

test('P3 P7 what a snapshot holds is committed right after the restore, before any input; clean-up waits for a checkpoint of this attempt and comes once', () => {
  const ledger = new Ledger()
  const h = harness(ledger)
  write(h, 'a')
  h.snapshot(1)
  write(h, 'b')
  const snapshot = h.snapshot(2)
  h.chain.close()
  ledger.take()
  const restored = harness(ledger, { restore: [snapshot] })
  expect(ledger.take()).toEqual(['commit 1:a', 'commit 2:b', 'open'])
  write(restored, 'c')
  restored.snapshot(3)
  restored.chain.notifyCheckpointComplete(3)
  restored.snapshot(4)
  restored.chain.notifyCheckpointComplete(4)
  expect(ledger.take()).toEqual(['flush', 'commit 3:c', 'cleanUp', 'flush'])
})

test('P5 without checkpointing everything is committed at the end of input', () => {
  const ledger = new Ledger()
  const h = harness(ledger, { checkpointing: false })
  write(h, 'a')
  h.end()
  h.chain.close()
  expect(ledger.take()).toEqual(['open', 'flush end', `commit ${Number.MAX_SAFE_INTEGER}:a`, 'cleanUp', 'close writer', 'close committer'])
})

test('P5 C11 with checkpointing the end of input waits for the final checkpoint', () => {
  const ledger = new Ledger()
  const h = harness(ledger)
  write(h, 'a')
  h.end()
  expect(ledger.visible).toEqual([])
  h.snapshot(7)
  h.chain.notifyCheckpointComplete(7)
  expect(ledger.visible).toEqual(['a'])
})

test('C13b a plain savepoint commits nothing, even when it is said to be complete; the next checkpoint does', () => {
  const ledger = new Ledger()
  const h = harness(ledger)
  write(h, 'a')
  h.snapshot(1)
  write(h, 'b')
  h.snapshot(2, 'savepoint')
  h.chain.notifyCheckpointComplete(2)
  expect(ledger.take()).toEqual(['open', 'flush', 'flush'])
  write(h, 'c')
  h.snapshot(3)
  h.chain.notifyCheckpointComplete(3)
  expect(ledger.take()).toEqual(['flush', 'commit 1:a', 'commit 2:b', 'commit 3:c', 'cleanUp'])
})

test('C13b a job started from a savepoint shows everything before it exactly once, whether the old job commits it too or not', () => {
  for (const goesOn of [false, true]) {
    const ledger = new Ledger()
    const h = harness(ledger)
    write(h, 'a')
    const savepoint = h.snapshot(2, 'savepoint')
    if (goesOn) {
      h.snapshot(3)
      h.chain.notifyCheckpointComplete(3)
    }
    const restored = harness(ledger, { restore: [savepoint] })
    write(restored, 'b')
    restored.snapshot(4)
    restored.chain.notifyCheckpointComplete(4)
    expect(ledger.visible).toEqual(['a', 'b'])
  }
})

test.for(['stop', 'stop-drain'] as const)('C15 %s is a savepoint that commits', kind => {
  const ledger = new Ledger()
  const h = harness(ledger)
  write(h, 'a')
  h.snapshot(2, kind)
  h.chain.notifyCheckpointComplete(2)
  expect(ledger.visible).toEqual(['a'])
})

test('P9 committables are dealt out again one by one, and committed by whoever gets them', () => {
  const ledger = new Ledger()
  const h = harness(ledger)
  for (const id of [1, 2, 3]) {
    write(h, `r${id}`)
    h.snapshot(id)
  }
  const snapshot = h.snapshot(4)
  for (const subtask of [0, 1]) harness(ledger, { restore: [snapshot], subtask, parallelism: 2 })
  expect(ledger.visible.toSorted()).toEqual(['r1', 'r2', 'r3'])
  const together = new Ledger()
  harness(together, { restore: [{ ...snapshot, lists: [...snapshot.lists, ...snapshot.lists] }] })
  expect(together.take()[0]).toBe('commit 1:r1,1:r1')
})

test('P3 a snapshot with committables is refused by a sink that cannot commit them: nothing is lost silently', () => {
  const ledger = new Ledger()
  const h = harness(ledger)
  write(h, 'a')
  const snapshot = h.snapshot(1)
  expect(() => harness(ledger, { restore: [snapshot] }, false)).toThrow(expect.objectContaining({ code: 'SNAPSHOT_INCOMPATIBLE' }))
})

test('P6 a commit that fails fails the job and forgets nothing: it is in the next snapshot still', () => {
  const ledger = new Ledger()
  const h = harness(ledger)
  write(h, 'a')
  h.snapshot(1)
  ledger.failCommit = true
  expect(() => h.chain.notifyCheckpointComplete(1)).toThrow('sink "out" threw: disk gone')
  expect(h.chain.metrics().pendingCommittables).toBe(1)
})

test('a sink without a committer only flushes, before each barrier and at the end', () => {
  const ledger = new Ledger()
  const h = harness(ledger, {}, false)
  expect(h.chain.commits).toBe(false)
  write(h, 'a')
  const snapshot = h.snapshot(1)
  h.chain.notifyCheckpointComplete(1)
  h.end()
  expect([snapshot.lists, ledger.take()]).toEqual([[], ['open', 'flush', 'flush end']])
})

test('close reports its own error, but not over an earlier one', () => {
  const failing: Sink<unknown> = { kind: 'sink', name: 's', createWriter: () => ({ write: v => { if (v === 'bad') throw new Error('first') }, close: () => { throw new Error('close') } }) }
  const create = () => new ChainHarness({ steps: [{ kind: 'sink', sink: failing }], openState, leaving: [] })
  expect(() => create().chain.close()).toThrow('close')
  const h = create()
  expect(() => write(h, 'bad')).toThrow('first')
  expect(() => h.chain.close()).not.toThrow()
})
