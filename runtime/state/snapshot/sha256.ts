import { createHash } from 'node:crypto'

/** An incremental sha256, injected so that whoever reads or writes snapshots need not be in Node. */
export interface Hasher {
  update(bytes: Uint8Array): unknown
  digest(encoding: 'hex'): string
}
export type CreateHasher = () => Hasher

export const sha256: CreateHasher = () => createHash('sha256')
