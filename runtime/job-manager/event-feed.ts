/**
 * Feeds one reader with events. There is no queue per reader, only a place in the journal: one that does not take what it was
 * given falls behind, and when the journal has gone round it gets `missed`.
 */
import type { EventJournal } from '../metrics/journal.ts'
import { eventToJson } from '../protocol/event-json.ts'

/** What may be under way to a reader, in characters. */
const maxUnderWay = 1024 * 1024
const eventsPerWrite = 100

/**
 * @param from number of the first event that is wanted; of an earlier JobManager it means ours from the first on
 * @param write gets lines, and calls `taken` when they have left this process
 * @returns a function that ends it
 */
export function feedEvents(journal: EventJournal, from: number, write: (lines: string, taken: () => void) => void): () => void {
  let next = from > journal.nextSequence ? 0 : from
  let underWay = 0
  let scheduled = false
  let over = false
  const flush = () => {
    scheduled = false
    while (!over && next < journal.nextSequence && underWay < maxUnderWay) {
      const events = journal.read(next, eventsPerWrite)
      next = (events.at(-1)?.sequence ?? next) + 1
      const lines = events.map(event => `${eventToJson(event)}\n`).join('')
      underWay += lines.length
      write(lines, () => {
        const full = underWay >= maxUnderWay
        underWay -= lines.length
        if (full) schedule()
      })
    }
  }
  const schedule = () => {
    if (scheduled) return
    scheduled = true
    setImmediate(flush)
  }
  const unsubscribe = journal.subscribe(schedule)
  flush()
  return () => {
    over = true
    unsubscribe()
  }
}
