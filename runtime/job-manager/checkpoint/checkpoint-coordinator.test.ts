import { describe, expect, test } from 'vitest'
import { defaultJobConfig, type CheckpointConfig } from '../../graph/config.ts'
import type { TaskStatus } from '../../protocol/slot.ts'
import { CheckpointCoordinator, maxQueuedRequests, type CheckpointCommand, type CheckpointCoordinatorOptions, type CheckpointEvent } from './checkpoint-coordinator.ts'

const timings = { startDelay: 0, alignment: 0, sync: 0, async: 0 }
const file = (task: number) => ({ path: `/chk/task-${task}`, bytes: 10, sha256: 'x' })

/**
 * Two sources (tasks 0, 1) send to two counters (2, 3), all to all. Events are written as text: `run` (all tasks run),
 * `0 FINISHED`, `0 end`, `ack 2 #1`, `decline 2 #1`, `state #1` (enumerator), `ask s1 savepoint`, `ok #1` (persisted), `ko #1`, `tick`.
 */
function coordinator(config: Partial<CheckpointConfig> = {}, options: Partial<CheckpointCoordinatorOptions> = {}) {
  const machine = new CheckpointCoordinator({
    config: { ...defaultJobConfig.checkpointing, interval: 1000, ...config },
    producers: [[], [], [0, 1], [0, 1]],
    firstTask: [0, 2, 4],
    coordinators: [],
    nextCheckpointId: 1,
    completed: [],
    initial: undefined,
    ...options,
  })
  const at = (now: number, ...lines: string[]) => lines.flatMap(line => events(line).flatMap(event => machine.handle(event, now).map(show)))
  return { machine, at }
}

function events(line: string): CheckpointEvent[] {
  const [first = '', second = '', third = ''] = line.split(' ')
  const checkpointId = Number((/#(\d+)/.exec(line) ?? [])[1])
  const error = { code: 'STORAGE_FAILED', message: 'no' } as const
  switch (first) {
    case 'start':
      return [{ kind: 'attemptStarted' }]
    case 'run':
      return [0, 1, 2, 3].map(task => ({ kind: 'taskStatus', task, status: 'RUNNING' }))
    case 'over':
      return [{ kind: 'attemptEnded', reason: 'the job failed', over: false }]
    case 'finished':
      return [{ kind: 'attemptEnded', reason: 'the job is finished', over: true }]
    case 'ack':
      return [{ kind: 'acknowledge', task: Number(second), checkpointId, file: { ...file(Number(second)), since: {} }, timings }]
    case 'acks':
      return [0, 1, 2, 3].flatMap(task => events(`ack ${task} #${checkpointId}`))
    case 'full':
      return [{ kind: 'decline', task: Number(second), checkpointId, error: { code: 'DISK_FULL', message: 'no space left' } }]
    case 'decline':
      return [{ kind: 'decline', task: Number(second), checkpointId, error }]
    case 'state':
      return [{ kind: 'coordinatorSnapshot', checkpointId, operatorId: 'source', state: new Uint8Array([1]) }]
    case 'ask':
      return [{ kind: 'request', requestId: second, checkpointKind: third as 'savepoint', directory: '/sp' }]
    case 'ok':
      return [{ kind: 'persisted', checkpointId, path: `/chk-${checkpointId}`, bytes: 40 }]
    case 'ko':
      return [{ kind: 'persistFailed', checkpointId, error }]
    case 'nodir':
      return [{ kind: 'beginFailed', checkpointId, error }]
    case 'tick':
      return [{ kind: 'tick' }]
    default:
      return second === 'end' ? [{ kind: 'endOfData', task: Number(first) }] : [{ kind: 'taskStatus', task: Number(first), status: second as TaskStatus }]
  }
}

function show(command: CheckpointCommand): string {
  switch (command.kind) {
    case 'begin':
      return `begin #${command.checkpointId} ${command.checkpointKind}`
    case 'trigger':
      return `trigger #${command.barrier.checkpointId} into ${command.injectInto.join()} expect ${command.expected.join()}`
    case 'acknowledged':
      return `acked ${command.task}`
    case 'persist':
      return `persist #${command.snapshot.checkpointId} files ${command.snapshot.files.map(each => (each ? 'y' : '-')).join('')} finished [${command.snapshot.finishedVertices.join()}]`
    case 'completed':
      return `completed #${command.checkpoint.id}`
    case 'notifyComplete':
      return `notify #${command.checkpointId}`
    case 'aborted':
      return `${command.missed ? 'aborted' : 'overtaken'} #${command.checkpointId}: ${command.reason}`
    case 'subsume':
      return `subsume #${command.checkpoint.id}`
    case 'answer':
      return `answer ${command.requestId}: ${command.result.kind === 'completed' ? command.result.path : command.result.error.message}`
    case 'failAttempt':
      return `fail ${command.error.code}: ${command.error.message}`
    case 'stopped':
      return `stopped at ${command.path}`
  }
}

describe('periodic checkpoints', () => {
  test('the barrier goes to the sources, every task acknowledges, and only then, and only after the manifest is durable, anybody is told', () => {
    const { at } = coordinator()
    expect(at(0, 'start', 'run')).toEqual([])
    expect(at(999, 'tick')).toEqual([])
    expect(at(1000, 'tick')).toEqual(['begin #1 checkpoint', 'trigger #1 into 0,1 expect 0,1,2,3'])
    expect(at(1001, 'ack 0 #1', 'ack 1 #1', 'ack 2 #1')).toEqual(['acked 0', 'acked 1', 'acked 2'])
    expect(at(1002, 'ack 3 #1')).toEqual(['acked 3', 'persist #1 files yyyy finished []'])
    expect(at(1003, 'ok #1')).toEqual(['completed #1', 'notify #1'])
    expect(at(2000, 'tick')).toEqual(['begin #2 checkpoint', 'trigger #2 into 0,1 expect 0,1,2,3'])
    expect(at(2001, 'acks #2')).toContain('persist #2 files yyyy finished []')
    expect(at(2002, 'ok #2')).toEqual(['completed #2', 'notify #2', 'subsume #1'])
  })

  test('C9: nothing is triggered while a task does not run, and the interval counts from when all do', () => {
    const { at, machine } = coordinator()
    at(0, 'start', '0 RUNNING', '1 RUNNING', '2 RUNNING', '3 INITIALIZING')
    expect(at(5000, 'tick')).toEqual([])
    expect(machine.nextWakeAt()).toBe(Infinity)
    at(6000, '3 RUNNING')
    expect(machine.nextWakeAt()).toBe(7000)
    expect(at(7000, 'tick')).toContain('begin #1 checkpoint')
  })

  test('an acknowledgement counts once per task and id, whatever else arrives', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    at(1000, 'tick')
    expect(at(1001, 'ack 0 #1', 'ack 0 #1', 'ack 1 #7', 'ack 1 #1', 'ack 2 #1', 'ack 2 #1', 'decline 0 #1', 'decline 3 #9')).toEqual(['acked 0', 'acked 1', 'acked 2'])
    expect(at(1002, 'ack 3 #1')).toContain('persist #1 files yyyy finished []')
  })

  test('one at a time; after a slow one the next comes after the minimal pause', () => {
    const { at, machine } = coordinator({ minPause: 400 })
    at(0, 'start', 'run')
    at(1000, 'tick')
    expect(at(2500, 'tick')).toEqual([])
    at(2600, 'acks #1', 'ok #1')
    expect(machine.nextWakeAt()).toBe(3000)
    expect(at(2999, 'tick')).toEqual([])
    expect(at(3000, 'tick')).toContain('begin #2 checkpoint')
  })

  test('the number that is retained stays, older ones go', () => {
    const { at, machine } = coordinator({ retained: 2 })
    at(0, 'start', 'run')
    const gone: string[] = []
    for (let id = 1; id <= 4; id++) {
      at(id * 1000, 'tick', `acks #${id}`)
      gone.push(...at(id * 1000 + 1, `ok #${id}`).filter(line => line.startsWith('subsume')))
    }
    expect(gone).toEqual(['subsume #1', 'subsume #2'])
    expect(machine.restorePoints.map(({ id }) => id)).toEqual([4, 3])
  })

  test('enumerators are asked first; the barriers wait for their state', () => {
    const { at } = coordinator({}, { coordinators: ['source'] })
    at(0, 'start', 'run')
    expect(at(1000, 'tick')).toEqual(['begin #1 checkpoint'])
    expect(at(1001, 'ack 0 #1')).toEqual([])
    expect(at(1002, 'state #1')).toEqual(['trigger #1 into 0,1 expect 0,1,2,3'])
  })
})

describe('C8: failures', () => {
  test.each([
    ['declined', ['decline 2 #1'], 'no'],
    ['not to be written', ['acks #1', 'ko #1'], 'no'],
    ['without a directory', ['nodir #1'], 'no'],
  ])('one that is %s fails the attempt when none is tolerable', (_, lines, reason) => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    at(1000, 'tick')
    expect(at(1001, ...lines).slice(-2)).toEqual([`aborted #1: ${reason}`, `fail CHECKPOINT_FAILED: ${reason}`])
    expect(at(9000, 'tick')).toEqual([])
  })

  test('tolerable failures are counted in a row; one that completes starts the count again', () => {
    const { at } = coordinator({ tolerableFailures: 1 })
    at(0, 'start', 'run')
    at(1000, 'tick')
    expect(at(1001, 'decline 0 #1')).toEqual(['aborted #1: no'])
    at(2000, 'tick', 'acks #2', 'ok #2')
    at(3000, 'tick')
    expect(at(3001, 'decline 0 #3')).toEqual(['aborted #3: no'])
    at(4000, 'tick')
    expect(at(4001, 'decline 0 #4')).toEqual(['aborted #4: no', 'fail CHECKPOINT_FAILED: 2 checkpoints failed in a row; the last: no'])
  })

  test('a full disk fails the job under its own name', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    at(1000, 'tick', 'state #1')
    expect(at(1001, 'full 0 #1')).toEqual(['aborted #1: no space left', 'fail DISK_FULL: no space left'])
  })

  test('one that takes too long expires and the next begins; its late acknowledgements mean nothing', () => {
    const { at, machine } = coordinator({ timeout: 500, tolerableFailures: 5 })
    at(0, 'start', 'run')
    at(1000, 'tick', 'ack 0 #1')
    expect(machine.nextWakeAt()).toBe(1500)
    expect(at(1500, 'tick')).toEqual(['aborted #1: checkpoint 1 expired after 500 ms: 3 of 4 tasks did not acknowledge'])
    expect(at(2000, 'tick')).toContain('begin #2 checkpoint')
    expect(at(2001, 'ack 1 #1', 'ack 2 #1', 'ack 3 #1')).toEqual([])
  })

  test('a savepoint that fails is answered and never counts', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    expect(at(10, 'ask s1 savepoint')).toContain('begin #1 savepoint')
    expect(at(20, 'decline 3 #1')).toEqual(['aborted #1: no', 'answer s1: no'])
    expect(at(1000, 'tick')).toContain('begin #2 checkpoint')
  })
})

describe('on demand', () => {
  test('a savepoint is answered with its place, notifies nobody (C13b), and is nothing to recover from (C13)', () => {
    const { at, machine } = coordinator()
    at(0, 'start', 'run')
    expect(at(10, 'ask s1 savepoint')).toEqual(['begin #1 savepoint', 'trigger #1 into 0,1 expect 0,1,2,3'])
    at(11, 'acks #1')
    expect(at(12, 'ok #1')).toEqual(['completed #1', 'answer s1: /chk-1'])
    expect(machine.restorePoints).toEqual([])
    expect(at(1000, 'tick')).toContain('begin #2 checkpoint')
  })

  test('it waits for the checkpoint under way and goes before the next one', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    at(1000, 'tick')
    expect(at(1001, 'ask s1 savepoint')).toEqual([])
    at(1002, 'acks #1')
    expect(at(2500, 'ok #1')).toEqual(['completed #1', 'notify #1', 'begin #2 savepoint', 'trigger #2 into 0,1 expect 0,1,2,3'])
  })

  test('when the tasks do not all run, it waits for them, but not for ever', () => {
    const { at, machine } = coordinator({ timeout: 500 })
    at(0, 'start', '0 RUNNING')
    expect(at(10, 'ask s1 savepoint')).toEqual([])
    expect(machine.nextWakeAt()).toBe(510)
    expect(at(510, 'tick')).toEqual(['answer s1: not all tasks were running within 500 ms'])
  })

  test('a failover answers what was under way and what waits', () => {
    const { at } = coordinator()
    at(0, 'start', 'run', 'ask s1 savepoint', 'ask s2 savepoint')
    expect(at(10, 'over')).toEqual(['aborted #1: the job failed', 'answer s1: the job failed', 'answer s2: the job failed'])
    expect(at(11, 'ask s3 savepoint')).toEqual(['answer s3: the job is not running'])
  })

  test('a checkpoint that the end of the job overtakes has not failed; a savepoint that somebody waits for has', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    at(1000, 'tick')
    expect(at(1001, 'finished')).toEqual(['overtaken #1: the job is finished'])
    const asked = coordinator()
    asked.at(0, 'start', 'run', 'ask s1 savepoint')
    expect(asked.at(10, 'finished')).toEqual(['aborted #1: the job is finished', 'answer s1: the job is finished'])
  })

  test('there is a bound to what waits', () => {
    const { at } = coordinator()
    at(0, 'start', '0 RUNNING')
    for (let i = 0; i < maxQueuedRequests; i++) expect(at(1, `ask s${i} savepoint`)).toEqual([])
    expect(at(1, 'ask more savepoint')).toEqual([`answer more: ${maxQueuedRequests} snapshots are waiting already`])
  })
})

describe('C15: stop with savepoint', () => {
  test('tasks are told to finish, and nothing is triggered any more', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    at(10, 'ask s1 stop')
    at(11, 'acks #1')
    expect(at(12, 'ok #1')).toEqual(['completed #1', 'notify #1', 'answer s1: /chk-1', 'stopped at /chk-1'])
    expect(at(5000, 'tick', 'ask s2 savepoint', '0 end', '1 end', '0 FINISHED', '1 FINISHED')).toEqual(['answer s2: the job is stopping'])
  })

  test('tasks that report their end while the savepoint is taken need no other checkpoint', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    at(10, 'ask s1 stop-drain')
    at(11, '0 end', '1 end', '2 end', '3 end', 'acks #1')
    expect(at(12, 'ok #1', '0 FINISHED', '1 FINISHED')).toEqual(['completed #1', 'notify #1', 'answer s1: /chk-1', 'stopped at /chk-1'])
  })

  test('one that fails is answered, and the job goes on', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    at(10, 'ask s1 stop')
    expect(at(11, 'decline 2 #1')).toEqual(['aborted #1: no', 'answer s1: no'])
    expect(at(1000, 'tick')).toContain('begin #2 checkpoint')
  })

  test('with drain it ends the attempt, because event time may have ended already', () => {
    const { at } = coordinator({ tolerableFailures: 9 })
    at(0, 'start', 'run')
    at(10, 'ask s1 stop-drain')
    expect(at(11, 'decline 2 #1')).toEqual(['aborted #1: no', 'answer s1: no', 'fail SAVEPOINT_FAILED: stop with savepoint failed: no'])
  })
})

describe('C10, C11: tasks that finish', () => {
  test('finished tasks are left out and recorded; barriers go to the first running ones', () => {
    const { at } = coordinator()
    at(0, 'start', 'run', '0 FINISHED')
    expect(at(1000, 'tick')).toEqual(['begin #1 checkpoint', 'trigger #1 into 1 expect 1,2,3'])
    at(1001, 'ack 1 #1', 'ack 2 #1')
    expect(at(1002, 'ack 3 #1')).toEqual(['acked 3', 'persist #1 files -yyy finished []'])
    at(1003, 'ok #1', '1 FINISHED')
    expect(at(2000, 'tick')).toEqual(['begin #2 checkpoint', 'trigger #2 into 2,3 expect 2,3'])
    expect(at(2001, 'ack 2 #2', 'ack 3 #2')).toContain('persist #2 files --yy finished [0]')
  })

  test('a task that finishes before its barrier reaches it is no failure: the checkpoint is taken again at once', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    at(1000, 'tick')
    expect(at(1001, '0 FINISHED')).toEqual(['overtaken #1: a task finished before its barrier', 'begin #2 checkpoint', 'trigger #2 into 1 expect 1,2,3'])
    at(1002, 'ack 1 #2')
    expect(at(1003, '1 FINISHED')).toEqual([])
  })

  test('so is a savepoint that was asked for, under a new id', () => {
    const { at } = coordinator()
    at(0, 'start', 'run', 'ask s1 savepoint')
    expect(at(1, '1 FINISHED')).toEqual(['overtaken #1: a task finished before its barrier', 'begin #2 savepoint', 'trigger #2 into 0 expect 0,2,3'])
    at(2, 'ack 0 #2', 'ack 2 #2', 'ack 3 #2')
    expect(at(3, 'ok #2')).toContain('answer s1: /chk-2')
  })

  test('when all running tasks wait for their last checkpoint, it is taken at once, with an interval or without', () => {
    for (const interval of [60_000, undefined]) {
      const { at } = coordinator({ interval })
      at(0, 'start', 'run', '0 end', '1 end', '2 end')
      expect(at(1, '3 end')).toEqual(['begin #1 checkpoint', 'trigger #1 into 0,1 expect 0,1,2,3'])
      at(2, 'acks #1')
      expect(at(3, 'ok #1')).toEqual(['completed #1', 'notify #1'])
      expect(at(4, 'tick', '0 FINISHED', '1 FINISHED', '2 FINISHED', '3 FINISHED', 'over')).toEqual([])
    }
  })

  test('as long as others have data, the periodic ones serve', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    expect(at(1, '0 end')).toEqual([])
    expect(at(1000, 'tick')).toContain('begin #1 checkpoint')
  })

  test('a checkpoint whose barriers were out before the end was reported does not cover it', () => {
    const { at, machine } = coordinator({ interval: 60_000 })
    at(0, 'start', 'run')
    at(60_000, 'tick')
    at(60_001, '0 end', '1 end', '2 end', '3 end', 'acks #1')
    expect(at(60_002, 'ok #1')).toEqual(['completed #1', 'notify #1'])
    // Unless it did, which the tasks know: they get a moment to finish.
    expect(machine.nextWakeAt()).toBe(60_022)
    expect(at(60_022, 'tick')).toEqual(['begin #2 checkpoint', 'trigger #2 into 0,1 expect 0,1,2,3'])
  })

  test('tasks that finish one after another at the end do not begin one checkpoint each', () => {
    const { at } = coordinator({ interval: 60_000 })
    at(0, 'start', 'run')
    at(60_000, 'tick')
    at(60_001, '0 end', '1 end', '2 end', '3 end', 'acks #1', 'ok #1')
    expect(at(60_030, 'tick', '0 FINISHED', '1 FINISHED', '2 FINISHED', '3 FINISHED').filter(line => line.startsWith('begin'))).toEqual(['begin #2 checkpoint'])
  })

  test('a final checkpoint that fails is tried again, not in a loop', () => {
    const { at, machine } = coordinator({ interval: undefined, tolerableFailures: 3 })
    at(0, 'start', 'run', '0 end', '1 end', '2 end', '3 end')
    expect(at(10, 'decline 0 #1')).toEqual(['aborted #1: no'])
    expect(machine.nextWakeAt()).toBe(1010)
    expect(at(1010, 'tick')).toContain('begin #2 checkpoint')
  })
})

describe('over restarts', () => {
  test('after a restart the first one waits as long again as what has to be done again has taken, at most an interval, and not twice for one checkpoint', () => {
    const { at, machine } = coordinator()
    const restart = (now: number, id: number) => {
      at(now, 'over')
      machine.restoredFrom(id)
      at(now, 'start', 'run')
      return (machine.nextWakeAt() as number) - now
    }
    at(0, 'start', 'run')
    at(1000, 'tick', 'acks #1', 'ok #1')
    expect(restart(1300, 1)).toBe(1300)
    // It failed again before the next checkpoint: whoever does so all the time must get further.
    expect(restart(2000, 1)).toBe(1000)
    at(3000, 'tick', 'acks #2', 'ok #2')
    expect(restart(60_000, 2)).toBe(2000)
  })

  test('C14: ids go on after a failover and after a restart of the JobManager', () => {
    const { at, machine } = coordinator({}, { nextCheckpointId: 41 })
    at(0, 'start', 'run')
    expect(at(1000, 'tick')).toContain('begin #41 checkpoint')
    at(1001, 'over', 'start', 'run')
    expect(at(2001, 'tick')).toContain('begin #42 checkpoint')
    expect(machine.nextCheckpointId).toBe(43)
  })

  test('until the job has a checkpoint of its own it goes back to the savepoint it was started from', () => {
    const initial = { id: 7, kind: 'savepoint', path: '/sp', triggeredAt: 0, completedAt: 0, bytes: 0 } as const
    const { at, machine } = coordinator({}, { initial, nextCheckpointId: 8 })
    expect(machine.restorePoints.map(({ path }) => path)).toEqual(['/sp'])
    at(0, 'start', 'run')
    at(1000, 'tick', 'acks #8')
    expect(at(1001, 'ok #8')).toEqual(['completed #8', 'notify #8'])
    expect(machine.restorePoints.map(({ path }) => path)).toEqual(['/chk-8'])
  })

  test('nothing may come between the decision to persist and its answer', () => {
    const { at } = coordinator()
    at(0, 'start', 'run')
    at(1000, 'tick', 'acks #1')
    expect(() => at(1001, 'tick')).toThrow('flink-ts bug')
  })
})
