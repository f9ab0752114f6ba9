/**
 * One value as bytes: a tag byte and what it needs. Writers (`value-writer.ts`) and readers (`value-reader.ts`) go over many
 * values of one *document* (a column, a page, a single value): an object's property names are written once per document and
 * referred to by number after that.
 *
 * Equal values with properties in equal order give equal bytes: every choice below depends on the document's content only.
 * Two places that hold the same object arrive as two equal objects.
 *
 * What is checked: types, prototypes, holes, cycles and depth on every value; what an object can hide (accessors, symbols
 * as names, properties that are not enumerable) on the first object of each shape in a document, and what an array
 * can hide on the first array of it, because asking costs more than the encoding.
 */

// Part of the snapshot format: never reuse a number. 0x40-0x7f: ASCII text of 0-63 bytes. 0x80-0xff: the numbers 0-127.
export const tag = {
  null: 0, undefined: 1, false: 2, true: 3,
  /** zigzag varint */
  int: 4,
  f64: 5,
  string: 6,
  /** sign in the tag, then length and magnitude in bytes, lowest first */
  bigint: 7, negativeBigint: 8,
  /** f64; NaN is the invalid date */
  date: 9,
  array: 10, map: 11, set: 12,
  /** new shape: count and names, then the values */
  newShape: 13,
  /** number of the shape, then the values */
  shaped: 14,
  /** count, then name and value; when the document has too many shapes */
  loose: 15,
  /** null as prototype; an object follows */
  bare: 16,
  /** class number, bytes */
  typedArray: 17, arrayBuffer: 18, buffer: 19,
  /** the text that the document repeats */
  repeated: 20,
} as const
export const shortString = 0x40
export const shortStringMax = 0x3f
export const shortInt = 0x80

/** Beyond this, objects carry their names themselves. */
export const maxShapes = 64
