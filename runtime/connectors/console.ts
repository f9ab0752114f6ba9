/** Sinks for people and tests: `print()` writes to the terminal of who ran the job, `collectSink` hands the records to a client. */
import type { Sink, WriterContext } from '../api/connector.ts'

/**
 * Prints each record on a line. With a label the line begins with it, and with a parallelism above 1 the subtask's number
 * (from 1) is named, as Flink does: `label:2> value`, `2> value`, `label> value`, `value`. At-least-once: after a failure
 * lines may appear again.
 */
export function printSink(label?: string): Sink<unknown> {
  return {
    kind: 'sink',
    name: 'print',
    createWriter(ctx: WriterContext) {
      const subtask = ctx.parallelism > 1 ? String(ctx.subtask + 1) : ''
      const name = label ?? ''
      const prefix = name === '' && subtask === '' ? '' : `${name}${name !== '' && subtask !== '' ? ':' : ''}${subtask}> `
      let lines: string[] = []
      const flush = () => {
        if (lines.length > 0) ctx.print(lines.join('\n'))
        lines = []
      }
      return {
        write(value) {
          lines.push(prefix + formatRecord(value))
          if (lines.length >= 256) flush()
        },
        flush,
        close: flush,
      }
    },
  }
}

/** A record as one line: JSON where that says it all, with the types that JSON lacks spelled out. Text stands as it is. */
function formatRecord(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value, spellOut) ?? String(value))
}

function spellOut(this: unknown, key: string, value: unknown): unknown {
  // A Date was already turned into text by its toJSON; the holder still has the original.
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (value instanceof Map) return Object.fromEntries([...value].map(([k, v]) => [formatRecord(k), v]))
  if (value instanceof Set) return [...value]
  return value
}

/** Hands every record to the client that runs the job (Flink `collectAsync`); what was written after the last completed checkpoint may come again after a failure. */
export function collectSink<T>(): Sink<T> {
  return {
    kind: 'sink',
    name: 'collect',
    createWriter: ctx => ({ write: value => ctx.collect(value) }),
  }
}
