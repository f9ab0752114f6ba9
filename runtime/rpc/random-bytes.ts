/**
 * Bytes that nobody can guess, from the kernel where they can be had without Node's cryptography: loading that takes 5 ms, and
 * the processes of a cluster wait for its id, its token and the place of its sockets.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { randomBytes as fromNode } from 'node:crypto'

export function randomBytes(length: number): Buffer {
  try {
    const source = openSync('/dev/urandom', 'r')
    try {
      const bytes = Buffer.alloc(length)
      if (readSync(source, bytes) === length) return bytes
    } finally {
      closeSync(source)
    }
  } catch {
    // Not there: Node has other ways.
  }
  return fromNode(length)
}
