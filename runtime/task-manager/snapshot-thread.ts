/** The thread's side of `threaded-snapshot-files.ts`: the entry of a thread that knows no jobs, and loads nothing of a slot. */
import { parentPort } from 'node:worker_threads'
import { assert } from '../core/assert.ts'
import { DirectSnapshotFiles } from './direct-snapshot-files.ts'
import { nodeFiles } from '../deploy/node-files.ts'
import type { FromFilesThread, ToFilesThread } from './slot-messages.ts'

const port = parentPort
assert(port, 'snapshots are written in a thread of their own')
const files = new DirectSnapshotFiles(nodeFiles)
const post = (message: FromFilesThread) => port.postMessage(message)
port.on('message', (message: ToFilesThread) => {
  if (message.kind === 'write') files.write(message.path, message.block, () => post({ kind: 'taken', id: message.id }))
  else if (message.kind === 'finish') files.finish(message.path, result => post({ kind: 'finished', id: message.id, result }))
  else files.discard(message.path)
})
