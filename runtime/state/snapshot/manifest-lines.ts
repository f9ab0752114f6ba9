/** What a manifest says, and the strict reader of its lines: every field is checked, and a name must stay inside the directory, or in that of a checkpoint beside it. */
import { FlinkError } from '../../core/errors.ts'
import type { SourcePosition } from '../../core/errors.ts'
import { corrupt } from './snapshot-file.ts'
import type { CheckpointKind } from '../../core/batch.ts'
import type { Timestamp } from '../../core/time.ts'

/** Since version 2 the sha256 of a file is not of all its bytes (`snapshot-file.ts`): who reads another version would take it for damaged. */
export const manifestVersion = 2
const file = '_metadata'
const checkpointKinds = ['checkpoint', 'savepoint', 'stop', 'stop-drain'] as const
const hex64 = /^[0-9a-f]{64}$/
const namePattern = /^[a-z0-9._/-]+$/

export interface Manifest {
  readonly jobId: string
  readonly jobName: string
  readonly graphHash: string
  readonly checkpointId: number
  readonly kind: CheckpointKind
  /** When it was triggered and when it was complete; epoch ms. */
  readonly triggeredAt: Timestamp
  readonly completedAt: Timestamp
  readonly operators: readonly ManifestOperator[]
  /** States of split enumerators and the like, by operator id. */
  readonly coordinators: readonly { readonly operatorId: string; readonly state: Uint8Array }[]
}

export interface ManifestOperator {
  readonly id: string
  readonly name: string
  readonly uid?: string
  /** What it is, as in the job graph: `map`, `window`, `sink`. */
  readonly kind: string
  /** Where the user wrote it. */
  readonly at?: SourcePosition
  readonly parallelism: number
  readonly maxParallelism: number
  readonly states: readonly ManifestState[]
  /** By subtask. */
  readonly subtasks: readonly ManifestSubtask[]
}

export interface ManifestState {
  readonly name: string
  readonly kind: 'keyed' | 'list'
}

export interface ManifestFile {
  /** Relative to the manifest's directory: in it, or `../NAME/...` in that of an earlier checkpoint beside it. */
  readonly name: string
  readonly bytes: number
  readonly sha256: string
}

export type ManifestSubtask =
  /** Operators of one chain share a file. `earlier`: files of other snapshots that it goes on from, the earliest first. */
  | ({ readonly kind: 'file'; readonly earlier?: readonly ManifestFile[] } & ManifestFile)
  /** Took part without having state. */
  | { readonly kind: 'empty' }
  /** Had reached its end and left nothing. */
  | { readonly kind: 'finished' }

export interface Header {
  readonly header: Omit<Manifest, 'operators' | 'coordinators'>
  readonly operators: number
  readonly coordinators: number
}

export function headerOf(line: unknown): Header {
  const fields = object(line, 'its first line')
  const version = fields['manifest']
  if (typeof version !== 'number') throw corrupt(file, 'its first line says no version')
  if (version !== manifestVersion) throw new FlinkError('SNAPSHOT_VERSION', `${file}: manifest version ${version} is not known`)
  return {
    header: {
      jobId: text(fields, 'jobId'),
      jobName: text(fields, 'jobName'),
      graphHash: text(fields, 'graphHash'),
      checkpointId: whole(fields, 'checkpointId'),
      kind: oneOf(fields, 'kind', checkpointKinds),
      triggeredAt: number(fields, 'triggeredAt'),
      completedAt: number(fields, 'completedAt'),
    },
    operators: whole(fields, 'operators'),
    coordinators: whole(fields, 'coordinators'),
  }
}

export function operatorOf(line: unknown): ManifestOperator {
  const fields = object(object(line, 'an operator')['operator'], 'an operator')
  const subtasks = array(fields, 'subtasks').map(subtaskOf)
  const parallelism = whole(fields, 'parallelism')
  if (subtasks.length !== parallelism) throw corrupt(file, `operator "${text(fields, 'name')}" has ${subtasks.length} subtasks and parallelism ${parallelism}`)
  return {
    id: text(fields, 'id'),
    name: text(fields, 'name'),
    ...(fields['uid'] === undefined ? {} : { uid: text(fields, 'uid') }),
    kind: text(fields, 'kind'),
    ...(fields['at'] === undefined ? {} : { at: positionOf(fields['at']) }),
    parallelism,
    maxParallelism: whole(fields, 'maxParallelism'),
    states: array(fields, 'states').map(stateOf),
    subtasks,
  }
}

export function coordinatorOf(line: unknown): Manifest['coordinators'][number] {
  const fields = object(object(line, 'a coordinator')['coordinator'], 'a coordinator')
  return { operatorId: text(fields, 'operatorId'), state: new Uint8Array(Buffer.from(text(fields, 'state'), 'base64')) }
}

function stateOf(value: unknown): ManifestState {
  const fields = object(value, 'a state')
  return { name: text(fields, 'name'), kind: oneOf(fields, 'kind', ['keyed', 'list'] as const) }
}

function subtaskOf(value: unknown): ManifestSubtask {
  const fields = object(value, 'a subtask')
  const kind = oneOf(fields, 'kind', ['file', 'empty', 'finished'] as const)
  if (kind !== 'file') return { kind }
  const earlier = fields['earlier'] === undefined ? [] : array(fields, 'earlier').map(each => fileOf(object(each, 'an earlier file'), besideName))
  return { kind, ...fileOf(fields, insideName), ...(earlier.length > 0 && { earlier }) }
}

function fileOf(fields: Fields, nameOf: (name: string) => string): ManifestFile {
  const sha256 = text(fields, 'sha256')
  if (!hex64.test(sha256)) throw corrupt(file, `${JSON.stringify(sha256)} is not a sha256`)
  return { name: nameOf(text(fields, 'name')), bytes: whole(fields, 'bytes'), sha256 }
}

/** A name inside a directory beside this one. */
function besideName(name: string): string {
  if (!name.startsWith('../') || !name.slice(3).includes('/')) throw corrupt(file, `${JSON.stringify(name)} is not a name inside another checkpoint`)
  insideName(name.slice(3))
  return name
}

/** A relative name of plain characters that no part of leads elsewhere. */
function insideName(name: string): string {
  const parts = name.split('/')
  if (!namePattern.test(name) || parts.some(part => part === '' || part === '.' || part === '..')) {
    throw corrupt(file, `${JSON.stringify(name)} is not a name inside the snapshot`)
  }
  return name
}

function positionOf(value: unknown): SourcePosition {
  const fields = object(value, 'a source position')
  return { file: text(fields, 'file'), line: whole(fields, 'line'), ...(fields['column'] === undefined ? {} : { column: whole(fields, 'column') }) }
}

type Fields = Record<string, unknown>

function object(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw corrupt(file, `${what} is not an object`)
  return value as Fields
}

function text(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string') throw corrupt(file, `"${name}" is not text`)
  return value
}

function number(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value !== 'number' || !Number.isFinite(value)) throw corrupt(file, `"${name}" is not a number`)
  return value
}

function whole(fields: Fields, name: string): number {
  const value = number(fields, name)
  if (!Number.isSafeInteger(value) || value < 0) throw corrupt(file, `"${name}" is not a whole number`)
  return value
}

function array(fields: Fields, name: string): unknown[] {
  const value = fields[name]
  if (!Array.isArray(value)) throw corrupt(file, `"${name}" is not a list`)
  return value as unknown[]
}

function oneOf<T extends string>(fields: Fields, name: string, allowed: readonly T[]): T {
  const value = text(fields, name)
  const found = allowed.find(one => one === value)
  if (found === undefined) throw corrupt(file, `"${name}" is ${JSON.stringify(value)}`)
  return found
}
