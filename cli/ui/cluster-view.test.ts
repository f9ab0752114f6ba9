import { describe, expect, test } from 'vitest'
import stringWidth from 'string-width'
import type { RuntimeEvent, RuntimeEventBody } from '../../runtime/metrics/event.ts'
import { plain } from '../output/colour.ts'
import { emptyClusterView, foldEvent, slotsOf, summariseVertex } from './cluster-view.ts'
import { events, jobId, metrics, story, storyGraph, storyStart } from './example-events.ts'
import { drawScreen, type ScreenState } from './screen.ts'
import { drawSummary } from './summary.ts'

const fold = (all: readonly RuntimeEvent[]) => all.reduce(foldEvent, emptyClusterView)
const screen = (changes: Partial<ScreenState> = {}): ScreenState => ({
  columns: 80, rows: 24, now: storyStart + 2_500, selected: 0, dialog: 'none', notice: undefined, stale: undefined, ...changes,
})
const frame = (changes: Partial<ScreenState> = {}, all = story) => drawScreen(fold(all), screen(changes), plain).map(line => line.trimEnd()).join('\n')

describe('the fold', () => {
  test('sums rates over subtasks, takes the lowest watermark and the mean load', () => {
    const view = fold(story)
    expect(view.job!.vertices.map(summariseVertex)).toMatchObject([
      { recordsOut: 27_345, recordsOutPerSecond: 24_345, busy: 0.4, backPressured: 0.55, watermark: Date.parse('2001-01-01T01:00:00Z') },
      { recordsIn: 26_800, recordsInPerSecond: 24_000, busy: 0.95, late: 3, stateBytes: 90_000 },
    ])
    expect(slotsOf(view)).toEqual([
      { id: 'tm-1', pid: 4711, lost: undefined, tasks: [2] },
      { id: 'tm-2', pid: 4712, lost: undefined, tasks: [2] },
    ])
  })

  test('a restart is counted, explained, and its tasks count from nothing', () => {
    const restarted = fold([
      ...story,
      ...events(
        [3_000, { kind: 'taskManagerLost', taskManager: 'tm-2', reason: 'its process ended by SIGKILL' }],
        [3_010, { kind: 'jobStatus', jobId, status: 'RESTARTING', attempt: 1, error: { code: 'PROCESS_LOST', message: 'the connection to slot 1 broke' } }],
        [3_020, { kind: 'restartScheduled', jobId, attempt: 2, delayMs: 0, cause: { code: 'PROCESS_LOST', message: 'TaskManager tm-2 ended by SIGKILL' }, repeats: 1 }],
        [3_030, { kind: 'taskStatus', jobId, attempt: 2, vertex: 0, subtask: 0, status: 'DEPLOYING', taskManager: 'tm-1', slotIndex: 0 }],
        [3_040, { kind: 'taskStatus', jobId, attempt: 2, vertex: 0, subtask: 0, status: 'RUNNING', taskManager: 'tm-1', slotIndex: 0 }],
        [3_050, { kind: 'metrics', jobId, tasks: [metrics(0, 0, { recordsOut: 10 })] }],
        [4_050, { kind: 'metrics', jobId, tasks: [metrics(0, 0, { recordsOut: 110 })] }],
      ),
    ])
    expect(restarted.job).toMatchObject({ restarts: 1, error: { message: 'TaskManager tm-2 ended by SIGKILL' }, status: 'RESTARTING' })
    const [running] = events([4_100, { kind: 'jobStatus', jobId, status: 'RUNNING', attempt: 2 }])
    expect(foldEvent(restarted, running!).job).toMatchObject({ restarts: 1, error: undefined, status: 'RUNNING' })
    expect(restarted.taskManagers.get('tm-2')).toMatchObject({ lost: 'its process ended by SIGKILL' })
    expect(restarted.job!.vertices[0]!.subtasks[0]!.rates.recordsOut).toBe(100)
  })

  test('a JobManager that comes back does not make the job forget its past', () => {
    const back = fold([...story, ...events([5_000, { kind: 'clusterStarted', clusterId: 'c1', epoch: 2 }], [5_010, { kind: 'jobSubmitted', jobId, name: storyGraph.name, graph: storyGraph }])])
    expect(back.job).toMatchObject({ submittedAt: storyStart + 120, checkpoints: { completed: 1, failed: 1 } })
    expect(back.job!.vertices[0]!.subtasks[0]!.metrics).toBeUndefined()
    expect(back.log.at(-2)!.text).toBe('the JobManager is back (epoch 2)')
  })

  test('events of another job change nothing, and what the fold keeps is bounded', () => {
    const view = fold(story)
    const [foreign] = events([9_000, { kind: 'jobStatus', jobId: 'another', status: 'FAILED', attempt: 1 }])
    expect(foldEvent(view, foreign!).job).toBe(view.job)
    const chatty = fold(events(...Array.from({ length: 1_000 }, (_, i) => [i, { kind: 'output', jobId, stream: 'stdout', text: `line ${i}` }] as const)))
    expect(chatty.log).toHaveLength(200)
    expect(chatty.log.at(-1)!.text).toBe('line 999')
  })

  test('the end of event time is the end, however it was carried', () => {
    for (const end of [Infinity, 2 ** 63]) {
      const view = fold([...story, ...events([3_000, { kind: 'metrics', jobId, tasks: [0, 1].map(subtask => metrics(1, subtask, { currentInputWatermark: end })) }])])
      expect(summariseVertex(view.job!.vertices[1]!).watermark).toBe('end')
    }
    for (const none of [-Infinity, -(2 ** 63)]) {
      const view = fold([...story, ...events([3_000, { kind: 'metrics', jobId, tasks: [metrics(1, 0, { currentInputWatermark: none })] }])])
      expect(summariseVertex(view.job!.vertices[1]!).watermark).toBeUndefined()
    }
  })
})

describe('the screen', () => {
  test('at 80x24', () => expect(frame()).toMatchSnapshot())
  test('at 120x40, the second task selected', () => expect(frame({ columns: 120, rows: 40, selected: 1 })).toMatchSnapshot())
  test('before anything is known', () => expect(frame({}, [])).toMatchSnapshot())
  test('help', () => expect(frame({ dialog: 'help' })).toMatchSnapshot())
  test('asks before it cancels', () => expect(frame({ dialog: 'cancel' }).split('\n').at(-1)).toMatchInlineSnapshot(`" Cancel the job? Its state is lost unless a savepoint was taken.  y yes  n no"`))
  test('is too small', () => expect(frame({ columns: 40, rows: 10 }).trimEnd()).toMatchInlineSnapshot(`
    "This view needs 60x15; the terminal has…
    Make it larger, or press q."
  `))
  test('of data more than a year old it shows the date, not the distance', () => {
    expect(frame({ now: storyStart + 400 * 86_400_000 }).split('\n')[4]).toMatch(/ 2001-01-01$/)
  })
  test('a process that stands by has no slots, and takes a place', () => {
    const slots = (...more: (readonly [after: number, body: RuntimeEventBody])[]) => frame({}, [...story, ...events(...more)]).split('\n').find(line => line.startsWith('tm-1'))
    const standsBy = [5_000, { kind: 'standby', process: { id: 'tm-3', pid: 4713 } }] as const
    expect(slots(standsBy)).toBe('tm-1 [2]  tm-2 [2]  tm-3 stands by')
    expect(slots(standsBy, [6_000, { kind: 'taskManagerLost', taskManager: 'tm-1', reason: 'killed' }], [6_001, { kind: 'standby' }], [6_002, { kind: 'taskManagerRegistered', taskManager: 'tm-3', pid: 4713, slots: 1 }])).toBe('tm-1 [lost]  tm-2 [2]  tm-3 [.]')
  })
  test('numbers that are old are marked', () => expect(frame({ stale: 4_000 }).split('\n')[0]).toContain('no news for 4.0 s'))

  test('always has as many rows as the terminal, none wider, and no escape but ours', () => {
    const evil = '日本\u001b[31m\u202e\u0007'.repeat(20)
    const graph = { ...storyGraph, name: evil, vertices: Array.from({ length: 30 }, (_, i) => ({ ...storyGraph.vertices[0]!, name: `${i} ${evil}` })) }
    const view = fold([
      ...story.slice(0, 3),
      ...events([120, { kind: 'jobSubmitted', jobId, name: evil, graph }], [130, { kind: 'output', jobId, stream: 'stderr', text: evil }], [140, { kind: 'log', level: 'warn', message: evil }],
        [150, { kind: 'jobStatus', jobId, status: 'FAILED', attempt: 3, error: { code: 'JOB_FAILED', message: evil } }]),
    ])
    for (const columns of [20, 60, 80, 100, 120, 200]) {
      for (const rows of [5, 15, 24, 40, 60]) {
        for (const dialog of ['none', 'help', 'cancel', 'quit'] as const) {
          const lines = drawScreen(view, screen({ columns, rows, dialog, selected: 29 }))
          expect(lines).toHaveLength(rows)
          for (const line of lines) {
            // oxlint-disable-next-line no-control-regex
            expect(line.replaceAll(/\u001b\[\d+m/g, '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
            expect(stringWidth(line)).toBeLessThanOrEqual(columns)
          }
        }
      }
    }
  })
})

test('the summary of a job that failed says where it can go on from', () => {
  const view = fold([...story, ...events([5_000, { kind: 'jobStatus', jobId, status: 'FAILED', attempt: 1, error: { code: 'USER_CODE_FAILED', message: 'no' } }])])
  expect(drawSummary(view, storyStart + 9_999, plain).at(-1)).toBe('last checkpoint: /p/.flink-ts/checkpoints/1')
})

test('the summary says how it ended', () => {
  const view = fold([...story, ...events([5_000, { kind: 'jobStatus', jobId, status: 'FINISHED', attempt: 1 }])])
  expect(drawSummary(view, storyStart + 9_999, plain).join('\n')).toMatchInlineSnapshot(`
    "job "delays per airport and hour" FINISHED after 4.8 s
    27.3k records from 1 source, 1 checkpoint, 1 failed"
  `)
})

test('tasks count from nothing after a restart, and the summary says so', () => {
  const restarted = fold([
    ...story,
    ...events(
      [5_000, { kind: 'restartScheduled', jobId, attempt: 2, delayMs: 0, cause: { code: 'PROCESS_LOST', message: 'tm-2 ended by SIGKILL' }, repeats: 1 }],
      [6_000, { kind: 'jobStatus', jobId, status: 'FINISHED', attempt: 2 }],
    ),
  ])
  expect(drawSummary(restarted, storyStart + 9_999, plain)).toEqual([
    'job "delays per airport and hour" FINISHED after 5.8 s, 1 restart',
    '27.3k records from 1 source since the restart, 1 checkpoint, 1 failed',
  ])
})
