/**
 * A disk in memory that forgets like a real one. What was written but not synced may be lost or torn by `crash`; a name
 * that was created, renamed or removed is certain only after its directory was synced; a failed fsync loses what it should
 * have saved even if a later one succeeds. The n-th call can be made to fail, and the disk to be full.
 *
 * Used by the tests of everything that claims to be durable, and by the simulator.
 */
import { FlinkError } from '../core/errors.ts'
import type { FileStat, FileSystem, ReadHandle, WriteHandle } from '../core/files.ts'
import type { Random } from '../core/random.ts'
import type { Timestamp } from '../core/time.ts'

export interface MemoryFilesOptions {
  /** Bytes that fit on the disk; more fails with DISK_FULL. */
  readonly capacity?: number
  /** For modification times; stands still by default. */
  readonly now?: () => Timestamp
}

interface FileNode {
  readonly kind: 'file'
  content: Uint8Array<ArrayBuffer>
  size: number
  /** What a crash leaves for certain. */
  synced: Uint8Array<ArrayBuffer>
  /** A sync failed: what was unsynced then is never saved by a later sync. */
  syncFailed: boolean
  modifiedMs: Timestamp
}
interface DirectoryNode {
  readonly kind: 'directory'
  readonly names: Map<string, Node>
  /** As they were at the last sync, and what was done since, in order. */
  syncedNames: Map<string, Node>
  unsynced: NameChange[]
}
type Node = FileNode | DirectoryNode
/** `node` undefined: the name is gone. */
interface NameChange {
  readonly name: string
  readonly node: Node | undefined
  /** A rename out of another directory takes the old name with it. */
  readonly from?: { readonly directory: DirectoryNode; readonly name: string }
}

export class MemoryFiles implements FileSystem {
  #root: DirectoryNode = newDirectory()
  readonly #now: () => Timestamp
  #life = 0
  #failCall: number | undefined
  /** Bytes that fit; may be changed at any time. */
  capacity: number
  /** Storage calls so far, failed ones included. */
  calls = 0
  /** Bytes that were read of files so far. */
  bytesRead = 0
  readonly #readers = new Set<object>()

  constructor(options: MemoryFilesOptions = {}) {
    this.capacity = options.capacity ?? Infinity
    this.#now = options.now ?? (() => 0)
  }

  /** The n-th call from now (1: the next) fails with STORAGE_FAILED; a write that fails leaves half of its bytes. */
  failCall(n: number | undefined): void {
    this.#failCall = n === undefined ? undefined : this.calls + n
  }

  /** Power off and on. Handles that are open are dead; unsynced bytes and names survive by chance. */
  crash(random: Random): void {
    this.#life++
    this.#failCall = undefined
    this.#readers.clear()
    crashDirectory(this.#root, random, new Set())
  }

  /** Changes a file's bytes behind everybody's back, durably: a flipped bit, a cut. */
  damage(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const file = this.#file(path)
    file.content = Uint8Array.from(change(file.content.slice(0, file.size)))
    file.size = file.content.length
    file.synced = file.content.slice()
  }

  /** All files with their contents, by path. */
  contents(): Map<string, Uint8Array> {
    const found = new Map<string, Uint8Array>()
    const visit = (directory: DirectoryNode, path: string) => {
      for (const [name, node] of [...directory.names].sort()) {
        if (node.kind === 'file') found.set(`${path}/${name}`, node.content.slice(0, node.size))
        else visit(node, `${path}/${name}`)
      }
    }
    visit(this.#root, '')
    return found
  }

  /** The bytes of a file, without a call that could fail; undefined if there is none. For who checks what others did. */
  peek(path: string): Uint8Array | undefined {
    const node = this.#find(path)
    return node?.kind === 'file' ? node.content.slice(0, node.size) : undefined
  }

  /** Names in a directory, likewise. */
  peekNames(directory: string): string[] {
    const node = this.#find(directory)
    return node?.kind === 'directory' ? [...node.names.keys()] : []
  }

  /** How many handles for reading are open. */
  get openReaders(): number {
    return this.#readers.size
  }

  get usedBytes(): number {
    return sizeOf(this.#root)
  }

  stat(path: string): FileStat | undefined {
    this.#call(`stat ${path}`)
    const node = this.#find(path)
    if (node === undefined) return undefined
    return node.kind === 'file' ? { kind: 'file', size: node.size, modifiedMs: node.modifiedMs } : { kind: 'directory', size: 0, modifiedMs: 0 }
  }

  list(directory: string): string[] {
    this.#call(`list ${directory}`)
    const node = this.#find(directory)
    return node?.kind === 'directory' ? [...node.names.keys()].sort() : []
  }

  openRead(path: string): ReadHandle {
    this.#call(`open ${path}`)
    const file = this.#file(path)
    const life = this.#life
    const handle = {}
    this.#readers.add(handle)
    return {
      read: (into, position) => {
        this.#call(`read ${path}`, life)
        const bytes = file.content.subarray(Math.min(position, file.size), Math.min(position + into.length, file.size))
        into.set(bytes)
        this.bytesRead += bytes.length
        return bytes.length
      },
      close: () => void this.#readers.delete(handle),
    }
  }

  create(path: string): WriteHandle {
    this.#call(`create ${path}`)
    const { directory, name } = this.#place(path)
    if (directory.names.has(name)) throw failed(`${path} exists`)
    const file: FileNode = { kind: 'file', content: new Uint8Array(0), size: 0, synced: new Uint8Array(0), syncFailed: false, modifiedMs: this.#now() }
    change(directory, { name, node: file })
    const life = this.#life
    return {
      write: bytes => {
        const room = Math.max(0, this.capacity === Infinity ? Infinity : this.capacity - this.usedBytes)
        try {
          this.#call(`write ${path}`, life)
        } catch (error) {
          if (life === this.#life) append(file, bytes.subarray(0, bytes.length >> 1))
          throw error
        }
        append(file, bytes.subarray(0, room))
        file.modifiedMs = this.#now()
        if (bytes.length > room) throw new FlinkError('DISK_FULL', `cannot write ${path}: the disk is full`)
      },
      sync: () => {
        try {
          this.#call(`sync ${path}`, life)
        } catch (error) {
          file.syncFailed = true
          throw error
        }
        if (!file.syncFailed) file.synced = file.content.slice(0, file.size)
      },
      close: () => {
        if (life === this.#life) this.#call(`close ${path}`)
      },
    }
  }

  rename(from: string, to: string): void {
    this.#call(`rename ${from}`)
    const source = this.#place(from)
    const target = this.#place(to)
    const node = source.directory.names.get(source.name)
    if (node === undefined) throw failed(`there is no ${from}`)
    if (target.directory.names.get(target.name)?.kind === 'directory') throw failed(`${to} is a directory`)
    source.directory.names.delete(source.name)
    target.directory.names.set(target.name, node)
    target.directory.unsynced.push({ name: target.name, node, from: { directory: source.directory, name: source.name } })
  }

  /** Also removes an empty directory. */
  remove(path: string): void {
    this.#call(`remove ${path}`)
    const { directory, name } = this.#place(path)
    const node = directory.names.get(name)
    if (node === undefined) throw failed(`there is no ${path}`)
    if (node.kind === 'directory' && node.names.size > 0) throw failed(`${path} is not empty`)
    change(directory, { name, node: undefined })
  }

  /** With its parents; nothing happens if it is there. */
  makeDirectory(path: string): void {
    this.#call(`mkdir ${path}`)
    let directory = this.#root
    for (const name of partsOf(path)) {
      let next = directory.names.get(name)
      if (next === undefined) {
        next = newDirectory()
        change(directory, { name, node: next })
      }
      if (next.kind !== 'directory') throw failed(`${path}: ${name} is a file`)
      directory = next
    }
  }

  syncDirectory(path: string): void {
    this.#call(`sync ${path}`)
    const node = this.#find(path)
    if (node?.kind !== 'directory') throw failed(`${path} is no directory`)
    for (const { from } of node.unsynced) if (from !== undefined && from.directory !== node) from.directory.syncedNames.delete(from.name)
    node.syncedNames = new Map(node.names)
    node.unsynced = []
  }

  #call(what: string, life = this.#life): void {
    this.calls++
    if (life !== this.#life) throw failed(`${what}: the handle is from before the crash`)
    if (this.calls === this.#failCall) throw failed(`${what}: input/output error`)
  }

  #find(path: string): Node | undefined {
    let node: Node = this.#root
    for (const name of partsOf(path)) {
      const next: Node | undefined = node.kind === 'directory' ? node.names.get(name) : undefined
      if (next === undefined) return undefined
      node = next
    }
    return node
  }

  #file(path: string): FileNode {
    const node = this.#find(path)
    if (node?.kind !== 'file') throw failed(`there is no file ${path}`)
    return node
  }

  #place(path: string): { directory: DirectoryNode; name: string } {
    const parts = partsOf(path)
    const name = parts.pop()
    const directory = this.#find(parts.join('/'))
    if (name === undefined || directory?.kind !== 'directory') throw failed(`there is no directory for ${path}`)
    return { directory, name }
  }
}

function sizeOf(node: Node): number {
  if (node.kind === 'file') return node.size
  let bytes = 0
  for (const child of node.names.values()) bytes += sizeOf(child)
  return bytes
}

function newDirectory(): DirectoryNode {
  return { kind: 'directory', names: new Map(), syncedNames: new Map(), unsynced: [] }
}

function partsOf(path: string): string[] {
  return path.split('/').filter(part => part !== '')
}

function failed(message: string): FlinkError {
  return new FlinkError('STORAGE_FAILED', message)
}

function append(file: FileNode, bytes: Uint8Array): void {
  if (file.size + bytes.length > file.content.length) {
    const grown = new Uint8Array(Math.max(file.content.length * 2, file.size + bytes.length, 64))
    grown.set(file.content.subarray(0, file.size))
    file.content = grown
  }
  file.content.set(bytes, file.size)
  file.size += bytes.length
}

function change(directory: DirectoryNode, entry: NameChange): void {
  apply(directory.names, entry)
  directory.unsynced.push(entry)
}

function apply(names: Map<string, Node>, { name, node }: NameChange): void {
  if (node === undefined) names.delete(name)
  else names.set(name, node)
}

/** The names that were synced, and as many of the later changes, in their order, as chance has it. */
function crashDirectory(directory: DirectoryNode, random: Random, seen: Set<Node>): void {
  const survived = random.int(directory.unsynced.length + 1)
  const names = new Map(directory.syncedNames)
  for (const entry of directory.unsynced.slice(0, survived)) {
    if (entry.from?.directory === directory) names.delete(entry.from.name)
    apply(names, entry)
  }
  directory.names.clear()
  for (const [name, node] of names) directory.names.set(name, node)
  directory.syncedNames = new Map(names)
  directory.unsynced = []
  for (const node of names.values()) {
    if (seen.has(node)) continue
    seen.add(node)
    if (node.kind === 'directory') crashDirectory(node, random, seen)
    else crashFile(node, random)
  }
}

/** What was synced, and a part of the rest; blocks of that part may be zeros, because a file's size outruns its data. */
function crashFile(file: FileNode, random: Random): void {
  const written = file.content.slice(0, file.size)
  const certain = file.synced.length
  const kept = written.slice(0, certain + random.int(Math.max(written.length - certain, 0) + 1))
  kept.set(file.synced)
  if (kept.length > certain && random.chance(0.5)) kept.fill(0, certain + random.int(kept.length - certain))
  file.content = kept
  file.size = kept.length
  file.synced = kept.slice()
  file.syncFailed = false
}
