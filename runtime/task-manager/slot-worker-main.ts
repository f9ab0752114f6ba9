/**
 * The entry of a slot's thread that runs from the sources: their types are removed as they are loaded, which Node's cache keeps. A
 * build starts `slot-thread.ts` itself, whose few modules are loaded sooner without.
 */
import { enableCompileCache } from 'node:module'

enableCompileCache()
await import('./slot-thread.ts')
