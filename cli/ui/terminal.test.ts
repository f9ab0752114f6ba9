/** The live view in a real terminal: a pseudo-terminal made by `script`, read cell by cell by a terminal without a window. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import xterm from '@xterm/headless'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { buildDist } from '../../scripts/build.mjs'
import { packageDirectory } from '../bundle/installation.ts'

const executable = join(packageDirectory, 'bin/flink-ts.js')
const hasScript = spawnSync('script', ['--version']).status === 0

let project: string
beforeAll(async () => {
  await buildDist()
})
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'flink-ts-tty-'))
  mkdirSync(join(project, 'src'))
  writeFileSync(
    join(project, 'src/job.ts'),
    "import { job } from 'flink-ts'\nimport { generatorSource } from 'flink-ts/connectors/datagen'\nexport default job('endless', env => {\n  env.enableCheckpointing('200 ms')\n  env.fromSource(generatorSource({ ratePerSecond: 100, generate: i => i })).filter(() => false).print()\n})\n",
  )
})
afterEach(() => rmSync(project, { recursive: true, force: true }))

class TerminalSession {
  readonly #terminal = new xterm.Terminal({ cols: 90, rows: 24, allowProposedApi: true })
  readonly #process: ChildProcess
  readonly exit: Promise<number | null>

  constructor(command: string) {
    const { CI: _, NO_COLOR: __, ...environment } = process.env
    this.#process = spawn('script', ['-qec', `stty cols 90 rows 24; ${command}`, '/dev/null'], { cwd: project, env: { ...environment, TERM: 'xterm-256color' }, stdio: ['pipe', 'pipe', 'inherit'] })
    this.#process.stdout!.on('data', (chunk: Buffer) => this.#terminal.write(chunk))
    this.exit = new Promise(resolve => this.#process.once('close', code => resolve(code)))
  }
  press(keys: string): void {
    this.#process.stdin!.write(keys)
  }
  get buffer(): 'normal' | 'alternate' {
    return this.#terminal.buffer.active.type
  }
  text(): string {
    const { active } = this.#terminal.buffer
    return Array.from({ length: active.length }, (_, row) => active.getLine(row)?.translateToString(true) ?? '').join('\n')
  }
  async shows(text: string): Promise<void> {
    await expect.poll(() => this.text(), { timeout: 20_000, interval: 20 }).toContain(text)
  }
}

const run = () => new TerminalSession(`${process.execPath} ${executable} run -p 1`)

test.runIf(hasScript)('it lives on the alternate screen, takes a savepoint, and gives the terminal back with a summary', async () => {
  const terminal = run()
  await terminal.shows('endless RUNNING')
  expect(terminal.buffer).toBe('alternate')
  terminal.press('s')
  await terminal.shows('savepoint: ')
  terminal.press('c')
  await terminal.shows('Cancel the job?')
  terminal.press('y')
  expect(await terminal.exit).toBe(130)
  await terminal.shows('job "endless" CANCELED after')
  expect(terminal.buffer).toBe('normal')
  expect(terminal.text()).toContain('savepoint: ')
})

test.runIf(hasScript)('Ctrl-C twice ends it at once and gives the terminal back', async () => {
  const terminal = run()
  await terminal.shows('endless RUNNING')
  terminal.press('\u0003')
  terminal.press('\u0003')
  expect(await terminal.exit).toBe(130)
  await terminal.shows('job "endless"')
  expect(terminal.buffer).toBe('normal')
})
