import { expect, test } from 'vitest'
import { maxHeldAssignments, SourceCoordinator, type SourceEvent } from './source-coordinator.ts'

const assign = (split: string, operatorId = 'files'): SourceEvent => ({ kind: 'assignment', assignment: { kind: 'addSplit', operatorId, subtask: 0, split } })
const done = (operatorId = 'files'): SourceEvent => ({ kind: 'assignment', assignment: { kind: 'noMoreSplits', operatorId, subtask: 0 } })
const taken = (checkpointId: number, operatorId = 'files'): SourceEvent => ({ kind: 'snapshotTaken', operatorId, checkpointId })
const released = (checkpointId: number): SourceEvent => ({ kind: 'released', checkpointId })

function gateway(...before: readonly SourceEvent[]) {
  const coordinator = new SourceCoordinator()
  const sent = (...events: readonly SourceEvent[]) =>
    events.flatMap(event =>
      coordinator.handle(event).map(command => {
        if (command.kind === 'send') return command.assignment.kind === 'addSplit' ? String(command.assignment.split) : 'no more'
        return command.kind === 'fail' ? command.error.message : `ask ${command.operatorId} for ${command.subtask}`
      }),
    )
  sent(...before)
  return sent
}
const running: readonly SourceEvent[] = [{ kind: 'attemptPrepared' }, { kind: 'deployed' }]

test('what is assigned before the readers are there waits for them, in order', () => {
  const sent = gateway({ kind: 'attemptPrepared' })
  expect(sent(assign('a'), assign('b'), done())).toEqual([])
  expect(sent({ kind: 'deployed' })).toEqual(['a', 'b', 'no more'])
  expect(sent(assign('c'))).toEqual(['c'])
})

test('between the snapshot of an enumerator and the trigger, its assignments are held back', () => {
  const sent = gateway(...running)
  expect(sent(assign('before'))).toEqual(['before'])
  expect(sent(taken(1), assign('after'), done())).toEqual([])
  expect(sent(released(1))).toEqual(['after', 'no more'])
})

test('each enumerator has a gate of its own', () => {
  const sent = gateway(...running, taken(1, 'files'))
  expect(sent(assign('x', 'files'), assign('y', 'numbers'))).toEqual(['y'])
  expect(sent(taken(1, 'numbers'), assign('z', 'numbers'))).toEqual([])
  expect(sent(released(1))).toEqual(['x', 'z'])
})

test('a snapshot that comes after its checkpoint was given up closes nothing', () => {
  const sent = gateway(...running, released(1))
  expect(sent(taken(1), assign('a'))).toEqual(['a'])
})

test('a failover forgets what was held: the enumerators start again from the checkpoint', () => {
  const sent = gateway(...running, taken(1), assign('old'))
  expect(sent({ kind: 'attemptEnded' }, assign('late'), { kind: 'attemptPrepared' }, assign('new'), { kind: 'deployed' })).toEqual(['new'])
})

test('requests of readers go to the enumerators of the running attempt only', () => {
  const request: SourceEvent = { kind: 'requestSplit', operatorId: 'files', subtask: 2 }
  expect(gateway()(request)).toEqual([])
  expect(gateway(...running)(request)).toEqual(['ask files for 2'])
})

test('an enumerator in a loop fails the attempt instead of filling the memory', () => {
  const coordinator = new SourceCoordinator()
  coordinator.handle({ kind: 'attemptPrepared' })
  for (let i = 0; i < maxHeldAssignments; i++) coordinator.handle(assign('s'))
  expect(coordinator.handle(assign('one more'))).toEqual([{ kind: 'fail', error: { code: 'USER_CODE_FAILED', message: 'a split enumerator assigned more than 100000 splits in one go' } }])
})
