/**
 * Entries of a page as bytes: what a page holds of an entry while nobody uses it. A small entry takes 20 to 40 bytes so and
 * 130 to 200 as objects, a garbage collector has nothing to look at, and the same bytes go to disk and into snapshots.
 *
 * It is found by its hash: 256 of them lie side by side in a kilobyte and are looked through from the beginning. An entry
 * whose objects are in use is *out*: it keeps its place, to which it returns when it is packed again, mostly with as many
 * bytes as before. What does not fit is appended, and all is copied together when a quarter of the bytes is dead.
 *
 *   in memory  i32 hash... | i32 offset... | record...      (bit 0 of a hash says that the entry is out)
 *   on disk    u32 crc32 of what follows | u32 count | the same without room to grow
 *   record     varint length | body (`records.ts`)
 */
import { crc32 } from '../checksum.ts'
import { copyBytes, varintBytes, type Records } from './records.ts'

/** Heap and allocator bytes of a pack besides its buffer. */
const overhead = 400
const blobHeader = 8
const outBit = 1
/** In place of a row: there is none. */
const nowhere = -1

export class Pack {
  /** Entries that have a place here, those that are out included. */
  count = 0
  /** Of them, how many are out. */
  out = 0
  #room = 0
  /** `#room` hashes, then as many offsets. */
  #rows: Int32Array<ArrayBuffer>
  /** Records are `bytes[0, #used)`. */
  #bytes: Uint8Array<ArrayBuffer>
  #used = 0
  /** Of `#used`, what belongs to no entry. */
  #dead = 0

  constructor(room = 0, bytes = 0) {
    const buffer = new ArrayBuffer(room * 8 + bytes)
    this.#room = room
    this.#rows = new Int32Array(buffer, 0, room * 2)
    this.#bytes = new Uint8Array(buffer, room * 8)
  }

  /** What it takes of memory. */
  get byteLength(): number {
    return overhead + this.#rows.buffer.byteLength
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** The next entry that is in and has this hash, from `row` on; -1 if there is none. */
  find(hash: number, row: number): number {
    const rows = this.#rows
    const { count } = this
    for (; row < count; row++) if (rows[row] === hash) return row
    return nowhere
  }

  isIn(row: number): boolean {
    return ((this.#rows[row] as number) & outBit) === 0
  }

  /** Of an entry that is in or out. */
  hashAt(row: number): number {
    return (this.#rows[row] as number) & ~outBit
  }

  /** Where the body of a record begins. */
  bodyAt(row: number): number {
    let at = this.#offset(row)
    while ((this.#bytes[at] as number) >= 0x80) at++
    return at + 1
  }

  takeOut(row: number): void {
    this.#rows[row] = this.hashAt(row) | outBit
    this.out++
  }

  /** Takes in the entries that are out, as they are now, and new ones. What is out and does not come is gone. */
  takeIn(records: Records): void {
    const places = this.#placesOut()
    /** Records that do not fit where they were, and their rows. */
    const moved: number[] = []
    let newRows = 0
    let newBytes = 0
    for (let record = 0; record < records.count; record++) {
      const length = records.length(record)
      const row = this.#placeOf(records.hashes[record] as number, places)
      if (row === nowhere) newRows++
      else {
        const before = this.#lengthAt(row)
        this.#takeBack(row)
        if (length <= before) {
          records.copyTo(record, this.#bytes, this.#offset(row))
          this.#dead += before - length
          continue
        }
        this.#dead += before
        this.#setOffset(row, nowhere)
      }
      newBytes += length
      moved.push(record, row)
    }
    if (moved.length > 0) this.#makeRoom(this.count + newRows, newBytes)
    for (let i = 0; i < moved.length; i += 2) {
      const record = moved[i] as number
      let row = moved[i + 1] as number
      if (row === nowhere) this.#rows[(row = this.count++)] = records.hashes[record] as number
      this.#setOffset(row, this.#used)
      this.#used = records.copyTo(record, this.#bytes, this.#used)
    }
    if (this.out > 0) this.#removeOut()
    if (this.#dead > this.#used >> 2) this.#resize(this.count, this.#used - this.#dead)
  }

  #takeBack(row: number): void {
    this.#rows[row] = this.hashAt(row)
    this.out--
  }

  #placesOut(): number[] {
    const places: number[] = []
    for (let row = 0; this.out > places.length; row++) if (!this.isIn(row)) places.push(row)
    return places
  }

  /** Entries of one hash may change places: each brings its key. */
  #placeOf(hash: number, places: number[]): number {
    for (let i = 0; i < places.length; i++) {
      const row = places[i] as number
      if (row === nowhere || this.hashAt(row) !== hash) continue
      places[i] = nowhere
      return row
    }
    return nowhere
  }

  /** The order of the others stays: small maps are read in the order in which they were filled. */
  #removeOut(): void {
    let to = 0
    for (let row = 0; row < this.count; row++) {
      if (!this.isIn(row)) {
        this.#dead += this.#lengthAt(row)
        continue
      }
      this.#rows[to] = this.#rows[row] as number
      this.#setOffset(to++, this.#offset(row))
    }
    this.count = to
    this.out = 0
  }

  #makeRoom(rows: number, bytes: number): void {
    if (rows <= this.#room && this.#used + bytes <= this.#bytes.length) return
    const live = this.#used - this.#dead + bytes
    this.#resize(rows + (rows >> 4), live + (live >> 4))
  }

  /** With everything copied together into a buffer with room for so much. */
  #resize(room: number, size: number): void {
    const resized = this.#copy(room, size)
    this.#room = room
    this.#rows = resized.#rows
    this.#bytes = resized.#bytes
    this.#used = resized.#used
    this.#dead = 0
  }

  #copy(room: number, size: number): Pack {
    const copy = new Pack(room, size)
    if (this.#dead === 0) {
      for (let row = 0; row < this.count; row++) copy.#addRow(this.#rows[row] as number, this.#offset(row))
      copy.#used = copyBytes(this.#bytes, 0, this.#used, copy.#bytes, 0)
    } else {
      for (let row = 0; row < this.count; row++) copy.#addFrom(this, row)
    }
    return copy
  }

  #addRow(hash: number, offset: number): void {
    this.#rows[this.count] = hash
    this.#setOffset(this.count++, offset)
  }

  /** There must be room. */
  #addFrom(other: Pack, row: number): void {
    const from = other.#offset(row)
    this.#addRow(other.#rows[row] as number, from === nowhere ? nowhere : this.#used)
    if (from !== nowhere) this.#used = copyBytes(other.#bytes, from, from + other.#lengthAt(row), this.#bytes, this.#used)
  }

  #offset(row: number): number {
    return this.#rows[this.#room + row] as number
  }

  #setOffset(row: number, offset: number): void {
    this.#rows[this.#room + row] = offset
  }

  /** Bytes of a record, its length included. */
  #lengthAt(row: number): number {
    const bytes = this.#bytes
    let at = this.#offset(row)
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) return length + varintBytes(length)
    }
  }

  /** The entries that are in, in two by a bit of their hashes. */
  split(bit: number): { readonly low: Pack; readonly high: Pack } {
    const bytes = [0, 0]
    const rows = [0, 0]
    for (let row = 0; row < this.count; row++) {
      if (!this.isIn(row)) continue
      const side = (this.hashAt(row) & bit) === 0 ? 0 : 1
      rows[side]!++
      bytes[side]! += this.#lengthAt(row)
    }
    const [low, high] = [new Pack(rows[0], bytes[0]), new Pack(rows[1], bytes[1])]
    for (let row = 0; row < this.count; row++) if (this.isIn(row)) ((this.hashAt(row) & bit) === 0 ? low : high).#addFrom(this, row)
    return { low, high }
  }

  /**
   * Every entry's record, one after another, behind `before` free bytes: what is in as it is, and `objects` in the places of
   * what is out, or behind all others.
   */
  recordsWith(objects: Records, before: number): Uint8Array<ArrayBuffer> {
    const places = this.#placesOut()
    let length = before + this.#used - this.#dead + objects.totalLength()
    for (const row of places) length -= this.#lengthAt(row)
    const bytes = new Uint8Array(length)
    let end = before
    const recordOf = new Map<number, number>()
    const last: number[] = []
    for (let record = 0; record < objects.count; record++) {
      const row = this.#placeOf(objects.hashes[record] as number, places)
      if (row === nowhere) last.push(record)
      else recordOf.set(row, record)
    }
    if (this.out === 0 && this.#inOrder()) end = copyBytes(this.#bytes, 0, this.#used, bytes, end)
    else {
      for (let row = 0; row < this.count; row++) {
        const from = this.#offset(row)
        const record = recordOf.get(row)
        if (this.isIn(row)) end = copyBytes(this.#bytes, from, from + this.#lengthAt(row), bytes, end)
        else if (record !== undefined) end = objects.copyTo(record, bytes, end)
      }
    }
    for (const record of last) end = objects.copyTo(record, bytes, end)
    return bytes
  }

  /** The records lie in the order of the entries, and nothing else. */
  #inOrder(): boolean {
    if (this.#dead > 0) return false
    for (let row = 1; row < this.count; row++) if (this.#offset(row) < this.#offset(row - 1)) return false
    return true
  }

  /** Nothing may be out. */
  toBlob(): Uint8Array {
    if (this.#dead > 0) return this.#copy(this.count, this.#used - this.#dead).toBlob()
    const { count } = this
    const blob = new Uint8Array(blobHeader + count * 8 + this.#used)
    const view = new Int32Array(blob.buffer, 0, 2 + count * 2)
    view[1] = count
    for (let row = 0; row < count; row++) {
      view[2 + row] = this.#rows[row] as number
      view[2 + count + row] = this.#offset(row)
    }
    copyBytes(this.#bytes, 0, this.#used, blob, blobHeader + count * 8)
    view[0] = crc32(blob.subarray(4))
    return blob
  }

  /** undefined: the blob is damaged. */
  static fromBlob(blob: Uint8Array): Pack | undefined {
    const header = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
    if (blob.length < blobHeader || header.getInt32(0, true) !== (crc32(blob.subarray(4)) | 0)) return undefined
    const count = header.getUint32(4, true)
    const pack = new Pack(count, blob.length - blobHeader - count * 8)
    new Uint8Array(pack.#rows.buffer).set(blob.subarray(blobHeader))
    pack.count = count
    pack.#used = pack.#bytes.length
    return pack
  }
}
