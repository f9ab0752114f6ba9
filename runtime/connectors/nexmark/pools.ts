/**
 * The texts and prices that events are made of, prepared before the first event. A text of 60 letters made anew for each
 * event would cost more than ten times the event itself, and a benchmark would measure nothing else. So events choose from
 * pools, which hold enough that no dictionary or branch predictor learns them by heart. Drawn in the order in which they stand here.
 */
import { Chance } from './chance.ts'

export const firstNames = ['Ada', 'Blaise', 'Carl', 'Donald', 'Edsger', 'Frances', 'Grace', 'Hedy', 'Ivan', 'Joan', 'Kurt'] as const
export const lastNames = ['Archer', 'Baker', 'Carter', 'Dyer', 'Fisher', 'Mason', 'Porter', 'Smith', 'Weaver'] as const
export const cities = ['Bend', 'Boise', 'Cheyenne', 'Kent', 'Los Angeles', 'Phoenix', 'Portland', 'Redmond', 'San Francisco', 'Seattle'] as const
export const states = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY'] as const
const hotChannels = ['Google', 'Facebook', 'Baidu', 'Apple'] as const

export const channelCount = 10_000
/** Powers of two, so that bits choose. */
export const shortPool = 1_024
export const longPool = 256
export const bidPool = 4_096

export interface Pools {
  /** First name and last name. */
  readonly names: readonly string[]
  readonly emailAddresses: readonly string[]
  readonly creditCards: readonly string[]
  readonly itemNames: readonly string[]
  readonly descriptions: readonly string[]
  /** The four hot ones come first, then `channelCount` others; `urls` belong to them. */
  readonly channels: readonly string[]
  readonly urls: readonly string[]
  readonly personExtras: readonly string[]
  readonly auctionExtras: readonly string[]
  readonly bidExtras: readonly string[]
}

/** No event has a negative number; the pools begin at this one. */
const poolNumber = -1

export function preparePools(seed: number): Pools {
  const chance = new Chance(seed).begin(poolNumber)
  const pool = (size: number, make: () => string) => Array.from({ length: size }, make)
  const fillers = (size: number, letters: number) => pool(size, () => filler(chance, letters))
  return {
    names: firstNames.flatMap(first => lastNames.map(last => flat(first, ' ', last))),
    emailAddresses: pool(shortPool, () => flat(words(chance, 7, '_'), '@', words(chance, 5, '_'), '.com')),
    creditCards: pool(shortPool, () => flat(digits(chance), ' ', digits(chance), ' ', digits(chance), ' ', digits(chance))),
    itemNames: pool(shortPool, () => words(chance, 20, ' ')),
    descriptions: pool(shortPool, () => words(chance, 100, ' ')),
    channels: [...hotChannels, ...Array.from({ length: channelCount }, (_, i) => flat('channel-', String(i)))],
    urls: [
      ...pool(hotChannels.length, () => url(chance, '')),
      // One channel in ten does not say its number in the address.
      ...pool(channelCount, () => url(chance, chance.below(10) === 0 ? '' : `&channel_id=${chance.bits() >>> 1}`)),
    ],
    // What the other fields of each kind are short of the average size that Nexmark gives it: 200, 500 and 100 bytes, of
    // which they have about 68, 118 and (channel and address not counted) 32.
    personExtras: fillers(longPool, 132),
    auctionExtras: fillers(longPool, 382),
    bidExtras: fillers(bidPool, 68),
  }
}

const steps = 1_024
/** 10 ^ (6 / 1024), as a number and not computed: powers differ in their last bit between machines. */
const step = 1.0135831333340657
const prices = new Int32Array(steps + 1)
for (let i = 0, price = 100; i <= steps; i++, price *= step) prices[i] = Math.floor(price + 0.5)

/**
 * 100 to 100,000,000 cents, of the 20 highest bits: the logarithm is uniform, with straight lines of 1,024 points between
 * 1,024 steps (two parts in 100,000 off).
 */
export function priceOf(bits: number): number {
  const at = bits >>> 22
  const from = prices[at]!
  return from + ((Math.imul(prices[at + 1]! - from, (bits >>> 12) & 0x3ff) + 0x200) >> 10)
}

/** Letters with a `special` among 13, 3 to `limit - 1` of them, spaces at the ends taken off. */
function words(chance: Chance, limit: number, special: string): string {
  const codes: number[] = []
  for (let left = 3 + chance.below(limit - 3); left > 0; left--) {
    const drawn = chance.below(13 * 26)
    codes.push(drawn < 26 ? special.charCodeAt(0) : 97 + (drawn % 26))
  }
  return flat(String.fromCharCode(...codes).trim())
}

/** `letters` of them, a fifth more or less. */
function filler(chance: Chance, letters: number): string {
  const jitter = Math.floor(letters / 5 + 0.5)
  const codes: number[] = []
  for (let left = letters - jitter + chance.below(2 * jitter); left > 0; left--) codes.push(97 + chance.below(26))
  return String.fromCharCode(...codes)
}

const digits = (chance: Chance) => String(chance.below(10_000)).padStart(4, '0')
const url = (chance: Chance, parameter: string) => flat('https://www.nexmark.com/', words(chance, 5, '_'), '/', words(chance, 5, '_'), '/', words(chance, 5, '_'), '/item.htm?query=1', parameter)

/** One piece: a sum of texts is a tree, and a part of a text a reference to it, which everybody who reads them would have to follow. */
const flat = (...parts: readonly string[]) => parts.join('')
