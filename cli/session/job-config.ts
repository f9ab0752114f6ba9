/**
 * From `-D key=value` and flags to typed configuration, once. The keys of a job are the table of `graph/config-keys.ts`;
 * those of the processes that run it are here. Settings made in code win over these, as in Flink.
 */
import { FlinkError } from '../../runtime/core/errors.ts'
import { configKeys, parseConfig, readBytes, readDuration, unknownKey, type ConfigKey } from '../../runtime/graph/config-keys.ts'
import type { JobConfig } from '../../runtime/graph/config.ts'

export interface ConfigSources {
  /** `key=value`, as written; the last of several wins. */
  readonly properties: readonly string[]
  /** `--parallelism`; wins over `parallelism.default`. */
  readonly parallelism?: number | undefined
  /** Of the job, after `--`. */
  readonly args: Readonly<Record<string, string>>
}
export interface RunConfig {
  readonly job: JobConfig
  readonly cluster: ClusterConfig
}
/** Of the processes; undefined leaves it to them. */
export interface ClusterConfig {
  /** Bytes of RSS that a TaskManager may have. */
  readonly memoryLimit: number | undefined
  /** ms that a task may take to cancel before its TaskManager is killed. */
  readonly cancelGraceMs: number | undefined
  /** Names of environment variables that user code gets besides the usual ones. */
  readonly passEnvironment: readonly string[]
}

export const clusterKeys: readonly ConfigKey[] = [
  { key: 'taskmanager.memory', type: 'bytes', default: 'no limit', description: 'memory that a TaskManager may use before it is stopped and replaced' },
  { key: 'taskmanager.pass-environment', type: 'names, separated by commas', default: 'none', description: 'environment variables that user code gets besides the usual ones' },
  { key: 'task.cancellation.timeout', type: 'duration', default: '2 s', description: 'how long a task may take to cancel before its TaskManager is killed' },
]

/** @throws {FlinkError} UNKNOWN_CONFIG_KEY or INVALID_OPTION naming the key */
export function parseRunConfig({ properties, parallelism, args }: ConfigSources): RunConfig {
  const forJob: Record<string, string> = {}
  let cluster: ClusterConfig = { memoryLimit: undefined, cancelGraceMs: undefined, passEnvironment: [] }
  for (const [key, value] of parseProperties(properties)) {
    if (configKeys.some(row => row.key === key)) forJob[key] = value
    else if (key === 'taskmanager.memory') cluster = { ...cluster, memoryLimit: readBytes(key, value) }
    else if (key === 'task.cancellation.timeout') cluster = { ...cluster, cancelGraceMs: readDuration(key, value, 0) }
    else if (key === 'taskmanager.pass-environment') cluster = { ...cluster, passEnvironment: value.split(',').map(name => name.trim()).filter(name => name !== '') }
    else throw unknownKey(key, [...configKeys, ...clusterKeys])
  }
  const config = parseConfig(forJob)
  return { job: { ...config, ...(parallelism === undefined ? {} : { parallelism }), args }, cluster }
}

function* parseProperties(properties: readonly string[]): Iterable<readonly [key: string, value: string]> {
  for (const property of properties) {
    const equals = property.indexOf('=')
    if (equals <= 0) throw new FlinkError('INVALID_OPTION', `-D ${JSON.stringify(property)} is not key=value`, { hint: 'See `flink-ts help config` for all keys.' })
    yield [property.slice(0, equals).trim(), property.slice(equals + 1).trim()]
  }
}

/** The page `flink-ts help config`. */
export function configPage(): string {
  const section = (title: string, keys: readonly ConfigKey[]) => ['', title, ...keys.flatMap(row => [`  ${row.key}=${row.default}`, `      ${row.description} (${row.type})`])]
  return ['What `-D key=value` takes, with the defaults. Settings made in code win over these.', ...section('The job', configKeys), ...section('Its processes', clusterKeys)].join('\n')
}
