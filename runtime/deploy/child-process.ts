/**
 * The child's side of a life line. A child of a cluster reads its bootstrap from standard input; when that pipe ends, its
 * root is gone, and the child removes what the cluster leaves behind and kills itself, with whatever its threads and its
 * own children are doing. Only main threads use this, and they never run user code, so nothing can hold it up.
 */
import { writeSync } from 'node:fs'
import type { ErrorData } from '../core/errors.ts'
import type { ChildLine } from './process-events.ts'

const upwards = 3
const maxLineBytes = 1024 * 1024

export interface LifeLine<Bootstrap> {
  readonly bootstrap: Bootstrap
  /** Gets the lines that follow. */
  onLine(listener: (line: unknown) => void): void
}

/** Resolves with the first line. `orphaned` is called once when the pipe ends, before or after that. */
export function openLifeLine<Bootstrap>(orphaned: (bootstrap: Bootstrap | undefined) => void): Promise<LifeLine<Bootstrap>> {
  const { promise, resolve } = Promise.withResolvers<LifeLine<Bootstrap>>()
  let bootstrap: Bootstrap | undefined
  let text = ''
  let listener: ((line: unknown) => void) | undefined
  const early: unknown[] = []
  let over = false
  const end = () => {
    if (over) return
    over = true
    orphaned(bootstrap)
  }
  process.stdin.setEncoding('utf8')
  process.stdin.on('data', (chunk: string) => {
    text += chunk
    if (text.length > maxLineBytes) return end()
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
      // Written by our own parent, who is trusted with everything.
      const line: unknown = JSON.parse(text.slice(0, at))
      text = text.slice(at + 1)
      if (bootstrap !== undefined) {
        if (listener) listener(line)
        else early.push(line)
        continue
      }
      bootstrap = line as Bootstrap
      resolve({
        bootstrap,
        onLine(next) {
          listener = next
          for (const held of early.splice(0)) next(held)
        },
      })
    }
  })
  process.stdin.on('end', end)
  process.stdin.on('error', end)
  process.stdin.on('close', end)
  return promise
}

/** Tells the parent; synchronous, so that it works as last words. A parent that is gone or does not listen is fine. */
export function tellParent(line: ChildLine): void {
  try {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
    for (let written = 0; written < bytes.length; ) written += writeSync(upwards, bytes, written)
  } catch {
    // The life line says the rest.
  }
}

/** Ends this process whatever its threads do: `process.exit` waits for a worker that is in a blocking call, a signal does not. */
export function dieNow(error?: ErrorData): never {
  if (error !== undefined) tellParent({ kind: 'dying', error })
  // The group first: it holds what user code may have started.
  try {
    process.kill(-process.pid, 'SIGKILL')
  } catch {
    // Not the leader of a group: started by hand.
  }
  process.kill(process.pid, 'SIGKILL')
  throw new Error('unreachable: SIGKILL cannot be caught')
}
