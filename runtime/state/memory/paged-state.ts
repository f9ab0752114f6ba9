/**
 * The keyed state of one chain: both backends are this class. `hashmap` has no page store behind it and keeps
 * everything in memory; `lmdb` has (`lmdb/page-store.ts`) and holds its memory limit.
 */
import { FlinkError } from '../../core/errors.ts'
import { assert } from '../../core/assert.ts'
import type { KeyGroupRange } from '../../core/key-group.ts'
import type { KeyedBlock, KeyedStateBackend, KeyedStateStats, MapTable, SnapshotOrder, SnapshotRun, SnapshotSink, ValueTable } from '../../operators/keyed-state.ts'
import { CurrentKey } from './current-key.ts'
import { PagedMapTable } from './map-table.ts'
import { TableInfo } from './page.ts'
import type { TableKind } from './page.ts'
import type { PageStore } from './page-store.ts'
import { PagedSnapshot } from './paged-snapshot.ts'
import { Pager } from './pager.ts'
import { decodeMaps, decodeRemoved, decodeValues, meaningOf, readBlock } from './section.ts'
import type { Section } from './section.ts'
import { SnapshotChains } from './snapshot-chains.ts'
import { Table } from './table.ts'
import { PagedValueTable } from './value-table.ts'

export interface PagedStateOptions {
  readonly keyGroups: KeyGroupRange
  readonly maxParallelism: number
  /** Bytes; used only with a store. */
  readonly memoryLimit: number
  readonly store: PageStore | undefined
  /** ms, any origin. */
  readonly clock: () => number
  /** Snapshots of changes wherever they are possible, and not where they save something: for tests. */
  readonly alwaysChanges?: boolean
}

type OpenTable = { readonly kind: 'value'; readonly table: Table; readonly values: PagedValueTable } | { readonly kind: 'map'; readonly table: Table; readonly maps: PagedMapTable }

export class PagedState implements KeyedStateBackend {
  readonly keyGroups: KeyGroupRange
  readonly maxParallelism: number
  readonly #store: PageStore | undefined
  readonly #current: CurrentKey
  readonly #pager: Pager
  readonly #tables = new Map<string, OpenTable>()
  readonly #chains: SnapshotChains
  #closed = false

  constructor(options: PagedStateOptions) {
    this.keyGroups = options.keyGroups
    this.maxParallelism = options.maxParallelism
    this.#store = options.store
    this.#current = new CurrentKey(options.keyGroups, options.maxParallelism)
    this.#pager = new Pager({ current: this.#current, limit: options.memoryLimit, store: options.store, clock: options.clock })
    this.#chains = new SnapshotChains(this.#pager, options.alwaysChanges ?? false)
  }

  setCurrentKey(key: unknown, hash?: number): void {
    this.#current.set(key, hash)
  }

  currentKey(): unknown {
    return this.#current.key
  }

  currentKeyGroup(): number {
    this.#current.resolve()
    return this.#current.keyGroup
  }

  values(name: string): ValueTable {
    return this.#valueTable(name)
  }

  maps(name: string): MapTable {
    return this.#mapTable(name)
  }

  startSnapshot(sink: SnapshotSink, order?: SnapshotOrder): SnapshotRun {
    const { since, epoch, written } = this.#chains.next(order)
    const counted: SnapshotSink = {
      keyed(state, keyGroup, bytes) {
        written(bytes.length)
        sink.keyed(state, keyGroup, bytes)
      },
      list: (state, items) => sink.list(state, items),
    }
    const run = new PagedSnapshot(this.#pager, [...this.#tables.values()].map(open => open.table), counted, epoch)
    return { since, step: budget => run.step(budget), abort: () => run.abort() }
  }

  restore(blocks: Iterable<KeyedBlock>, checkpointId?: number): void {
    const read = { length: 1, whole: 0, changes: 0, wholeEntries: 0, changedEntries: 0 }
    for (const { state, keyGroup, bytes, link = 0, piece } of blocks) {
      if (keyGroup < this.keyGroups.start || keyGroup > this.keyGroups.end) continue
      const isChange = link > 0
      read[isChange ? 'changes' : 'whole'] += bytes.length
      read.length = Math.max(read.length, link + 1)
      const { kind, sections } = readBlock(bytes, state, piece)
      for (const section of sections) {
        read[isChange ? 'changedEntries' : 'wholeEntries'] += section.count
        if (kind === 'value') restoreValues(this.#valueTable(state), keyGroup, section, isChange)
        else restoreMaps(this.#mapTable(state), keyGroup, section, isChange)
        this.#pager.makeRoom()
      }
    }
    if (checkpointId !== undefined) this.#chains.restored(checkpointId, read)
    this.#current.outdate()
  }

  maintain(): void {
    this.#pager.maintain()
  }

  stats(): KeyedStateStats {
    const pager = this.#pager
    return { entriesInMemory: pager.entries, bytesInMemory: pager.bytes, evictions: pager.evictions, loads: pager.loads, bytesOnDisk: pager.bytesInStore }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#tables.clear()
    this.#store?.close()
  }

  #valueTable(name: string): PagedValueTable {
    const open = this.#tables.get(name) ?? this.#create(name, 'value')
    if (open.kind !== 'value') throw wrongKind(name, open.kind, 'value')
    return open.values
  }

  #mapTable(name: string): PagedMapTable {
    const open = this.#tables.get(name) ?? this.#create(name, 'map')
    if (open.kind !== 'map') throw wrongKind(name, open.kind, 'map')
    return open.maps
  }

  #create(name: string, kind: TableKind): OpenTable {
    assert(!this.#closed, `state "${name}" is opened after close`)
    const table = new Table(new TableInfo(name, kind, this.#tables.size), this.#current, this.#pager, this.keyGroups)
    const open: OpenTable = kind === 'value' ? { kind, table, values: new PagedValueTable(table) } : { kind, table, maps: new PagedMapTable(table) }
    this.#tables.set(name, open)
    return open
  }
}

function restoreValues(table: PagedValueTable, keyGroup: number, section: Section, isChange: boolean): void {
  const { namespace } = section
  switch (meaningOf(section)) {
    case 'gone':
      return table.restoreGone(namespace, keyGroup)
    case 'removed':
      for (const key of decodeRemoved('value', section).keys) table.restoreRemoval(namespace, keyGroup, key)
      return
    default: {
      const entries = decodeValues(section)
      if (!isChange) return table.restore(namespace, keyGroup, entries)
      table.restoreChanges(namespace, keyGroup, entries)
    }
  }
}

function restoreMaps(table: PagedMapTable, keyGroup: number, section: Section, isChange: boolean): void {
  const { namespace } = section
  switch (meaningOf(section)) {
    case 'gone':
      return table.restoreGone(namespace, keyGroup)
    case 'removed': {
      const { keys, fields } = decodeRemoved('map', section)
      keys.forEach((key, i) => table.restoreRemoval(namespace, keyGroup, key, fields[i]))
      return
    }
    default: {
      const maps = decodeMaps(section)
      if (!isChange) return table.restore(namespace, keyGroup, maps)
      let at = 0
      maps.keys.forEach((key, i) => {
        for (let left = maps.sizes[i] as number; left > 0; left--, at++) table.restoreChange(namespace, keyGroup, key, maps.fields[at], maps.values[at])
      })
    }
  }
}

function wrongKind(name: string, is: TableKind, asked: TableKind): FlinkError {
  const words = { value: 'a single value per key', map: 'a map per key' }
  return new FlinkError('STATE_INCOMPATIBLE', `state "${name}" holds ${words[is]} and cannot be opened as ${words[asked]}`)
}
