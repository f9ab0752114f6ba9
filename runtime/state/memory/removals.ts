/**
 * What was removed since the checkpoints that a snapshot may go on from: a snapshot of what has changed must say what is
 * gone. Removals are kept by the snapshot that began last before them, so that those that no snapshot can ask for any more
 * go all at once. When there are more of them than entries, all are forgotten: the next snapshot holds everything.
 */
import type { Root, TableInfo } from './page.ts'
import type { Namespace } from '../../operators/keyed-state.ts'

/** Entries of one root that were removed: keys of a value table; of a map table each with its field. */
export interface RemovedEntries {
  readonly keys: unknown[]
  readonly fields: unknown[]
}

/** All of one (state, namespace, key group). */
export interface RemovedRoot {
  readonly table: TableInfo
  readonly namespace: Namespace
  readonly keyGroup: number
}

/** Those between one snapshot and the next. */
export class Removed {
  readonly entries = new Map<Root, RemovedEntries>()
  readonly roots: RemovedRoot[] = []
  count = 0

  of(root: Root): RemovedEntries {
    let removed = this.entries.get(root)
    if (removed === undefined) this.entries.set(root, (removed = { keys: [], fields: [] }))
    return removed
  }
}

/** So many are never too many. */
const fewRemovals = 10_000

export class Removals {
  readonly #byEpoch = new Map<number, Removed>()
  /** Of entries and of roots. */
  count = 0
  /** What was removed before this snapshot is not known any more. */
  knownFrom = 0

  /** `key` and `field` are state's own. */
  entry(epoch: number, root: Root, key: unknown, field?: unknown): void {
    // No snapshot knows of it.
    if (root.epoch >= epoch) return
    const removed = this.#in(epoch)
    const { keys, fields } = removed.of(root)
    keys.push(key)
    if (root.table.kind === 'map') fields.push(field)
    this.#counted(removed, 1)
  }

  root(epoch: number, root: Root): void {
    if (root.epoch >= epoch) return
    this.#forgetEntries(epoch, root)
    const removed = this.#in(epoch)
    removed.roots.push({ table: root.table, namespace: root.namespace, keyGroup: root.keyGroup })
    this.#counted(removed, 1)
  }

  /** Its single entries say nothing beside the root. What a running snapshot may hold is of an earlier epoch. */
  #forgetEntries(epoch: number, root: Root): void {
    const removed = this.#byEpoch.get(epoch)
    const entries = removed?.entries.get(root)
    if (removed === undefined || entries === undefined) return
    removed.entries.delete(root)
    this.#counted(removed, -entries.keys.length)
  }

  #in(epoch: number): Removed {
    let removed = this.#byEpoch.get(epoch)
    if (removed === undefined) this.#byEpoch.set(epoch, (removed = new Removed()))
    return removed
  }

  #counted(removed: Removed, by: number): void {
    removed.count += by
    this.count += by
  }

  /** Those from snapshot `since` on, before `until`. */
  between(since: number, until: number): Removed[] {
    return [...this.#byEpoch].flatMap(([epoch, removed]) => (epoch >= since && epoch < until ? [removed] : []))
  }

  /** `epoch` is that of now. */
  bound(epoch: number, entries: number): void {
    if (this.count <= fewRemovals || this.count <= entries) return
    this.knownFrom = epoch + 1
    this.forgetBefore(this.knownFrom)
  }

  /** Nobody asks for what was before `epoch`. */
  forgetBefore(epoch: number): void {
    for (const [at, removed] of this.#byEpoch) {
      if (at >= epoch) continue
      this.#byEpoch.delete(at)
      this.count -= removed.count
    }
  }
}
