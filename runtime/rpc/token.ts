/**
 * The secret of one cluster: 256 random bits, told to children through an inherited pipe, never in argv or environment.
 * Whoever cannot present it is refused before anything it sent is decoded.
 */
import { randomBytes } from './random-bytes.ts'

/** 64 hex digits. */
export function newToken(): string {
  return randomBytes(32).toString('hex')
}

/**
 * Takes the same time wherever the two differ. Not `timingSafeEqual`: every slot compares tokens as it starts, and to load Node's
 * cryptography for it takes each of them 6 ms.
 */
export function sameToken(given: string | Uint8Array, expected: string | Uint8Array): boolean {
  const left = bytesOf(given)
  const right = bytesOf(expected)
  // How long a token is, is no secret.
  let difference = left.length ^ right.length
  for (let i = 0; i < right.length; i++) difference |= (left[i] ?? 0) ^ (right[i] as number)
  return difference === 0
}

const encoder = new TextEncoder()
const bytesOf = (token: string | Uint8Array) => (typeof token === 'string' ? encoder.encode(token) : token)
