/**
 * V8 puts the time of a function that it has inlined down to the function around it and says only in which line it was
 * spent. A module that was bundled for profiles has lines that no other script has (`profiledFirstLine`), so the line says
 * which of the user's functions it was: it becomes a node of its own again, with its part of the samples.
 */
import { profiledFirstLine, type CallFrame, type CpuProfile, type ProfileNode } from '../../protocol/cpu-profile.ts'

/** What `Profiler.getBestEffortCoverage` says of a function, as offsets into the text. */
export interface CoveredFunction {
  readonly functionName: string
  readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number }[]
}

/** Call frame of the innermost function that a line (from 1) is in. */
export type FunctionsByLine = (line: number) => CallFrame | undefined

export function functionsByLine(script: { readonly scriptId: string; readonly url: string; readonly functions: readonly CoveredFunction[] }, text: string): FunctionsByLine {
  const lineStarts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1)
  const frames = new Map<number, CallFrame>()
  const sized = script.functions.flatMap(({ functionName, ranges: [range] }) => (range === undefined ? [] : [{ functionName, ...range }]))
  // From the largest to the smallest, so that the innermost is written last. The first is the module itself.
  for (const { functionName, startOffset, endOffset } of sized.sort((a, b) => b.endOffset - b.startOffset - (a.endOffset - a.startOffset)).slice(1)) {
    const first = lineOf(startOffset)
    const frame = { functionName, scriptId: script.scriptId, url: script.url, lineNumber: first, columnNumber: startOffset - (lineStarts[first] as number) }
    for (let line = first; line <= lineOf(endOffset); line++) frames.set(line + 1, frame)
  }
  return line => frames.get(line)

  /** From 0. */
  function lineOf(offset: number): number {
    let low = 0
    let high = lineStarts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((lineStarts[middle] as number) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** A node, and what of its time belongs to functions that were inlined into it. */
interface Split {
  readonly parts: readonly { readonly id: number; readonly ticks: number }[]
  readonly all: number
  /** Samples that each part is still owed. */
  readonly owed: number[]
}

export function splitInlined(profile: CpuProfile, functionAt: FunctionsByLine): CpuProfile {
  let nextId = profile.nodes.reduce((highest, node) => Math.max(highest, node.id), 0) + 1
  const nodes = new Map(profile.nodes.map(node => [node.id, node]))
  const splits = new Map<number, Split>()
  for (const node of profile.nodes) {
    const ticks = new Map<CallFrame, { line: number; ticks: number }[]>()
    for (const tick of node.positionTicks ?? []) {
      const inlined = tick.line < profiledFirstLine ? undefined : functionAt(tick.line)
      if (inlined === undefined || sameFunction(inlined, node.callFrame)) continue
      ticks.set(inlined, [...(ticks.get(inlined) ?? []), tick])
    }
    if (ticks.size === 0) continue
    const children = [...(node.children ?? [])]
    const parts = [...ticks].map(([callFrame, positionTicks]) => {
      const known = children.map(id => nodes.get(id) as ProfileNode).find(child => sameFunction(child.callFrame, callFrame))
      const child = known ?? { id: nextId++, callFrame, children: [] }
      if (known === undefined) children.push(child.id)
      const count = sum(positionTicks)
      nodes.set(child.id, { ...child, hitCount: (child.hitCount ?? 0) + count, positionTicks: [...(child.positionTicks ?? []), ...positionTicks] })
      return { id: child.id, ticks: count }
    })
    const moved = new Set([...ticks.values()].flat())
    const all = sum(node.positionTicks ?? [])
    // What its caller has given it stays with it.
    const changed = nodes.get(node.id) as ProfileNode
    const kept = (changed.positionTicks ?? []).filter(tick => !moved.has(tick))
    nodes.set(node.id, { ...changed, children, hitCount: sum(kept), positionTicks: kept })
    splits.set(node.id, { parts: [{ id: node.id, ticks: all - sum([...moved]) }, ...parts], all, owed: [0, ...parts.map(() => 0)] })
  }
  return { ...profile, nodes: [...nodes.values()], samples: profile.samples.map(id => (splits.has(id) ? turnOf(splits.get(id) as Split) : id)) }
}

/** Whose turn it is: each part gets its share of the samples, evenly over time. Which of them was really its own nobody knows. */
function turnOf({ parts, all, owed }: Split): number {
  let first = 0
  parts.forEach(({ ticks }, i) => {
    owed[i] = (owed[i] as number) + ticks / all
    if ((owed[i] as number) > (owed[first] as number)) first = i
  })
  owed[first] = (owed[first] as number) - 1
  return (parts[first] as { readonly id: number }).id
}

const sameFunction = (a: CallFrame, b: CallFrame) => a.scriptId === b.scriptId && a.lineNumber === b.lineNumber && a.columnNumber === b.columnNumber
const sum = (ticks: readonly { readonly ticks: number }[]) => ticks.reduce((all, each) => all + each.ticks, 0)
