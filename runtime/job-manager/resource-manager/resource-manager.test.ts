import { expect, test } from 'vitest'
import { protocolVersion } from '../../protocol/job-master.ts'
import { ResourceManager, type ResourceCommand, type ResourceEvent } from './resource-manager.ts'

function cluster() {
  const manager = new ResourceManager({ clusterId: 'c', token: 'secret', heartbeatInterval: 1000, heartbeatTimeout: 5000 })
  const at = (now: number, ...events: readonly ResourceEvent[]) => events.flatMap(event => manager.handle(event, now).map(show))
  return { manager, at }
}
const register = (connection: number, id: string, slots = 1, change: object = {}): ResourceEvent => ({
  kind: 'register', connection, clusterId: 'c', token: 'secret', protocolVersion,
  taskManager: { id, pid: 1, slots: Array.from({ length: slots }, (_, index) => `/s/${id}.${index}`) }, ...change,
})
const tick: ResourceEvent = { kind: 'tick' }

function show(command: ResourceCommand): string {
  switch (command.kind) {
    case 'registered':
      return `registered ${command.taskManager.id}`
    case 'shutdown':
      return `shutdown ${command.connection}: ${command.reason}`
    case 'heartbeat':
      return `heartbeat ${command.connection} #${command.sequence}`
    case 'lost':
      return `lost ${command.taskManager.id}: ${command.reason}`
    case 'slotsGranted':
      return `${command.jobId} gets ${command.slots.map(slot => `${slot.taskManager}.${slot.slotIndex}`).join(' ')}`
  }
}

test.each([
  ['wrong token', { token: 'guess' }],
  ['this is cluster c', { clusterId: 'other' }],
  ['the JobManager speaks protocol version 1, the TaskManager version 99', { protocolVersion: 99 }],
])('who does not belong here is refused: %s', (reason, change) => {
  const { at, manager } = cluster()
  expect(at(0, register(1, 'a', 1, change))).toEqual([`shutdown 1: ${reason}`])
  expect(manager.taskManagers).toEqual([])
})

test('a job gets all its slots or none, spread evenly', () => {
  const { at, manager } = cluster()
  expect(at(0, register(1, 'a', 2), { kind: 'requestSlots', jobId: 'j1', count: 4 })).toEqual(['registered a'])
  expect(at(1, register(2, 'b', 3))).toEqual(['registered b', 'j1 gets b.0 a.0 b.1 a.1'])
  expect(at(2, { kind: 'requestSlots', jobId: 'j2', count: 2 })).toEqual([])
  expect(at(3, { kind: 'requestSlots', jobId: 'j3', count: 1 })).toEqual(['j3 gets b.2'])
  expect(at(4, { kind: 'releaseSlots', jobId: 'j1' })).toEqual(['j2 gets a.0 b.0'])
  expect(manager.taskManagers.map(each => each.slots)).toEqual([['j2', undefined], ['j2', undefined, 'j3']])
})

test('a request that is taken back is not granted', () => {
  const { at } = cluster()
  at(0, { kind: 'requestSlots', jobId: 'j1', count: 1 }, { kind: 'releaseSlots', jobId: 'j1' })
  expect(at(1, register(1, 'a'))).toEqual(['registered a'])
})

test('a connection that closes is a lost TaskManager; it may come back, with its slots empty', () => {
  const { at, manager } = cluster()
  at(0, register(1, 'a'), { kind: 'requestSlots', jobId: 'j1', count: 1 })
  expect(at(1, { kind: 'closed', connection: 1 }, { kind: 'closed', connection: 1 })).toEqual(['lost a: its connection closed'])
  expect(at(2, register(2, 'a'))).toEqual(['registered a'])
  expect(manager.taskManagers[0]?.slots).toEqual([undefined])
})

test('so is one that connects again before its old connection was seen to close', () => {
  const { at } = cluster()
  at(0, register(1, 'a'))
  expect(at(1, register(2, 'a'), { kind: 'closed', connection: 1 })).toEqual(['lost a: it connected again', 'registered a'])
})

test('silence is death, and a zombie that wakes up is told to go', () => {
  const { at, manager } = cluster()
  at(0, register(1, 'a'))
  const seen: string[] = []
  for (let now = 1000; now <= 6000; now += 1000) seen.push(...at(now, tick))
  expect(seen).toEqual(['heartbeat 1 #1', 'heartbeat 1 #2', 'heartbeat 1 #3', 'heartbeat 1 #4', 'shutdown 1: no heartbeat for 5000 ms', 'lost a: no heartbeat for 5000 ms'])
  expect(at(7000, { kind: 'alive', connection: 1 })).toEqual(['shutdown 1: this TaskManager was declared lost, or never registered'])
  expect(at(7001, register(9, 'a'))).toEqual(['shutdown 9: a TaskManager of this id was declared lost; a new process needs a new id'])
  expect(manager.taskManagers).toEqual([])
})

test('whatever arrives is a sign of life', () => {
  const { at, manager } = cluster()
  at(0, register(1, 'a'))
  for (let now = 1000; now <= 20_000; now += 1000) expect(at(now, { kind: 'alive', connection: 1, rssBytes: now }, tick).filter(line => line.startsWith('lost'))).toEqual([])
  expect(manager.taskManagers[0]?.rssBytes).toBe(20_000)
})

test('a machine that slept does not hold its own absence against its TaskManagers', () => {
  const { at } = cluster()
  at(0, register(1, 'a'))
  at(1000, tick)
  expect(at(8 * 3_600_000, tick).filter(line => line.startsWith('lost'))).toEqual([])
})

test('one that was given up by a job is told why and never trusted again', () => {
  const { at } = cluster()
  at(0, register(1, 'a'))
  expect(at(1, { kind: 'abandon', taskManager: 'a', reason: 'a slot did not stop' })).toEqual(['shutdown 1: a slot did not stop', 'lost a: a slot did not stop'])
  expect(at(2, register(2, 'a'))).toEqual(['shutdown 2: a TaskManager of this id was declared lost; a new process needs a new id'])
})
