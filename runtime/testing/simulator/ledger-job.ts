/**
 * The job that simulated lives run. Every record says who it is, and every keyed operator on its way adds how many of the
 * record's key it has seen: whatever a failure loses or doubles, in the stream or in state, is to be seen in the output.
 */
import { job, valueState, type Collector, type DataStream } from '../../index.ts'
import type { Job } from '../../api/job.ts'
import type { NoTime } from '../../api/streams.ts'
import { fileSink, fileSource, json } from '../../connectors/file.ts'
import type { MemoryFiles } from '../memory-files.ts'
import { commitExactly, type Told } from './planted-bugs.ts'
import type { LedgerShape } from './world.ts'

/** One line of the output. */
export interface Entry {
  readonly id: number
  /** What each exchange's operator had counted for this record's key, this record included. */
  readonly counts: readonly number[]
}

export const projectDirectory = '/project'
const inputFile = (file: number) => `${projectDirectory}/in/${file}.jsonl`
/** The key of a record at an exchange. */
export const keyOf = (id: number, exchange: number, keys: number) => (id * (2 * exchange + 1) + exchange) % keys

/** Few lines a second, so that the job lives through the faults. `commitOnly`: planted bug. */
export function ledgerJob({ keys, ownSlots, checkpointInterval }: LedgerShape, commitOnly: Told | undefined): Job {
  const sink = fileSink<Entry>({ path: 'out', format: json() })
  return job('ledger', env => {
    env.enableCheckpointing(checkpointInterval)
    let stream: DataStream<Entry, NoTime> = env
      .fromSource(fileSource({ path: 'in/*.jsonl', format: json<{ id: number }>(), ratePerSecond: 150 }))
      .map((record): Entry => ({ id: record.id, counts: [] }))
      .uid('records')
    keys.forEach((count, exchange) => {
      const counted = stream
        .keyBy(entry => keyOf(entry.id, exchange, count))
        .process({
          state: { seen: valueState<{ count: number }>() },
          process(entry, ctx, out: Collector<Entry>) {
            // Changes what the state holds before it says so: a snapshot must not see it too early.
            const seen = ctx.state.seen.value() ?? { count: 0 }
            seen.count++
            ctx.state.seen.update(seen)
            out.collect({ id: entry.id, counts: [...entry.counts, seen.count] })
          },
        })
        .uid(`counter-${exchange}`)
      stream = ownSlots ? counted.slotSharingGroup(`counter-${exchange}`) : counted
    })
    stream.sinkTo(commitOnly === undefined ? sink : commitExactly(sink, commitOnly)).uid('ledger')
  })
}

/** Record `id` is line `id / files` of file `id % files`. */
export function writeInput(disk: MemoryFiles, { records, files }: LedgerShape): void {
  disk.makeDirectory(`${projectDirectory}/in`)
  for (let file = 0; file < files; file++) {
    let lines = ''
    for (let id = file; id < records; id += files) lines += `${JSON.stringify({ id })}\n`
    const handle = disk.create(inputFile(file))
    handle.write(new TextEncoder().encode(lines))
    handle.sync()
    handle.close()
  }
  for (const directory of [`${projectDirectory}/in`, projectDirectory, '/']) disk.syncDirectory(directory)
}
