import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { EventJournal } from '../metrics/journal.ts'
import { feedEvents } from './event-feed.ts'

const messages = (lines: string) => lines.trim().split('\n').map(line => (JSON.parse(line) as { message?: string; kind: string }).message ?? line)
const say = (journal: EventJournal, ...texts: string[]) => texts.forEach(message => journal.append(0, { kind: 'log', level: 'info', message }))

test('what was, and what comes, from a number on', async () => {
  const journal = new EventJournal()
  say(journal, 'a', 'b')
  const got: string[] = []
  const stop = feedEvents(journal, 1, (lines, taken) => {
    got.push(...messages(lines))
    taken()
  })
  expect(got).toEqual(['b'])
  say(journal, 'c', 'd')
  await setImmediate()
  expect(got).toEqual(['b', 'c', 'd'])
  stop()
  say(journal, 'e')
  await setImmediate()
  expect(got).toEqual(['b', 'c', 'd'])
})

test('a number that is still to come is one of an earlier JobManager: all of ours', () => {
  const journal = new EventJournal()
  say(journal, 'a')
  const got: string[] = []
  feedEvents(journal, 7, lines => void got.push(...messages(lines)))()
  expect(got).toEqual(['a'])
})

test('who takes nothing is given a megabyte and some, and told later what has gone by', async () => {
  const journal = new EventJournal(500)
  const written: { readonly lines: string; readonly taken: () => void }[] = []
  const stop = feedEvents(journal, 0, (lines, taken) => void written.push({ lines, taken }))
  const large = 'x'.repeat(50_000)
  for (let round = 0; round < 50; round++) {
    say(journal, ...Array.from({ length: 20 }, () => large))
    await setImmediate()
  }
  expect(written.length).toBe(2)
  for (const { taken } of written.splice(0)) taken()
  await setImmediate()
  expect(written[0]!.lines).toMatch(/^\{[^{}]*"kind":"missed"/)
  stop()
})
