/**
 * Seeded pseudo-random numbers (sfc32 after splitmix32), for pure rooms, the simulator and random tests. Never
 * `Math.random`: a run with the same seed takes the same path.
 */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, bound). */
  int(bound: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
  shuffle<T>(items: readonly T[]): T[]
  /** An independent stream, for a part that must not disturb the others. */
  fork(label: string): Random
}

export function seededRandom(seed: number): Random {
  let mix = seed | 0
  const split = () => {
    mix = (mix + 0x9e3779b9) | 0
    let z = mix
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return z ^ (z >>> 16)
  }
  let a = split()
  let b = split()
  let c = split()
  let counter = 1
  const uint32 = () => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + t
    c |= 0
    return t >>> 0
  }
  for (let i = 0; i < 12; i++) uint32()
  const random: Random = {
    next: () => uint32() / 4294967296,
    int: bound => Math.floor((uint32() / 4294967296) * bound),
    chance: probability => uint32() / 4294967296 < probability,
    pick: items => items[random.int(items.length)] as (typeof items)[number],
    shuffle(items) {
      const copy = [...items]
      for (let i = copy.length - 1; i > 0; i--) {
        const j = random.int(i + 1)
        const held = copy[i] as (typeof items)[number]
        copy[i] = copy[j] as (typeof items)[number]
        copy[j] = held
      }
      return copy
    },
    fork(label) {
      let hash = seed | 0
      for (let i = 0; i < label.length; i++) hash = (Math.imul(hash, 31) + label.charCodeAt(i)) | 0
      return seededRandom(hash)
    },
  }
  return random
}

/** `random` is uniform in [0, 1). */
export function randomHex(random: () => number, digits: number): string {
  let text = ''
  while (text.length < digits) text += Math.floor(random() * 16).toString(16)
  return text
}
