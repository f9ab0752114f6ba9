import { expect, test } from 'vitest'
import { Standby, type StandbyEvent } from './standby.ts'

/** Events at their times, with the commands that come of each; what is to be started is called `tm-3`, `tm-4` ... */
function run(...events: readonly (readonly [at: number, kind: 'lost' | 'standbyLost' | 'tick'])[]): string[] {
  const standby = new Standby(5_000, 0)
  let number = 2
  return events.map(([at, kind]) => {
    const told: string[] = []
    const handle = (event: StandbyEvent) => {
      for (const command of standby.handle(event, at)) {
        told.push('name' in command ? `${command.kind} ${command.name}` : command.kind)
        if (command.kind === 'start') handle({ kind: 'started', name: `tm-${++number}` })
      }
    }
    handle({ kind })
    return `${at} ${kind}: ${told.join(', ') || 'nothing'}; wakes at ${standby.nextWakeAt()}`
  })
}

test('one stands by when the cluster has run for a while, takes over once, and the next is started when things are calm', () => {
  expect(run([1_000, 'tick'], [5_000, 'tick'], [6_000, 'tick'], [9_000, 'lost'], [10_000, 'tick'], [14_000, 'tick'], [20_000, 'lost'])).toMatchInlineSnapshot(`
    [
      "1000 tick: nothing; wakes at 5000",
      "5000 tick: start; wakes at Infinity",
      "6000 tick: nothing; wakes at Infinity",
      "9000 lost: takeOver tm-3; wakes at 14000",
      "10000 tick: nothing; wakes at 14000",
      "14000 tick: start; wakes at Infinity",
      "20000 lost: takeOver tm-4; wakes at 25000",
    ]
  `)
})

test('without one the dead are replaced, and as long as they die again and again none is started', () => {
  expect(run([4_000, 'lost'], [5_000, 'tick'], [8_000, 'lost'], [9_000, 'tick'], [13_000, 'tick'])).toMatchInlineSnapshot(`
    [
      "4000 lost: replace; wakes at 9000",
      "5000 tick: nothing; wakes at 9000",
      "8000 lost: replace; wakes at 13000",
      "9000 tick: nothing; wakes at 13000",
      "13000 tick: start; wakes at Infinity",
    ]
  `)
})

test('two that die at once: one is taken over, one is replaced', () => {
  expect(run([5_000, 'tick'], [6_000, 'lost'], [6_000, 'lost']).slice(1)).toMatchInlineSnapshot(`
    [
      "6000 lost: takeOver tm-3; wakes at 11000",
      "6000 lost: replace; wakes at 11000",
    ]
  `)
})

test('one that dies while it stands by is tried ever more seldom, until one was of use', () => {
  expect(run(
    [5_000, 'tick'], [6_000, 'standbyLost'], [11_000, 'tick'], [12_000, 'standbyLost'], [22_000, 'tick'], [23_000, 'standbyLost'],
    [43_000, 'tick'], [50_000, 'lost'], [55_000, 'tick'], [56_000, 'standbyLost'],
  ).filter(line => !line.includes('tick'))).toMatchInlineSnapshot(`
    [
      "6000 standbyLost: nothing; wakes at 11000",
      "12000 standbyLost: nothing; wakes at 22000",
      "23000 standbyLost: nothing; wakes at 43000",
      "50000 lost: takeOver tm-6; wakes at 55000",
      "56000 standbyLost: nothing; wakes at 61000",
    ]
  `)
})
