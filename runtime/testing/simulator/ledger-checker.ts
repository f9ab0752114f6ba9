/**
 * Whether a simulated life was exactly-once, by what anybody can see of it: the sink's directory and the event journal.
 * Linear in what it looks at (no search).
 */
import type { RuntimeEvent } from '../../metrics/event.ts'
import type { MemoryFiles } from '../memory-files.ts'
import { keyOf, projectDirectory, type Entry } from './ledger-job.ts'
import type { LedgerShape } from './world.ts'

const output = `${projectDirectory}/out`

interface CommittedFile {
  readonly text: string
  readonly checkpoint: number
}

export class LedgerChecker {
  readonly #disk: MemoryFiles
  readonly #shape: LedgerShape
  readonly #problems = new Set<string>()
  readonly #committed = new Map<string, CommittedFile>()
  /** Automatic checkpoints, and stops; they are what sinks commit with. */
  readonly #checkpoints: number[] = []
  #lastCheckpoint = 0
  #lastEpoch = 0

  constructor(disk: MemoryFiles, shape: LedgerShape) {
    this.#disk = disk
    this.#shape = shape
  }

  get problems(): readonly string[] {
    return [...this.#problems].slice(0, 10)
  }

  problem(text: string): void {
    this.#problems.add(text)
  }

  onEvent(event: RuntimeEvent): void {
    if (event.kind === 'clusterStarted') {
      if (event.epoch <= this.#lastEpoch) this.problem(`epoch ${event.epoch} after ${this.#lastEpoch}`)
      this.#lastEpoch = event.epoch
    }
    if (event.kind !== 'checkpointCompleted') return
    if (event.checkpointId <= this.#lastCheckpoint) this.problem(`checkpoint ${event.checkpointId} is complete after ${this.#lastCheckpoint}`)
    this.#lastCheckpoint = event.checkpointId
    if (event.checkpointKind !== 'savepoint') this.#checkpoints.push(event.checkpointId)
    this.#look()
  }

  /** After the last life: what was committed must be all there is, once. */
  finish(): void {
    this.#look()
    for (const [name, { text }] of this.#committed) if (this.#read(name) !== text) this.problem(`the committed file ${name} changed`)
    this.#checkEntries()
    this.#checkCuts()
  }

  /** A reader of the directory: what it saw once may never vanish. Contents are compared at the end. */
  #look(): void {
    const names = new Set(this.#disk.peekNames(output).filter(name => !name.startsWith('.')))
    for (const name of this.#committed.keys()) if (!names.has(name)) this.problem(`the committed file ${name} vanished`)
    for (const name of names) {
      if (this.#committed.has(name)) continue
      const checkpoint = Number(/-(\d+)(?:-\d+)?\.jsonl$/.exec(name.replace(/^part-[^-]*-[^-]*-\d+/, ''))?.[1])
      if (Number.isNaN(checkpoint)) this.problem(`a strange file: ${name}`)
      this.#committed.set(name, { text: this.#read(name) ?? '', checkpoint })
    }
  }

  /** Multiset and witness: every record once, and every operator counted every key from 1 to n, each number once. */
  #checkEntries(): void {
    const { records, keys } = this.#shape
    const seen = new Uint32Array(records)
    const counted = keys.map(count => Array.from({ length: count }, () => new Set<number>()))
    for (const { id, counts } of this.#entries()) {
      if (!(id >= 0 && id < records)) {
        this.problem(`alien: record ${id}`)
        continue
      }
      if (++(seen[id] as number) > 1) continue
      keys.forEach((count, exchange) => {
        const numbers = counted[exchange]?.[keyOf(id, exchange, count)]
        const number = counts[exchange] as number
        if (numbers?.has(number)) this.problem(`counter ${exchange} said ${number} twice for key ${keyOf(id, exchange, count)}`)
        numbers?.add(number)
      })
    }
    seen.forEach((times, id) => {
      if (times === 0) this.problem(`lost: record ${id}`)
      else if (times > 1) this.problem(`${times} times: record ${id}`)
    })
    counted.forEach((byKey, exchange) =>
      byKey.forEach((numbers, key) => {
        for (const number of numbers) if (!(number >= 1 && number <= numbers.size)) this.problem(`counter ${exchange} said ${number} for key ${key}, of which there are ${numbers.size}`)
      }),
    )
  }

  /** Every checkpoint is one cut: what was committed up to it is a beginning of every input file, without gaps. */
  #checkCuts(): void {
    const { files } = this.#shape
    const ordered = [...this.#committed.values()].sort((a, b) => a.checkpoint - b.checkpoint)
    const inFile = Array.from({ length: files }, () => ({ lines: 0, last: -1 }))
    let next = 0
    for (const checkpoint of this.#checkpoints) {
      for (; next < ordered.length && (ordered[next] as CommittedFile).checkpoint <= checkpoint; next++) {
        for (const { id } of parse((ordered[next] as CommittedFile).text)) {
          const file = inFile[id % files]
          if (file === undefined) continue
          file.lines++
          file.last = Math.max(file.last, Math.floor(id / files))
        }
      }
      const torn = inFile.findIndex(({ lines, last }) => last + 1 !== lines)
      if (torn >= 0) this.problem(`checkpoint ${checkpoint} is no cut: of file ${torn} it has ${inFile[torn]?.lines} lines, but line ${inFile[torn]?.last}`)
    }
  }

  *#entries(): Generator<Entry> {
    for (const { text } of this.#committed.values()) yield* parse(text)
  }

  #read(name: string): string | undefined {
    const bytes = this.#disk.peek(`${output}/${name}`)
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
  }
}

function parse(text: string): Entry[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Entry)
}
