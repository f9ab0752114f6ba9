import fc from 'fast-check'
import { Unpackr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import type { Batch } from '../core/batch.ts'
import { FlinkError } from '../core/errors.ts'
import { spreadKeyHash } from '../core/key-group.ts'
import { seededRandom, type Random } from '../core/random.ts'
import { NO_TIMESTAMP } from '../core/time.ts'
import { DecodeError } from './bytes.ts'
import { ColumnarDecoder, ColumnarEncoder } from './columnar.ts'
import { differs } from './test-values.ts'

/** `CODEC_SEED=123` repeats a run. */
const seed = Number(process.env['CODEC_SEED']) || Math.trunc(Math.random() * 2 ** 31)
console.log(`codec dictionaries: CODEC_SEED=${seed}`)

const batchOf = (values: unknown[], key?: (value: unknown) => unknown): Batch => ({
  size: values.length,
  values,
  timestamps: new Float64Array(values.length).fill(NO_TIMESTAMP),
  keyHashes: key === undefined ? undefined : Int32Array.from(values, value => spreadKeyHash(key(value))),
})

/** A channel: both ends of it, and what a column of a single text is in the frames. */
class Channel {
  readonly encoder: ColumnarEncoder
  readonly decoder: ColumnarDecoder
  bytes = 0
  forgets = 0

  constructor(generate = true) {
    this.encoder = new ColumnarEncoder(1, { generate })
    this.decoder = new ColumnarDecoder({ generate })
  }

  /** How the texts went, after they have been found equal on arrival. */
  send(batch: Batch): 'text' | 'numbers' {
    const arrived: unknown[] = []
    let how: 'text' | 'numbers' = 'text'
    for (const frame of this.encoder.encode(batch)) {
      this.bytes += frame.length
      const decoded = this.decoder.decode(frame)
      if (decoded === undefined) continue
      arrived.push(...decoded.values.slice(0, decoded.size))
      const item = itemOf(frame)
      if (item !== null && (item[0]! & 2) !== 0) how = 'numbers'
      if (item !== null && (item[0]! & 1) !== 0) this.forgets++
    }
    expect(differs(batch.values.slice(0, batch.size), arrived)).toBeUndefined()
    return how
  }

  /** Sends texts in batches of 512; says what happened, run by run. */
  stream(texts: readonly string[], keyed = false): string {
    const runs: [how: string, batches: number][] = []
    for (let at = 0; at < texts.length; at += 512) {
      const how = this.send(batchOf(texts.slice(at, at + 512), keyed ? value => value : undefined))
      if (runs.at(-1)?.[0] === how) runs.at(-1)![1]++
      else runs.push([how, 1])
    }
    return runs.map(([how, batches]) => `${batches} ${how}`).join(', ')
  }
}

/** The last item of a frame with one column of text. */
const itemOf = (frame: Uint8Array) => (new Unpackr({ useRecords: false }).unpack(frame) as unknown[]).at(-1) as Uint8Array | null

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const few = (count: number) => times(count, i => `word ${i % 50}`)
const distinct = (count: number, from = 0) => times(count, i => `${from + i}`)

describe('when a column is sent as numbers', () => {
  test('few texts: after 1,024 values, and in a byte each', () => {
    const channel = new Channel()
    expect(channel.stream(few(512 * 20))).toBe('2 text, 18 numbers')
    const before = channel.bytes
    channel.stream(few(512))
    expect(channel.bytes - before).toBeLessThan(512 + 30)
  })

  test('texts that are all distinct: a try of 1,024 values, and later ones ever more seldom', () => {
    const channel = new Channel()
    expect(channel.stream(distinct(512 * 500))).toBe('2 text, 2 numbers, 128 text, 2 numbers, 256 text, 2 numbers, 108 text')
    expect(channel.forgets).toBe(3)
  })

  test('a column changes its nature: numbers go on until the share of known texts is low, and come back', () => {
    const channel = new Channel()
    expect(channel.stream(few(512 * 40))).toBe('2 text, 38 numbers')
    expect(channel.stream(distinct(512 * 100))).toBe('26 numbers, 74 text')
    expect(channel.stream(few(512 * 200))).toBe('54 text, 146 numbers')
  })

  test('a few new texts now and then end nothing', () => {
    const channel = new Channel()
    expect(channel.stream(few(512 * 200).map((text, i) => (i % 5 === 0 ? `${i}` : text)))).toBe('2 text, 198 numbers')
  })

  test('thousands of texts: only if they are keys, whose hashes come with them', () => {
    const random = seededRandom(1)
    const texts = times(512 * 60, () => `key ${random.int(5000)}`)
    expect(new Channel().stream(texts)).toBe('2 text, 2 numbers, 56 text')
    expect(new Channel().stream(texts, true)).toBe('2 text, 58 numbers')
  })

  test('texts that begin, end and are as long alike are told apart at a glance too', () => {
    const channel = new Channel()
    channel.stream(times(512 * 40, i => `path/${String(i % 200).padStart(6, '0')}/and/then/some/more/x`))
    const before = channel.bytes
    channel.stream(times(512, i => `path/${String(i % 200).padStart(6, '0')}/and/then/some/more/x`))
    expect(channel.bytes - before).toBeLessThan(512 * 2)
  })

  test('where a field is not always there, and for text beyond ASCII', () => {
    const channel = new Channel()
    const row = (i: number) => (i % 3 === 0 ? { n: i } : i % 7 === 0 ? { n: i, name: null } : { n: i, name: ['ä', '漢字', 'a\ud800', '👩‍👩‍👧', ''][i % 5] })
    const hows = times(20, batch => channel.send(batchOf(times(512, i => row(batch * 512 + i)))))
    expect(hows.at(-1)).toBe('numbers')
  })

  test('the same records give the same bytes', () => {
    const random = seededRandom(2)
    const texts = times(512 * 40, () => `key ${random.int(100)}`)
    const frames = () => {
      const encoder = new ColumnarEncoder(1)
      return times(40, i => encoder.encode(batchOf(texts.slice(i * 512, i * 512 + 512)))).flat()
    }
    expect(frames()).toEqual(frames())
  })

  test('any msgpack reader understands the frames', () => {
    const channel = new Channel()
    channel.stream(few(1024))
    const [frame] = channel.encoder.encode(batchOf(['b', 'a', 'b', 'a']))
    const items = new Unpackr({ useRecords: false }).unpack(frame as Uint8Array) as unknown[]
    expect(items.slice(6).map(item => [...(item as Uint8Array)])).toEqual([
      [0, 1, 0, 1],
      [0, 98, 97],
      [2, 2, 3, 3], // numbers; two new texts of one unit, to be remembered
    ])
  })
})

describe('both ends stay in step', () => {
  for (const generate of [true, false]) {
    test(`whatever a stream holds, ${generate ? 'generated' : 'closures'}: batches that fail, shapes that widen, frames that are cut`, () => {
      fc.assert(fc.property(fc.integer(), fc.array(fc.constantFrom('few', 'keys', 'distinct', 'long', 'mixed', 'absent', 'widen', 'fail', 'cut'), { minLength: 4, maxLength: 14 }), (content, parts) => {
        const random = seededRandom(content)
        const channel = new Channel(generate)
        let numbers = 0
        for (const part of parts) {
          for (let left = 1 + random.int(6); left > 0; left--) {
            const batch = batchOf(rows(part, 1 + random.int(900), random), part === 'absent' || part === 'widen' || part === 'fail' ? undefined : row => (row as { a: string }).a)
            if (part === 'fail') {
              expect(() => channel.encoder.encode(batch)).toThrow(FlinkError)
              break
            }
            if (channel.send(batch) === 'numbers') numbers++
            if (part === 'cut') break
          }
        }
        return numbers >= 0
      }), { seed, numRuns: 30 })
    })
  }

  test('a batch of which a part had been encoded when the next was too large: nothing of it is known', () => {
    const channel = new Channel()
    channel.stream(few(2048))
    const batch = [...times(500, i => `new ${i % 40}`), 'x'.repeat(17 * 1024 * 1024)]
    expect(() => channel.encoder.encode(batchOf(batch))).toThrow(expect.objectContaining({ code: 'RECORD_TOO_LARGE' }))
    expect(channel.send(batchOf([...times(500, i => `new ${i % 40}`), ...few(10)]))).toBe('numbers')
    expect(channel.forgets).toBe(1)
  })

  test('a frame that is damaged is refused, or says something else; the next whole ones are read as if it had not been', () => {
    const random = seededRandom(seed)
    const channel = new Channel()
    for (let i = 0; i < 2; i++) channel.send(batchOf(few(1024).map(text => ({ text, n: 1 }))))
    let refused = 0
    for (let round = 0; round < 300; round++) {
      const records = times(50, () => ({ text: random.chance(0.8) ? `word ${random.int(60)}` : `${random.int(1e9)}`, n: random.int(9) }))
      for (const frame of channel.encoder.encode(batchOf(records))) {
        for (let n = 0; n < 5; n++) {
          // What is cut off: an altered one may be a good frame of somebody else, which is believed.
          const error = thrown(() => channel.decoder.decode(frame.slice(0, frame.length - 1 - random.int(random.pick([50, frame.length - 1])))))
          expect(error).toBeInstanceOf(DecodeError)
          refused++
        }
        const batch = channel.decoder.decode(frame)
        expect(batch?.values.slice(0, batch.size)).toEqual(records)
      }
    }
    expect(refused).toBeGreaterThan(1000)
  })

  test('altered frames are a DecodeError or other records, never anything else', () => {
    const random = seededRandom(seed)
    for (let round = 0; round < 300; round++) {
      const channel = new Channel()
      channel.stream(few(1024))
      for (let i = 0; i < 5; i++) {
        for (const frame of channel.encoder.encode(batchOf(times(40, () => (random.chance(0.7) ? `word ${random.int(60)}` : 'x'.repeat(random.int(40))))))) {
          const altered = frame.slice()
          for (let n = 1 + random.int(3); n > 0; n--) altered[random.int(altered.length)] = random.int(256)
          const error = thrown(() => channel.decoder.decode(altered))
          if (error !== undefined && !(error instanceof DecodeError)) throw error
        }
      }
    }
  })

  test('numbers that have no text, and more texts than there may be, are refused', () => {
    const channel = new Channel()
    channel.stream(few(1024))
    const frame = channel.encoder.encode(batchOf(few(512)))[0] as Uint8Array
    expect(() => new ColumnarDecoder().decode(frame)).toThrow('schema 0 was not announced')
    const other = new Channel()
    other.stream(few(512))
    // The first frame of numbers was lost.
    const next = channel.encoder.encode(batchOf(few(512)))[0] as Uint8Array
    expect(() => other.decoder.decode(next)).toThrow('has no text')
  })

  test('the hashes of another key than the column are no harm', () => {
    const channel = new Channel()
    for (let i = 0; i < 20; i++) {
      const values = times(512, j => `word ${j % 50}`)
      const batch = batchOf(values, value => value)
      // Right where it is looked at, wrong elsewhere.
      for (const at of [1, 7, 100, 300]) (batch.keyHashes as Int32Array)[at] = i * 31 + at
      channel.send(batch)
    }
    expect(channel.send(batchOf(few(512), () => 'another'))).toBe('numbers')
  })
})

function rows(part: string, count: number, random: Random): unknown[] {
  const row = (a: unknown, b: unknown = `b${random.int(9)}`) => ({ a, b, n: 1 })
  switch (part) {
    case 'few':
      return times(count, () => row(`text ${random.int(30)}`))
    case 'keys':
      return times(count, () => row(`a longer key ${random.int(3000)}`))
    case 'distinct':
      return times(count, () => row(`${random.int(1e15)}`))
    case 'long':
      return times(count, () => row(`${random.int(8)}`.repeat(1 + random.int(3) * 3000)))
    case 'mixed':
      return times(count, () => row(random.pick(['', 'ä', 'a\udc00', '👩‍👩‍👧', `${random.int(100)}`, 'x'.repeat(random.int(60))]), random.chance(0.1) ? `${random.int(1e9)}` : 'b'))
    case 'absent':
      return times(count, () => random.pick([row(null), row(`text ${random.int(30)}`), { n: 1 }, { a: undefined, n: 2 }]))
    case 'widen':
      return times(count, i => (i === count - 1 ? row(random.pick([1, 1.5, true, { c: 1 }])) : row(`text ${random.int(30)}`, random.pick(['b', null]))))
    case 'fail':
      return times(count + 1, i => row(`text ${random.int(30)} ${i}`, i === count ? () => 1 : 'b'))
    case 'cut':
      return [...times(random.int(400), () => row(`text ${random.int(50)}`)), ...times(3, i => row(`${i}`.repeat(400_000)))]
    default:
      throw new Error(part)
  }
}

function thrown(action: () => unknown): unknown {
  try {
    action()
    return undefined
  } catch (error) {
    return error
  }
}
