import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { defaultJobConfig } from '../../graph/config.ts'
import { translate } from '../../graph/translate.ts'
import { loadJobDefinition } from '../../deploy/user-code.ts'
import type { FromCoordinatorHost, StartEnumerators } from './coordinator-protocol.ts'
import { WorkerCoordinatorHost } from './worker-coordinator-host.ts'

const directory = mkdtempSync(join(tmpdir(), 'enumerators-'))
afterAll(() => rmSync(directory, { recursive: true }))
const api = pathToFileURL(fileURLToPath(new URL('../../api/job.ts', import.meta.url))).href

/** A bundle whose enumerator does what `body` says on a request. */
async function bundle(name: string, body: string, top = ''): Promise<StartEnumerators> {
  const bundlePath = join(directory, `${name}.mjs`)
  writeFileSync(bundlePath, `
    import { job } from ${JSON.stringify(api)}
    ${top}
    const source = {
      kind: 'source', name: 'numbers', bounded: true,
      createEnumerator(ctx, restored) {
        let next = restored ?? 0
        return { start() {}, handleSplitRequest(subtask) { ${body} }, snapshot: () => next }
      },
      createReader() { throw new Error('not here') },
    }
    export default job('numbers', env => { env.fromSource(source).print() })
  `)
  const graph = translate(await loadJobDefinition(bundlePath, {}), defaultJobConfig)
  const operator = graph.vertices[0]?.operators[0]
  return {
    kind: 'start', jobId: 'j', attempt: 1, bundlePath, projectDirectory: directory, graph,
    sources: [{ operatorId: operator?.id as string, transformation: operator?.transformation as number, parallelism: 2, restored: undefined }],
  }
}

function host() {
  const messages: FromCoordinatorHost[] = []
  const logged: string[] = []
  let wake = () => {}
  const host = new WorkerCoordinatorHost((_, stream, text) => {
    logged.push(`${stream}: ${text.trimEnd()}`)
    wake()
  })
  host.onMessage((_, message) => {
    messages.push(message)
    wake()
  })
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise<void>(resolve => (wake = resolve))
  }
  return { host, messages, logged, until }
}

test('enumerators run beside the main thread: requests, snapshots, and from a snapshot on', async () => {
  const { host: it, messages, logged, until } = host()
  const start = await bundle('counting', `console.log('split for ' + subtask); ctx.assignSplit(subtask, { from: next++ })`)
  const operatorId = start.sources[0]?.operatorId as string
  it.send('j', start)
  it.send('j', { kind: 'requestSplit', attempt: 1, operatorId, subtask: 1 })
  it.send('j', { kind: 'snapshot', attempt: 1, checkpointId: 7 })
  await until(() => messages.length === 2 && logged.length > 0)
  expect(messages[0]).toEqual({ kind: 'addSplit', attempt: 1, operatorId, subtask: 1, split: { from: 0 } })
  expect(messages[1]).toMatchObject({ kind: 'snapshot', attempt: 1, checkpointId: 7, operatorId })
  expect(logged).toEqual(['stdout: split for 1'])

  const restored = messages[1]?.kind === 'snapshot' ? messages[1].state : undefined
  it.send('j', { ...start, attempt: 2, sources: start.sources.map(source => ({ ...source, restored })) })
  it.send('j', { kind: 'requestSplit', attempt: 1, operatorId, subtask: 0 })
  it.send('j', { kind: 'requestSplit', attempt: 2, operatorId, subtask: 0 })
  await until(() => messages.length === 3)
  expect(messages[2]).toMatchObject({ kind: 'addSplit', attempt: 2, split: { from: 1 } })
  it.send('j', { kind: 'stop' })
})

test.each([
  ['throws', `throw new RangeError('out of numbers')`, { code: 'USER_CODE_FAILED', message: 'out of numbers' }],
  ['names a subtask that is not there', `ctx.assignSplit(9, next)`, { code: 'USER_CODE_FAILED', message: 'a split enumerator named subtask 9, but the source has 2' }],
  ['ends the process', `process.exit(3)`, { code: 'USER_CODE_FAILED', message: expect.stringContaining('ended with code 3') }],
  ['throws later', `setImmediate(() => { throw new Error('later') })`, { code: 'USER_CODE_FAILED', message: 'later' }],
])('one that %s fails its attempt and nothing else', async (name, body, error) => {
  const { host: it, messages, until } = host()
  const start = await bundle(name.replaceAll(' ', '-'), body)
  it.send('j', start)
  it.send('j', { kind: 'requestSplit', attempt: 1, operatorId: start.sources[0]?.operatorId as string, subtask: 0 })
  await until(() => messages.length === 1)
  expect(messages).toMatchObject([{ kind: 'failed', attempt: 1, error }])
  it.send('j', { kind: 'stop' })
})

test('one that spins is left behind, and the next attempt starts', async () => {
  const { host: it, messages, until } = host()
  const spinning = await bundle('spinning', `for (;;) {}`)
  const operatorId = spinning.sources[0]?.operatorId as string
  it.send('j', spinning)
  it.send('j', { kind: 'requestSplit', attempt: 1, operatorId, subtask: 0 })
  const next = await bundle('fine', `ctx.signalNoMoreSplits(subtask)`)
  it.send('j', { ...next, attempt: 2 })
  it.send('j', { kind: 'requestSplit', attempt: 2, operatorId: next.sources[0]?.operatorId as string, subtask: 0 })
  await until(() => messages.length === 1)
  expect(messages).toMatchObject([{ kind: 'noMoreSplits', attempt: 2 }])
  it.send('j', { kind: 'stop' })
})

test('a job that is built differently here is refused', async () => {
  const { host: it, messages, until } = host()
  const start = await bundle('other', '')
  it.send('j', { ...start, graph: { ...start.graph, name: 'numbers of yesterday', hash: 'another' } })
  await until(() => messages.length === 1)
  expect(messages).toMatchObject([
    { kind: 'failed', error: { code: 'NONDETERMINISTIC_GRAPH', detail: 'the job: name is "numbers" in the JobManager and "numbers of yesterday" in what was submitted.' } },
  ])
  it.send('j', { kind: 'stop' })
})

describe('a job that is built before it is submitted', () => {
  const request = (start: StartEnumerators) => ({ bundlePath: start.bundlePath, jobFile: 'src/job.ts', config: defaultJobConfig })

  test('is evaluated once for both, if the copy that is run is the same; the next attempt evaluates it anew', async () => {
    const { host: it, messages, logged, until } = host()
    const start = await bundle('built', `console.log('evaluated ' + globalThis.evaluated); ctx.signalNoMoreSplits(subtask)`, 'globalThis.evaluated = (globalThis.evaluated ?? 0) + 1; console.log("loaded")')
    const printed: string[] = []
    const answer = await it.compile(request(start), text => printed.push(text.trim()))
    expect(answer).toMatchObject({ kind: 'compiled', graph: { hash: start.graph.hash } })
    expect(printed).toEqual(['loaded'])

    const copy = join(directory, 'built-copy.mjs')
    copyFileSync(start.bundlePath, copy)
    const operatorId = start.sources[0]?.operatorId as string
    it.send('j', { ...start, bundlePath: copy })
    it.send('j', { kind: 'requestSplit', attempt: 1, operatorId, subtask: 0 })
    await until(() => messages.length === 1 && logged.length === 1)
    expect(logged).toEqual(['stdout: evaluated 1'])

    it.send('j', { ...start, bundlePath: copy, attempt: 2 })
    it.send('j', { kind: 'requestSplit', attempt: 2, operatorId, subtask: 0 })
    await until(() => messages.length === 2 && logged.length >= 2)
    expect(logged.slice(1).join('\n')).toContain('stdout: loaded')
    it.send('j', { kind: 'stop' })
  })

  test('another one than was built is evaluated for itself', async () => {
    const { host: it, messages, until } = host()
    const [built, other] = [await bundle('built-one', ''), await bundle('built-other', `ctx.signalNoMoreSplits(subtask)`)]
    expect(await it.compile(request(built), () => {})).toMatchObject({ kind: 'compiled' })
    it.send('j', other)
    it.send('j', { kind: 'requestSplit', attempt: 1, operatorId: other.sources[0]?.operatorId as string, subtask: 1 })
    await until(() => messages.length === 1)
    expect(messages).toMatchObject([{ kind: 'noMoreSplits', subtask: 1 }])
    it.send('j', { kind: 'stop' })
  })

  test('what is wrong with it is the answer, and a flood of text is cut', async () => {
    const { host: it } = host()
    const path = join(directory, 'broken.mjs')
    const compiled = (text: string, output: (text: string) => void = () => {}) => {
      writeFileSync(path, text)
      return it.compile({ bundlePath: path, jobFile: 'src/job.ts', config: defaultJobConfig }, output)
    }
    expect(await compiled('export const x = 1')).toMatchObject({ kind: 'refused', error: { code: 'NO_JOB_EXPORT', message: 'src/job.ts has no default export' } })
    expect(await compiled(`throw new Error('no')`)).toMatchObject({ kind: 'refused', error: { code: 'JOB_BUILD_FAILED', message: 'loading src/job.ts failed: Error: no' } })
    expect(await compiled('process.exit(3)')).toMatchObject({ kind: 'refused', error: { code: 'JOB_BUILD_FAILED', message: 'src/job.ts ended its process with code 3 while it was loaded' } })
    expect(await compiled(`import 'left-pad-of-nobody'`)).toEqual({ kind: 'packageMissing', specifier: 'left-pad-of-nobody' })
    const printed: string[] = []
    await compiled(`for (let i = 0; i < 40; i++) await new Promise(resolve => process.stdout.write('x'.repeat(65536), resolve))`, text => printed.push(text))
    const text = printed.join('')
    expect(text.length).toBeLessThan(1024 * 1024 + 100)
    expect(text.slice(-38)).toBe('\n... more was printed and is left out\n')
  })
})
