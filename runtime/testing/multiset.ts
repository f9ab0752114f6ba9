/** Records as a multiset: what two runs are compared by when their order means nothing. */
import { encodeValue } from '../codec/value-codec.ts'

/** Sorted texts, one per record; equal iff the records are, whatever they hold (NaN, -0, bigint, Map ...). */
export function multiset(records: readonly unknown[]): string[] {
  return records.map(fingerprint).sort()
}

function fingerprint(record: unknown): string {
  let text = ''
  for (const byte of encodeValue(record, 'record')) text += String.fromCharCode(byte)
  return text
}

/** What one run has and the other has not, readable; empty if they are equal. */
export function difference(actual: readonly unknown[], expected: readonly unknown[]): { readonly missing: unknown[]; readonly unexpected: unknown[] } {
  const left = new Map<string, { record: unknown; count: number }>()
  for (const record of expected) {
    const id = fingerprint(record)
    const entry = left.get(id)
    if (entry === undefined) left.set(id, { record, count: 1 })
    else entry.count++
  }
  const unexpected: unknown[] = []
  for (const record of actual) {
    const entry = left.get(fingerprint(record))
    if (entry === undefined || entry.count === 0) unexpected.push(record)
    else entry.count--
  }
  const missing = [...left.values()].flatMap(({ record, count }) => Array.from({ length: count }, () => record))
  return { missing, unexpected }
}
