/**
 * A key as state keeps it. A key that comes out of a batch is a slice of the batch's joined text (20 characters that
 * hold 10 KB alive) or an object that the user may change; state takes a copy of its own, once per new entry.
 */

/** V8 copies shorter slices by itself. */
const shortestSlice = 13

export function ownedKey(key: unknown): unknown {
  if (typeof key === 'string') return ownedText(key)
  if (typeof key !== 'object' || key === null) return key
  if (Array.isArray(key)) return key.map(ownedKey)
  const copy: Record<string, unknown> = {}
  for (const [name, part] of Object.entries(key)) {
    // `copy['__proto__'] = x` would set the prototype.
    Object.defineProperty(copy, name, { value: ownedKey(part), enumerable: true, configurable: true, writable: true })
  }
  return copy
}

function ownedText(text: string): string {
  // Joining makes a new flat string when it is sliced again; that slice holds on to one character more and nothing else.
  return text.length < shortestSlice ? text : ` ${text}`.slice(1)
}
