/**
 * A string of a decoded batch is a slice of the text of the whole batch. The real way of a record, from the bytes of a
 * frame through an operator into its state, must cut it loose: one short text kept per frame must not keep the frame.
 * In a process of its own, where nobody else's garbage is counted.
 */
import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const source = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)

const script = `
import { createChannelDecoder, createChannelEncoder } from ${source('../codec/channel-codec.ts')}
import { ChainHarness } from ${source('../operators/chain-harness.ts')}
import { PagedState } from ${source('./memory/paged-state.ts')}
import { mapState, valueState } from ${source('../api/state.ts')}

const [codec, what, frames] = [process.argv[1], process.argv[2], Number(process.argv[3])]
const size = 512
const values = Array.from({ length: size }, (_, i) => ({ id: i, text: i + ' a long text that is not like its neighbours '.repeat(2) + i }))
const encoded = createChannelEncoder(codec, 0).encode({ size, values, timestamps: new Float64Array(size) })

let frame = 0
let keptCount = 0
const leaked = []
const kept = value => (keptCount++, value.text.slice(0, 30))
const process_ = (state, put) => ({ kind: 'keyedProcess', key: { description: 'frame', select: () => frame }, fn: { state, process(value, ctx) { if (value.id === 300) put(ctx.state, value) } } })
const step = {
  leak: () => process_({}, (_, value) => void leaked.push(kept(value))),
  value: () => process_({ last: valueState() }, (state, value) => state.last.update(kept(value))),
  object: () => process_({ last: valueState() }, (state, value) => state.last.update({ of: { text: kept(value) } })),
  map: () => process_({ seen: mapState() }, (state, value) => state.seen.put(kept(value), [value.text])),
  key: () => ({ ...process_({ last: valueState() }, (state, value) => state.last.update(1)), key: { description: 'text', select: value => value.id === 300 ? frame + kept(value) : 'one' } }),
  reduce: () => ({ kind: 'reduce', key: { description: 'frame', select: () => frame }, fn: (a, b) => (b.id === 300 ? { id: b.id, text: kept(b) } : a) }),
}[what]()
const openState = (keyGroups, maxParallelism) => new PagedState({ keyGroups, maxParallelism, memoryLimit: 2 ** 40, store: undefined, clock: () => 0 })
const harness = new ChainHarness({ steps: [step], leaving: [], openState })
const decoder = createChannelDecoder(codec)

const used = () => { gc(); gc(); return process.memoryUsage().heapUsed }
let before = 0
for (; frame < frames; frame++) {
  // The first ones compile the code and fill the tables.
  if (frame === 100) before = used()
  for (const bytes of encoded) {
    const batch = decoder.decode(bytes)
    if (batch !== undefined) harness.chain.processBatch(batch, 0)
  }
}
const bytes = (used() - before) / (frames - 100)
// Named once more, so that it was not garbage while it was measured.
console.log(JSON.stringify({ bytes, kept: keptCount, leaked: leaked.length, state: harness.chain.metrics().stateBytes }))
`

/** Bytes of heap that each frame leaves behind. */
function bytesPerFrame(codec: string, what: string, frames: number): number {
  const child = spawnSync(process.execPath, ['--expose-gc', '--conditions=flink-ts-source', '--input-type=module', '-e', script, codec, what, String(frames)], { encoding: 'utf8' })
  expect(child.stderr).toBe('')
  const { bytes, kept, leaked, state } = JSON.parse(child.stdout) as { bytes: number; kept: number; leaked: number; state: number }
  expect([kept, leaked]).toEqual([frames, what === 'leak' ? frames : 0])
  if (what !== 'leak') expect(state).toBeGreaterThan(frames * 8)
  return bytes
}

test('what is measured: a text that is kept as it is keeps the text of its batch', () => {
  expect(bytesPerFrame('columnar', 'leak', 600)).toBeGreaterThan(20_000)
})

test.each([
  ['columnar', 'value', 20_000],
  ['columnar', 'object', 4_000],
  ['columnar', 'map', 4_000],
  ['columnar', 'key', 4_000],
  ['columnar', 'reduce', 2_000],
  ['record', 'value', 2_000],
])('%s: a text of each frame in state, as %s, over %i frames takes a few hundred bytes of heap each', (codec, what, frames) => {
  expect(bytesPerFrame(codec, what, frames)).toBeLessThan(1_000)
})
