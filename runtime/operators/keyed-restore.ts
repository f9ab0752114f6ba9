/** Opens the keyed state of one operator and gives it back what the snapshot held. */
import { isWrittenWhole } from './keyed-state.ts'
import type { KeyedBlock, KeyedStateBackend } from './keyed-state.ts'
import type { ChainContext } from './chain.ts'

/** `own` gets the blocks of states that are the operator's own. The rest are tables of the backend. */
export function openKeyedState(context: ChainContext, operatorId: string, own: (block: KeyedBlock) => void): KeyedStateBackend {
  const backend = context.keyedState(operatorId)
  const kept: KeyedBlock[] = []
  function* tables() {
    for (const block of context.restored.keyed(operatorId)) {
      if (isWrittenWhole(block.state)) kept.push({ ...block, bytes: block.bytes.slice() })
      else yield block
    }
  }
  backend.restore(tables(), context.restored.checkpointId)
  kept.forEach(own)
  return backend
}
