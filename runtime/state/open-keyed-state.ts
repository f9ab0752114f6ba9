/** The keyed state of one chain, of the backend that the job asks for. */
import type { KeyedStateBackend } from '../operators/keyed-state.ts'
import type { KeyedStateOptions } from '../slot/host.ts'
import { openEnvironment } from './lmdb/environment.ts'
import { LmdbPageStore } from './lmdb/page-store.ts'
import { PagedState } from './memory/paged-state.ts'

const megabyte = 1024 * 1024

/**
 * @param directory Of the slot alone, absolute: `lmdb` keeps its working copy here. All states of a slot share it.
 * @param clock ms from any origin, such as `performance.now`; bounds the slices of `maintain`.
 * @param alwaysChanges As in `PagedStateOptions`.
 */
export function openKeyedState(options: KeyedStateOptions, directory: string, clock: () => number, alwaysChanges = false): KeyedStateBackend {
  const { keyGroups, maxParallelism, memoryLimit } = options
  const store = options.backend === 'hashmap' ? undefined : new LmdbPageStore(openEnvironment(directory), Math.min(Math.max(memoryLimit / 4, 4 * megabyte), 64 * megabyte))
  return new PagedState({ keyGroups, maxParallelism, memoryLimit, store, clock, alwaysChanges })
}
