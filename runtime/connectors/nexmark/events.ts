/** The three kinds of events of an auction house. Money is in cents, time in epoch milliseconds. */

/** Somebody who sells and bids. */
export interface Person {
  readonly kind: 'person'
  readonly id: number
  readonly name: string
  readonly emailAddress: string
  readonly creditCard: string
  readonly city: string
  /** Two letters; does not go with the city. */
  readonly state: string
  readonly dateTime: number
  /** Letters that make the event as long as real ones are. */
  readonly extra: string
}

/** Something is for sale. */
export interface Auction {
  readonly kind: 'auction'
  readonly id: number
  readonly itemName: string
  readonly description: string
  readonly initialBid: number
  readonly reserve: number
  readonly dateTime: number
  readonly expires: number
  /** The id of a person. */
  readonly seller: number
  /** 10 to 14. */
  readonly category: number
  readonly extra: string
}

/** Somebody offers a price. */
export interface Bid {
  readonly kind: 'bid'
  /** The id of an auction; one in 22 bids names an auction that is still to come. */
  readonly auction: number
  /** The id of a person. */
  readonly bidder: number
  readonly price: number
  readonly channel: string
  readonly url: string
  readonly dateTime: number
  readonly extra: string
}

export type NexmarkEvent = Person | Auction | Bid
