/**
 * The secret of one cluster: 256 random bits, told to children through an inherited pipe, never in argv or environment.
 * Whoever cannot present it is refused before anything it sent is decoded.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** 64 hex digits. */
export function newToken(): string {
  return randomBytes(32).toString('hex')
}

/** Takes the same time wherever the two differ, and whatever their lengths. */
export function sameToken(given: string | Uint8Array, expected: string | Uint8Array): boolean {
  return timingSafeEqual(digest(given), digest(expected))
}

/** Hashing first makes lengths equal, so that not even the length of the token leaks. */
function digest(token: string | Uint8Array): Uint8Array {
  return createHash('sha256').update(token).digest()
}
