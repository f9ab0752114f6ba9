import { describe, expect, test } from 'vitest'
import type { ErrorCode, ErrorData } from '../../core/errors.ts'
import { defaultJobConfig, type RestartConfig } from '../../graph/config.ts'
import type { TaskStatus } from '../../protocol/slot.ts'
import { JobMaster, type JobCommand, type JobEvent } from './job-master.ts'
import { RestartStrategy } from './restart-strategy.ts'

const error = (code: ErrorCode): ErrorData => ({ code, message: code.toLowerCase() })
const slots = ['a', 'b'].map(taskManager => ({ taskManager, slotIndex: 0, dataSocket: `/s/${taskManager}` }))

/** Two tasks in two slots, on TaskManagers `a` and `b`. Events as text. */
function job(restart: RestartConfig = defaultJobConfig.restart, nextAttempt = 1) {
  const master = new JobMaster({
    slotOfTask: [0, 1], slots: 2, nextAttempt, strategy: new RestartStrategy(restart, () => 0.5), slotTimeout: 1000, cancelTimeout: 300,
  })
  const at = (now: number, ...lines: string[]) => lines.flatMap(line => master.handle(event(line), now).map(show)).filter(line => line !== '')
  return { master, at }
}

function event(line: string): JobEvent {
  const [first = '', second = '', third = ''] = line.split(' ')
  switch (first) {
    case 'start':
    case 'cancel':
    case 'tick':
    case 'checkpointCompleted':
      return { kind: first }
    case 'slots':
      return { kind: 'slotsGranted', slots }
    case 'free':
      return { kind: 'slotFree', taskManager: second, slotIndex: 0, error: third === '' ? undefined : error(third as ErrorCode) }
    case 'lost':
      return { kind: 'taskManagerLost', taskManager: second, error: error('PROCESS_LOST') }
    case 'why':
      return { kind: 'lossExplained', taskManager: second, error: error(third as ErrorCode) }
    case 'fail':
      return { kind: 'attemptFailed', error: error(second as ErrorCode) }
    case 'unreadable':
      return { kind: 'deployFailed', error: error('SNAPSHOT_CORRUPT') }
    case 'stopped':
      return { kind: 'stopSavepointCompleted', path: '/sp' }
    default:
      return { kind: 'taskStatus', task: Number(first), status: second as TaskStatus, error: third === '' ? undefined : error(third as ErrorCode) }
  }
}

function show(command: JobCommand): string {
  switch (command.kind) {
    case 'jobStatus':
      return command.error ? `${command.status} (${command.error.code})` : command.status
    case 'prepareAttempt':
    case 'deploy':
      return `${command.kind} ${command.attempt}`
    case 'cancelTasks':
      return `cancelTasks ${command.taskManagers.join()}`
    case 'abandonTaskManager':
      return `abandon ${command.taskManager}`
    case 'restartScheduled':
      return `restart ${command.attempt} in ${command.delay} (${command.cause.code}${command.repeats > 1 ? `, ${command.repeats} times` : ''})`
    case 'finished':
      return `over ${command.status}${command.error?.detail === undefined ? '' : `: ${command.error.detail}`}`
    case 'taskStatus':
    case 'failure':
      return ''
    default:
      return command.kind
  }
}
const run = ['start', 'slots', '0 RUNNING', '1 RUNNING'] as const

describe('a good life', () => {
  test('slots, tasks, the end', () => {
    const { at } = job()
    expect(at(0, 'start')).toEqual(['CREATED', 'prepareAttempt 1', 'requestSlots'])
    expect(at(10, 'slots')).toEqual(['RUNNING', 'deploy 1'])
    expect(at(20, '0 RUNNING', '1 RUNNING', '0 FINISHED', 'free a', '1 FINISHED')).toEqual([])
    expect(at(30, 'free b')).toEqual(['attemptEnded', 'FINISHED', 'releaseSlots', 'over FINISHED'])
    expect(at(40, 'tick', 'cancel', 'lost a')).toEqual([])
  })

  test('a TaskManager that is lost after all tasks are finished costs nothing', () => {
    const { at } = job()
    at(0, ...run, '0 FINISHED', '1 FINISHED', 'free a')
    expect(at(1, 'lost b')).toEqual(['attemptEnded', 'FINISHED', 'releaseSlots', 'over FINISHED'])
  })

  test('a slot that does not come back after the end is left behind', () => {
    const { at, master } = job()
    at(0, ...run, '0 FINISHED', '1 FINISHED', 'free a')
    expect(master.nextWakeAt()).toBe(300)
    expect(at(300, 'tick')).toEqual(['abandon b', 'attemptEnded', 'FINISHED', 'releaseSlots', 'over FINISHED'])
  })
})

describe('failover', () => {
  test('a lost TaskManager: everything is cancelled, the first restart is immediate, the attempt is a new one', () => {
    const { at } = job()
    at(0, ...run)
    expect(at(100, 'lost a')).toEqual(['RESTARTING (PROCESS_LOST)', 'attemptEnded', 'cancelTasks b'])
    expect(at(110, '1 CANCELED', 'free b')).toEqual(['releaseSlots', 'restart 2 in 0 (PROCESS_LOST)', 'prepareAttempt 2', 'requestSlots'])
    expect(at(120, 'slots')).toEqual(['RUNNING', 'deploy 2'])
  })

  test('a job that never ran fails at the first trouble; one of an earlier JobManager goes on after a moment', () => {
    const fresh = job()
    expect(fresh.at(0, 'start', 'fail STORAGE_FAILED').slice(3)).toEqual(['FAILING (STORAGE_FAILED)', 'attemptEnded', 'FAILED (STORAGE_FAILED)', 'releaseSlots', 'over FAILED'])
    const recovered = job(undefined, 5)
    expect(recovered.at(0, 'start', 'fail STORAGE_FAILED').slice(3)).toEqual(['RESTARTING (STORAGE_FAILED)', 'attemptEnded', 'releaseSlots', 'restart 5 in 100 (STORAGE_FAILED)'])
    expect(recovered.at(100, 'tick', 'slots')).toEqual(['prepareAttempt 5', 'requestSlots', 'RUNNING', 'deploy 5'])
    expect(job(undefined, 5).at(0, 'start', 'unreadable').slice(3)).toEqual(['FAILING (SNAPSHOT_CORRUPT)', 'attemptEnded', 'FAILED (SNAPSHOT_CORRUPT)', 'releaseSlots', 'over FAILED'])
  })

  test('what user code throws is restarted after a delay that grows', () => {
    const { at, master } = job()
    at(0, ...run)
    expect(at(100, '0 FAILED USER_CODE_FAILED')).toEqual(['RESTARTING (USER_CODE_FAILED)', 'attemptEnded', 'cancelTasks a,b'])
    expect(at(110, 'free a', 'free b')).toEqual(['releaseSlots', 'restart 2 in 100 (USER_CODE_FAILED)'])
    expect(master.nextWakeAt()).toBe(200)
    expect(at(200, 'tick')).toEqual(['prepareAttempt 2', 'requestSlots'])
    at(210, 'slots', '0 FAILED USER_CODE_FAILED', 'free a')
    expect(at(220, 'free b')).toEqual(['releaseSlots', 'restart 3 in 150 (USER_CODE_FAILED, 2 times)'])
  })

  test('restarts in a row with the same cause are counted: the same code at the same place, whatever the record was', () => {
    const { master, at } = job()
    at(0, ...run)
    const failures = [
      { code: 'USER_CODE_FAILED', message: 'no price in {"id":1}', at: { file: 'src/job.ts', line: 3 } },
      { code: 'USER_CODE_FAILED', message: 'no price in {"id":2}', at: { file: 'src/job.ts', line: 3 } },
      { code: 'USER_CODE_FAILED', message: 'no price in {"id":2}', at: { file: 'src/job.ts', line: 4 } },
      { code: 'USER_CODE_FAILED', message: 'no price in {"id":2}', at: { file: 'src/job.ts', line: 4 } },
      { code: 'USER_CODE_FAILED', message: 'no price in {"id":2}' },
    ] as const
    const repeats = failures.flatMap((failure, i) => {
      const now = (i + 1) * 100_000
      const commands = master.handle({ kind: 'taskStatus', task: 0, status: 'FAILED', error: failure }, now)
      for (const line of ['free a', 'free b']) commands.push(...master.handle(event(line), now))
      at(now + 99_000, 'tick', 'slots')
      return commands.flatMap(command => (command.kind === 'restartScheduled' ? [command.repeats] : []))
    })
    expect(repeats).toEqual([1, 2, 1, 2, 1])
  })

  test.each([
    'NONDETERMINISTIC_GRAPH', 'SNAPSHOT_CORRUPT', 'STATE_INCOMPATIBLE', 'INPUT_NOT_FOUND', 'MALFORMED_RECORD', 'INVALID_KEY', 'UNSUPPORTED_VALUE', 'MISSING_TIMESTAMP',
  ])('%s fails at once: the same code on the same data fails again', code => {
    const { at } = job()
    at(0, ...run)
    expect(at(1, `0 FAILED ${code}`)).toEqual([`FAILING (${code})`, 'attemptEnded', 'cancelTasks a,b'])
    expect(at(2, 'free a', 'free b')).toEqual([`FAILED (${code})`, 'releaseSlots', 'over FAILED'])
  })

  test('the broken link that a neighbour reports first does not hide the cause', () => {
    const { at } = job()
    at(0, ...run)
    expect(at(1, '1 FAILED PROCESS_LOST')).toEqual(['RESTARTING (PROCESS_LOST)', 'attemptEnded', 'cancelTasks a,b'])
    expect(at(2, '0 FAILED MALFORMED_RECORD')).toEqual(['FAILING (MALFORMED_RECORD)'])
    expect(at(3, 'free a', 'free b')).toEqual(['FAILED (MALFORMED_RECORD)', 'releaseSlots', 'over FAILED'])
  })

  test('neither does it make the restart immediate', () => {
    const { at } = job()
    at(0, ...run)
    expect(at(1, '1 FAILED PROCESS_LOST', '0 FAILED USER_CODE_FAILED', 'free a', 'free b')).toContain('restart 2 in 100 (USER_CODE_FAILED)')
  })

  test('what is said of a restart is why the process died, and not that a neighbour lost its connection', () => {
    const { master, at } = job()
    at(0, ...run)
    const link = { code: 'PROCESS_LOST', message: 'the connection to slot 0 broke' } as const
    const killed = { code: 'PROCESS_LOST', message: 'ended by SIGKILL' } as const
    const commands = [
      ...master.handle({ kind: 'taskStatus', task: 1, status: 'FAILED', error: link }, 1),
      ...master.handle({ kind: 'taskManagerLost', taskManager: 'a', error: killed }, 2),
      ...master.handle(event('free b'), 3),
    ]
    expect(commands.find(command => command.kind === 'restartScheduled')).toMatchObject({ delay: 0, cause: killed })
  })

  test('what another process died of, which ran nothing of this job, explains nothing', () => {
    const { master, at } = job()
    at(0, ...run)
    const ended = { code: 'PROCESS_LOST', message: 'slot 0 of a ended' } as const
    const commands = [
      ...master.handle({ kind: 'slotFree', taskManager: 'a', slotIndex: 0, error: ended }, 1),
      ...master.handle({ kind: 'taskManagerLost', taskManager: 'c', error: { code: 'PROCESS_LOST', message: 'c ended by SIGKILL' } }, 2),
      ...master.handle(event('free b'), 3),
    ]
    expect(commands.find(command => command.kind === 'restartScheduled')).toMatchObject({ cause: ended })
  })

  test('why a process died may be known later than that it died', () => {
    const { at } = job()
    at(0, ...run, 'lost a')
    expect(at(1, 'why a OUT_OF_MEMORY', 'free b')).toContain('restart 2 in 100 (OUT_OF_MEMORY)')
  })

  test('a slot that ends without its tasks is a failure', () => {
    const { at } = job()
    at(0, ...run)
    expect(at(1, 'free a')).toEqual(['RESTARTING (PROCESS_LOST)', 'attemptEnded', 'cancelTasks b'])
    expect(at(2, 'free b')).toContain('restart 2 in 0 (PROCESS_LOST)')
  })

  test('a slot that does not stop costs its TaskManager', () => {
    const { at } = job()
    at(0, ...run, 'lost a')
    expect(at(299, 'tick')).toEqual([])
    expect(at(300, 'tick')).toEqual(['abandon b', 'releaseSlots', 'restart 2 in 0 (PROCESS_LOST)'])
  })

  test('without a strategy the first failure is the last', () => {
    const { at } = job({ kind: 'none' })
    at(0, ...run)
    expect(at(1, 'lost a', 'free b')).toEqual(['FAILING (PROCESS_LOST)', 'attemptEnded', 'cancelTasks b', 'FAILED (PROCESS_LOST)', 'releaseSlots', 'over FAILED'])
  })

  test('the limit of a strategy ends it', () => {
    const { at } = job({ kind: 'fixed-delay', attempts: 1, delay: 5 })
    at(0, ...run, '0 FAILED USER_CODE_FAILED', 'free a', 'free b')
    at(5, 'tick', 'slots', '0 FAILED USER_CODE_FAILED')
    expect(at(6, 'free a', 'free b')).toEqual(['FAILED (USER_CODE_FAILED)', 'releaseSlots', 'over FAILED'])
  })

  test('a snapshot that cannot be read fails the job before anything runs', () => {
    const { at } = job()
    at(0, 'start')
    expect(at(1, 'unreadable')).toEqual(['FAILING (SNAPSHOT_CORRUPT)', 'attemptEnded', 'FAILED (SNAPSHOT_CORRUPT)', 'releaseSlots', 'over FAILED'])
    expect(at(2, 'slots')).toEqual([])
  })

  test('an enumerator that throws while a restart waits for slots is one more failure of the same job', () => {
    const { at } = job()
    at(0, ...run, 'lost a', 'free b')
    expect(at(1, 'fail USER_CODE_FAILED')).toEqual(['attemptEnded', 'releaseSlots', 'restart 2 in 100 (USER_CODE_FAILED)'])
    expect(at(101, 'tick')).toEqual(['prepareAttempt 2', 'requestSlots'])
  })

  test('attempts go on where the last JobManager ended', () => {
    const { at } = job(undefined, 5)
    expect(at(0, 'start', 'slots')).toContain('deploy 5')
  })

  test('slots that do not come fail the job, with what to do about it', () => {
    const { at, master } = job()
    at(0, 'start')
    expect(master.nextWakeAt()).toBe(1000)
    expect(at(1000, 'tick')).toEqual(['FAILING (NOT_ENOUGH_SLOTS)', 'attemptEnded', 'FAILED (NOT_ENOUGH_SLOTS)', 'releaseSlots', 'over FAILED'])
  })
})

describe('cancel and stop', () => {
  test.each([
    ['while it waits for slots', ['start'], [], ['CANCELLING', 'attemptEnded', 'CANCELED', 'releaseSlots', 'over CANCELED']],
    ['while it runs', run, ['0 CANCELED', 'free a', 'free b'], ['CANCELLING', 'attemptEnded', 'cancelTasks a,b', 'CANCELED', 'releaseSlots', 'over CANCELED']],
    ['while it restarts', [...run, 'lost a'], ['free b'], ['CANCELLING', 'CANCELED', 'releaseSlots', 'over CANCELED']],
    ['while a restart is due', [...run, '0 FAILED USER_CODE_FAILED', 'free a', 'free b'], [], ['CANCELLING', 'CANCELED', 'releaseSlots', 'over CANCELED']],
    ['when a TaskManager is lost meanwhile', run, ['lost a', 'free b'], ['CANCELLING', 'attemptEnded', 'cancelTasks a,b', 'CANCELED', 'releaseSlots', 'over CANCELED']],
  ])('cancel %s', (_, before, after, expected) => {
    const { at } = job()
    at(0, ...before)
    expect(at(1, 'cancel', ...after)).toEqual(expected)
    expect(at(5000, 'tick')).toEqual([])
  })

  test('stop: the savepoint is durable, tasks finish', () => {
    const { at } = job()
    at(0, ...run, 'stopped')
    expect(at(1, '0 FINISHED', 'free a', '1 FINISHED', 'free b')).toEqual(['attemptEnded', 'FINISHED', 'releaseSlots', 'over FINISHED'])
  })

  test('C15: a failure after the savepoint leaves a savepoint and a failed job; nothing restarts it', () => {
    const { at } = job()
    at(0, ...run, 'stopped')
    expect(at(1, 'lost a', 'free b')).toEqual([
      'FAILING (PROCESS_LOST)', 'attemptEnded', 'cancelTasks b', 'FAILED (PROCESS_LOST)', 'releaseSlots', 'over FAILED: The savepoint was complete before: /sp.',
    ])
  })
})
