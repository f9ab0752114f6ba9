/**
 * Nexmark's events as a function of a seed and their number: event 1,000,000 is the same whoever makes it, and whatever
 * was made before. Independent of the generators of the Nexmark projects; which of their figures it follows is said at each constant.
 */
import { FlinkError } from '../../core/errors.ts'
import type { Auction, Bid, NexmarkEvent, Person } from './events.ts'
import { Chance, either, further } from './chance.ts'
import { bidPool, channelCount, cities, firstNames, lastNames, longPool, preparePools, priceOf, shortPool, states, type Pools } from './pools.ts'

/** A person, three auctions, 46 bids, and again. */
const epochEvents = 50
const epochAuctions = 3
const firstId = 1_000
const firstCategory = 10
const categories = 5
/** Every so many auctions and persons there is a new hot one. */
const hotBlock = 100
/** Bids go to so many last auctions, and come from so many last persons. */
const auctionsInFlight = 100
const activePersons = 1_000
/** Persons and auctions that are not there yet and are named already. */
const lead = 10
/** How far ahead, in events, so many auctions lie as are in flight: twice that is the longest life of an auction. */
const horizonEvents = Math.floor((auctionsInFlight * epochEvents) / epochAuctions)

/** 2015-07-15T00:00:00Z. */
const baseTime = 1_436_918_400_000
const defaultRate = 100_000
/** Numbers of events are 32-bit integers. */
export const mostEvents = 0x7fff_ffff

export interface NexmarkOptions {
  /** Another seed gives other events. A 32-bit integer; default 0. */
  readonly seed?: number
  /** Events per second of event time, 1 to 1e9; default 100,000. Event time begins at 2015-07-15T00:00:00Z. */
  readonly rate?: number
}

/**
 * Makes Nexmark's events: 2 % persons, 6 % auctions, 92 % bids; half of the bids on one hot auction, three quarters from
 * one hot bidder; prices from 1 to 1,000,000 dollars, of which the logarithm is uniform; event time never runs back. Texts
 * are chosen from pools of some thousand, because making them anew would cost more than all the rest. Options out of
 * range are refused (INVALID_OPTION). After Nexmark's `NexmarkGenerator`, with numbers from 0 and all ids from 1000.
 *
 * @example
 * const generator = new NexmarkGenerator({ seed: 7 })
 * const events = Array.from({ length: 1000 }, (_, number) => generator.eventAt(number))
 */
export class NexmarkGenerator {
  readonly #chance: Chance
  readonly #rate: number
  readonly #pools: Pools
  /** Of the epoch of the last bid, and the same for all its 46: reckoned anew for each, it would be a twentieth of what they cost. */
  #epoch = -1
  #hotAuction = 0
  #firstAuction = 0
  #auctions = 0
  #hotBidder = 0
  #firstBidder = 0
  #bidders = 0

  constructor(options: NexmarkOptions = {}) {
    checkNexmarkOptions(options)
    const { seed = 0, rate = defaultRate } = options
    this.#chance = new Chance(seed)
    this.#rate = rate
    this.#pools = preparePools(seed)
  }

  /** Event `number`, 0 and up (below 2^31). */
  eventAt(number: number): NexmarkEvent {
    // `| 0` first: a division of integers.
    const epoch = ((number | 0) / epochEvents) | 0
    const offset = number - epoch * epochEvents
    if (offset > epochAuctions) return this.#bid(number, epoch)
    return offset === 0 ? this.#person(number, epoch) : this.#auction(number, epoch, offset)
  }

  /** Epoch ms. */
  timeOf(number: number): number {
    return baseTime + Math.floor((number * 1000) / this.#rate)
  }

  #bid(number: number, epoch: number): Bid {
    if (epoch !== this.#epoch) this.#beginBids(epoch)
    const { channels, urls, bidExtras } = this.#pools
    // 20 bits for the price, 12 for the filler.
    const first = this.#chance.bitsOf(number)
    // 16 bits each for an auction and a bidder that are not hot.
    const second = further(first)
    // 18 bits for a channel that is not hot; then, from the lowest on: 1 for a hot auction or not, 2 for a hot bidder, 1 for a hot channel, 2 for which.
    const third = further(second)
    const anyAuction = this.#firstAuction + (Math.imul(second >>> 16, this.#auctions) >>> 16)
    const anyBidder = this.#firstBidder + (Math.imul(second & 0xffff, this.#bidders) >>> 16)
    const channel = either((third >>> 4) & 3, 4 + (Math.imul(third >>> 14, channelCount) >>> 18), third >>> 3)
    const auction = either(this.#hotAuction, anyAuction, third)
    const bidder = either(anyBidder, this.#hotBidder, (third >>> 1) | (third >>> 2))
    const price = priceOf(first)
    const dateTime = this.timeOf(number)
    return { kind: 'bid', auction, bidder, price, channel: channels[channel]!, url: urls[channel]!, dateTime, extra: bidExtras[first & (bidPool - 1)]! }
  }

  /** Whom and what the bids of an epoch are about, as ids. */
  #beginBids(epoch: number): void {
    const lastAuction = epoch * epochAuctions + epochAuctions - 1
    const oldest = Math.max(lastAuction - auctionsInFlight, 0)
    const active = Math.min(epoch + 1, activePersons)
    this.#epoch = epoch
    this.#hotAuction = firstId + lastAuction - (lastAuction % hotBlock)
    this.#firstAuction = firstId + oldest
    this.#auctions = lastAuction + lead + 1 - oldest
    // The second person of the block: the first is the hot seller.
    this.#hotBidder = firstId + epoch - (epoch % hotBlock) + 1
    this.#firstBidder = firstId + epoch + 1 - active
    this.#bidders = active + lead
  }

  #auction(number: number, epoch: number, offset: number): Auction {
    const chance = this.#chance.begin(number)
    const pools = this.#pools
    const choices = chance.bits()
    const dateTime = this.timeOf(number)
    const seller = (choices & 3) !== 0 ? epoch - (epoch % hotBlock) : this.#anyPerson(epoch)
    const initialBid = priceOf(chance.bits())
    const texts = chance.bits()
    return {
      kind: 'auction',
      id: firstId + epoch * epochAuctions + offset - 1,
      itemName: pools.itemNames[texts & (shortPool - 1)]!,
      description: pools.descriptions[(texts >>> 10) & (shortPool - 1)]!,
      initialBid,
      reserve: initialBid + priceOf(chance.bits()),
      dateTime,
      expires: dateTime + 1 + chance.below(Math.max(2 * (this.timeOf(number + horizonEvents) - dateTime), 1)),
      seller: firstId + seller,
      category: firstCategory + chance.below(categories),
      extra: pools.auctionExtras[(texts >>> 20) & (longPool - 1)]!,
    }
  }

  #person(number: number, epoch: number): Person {
    const chance = this.#chance.begin(number)
    const pools = this.#pools
    const texts = chance.bits()
    return {
      kind: 'person',
      id: firstId + epoch,
      name: pools.names[chance.below(firstNames.length * lastNames.length)]!,
      emailAddress: pools.emailAddresses[texts & (shortPool - 1)]!,
      creditCard: pools.creditCards[(texts >>> 10) & (shortPool - 1)]!,
      city: cities[chance.below(cities.length)]!,
      state: states[chance.below(states.length)]!,
      dateTime: this.timeOf(number),
      extra: pools.personExtras[(texts >>> 20) & (longPool - 1)]!,
    }
  }

  /** One of the last persons, or of the next. */
  #anyPerson(epoch: number): number {
    const persons = epoch + 1
    const active = Math.min(persons, activePersons)
    return persons - active + this.#chance.below(active + lead)
  }
}

export function checkNexmarkOptions({ seed = 0, rate = defaultRate }: NexmarkOptions): void {
  if (!Number.isInteger(seed) || seed < -0x8000_0000 || seed > 0x7fff_ffff) throw new FlinkError('INVALID_OPTION', `Nexmark: seed must be a whole number of 32 bits, not ${String(seed)}`)
  if (!(rate >= 1 && rate <= 1e9)) throw new FlinkError('INVALID_OPTION', `Nexmark: rate must be 1 to 1e9 events per second, not ${String(rate)}`)
}
