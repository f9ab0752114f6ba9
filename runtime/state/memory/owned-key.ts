/**
 * A key as state keeps it. A key that comes out of a batch is a slice of the batch's joined text (20 characters that
 * hold 10 KB alive) or an object that the user may change; state takes a copy of its own, once per new entry.
 */
import { ownText } from '../../codec/copy.ts'

export function ownedKey(key: unknown): unknown {
  // In one piece: V8 compares text that is a slice of other text in its runtime, five times as slowly, and keys are compared for every record.
  if (typeof key === 'string') return ownText(key)
  if (typeof key !== 'object' || key === null) return key
  if (Array.isArray(key)) return key.map(ownedKey)
  const copy: Record<string, unknown> = {}
  for (const [name, part] of Object.entries(key)) {
    // `copy['__proto__'] = x` would set the prototype.
    Object.defineProperty(copy, name, { value: ownedKey(part), enumerable: true, configurable: true, writable: true })
  }
  return copy
}
