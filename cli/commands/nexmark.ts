import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { didYouMean } from '../../runtime/core/did-you-mean.ts'
import { FlinkError } from '../../runtime/core/errors.ts'
import type { EventKind } from '../nexmark/write-events.ts'
import { FlinkCommand } from './command.ts'

const mostEvents = 2 ** 31 - 1

export class Nexmark extends FlinkCommand {
  static readonly summary = 'Make the events of the Nexmark benchmark, as lines of JSON.'
  static readonly description = 'Persons, auctions and bids of an auction house: the same for the same seed, on every machine. Event time begins at 2015-07-15T00:00:00Z. In a job, `nexmarkSource` of flink-ts/connectors/nexmark gives the same events.'
  static readonly examples = [
    { command: '<%= config.bin %> nexmark gen --events 1000000 --output events.ndjson --digest', description: 'A million events into a file, and their sha256:' },
    { command: '<%= config.bin %> nexmark gen --kinds bid --seed 7 --rate 1000 | head', description: 'Some bids of another seed, a thousand events a second apart:' },
  ]
  static readonly args = { action: Args.string({ required: true, options: ['gen'], description: 'What to do: make events.' }) }
  static readonly flags = {
    events: Flags.integer({ summary: 'How many events, those of kinds that are left out included.', default: 1_000_000, min: 0, max: mostEvents, helpGroup: 'EVENTS', helpValue: '<n>' }),
    seed: Flags.integer({ summary: 'Another seed gives other events.', default: 0, min: -(2 ** 31), max: 2 ** 31 - 1, helpGroup: 'EVENTS', helpValue: '<n>' }),
    rate: Flags.integer({ summary: 'Events per second of event time.', default: 100_000, min: 1, max: 1_000_000_000, helpGroup: 'EVENTS', helpValue: '<n>' }),
    kinds: Flags.string({ summary: 'Only these: person, auction, bid, with commas between.', default: 'person,auction,bid', helpGroup: 'EVENTS', helpValue: '<kinds>' }),
    output: Flags.string({ char: 'o', summary: 'File to write, over what it holds; else standard output.', helpGroup: 'OUTPUT', helpValue: '<file>' }),
    digest: Flags.boolean({ summary: 'Say the sha256 of all that was written; on standard error, if the events go to standard output.', helpGroup: 'OUTPUT' }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(Nexmark)
    const [{ eventKinds, toFile, toStream, writeEvents }, { formatBytes }, { sanitiseLine }, { schemaVersion, toJsonLine }] = await Promise.all([
      import('../nexmark/write-events.ts'),
      import('../output/units.ts'),
      import('../output/sanitise.ts'),
      import('../output/json-lines.ts'),
    ])
    const options = { events: flags.events, seed: flags.seed, rate: flags.rate, kinds: kindsOf(flags.kinds, eventKinds), digest: flags.digest }
    if (flags.output !== undefined) {
      const file = flags.output
      const written = await toFile(file, output => writeEvents(options, output))
      this.print(flags, { file, ...written }, () =>
        [`${written.events} events, ${formatBytes(written.bytes)}: ${sanitiseLine(file)}`, ...(written.sha256 === undefined ? [] : [`sha256 ${written.sha256}`])].join('\n'))
      return
    }
    const written = await writeEvents(options, toStream(process.stdout))
    if (written.sha256 !== undefined) process.stderr.write(flags.json ? `${toJsonLine({ schemaVersion, ...written })}\n` : `sha256 ${written.sha256}\n`)
  }
}

function kindsOf(text: string, known: readonly EventKind[]): ReadonlySet<EventKind> {
  const kinds = new Set<EventKind>()
  for (const word of text.split(',').map(each => each.trim())) {
    const kind = known.find(each => each === word)
    if (kind === undefined) {
      const near = didYouMean(word, known)
      throw new FlinkError('INVALID_OPTION', `nexmark: --kinds: ${JSON.stringify(word)} is no kind of event${near === undefined ? '' : `; did you mean ${near}?`}`, { hint: `There are ${known.join(', ')}.` })
    }
    kinds.add(kind)
  }
  return kinds
}
