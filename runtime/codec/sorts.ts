/** The sorts of values that decide what a column is; bits, so that a column can remember all it has seen. Part of the wire and snapshot formats. */
export const sort = {
  missing: 1,
  undefined: 2,
  null: 4,
  bool: 8,
  i32: 16,
  f64: 32,
  string: 64,
  other: 128,
  /** An array that may be a column of lists; part of no format. */
  list: 256,
  /** missing | undefined | null */
  absent: 7,
} as const

/** What two bits say about a column in one record. Missing is 0, so that a cleared buffer says missing. */
export const presence = { missing: 0, undefined: 1, null: 2, value: 3 } as const

export function seenSort(value: unknown): number {
  switch (typeof value) {
    case 'number': {
      const int = value | 0
      return int === value && (int !== 0 || 1 / value > 0) ? sort.i32 : sort.f64
    }
    case 'string':
      return sort.string
    case 'boolean':
      return sort.bool
    case 'undefined':
      return sort.undefined
    case 'object':
      return value === null ? sort.null : sort.other
    default:
      return sort.other
  }
}
