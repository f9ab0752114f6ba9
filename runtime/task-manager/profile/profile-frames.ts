/**
 * From V8's frames to those a user knows. Operators get their names, generated code the operators it was made of, and
 * compiled code the file and line it was compiled from. And every sample is put down to one thing: an operator, or what
 * the runtime does for all of them. No I/O; where code comes from is asked of `origin`.
 */
import type { SourcePosition } from '../../core/errors.ts'
import type { CallFrame, CpuProfile, ProfiledFunction, ProfileNode, ProfileRow, ProfileShares } from '../../protocol/cpu-profile.ts'
import type { NamedMember, NamedUnit } from './named-operators.ts'

/** Where V8 has a function: `scriptId:line:column`, as in a call frame. */
export type FunctionKey = string
export const functionKey = ({ scriptId, lineNumber, columnNumber }: Pick<CallFrame, 'scriptId' | 'lineNumber' | 'columnNumber'>): FunctionKey => `${scriptId}:${lineNumber}:${columnNumber}`

export interface NamedCode {
  /** The functions through which operators are called. */
  readonly trampolines: ReadonlyMap<FunctionKey, NamedUnit>
  /** The user's functions that take one record. A function may be that of several operators. */
  readonly rowFunctions: ReadonlyMap<FunctionKey, readonly NamedMember[]>
  /** The job's module. */
  readonly bundleUrl: string
  /** What a place in a script was compiled from, if anything; the line counts from 1, the column from 0. */
  origin(url: string, line: number, column: number): SourcePosition | undefined
}

export interface FramedProfile {
  readonly profile: CpuProfile
  readonly shares: ProfileShares
}

type Kind = ProfileRow['kind'] | 'idle'
/** What the frames below a node in the tree inherit. */
interface Place {
  readonly kind: Kind
  readonly unit: NamedUnit | undefined
  /** Of `unit`, once a frame has said which. */
  readonly member: NamedMember | undefined
}
interface Framed {
  readonly node: ProfileNode
  readonly place: Place
  /** Set where lines of this very function belong to several operators. */
  readonly lines: NamedUnit | undefined
  readonly userFunction: Omit<ProfiledFunction, 'micros'> | undefined
}

export function frameProfile(profile: CpuProfile, code: NamedCode): FramedProfile {
  const byId = new Map(profile.nodes.map(node => [node.id, node]))
  const urls = new Map<string, string>()
  // What V8 has inlined it lists without the address of its script.
  for (const { callFrame: { scriptId, url } } of profile.nodes) if (url !== '') urls.set(scriptId, url)
  // Who calls a function of the user is seen where it was not inlined; it is the same where it was.
  const callers = new Map<FunctionKey, NamedMember>()
  const walk = (): Map<number, Framed> => {
    const framed = new Map<number, Framed>()
    const root = profile.nodes[0]
    const pending: [ProfileNode, Place][] = root === undefined ? [] : [[root, { kind: 'exchange', unit: undefined, member: undefined }]]
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [node, above] = next
      const result = frameNode(node, above, urls.get(node.callFrame.scriptId) ?? '', code, callers)
      framed.set(node.id, result)
      const key = functionKey(node.callFrame)
      if (result.userFunction !== undefined && result.place.member !== undefined && !callers.has(key)) callers.set(key, result.place.member)
      for (const child of node.children ?? []) pending.push([byId.get(child) as ProfileNode, result.place])
    }
    return framed
  }
  walk()
  const framed = walk()
  const nodes = profile.nodes.map(node => framed.get(node.id)?.node ?? node)
  return { profile: { ...profile, nodes }, shares: sharesOf(profile, framed) }
}

function frameNode(node: ProfileNode, above: Place, url: string, code: NamedCode, callers: ReadonlyMap<FunctionKey, NamedMember>): Framed {
  const { callFrame } = node
  const { functionName } = callFrame
  if (url === '' && functionName.startsWith('(')) {
    const kind = functionName === '(idle)' ? 'idle' : functionName === '(garbage collector)' ? 'gc' : above.kind
    return { node, place: { ...above, kind }, lines: undefined, userFunction: undefined }
  }
  const key = functionKey(callFrame)
  const unit = code.trampolines.get(key)
  if (unit !== undefined) {
    const place: Place = { kind: 'operator', unit, member: unit.members.length === 1 ? unit.members[0] : undefined }
    return { node: at(node, functionName, unit.members[0]?.at), place, lines: undefined, userFunction: undefined }
  }
  if (url.startsWith('flink-ts-fused/')) return frameFused(node, above)

  const members = code.rowFunctions.get(key)
  const member = members?.find(each => above.unit?.members.includes(each)) ?? members?.[0]
  const origin = code.origin(url, callFrame.lineNumber + 1, callFrame.columnNumber)
  if (url !== code.bundleUrl || origin === undefined) {
    const place = member !== undefined ? { ...above, kind: 'operator' as const, member } : { ...above, kind: ownRoom(origin?.file ?? url) ?? above.kind }
    return { node: at(node, functionName, origin), place, lines: undefined, userFunction: undefined }
  }
  const ticks = node.positionTicks?.map(({ line, ticks }) => ({ line: code.origin(url, line, Infinity)?.line ?? origin.line, ticks }))
  const inOperator = above.unit !== undefined || member !== undefined
  const seen = callers.get(key)
  const caller = above.member ?? (seen !== undefined && above.unit?.members.includes(seen) ? seen : undefined)
  const name = functionName !== '' ? functionName : member !== undefined ? `${member.kind} ${member.name}` : caller !== undefined ? `(anonymous, in ${caller.name})` : '(anonymous)'
  return {
    node: at({ ...node, ...(ticks && { positionTicks: ticks }) }, name, origin),
    // What user code calls is the operator's again, whoever called the user's code.
    place: inOperator ? { ...above, kind: 'operator', member: member ?? caller } : { ...above, kind: 'start' },
    lines: undefined,
    userFunction: { name, file: origin.file, line: origin.line },
  }
}

/** A function that was generated for a segment, or one of those it is made of. */
function frameFused(node: ProfileNode, above: Place): Framed {
  const { unit } = above
  if (unit === undefined) return { node, place: above, lines: undefined, userFunction: undefined }
  const { functionName } = node.callFrame
  const ticks = node.positionTicks?.flatMap(({ line, ticks }) => {
    const member = memberOf(unit, line)
    return member?.at === undefined ? [] : [{ line: member.at.line, ticks }]
  })
  const name = functionName === '' || functionName === 'anonymous' ? `${unit.label} (generated)` : `${unit.label} (generated: ${functionName})`
  return { node: at({ ...node, ...(ticks && { positionTicks: ticks }) }, name, unit.members[0]?.at), place: { ...above, kind: 'operator' }, lines: unit, userFunction: undefined }
}

const memberOf = (unit: NamedUnit, line: number): NamedMember | undefined => unit.members[unit.memberOfLine[line] ?? 0]

/** Of rooms of the runtime that work for all operators; undefined for the others, which work for whoever calls them. */
function ownRoom(file: string): Exclude<Kind, 'idle' | 'operator' | 'gc'> | undefined {
  if (/\/node_modules\/(@lmdb\/|lmdb\/)/.test(file)) return 'state'
  if (/\/node_modules\/msgpackr/.test(file)) return 'codec'
  if (file.startsWith('node:internal/modules/') || file === 'node:inspector') return 'start'
  switch (/\/runtime\/([\w-]+)\/[^/]*(?:\/[^/]*)*\.[jt]s$/.exec(file)?.[1]) {
    case 'codec':
      return 'codec'
    case 'state':
      return 'state'
    case 'slot':
    case 'network':
    case 'task-manager':
      return 'exchange'
    case 'graph':
      return 'start'
    default:
      return undefined
  }
}

/** The script's number would still be that of the compiled code. */
function at(node: ProfileNode, functionName: string, position: SourcePosition | undefined): ProfileNode {
  if (position === undefined) return { ...node, callFrame: { ...node.callFrame, functionName } }
  const callFrame = { functionName, scriptId: '0', url: fileUrl(position.file), lineNumber: position.line - 1, columnNumber: Math.max(0, (position.column ?? 1) - 1) }
  return { ...node, callFrame }
}
const fileUrl = (path: string) => (path.startsWith('/') ? `file://${path.split('/').map(encodeURIComponent).join('/')}` : path)

// --- shares ---

function sharesOf({ nodes, samples, timeDeltas, startTime, endTime }: CpuProfile, framed: ReadonlyMap<number, Framed>): ProfileShares {
  const ticksOf = new Map(nodes.map(node => [node.id, node.positionTicks ?? []]))
  const micros = new Map<number, number>()
  // A sample stands for the time until the next one.
  let now = startTime
  samples.forEach((id, i) => {
    now += timeDeltas[i] as number
    const until = i + 1 < samples.length ? (timeDeltas[i + 1] as number) : Math.max(0, endTime - now)
    micros.set(id, (micros.get(id) ?? 0) + Math.max(0, until))
  })
  let idle = 0
  const rows = new Map<string, { -readonly [P in keyof ProfileRow]: ProfileRow[P] }>()
  const functions = new Map<string, { -readonly [P in keyof ProfiledFunction]: ProfiledFunction[P] }>()
  const add = (kind: ProfileRow['kind'], name: string | undefined, time: number) => {
    const row = rows.get(`${kind} ${name}`)
    if (row !== undefined) row.micros += time
    else rows.set(`${kind} ${name}`, { kind, ...(name === undefined ? {} : { name }), micros: time })
  }
  for (const [id, time] of micros) {
    const { place, lines, userFunction } = framed.get(id) as Framed
    if (place.kind === 'idle') idle += time
    else if (place.kind !== 'operator') add(place.kind, undefined, time)
    else if (lines === undefined) add('operator', operatorOf(place)?.name, time)
    else for (const [member, part] of partsOf(ticksOf.get(id) ?? [], lines)) add('operator', member?.name, time * part)
    if (userFunction === undefined) continue
    const key = `${userFunction.file}:${userFunction.line}:${userFunction.name}`
    const known = functions.get(key)
    if (known !== undefined) known.micros += time
    else functions.set(key, { ...userFunction, micros: time })
  }
  const longest = (a: { readonly micros: number }, b: { readonly micros: number }) => b.micros - a.micros
  return { idle, rows: [...rows.values()].sort(longest), functions: [...functions.values()].sort(longest) }
}

/** What a segment does outside of its functions is handing on what the last of them made. */
const operatorOf = ({ member, unit }: Place): NamedMember | undefined => member ?? unit?.members.at(-1)

type PositionTicks = NonNullable<ProfileNode['positionTicks']>

/** How the time of a generated function is divided among its operators, by the lines that V8 has seen it in. */
function partsOf(positionTicks: PositionTicks, unit: NamedUnit): [NamedMember | undefined, number][] {
  const ticks = new Map<NamedMember | undefined, number>()
  let all = 0
  for (const { line, ticks: count } of positionTicks) {
    const member = memberOf(unit, line)
    ticks.set(member, (ticks.get(member) ?? 0) + count)
    all += count
  }
  return all === 0 ? [[unit.members.at(-1), 1]] : [...ticks].map(([member, count]) => [member, count / all])
}
