import { beforeEach, describe, expect, test } from 'vitest'
import type { ErrorData } from '../core/errors.ts'
import type { Fence } from '../core/ids.ts'
import type { FromTaskManager } from '../protocol/job-master.ts'
import type { DeploymentText } from '../protocol/deployment-text.ts'
import type { SlotMail, SnapshotBlock, SnapshotFile } from '../protocol/slot.ts'
import type { ToTaskManager } from '../protocol/task-executor.ts'
import { TaskManager } from './task-manager.ts'
import type { ReportLoad, RunningSlot, SlotEvents, SlotRunner, SnapshotFiles } from './slot-runner.ts'

/** A slot that does nothing by itself: the test says what it reports. */
class ManualSlot implements SlotRunner {
  readonly mails: string[] = []
  readonly taken: ReportLoad[] = []
  runs: SlotEvents[] = []

  start(deployment: DeploymentText, events: SlotEvents): RunningSlot {
    this.mails.push(`start ${deployment.fence.epoch}.${deployment.fence.attempt}`)
    this.runs.push(events)
    return {
      receive: (mail: SlotMail) => void this.mails.push('checkpointId' in mail ? `${mail.kind} ${mail.checkpointId}` : mail.kind),
      taken: load => void this.taken.push(load),
    }
  }
  get events(): SlotEvents {
    return this.runs.at(-1) as SlotEvents
  }
}

/** Remembers what would be on the disk. */
class ManualFiles implements SnapshotFiles {
  readonly log: string[] = []
  readonly finishing = new Map<string, (result: SnapshotFile | ErrorData) => void>()

  write(path: string, block: SnapshotBlock, taken: () => void): void {
    this.log.push(`write ${path} ${block.state}`)
    taken()
  }
  finish(path: string, done: (result: SnapshotFile | ErrorData) => void): void {
    this.log.push(`finish ${path}`)
    this.finishing.set(path, done)
  }
  discard(path: string): void {
    this.log.push(`discard ${path}`)
  }
}

let sent: FromTaskManager[]
let slots: [ManualSlot, ManualSlot]
let files: ManualFiles
let timers: { at: number; run: () => void }[]
let now: number
let ends: string[]
let taskManager: TaskManager

beforeEach(() => {
  sent = []
  slots = [new ManualSlot(), new ManualSlot()]
  files = new ManualFiles()
  timers = []
  now = 0
  ends = []
  taskManager = new TaskManager(
    { clusterId: 'c', token: 't', id: 'tm-1', pid: 7, slotSockets: ['s0', 's1'], cancelGraceMs: 500 },
    {
      now: () => now,
      after(delay, run) {
        const timer = { at: now + delay, run }
        timers.push(timer)
        return () => (timers = timers.filter(each => each !== timer))
      },
      send: (message, flushed) => {
        sent.push(message)
        flushed?.()
      },
      dropConnection: reason => ends.push(`drop: ${reason}`),
      rssBytes: () => 123,
      slots,
      snapshots: files,
      die: error => ends.push(`die: ${error.code}`),
      exit: () => ends.push('exit'),
    },
  )
})

function advance(to: number): void {
  for (;;) {
    timers.sort((a, b) => a.at - b.at)
    const next = timers[0]
    if (next === undefined || next.at > to) break
    timers.shift()
    now = next.at
    next.run()
  }
  now = to
}
const fence = (attempt: number, epoch = 1): Fence => ({ epoch, attempt })
const deploy = (slotIndex: number, at: Fence): ToTaskManager => ({
  kind: 'deploy',
  slotIndex,
  checkpointDirectory: '/chk',
  deployment: {
    fence: at, clusterId: 'c', jobId: 'j', bundlePath: '/b', projectDirectory: '/p', graph: '{}', slot: slotIndex, peers: [], finishedVertices: [],
    restore: undefined,
  },
})
const register = (epoch = 1) => {
  taskManager.connected()
  taskManager.receive({ kind: 'registered', clusterId: 'c', epoch, heartbeatIntervalMs: 1_000, heartbeatTimeoutMs: 5_000 })
}
const task = { vertex: 0, subtask: 1 }
const trigger = (checkpointId: number, at = fence(1)): ToTaskManager => ({
  kind: 'trigger', fence: at, jobId: 'j', directory: `/chk/${checkpointId}`, barrier: { checkpointId, timestamp: 0, kind: 'checkpoint' },
})
const block: SnapshotBlock = { kind: 'keyed', operatorId: 'o', state: 'count', keyGroup: 3, bytes: new Uint8Array(8) }
const timings = { startDelay: 1, alignment: 2, sync: 3, async: 4 }
/** What was sent since the last look, but for heartbeats. */
const said = () => sent.splice(0).filter(message => message.kind !== 'heartbeat' && message.kind !== 'register').map(message =>
  message.kind === 'taskStatus' ? `${message.status}${message.error ? ` ${message.error.code}` : ''}` : message.kind === 'slotFree' ? `slotFree ${message.slotIndex} ${message.fence.attempt}${message.error ? ` ${message.error.code}` : ''}` : message.kind)

test('registers, and beats as often as it is told', () => {
  register()
  expect(sent).toEqual([{ kind: 'register', clusterId: 'c', token: 't', protocolVersion: 1, taskManager: { id: 'tm-1', pid: 7, slots: ['s0', 's1'] } }])
  advance(2_000)
  expect(sent.slice(1)).toEqual([{ kind: 'heartbeat', sequence: 1, rssBytes: 123 }, { kind: 'heartbeat', sequence: 2, rssBytes: 123 }])
})

test('gives up a JobManager that is silent for the timeout', () => {
  register()
  advance(4_900)
  taskManager.receive({ kind: 'heartbeat', sequence: 1 })
  advance(9_800)
  expect(ends).toEqual([])
  advance(10_900)
  expect(ends).toEqual(['drop: the JobManager was silent for 5000 ms'])
})

test('passes mails in and reports out, each with the fence of its attempt', () => {
  register()
  taskManager.receive(deploy(1, fence(1)))
  taskManager.receive({ kind: 'addSplit', fence: fence(1), jobId: 'j', operatorId: 'o', subtask: 0, slot: 1, split: 5 })
  taskManager.receive({ kind: 'checkpointComplete', fence: fence(1), jobId: 'j', checkpointId: 4 })
  slots[1].events.report({ kind: 'status', task, status: 'RUNNING' }, undefined)
  slots[1].events.report({ kind: 'print', operatorId: 'o', subtask: 0, text: 'x' }, { kind: 'output', bytes: 1 })
  expect(slots[1].mails).toEqual(['start 1.1', 'addSplit', 'checkpointComplete 4'])
  expect(sent.slice(1)).toEqual([
    { kind: 'taskStatus', fence: fence(1), jobId: 'j', task, status: 'RUNNING' },
    { kind: 'print', fence: fence(1), jobId: 'j', operatorId: 'o', subtask: 0, text: 'x' },
  ])
  expect(slots[1].taken).toEqual([{ kind: 'output', bytes: 1 }])
})

describe('what belongs to another life is dropped and counted', () => {
  test.each<[string, ToTaskManager]>([
    ['a deployment of an older epoch', deploy(0, fence(9, 0))],
    ['a deployment of an older attempt', deploy(1, fence(1))],
    ['the same deployment again', deploy(1, fence(2))],
    ['a deployment to a slot that is not there', deploy(2, fence(2))],
    ['a trigger for an older attempt', trigger(1)],
    ['a notification for another job', { kind: 'checkpointComplete', fence: fence(2), jobId: 'k', checkpointId: 1 }],
    ['a split for an older epoch', { kind: 'addSplit', fence: fence(2, 0), jobId: 'j', operatorId: 'o', subtask: 0, slot: 1, split: 0 }],
  ])('%s', (_name, message) => {
    register()
    taskManager.receive(deploy(1, fence(2)))
    taskManager.receive(message)
    expect([slots[0].mails, slots[1].mails, taskManager.staleMessages]).toEqual([[], ['start 1.2'], 1])
  })

  test('what a slot says after its JobManager was replaced', () => {
    register()
    taskManager.receive(deploy(0, fence(1)))
    const old = slots[0].events
    taskManager.disconnected()
    register(2)
    old.report({ kind: 'status', task, status: 'CANCELED' }, undefined)
    old.ended(undefined)
    expect([said(), taskManager.staleMessages]).toEqual([[], 2])
    taskManager.receive(deploy(0, fence(2, 2)))
    expect(slots[0].mails).toEqual(['start 1.1', 'cancel', 'start 2.2'])
  })
})

test('a newer attempt waits until the older one has ended', () => {
  register()
  taskManager.receive(deploy(0, fence(1)))
  taskManager.receive(deploy(0, fence(2)))
  taskManager.receive(deploy(0, fence(3)))
  expect(slots[0].mails).toEqual(['start 1.1', 'cancel'])
  slots[0].events.ended(undefined)
  expect([slots[0].mails.slice(2), said()]).toEqual([['start 1.3'], ['slotFree 0 1']])
})

test('a lost connection ends all slots', () => {
  register()
  taskManager.receive(deploy(0, fence(1)))
  taskManager.receive(deploy(1, fence(1)))
  taskManager.disconnected()
  expect([slots[0].mails, slots[1].mails]).toEqual([['start 1.1', 'cancel'], ['start 1.1', 'cancel']])
})

test('a slot that dies fails its tasks', () => {
  register()
  taskManager.receive(deploy(0, fence(1)))
  slots[0].events.report({ kind: 'status', task, status: 'RUNNING' }, undefined)
  slots[0].events.report({ kind: 'status', task: { vertex: 1, subtask: 0 }, status: 'FINISHED' }, undefined)
  slots[0].events.ended({ code: 'USER_CODE_FAILED', message: 'process.exit' })
  expect(said()).toEqual(['RUNNING', 'FINISHED', 'FAILED USER_CODE_FAILED', 'slotFree 0 1 USER_CODE_FAILED'])
})

test('a slot that does not stop costs the process, and the JobManager is told first', () => {
  register()
  taskManager.receive(deploy(0, fence(1)))
  taskManager.receive({ kind: 'cancel', fence: fence(1), jobId: 'j' })
  advance(499)
  expect(ends).toEqual([])
  advance(500)
  expect([ends, said()]).toEqual([['die: PROCESS_LOST'], ['log']])
})

test('a slot that stops in time costs nothing', () => {
  register()
  taskManager.receive(deploy(0, fence(1)))
  taskManager.receive({ kind: 'cancel', fence: fence(1), jobId: 'j' })
  slots[0].events.ended(undefined)
  advance(900)
  expect([ends, said()]).toEqual([[], ['slotFree 0 1']])
})

test('shuts down when all slots are free', () => {
  register()
  taskManager.receive(deploy(0, fence(1)))
  taskManager.receive({ kind: 'shutdown', reason: 'enough' })
  expect(ends).toEqual([])
  slots[0].events.ended(undefined)
  expect(ends).toEqual(['exit'])
})

describe('a snapshot', () => {
  beforeEach(() => {
    register()
    taskManager.receive(deploy(0, fence(1)))
    said()
  })
  const events = () => slots[0].events
  const path = (checkpointId: number) => `/chk/${checkpointId}/0-1-1-1.snapshot`

  test('is a file per subtask, acknowledged when it is durable', () => {
    taskManager.receive(trigger(1))
    events().report({ kind: 'snapshotBlock', task, checkpointId: 1, block }, { kind: 'snapshot', bytes: 8 })
    events().report({ kind: 'snapshotDone', task, checkpointId: 1, timings, since: { count: 0 } }, undefined)
    expect([files.log, said(), slots[0].taken]).toEqual([[`write ${path(1)} count`, `finish ${path(1)}`], [], [{ kind: 'snapshot', bytes: 8 }]])
    now += 50
    files.finishing.get(path(1))?.({ path: path(1), bytes: 8, sha256: 'x' })
    expect(sent).toEqual([
      { kind: 'acknowledge', fence: fence(1), jobId: 'j', task, checkpointId: 1, file: { path: path(1), bytes: 8, sha256: 'x', since: { count: 0 } }, timings: { ...timings, async: 54 } },
    ])
  })

  test('whose barrier came faster than its trigger waits for the directory', () => {
    events().report({ kind: 'snapshotBlock', task, checkpointId: 1, block }, { kind: 'snapshot', bytes: 8 })
    events().report({ kind: 'snapshotDone', task, checkpointId: 1, timings, since: { count: 0 } }, undefined)
    expect([files.log, slots[0].taken]).toEqual([[], []])
    taskManager.receive(trigger(1))
    expect([files.log, slots[0].taken.length]).toEqual([[`write ${path(1)} count`, `finish ${path(1)}`], 1])
  })

  test('that is aborted leaves nothing, whatever comes after', () => {
    taskManager.receive(trigger(1))
    events().report({ kind: 'snapshotBlock', task, checkpointId: 1, block }, { kind: 'snapshot', bytes: 8 })
    taskManager.receive({ kind: 'checkpointAborted', fence: fence(1), jobId: 'j', checkpointId: 1 })
    events().report({ kind: 'snapshotBlock', task, checkpointId: 1, block }, { kind: 'snapshot', bytes: 8 })
    events().report({ kind: 'snapshotDone', task, checkpointId: 1, timings, since: { count: 0 } }, undefined)
    taskManager.receive(trigger(1))
    expect([files.log, said(), slots[0].taken.length]).toEqual([[`write ${path(1)} count`, `discard ${path(1)}`], [], 2])
  })

  test('that cannot be written is declined with the reason', () => {
    taskManager.receive(trigger(1))
    events().report({ kind: 'snapshotDone', task, checkpointId: 1, timings, since: { count: 0 } }, undefined)
    files.finishing.get(path(1))?.({ code: 'DISK_FULL', message: 'full' })
    expect(sent).toEqual([{ kind: 'decline', fence: fence(1), jobId: 'j', task, checkpointId: 1, error: { code: 'DISK_FULL', message: 'full' } }])
  })

  test('whose trigger never comes is declined before it fills the memory', () => {
    const large: SnapshotBlock = { ...block, bytes: new Uint8Array(64 * 1024 * 1024) }
    for (let i = 0; i < 3; i++) events().report({ kind: 'snapshotBlock', task, checkpointId: 1, block: large }, { kind: 'snapshot', bytes: large.bytes.length })
    expect([said(), slots[0].taken.length, files.log]).toEqual([['decline'], 3, []])
  })

  test('of a slot that died is removed', () => {
    taskManager.receive(trigger(1))
    events().report({ kind: 'snapshotBlock', task, checkpointId: 1, block }, undefined)
    events().ended({ code: 'USER_CODE_FAILED', message: 'gone' })
    expect(files.log).toEqual([`write ${path(1)} count`, `discard ${path(1)}`])
  })
})
