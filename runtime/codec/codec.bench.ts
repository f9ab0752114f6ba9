/**
 * What a record costs on the wire: columns against msgpackr, on Bids of Nexmark, words and numbers. Every codec's output is
 * compared with the input first. One interleaved run, so that ratios hold on a machine that is busy. Every round has records
 * of its own: a channel remembers texts, and would know those of the round before.
 *
 * Run: node runtime/codec/codec.bench.ts
 */
import { Packr } from 'msgpackr'
import type { Batch } from '../core/batch.ts'
import { spreadKeyHash } from '../core/key-group.ts'
import { seededRandom } from '../core/random.ts'
import { createChannelDecoder, createChannelEncoder } from './channel-codec.ts'
import { ColumnarDecoder, ColumnarEncoder } from './columnar.ts'
import { copyValue, createCopier } from './copy.ts'
import { decodeEntries, decodeValue, encodeEntries, encodeValue } from './value-codec.ts'

export interface CodecFigure {
  readonly records: string
  readonly codec: string
  readonly encodeNs: number
  readonly decodeNs: number
  readonly bytesPerRecord: number
}
export interface CodecBench {
  /** Medians of an interleaved run, ns per record. */
  readonly figures: readonly CodecFigure[]
  /** msgpackr plain arrays divided by columns, encode and decode together. */
  readonly ratioToPlain: Readonly<Record<string, number>>
  readonly ratioToStructures: Readonly<Record<string, number>>
  /** ns: copies of a flat object of three fields, entries of state pages, a checksummed byte. */
  readonly others: Readonly<Record<string, number>>
}

interface Subject {
  readonly name: string
  encode(batch: Batch): Uint8Array[]
  decode(frames: readonly Uint8Array[]): unknown[]
}

const batchSize = 512
const batches = 8

function subjects(): Subject[] {
  const channel = (name: string, make: () => Pick<Subject, 'encode'> & { decode(frame: Uint8Array): Batch | undefined }): Subject => {
    const codec = make()
    let announced = false
    return {
      name,
      encode: batch => {
        const frames = codec.encode(batch)
        // The decoder of the timed loop has to know the schema too.
        if (!announced && frames.length > 1) codec.decode(frames[0] as Uint8Array)
        announced = true
        return frames
      },
      decode: frames => codec.decode(frames.at(-1) as Uint8Array)?.values ?? [],
    }
  }
  const array = (name: string, packr: Packr): Subject => ({
    name,
    encode: batch => [packr.pack(batch.values)],
    decode: frames => packr.unpack(frames[0] as Uint8Array) as unknown[],
  })
  const columnar = (generate: boolean) => () => {
    const encoder = new ColumnarEncoder(1, { generate })
    const decoder = new ColumnarDecoder({ generate })
    return { encode: (batch: Batch) => encoder.encode(batch), decode: (frame: Uint8Array) => decoder.decode(frame) }
  }
  const record = () => {
    const encoder = createChannelEncoder('record', 1)
    const decoder = createChannelDecoder('record')
    return { encode: (batch: Batch) => encoder.encode(batch), decode: (frame: Uint8Array) => decoder.decode(frame) }
  }
  return [
    channel('columnar', columnar(true)),
    channel('columnar, closures', columnar(false)),
    channel('record', record),
    array('msgpackr plain array', new Packr({ useRecords: false })),
    array('msgpackr structures', new Packr({ structures: [] })),
  ]
}

const random = seededRandom(42)
/** Text that is never the same. */
const noise = Array.from({ length: 1 << 20 }, () => String.fromCharCode(97 + random.int(26))).join('')
const text = (length: number) => {
  const from = random.int(noise.length - length)
  return Buffer.from(noise.slice(from, from + length)).toString('latin1')
}
const word = (length: number) => Array.from({ length }, () => String.fromCharCode(97 + random.int(26))).join('')
const words = Array.from({ length: 5000 }, () => word(3 + random.int(8)))
const urls = Array.from({ length: 200 }, (_, i) => `https://www.nexmark.com/${word(5)}/${word(5)}/${word(5)}/item.htm?query=1&channel_id=${i * 3571}`)

const inputs: Readonly<Record<string, () => unknown>> = {
  Bid: () => ({
    auction: 1000 + random.int(10_000),
    bidder: 1000 + random.int(10_000),
    price: random.int(100_000_000),
    channel: random.pick(['Google', 'Facebook', 'Baidu', 'Apple', `channel-${random.int(10_000)}`]),
    url: random.pick(urls),
    dateTime: 1_700_000_000_000 + random.int(1_000_000),
    extra: text(40 + random.int(40)),
  }),
  word: () => ({ word: random.pick(words), count: 1 }),
  'word by key': () => ({ word: random.pick(words), count: 1 }),
  'few words': () => ({ word: words[random.int(50)] as string, count: 1 }),
  distinct: () => ({ word: text(10), count: 1 }),
  numeric: () => ({ auction: random.int(10_000), price: random.int(1_000_000), bidder: random.int(10_000), dateTime: 1_700_000_000_000 + random.int(1_000_000) }),
  optional: () => ({ id: random.int(10_000), ...(random.chance(0.7) ? { note: random.pick(words) } : {}), score: random.chance(0.1) ? null : random.next() }),
  nested: () => ({ id: random.int(10_000), user: { name: random.pick(words), age: random.int(90) }, tags: [random.pick(words), random.pick(words)] }),
}

/** Takes a few seconds. @throws if a codec does not give back what it was given */
export function runCodecBench(rounds = 60): CodecBench {
  const figures: CodecFigure[] = []
  const ratioToPlain: Record<string, number> = {}
  const ratioToStructures: Record<string, number> = {}
  for (const [records, make] of Object.entries(inputs)) {
    const fresh = (): Batch[] => Array.from({ length: batches }, () => {
      const values = Array.from({ length: batchSize }, make)
      const timestamps = Float64Array.from({ length: batchSize }, () => 1_700_000_000_000 + random.int(1000))
      return { size: batchSize, values, timestamps, keyHashes: records === 'word by key' ? Int32Array.from(values, value => spreadKeyHash((value as { word: string }).word)) : undefined }
    })
    const all = subjects()
    const data = fresh()
    for (const subject of all) {
      for (const batch of data) {
        const arrived = subject.decode(subject.encode(batch))
        if (JSON.stringify(arrived) !== JSON.stringify(batch.values)) throw new Error(`${subject.name} changes ${records} records`)
      }
    }
    const encodeNs = all.map((): number[] => [])
    const decodeNs = all.map((): number[] => [])
    const bytes = all.map(() => 0)
    for (let round = 0; round < rounds; round++) {
      const data = fresh()
      all.forEach((subject, s) => {
        let start = performance.now()
        const frames = data.map(batch => subject.encode(batch))
        encodeNs[s]?.push(((performance.now() - start) * 1e6) / (batches * batchSize))
        start = performance.now()
        for (const each of frames) subject.decode(each)
        decodeNs[s]?.push(((performance.now() - start) * 1e6) / (batches * batchSize))
        bytes[s] = frames.reduce((sum, each) => sum + (each.at(-1) as Uint8Array).length, 0) / (batches * batchSize)
      })
    }
    const own = all.map((subject, s) => ({ records, codec: subject.name, encodeNs: median(encodeNs[s] ?? []), decodeNs: median(decodeNs[s] ?? []), bytesPerRecord: bytes[s] ?? 0 }))
    figures.push(...own)
    const total = (codec: string) => own.filter(each => each.codec === codec).reduce((sum, each) => sum + each.encodeNs + each.decodeNs, 0)
    ratioToPlain[records] = total('msgpackr plain array') / total('columnar')
    ratioToStructures[records] = total('msgpackr structures') / total('columnar')
  }
  return { figures, ratioToPlain, ratioToStructures, others: otherFigures(rounds) }
}

function otherFigures(rounds: number): Record<string, number> {
  const flat = Array.from({ length: 1024 }, (_, i) => ({ key: words[i] as string, count: i, sum: i / 3 }))
  const keys = flat.slice(0, 512).map((_, i) => `key-${i}`)
  const values = flat.slice(0, 512)
  const page = encodeEntries(keys, values)
  const single = values.map(value => encodeValue(value, 'v'))
  const copy = createCopier()
  let sink: unknown
  const timed: Record<string, readonly [operations: number, run: () => void]> = {
    'copier, flat object of 3': [1024, () => { for (const value of flat) sink = copy(value) }],
    'copyValue, flat object of 3': [1024, () => { for (const value of flat) sink = copyValue(value, 'v') }],
    'structuredClone, flat object of 3': [1024, () => { for (const value of flat) sink = structuredClone(value) }],
    'encodeEntries, per entry': [512, () => { sink = encodeEntries(keys, values) }],
    'decodeEntries, per entry': [512, () => { sink = decodeEntries(page) }],
    'encodeValue': [512, () => { for (const value of values) sink = encodeValue(value, 'v') }],
    'decodeValue': [512, () => { for (const bytes of single) sink = decodeValue(bytes) }],
  }
  const samples = Object.fromEntries(Object.keys(timed).map((name): [string, number[]] => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, [operations, run]] of Object.entries(timed)) {
      const start = performance.now()
      run()
      samples[name]?.push(((performance.now() - start) * 1e6) / operations)
    }
  }
  if (sink === undefined) throw new Error('nothing was measured')
  return Object.fromEntries(Object.entries(samples).map(([name, each]) => [name, median(each)]))
}

const median = (samples: readonly number[]) => samples.toSorted((a, b) => a - b)[samples.length >> 1] ?? NaN

if (import.meta.main) {
  const { figures, ratioToPlain, ratioToStructures, others } = runCodecBench()
  for (const { records, codec, encodeNs, decodeNs, bytesPerRecord } of figures) {
    console.log(`${records.padEnd(11)} ${codec.padEnd(22)} ${encodeNs.toFixed(0).padStart(5)} + ${decodeNs.toFixed(0).padStart(5)} = ${(encodeNs + decodeNs).toFixed(0).padStart(5)} ns/record ${bytesPerRecord.toFixed(0).padStart(5)} B`)
  }
  for (const records of Object.keys(ratioToPlain)) {
    console.log(`${records.padEnd(11)} msgpackr plain / columnar ${ratioToPlain[records]?.toFixed(1)}x, structures / columnar ${ratioToStructures[records]?.toFixed(1)}x`)
  }
  for (const [name, ns] of Object.entries(others)) console.log(`${name.padEnd(36)} ${ns.toFixed(2).padStart(8)} ns`)
}
