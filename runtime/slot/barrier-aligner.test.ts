import { expect, test } from 'vitest'
import type { CheckpointBarrier } from '../core/batch.ts'
import { BarrierAligner, type AlignerCommand, type AlignmentMode } from './barrier-aligner.ts'
import type { SlotFaults } from './faults.ts'

const barrier = (checkpointId: number): CheckpointBarrier => ({ checkpointId, timestamp: 0, kind: 'checkpoint' })

/**
 * A script of what arrives at three channels a, b, c: `a1` is the barrier of checkpoint 1 on channel a, `aE` its end,
 * `x1` the news that checkpoint 1 was aborted, `t1` a checkpoint taken without barriers. The answer of each is what to do, then the channels that are blocked.
 */
function play(script: string, mode: AlignmentMode = 'exactly-once', faults: SlotFaults = {}): string {
  const aligner = new BarrierAligner(3, mode, faults)
  let now = 0
  return script
    .split(' ')
    .map(event => {
      now++
      const channel = 'abc'.indexOf(event[0]!)
      const id = Number(event.slice(1))
      let commands: AlignerCommand[] = []
      if (event[0] === 'x') aligner.aborted(id)
      else if (event[0] === 't') commands = aligner.taken(id)
      else if (event[1] === 'E') commands = aligner.endOfPartition(channel)
      else commands = aligner.barrier(channel, barrier(id), now)
      const done = commands.map(command => (command.kind === 'snapshot' ? `snapshot ${command.barrier.checkpointId} since ${command.alignmentStart}` : `decline ${command.checkpointId}`))
      const blocked = ['a', 'b', 'c'].filter((_, index) => aligner.isBlocked(index)).join('')
      return `${event}: ${[...done, blocked === '' ? '-' : `blocked ${blocked}`].join(', ')}`
    })
    .join('\n')
}

test('C1: channels that delivered the barrier are blocked until all have', () => {
  expect(play('a1 c1 b1 a2')).toMatchInlineSnapshot(`
    "a1: blocked a
    c1: blocked ac
    b1: snapshot 1 since 1, -
    a2: blocked a"
  `)
})
test('C2: at least once blocks nothing, and counts several checkpoints at a time', () => {
  expect(play('a1 b1 a2 c1 b2 c2', 'at-least-once')).toMatchInlineSnapshot(`
    "a1: -
    b1: -
    a2: -
    c1: snapshot 1 since 1, -
    b2: -
    c2: snapshot 2 since 3, -"
  `)
})
test('C2: at least once, a newer checkpoint that is complete ends the older ones', () => {
  expect(play('a1 b1 a2 b2 c2 c1', 'at-least-once')).toMatchInlineSnapshot(`
    "a1: -
    b1: -
    a2: -
    b2: -
    c2: decline 1, snapshot 2 since 3, -
    c1: -"
  `)
})
test('C3: a newer barrier supersedes the alignment and releases its channels', () => {
  expect(play('a1 b1 c2 c1 a2 b2')).toMatchInlineSnapshot(`
    "a1: blocked a
    b1: blocked ab
    c2: decline 1, blocked c
    c1: blocked c
    a2: blocked ac
    b2: snapshot 2 since 3, -"
  `)
})
test('C3: a barrier of an older checkpoint is ignored', () => {
  expect(play('a2 b1 b2 c1 c2 c1')).toMatchInlineSnapshot(`
    "a2: blocked a
    b1: blocked a
    b2: blocked ab
    c1: blocked ab
    c2: snapshot 2 since 1, -
    c1: -"
  `)
})
test('C4: the end of a partition counts as aligned', () => {
  expect(play('a1 b1 cE a2 b2 aE bE')).toMatchInlineSnapshot(`
    "a1: blocked a
    b1: blocked ab
    cE: snapshot 1 since 1, -
    a2: blocked a
    b2: snapshot 2 since 4, -
    aE: -
    bE: -"
  `)
})
test('C4: an end before any barrier is no alignment', () => {
  expect(play('aE b1 c1')).toMatchInlineSnapshot(`
    "aE: -
    b1: blocked b
    c1: snapshot 1 since 2, -"
  `)
})
test('C7: an aborted checkpoint releases its channels, and its other barriers are ignored', () => {
  expect(play('a1 b1 x1 c1 a2 b2 c2')).toMatchInlineSnapshot(`
    "a1: blocked a
    b1: blocked ab
    x1: -
    c1: -
    a2: blocked a
    b2: blocked ab
    c2: snapshot 2 since 5, -"
  `)
})
test('C7: a checkpoint aborted before its first barrier never begins', () => {
  expect(play('x2 a1 b2 a2 c2 a3 b3 c3')).toMatchInlineSnapshot(`
    "x2: -
    a1: blocked a
    b2: decline 1, -
    a2: -
    c2: -
    a3: blocked a
    b3: blocked ab
    c3: snapshot 3 since 6, -"
  `)
})
test('C7: the same at least once', () => {
  expect(play('x2 a1 a2 b2 c2 b1 c1', 'at-least-once')).toMatchInlineSnapshot(`
    "x2: -
    a1: -
    a2: -
    b2: -
    c2: -
    b1: -
    c1: snapshot 1 since 2, -"
  `)
})
test('C10: a checkpoint taken without barriers makes older ones history', () => {
  expect(play('aE bE cE t4')).toMatchInlineSnapshot(`
    "aE: -
    bE: -
    cE: -
    t4: -"
  `)
})
test('a task with one channel never blocks', () => {
  const aligner = new BarrierAligner(1, 'exactly-once')
  expect(aligner.barrier(0, barrier(1), 5)).toEqual([{ kind: 'snapshot', barrier: barrier(1), alignmentStart: 5 }])
  expect(aligner.isBlocked(0)).toBe(false)
})
test('planted bug: no alignment', () => {
  expect(play('a1 b1 c1', 'exactly-once', { noAlignment: true })).toMatchInlineSnapshot(`
    "a1: -
    b1: -
    c1: snapshot 1 since 1, -"
  `)
})
test('planted bug: a newer barrier does not supersede', () => {
  expect(play('a1 b2 c2 a2', 'exactly-once', { noSupersede: true })).toMatchInlineSnapshot(`
    "a1: blocked a
    b2: blocked ab
    c2: snapshot 2 since 1, -
    a2: -"
  `)
})
