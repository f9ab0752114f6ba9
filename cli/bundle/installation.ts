/**
 * The files of this very installation of flink-ts. A job imports `flink-ts`; it must get the modules that also run the
 * cluster (one class, one registry), wherever the CLI was started from. So the bundle names them by absolute address.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Sources run in tests, where the modules that processes load lie in `dist/` all the same. */
const fromSource = import.meta.url.endsWith('.ts')
const packageUrl = new URL(fromSource ? '../../' : '../../../', import.meta.url)
const distUrl = new URL('dist/', packageUrl)

export const packageDirectory = fileURLToPath(packageUrl)

/** What a job may import, as in `exports` of package.json (a test holds the two together). */
export const publicEntries: Readonly<Record<string, string>> = {
  'flink-ts': 'runtime/index.js',
  'flink-ts/connectors/file': 'runtime/connectors/file.js',
  'flink-ts/connectors/datagen': 'runtime/connectors/datagen.js',
  'flink-ts/connectors/nexmark': 'runtime/connectors/nexmark.js',
  'flink-ts/testing': 'runtime/testing/index.js',
}

export const entryUrl = (path: string): URL => new URL(path, distUrl)

interface Manifest {
  readonly name: string
  readonly version: string
}
let manifest: Manifest | undefined
export function packageManifest(): Manifest {
  return (manifest ??= JSON.parse(readFileSync(`${packageDirectory}package.json`, 'utf8')) as Manifest)
}
