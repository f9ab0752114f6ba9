import { endOfInput, runJob, testingSource, watermark } from 'flink-ts/testing'
import { expect, test } from 'vitest'
import job from './job.js'

const at = (time: string) => Date.parse(`2026-01-01T${time}Z`)
const reading = (sensor: string, time: string, celsius: number) => ({ sensor, time: at(time), celsius })

test('each minute of a sensor gives one line, whatever the order of its readings', async () => {
  const readings = testingSource([
    reading('attic', '00:00:50', 30),
    reading('attic', '00:00:10', 20),
    watermark(at('00:01:00')), // the first minute is over
    reading('attic', '00:01:30', 40),
    endOfInput(),
  ])

  const result = await runJob(job, { sources: { readings } })

  expect(result.sink('minutes')).toEqual([
    { sensor: 'attic', minute: '00:00', readings: 2, mean: 25, max: 30 },
    { sensor: 'attic', minute: '00:01', readings: 1, mean: 40, max: 40 },
  ])
})
