import { setFlagsFromString } from 'node:v8'
import fc from 'fast-check'
import { Packr, Unpackr } from 'msgpackr'
import { expect, test } from 'vitest'
import { BatchPool, type Batch } from '../core/batch.ts'
import { FlinkError } from '../core/errors.ts'
import { seededRandom } from '../core/random.ts'
import { NO_TIMESTAMP } from '../core/time.ts'
import { frameType } from '../protocol/data.ts'
import { DecodeError } from './bytes.ts'
import { createChannelDecoder, createChannelEncoder, type ChannelDecoder, type ChannelEncoder } from './channel-codec.ts'
import { ColumnarDecoder, ColumnarEncoder } from './columnar.ts'
import { anyValue, differs, oddValues, ownFields, refusedValues } from './test-values.ts'

/** `CODEC_SEED=123` repeats a run. */
const seed = Number(process.env['CODEC_SEED']) || Math.trunc(Math.random() * 2 ** 31)
console.log(`codec channels: CODEC_SEED=${seed}`)

interface Pair {
  readonly encoder: ChannelEncoder
  readonly decoder: ChannelDecoder
}
const pairs: readonly (readonly [name: string, make: () => Pair])[] = [
  ['columns, generated', () => ({ encoder: createChannelEncoder('columnar', 7), decoder: createChannelDecoder('columnar') })],
  ['columns, closures', () => ({ encoder: new ColumnarEncoder(7, { generate: false }), decoder: new ColumnarDecoder({ generate: false }) })],
  ['records', () => ({ encoder: createChannelEncoder('record', 7), decoder: createChannelDecoder('record') })],
]

function batchOf(values: unknown[], timestamps: number[] = []): Batch {
  // Longer than its size, as batches are.
  const all = new Float64Array(values.length + 3).fill(NO_TIMESTAMP)
  all.set(timestamps)
  return { size: values.length, values: [...values, 'beyond the end'], timestamps: all }
}

/** Sends batches over one channel; says how they differ on arrival, and how many schemas were sent. */
function send({ encoder, decoder }: Pair, batches: readonly unknown[][]): { difference: string | undefined; schemas: number } {
  let schemas = 0
  for (const values of batches) {
    const arrived: unknown[] = []
    for (const frame of encoder.encode(batchOf(values))) {
      const batch = decoder.decode(frame)
      if (batch === undefined) schemas++
      else arrived.push(...batch.values.slice(0, batch.size))
    }
    const difference = differs(values, arrived)
    if (difference !== undefined) return { difference, schemas }
  }
  return { difference: undefined, schemas }
}

for (const [name, make] of pairs) {
  test(`${name}: odd values arrive equal, as records and as fields`, () => {
    for (const [what, value] of oddValues) {
      for (const records of [[value], [{ a: 1, v: value, z: 'x' }], [{ v: 1 }, { v: value }, {}], [1, value, 'x', { a: value }], [[value]], [{ v: value, w: { v: value } }, { v: value }]]) {
        expect(send(make(), [records]).difference, what).toBeUndefined()
        expect(send(make(), [[{ v: 1 }], records, [null, { v: 2 }]]).difference, what).toBeUndefined()
      }
    }
  })

  test(`${name}: what cannot travel is refused with its path, and the channel goes on`, () => {
    for (const [what, value, at, thing] of refusedValues) {
      const { encoder, decoder } = make()
      for (const first of [[], [{ v: 1, w: 'x' }]]) {
        if (first.length > 0) encoder.encode(batchOf(first)).forEach(frame => decoder.decode(frame))
        const error = thrown(() => encoder.encode(batchOf([{ v: value, w: 'x' }, 5])))
        expect(error, what).toBeInstanceOf(FlinkError)
        expect(error).toMatchObject({ code: 'UNSUPPORTED_VALUE', detail: `Found at record.v${what === 'nested too deep' ? at.slice(0, -3) : at}.` })
        expect((error as FlinkError).message).toContain(thing)
        expect(thrown(() => encoder.encode(batchOf([value]))), what).toMatchObject({ detail: `Found at record${at}.` })
        expect(send({ encoder, decoder }, [[{ v: 2, w: 'y' }, 6]]).difference).toBeUndefined()
      }
    }
  })

  test(`${name}: 10,000 random records in streams of mixed shapes arrive equal`, () => {
    const item = fc.oneof(fc.record({ x: fc.integer(), y: fc.oneof(fc.string(), fc.constant(null)), z: fc.array(fc.double(), { maxLength: 2 }) }, { requiredKeys: ['x'] }), fc.integer())
    const lists = fc.oneof(fc.array(fc.integer(), { maxLength: 3 }), fc.array(fc.record({ x: fc.integer(), y: fc.string() }), { maxLength: 3 }), fc.array(item, { maxLength: 3 }))
    const flat = fc.record(
      { a: fc.integer(), b: fc.double(), c: fc.string(), d: fc.oneof(fc.boolean(), fc.constantFrom(null, undefined)), e: fc.oneof(fc.integer(), fc.string({ unit: 'binary' })), f: lists },
      { requiredKeys: ['a'] },
    )
    const record = fc.oneof({ weight: 5, arbitrary: flat }, { weight: 1, arbitrary: anyValue }, { weight: 1, arbitrary: fc.array(fc.tuple(fc.string({ maxLength: 3 }), anyValue), { maxLength: 4 }).map(ownFields) })
    const stream = fc.oneof(fc.array(fc.array(record, { maxLength: 12 }), { maxLength: 4 }), fc.array(fc.array(flat, { maxLength: 12 }), { maxLength: 4 }))
    fc.assert(fc.property(stream, batches => {
      expect(send(make(), batches).difference).toBeUndefined()
    }), { seed, numRuns: 1000 })
  })

  test(`${name}: timestamps arrive, and take no room when there are none`, () => {
    const { encoder, decoder } = make()
    const arrive = (batch: Batch) => encoder.encode(batch).flatMap(frame => decoder.decode(frame) ?? [])[0]
    const values = Array.from({ length: 64 }, (_, i) => i)
    const some = arrive(batchOf(values, [5, NO_TIMESTAMP, 1.7e12, -1, 0.5]))
    expect([...(some as Batch).timestamps.slice(0, 6)]).toEqual([5, NO_TIMESTAMP, 1.7e12, -1, 0.5, NO_TIMESTAMP])
    expect((arrive(batchOf(values)) as Batch).timestamps.every(each => each === NO_TIMESTAMP)).toBe(true)
    const length = (timestamps: number[]) => (encoder.encode(batchOf(values, timestamps)).at(-1) as Uint8Array).length
    expect(length([1]) - length([])).toBeGreaterThan(500)
  })

  test(`${name}: altered frames are a DecodeError or other records, never anything else`, () => {
    const random = seededRandom(seed)
    const records = [{ a: 1, b: 'text', c: [1, { x: 'y' }], d: undefined as unknown }, { a: 2.5, b: 'ü', c: null }, { a: 3, b: 'z', c: new Map([[1, 2]]), d: null, e: true }]
    for (let round = 0; round < 3000; round++) {
      const { encoder, decoder } = make()
      for (const frame of encoder.encode(batchOf(records))) {
        const altered = frame.slice(0, random.chance(0.2) ? random.int(frame.length + 1) : frame.length)
        for (let n = random.int(3); n > 0 && altered.length > 0; n--) altered[random.int(altered.length)] = random.int(256)
        const error = thrown(() => decoder.decode(altered))
        if (error === undefined) continue
        if (!(error instanceof DecodeError)) throw error
        break
      }
    }
  })
}

test('the shape widens in-band, once for each surprise', () => {
  const pair: Pair = { encoder: new ColumnarEncoder(1), decoder: new ColumnarDecoder() }
  const rows: readonly (readonly [records: unknown[], schemas: number])[] = [
    [[{ a: 1, b: 'x' }], 1],
    [[{ a: 2, b: 'y' }], 0],
    [[{ a: 2, b: 'y' }, { a: 1.5, b: 'z' }], 1], // a: i32 -> f64
    [[{ a: 3, b: null }], 1], // b: may be null
    [[{ a: 3 }], 1], // b: may be missing
    [[{ a: -0, b: 'x' }, { b: null, a: 3 }], 1], // another order: no columns
    [['text', 5, { a: 1 }], 0],
  ]
  for (const [records, schemas] of rows) expect(send(pair, [records])).toEqual({ difference: undefined, schemas })
})

test('missing and undefined are told apart, in every position', () => {
  const records = [{ a: 1, b: 2, c: 3 }, { a: 1, c: 3 }, { b: undefined, c: 3 }, { c: 3 }, { a: null, b: undefined, c: null }, {}]
  for (const [name, make] of pairs) expect(send(make(), [records, records.toReversed()]), name).toMatchObject({ difference: undefined })
})

test('a field that every object inherits is only read where it is own', () => {
  const records = [{ toString: 'mine', a: 1 }, { a: 2 }, { constructor: 1 }, JSON.parse('{"__proto__": 1, "b": 2}'), { b: 3 }]
  for (const [name, make] of pairs) {
    expect(send(make(), [records]), name).toMatchObject({ difference: undefined })
    expect(send(make(), records.map(record => [record])), name).toMatchObject({ difference: undefined })
  }
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
})

test('an Object.prototype that somebody changed lends nothing to records', () => {
  Object.defineProperty(Object.prototype, 'lent', { value: 1, enumerable: true, configurable: true, writable: true })
  let results: unknown[]
  try {
    results = pairs.map(([, make]) => send(make(), [[{ a: 1 }, { a: 2 }], [{ a: 1, lent: 2 }, {}]]).difference)
  } finally {
    delete (Object.prototype as { lent?: unknown }).lent
  }
  expect(results).toEqual(pairs.map(() => undefined))
})

test('records with many rare fields, or too many fields, travel as values', () => {
  const rare = Array.from({ length: 200 }, (_, i) => ({ id: i, [`f${i}`]: i }))
  const wide = [Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`f${i}`, i]))]
  for (const [, make] of pairs) for (const records of [rare, wide]) expect(send(make(), [records, [{ id: 1 }]]).difference).toBeUndefined()
  // However the fields of a stream change, the number of schemas has a bound.
  expect(send({ encoder: new ColumnarEncoder(1), decoder: new ColumnarDecoder() }, rare.map(record => [record])).schemas).toBeLessThan(80)
})

test('a batch that is far too long for a frame is cut, a record that is too long is refused', () => {
  for (const codec of ['columnar', 'record'] as const) {
    const pair: Pair = { encoder: createChannelEncoder(codec, 1), decoder: createChannelDecoder(codec) }
    const records = Array.from({ length: 9 }, (_, i) => ({ text: String(i).repeat(400_000) }))
    expect(send(pair, [records]).difference).toBeUndefined()
    expect(() => pair.encoder.encode(batchOf([{ text: 'x'.repeat(17 * 1024 * 1024) }]))).toThrow(expect.objectContaining({ code: 'RECORD_TOO_LARGE' }))
    expect(send(pair, [records]).difference).toBeUndefined()
  }
})

test('a batch of lists with too many items for a frame is cut or travels as values, and the columns stay as they were', () => {
  const many = Array.from({ length: 2 ** 20 + 1 }, (_, i) => i % 100)
  const records = (...lengths: number[]) => lengths.map((length, id) => ({ id, name: 'x', list: many.slice(0, length) }))
  const usual = records(...new Array<number>(64).fill(10))
  const cut = records(400_000, 400_000, 400_000)
  const rows: readonly (readonly [name: string, batch: { list: number[] }[], schemasBefore: number, frames: number])[] = [
    ['cut', cut, 0, 3],
    // Were the schema of the second half between the two, it would take a credit that nobody gives back.
    ['cut, of two shapes', [...records(400_000, 400_000), { ...(cut[2] as object), list: [0.5, ...many.slice(0, 400_000)] }], 1, 2],
    ['one record alone', records(2 ** 20 + 1), 1, 1],
    ['one record among others', records(10, 2 ** 20 + 1, 10), 1, 3],
  ]
  for (const generate of [true, false]) {
    for (const [name, batch, schemas, records] of rows) {
      const pair: Pair = { encoder: new ColumnarEncoder(1, { generate }), decoder: new ColumnarDecoder({ generate }) }
      const { encoder, decoder } = pair
      expect(send(pair, [usual])).toEqual({ difference: undefined, schemas: 1 })
      const arrived = encoder.encode(batchOf(batch)).map(frame => decoder.decode(frame))
      expect(arrived.map(each => each === undefined), name).toEqual(Array.from({ length: schemas + records }, (_, i) => i < schemas))
      const lists = arrived.flatMap(each => each?.values.slice(0, each.size) ?? []) as typeof batch
      expect(lists.map(({ list }) => [list.length, list[0], list.at(-1)]), name).toEqual(batch.map(({ list }) => [list.length, list[0], list.at(-1)]))
      expect(send(pair, [usual]), name).toEqual({ difference: undefined, schemas })
      const like = new ColumnarEncoder(1)
      for (const seen of [usual, batch.map(each => ({ ...each, list: each.list.slice(0, 1) }))]) like.encode(batchOf(seen))
      expect(encoder.encode(batchOf(usual)), name).toHaveLength(1)
      expect(encoder.encode(batchOf(usual))[0]?.length, name).toBe(like.encode(batchOf(usual))[0]?.length)
    }
  }
})

test('a schema that could not be sent because the batch failed is sent with the next one', () => {
  const pair: Pair = { encoder: new ColumnarEncoder(1), decoder: new ColumnarDecoder() }
  const half = Array.from({ length: 4 }, () => ({ text: 'x'.repeat(400_000) }))
  expect(() => pair.encoder.encode(batchOf([...half, ...half, { text: 'y'.repeat(17 * 1024 * 1024) }]))).toThrow(expect.objectContaining({ code: 'RECORD_TOO_LARGE' }))
  expect(send(pair, [[{ text: 'z' }]])).toEqual({ difference: undefined, schemas: 1 })
})

test('sizeHint is the bytes that a record takes', () => {
  for (const [, make] of pairs) {
    const { encoder } = make()
    expect(encoder.sizeHint).toBe(0)
    for (let i = 0; i < 20; i++) encoder.encode(batchOf(Array.from({ length: 100 }, (_, j) => `${i} ${j}`.padEnd(100, 'x'))))
    expect(encoder.sizeHint).toBeGreaterThan(100)
    expect(encoder.sizeHint).toBeLessThan(110)
  }
})

test('a frame is a msgpack array that any msgpack reader understands; columns are bin', () => {
  const frames = new ColumnarEncoder(3).encode(batchOf([{ id: 1, name: 'a', price: 0.5, ok: true, tags: ['x'] }, { id: -2, name: 'bc', price: 1, ok: null, tags: [] }], [10, 20]))
  const [schema, records] = frames.map(frame => new Unpackr({ useRecords: false }).unpack(frame) as unknown[])
  expect(schema).toMatchInlineSnapshot(`
    [
      2,
      3,
      0,
      [
        1,
        "id",
        2,
        0,
        "name",
        4,
        0,
        "price",
        3,
        0,
        "ok",
        1,
        4,
        "tags",
        [
          0,
          "",
          4,
          0,
        ],
        0,
      ],
    ]
  `)
  expect((records as unknown[]).map(item => (item instanceof Uint8Array ? `bin ${[...item].join(' ')}` : item))).toMatchInlineSnapshot(`
    [
      1,
      3,
      0,
      2,
      "bin 0 0 0 0 0 0 36 64 0 0 0 0 0 0 52 64",
      null,
      "bin 1 0 0 0 254 255 255 255",
      "bin 1 2",
      "bin 0 97 98 99",
      null,
      "bin 0 0 0 0 0 0 224 63 0 0 0 0 0 0 240 63",
      "bin 11",
      "bin 1",
      "bin 1 0",
      "bin 1",
      "bin 0 120",
    ]
  `)
  expect((records as unknown[])[0]).toBe(frameType.records)
})

test('frames of a schema that was not announced are refused', () => {
  const encoder = new ColumnarEncoder(1)
  const [, records] = encoder.encode(batchOf([1]))
  expect(() => new ColumnarDecoder().decode(records as Uint8Array)).toThrow('schema 0 was not announced')
  expect(() => new ColumnarDecoder().decode(new Uint8Array([0x92, 3, 1]))).toThrow(DecodeError)
})

test('a schema that no encoder writes is refused with what is wrong with it', () => {
  const field = ['x', 2, 0] as const
  for (const [schema, what] of [
    [[1, ...field, ...field], 'two columns named "x"'],
    [[0, ...field, 'y', 2, 0], 'a schema of 2 columns'],
    [[0, '', 2, 1], 'a record cannot be missing'],
    [[1, 'x', [0, '', 5, 0], 0], 'a schema of lists with values of any kind'],
    [[1, 'x', [0, '', [0, '', [0, '', 2, 0], 0], 0], 0], 'not a schema'],
  ] as const) {
    expect(() => new ColumnarDecoder().decode(new Packr().pack([frameType.schema, 1, 0, schema]))).toThrow(new DecodeError(what))
  }
})

test('all records of a stream have one hidden class, before and after the shape widened', () => {
  setFlagsFromString('--allow-natives-syntax')
  const sameMap = new Function('a', 'b', 'return %HaveSameMap(a, b)') as (a: unknown, b: unknown) => boolean
  const pair: Pair = { encoder: new ColumnarEncoder(1), decoder: new ColumnarDecoder() }
  const records = [[{ a: 1, b: 'x' }, { a: 2, b: 'y' }], [{ a: 5, b: 'z' }, { a: 1.5, b: null }, { a: 2, b: 'y' }]]
  const arrived = records.map(values => pair.encoder.encode(batchOf(values)).flatMap(frame => pair.decoder.decode(frame)?.values ?? []))
  for (const batch of arrived) for (const record of batch) expect(sameMap(batch[0], record)).toBe(true)
  expect(sameMap(arrived[0]?.[0], { b: 1 })).toBe(false)
})

function thrown(action: () => unknown): unknown {
  try {
    action()
    return undefined
  } catch (error) {
    return error
  }
}

test('the hashes of keys arrive with their records, also where a batch is cut into several frames', () => {
  const encoder = new ColumnarEncoder(1)
  const batches = new BatchPool(4)
  const decoder = new ColumnarDecoder({ batches })
  const text = 'x'.repeat(600_000)
  const keyed: Batch = { size: 3, values: ['a', 'b', text], timestamps: Float64Array.of(1, 2, 3), keyHashes: Int32Array.of(7, 0x7fffffff, 0) }
  const frames = [...encoder.encode(keyed), ...encoder.encode({ ...keyed, values: [text, text, text] })]
  const arrived = frames.flatMap(frame => decoder.decode(frame) ?? [])
  expect(arrived.map(({ size, values, keyHashes }) => [values.slice(0, size).map(value => (value as string).length), [...keyHashes!.slice(0, size)]])).toEqual([
    [[1, 1, 600_000], [7, 0x7fffffff, 0]],
    [[600_000], [7]],
    [[600_000], [0x7fffffff]],
    [[600_000], [0]],
  ])
})
