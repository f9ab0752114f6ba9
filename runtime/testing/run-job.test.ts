/** `runJob` as its users see it. */
import { describe, expect, test } from 'vitest'
import { job, noWatermarks, outputTag, tumbling } from '../index.ts'
import { collectSink } from '../connectors/console.ts'
import { endOfInput, runJob, testingSource, watermark } from './index.ts'

interface Click {
  readonly user: string
  readonly time: number
}
const click = (user: string, time: number): Click => ({ user, time })
const late = outputTag<Click>('late')

/** Placeholders: a test names every source. */
const never = () => {
  throw new Error('this source is replaced in tests')
}
const clicks = { kind: 'source' as const, name: 'clicks', bounded: false, createEnumerator: never, createReader: never }

const perUser = job('clicks per user', env => {
  const windows = env
    .fromSource<Click>(clicks, { timestamp: c => c.time, watermark: noWatermarks() }, 'clicks')
    .keyBy('user')
    .window(tumbling(10))
    .sideOutputLateData(late)
    .process<{ user: string; clicks: number }>({ process: (all, ctx, out) => out.collect({ user: ctx.key, clicks: [...all].length }) })
  windows.sinkTo(collectSink()).uid('counts')
  windows.map(each => each.user).sinkTo(collectSink()).name('users')
  windows.getSideOutput(late).print('late clicks')
})

describe('what comes out', () => {
  const input = testingSource([click('a', 1), click('b', 2), click('a', 9), watermark(15), click('a', 3), click('b', 16), endOfInput()])

  test.for([1, 2, 4])('sinks by uid and by name, and side outputs by tag, at parallelism %i', async parallelism => {
    const result = await runJob(perUser, { sources: { clicks: input }, parallelism })
    expect(result.sink('counts')).toHaveLength(3)
    expect(result.sink('counts')).toEqual(expect.arrayContaining([{ user: 'a', clicks: 2 }, { user: 'b', clicks: 1 }]))
    expect(result.sink('users').sort()).toEqual(['a', 'b', 'b'])
    expect(result.sideOutput('late')).toEqual([click('a', 3)])
    expect(result.sink('print')).toEqual([click('a', 3)])
  })

  test('an input that stays open keeps what is not complete', async () => {
    const result = await runJob(perUser, { sources: { clicks: testingSource([click('a', 1), watermark(15), click('b', 16)]) } })
    expect(result.sink('counts')).toEqual([{ user: 'a', clicks: 1 }])
  })

  test('one source runs dry before the other begins to speak', async () => {
    const both = job('both', env => {
      const left = env.fromSource<Click>(clicks, { timestamp: c => c.time, watermark: noWatermarks() }, 'left')
      const right = env.fromSource<Click>(clicks, { timestamp: c => c.time, watermark: noWatermarks() }, 'right')
      left.union(right).keyBy('user').window(tumbling(10)).process({ process: (all, ctx, out) => out.collect([ctx.key, ctx.window.start, [...all].length]) }).sinkTo(collectSink()).uid('out')
    })
    const sources = { left: testingSource([click('a', 1), endOfInput()]), right: testingSource([click('a', 2), watermark(20), click('a', 21), endOfInput()]) }
    const result = await runJob(both, { sources, parallelism: 2 })
    expect(result.sink('out')).toEqual([['a', 0, 2], ['a', 20, 1]])
  })

  test('the arguments of the job', async () => {
    const greeting = job('greeting', (env, args) => void env.fromData([args.name ?? 'nobody']).sinkTo(collectSink()).uid('out'))
    expect((await runJob(greeting, { args: { name: 'world' } })).sink('out')).toEqual(['world'])
    expect((await runJob(greeting)).sink('out')).toEqual(['nobody'])
  })
})

describe('what is wrong', () => {
  const input = testingSource([click('a', 1), endOfInput()])

  test('a source that the job has not', async () => {
    await expect(runJob(perUser, { sources: { clicks: input, klicks: input } })).rejects.toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining('no source "klicks"'), hint: expect.stringContaining('"clicks"') })
  })

  test('a sink that the job has not', async () => {
    const result = await runJob(perUser, { sources: { clicks: input } })
    expect(() => result.sink('count')).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION', hint: 'Its sinks are "counts", "users", "print".' }))
  })

  test('user code that throws', async () => {
    const fails = job('fails', env => void env.fromData([1]).map(() => { throw new TypeError('no such flight') }).sinkTo(collectSink()))
    await expect(runJob(fails)).rejects.toMatchObject({ code: 'USER_CODE_FAILED', message: expect.stringContaining('no such flight') })
  })
})
