import { boundedOutOfOrderness, count, job, max, mean, tumbling } from 'flink-ts'
import { generatorSource } from 'flink-ts/connectors/datagen'

interface Reading {
  sensor: string
  celsius: number
  time: number // epoch milliseconds
}

const SENSORS = ['cellar', 'kitchen', 'attic']
const START = Date.parse('2026-01-01T00:00:10Z')

/** Five minutes of three sensors, one reading per sensor and second of event time; every seventh comes late. */
const readings = generatorSource<Reading>({
  count: 900,
  ratePerSecond: 300,
  generate: index => {
    const second = Math.floor(index / SENSORS.length)
    const late = index % 7 === 0 ? 4_000 : 0
    return { sensor: SENSORS[index % SENSORS.length]!, celsius: 18 + 4 * Math.sin(index / 50), time: START + second * 1_000 - late }
  },
})

export default job('my-job', env => {
  env.enableCheckpointing('1 s')
  env
    .fromSource(readings, { timestamp: reading => reading.time, watermark: boundedOutOfOrderness('5 s') }, 'readings')
    .keyBy('sensor')
    .window(tumbling('1 min'))
    .aggregate({ readings: count(), mean: mean(r => r.celsius), max: max(r => r.celsius) })
    .map(({ key, window, ...values }) => ({ sensor: key, minute: new Date(window.start).toISOString().slice(11, 16), ...values }))
    .print()
    .uid('minutes')
})
