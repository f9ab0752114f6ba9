/**
 * An estimate of the heap bytes behind a value, for the memory limit of keyed state: V8's object sizes, walked over at
 * most `maxVisited` nodes (longer collections are extrapolated from their first elements). It is called on a sample of
 * puts only. The codec's size would be no better a guess: 20 encoded bytes are 100 bytes of heap as an object.
 */
const maxVisited = 256
const sampledElements = 16

export function heapBytesOf(value: unknown): number {
  return new HeapWalk().bytesOf(value)
}

class HeapWalk {
  #visited = 0

  bytesOf(value: unknown): number {
    switch (typeof value) {
      case 'string':
        return value.length < 3 ? 0 : 24 + value.length
      case 'number':
        return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? 0 : 16
      case 'bigint':
        return 24
      case 'object':
        return value === null ? 0 : this.#object(value)
      default:
        return 0
    }
  }

  #object(value: object): number {
    if (this.#visited++ >= maxVisited) return 64
    if (Array.isArray(value)) return 32 + value.length * 8 + this.#extrapolate(value, value.length)
    if (ArrayBuffer.isView(value)) return 200 + value.byteLength
    if (value instanceof Map) return 64 + value.size * 28 + this.#extrapolate(value.keys(), value.size) + this.#extrapolate(value.values(), value.size)
    if (value instanceof Set) return 64 + value.size * 20 + this.#extrapolate(value.keys(), value.size)
    if (value instanceof Date) return 96
    let bytes = 32
    let fields = 0
    // Plain data only reaches state; an inherited property would not be encoded either.
    for (const name in value) {
      if (fields++ >= sampledElements * 4) break
      bytes += 8 + this.bytesOf((value as Record<string, unknown>)[name])
    }
    return bytes
  }

  #extrapolate(elements: Iterable<unknown>, size: number): number {
    let bytes = 0
    let counted = 0
    for (const element of elements) {
      if (counted === sampledElements) break
      bytes += this.bytesOf(element)
      counted++
    }
    return counted === 0 ? 0 : (bytes / counted) * size
  }
}
