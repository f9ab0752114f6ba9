/** What a process that watches a cluster's events, and its JobManager, say to each other on a control connection. */

/** First and only. */
export interface Watch {
  readonly kind: 'watch'
  /** Number of the first event that is wanted. */
  readonly from: number
}

/** The next piece of a text without end: events as `event-json.ts` writes them, a line each. It may end anywhere. */
export interface WatchedEvents {
  readonly kind: 'events'
  /** UTF-8. */
  readonly bytes: Uint8Array
}
