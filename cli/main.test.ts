/** The command line as a process: what it prints where, and what it ends with. Runs on `dist/`. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildDist } from '../scripts/build.mjs'
import { commands } from './commands.ts'
import { packageDirectory } from './bundle/installation.ts'

const executable = join(packageDirectory, 'bin/flink-ts.js')
let project: string

beforeAll(async () => {
  await buildDist()
  project = mkdtempSync(join(tmpdir(), 'flink-ts-cli-'))
  mkdirSync(join(project, 'src'))
  writeFileSync(join(project, 'src/job.ts'), "import { job } from 'flink-ts'\nexport default job('numbers', env => { env.fromSequence(1, 500).print() })\n")
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

const environment = { ...process.env, CI: '1', NO_COLOR: '1' }
/** What it printed and ended with, as one text. */
function cli(...args: readonly string[]): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [executable, ...args], { cwd: project, encoding: 'utf8', env: environment })
  return { code: status, stdout, stderr }
}

describe('help', () => {
  test.each(Object.keys(commands))('of %s: two examples and --json', name => {
    const { code, stdout } = cli(name, '--help')
    expect(code).toBe(0)
    expect(stdout.match(/^ {4}\$ flink-ts /gm)?.length).toBeGreaterThanOrEqual(2)
    expect(stdout).toContain('--json')
  })
  test('is the same however it is asked for', () => {
    const { stdout } = cli('run', '--help')
    expect(cli('help', 'run').stdout).toBe(stdout)
    expect(cli('run', '-h').stdout).toBe(stdout)
  })
  test('of run', () => expect(cli('run', '--help').stdout).toMatchSnapshot())
  test('of everything', () => expect(cli('--help').stdout.replace(/VERSION\n.*\n/, 'VERSION\n  <version>\n')).toMatchSnapshot())
  test('without a command it shows what a newcomer needs', () => {
    const { code, stdout } = cli()
    expect(code).toBe(0)
    for (const name of ['new', 'run', 'list', 'savepoint', 'stop']) expect(stdout).toContain(`flink-ts ${name}`)
  })
  test('the keys of -D are a page', () => expect(cli('help', 'config').stdout).toContain('execution.checkpointing.interval'))
})

describe('mistakes', () => {
  test.each([
    [['rnu'], 127, '"rnu" is not a command; did you mean "flink-ts run"?'],
    [['--paralelism'], 127, '"--paralelism" is not a command'],
    [['run', '--paralelism', '2'], 2, 'run: there is no flag --paralelism; did you mean --parallelism?'],
    [['run', '-p', 'two'], 2, 'run: Parsing --parallelism'],
    [['run', '-p', '0'], 2, 'run: Parsing --parallelism'],
    [['run', 'a.ts', 'b.ts'], 2, 'run: Unexpected argument: b.ts'],
    [['run', '--', 'word'], 2, '"word" is not an argument of a job'],
    [['new'], 2, 'new: Missing 1 required arg:'],
    [['help', 'exit-code'], 2, 'did you mean "exit-codes"?'],
    [['cancel'], 6, 'no cluster runs in'],
    [['savepoint', 'x'], 6, 'no cluster runs in'],
    [['run', '-s', 'nowhere'], 4, 'nowhere: no such savepoint'],
    [['explain', 'src/jbo.ts'], 3, 'did you mean "src/job.ts"?'],
  ] as const)('%j ends with %i', (args, code, says) => {
    const result = cli(...args)
    expect(result.stderr).toContain(says)
    expect(result).toMatchObject({ code, stdout: '' })
    const json = cli(...args.slice(0, 1), '--json', ...args.slice(1))
    expect(json.code).toBe(code)
    expect(JSON.parse(json.stdout)).toMatchObject({ schemaVersion: 1, error: { exitCode: code === 127 ? 2 : code } })
  })
})

test('NODE_ENV changes nothing', () => {
  for (const NODE_ENV of ['test', 'development', 'production']) {
    const { status, stderr } = spawnSync(process.execPath, [executable, 'list'], { cwd: project, encoding: 'utf8', env: { ...environment, NODE_ENV } })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  }
})

test('a Node that is too old gets a sentence', () => {
  const pretend = "data:text/javascript,Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.19.0' } })"
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', pretend, executable, 'run'], { encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 5, stdout: '' })
  expect(stderr).toMatch(/^error FTS-5009: flink-ts needs Node 22\.22 or later; this is v\S+ \(.*\)\n$/)
})

describe('run', () => {
  test('what the job prints goes to standard output, all else to standard error', () => {
    const { code, stdout, stderr } = cli('run', '-p', '1')
    expect(code, stderr).toBe(0)
    expect(stdout.trim().split('\n').map(Number)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1))
    expect(stderr).toContain('job is FINISHED')
  })

  test('--json prints events only, in order, one a line', () => {
    const { code, stdout } = cli('run', '-p', '2', '--json')
    const events = stdout.trim().split('\n').map(line => JSON.parse(line) as { kind: string; schemaVersion: number; status?: string })
    expect(code).toBe(0)
    expect(events.every(event => event.schemaVersion === 1)).toBe(true)
    expect(events.filter(event => event.kind === 'jobStatus').at(-1)).toMatchObject({ status: 'FINISHED' })
  })

  test('a reader that has seen enough ends it quietly', async () => {
    const run = spawn(process.execPath, [executable, 'run', '-p', '1', '--json'], { cwd: project, env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    let stderr = ''
    run.stderr.setEncoding('utf8').on('data', text => (stderr += text))
    run.stdout.once('data', () => run.stdout.destroy())
    const code = await new Promise(resolve => run.once('close', resolve))
    expect(stderr).toBe('')
    expect(code).toBe(0)
  })

  test('detached it prints the id, and stop ends the job and its cluster', () => {
    writeFileSync(join(project, 'src/endless.ts'), "import { job } from 'flink-ts'\nimport { generatorSource } from 'flink-ts/connectors/datagen'\nexport default job('endless', env => { env.fromSource(generatorSource({ ratePerSecond: 100, generate: i => i })).filter(() => false).print() })\n")
    const started = cli('run', 'src/endless.ts', '-d')
    expect(started.code, started.stderr).toBe(0)
    const id = started.stdout.trim()
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    expect(JSON.parse(cli('list', '--json').stdout)).toMatchObject({ jobs: [{ id, name: 'endless' }] })
    expect(cli('run').stderr).toContain('FTS-5010')
    const savepoint = cli('savepoint', 'endless')
    expect(savepoint.code, savepoint.stderr).toBe(0)
    expect(cli('cancel', 'endles').stderr).toContain('did you mean "endless"?')
    const stopped = cli('stop', id.slice(0, 6))
    expect(stopped.code, stopped.stderr).toBe(0)
    expect(cli('list').stdout).toBe('no jobs\n')
    const resumed = cli('run', 'src/endless.ts', '-d', '--json', '-s', stopped.stdout.trim())
    expect(resumed.code, resumed.stderr).toBe(0)
    expect(cli('cancel', 'endless').stdout).toBe(`canceled ${(JSON.parse(resumed.stdout) as { jobId: string }).jobId}\n`)
  })
})
