import { expect, test } from 'vitest'
import { FlinkError } from '../../runtime/core/errors.ts'
import { defaultJobConfig } from '../../runtime/graph/config.ts'
import { configKeys } from '../../runtime/graph/config-keys.ts'
import { clusterKeys, configPage, parseRunConfig } from './job-config.ts'

const parse = (...properties: string[]) => parseRunConfig({ properties, args: {} })
const refused = (property: string) => {
  try {
    parse(property)
  } catch (error) {
    if (error instanceof FlinkError) return `${error.code}: ${error.message}`
    throw error
  }
  return undefined
}

test('without anything it is the default', () => {
  expect(parse()).toEqual({ job: defaultJobConfig, cluster: { memoryLimit: undefined, cancelGraceMs: undefined, passEnvironment: [] } })
})

test('keys of the job and of its processes go where they belong', () => {
  const { job, cluster } = parse('execution.checkpointing.interval=10s', 'taskmanager.memory=2 gb', 'task.cancellation.timeout=500ms', 'taskmanager.pass-environment=A, B')
  expect(job.checkpointing.interval).toBe(10_000)
  expect(cluster).toEqual({ memoryLimit: 2 * 1024 ** 3, cancelGraceMs: 500, passEnvironment: ['A', 'B'] })
})

test('a flag wins over a key, and the last key over the first', () => {
  expect(parse('parallelism.default=2', 'parallelism.default=3').job.parallelism).toBe(3)
  expect(parseRunConfig({ properties: ['parallelism.default=2'], parallelism: 4, args: { input: 'a' } }).job).toMatchObject({ parallelism: 4, args: { input: 'a' } })
})

test.each([
  ['parallelism.defualt=2', 'UNKNOWN_CONFIG_KEY: -D parallelism.defualt: there is no such key; did you mean "parallelism.default"?'],
  ['taskmanager.memroy=2', 'UNKNOWN_CONFIG_KEY: -D taskmanager.memroy: there is no such key; did you mean "taskmanager.memory"?'],
  ['parallelism', 'INVALID_OPTION: -D "parallelism" is not key=value'],
  ['constructor=1', 'UNKNOWN_CONFIG_KEY: -D constructor: there is no such key'],
  ['taskmanager.memory=lots', 'INVALID_OPTION: taskmanager.memory: "lots" is not allowed'],
  ['task.cancellation.timeout=soon', 'INVALID_OPTION: task.cancellation.timeout: "soon" is not allowed'],
  ['interval=1 s', 'UNKNOWN_CONFIG_KEY: -D interval: there is no such key; did you mean "execution.checkpointing.interval"?'],
])('%s is refused', (property, message) => {
  expect(refused(property)).toBe(message)
})

test('every key is explained', () => {
  for (const { key } of [...configKeys, ...clusterKeys]) expect(configPage()).toContain(`  ${key}=`)
})
