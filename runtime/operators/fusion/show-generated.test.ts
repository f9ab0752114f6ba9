import { expect, test } from 'vitest'
import { evaluateJob, job } from '../../api/job.ts'
import { boundedOutOfOrderness, watermarkGenerator } from '../../api/watermarks.ts'
import { defaultJobConfig, type JobConfig } from '../../graph/config.ts'
import { translate } from '../../graph/translate.ts'
import { showGenerated } from './show-generated.ts'

function isShort(word: string): boolean {
  return word.length < 4
}

const words = job('words', env => {
  env
    .fromData(['to be or not to be'])
    .flatMap(line => line.split(' '))
    .name('split')
    .assignTimestampsAndWatermarks({ timestamp: word => word.length, watermark: watermarkGenerator(() => ({ onEvent: () => undefined, onPeriodic: () => undefined })) })
    .assignTimestampsAndWatermarks({ timestamp: word => word.length, watermark: boundedOutOfOrderness('1 s') })
    .filter(isShort)
    .name('short */ // words\u2028')
    .map(word => ({ word, count: 1 }))
    .keyBy('word')
    .sum('count')
    .print()
})

function shown(config: JobConfig): string {
  const definition = evaluateJob(words, {})
  // Lines of this file would have to be mended with every change.
  return showGenerated(definition, translate(definition, config)).replaceAll(/show-generated\.test\.ts:\d+/g, 'job.ts:1')
}

test('the code of each task, and why there is none', () => {
  expect(shown(defaultJobConfig)).toMatchInlineSnapshot(`
    "[0] Source: Collection Source -> split -> Timestamps/Watermarks -> Timestamps/Watermarks -> short */ // words  -> Map

      Collection Source [source]: not generated; it reads records and takes none

      split: one function over a batch; it ends there because Timestamps/Watermarks has a watermark generator of yours, which may emit in the middle of a batch

        'use strict'
        let at = -1
        const f0 = rows[0].fn  // your function, job.ts:1
        const after0 = (v, t) => {
          at = -1; out.emit(v, t)
        }
        class Collector0 { timestamp = NO_TIMESTAMP; collect(value) { try { after0(value, this.timestamp) } catch (error) { throw fail(error, at) } at = 0 } }
        const c0 = new Collector0()
        return (values, timestamps, size) => {
          try {
            for (let i = 0; i < size; i++) {
              let v = values[i], t = timestamps[i]
              at = 0; c0.timestamp = t; const r0 = f0(v, c0)  // split [flatMap]
              if (r0 === undefined || r0 === null) continue
              if (Array.isArray(r0)) for (let k = 0; k < r0.length; k++) { after0(r0[k], t); at = 0 }
              else for (const e of r0) { after0(e, t); at = 0 }
              continue
            }
          } catch (error) { throw fail(error, at) }
        }

      Timestamps/Watermarks [timestamps]: not generated; it has a watermark generator of yours, which may emit in the middle of a batch

      Timestamps/Watermarks -> short */ // words  -> Map: one function over a batch; it ends there because its records leave the task

        'use strict'
        let at = -1
        const f0 = rows[0].fn  // your function, job.ts:1
        const g0 = rows[0].tracker, wake0 = rows[0].wake, invalid0 = rows[0].invalid
        const f1 = rows[1].fn  // your isShort, job.ts:1
        const f2 = rows[2].fn  // your function, job.ts:1
        return (values, timestamps, size) => {
          let n = 0, outValues = out.values, outTimestamps = out.timestamps
          const capacity = out.capacity
          try {
            for (let i = 0; i < size; i++) {
              let v = values[i], t = timestamps[i]
              at = 0  // Timestamps/Watermarks [timestamps]
              t = f0(v, t); if (!Number.isSafeInteger(t) && t !== NO_TIMESTAMP) throw invalid0(t)
              g0.events++; if (t > g0.maximum) g0.maximum = t; if (g0.idle) wake0()
              at = 1; if (!f1(v)) continue  // short */ // words  [filter]
              at = 2; v = f2(v)  // Map [map]
              outValues[n] = v; outTimestamps[n] = t; n++
              if (n === capacity) { at = -1; out.size = n; n = 0; out.flush(); outValues = out.values; outTimestamps = out.timestamps }
            }
          } catch (error) { throw fail(error, at) }
          out.size = n
        }

    [1] Sum -> Sink: print

      Sum [reduce]: not generated; it works under keys, on whole batches in a loop of its own

      print [sink]: not generated; it takes whole batches
    "
  `)
})

test('without fusion there is none', () => {
  expect(shown({ ...defaultJobConfig, exchange: { ...defaultJobConfig.exchange, fusion: false } })).toContain('short */ // words\u2028 -> Map: not generated; exchange.fusion is off, so the functions call each other')
})

test('a sink that is all that follows is part of the function', () => {
  const definition = evaluateJob(job('short', env => env.fromData(['to', 'be']).filter(isShort).print()), {})
  const text = (config: JobConfig) => showGenerated(definition, translate(definition, config)).replaceAll(/show-generated\.test\.ts:\d+/g, 'job.ts:1')
  expect(text(defaultJobConfig).split('\n').slice(4, -1)).toEqual([
    '  Filter -> print: one function over a batch',
    '',
    "    'use strict'",
    '    let at = -1',
    '    const f0 = rows[0].fn  // your isShort, job.ts:1',
    '    let writer, n = 0',
    '    return (values, timestamps, size) => {',
    '      writer = sink.writer; n = 0',
    '      try {',
    '        for (let i = 0; i < size; i++) {',
    '          let v = values[i], t = timestamps[i]',
    '          at = 0; if (!f0(v)) continue  // Filter [filter]',
    '          at = 1; writer.write(v, t); n++  // print [sink]',
    '        }',
    '      } catch (error) { throw fail(error, at) }',
    '      out.passed += n',
    '    }',
  ])
  const closures = { ...defaultJobConfig, exchange: { ...defaultJobConfig.exchange, fusion: false } }
  expect(text(closures).split('\n').filter(line => line.includes('not generated'))).toEqual([
    '  Collection Source [source]: not generated; it reads records and takes none',
    '  Filter: not generated; exchange.fusion is off, so the functions call each other',
    '  print [sink]: not generated; it takes whole batches',
  ])
})
