import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FlinkError } from '../../runtime/core/errors.ts'
import { packageDirectory } from '../bundle/installation.ts'
import { createProject } from './create-project.ts'

let directory: string
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'flink-ts-new-')))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const create = (name: string, changes: Partial<Parameters<typeof createProject>[0]> = {}) =>
  createProject({ directory: join(directory, name), template: 'default', packageDirectory, version: '1.2.3', ...changes })
const manifestOf = (name: string) => JSON.parse(readFileSync(join(directory, name, 'package.json'), 'utf8'))

test('a project has all that it needs, under its own name', () => {
  const project = create('My Job')
  create('orders')
  expect(readFileSync(join(directory, 'orders/src/job.ts'), 'utf8')).toContain("job('orders'")
  expect(readFileSync(join(directory, 'orders/README.md'), 'utf8')).toContain('# orders')
  expect(project.files).toEqual(['.gitignore', 'README.md', 'package.json', 'src/job.test.ts', 'src/job.ts', 'tsconfig.json'])
  expect(manifestOf('My Job')).toMatchObject({ name: 'my-job', dependencies: { 'flink-ts': expect.stringMatching(/^file:/) }, devDependencies: { vitest: expect.any(String) } })
  expect(readFileSync(join(directory, 'My Job/.gitignore'), 'utf8')).toContain('.flink-ts/')
})

test('it depends on the flink-ts that made it', () => {
  const installed = join(directory, 'tool/node_modules/flink-ts')
  mkdirSync(join(installed, 'templates/default'), { recursive: true })
  writeFileSync(join(installed, 'templates/default/_package.json'), '{}')
  const lock = (resolved: string) => writeFileSync(join(directory, 'tool/node_modules/.package-lock.json'), JSON.stringify({ packages: { 'node_modules/flink-ts': { resolved } } }))

  lock('https://registry.example/flink-ts-1.2.3.tgz')
  expect(create('from-registry', { packageDirectory: `${installed}/` }).dependency).toBe('^1.2.3')

  writeFileSync(join(directory, 'flink-ts-1.2.3.tgz'), '')
  lock('file:../flink-ts-1.2.3.tgz')
  expect(create('from-tarball', { packageDirectory: `${installed}/` }).dependency).toBe('file:../flink-ts-1.2.3.tgz')

  rmSync(join(directory, 'flink-ts-1.2.3.tgz'))
  expect(create('from-lost-tarball', { packageDirectory: `${installed}/` }).dependency).toBe('file:../tool/node_modules/flink-ts')
})

test('what is there is never overwritten', () => {
  mkdirSync(join(directory, 'full'))
  writeFileSync(join(directory, 'full/precious.txt'), 'x')
  expect(() => create('full')).toThrow(expect.objectContaining({ code: 'TARGET_NOT_EMPTY', detail: 'It holds precious.txt.' }))
  mkdirSync(join(directory, 'cloned/.git'), { recursive: true })
  expect(create('cloned').files).toContain('src/job.ts')
})

test('an unknown template names its neighbours and leaves nothing behind', () => {
  expect(() => create('x', { template: 'defualt' })).toThrow(FlinkError)
  expect(() => create('x', { template: 'defualt' })).toThrow(/did you mean "default"/)
  expect(() => manifestOf('x')).toThrow(/ENOENT/)
})
