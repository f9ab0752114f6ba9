import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { count, job, max, monotonousTimestamps, tumbling } from '../../index.ts'
import type { FlinkError } from '../../core/errors.ts'
import { runJob } from '../../testing/index.ts'
import { NexmarkGenerator, nexmarkSource, type Auction, type Bid, type NexmarkEvent, type Person } from '../nexmark.ts'
import { priceOf } from './pools.ts'

const million = 1_000_000
const generator = new NexmarkGenerator()
const bids: Bid[] = []
const auctions: Auction[] = []
const persons: Person[] = []
const hash = createHash('sha256')
for (let number = 0; number < million; number++) {
  const event = generator.eventAt(number)
  if (event.kind === 'bid') bids.push(event)
  else if (event.kind === 'auction') auctions.push(event)
  else persons.push(event)
  hash.update(`${JSON.stringify(event)}\n`)
}
/** The share of bids for which `is` holds. */
const share = (is: (bid: Bid, i: number) => boolean) => bids.filter(is).length / bids.length
const at = (numbers: readonly number[], rate = 10_000) => numbers.map(number => new NexmarkGenerator({ rate }).timeOf(number) - new NexmarkGenerator().timeOf(0))

/** The number of a bid, from its place among all bids. */
const numberOf = (i: number) => Math.floor(i / 46) * 50 + 4 + (i % 46)
const personsAt = (number: number) => Math.floor(number / 50) + 1
const auctionsAt = (number: number) => Math.floor(number / 50) * 3 + 3

describe('the analytic shares of Nexmark', () => {
  test('2 % persons, 6 % auctions, 92 % bids, exactly', () => {
    expect([persons.length, auctions.length, bids.length]).toEqual([20_000, 60_000, 920_000])
  })
  test.each<[what: string, wanted: number, is: (bid: Bid, i: number) => boolean]>([
    ['hot auction: 1/2 and chance hits', 0.5051, (bid, i) => (bid.auction - 1000) === auctionsAt(numberOf(i)) - 1 - ((auctionsAt(numberOf(i)) - 1) % 100)],
    ['hot bidder: 3/4 and chance hits', 0.7527, (bid, i) => bid.bidder - 1000 === Math.floor((personsAt(numberOf(i)) - 1) / 100) * 100 + 1],
    ['auction that is still to come: 0.5 * 10/111', 0.045, (bid, i) => bid.auction - 1000 >= auctionsAt(numberOf(i))],
    ['price below 10,000: 1/3', 1 / 3, bid => bid.price < 10_000],
    ['price from 10,000 to 1,000,000: 1/3', 1 / 3, bid => bid.price >= 10_000 && bid.price < 1_000_000],
    ['the price filter of q14', 0.2832, bid => bid.price * 908 > 1_000_000_000 && bid.price * 908 < 50_000_000_000],
    ['what q21 keeps', 0.95, bid => /^(apple|google|facebook|baidu)$/i.test(bid.channel) || bid.url.includes('channel_id=')],
  ])('%s', (_, wanted, is) => expect(Math.abs(share(is) - wanted)).toBeLessThan(0.004))
  test('what chance chooses for a bid has nothing to do with what it chooses besides', () => {
    const choices: readonly ((bid: Bid, i: number) => boolean)[] = [
      (bid, i) => bid.auction - 1000 === auctionsAt(numberOf(i)) - 1 - ((auctionsAt(numberOf(i)) - 1) % 100),
      (bid, i) => bid.bidder - 1000 === Math.floor((personsAt(numberOf(i)) - 1) / 100) * 100 + 1,
      bid => !bid.channel.startsWith('channel-'),
      bid => bid.channel === 'Apple',
      bid => bid.price % 2 === 0,
      bid => bid.price < 100_000,
      bid => bid.extra.length < 68,
    ]
    const off = choices.flatMap((one, a) => choices.slice(a + 1).map((other, b) =>
      a === 2 && b === 0 ? 0 : Math.abs(share((bid, i) => one(bid, i) && other(bid, i)) - share(one) * share(other))))
    expect(Math.max(...off)).toBeLessThan(0.002)
  })
  test('q2 keeps one auction in 123, a lumpy share of bids', () => {
    expect(share(bid => bid.auction % 123 === 0)).toBeGreaterThan(0.004)
    expect(share(bid => bid.auction % 123 === 0)).toBeLessThan(0.014)
  })
  test('q3 keeps a fifth of the auctions and half of the persons', () => {
    expect(auctions.filter(auction => auction.category === 10).length / auctions.length).toBeCloseTo(1 / 5, 2)
    expect(persons.filter(person => ['OR', 'ID', 'CA'].includes(person.state)).length / persons.length).toBeCloseTo(1 / 2, 1)
  })
  test('the filler of a bid has 67.5 letters in the mean, 54 to 81', () => {
    const lengths = bids.map(bid => bid.extra.length)
    expect(Math.abs(lengths.reduce((sum, length) => sum + length, 0) / bids.length - 67.5)).toBeLessThan(0.3)
    expect([lengths.reduce((a, b) => Math.min(a, b)), lengths.reduce((a, b) => Math.max(a, b))]).toEqual([54, 81])
  })
})

describe('ids', () => {
  test.each([
    // id of the event, last auction, last person: the newest that a bid of this epoch may know.
    [1, 0, 0], [2, 1, 0], [3, 2, 0], [51, 3, 1], [53, 5, 1], [1703, 104, 34],
  ])('event %i is auction %i', (number, auction) => expect(generator.eventAt(number)).toMatchObject({ kind: 'auction', id: 1000 + auction }))
  test.each([[0, 0], [50, 1], [100, 2], [75_000, 1500]])('event %i is person %i', (number, person) => expect(generator.eventAt(number)).toMatchObject({ kind: 'person', id: 1000 + person }))
  test('persons and auctions are numbered without gaps', () => {
    expect(persons.every((person, i) => person.id === 1000 + i)).toBe(true)
    expect(auctions.every((auction, i) => auction.id === 1000 + i)).toBe(true)
  })
  test('bids name the last 100 auctions and 1,000 persons, the hot ones of their block, or one of ten to come', () => {
    const strange = bids.filter(({ auction, bidder }, i) => {
      const [lastAuction, lastPerson] = [auctionsAt(numberOf(i)) - 1, personsAt(numberOf(i)) - 1]
      return auction - 1000 < Math.max(lastAuction - 100, 0) || auction - 1000 > lastAuction + 10 || bidder - 1000 < Math.max(lastPerson - 999, 0) || bidder - 1000 > lastPerson + 10
    })
    expect(strange).toEqual([])
  })
  test('three sellers in four are the first of their hundred', () => {
    const hot = auctions.filter(({ seller }, i) => seller - 1000 === Math.floor(Math.floor(i / 3) / 100) * 100).length / auctions.length
    expect(Math.abs(hot - 0.7527)).toBeLessThan(0.01)
  })
})

describe('event time', () => {
  test('at 10,000 events a second', () => expect(at([1, 9, 10, 100])).toEqual([0, 0, 1, 10]))
  test('at 1,250,000 a second', () => expect(at([12_500_000], 1_250_000)).toEqual([10_000]))
  test('begins with 2015-07-15 and never runs back', () => {
    expect(new Date(generator.timeOf(0)).toISOString()).toBe('2015-07-15T00:00:00.000Z')
    expect(bids.every((bid, i) => i === 0 || bid.dateTime >= bids[i - 1]!.dateTime)).toBe(true)
  })
  test('an auction lives at most twice the time of a hundred auctions', () => {
    const lives = auctions.map(({ expires, dateTime }) => expires - dateTime)
    expect([lives.reduce((a, b) => Math.min(a, b)), lives.reduce((a, b) => Math.max(a, b))]).toEqual([1, 34])
  })
})

test.each([[0, 100], [0x8000_0000, 100_000], [0xffff_ffff, 99_998_691]])('bits %i are a price of %i', (bits, price) => expect(priceOf(bits)).toBe(price))

test('an event is a function of seed and number', () => {
  const other = new NexmarkGenerator()
  expect([999_999, 7, 123_456].map(number => other.eventAt(number))).toEqual([999_999, 7, 123_456].map(number => generator.eventAt(number)))
  const late = bids.length - 200
  // As two splits of one reader take turns.
  expect(bids.slice(0, 200).flatMap((_, i) => [other.eventAt(numberOf(i)), other.eventAt(numberOf(late + i))])).toEqual(bids.slice(0, 200).flatMap((bid, i) => [bid, bids[late + i]]))
  const seeded = new NexmarkGenerator({ seed: 1 })
  expect(Array.from({ length: 100 }, (_, i) => i).filter(i => JSON.stringify(seeded.eventAt(i)) === JSON.stringify(generator.eventAt(i)))).toEqual([])
})

test('the first million events are the same for ever', () => {
  expect(hash.digest('hex')).toMatchInlineSnapshot(`"0eacdcb04d47465061e87d09b1a647fb2922f88843eef1824929e45c0e8b2873"`)
  expect([0, 1, 5].map(number => generator.eventAt(number))).toMatchInlineSnapshot(`
    [
      {
        "city": "Portland",
        "creditCard": "4216 8358 5914 9853",
        "dateTime": 1436918400000,
        "emailAddress": "e__@_fbz.com",
        "extra": "tlthrgktvuhedeiirbjgpcksxcjpugbiuvfjmoxmyedekhvdqggbijovlhookcxvxrhvlqoivznsjxjvtgxmtxpjnezqyqcittlelryvlkzj",
        "id": 1000,
        "kind": "person",
        "name": "Blaise Weaver",
        "state": "OR",
      },
      {
        "category": 13,
        "dateTime": 1436918400000,
        "description": "va alyu  acqdmbadfsskmrmubjeuts w ggkcqundpwabgef  twy g deah uamfdxi kvqjcgumqaezflore ucmajwa",
        "expires": 1436918400015,
        "extra": "rmrvtdiypcqemufthmpksaolrfrqctaqtlfcqounbsxcoworjlsdvrfubewtvmklrlxaopdgdvolxgqanfztcfvpdcyrtvmioghlhftdurlvsesnvxtvlshdxsdsztvsompoqldwkkwyehjzpjtzwenuexrwyfijwpcsxmdhytiasriidojwkbhyswblkjdlksyndwrufoygurmfoxkmqlhmngiecntiajgzxfbjghyzlepmbismzzynsxhjycqaacewmuenwrogvodznfnhodsycavanbjhuhjijynhdthztdzhsardpabonmfottinpialmdqerkrgnktdtfxwjjyfrnmw",
        "id": 1000,
        "initialBid": 3839,
        "itemName": "ij wkm sibsyyg",
        "kind": "auction",
        "reserve": 43447,
        "seller": 1000,
      },
      {
        "auction": 1000,
        "bidder": 1000,
        "channel": "Facebook",
        "dateTime": 1436918400000,
        "extra": "cerbcwqizscodvibonojeyrsslrbtvbziebvlowccohvkcqpnwykfglgolghhbiftzzppz",
        "kind": "bid",
        "price": 48339,
        "url": "https://www.nexmark.com/lds_/lo_g/cvv/item.htm?query=1",
      },
    ]
  `)
})

test.each<[object, string]>([
  [{ seed: 0.5 }, 'Nexmark: seed must be a whole number of 32 bits, not 0.5'],
  [{ seed: 2 ** 40 }, 'Nexmark: seed must be a whole number of 32 bits, not 1099511627776'],
  [{ rate: 0 }, 'Nexmark: rate must be 1 to 1e9 events per second, not 0'],
  [{ events: -1 }, 'nexmarkSource: events must be 0 to 2147483647, not -1'],
  [{ ratePerSecond: Number.NaN }, 'nexmarkSource: ratePerSecond must be above 0, not NaN'],
])('%j is refused', (options, message) => {
  expect(() => nexmarkSource(options)).toThrow(expect.toSatisfy((error: FlinkError) => error.code === 'INVALID_OPTION' && error.message === message))
})

describe('the source', () => {
  const events = 12_345
  test.each([1, 2, 3])('gives every event once at parallelism %i, and event time goes on side by side', async parallelism => {
    const highest = job('highest', env => {
      env
        .fromSource(nexmarkSource({ events, rate: 1_000 }), { timestamp: event => event.dateTime, watermark: monotonousTimestamps() })
        .filter(event => event.kind === 'bid')
        .keyBy('auction')
        .window(tumbling('1 s'))
        .aggregate({ bids: count(), highest: max(bid => bid.price) })
        .print()
        .uid('highest')
    })
    const expected = new Map<string, { bids: number; highest: number }>()
    const slow = new NexmarkGenerator({ rate: 1_000 })
    for (const event of Array.from({ length: events }, (_, number): NexmarkEvent => slow.eventAt(number))) {
      if (event.kind !== 'bid') continue
      const key = `${event.auction} ${Math.floor(event.dateTime / 1000) * 1000}`
      const known = expected.get(key)
      expected.set(key, { bids: (known?.bids ?? 0) + 1, highest: Math.max(known?.highest ?? 0, event.price) })
    }
    const result = await runJob(highest, { parallelism })
    const found = result.sink('highest').map(each => each as { key: number; window: { start: number }; bids: number; highest: number })
    expect(new Map(found.map(({ key, window, bids: n, highest: price }) => [`${key} ${window.start}`, { bids: n, highest: price }]))).toEqual(expected)
    expect(found).toHaveLength(expected.size)
  })
})
