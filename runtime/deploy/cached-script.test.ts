import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

let directory: string
let started = 0
const cache = () => join(directory, 'cache/flink-ts')
const kept = () => (existsSync(cache()) ? readdirSync(cache()) : [])

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'flink-ts-code-'))
  vi.stubEnv('NODE_COMPILE_CACHE', join(directory, 'cache'))
  vi.stubEnv('NODE_DISABLE_COMPILE_CACHE', undefined)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(directory, { recursive: true, force: true })
})

/** As a process does that starts: it knows nothing of the last one. */
async function start(text = '(x) => { const deep = y => y * 2; return deep(x) }', hash = 'hash', role = 'slot') {
  vi.resetModules()
  const { runScript, startIsOver, keepCompiledCode } = await import('./cached-script.ts')
  // V8 remembers for a while what it has compiled, by its address.
  const path = join(directory, `${++started}.script.js`)
  writeFileSync(path, text)
  return { run: runScript(pathToFileURL(path).href, hash, role), startIsOver, keepCompiledCode }
}

/** A start that compiles and keeps. */
async function keep(...given: Parameters<typeof start>) {
  const { run, startIsOver, keepCompiledCode } = await start(...given)
  const result = run(21)
  startIsOver()
  keepCompiledCode()
  return result
}

test('a script runs the same with the code that was kept as without', async () => {
  expect(await keep()).toBe(42)
  expect(kept()).toEqual([`hash-slot-${process.version}-${process.arch}`])
  expect(await keep()).toBe(42)
})

test('functions that were called are in the code that is kept, others are not', async () => {
  const body = Array.from({ length: 200 }, (_, i) => `this.field${i} = x + ${i};`).join('')
  await keep(`(x) => { function called() { ${body} } called.call({}) }`, 'called')
  await keep(`(x) => { function called() { ${body} }             }`, 'not')
  const [called, not] = ['called', 'not'].map(hash => statSync(join(cache(), `${hash}-slot-${process.version}-${process.arch}`)).size)
  expect(called).toBeGreaterThan(2 * not!)
})

test('code is kept once, by the first start that gets so far', async () => {
  await keep()
  const file = join(cache(), kept()[0]!)
  const before = statSync(file).ino
  await keep()
  expect(statSync(file).ino).toBe(before)
})

test('a start that does not get so far keeps nothing', async () => {
  const { run, keepCompiledCode } = await start()
  run(1)
  keepCompiledCode()
  expect(kept()).toEqual([])
})

test('each build and each role has its own', async () => {
  await keep()
  await keep(undefined, 'other')
  await keep(undefined, 'hash', 'enumerators')
  expect(kept()).toHaveLength(3)
})

test.each([
  ['a file that is no compiled code', () => Buffer.from('no code at all')],
  ['half a file', (whole: Buffer) => whole.subarray(0, whole.length / 2)],
  ['nothing', () => Buffer.alloc(0)],
])('%s is not used, and replaced', async (_what, spoil) => {
  await keep()
  const file = join(cache(), kept()[0]!)
  const whole = readFileSync(file)
  writeFileSync(file, spoil(whole))
  expect(await keep()).toBe(42)
  expect(readFileSync(file)).toHaveLength(whole.length)
})

test('when there are too many, those that were not used for long go', async () => {
  await keep(undefined, 'old')
  await keep(undefined, 'used')
  for (let i = 0; i < 23; i++) writeFileSync(join(cache(), `more-${i}`), '')
  const name = (hash: string) => `${hash}-slot-${process.version}-${process.arch}`
  for (const hash of ['old', 'used']) utimesSync(join(cache(), name(hash)), 1, 1)
  await keep(undefined, 'used')
  await keep(undefined, 'new')
  expect(kept()).toHaveLength(25)
  expect(kept()).toEqual(expect.arrayContaining([name('used'), name('new')]))
  expect(kept()).not.toContain(name('old'))
})

test('nothing is kept, and nothing is run, where others may write', async () => {
  mkdirSync(cache(), { recursive: true })
  chmodSync(cache(), 0o777)
  expect(await keep()).toBe(42)
  expect(kept()).toEqual([])
})

test('nothing is kept when Node\'s own cache is switched off', async () => {
  vi.stubEnv('NODE_DISABLE_COMPILE_CACHE', '1')
  expect(await keep()).toBe(42)
  expect(kept()).toEqual([])
})

const source = JSON.stringify(new URL('./cached-script.ts', import.meta.url).href)
/** In a process of its own: V8's flags are those of all its threads. */
function node(flags: readonly string[], text: string): string {
  const { stdout, stderr } = spawnSync(process.execPath, ['--conditions=flink-ts-source', ...flags, '--input-type=module', '-e', text], { encoding: 'utf8', env: process.env })
  expect(stderr).toBe('')
  return stdout
}

test('records of a batch that are alive when V8 looks do not make those after them old objects', () => {
  const decides = (first: string) => {
    const batch = 'const batch = []; const record = i => ({ i, twice: 2 * i }); for (let i = 0; i < 2000; i++) batch.push(record(i)); gc({ type: "minor" }); console.log(batch.length)'
    const lines = node(['--expose-gc', '--trace-pretenuring-statistics'], `import { keepRecordsYoung } from ${source}; ${first}; ${batch}`).trim().split('\n')
    expect(lines.pop()).toBe('2000')
    return lines.some(line => /undecided => (maybe )?tenure/.test(line))
  }
  expect(decides('')).toBe(true)
  expect(decides('keepRecordsYoung()')).toBe(false)
})

test.each([
  ['a slot', 'keepRecordsYoung()'],
  ['the thread beside it', 'slotsKeepRecordsYoung(); setFlagsFromString("--no-allocation-site-pretenuring")'],
])('the flag with which a job runs does not spoil what %s keeps', (_, during) => {
  const path = join(directory, 'role.script.js')
  writeFileSync(path, '(x) => x * 2')
  const run = `
    import { setFlagsFromString } from 'node:v8'
    import { runScript, startIsOver, keepCompiledCode, keepRecordsYoung, slotsKeepRecordsYoung } from ${source}
    console.log(runScript(${JSON.stringify(pathToFileURL(path).href)}, 'hash', 'slot')(21))
    ${during}
    startIsOver()
    keepCompiledCode()`
  expect(node([], run)).toBe('42\n')
  const file = join(cache(), kept()[0]!)
  const before = statSync(file).ino
  expect(node([], run)).toBe('42\n')
  // One that V8 had not taken would have been made anew.
  expect(statSync(file).ino).toBe(before)
})
