import { expect, test } from 'vitest'
import { WatermarkValve } from './watermark-valve.ts'

/** `a5` is watermark 5 on channel a; `aI` idle, `aA` active, `aM` the MAX watermark, `aE` ended without it (stop). */
function play(script: string): string {
  const valve = new WatermarkValve(3)
  return script
    .split(' ')
    .map(event => {
      const channel = 'abc'.indexOf(event[0]!)
      const what = event.slice(1)
      const commands =
        what === 'I' ? valve.idle(channel) : what === 'A' ? valve.active(channel) : what === 'E' ? valve.end(channel, false) : valve.watermark(channel, what === 'M' ? Infinity : Number(what))
      return `${event}: ${commands.map(command => (command.kind === 'watermark' ? command.timestamp : command.kind)).join(', ') || '-'}`
    })
    .join('  ')
}

test.for([
  ['T3: a channel never goes back', 'a5 b5 c5 a3 a5 a7 b6 c6', 'a5: -  b5: -  c5: 5  a3: -  a5: -  a7: -  b6: -  c6: 6'],
  ['T4: the smallest of all channels, only if it advances', 'a9 b4 c6 b5 b8', 'a9: -  b4: -  c6: 4  b5: 5  b8: 6'],
  ['T5: an idle channel does not hold back, and its watermarks are ignored', 'a5 b7 cI cA', 'a5: -  b7: -  cI: 5  cA: -'],
  ['T5: watermarks of an idle channel are ignored', 'aI a9 b3 c3 aA a4 b5 c5', 'aI: -  a9: -  b3: -  c3: 3  aA: -  a4: -  b5: -  c5: 4'],
  ['T6: one that comes back counts once it has caught up', 'a1 aI b9 c9 aA a5 b10 c10 a9 a10 a11 b11 c11', 'a1: -  aI: -  b9: -  c9: 9  aA: -  a5: -  b10: -  c10: 10  a9: -  a10: -  a11: -  b11: -  c11: 11'],
  ['T7: when all are idle the largest watermark is let out first', 'a5 b8 c2 aI cI bI', 'a5: -  b8: -  c2: 2  aI: -  cI: 8  bI: idle'],
  ['T7: in whatever order they become idle', 'a5 b8 c2 bI cI aI', 'a5: -  b8: -  c2: 2  bI: -  cI: 5  aI: 8, idle'],
  ['T7: active again', 'aI bI cI bA b3', 'aI: -  bI: -  cI: idle  bA: active  b3: 3'],
  ['T9: a finished channel pushes nothing on when the others are idle', 'a5 aM b3 bI cI', 'a5: -  aM: -  b3: -  bI: -  cI: 5, idle'],
  ['T9: MAX comes when all are finished', 'aM b3 c4 bM cM', 'aM: -  b3: -  c4: 3  bM: 4  cM: Infinity'],
  ['T9: MAX after idleness', 'aM bM cI cA cM', 'aM: -  bM: -  cI: idle  cA: active  cM: Infinity'],
  ['T9: an idle channel that finishes', 'aM bM cI cM', 'aM: -  bM: -  cI: idle  cM: active, Infinity'],
  ['T16: no MAX if one was stopped without draining', 'aM bM cE', 'aM: -  bM: -  cE: -'],
] as const)('%s', ([, script, expected]) => {
  expect(play(script)).toBe(expected)
})
