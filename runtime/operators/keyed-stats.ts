import type { KeyedStateBackend } from './keyed-state.ts'
import type { OperatorStats } from './operator.ts'

/** What a keyed operator reports of its state; nothing before it was opened. */
export function keyedStats(backend: KeyedStateBackend | undefined): OperatorStats {
  if (backend === undefined) return {}
  const { bytesInMemory, bytesOnDisk, evictions, loads } = backend.stats()
  return { stateBytes: bytesInMemory + bytesOnDisk, stateEvictions: evictions, stateLoads: loads }
}
