import { expect, test } from 'vitest'
import { profiledFirstLine, type CallFrame, type CpuProfile } from '../../protocol/cpu-profile.ts'
import { functionsByLine, splitInlined } from './inlined-functions.ts'

const frame = (functionName: string, scriptId: string, lineNumber: number): CallFrame => ({ functionName, scriptId, url: '', lineNumber, columnNumber: 0 })
const first = profiledFirstLine

test('the innermost function of a line, by offsets into the text', () => {
  const text = ['', 'function outer(', ') {', 'return () => {', 'inner()', '}', '}', 'after()'].join('\n')
  const range = (functionName: string, from: string, to: number) => ({ functionName, ranges: [{ startOffset: from === '' ? 0 : text.indexOf(from), endOffset: to }] })
  const functionAt = functionsByLine({ scriptId: '7', url: 'file:///job.mjs', functions: [range('', '', text.length), range('outer', 'function', text.lastIndexOf('}') + 1), range('inner', '() =>', text.indexOf('}\n}') + 1)] }, text)
  expect(Array.from({ length: 9 }, (_, line) => functionAt(line)?.functionName)).toEqual([undefined, undefined, 'outer', 'outer', 'inner', 'inner', 'inner', 'outer', undefined])
  expect(functionAt(5)).toEqual({ functionName: 'inner', scriptId: '7', url: 'file:///job.mjs', lineNumber: 3, columnNumber: 7 })
})

test('the time of an inlined function comes back as a node of its own, with its part of the samples', () => {
  const heavy = frame('heavy', '7', first)
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame('loop', '3', 0), hitCount: 8, children: [2], positionTicks: [{ line: 3, ticks: 2 }, { line: first + 1, ticks: 5 }, { line: first + 9, ticks: 1 }] },
      { id: 2, callFrame: heavy, hitCount: 1, positionTicks: [{ line: first + 1, ticks: 1 }] },
    ],
    startTime: 0, endTime: 10, samples: [1, 1, 1, 1, 2, 1, 1, 1, 1], timeDeltas: [1, 1, 1, 1, 1, 1, 1, 1, 1],
  }
  const light = frame('light', '7', first + 8)
  const split = splitInlined(profile, line => (line === first + 1 ? heavy : line === first + 9 ? light : undefined))
  expect(split.nodes.map(({ id, callFrame, hitCount, children, positionTicks }) => [id, callFrame.functionName, hitCount, children ?? [], positionTicks])).toEqual([
    [1, 'loop', 2, [2, 3], [{ line: 3, ticks: 2 }]],
    [2, 'heavy', 6, [], [{ line: first + 1, ticks: 1 }, { line: first + 1, ticks: 5 }]],
    [3, 'light', 1, [], [{ line: first + 9, ticks: 1 }]],
  ])
  const count = (id: number) => split.samples.filter(each => each === id).length
  expect([count(1), count(2), count(3)]).toEqual([2, 6, 1])
  expect(split.samples).toHaveLength(9)
})

test('lines of other scripts, and of the function itself, are left alone', () => {
  const own = frame('own', '7', first)
  const profile: CpuProfile = {
    nodes: [{ id: 1, callFrame: own, positionTicks: [{ line: first + 2, ticks: 4 }, { line: 12, ticks: 1 }] }],
    startTime: 0, endTime: 1, samples: [1], timeDeltas: [0],
  }
  expect(splitInlined(profile, () => own)).toEqual(profile)
})

test('a function that was given time may have others inlined: it keeps what it was given', () => {
  const heavy = frame('heavy', '7', first)
  const light = frame('light', '7', first + 8)
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame('loop', '3', 0), hitCount: 4, children: [2], positionTicks: [{ line: first + 1, ticks: 4 }] },
      { id: 2, callFrame: heavy, hitCount: 3, positionTicks: [{ line: first + 1, ticks: 1 }, { line: first + 9, ticks: 2 }] },
    ],
    startTime: 0, endTime: 8, samples: [1, 1, 1, 1, 2, 2, 2], timeDeltas: [1, 1, 1, 1, 1, 1, 1],
  }
  const split = splitInlined(profile, line => (line === first + 9 ? light : heavy))
  expect(split.nodes.map(({ callFrame, hitCount }) => [callFrame.functionName, hitCount])).toEqual([['loop', 0], ['heavy', 5], ['light', 2]])
  expect([1, 2, 3].map(id => split.samples.filter(each => each === id).length)).toEqual([0, 5, 2])
})
