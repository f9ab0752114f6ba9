/** Profiles as text: `micros  frame < frame < ...` in, shares and names out. */
import { expect, test } from 'vitest'
import type { CallFrame, CpuProfile, ProfileNode } from '../../protocol/cpu-profile.ts'
import type { NamedMember, NamedUnit } from './named-operators.ts'
import { frameProfile, functionKey, type NamedCode } from './profile-frames.ts'

const bundle = 'file:///project/.flink-ts/bundles/1.mjs'
const own = (path: string) => `file:///package/dist/runtime/${path}`
const member = (name: string, kind: string, line: number): NamedMember => ({ name, kind, at: { file: '/project/src/job.ts', line, column: 6 }, rowFunction: undefined })
const parse = member('parse', 'map', 10)
const late = member('isLate', 'filter', 12)
const segment: NamedUnit = { label: 'parse -> isLate', members: [parse, late], memberOfLine: [undefined, undefined, 0, 0, 1], trampolines: [] }
const delays: NamedUnit = { label: 'delays', members: [member('delays', 'window', 20)], memberOfLine: [], trampolines: [] }

/** A script for each file; a function for each line. */
const scripts = new Map<string, string>()
function frame(text: string): CallFrame {
  if (text.startsWith('(')) return { functionName: text, scriptId: '0', url: '', lineNumber: -1, columnNumber: -1 }
  const [, functionName = '', url = '', line = '0'] = /^(.*)@(.*):(\d+)$/.exec(text) ?? []
  if (!scripts.has(url)) scripts.set(url, String(scripts.size + 1))
  return { functionName, scriptId: scripts.get(url) as string, url, lineNumber: Number(line) - 1, columnNumber: 0 }
}
const key = (text: string) => functionKey(frame(text))

const code: NamedCode = {
  trampolines: new Map([[key('parse -> isLate@:1'), segment], [key('delays (watermark)@:2'), delays]]),
  rowFunctions: new Map([[key(`@${bundle}:101`), [parse]], [key(`@${bundle}:102`), [late]]]),
  bundleUrl: bundle,
  origin: (url, line) => (url === bundle ? { file: '/project/src/job.ts', line: line - 90, column: 3 } : undefined),
}

/** From the leaf to the root. */
function profileOf(stacks: readonly (readonly [micros: number, stack: string, ticks?: readonly number[]])[]): CpuProfile {
  const nodes: { -readonly [P in keyof ProfileNode]: ProfileNode[P] }[] = [{ id: 1, callFrame: frame('(root)'), children: [] }]
  const samples: number[] = []
  const timeDeltas: number[] = [0]
  for (const [micros, stack, ticks] of stacks) {
    let node = nodes[0]!
    for (const text of stack.split(' < ').toReversed()) {
      let child = nodes.find(each => node.children?.includes(each.id) && each.callFrame.functionName === frame(text).functionName && functionKey(each.callFrame) === key(text))
      if (child === undefined) {
        child = { id: nodes.length + 1, callFrame: frame(text), children: [] }
        nodes.push(child)
        node.children = [...(node.children ?? []), child.id]
      }
      node = child
    }
    if (ticks !== undefined) node.positionTicks = ticks.map(line => ({ line, ticks: 1 }))
    samples.push(node.id)
    timeDeltas.push(micros)
  }
  return { nodes, samples, timeDeltas: timeDeltas.slice(0, -1), startTime: 1_000, endTime: 1_000 + timeDeltas.reduce((sum, each) => sum + each) }
}

const turn = `turn@${own('slot/slot.js')}:5`
const inSegment = `processBatch@${own('operators/fusion/segment.js')}:7 < parse -> isLate@:1 < ${turn}`

test('every microsecond is put down to one thing', () => {
  const profile = profileOf([
    [100, '(idle)'],
    [7, '(garbage collector)'],
    [5, turn],
    [40, `@${bundle}:101 < anonymous@flink-ts-fused/x:3 < ${inSegment}`],
    // A helper that the first row function calls.
    [6, `helper@${bundle}:103 < @${bundle}:101 < anonymous@flink-ts-fused/x:3 < ${inSegment}`],
    // The same where it was inlined: who calls it is known from above.
    [4, `helper@${bundle}:103 < anonymous@flink-ts-fused/x:3 < ${inSegment}`],
    // Its own code, by line: two for `parse`, one for `isLate`.
    [30, `anonymous@flink-ts-fused/x:3 < ${inSegment}`, [2, 3, 4]],
    // What the segment does besides is handing on what its last operator let through.
    [3, `emit@${own('operators/output.js')}:9 < ${inSegment}`],
    [8, `write@${own('codec/columns.js')}:9 < emitBatch@${own('slot/output-channel.js')}:3 < ${inSegment}`],
    [2, `emitBatch@${own('slot/output-channel.js')}:3 < ${inSegment}`],
    [11, `get@${own('state/memory/table.js')}:1 < fire@${own('operators/window/window-operator.js')}:4 < delays (watermark)@:2 < ${turn}`],
    [9, `add@${bundle}:120 < get@${own('state/memory/table.js')}:1 < fire@${own('operators/window/window-operator.js')}:4 < delays (watermark)@:2 < ${turn}`],
    [1, 'put@file:///project/node_modules/lmdb/index.js:3'],
    [12, `@${bundle}:95 < run@node:internal/modules/esm:3`],
    [13, 'onread@node:net:3'],
  ])
  const { shares } = frameProfile(profile, code)
  expect([`idle ${shares.idle}`, ...shares.rows.map(({ kind, name, micros }) => `${name ?? kind} ${micros}`)]).toEqual([
    'idle 100',
    // 40 + 6 + 4, and two thirds of 30.
    'parse 70',
    'exchange 20',
    // A third of 30, and 3.
    'isLate 13',
    'state 12',
    'start 12',
    'delays 9',
    'codec 8',
    'gc 7',
  ])
  expect(shares.functions).toEqual([
    { name: 'map parse', file: '/project/src/job.ts', line: 11, micros: 40 },
    { name: '(anonymous)', file: '/project/src/job.ts', line: 5, micros: 12 },
    { name: 'helper', file: '/project/src/job.ts', line: 13, micros: 10 },
    { name: 'add', file: '/project/src/job.ts', line: 30, micros: 9 },
  ])
  const all = shares.idle + shares.rows.reduce((sum, row) => sum + row.micros, 0)
  expect(all).toBe(profile.endTime - profile.startTime)
})

test('frames have the names and lines of the user', () => {
  const { profile } = frameProfile(profileOf([[1, `@${bundle}:101 < after0@flink-ts-fused/x:5 < anonymous@flink-ts-fused/x:3 < ${inSegment}`, [103]], [1, `f@${bundle}:130 < delays (watermark)@:2 < ${turn}`]]), code)
  const text = profile.nodes.map(({ callFrame: { functionName, url, lineNumber }, positionTicks }) => `${functionName} ${url}:${lineNumber + 1}${(positionTicks ?? []).map(each => ` ticks in ${each.line}`).join('')}`)
  expect(text).toEqual([
    '(root) :0',
    `turn ${own('slot/slot.js')}:5`,
    'parse -> isLate file:///project/src/job.ts:10',
    `processBatch ${own('operators/fusion/segment.js')}:7`,
    'parse -> isLate (generated) file:///project/src/job.ts:10',
    'parse -> isLate (generated: after0) file:///project/src/job.ts:10',
    'map parse file:///project/src/job.ts:11 ticks in 13',
    'delays (watermark) file:///project/src/job.ts:20',
    'f file:///project/src/job.ts:40',
  ])
})

test('what V8 inlined it lists without the address of its script: the number of the script is enough', () => {
  const profile = profileOf([[5, `@${bundle}:101 < ${inSegment}`], [7, `@${bundle}:102 < ${inSegment}`]])
  const last = profile.nodes.at(-1)!
  const nodes = profile.nodes.with(-1, { ...last, callFrame: { ...last.callFrame, url: '' } })
  expect(frameProfile({ ...profile, nodes }, code).shares.rows).toEqual([{ kind: 'operator', name: 'isLate', micros: 7 }, { kind: 'operator', name: 'parse', micros: 5 }])
})
