/**
 * Dictionaries of text: a column of a channel in which the same texts come again and again is sent as numbers, and each text
 * once. The receiver hands out the same string every time: nothing is allocated, and equal keys are one object.
 *
 * Where texts are mostly new a dictionary costs far more than it saves, so a column tries one and goes back to plain text
 * if the share of known texts is low (`stages`); the next try comes later and later. All of it follows from counts, so the
 * same records give the same bytes.
 *
 * Both sides stay in step because each changes what it knows only with a frame that was sent, or read, to its end: what a
 * frame added that was not (too large, of a shape that did not fit, damaged) is taken back before the next one.
 */
import { spreadKeyHash } from '../core/key-group.ts'
import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import { ownText } from './copy.ts'

/**
 * Texts that are remembered have the numbers below. When a dictionary is full, new texts are numbered from here on and good
 * for their frame only.
 */
export const maxEntries = 8 * 1024
/**
 * A lookup that misses the CPU's caches costs more than it saves, so only few texts are remembered: more of long ones,
 * each of which saves many bytes, and most of keys, whose hash comes with the record.
 */
const longText = 24
const maxShortEntries = 256
const maxLongEntries = 1024
/** UTF-16 units of all remembered texts, and of one. */
const maxUnits = 128 * 1024
const maxUnitsOfOne = 4 * 1024

/** Values of a column that go as plain text before its first try. */
const firstTry = 1024
/**
 * What a try is: so many values, and the share of known texts among them without which it ends. The last stage repeats, and
 * asks a little less than the one that leads to it, so that a share that wavers around the bound does not go back and forth.
 * A dictionary that is full learns no more: at no stage less is asked of it than `knownWhenFull`.
 */
const stages = [
  { values: 1024, known: 0.03 },
  { values: 3 * 1024, known: 0.15 },
  { values: 12 * 1024, known: 0.7 },
  { values: 16 * 1024, known: 0.6 },
] as const
const knownWhenFull = 0.7
/** Values between two tries; doubled after each that fails. */
const shortestPause = 64 * 1024
const longestPause = 4 * 1024 * 1024

// Of the dictionary item of a frame: all that is known is forgotten; values are numbers.
const forget = 1
const numbered = 2

/** A text is looked for in so many slots. */
const farthest = 32
const smallestTable = 1024

const scratch = new ByteWriter(1024)
const noTexts: readonly string[] = []

/** The sending side of one column: chooses between text and numbers, frame by frame. */
export class DictionaryOut {
  /** New texts of this frame, joined. */
  text = ''
  /** Of each its length twice, and one if it is to be remembered. */
  #headers = new Int32Array(0)
  #fresh = 0
  #passing = 0
  /** By number, with their hashes. */
  readonly #texts: string[] = []
  readonly #hashes: number[] = []
  /** Where hashes come from: of a key it comes with the record; the quick one is not good enough for all texts. */
  #hashing: 'key' | 'quick' | 'full' = 'quick'
  #units = 0
  /** What the receiver knows of them: before this frame. */
  #knownTexts = 0
  #knownUnits = 0
  /** Twos of hash and number + 1. */
  #slots = new Int32Array(0)
  #shift = 0

  /** Index in `stages`; undefined: plain text. */
  #stage: number | undefined
  /** Values until the stage, or the pause between two tries, is over; of a stage those that were not known. */
  #left = firstTry
  #unknown = 0
  #full = false
  #pause = shortestPause
  /** The receiver has to forget all texts first. */
  #forget = false

  /**
   * A frame begins; what the last one added, and was not sent, is gone. False if it is one of plain text. `isKey` says
   * whether these texts are keys, so that `number` is given their hashes; asked only where a dictionary begins.
   */
  begin(values: number, isKey: () => boolean): boolean {
    if (this.#stage === undefined) return false
    if (this.#slots.length === 0) this.#hashing = isKey() ? 'key' : 'quick'
    if (this.#texts.length > this.#knownTexts) {
      this.#texts.length = this.#hashes.length = this.#knownTexts
      this.#place(this.#slots.length / 2)
    }
    this.#units = this.#knownUnits
    this.text = ''
    this.#fresh = this.#passing = 0
    if (this.#headers.length < values) this.#headers = new Int32Array(Math.max(512, values))
    if (this.#slots.length === 0) this.#place(smallestTable)
    return true
  }

  /** Whether the texts of this frame are keys. */
  get byKey(): boolean {
    return this.#hashing === 'key'
  }

  /**
   * Puts the numbers of `count` texts into `numbers`. `keyHashes` if they are keys. A hash that is not the one of the key
   * costs room and time, no more.
   */
  number(texts: readonly string[], count: number, numbers: Int32Array, keyHashes: Int32Array | undefined): void {
    const known = this.#texts
    let slots = this.#slots
    let mask = slots.length - 1
    let shift = this.#shift
    next: for (let i = 0; i < count; i++) {
      const text = texts[i] as string
      const hash = keyHashes !== undefined ? (keyHashes[i] as number) : this.#hash(text)
      let at = slotOf(hash, shift)
      let free = -1
      for (let steps = 0; steps < farthest; steps++) {
        const number = slots[at + 1] as number
        if (slots[at] === hash && known[number - 1] === text) {
          numbers[i] = number - 1
          continue next
        }
        if (number === 0) {
          free = at
          break
        }
        at = (at + 2) & mask
      }
      numbers[i] = this.#add(text, hash, free)
      slots = this.#slots
      mask = slots.length - 1
      shift = this.#shift
    }
  }

  #hash(text: string): number {
    return this.#hashing === 'quick' ? quickHash(text) : this.#hashing === 'full' ? fullHash(text) : spreadKeyHash(text)
  }

  #add(text: string, hash: number, slot: number): number {
    const texts = this.#texts
    const { length } = text
    if (slot < 0 && this.#hashing === 'quick') {
      this.#hashing = 'full'
      texts.forEach((each, i) => (this.#hashes[i] = fullHash(each)))
      this.#place(this.#slots.length / 2)
    }
    this.text += text
    const most = this.#hashing === 'key' ? maxEntries : length >= longText ? maxLongEntries : maxShortEntries
    const full = texts.length >= most || length > maxUnitsOfOne || this.#units + length > maxUnits
    if (full) this.#full = true
    if (full || slot < 0) {
      this.#headers[this.#fresh++] = length * 2
      return maxEntries + this.#passing++
    }
    this.#headers[this.#fresh++] = length * 2 + 1
    this.#units += length
    const number = texts.length
    // What it was cut from is not kept alive.
    texts.push(ownText(text))
    this.#hashes.push(hash)
    if (texts.length * 4 > this.#slots.length) this.#place(this.#slots.length)
    else {
      this.#slots[slot] = hash
      this.#slots[slot + 1] = number + 1
    }
    return number
  }

  /** Above all numbers of this frame. */
  get limit(): number {
    return this.#passing > 0 ? maxEntries + this.#passing : this.#texts.length
  }

  /** What goes with numbers and text; undefined if there is nothing to say. Good until the next call of any. */
  item(): Uint8Array | undefined {
    if (this.#stage === undefined && !this.#forget) return undefined
    scratch.reset()
    scratch.u8((this.#forget ? forget : 0) | (this.#stage === undefined ? 0 : numbered))
    if (this.#stage !== undefined) {
      scratch.varint(this.#fresh)
      for (let i = 0; i < this.#fresh; i++) scratch.varint(this.#headers[i] as number)
    }
    return scratch.bytes.subarray(0, scratch.length)
  }

  /** The frame is on its way. */
  sent(values: number): void {
    this.#forget = false
    this.#left -= values
    if (this.#stage === undefined) {
      if (this.#left <= 0) this.#enter(0)
      return
    }
    this.#knownTexts = this.#texts.length
    this.#knownUnits = this.#units
    this.#unknown += this.#fresh
    this.text = ''
    if (this.#left > 0) return
    const stage = stages[this.#stage] as (typeof stages)[number]
    const known = this.#full ? Math.max(stage.known, knownWhenFull) : stage.known
    if (this.#unknown > (stage.values - this.#left) * (1 - known)) return this.#giveUp()
    if (this.#stage < stages.length - 1) this.#stage++
    else this.#pause = shortestPause
    this.#enter(this.#stage)
  }

  /** Frames that were said to be sent are not: whatever the receiver knows, it forgets it with the next. */
  startOver(): void {
    this.#clear()
    if (this.#stage !== undefined) this.#enter(0)
  }

  #enter(stage: number): void {
    this.#stage = stage
    this.#left = (stages[stage] as (typeof stages)[number]).values
    this.#unknown = 0
    this.#full = false
  }

  #giveUp(): void {
    this.#clear()
    this.#stage = undefined
    this.#left = this.#pause
    this.#pause = Math.min(this.#pause * 2, longestPause)
  }

  #clear(): void {
    this.#forget = true
    this.#texts.length = this.#hashes.length = 0
    this.#knownTexts = this.#knownUnits = this.#units = this.#fresh = this.#passing = 0
    this.#slots = new Int32Array(0)
    this.#headers = new Int32Array(0)
    this.text = ''
  }

  /** Gives all texts a place in a table of so many slots, at most half of which are used. */
  #place(slots: number): void {
    const table = new Int32Array(slots * 2)
    const mask = table.length - 1
    this.#slots = table
    this.#shift = Math.clz32(slots) + 1
    for (let number = 0; number < this.#texts.length; number++) {
      const hash = this.#hashes[number] as number
      let at = slotOf(hash, this.#shift)
      // One that finds no place near is not found any more: it is sent, and takes a number, once more.
      for (let steps = 0; steps < farthest; steps++) {
        if (table[at + 1] === 0) {
          table[at] = hash
          table[at + 1] = number + 1
          break
        }
        at = (at + 2) & mask
      }
    }
  }
}

/** The receiving side of one column. */
export class DictionaryIn {
  /** In the frame that is being read, by number; and those numbered from `maxEntries` on. */
  texts: readonly string[] = noTexts
  passing: readonly string[] = noTexts
  #known: Known = { texts: [], count: 0, units: 0 }
  /** When the frame was read to its end. */
  #next: Known | undefined

  /**
   * A frame with this item begins; false if it is one of plain text. `textOf` gives the joined new texts if they have so many
   * units.
   *
   * @throws DecodeError
   */
  begin(item: Uint8Array | undefined, textOf: (units: number) => string): boolean {
    this.#next = undefined
    if (item === undefined) return false
    const input = new ByteReader(item)
    const flags = input.u8()
    if (flags === 0 || flags > (forget | numbered)) throw new DecodeError(`a dictionary of sort ${flags}`)
    const known = (flags & forget) !== 0 ? { texts: [], count: 0, units: 0 } : this.#known
    if ((flags & numbered) === 0) {
      if (!input.atEnd) throw new DecodeError('bytes too many after a dictionary')
      this.#next = known
      return false
    }
    const fresh = input.count()
    const start = input.position
    let all = 0
    for (let i = 0; i < fresh; i++) all += Math.floor(input.varint() / 2)
    if (!input.atEnd) throw new DecodeError('bytes too many after a dictionary')
    const text = textOf(all)

    const { texts } = known
    // What a damaged frame brought is gone.
    texts.length = known.count
    const passing: string[] = []
    let { units } = known
    let at = 0
    input.position = start
    for (let i = 0; i < fresh; i++) {
      const header = input.varint()
      const one = text.substring(at, (at += Math.floor(header / 2)))
      if (header % 2 === 0) passing.push(one)
      else {
        // Text of a frame that is kept would keep the frame's.
        texts.push(ownText(one))
        units += one.length
      }
    }
    if (texts.length > maxEntries || units > maxUnits) throw new DecodeError(`a dictionary of ${texts.length} texts and ${units} units`)
    this.texts = texts
    this.passing = passing
    this.#next = { texts, count: texts.length, units }
    return true
  }

  /** The frame was read to its end. */
  finish(): void {
    this.texts = this.passing = noTexts
    this.#known = this.#next ?? this.#known
  }
}

interface Known {
  /** May be longer than `count` by what a damaged frame brought. */
  readonly texts: string[]
  readonly count: number
  readonly units: number
}

const slotOf = (hash: number, shift: number) => (Math.imul(hash, 0x9e3779b1) >>> shift) << 1

/** Reading a unit of text costs as much as a step in the table: few of them, from where texts tend to differ. */
function quickHash(text: string): number {
  const { length } = text
  if (length < 3) return length === 0 ? 0 : text.charCodeAt(0) | (text.charCodeAt(length - 1) << 8) | (length << 16)
  const ends = text.charCodeAt(length - 1) | (text.charCodeAt(length - 2) << 8) | (text.charCodeAt(0) << 16)
  return (ends ^ (text.charCodeAt(length >> 1) << 24)) + Math.imul(length, 0x85ebca6b) | 0
}

/** Up to 64 units count, of a longer text its last 32 and about as many others. */
function fullHash(text: string): number {
  const { length } = text
  const end = length <= 64 ? length : length - 32
  const step = length <= 64 ? 1 : (end + 31) >> 5
  let hash = length
  for (let i = 0; i < end; i += step) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  for (let i = end; i < length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}
