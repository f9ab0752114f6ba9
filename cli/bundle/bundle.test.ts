/** Real bundles of real projects, compiled in a real worker (which runs on `dist/`, so it is built first). */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { FlinkError } from '../../runtime/core/errors.ts'
import { defaultJobConfig } from '../../runtime/graph/config.ts'
import { buildDist } from '../../scripts/build.mjs'
import { plain } from '../output/colour.ts'
import { formatError } from '../output/error-text.ts'
import { errorToData } from '../../runtime/core/errors.ts'
import { compileProject, type CompiledProject } from '../session/compile-project.ts'
import { bundleOnce, openBundler } from './bundle-job.ts'
import { packageDirectory, publicEntries } from './installation.ts'
import { findJobFile } from './job-file.ts'

beforeAll(async () => {
  await buildDist()
})

let project: string
beforeEach(() => {
  project = realpathSync(mkdtempSync(join(tmpdir(), 'flink-ts-bundle-')))
})
afterEach(() => rmSync(project, { recursive: true, force: true }))

function files(contents: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(project, name)), { recursive: true })
    writeFileSync(join(project, name), text)
  }
}
const compile = (changes: { readonly signal?: AbortSignal; readonly onOutput?: (text: string) => void } = {}): Promise<CompiledProject> =>
  compileProject({ projectDirectory: project, jobFile: undefined, config: { ...defaultJobConfig, parallelism: 2, args: { text: 'a b' } }, ...changes })
/** The error as it is printed. */
async function refusal(): Promise<string> {
  try {
    await compile()
  } catch (error) {
    expect(error).toBeInstanceOf(FlinkError)
    return formatError(errorToData(error, 'JOB_FAILED'), { paint: plain, projectDirectory: project }).replaceAll(project, '<project>')
  }
  throw new Error('it was not refused')
}

const job = (body: string) => `import { job } from 'flink-ts'\nexport default job('x', (env, args) => {\n${body}\n})\n`

describe('a job that builds', () => {
  test('gives a graph whose operators know their line in the .ts file', async () => {
    files({
      'src/job.ts': "import { job } from 'flink-ts'\nimport { words } from './words.js'\n\nexport default job('x', (env, args) => {\n  env\n    .fromData([args.text ?? ''])\n    .flatMap(words)\n    .print()\n})\n",
      'src/words.ts': "export const words = (line: string): string[] => line.split(' ')\n",
    })
    const { graph, bundle, explanation } = await compile()
    const operators = graph.vertices.flatMap(vertex => vertex.operators)
    expect(operators.map(({ name, at }) => `${name} ${at?.file.replace(project, '')}:${at?.line}`)).toEqual(['Collection Source /src/job.ts:6', 'FlatMap /src/job.ts:7', 'print /src/job.ts:8'])
    expect(bundle.inputs.map(file => file.replace(project, '')).sort()).toEqual(['/src/job.ts', '/src/words.ts'])
    expect(explanation).toContain('Job "x" --text a b')
  })

  test('is bundled to the same file while it stays the same', async () => {
    files({ 'src/job.ts': job('env.fromData([1]).print()') })
    const [first, second] = [await compile(), await compile()]
    expect(second.bundle.path).toBe(first.bundle.path)
    expect(second.graph.hash).toBe(first.graph.hash)
    files({ 'src/job.ts': job('env.fromData([1, 2]).map(n => n + 1).print()') })
    expect((await compile()).bundle.path).not.toBe(first.bundle.path)
    expect(readFileSync(first.bundle.path, 'utf8')).toContain('/dist/runtime/index.js')
  })

  test('is the same bundle, by the executable alone and by the API', async () => {
    files({ 'src/job.ts': "import { job } from 'flink-ts'\nimport { generatorSource } from 'flink-ts/connectors/datagen'\nimport { half } from './half.js'\nexport default job('x', env => { env.fromSource(generatorSource({ count: 1, generate: half }), undefined, 'n').print() })\n", 'src/half.ts': 'export const half = (n: number) => n / 2\n' })
    const options = { projectDirectory: project, jobFile: join(project, 'src/job.ts') }
    const bundler = await openBundler(options)
    const [quick, thorough] = [await bundleOnce(options), await bundler.rebuild()]
    await bundler.dispose()
    expect(quick).toEqual(thorough)
  })

  test('what it prints while it is loaded is handed on', async () => {
    files({ 'src/job.ts': `console.log('loading')\n${job('env.fromData([1]).print()')}` })
    const lines: string[] = []
    await compile({ onOutput: text => lines.push(text) })
    expect(lines.join('')).toBe('loading\n')
  })
})

describe('a job that does not build says where', () => {
  test('a syntax error', async () => {
    files({ 'src/job.ts': job("  env.fromData(['日本'].print()") })
    expect(await refusal()).toMatchInlineSnapshot(`
      "error FTS-2001: could not bundle src/job.ts: Expected ")" but found "}"
        src/job.ts:4:1
            3 |   env.fromData(['日本'].print()
          > 4 | })
              | ^
        Mend the line above and run it again."
    `)
  })
  test('an import that is not there', async () => {
    files({ 'src/job.ts': `import { x } from './nowhere.js'\n${job('x')}` })
    expect(await refusal()).toMatchInlineSnapshot(`
      "error FTS-2001: could not bundle src/job.ts: Could not resolve "./nowhere.js"
        src/job.ts:1:19
          > 1 | import { x } from './nowhere.js'
              |                   ^
            2 | import { job } from 'flink-ts'
        Mend the line above and run it again."
    `)
  })
  test('a package that is not installed', async () => {
    files({ 'src/job.ts': `import { job } from 'flink-ts'\nimport leftPad from 'left-pad-not-there'\nexport default job('x', env => { env.fromData([leftPad]).print() })\n` })
    expect(await refusal()).toMatchInlineSnapshot(`
      "error FTS-2001: package "left-pad-not-there" is not installed
        src/job.ts:2:21
            1 | import { job } from 'flink-ts'
          > 2 | import leftPad from 'left-pad-not-there'
              |                     ^
            3 | export default job('x', env => { env.fromData([leftPad]).print() })
        Install it: npm install left-pad-not-there"
    `)
  })
  test('a part of flink-ts that does not exist', async () => {
    files({ 'src/job.ts': `import { csv } from 'flink-ts/connectors/files'\n${job('csv')}` })
    expect(await refusal()).toMatchInlineSnapshot(`
      "error FTS-2001: could not bundle src/job.ts: "flink-ts/connectors/files" is not part of flink-ts; did you mean "flink-ts/connectors/file"?
        There are flink-ts, flink-ts/connectors/file, flink-ts/connectors/datagen, flink-ts/connectors/nexmark, flink-ts/testing.
        src/job.ts:1:21
          > 1 | import { csv } from 'flink-ts/connectors/files'
              |                     ^
            2 | import { job } from 'flink-ts'
        Mend the line above and run it again."
    `)
  })
  test('no default export', async () => {
    files({ 'src/job.ts': 'export const x = 1\n' })
    expect(await refusal()).toMatchInlineSnapshot(`
      "error FTS-2003: src/job.ts has no default export
        Export your job as the default: export default job('name', env => { ... })."
    `)
  })
  test('an exception in the job function', async () => {
    files({ 'src/job.ts': job("  throw new Error('no luck')") })
    expect(await refusal()).toMatchInlineSnapshot(`
      "error FTS-2004: building job "x" failed: Error: no luck
        src/job.ts:3:9
            2 | export default job('x', (env, args) => {
          > 3 |   throw new Error('no luck')
              |         ^
            4 | })
        The function given to job(...) threw; see the line above."
    `)
  })
  test('an exception at the top of the module', async () => {
    files({ 'src/job.ts': `const x: string[] = JSON.parse('[')\n${job('x')}` })
    expect(await refusal()).toMatchInlineSnapshot(`
      "error FTS-2004: loading src/job.ts failed: SyntaxError: Unexpected end of JSON input
        src/job.ts:1:26
          > 1 | const x: string[] = JSON.parse('[')
              |                          ^
            2 | import { job } from 'flink-ts'
        The module threw before it could export its job."
    `)
  })
  test('something that the API refuses', async () => {
    files({ 'src/job.ts': job("  env.fromData([1]).map('x' as never).print()") })
    expect(await refusal()).toMatchInlineSnapshot(`
      "error FTS-1002: map needs a function, not "x"
        src/job.ts:3:21
            2 | export default job('x', (env, args) => {
          > 3 |   env.fromData([1]).map('x' as never).print()
              |                     ^
            4 | })
        See the example in the documentation of the method."
    `)
  })
  test('an empty job', async () => {
    files({ 'src/job.ts': job('') })
    expect(await refusal()).toMatchInlineSnapshot(`
      "error FTS-2008: job "x" has no operators
        A job needs a source and a sink, for example env.fromData([1, 2, 3]).print()."
    `)
  })
  test('a module that ends the process', async () => {
    files({ 'src/job.ts': `process.exit(0)\n${job('')}` })
    expect(await refusal()).toMatchInlineSnapshot(`
      "error FTS-2004: src/job.ts ended its process with code 0 while it was loaded
        A job file must only export its job; remove process.exit()."
    `)
  })
})

test('a module that never ends can be given up', async () => {
  files({ 'src/job.ts': `console.log('spinning')\nfor (;;);\n${job('')}` })
  const controller = new AbortController()
  const reason = new Error('given up')
  await expect(compile({ signal: controller.signal, onOutput: () => controller.abort(reason) })).rejects.toBe(reason)
})

describe('which file is the job', () => {
  const found = (named?: string) => {
    try {
      return findJobFile(project, named).replace(project, '')
    } catch (error) {
      if (error instanceof FlinkError) return `${error.message.replace(project, '<project>')} ${error.detail ?? ''}`.trim()
      throw error
    }
  }
  test('the one that is named, or nearly', () => {
    files({ 'src/job.ts': '', 'src/other.ts': '', 'src/data.csv': '' })
    expect([found('src/other.ts'), found('src/jbo.ts'), found('src'), found('src/data.csv'), found('nowhere/at/all.ts')]).toEqual([
      '/src/other.ts', 'src/jbo.ts: no such file; did you mean "src/job.ts"?', 'src: is a directory', 'src/data.csv: not a TypeScript or JavaScript file', 'nowhere/at/all.ts: no such file',
    ])
  })
  test('package.json before src/job.ts before the only file', () => {
    expect(found()).toBe('no job file in <project> There is no src/job.ts and no other TypeScript file.')
    files({ 'only.ts': '', 'only.test.ts': '', 'vitest.config.ts': '' })
    expect(found()).toBe('/only.ts')
    files({ 'another.ts': '' })
    expect(found()).toBe('no job file in <project> There is no src/job.ts, and more than one file to choose from: another.ts, only.ts.')
    files({ 'src/job.ts': '' })
    expect(found()).toBe('/src/job.ts')
    files({ 'package.json': '{ "flink-ts": { "job": "another.ts" } }' })
    expect(found()).toBe('/another.ts')
    files({ 'package.json': '{ "flink-ts": { "job": "gone.ts" } }' })
    expect(found()).toBe('gone.ts: no such file package.json names it as the job ("flink-ts": { "job": ... }).')
  })
})

test('the bundle resolves what package.json exports', () => {
  const { exports } = JSON.parse(readFileSync(join(packageDirectory, 'package.json'), 'utf8')) as { exports: Record<string, { default: string } | string> }
  const fromManifest = Object.entries(exports).flatMap(([name, target]) => (typeof target === 'string' ? [] : [[name.replace(/^\./, 'flink-ts'), target.default.replace('./dist/', '')]]))
  expect(publicEntries).toEqual(Object.fromEntries(fromManifest))
})
