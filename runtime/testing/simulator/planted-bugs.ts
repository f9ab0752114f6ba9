/**
 * Bugs that somebody who writes these protocols for the first time would make, as switches that only tests can turn. The
 * simulator must find each: that measures the tester, not the product.
 */
export interface PlantedBugs {
  /** Barriers do not block their channel. */
  readonly noAlignment?: boolean
  /** A snapshot holds the live objects instead of copies. */
  readonly snapshotByReference?: boolean
  /** A sink commits exactly the checkpoint it is told of, not all up to it. */
  readonly commitOnlyNotified?: boolean
  /** A newer barrier takes over an older alignment. */
  readonly noSupersede?: boolean
  /** Sinks are told that a checkpoint is complete before its manifest is on disk. */
  readonly notifyBeforeDurable?: boolean
  /** Messages of an earlier life are believed. */
  readonly noFencing?: boolean
}

export const noPlantedBugs: PlantedBugs = {}
