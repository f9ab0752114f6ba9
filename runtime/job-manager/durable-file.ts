/** Small files that must survive a crash at any instruction: a reader sees the old content or the new one. */
import type { FileSystem } from '../core/files.ts'
import { readAll, writeDurably } from '../state/snapshot/durable-file.ts'

export function writeDurable(files: FileSystem, path: string, bytes: Uint8Array): void {
  writeDurably(files, parentOf(path), path.slice(path.lastIndexOf('/') + 1), bytes)
}

const parentOf = (path: string) => path.slice(0, Math.max(1, path.lastIndexOf('/')))

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })
export const writeDurableJson = (files: FileSystem, path: string, value: unknown) => writeDurable(files, path, encoder.encode(`${JSON.stringify(value)}\n`))
export const readJson = (files: FileSystem, path: string): unknown => JSON.parse(decoder.decode(readAll(files, path)))
