/**
 * Chance that is a function of a seed and a number, in 32-bit integers and exact doubles only: the benchmarks' Java twin
 * (`fixtures/bench/flink`, class `Chance`) draws the same bits. Good enough for test data, and for nothing else.
 */

const golden = 0x9e3779b9 | 0

export class Chance {
  readonly #seed: number
  #state = 0

  constructor(seed: number) {
    this.#seed = mix(seed + golden)
  }

  /** 32 bits, as a signed integer, that depend on the seed and on `number` (32 bits) alone. `further` draws more from them. */
  bitsOf(number: number): number {
    return mix(number ^ this.#seed)
  }

  /** What `bits` and `below` draw from here on depends on the seed and on `number` alone, whatever was drawn before. */
  begin(number: number): this {
    this.#state = this.bitsOf(number)
    return this
  }

  /** 32 bits, as a signed integer: an unsigned one would be a number on the heap wherever this call is not inlined. */
  bits(): number {
    this.#state = (this.#state + golden) | 0
    return mix(this.#state)
  }

  /** A whole number, 0 <= n < bound, which is below 2^31. `| 0` says to the engine that it is an integer. */
  below(bound: number): number {
    return ((this.bits() >>> 0) * bound * twoToMinus32) | 0
  }
}

const twoToMinus32 = 1 / 0x1_0000_0000

/** The next 32 bits after the first ones of a number, and then of these. */
export function further(bits: number): number {
  return mix(bits + golden)
}

/** `second` if the last of `bits` is set: as arithmetic, because no processor foresees a branch that chance takes. */
export function either(first: number, second: number, bits: number): number {
  return (first + Math.imul(second - first, bits & 1)) | 0
}

/** The last step of MurmurHash3, a bijection of 32 bits. Signed. */
function mix(value: number): number {
  let x = value | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}
