/**
 * How many items lists may bring into one frame or page. Items need no bytes of their own, so neither the length of a frame nor the
 * count of its records says how many there are; both directions count them, all columns and lists in lists together.
 */
const maxItems = 1024 * 1024

/** One for all columns of a frame, of a page one for keys and one for values. */
export class ItemBudget {
  #left = maxItems

  begin(): void {
    this.#left = maxItems
  }

  /** False, and for all that follow too, if they are too many. */
  take(items: number): boolean {
    this.#left -= items
    return this.#left >= 0
  }
}

/** Thrown while lists are gathered, before they take memory without end; never leaves this room. Half of a batch may have few enough. */
class TooManyItems extends RangeError {
  override readonly name = 'TooManyItems'
}
/** One for all: its own stack says nothing. */
export const tooManyItems = new TooManyItems('lists of too many items for one frame')
