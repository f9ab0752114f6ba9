import { chmodSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FlinkError } from '../core/errors.ts'
import { nodeFiles, storageError } from './node-files.ts'

let directory: string
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'flink-ts-files-'))))
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** The code and message of what `work` throws, with the test's directory left out. */
function failure(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    expect(error).toBeInstanceOf(FlinkError)
    return `${(error as FlinkError).code}: ${(error as FlinkError).message.replaceAll(directory, '')}`
  }
  throw new Error('nothing was thrown')
}
const at = (name: string) => join(directory, name)

test('what is written is read back, in pieces of any size', () => {
  const writer = nodeFiles.create(at('a'))
  writer.write(new Uint8Array([1, 2, 3]))
  writer.write(new Uint8Array([4, 5]))
  writer.sync()
  writer.close()
  nodeFiles.syncDirectory(directory)
  expect(nodeFiles.stat(at('a'))).toMatchObject({ kind: 'file', size: 5 })
  const reader = nodeFiles.openRead(at('a'))
  const into = new Uint8Array(4)
  expect([reader.read(into, 3), [...into.subarray(0, 2)], reader.read(into, 5)]).toEqual([2, [4, 5], 0])
  reader.close()
})

test('directories are made with their parents, listed in order, renamed and removed', () => {
  nodeFiles.makeDirectory(at('x/y'))
  nodeFiles.makeDirectory(at('x/y'))
  for (const name of ['c', 'a', 'b']) nodeFiles.create(at(`x/y/${name}`)).close()
  expect(nodeFiles.list(at('x/y'))).toEqual(['a', 'b', 'c'])
  nodeFiles.rename(at('x/y'), at('z'))
  expect([nodeFiles.stat(at('x/y')), nodeFiles.stat(at('z'))?.kind]).toEqual([undefined, 'directory'])
  nodeFiles.remove(at('z'))
  nodeFiles.remove(at('z'))
  expect(nodeFiles.list(at('z'))).toEqual([])
})

describe('errors name the deed, the path and the reason', () => {
  test.each([
    ['reading what is not there', () => nodeFiles.openRead(at('no')), 'STORAGE_FAILED: could not open /no: there is no such file or directory'],
    ['creating what exists', () => { nodeFiles.create(at('a')).close(); nodeFiles.create(at('a')) }, 'STORAGE_FAILED: could not create /a: it exists already'],
    ['creating without a parent', () => nodeFiles.create(at('p/a')), 'STORAGE_FAILED: could not create /p/a: there is no such file or directory'],
    ['renaming what is not there', () => nodeFiles.rename(at('no'), at('b')), 'STORAGE_FAILED: could not rename /no: there is no such file or directory'],
    ['opening a directory', () => { mkdirSync(at('d')); nodeFiles.openRead(at('d')) }, 'STORAGE_FAILED: could not open /d: it is a directory'],
    ['listing a file', () => { writeFileSync(at('f'), ''); nodeFiles.list(at('f')) }, 'STORAGE_FAILED: could not list /f: a part of the path is not a directory'],
  ])('%s', (_name, work, expected) => expect(failure(work)).toBe(expected))

  test.runIf(process.getuid?.() !== 0)('a directory without permission', () => {
    mkdirSync(at('locked'))
    chmodSync(at('locked'), 0o500)
    expect(failure(() => nodeFiles.create(at('locked/a')))).toBe('STORAGE_FAILED: could not create /locked/a: permission denied')
  })

  test.each([
    ['ENOSPC', 'DISK_FULL: could not write /data/x: no space left'],
    ['EDQUOT', 'DISK_FULL: could not write /data/x: no space left'],
    ['EIO', 'STORAGE_FAILED: could not write /data/x: the disk reports an error'],
    ['EROFS', 'STORAGE_FAILED: could not write /data/x: the file system is read-only'],
  ])('%s of the disk', (code, expected) => {
    const error = storageError('write', '/data/x', Object.assign(new Error('x'), { code }))
    expect(`${error.code}: ${error.message}`).toBe(expected)
  })
})

test('a handle may be closed twice', () => {
  const writer = nodeFiles.create(at('a'))
  writer.close()
  writer.close()
  expect(readFileSync(at('a')).length).toBe(0)
})
