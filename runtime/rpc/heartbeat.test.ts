import { expect, test } from 'vitest'
import { Heartbeat, type HeartbeatCommand } from './heartbeat.ts'

const options = { intervalMs: 1_000, timeoutMs: 5_000 }

/** Ticks at the given times; `!` in front says that the peer was heard just before. */
function run(times: string): string[] {
  const heartbeat = new Heartbeat(options, 0)
  const seen: string[] = []
  for (const word of times.split(' ')) {
    if (word.startsWith('!')) heartbeat.heard()
    const now = Number(word.replace('!', ''))
    for (const command of heartbeat.tick(now)) seen.push(`${now} ${text(command)}`)
  }
  return seen
}
const text = (command: HeartbeatCommand) => (command.kind === 'send' ? `send ${command.sequence}` : `dead after ${command.silentMs}`)

test('a heartbeat is sent once per interval, however often the clock is looked at', () => {
  expect(run('!500 !1000 !1400 !2000 !2999 !3000')).toEqual(['1000 send 1', '2000 send 2', '3000 send 3'])
})

test('a peer that is silent for the timeout is dead, and that is said once', () => {
  expect(run('!1000 2000 3000 4000 5000 5900 6000 7000')).toEqual([
    '1000 send 1', '2000 send 2', '3000 send 3', '4000 send 4', '5000 send 5', '6000 dead after 5000',
  ])
})

test('a peer that answers in time lives', () => {
  expect(run('1000 2000 3000 4000 !5000 6000 7000 8000 !9000').filter(line => line.includes('dead'))).toEqual([])
})

test('eight hours of sleep of this machine are not held against the peer', () => {
  expect(run('!1000 28801000 !28801500 28802500').filter(line => line.includes('dead'))).toEqual([])
})

test('a peer that is also gone after the sleep is found dead one timeout later', () => {
  expect(run('!1000 28801000 28802000 28803000 28804000').filter(line => line.includes('dead'))).toEqual(['28804000 dead after 5000'])
})
