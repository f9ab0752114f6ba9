import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Page, Root, TableInfo } from '../memory/page.ts'
import { openEnvironment } from './environment.ts'
import type { Environment } from './environment.ts'
import { LmdbPageStore } from './page-store.ts'
import { storageError } from './storage-error.ts'

let directory: string
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'page-store-')), 'slot-0')
})
afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }))

const root = new Root(new TableInfo('v', 'value', 0), 0, 3, 0)
const newPage = () => new Page(root, 0, 0, 0)
const blob = (text: string, length = 100) => new TextEncoder().encode(text.padEnd(length))
const turns = async (n: number) => {
  for (let i = 0; i < n; i++) await new Promise(resolve => setImmediate(resolve))
}
async function committed(environment: Environment): Promise<void> {
  await environment.database.put(new Uint8Array([1]), new Uint8Array(1))
  await turns(1)
}

test('what was just written is read back before and after it is committed; the newest wins', async () => {
  const environment = openEnvironment(directory)
  const store = new LmdbPageStore(environment, 1000)
  const page = newPage()
  store.write(page, blob('one'))
  store.write(page, blob('two'))
  expect(store.read(page)).toEqual(blob('two'))
  await committed(environment)
  expect(new Uint8Array(store.read(page))).toEqual(blob('two'))
  store.writeNow(page, blob('three'))
  expect(new Uint8Array(store.read(page))).toEqual(blob('three'))
  store.write(page, blob('four'))
  store.writeNow(page, blob('five'))
  await committed(environment)
  expect(new Uint8Array(store.read(page))).toEqual(blob('five'))
  expect(store.bytes).toBe(100)
  store.remove(page)
  await committed(environment)
  expect(store.bytes).toBe(0)
  expect(() => store.read(page)).toThrow('a page of state "v" is not in LMDB')
  store.close()
})

test.each([
  ['an older version', true],
  ['nothing at all', false],
])('a write that LMDB said it had done and had not: %s is there, and is not taken for the page', async (_, older) => {
  const environment = openEnvironment(directory)
  const { database } = environment
  // What lmdb does when the transaction that a `putSync` has joined does not commit.
  const forgets = { owner: environment.owner, release: environment.release, database: Object.create(database, { putSync: { value: () => true } }) as typeof database }
  const page = newPage()
  if (older) new LmdbPageStore(environment, 1000).writeNow(page, blob('one'))
  const store = new LmdbPageStore(forgets, 1000)
  store.writeNow(page, blob('two'))
  expect(() => store.read(page)).toThrow(expect.objectContaining({ code: 'DISK_FULL', detail: 'Commit failed: a page of state "v" was written and is not there' }))
  store.close()
})

test('the write-behind buffer has a bound, and room again when LMDB has committed', async () => {
  const environment = openEnvironment(directory)
  const store = new LmdbPageStore(environment, 1000)
  for (let i = 0; i < 9; i++) store.write(newPage(), blob(`${i}`))
  expect(store.ready).toBe(true)
  store.write(newPage(), blob('9'))
  expect(store.ready).toBe(false)
  await committed(environment)
  expect(store.ready).toBe(true)
  store.close()
})

test('a removal that is late does not hit a new page at the same place', async () => {
  const environment = openEnvironment(directory)
  const store = new LmdbPageStore(environment, 1000)
  const old = newPage()
  store.writeNow(old, blob('old'))
  store.remove(old)
  const young = newPage()
  store.writeNow(young, blob('young'))
  await committed(environment)
  expect(new Uint8Array(store.read(young))).toEqual(blob('young'))
  store.close()
})

test('what an earlier attempt left is deleted at open, and everything at close; strangers stay', async () => {
  mkdirSync(directory)
  writeFileSync(join(directory, 'data.mdb'), 'not a database')
  writeFileSync(join(directory, 'notes.txt'), 'mine')
  const store = new LmdbPageStore(openEnvironment(directory), 1000)
  store.writeNow(newPage(), blob('x'))
  expect(existsSync(join(directory, 'data.mdb'))).toBe(true)
  store.close()
  store.close()
  expect(readdirSync(directory)).toEqual(['notes.txt'])
  const again = new LmdbPageStore(openEnvironment(directory), 1000)
  expect(() => again.read(newPage())).toThrow('not in LMDB')
  again.close()
  await turns(3)
})

test.each([
  ['the disk is full', Object.assign(new Error('No space left on device'), { code: 28 }), 'DISK_FULL'],
  ['as LMDB often says it', Object.assign(new Error('Input/output error'), { code: 5 }), 'DISK_FULL'],
  ['something else', new Error('MDB_PANIC: fatal error'), 'STORAGE_FAILED'],
])('a commit that fails, %s: the blob is kept, the next turn fails, and no rejection is left over', async (_, cause, code) => {
  const real = openEnvironment(directory)
  // As lmdb-js does it: the put's rejection carries a second promise, which is rejected by itself.
  const put = () => Promise.reject(Object.assign(new Error('Commit failed (see commitError for details)'), { commitError: Promise.reject(cause) }))
  const failing = { ...real, database: { getBinary: () => undefined, put } } as unknown as Environment
  const rejections: unknown[] = []
  const seen = (reason: unknown) => rejections.push(reason)
  process.on('unhandledRejection', seen)
  const store = new LmdbPageStore(failing, 1000)
  const page = newPage()
  store.write(page, blob('precious'))
  await turns(3)
  process.off('unhandledRejection', seen)
  expect(rejections).toEqual([])
  expect(() => store.check()).toThrow(expect.objectContaining({ code }))
  expect(store.read(page)).toEqual(blob('precious'))
  store.close()
})

test.each([
  [{ code: 'ENOSPC' }, 'DISK_FULL'],
  [{ code: 28 }, 'DISK_FULL'],
  [Object.assign(new Error('Input/output error'), { code: 5 }), 'DISK_FULL'],
  // lmdb's own words, before it says why.
  [new Error('Commit failed (see commitError for details)'), 'DISK_FULL'],
  [Object.assign(new Error('Permission denied'), { code: 13 }), 'STORAGE_FAILED'],
])('what lmdb reports as %o is %s', (error, code) => {
  expect(storageError(error, 'cannot move keyed state to disk')).toMatchObject({ code })
})
