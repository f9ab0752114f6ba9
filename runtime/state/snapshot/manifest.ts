/**
 * The manifest of a checkpoint or savepoint: `_metadata` beside its data files. A snapshot exists when its manifest does;
 * everything in it is named relative to its directory, so a directory can be moved; a checkpoint that goes on from others only
 * with theirs.
 *
 * JSON lines: a header, one line per operator, one per coordinator, and last the sha256 of all bytes before that line. A
 * reader refuses what it does not understand to the letter: an unknown version, a name that leaves the directory, a byte
 * that changed.
 */
import { FlinkError } from '../../core/errors.ts'
import type { FileSystem } from '../../core/files.ts'
import { readAll, writeDurably } from './durable-file.ts'
import { corrupt, verifyFile } from './snapshot-file.ts'
import { sha256 } from './sha256.ts'
import type { CreateHasher } from './sha256.ts'
import { coordinatorOf, headerOf, manifestVersion, operatorOf } from './manifest-lines.ts'
import type { Manifest, ManifestSubtask } from './manifest-lines.ts'
import type { SnapshotFile } from '../../protocol/slot.ts'

export type { Manifest, ManifestFile, ManifestOperator, ManifestState, ManifestSubtask } from './manifest-lines.ts'

export const manifestName = '_metadata'

/**
 * Makes the snapshot exist. The bytes of the data files are durable already (`SnapshotFileWriter.finish`); their names become
 * so here, all with one sync of their directory, and its own name too: no manifest ever names a file whose name could be lost.
 * After this returns, and only then, sinks may be told to commit.
 */
export function writeManifest(files: FileSystem, directory: string, manifest: Manifest, createHasher: CreateHasher = sha256): void {
  files.syncDirectory(directory)
  files.syncDirectory(directory.slice(0, directory.lastIndexOf('/')) || '/')
  writeDurably(files, directory, manifestName, encodeManifest(manifest, createHasher))
}

export function encodeManifest(manifest: Manifest, createHasher: CreateHasher = sha256): Uint8Array {
  const { operators, coordinators, ...header } = manifest
  const lines = [
    { manifest: manifestVersion, ...header, operators: operators.length, coordinators: coordinators.length },
    ...operators.map(operator => ({ operator })),
    ...coordinators.map(({ operatorId, state }) => ({ coordinator: { operatorId, state: Buffer.from(state).toString('base64') } })),
  ]
  const body = new TextEncoder().encode(lines.map(line => `${JSON.stringify(line)}\n`).join(''))
  return Buffer.concat([body, new TextEncoder().encode(lastLine(body, createHasher))])
}

/**
 * Reads a snapshot's manifest; with `verify` also the length and sha256 of every file that it names.
 *
 * @throws FlinkError SNAPSHOT_NOT_FOUND, SNAPSHOT_VERSION, SNAPSHOT_CORRUPT (names the file)
 */
export function readSnapshot(files: FileSystem, directory: string, verify: boolean, createHasher: CreateHasher = sha256): Manifest {
  const path = `${directory}/${manifestName}`
  if (files.stat(path) === undefined) throw new FlinkError('SNAPSHOT_NOT_FOUND', `${directory} holds no snapshot`, { detail: `There is no ${manifestName} in it.` })
  const manifest = decodeManifest(readAll(files, path), createHasher)
  if (verify) verifySnapshot(files, directory, manifest, createHasher)
  return manifest
}

/** All that hold what the subtask had, the earliest first. */
export function filesOf(directory: string, subtask: ManifestSubtask): SnapshotFile[] {
  if (subtask.kind !== 'file') return []
  return [...(subtask.earlier ?? []), subtask].map(({ name, bytes, sha256 }) => ({ path: pathOf(directory, name), bytes, sha256 }))
}

function pathOf(directory: string, name: string): string {
  return name.startsWith('../') ? `${directory.slice(0, directory.lastIndexOf('/'))}/${name.slice(3)}` : `${directory}/${name}`
}

/** Checks that every data file is as it was written. */
function verifySnapshot(files: FileSystem, directory: string, manifest: Manifest, createHasher: CreateHasher = sha256): void {
  const seen = new Set<string>()
  for (const operator of manifest.operators) {
    for (const subtask of operator.subtasks) {
      for (const { path, bytes, sha256 } of filesOf(directory, subtask)) {
        if (seen.has(`${path} ${sha256}`)) continue
        seen.add(`${path} ${sha256}`)
        verifyFile(files, { path, bytes, sha256 }, createHasher)
      }
    }
  }
}

function decodeManifest(bytes: Uint8Array, createHasher: CreateHasher = sha256): Manifest {
  const lines = checkedLines(bytes, createHasher)
  const { header, operators, coordinators } = headerOf(lines[0])
  if (lines.length !== 1 + operators + coordinators) throw corrupt(manifestName, 'it has another number of lines than it says')
  return {
    ...header,
    operators: lines.slice(1, 1 + operators).map(operatorOf),
    coordinators: lines.slice(1 + operators).map(coordinatorOf),
  }
}

/** The lines before the checksum, as JSON. */
function checkedLines(bytes: Uint8Array, createHasher: CreateHasher): unknown[] {
  const last = bytes.at(-1) === newline ? bytes.lastIndexOf(newline, bytes.length - 2) : -1
  if (last < 0) throw corrupt(manifestName, 'its end is missing')
  const body = bytes.subarray(0, last + 1)
  if (!Buffer.from(bytes.subarray(last + 1)).equals(Buffer.from(lastLine(body, createHasher)))) {
    throw corrupt(manifestName, 'its sha256 does not match')
  }
  const text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  return text.split('\n').slice(0, -1).map(line => JSON.parse(line) as unknown)
}

const newline = 10

function lastLine(body: Uint8Array, createHasher: CreateHasher): string {
  const hasher = createHasher()
  hasher.update(body)
  return `${JSON.stringify({ sha256: hasher.digest('hex') })}\n`
}
