/** The thread's side of `threaded-snapshot-files.ts`: the entry of a thread that knows no jobs, and loads nothing of a slot. */
import { parentPort } from 'node:worker_threads'
import { assert } from '../core/assert.ts'
import { DirectSnapshotFiles } from './direct-snapshot-files.ts'
import { nodeFiles } from '../deploy/node-files.ts'
import { stepBack } from '../deploy/step-back.ts'
import type { FromFilesThread, ToFilesThread } from './slot-messages.ts'

const port = parentPort
assert(port, 'snapshots are written in a thread of their own')
stepBack()
const files = new DirectSnapshotFiles(nodeFiles)
port.on('message', (messages: readonly ToFilesThread[]) => {
  const answers: FromFilesThread[] = []
  for (const message of messages) {
    if (message.kind === 'write') files.write(message.path, message.block, () => answers.push({ kind: 'taken', id: message.id }))
    else if (message.kind === 'finish') files.finish(message.path, result => answers.push({ kind: 'finished', id: message.id, result }))
    else files.discard(message.path)
  }
  if (answers.length > 0) port.postMessage(answers)
})
