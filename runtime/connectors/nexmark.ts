/** Nexmark's stream of an auction house, always the same for the same seed: the package entry `flink-ts/connectors/nexmark`. */
export { nexmarkSource, type NexmarkSourceOptions, type NexmarkSplit } from './nexmark/source.ts'
export { NexmarkGenerator, type NexmarkOptions } from './nexmark/generator.ts'
export type { Auction, Bid, NexmarkEvent, Person } from './nexmark/events.ts'
