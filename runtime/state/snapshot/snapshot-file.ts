/**
 * One subtask's part of a snapshot as one file:
 *
 *   header   'FTSNAP' | u8 format version | u8 0
 *   blocks   u32 length | u32 crc32 | bytes ...
 *   footer   JSON index: every block's operator, state, kind, key group, item count, offset and length
 *   tail     u32 footer length | u32 footer crc32 | 'FTSNAPEN'
 *
 * Numbers are little endian; offsets are of a block's bytes. A reader takes the index and then only what it needs, and finds the
 * checksum of each block right before it hands it out. Who names the file (the manifest) also holds its length, which a reader
 * checks first, and a sha256, for those who verify all of it: of everything but the bytes of blocks, for which their checksums
 * stand. So it says which file that is, and with the checksums that nothing in it has changed, at no cost: of all bytes it was more
 * than half of what it took to write a file.
 */
import { FlinkError } from '../../core/errors.ts'
import { assert } from '../../core/assert.ts'
import type { FileSystem, ReadHandle, WriteHandle } from '../../core/files.ts'
import { PieceText } from '../../codec/piece-text.ts'
import { crc32 } from '../checksum.ts'
import type { SnapshotBlock, SnapshotFile } from '../../protocol/slot.ts'
import { sha256 } from './sha256.ts'
import type { CreateHasher, Hasher } from './sha256.ts'

export type { CreateHasher } from './sha256.ts'

export interface IndexEntry {
  readonly operatorId: string
  readonly state: string
  readonly kind: 'keyed' | 'list'
  /** -1 for a list. */
  readonly keyGroup: number
  /** Items of a list; 1 for a keyed block. */
  readonly items: number
  readonly offset: number
  readonly length: number
}

/** The manifest's version changes with it: who can read that knows what its files have to be. */
const formatVersion = 2
const magic = new TextEncoder().encode('FTSNAP')
const endMagic = new TextEncoder().encode('FTSNAPEN')
const headerBytes = 8
const frameBytes = 8
const tailBytes = 16
/** Small blocks are gathered: a write call a block would be most of the time. */
const writeBufferBytes = 256 * 1024

export class SnapshotFileWriter {
  readonly #files: FileSystem
  readonly #path: string
  readonly #hasher: Hasher
  readonly #index: IndexEntry[] = []
  readonly #handle: WriteHandle
  readonly #buffer = new Uint8Array(writeBufferBytes)
  #buffered = 0
  #bytes = 0
  #state: 'open' | 'finished' | 'failed' = 'open'

  /** Creates `path.tmp`, over what an earlier attempt may have left of it. `path` is absolute. */
  constructor(files: FileSystem, path: string, createHasher: CreateHasher = sha256) {
    this.#files = files
    this.#path = path
    this.#hasher = createHasher()
    const temporary = `${path}.tmp`
    if (files.stat(temporary) !== undefined) files.remove(temporary)
    this.#handle = files.create(temporary)
    const header = new Uint8Array(headerBytes)
    header.set(magic)
    header[6] = formatVersion
    this.#attempt(() => this.#writeHashed(header))
  }

  add(block: SnapshotBlock): void {
    const { operatorId, state } = block
    const bytes = block.kind === 'keyed' ? block.bytes : joinItems(block.items)
    const frame = new Uint8Array(frameBytes)
    const view = new DataView(frame.buffer)
    view.setUint32(0, bytes.length, true)
    view.setUint32(4, crc32(bytes), true)
    this.#attempt(() => {
      this.#writeHashed(frame)
      const place = { offset: this.#bytes, length: bytes.length }
      this.#index.push(block.kind === 'keyed' ? { operatorId, state, kind: 'keyed', keyGroup: block.keyGroup, items: 1, ...place } : { operatorId, state, kind: 'list', keyGroup: -1, items: block.items.length, ...place })
      this.#write(bytes)
    })
  }

  /**
   * Makes its bytes durable, and gives it its name. It takes part in a snapshot only once a manifest names it: who writes
   * that makes all names of the directory durable before, once for all files.
   */
  finish(): SnapshotFile {
    this.#attempt(() => {
      const footer = new TextEncoder().encode(JSON.stringify(packIndex(this.#index)))
      const tail = new Uint8Array(tailBytes)
      const view = new DataView(tail.buffer)
      view.setUint32(0, footer.length, true)
      view.setUint32(4, crc32(footer), true)
      tail.set(endMagic, 8)
      this.#writeHashed(footer)
      this.#writeHashed(tail)
      this.#flush()
      this.#handle.sync()
      this.#handle.close()
      this.#files.rename(`${this.#path}.tmp`, this.#path)
    })
    this.#state = 'finished'
    return { path: this.#path, bytes: this.#bytes, sha256: this.#hasher.digest('hex') }
  }

  /** Drops the unfinished file. */
  abort(): void {
    if (this.#state === 'finished') return
    if (this.#state === 'open') this.#fail()
  }

  /** A storage call that failed once is never trusted again for this file (a later fsync may succeed over lost data). */
  #attempt(work: () => void): void {
    assert(this.#state === 'open', `a snapshot file is written after it ${this.#state}`)
    try {
      work()
    } catch (error) {
      this.#fail()
      throw error
    }
  }

  #fail(): void {
    this.#state = 'failed'
    // The first error is the one to report; what is left over is swept when the checkpoint directory is.
    for (const cleanup of [() => this.#handle.close(), () => this.#files.remove(`${this.#path}.tmp`)]) {
      try {
        cleanup()
      } catch {}
    }
  }

  #writeHashed(bytes: Uint8Array): void {
    this.#hasher.update(bytes)
    this.#write(bytes)
  }

  #write(bytes: Uint8Array): void {
    this.#bytes += bytes.length
    if (bytes.length > this.#buffer.length - this.#buffered) this.#flush()
    if (bytes.length > this.#buffer.length) {
      this.#handle.write(bytes)
      return
    }
    this.#buffer.set(bytes, this.#buffered)
    this.#buffered += bytes.length
  }

  #flush(): void {
    if (this.#buffered === 0) return
    this.#handle.write(this.#buffer.subarray(0, this.#buffered))
    this.#buffered = 0
  }
}

/** So much of a file is read at once, if its blocks are smaller: memory that is used again and again is in the processor's cache, and the kernel need not find more. */
const readBytes = 2 * 1024 * 1024

export interface ReadBlock {
  readonly entry: IndexEntry
  /** Found right. They are there until the next block is asked for. */
  readonly bytes: Uint8Array
  /** All that was read with them. */
  readonly piece: PieceText
}

/** Reads blocks of a file, of which the length and the index are right. */
export class SnapshotFileReader {
  readonly index: readonly IndexEntry[]
  readonly #size: number
  readonly #handle: ReadHandle
  readonly #name: string
  #buffer = new Uint8Array(0)

  /** @throws FlinkError SNAPSHOT_CORRUPT naming the file and what is wrong */
  constructor(files: FileSystem, file: SnapshotFile, name = shortName(file.path)) {
    this.#name = name
    this.#size = file.bytes
    verifyLength(files, file, name)
    this.#handle = files.openRead(file.path)
    try {
      this.index = this.#readIndex()
    } catch (error) {
      this.#handle.close()
      throw error
    }
  }

  /** Those of the index that are `wanted`, in its order. @throws FlinkError SNAPSHOT_CORRUPT */
  *blocks(wanted: (entry: IndexEntry) => boolean): Iterable<ReadBlock> {
    for (const run of this.#runs(wanted)) yield* this.#readRun(run)
  }

  /** Blocks that lie one behind the other, as many as are read at a time. */
  *#runs(wanted: (entry: IndexEntry) => boolean): Iterable<readonly IndexEntry[]> {
    let run: IndexEntry[] = []
    for (const entry of this.index) {
      if (!wanted(entry)) continue
      const [first] = run
      const last = run.at(-1)
      if (first !== undefined && last !== undefined && (startOf(entry) !== endOf(last) || endOf(entry) - startOf(first) > readBytes)) {
        yield run
        run = []
      }
      run.push(entry)
    }
    yield run
  }

  *#readRun(run: readonly IndexEntry[]): Iterable<ReadBlock> {
    const [first] = run
    const last = run.at(-1)
    if (first === undefined || last === undefined) return
    const start = startOf(first)
    const read = this.#read(start, endOf(last) - start)
    const piece = new PieceText(read)
    for (const entry of run) {
      const bytes = read.subarray(entry.offset - start, endOf(entry) - start)
      this.#check(entry, read.subarray(startOf(entry) - start, entry.offset - start), crc32(bytes))
      yield { entry, bytes, piece }
    }
  }

  #check(entry: IndexEntry, frame: Uint8Array, checksum: number): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frameBytes)
    if (view.getUint32(0, true) !== entry.length) throw corrupt(this.#name, `the block at ${entry.offset} has another length than the index says`)
    if (view.getUint32(4, true) !== checksum) throw corrupt(this.#name, `the checksum of the block at ${entry.offset} does not match`)
  }

  /** What is in a block of a list, as copies. @throws FlinkError SNAPSHOT_CORRUPT */
  itemsOf({ entry, bytes }: ReadBlock): Uint8Array[] {
    const items = splitItems(bytes)
    if (items === undefined || items.length !== entry.items) throw corrupt(this.#name, `the list at ${entry.offset} has another number of items than the index says`)
    return items
  }

  close(): void {
    this.#handle.close()
  }

  /** Reads all of it, and gives the hasher what the writer gave it. Stops after each piece and says how long that was. @throws FlinkError SNAPSHOT_CORRUPT */
  *hash(hasher: Hasher): Generator<number, void> {
    hasher.update(this.#read(0, headerBytes))
    for (const run of this.#runs(() => true)) {
      const [first] = run
      if (first !== undefined && first.length > readBytes) yield* this.#hashLarge(first, hasher)
      else {
        for (const { bytes } of this.#readRun(run)) {
          hasher.update(new Uint8Array(bytes.buffer, bytes.byteOffset - frameBytes, frameBytes))
          yield frameBytes + bytes.length
        }
      }
    }
    const last = this.index.at(-1)
    const end = last === undefined ? headerBytes : endOf(last)
    hasher.update(this.#read(end, this.#size - end))
  }

  /** A block that is not read at once: it may be all that a state has. */
  *#hashLarge(entry: IndexEntry, hasher: Hasher): Generator<number, void> {
    const frame = this.#read(startOf(entry), frameBytes).slice()
    hasher.update(frame)
    let checksum = 0
    for (let at = 0; at < entry.length; at += readBytes) {
      const piece = this.#read(entry.offset + at, Math.min(readBytes, entry.length - at))
      checksum = crc32(piece, checksum)
      yield piece.length
    }
    this.#check(entry, frame, checksum)
  }

  #readIndex(): readonly IndexEntry[] {
    const size = this.#size
    if (size < headerBytes + tailBytes) throw corrupt(this.#name, 'it is too short')
    const header = this.#read(0, headerBytes)
    if (!startsWith(header, magic) || header[6] !== formatVersion || header[7] !== 0) throw corrupt(this.#name, `it is not a snapshot file of version ${formatVersion}`)
    const tail = this.#read(size - tailBytes, tailBytes)
    if (!startsWith(tail.subarray(8), endMagic)) throw corrupt(this.#name, 'its end is missing')
    const view = new DataView(tail.buffer, tail.byteOffset, tailBytes)
    const length = view.getUint32(0, true)
    const checksum = view.getUint32(4, true)
    if (headerBytes + tailBytes + length > size) throw corrupt(this.#name, 'its index is cut off')
    const footer = this.#read(size - tailBytes - length, length)
    if (crc32(footer) !== checksum) throw corrupt(this.#name, 'the checksum of its index does not match')
    return unpackIndex(JSON.parse(new TextDecoder().decode(footer)) as PackedIndex)
  }

  /** Into the reader's buffer: it holds one thing at a time. */
  #read(position: number, length: number): Uint8Array {
    if (this.#buffer.length < length) this.#buffer = new Uint8Array(length)
    const bytes = this.#buffer.subarray(0, length)
    for (let read = 0; read < length; ) {
      const n = this.#handle.read(read === 0 ? bytes : bytes.subarray(read), position + read)
      if (n === 0) throw corrupt(this.#name, `it ends at ${position + read}, in the middle of a block`)
      read += n
    }
    return bytes
  }
}

/** Where the frame of a block begins, and where it ends. */
const startOf = ({ offset }: IndexEntry) => offset - frameBytes
const endOf = ({ offset, length }: IndexEntry) => offset + length

/** @throws FlinkError SNAPSHOT_CORRUPT if the file is not there, or not as long, or not the same as when it was written. */
export function verifyFile(files: FileSystem, file: SnapshotFile, createHasher: CreateHasher = sha256, name = shortName(file.path)): void {
  for (const _ of verifyInSlices(files, file, createHasher, name));
}

/** @throws FlinkError SNAPSHOT_CORRUPT if the file is not there, or not as long. */
export function verifyLength(files: FileSystem, file: SnapshotFile, name = shortName(file.path)): void {
  const stat = files.stat(file.path)
  if (stat === undefined) throw corrupt(name, 'the file is missing')
  if (stat.kind !== 'file') throw corrupt(name, 'it is not a file')
  if (stat.size !== file.bytes) throw corrupt(name, `it has ${stat.size} bytes instead of ${file.bytes}`)
}

/** Like `verifyFile`, for those who must not be held up: it stops after each piece and says how many bytes that was. */
export function* verifyInSlices(files: FileSystem, file: SnapshotFile, createHasher: CreateHasher = sha256, name = shortName(file.path)): Generator<number, void> {
  const hasher = createHasher()
  const reader = new SnapshotFileReader(files, file, name)
  try {
    yield* reader.hash(hasher)
  } finally {
    reader.close()
  }
  if (hasher.digest('hex') !== file.sha256) throw corrupt(name, 'its sha256 does not match')
}

export function corrupt(name: string, what: string): FlinkError {
  return new FlinkError('SNAPSHOT_CORRUPT', `snapshot file ${name}: ${what}`)
}

/** The last two parts of a path: the directory of the checkpoint and the file. */
function shortName(path: string): string {
  return path.split('/').slice(-2).join('/')
}

/** Names once, then rows: a state of 128 key groups is 128 short rows. */
interface PackedIndex {
  readonly states: readonly (readonly [operatorId: string, state: string, kind: 'keyed' | 'list'])[]
  readonly blocks: readonly (readonly [state: number, keyGroup: number, items: number, offset: number, length: number])[]
}

function packIndex(index: readonly IndexEntry[]): PackedIndex {
  const states: [string, string, 'keyed' | 'list'][] = []
  const numbers = new Map<string, number>()
  const blocks = index.map(({ operatorId, state, kind, keyGroup, items, offset, length }) => {
    const id = JSON.stringify([operatorId, state, kind])
    let number = numbers.get(id)
    if (number === undefined) {
      number = states.push([operatorId, state, kind]) - 1
      numbers.set(id, number)
    }
    return [number, keyGroup, items, offset, length] as const
  })
  return { states, blocks }
}

function unpackIndex({ states, blocks }: PackedIndex): IndexEntry[] {
  return blocks.map(([number, keyGroup, items, offset, length]) => {
    const [operatorId, state, kind] = states[number] as PackedIndex['states'][number]
    return { operatorId, state, kind, keyGroup, items, offset, length }
  })
}

/** u32 length | bytes, for each. */
function joinItems(items: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(items.reduce((sum, item) => sum + 4 + item.length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const item of items) {
    view.setUint32(at, item.length, true)
    bytes.set(item, at + 4)
    at += 4 + item.length
  }
  return bytes
}

function splitItems(bytes: Uint8Array): Uint8Array[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const items: Uint8Array[] = []
  let at = 0
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined
    const end = at + 4 + view.getUint32(at, true)
    if (end > bytes.length) return undefined
    items.push(bytes.slice(at + 4, end))
    at = end
  }
  return items
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, i) => bytes[i] === byte)
}
