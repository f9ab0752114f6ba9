/** In processes of their own, as nobody gets a priority back. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { getPriority } from 'node:os'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'

const stepBack = JSON.stringify(new URL('./step-back.ts', import.meta.url).href)
/** Of the tests themselves, and so of what they start. */
const own = getPriority()
const onLinux = test.runIf(process.platform === 'linux')

/** Runs `code`, then prints the nice value of each thread by its name, and that of the session. */
async function priorities(code: string): Promise<{ readonly threads: Readonly<Record<string, readonly number[]>>; readonly session: number | undefined }> {
  const program = `
    import { readdirSync, readFileSync } from 'node:fs'
    import { once } from 'node:events'
    import { Worker } from 'node:worker_threads'
    import { processStepsBack, stepBack } from ${stepBack}
    const text = path => readFileSync('/proc/self/' + path, 'latin1').trim()
    ${code}
    const threads = {}
    for (const id of readdirSync('/proc/self/task')) {
      const name = Number(id) === process.pid ? 'main' : text('task/' + id + '/comm')
      const values = (threads[name] ??= [])
      const value = Number(text('task/' + id + '/stat').split(') ')[1].split(' ')[16])
      if (!values.includes(value)) values.push(value)
    }
    let session
    try { session = Number(text('autogroup').split('nice ')[1]) } catch {}
    console.log(JSON.stringify({ threads, session }))
    process.exit()`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  return JSON.parse(await text(child.stdout)) as Awaited<ReturnType<typeof priorities>>
}

onLinux('a thread steps back alone', async () => {
  const inWorker = `
    import { parentPort } from 'node:worker_threads'
    import { stepBack } from ${stepBack}
    stepBack()
    parentPort.on('message', () => {})
    parentPort.postMessage('done')`
  const { threads } = await priorities(`
    const worker = new Worker(new URL(${JSON.stringify(`data:text/javascript,${encodeURIComponent(inWorker)}`)}), { name: 'writes' })
    await once(worker, 'message')`)
  expect(threads).toMatchObject({ main: [own], V8Worker: [own], writes: [Math.max(own, 5)] })
})

onLinux('a process steps back among those of other sessions, and its threads keep what they had', async () => {
  const { threads, session } = await priorities('processStepsBack()')
  expect(threads).toMatchObject({ main: [own], V8Worker: [own] })
  // Not every Linux has sessions that share the processors.
  expect(session).toBe(existsSync('/proc/self/autogroup') ? 5 : undefined)
})
