/**
 * A segment as one generated function over a batch, with the user's functions as parameters. For
 * `filter -> map -> flatMap` it reads (shortened):
 *
 *     return (values, timestamps, size) => {
 *       for (let i = 0; i < size; i++) {
 *         const v0 = values[i], t0 = timestamps[i]
 *         at = 0; if (!f0(v0)) continue
 *         at = 1; const v1 = f1(v0)
 *         at = 2; c2.timestamp = t0; const r2 = f2(v1, c2)
 *         if (r2 != null) for (const e of r2) { after2(e, t0); at = 2 }
 *       }
 *     }
 *
 * Where a sink is all that follows, its `write` is called in the place of what fills the batch: a record that nobody keeps is
 * then never stored anywhere.
 *
 * Each call site is its own code, so V8 can inline every user function: 7-13 times faster than an object per operator.
 * Each flatMap and process gets a collector class of its own, for the same reason. The text contains numbers and fixed
 * words only; the one string from outside, the name after `sourceURL`, goes through `JSON.stringify`.
 */
import { assert } from '../../core/assert.ts'
import { NO_TIMESTAMP } from '../../core/time.ts'
import type { OperatorTransformation } from '../../graph/transformation.ts'
import type { Output } from '../output.ts'
import type { Fail, RecordSink, RowOperator, RowProgram } from './row-operator.ts'

/** `label` names the segment in stack traces and profiles. */
export function generateProgram(rows: readonly RowOperator[], out: Output, fail: Fail, label: string, sink?: RecordSink): RowProgram {
  // oxlint-disable-next-line no-implied-eval -- the point of this file; `canGenerate` (codec/) says whether it is allowed
  const create = new Function('rows', 'out', 'fail', 'NO_TIMESTAMP', 'sink', programText(rows, label, sink !== undefined)) as (
    rows: readonly RowOperator[],
    out: Output,
    fail: Fail,
    none: number,
    sink: RecordSink | undefined,
  ) => RowProgram
  return create(rows, out, fail, NO_TIMESTAMP, sink)
}

/** What the text depends on. */
export interface RowShape {
  readonly kind: RowOperator['kind']
  /** Undefined only where a `timestamps` operator keeps those that are there. */
  readonly fn: unknown
}

/** Of a transformation that is row-wise; `segment.ts` makes the operator itself. */
export function rowShape(transformation: OperatorTransformation): RowShape {
  switch (transformation.kind) {
    case 'map':
    case 'filter':
    case 'flatMap':
    case 'process':
      return { kind: transformation.kind, fn: transformation.fn }
    case 'timestamps':
      return { kind: 'timestamps', fn: transformation.strategy.timestamp }
    default:
      assert(false, `${transformation.kind} is not row-wise`)
  }
}

/** One statement, or several, a line: what a line does is done by the operator that the last `at = ` before its end names. */
export function programText(rows: readonly RowShape[], label: string, toSink = false): string {
  const sites = rows.flatMap((row, at) => (row.kind === 'flatMap' || row.kind === 'process' ? [at] : []))
  // Without a site a record gives at most one record and everything stays in local variables of the loop.
  const local = sites.length === 0
  const last = toSink ? 'sink' : local ? 'local' : 'output'
  const lines: string[] = [`'use strict'`, `let at = -1`]
  rows.forEach((row, at) => {
    if (row.kind !== 'timestamps' || row.fn !== undefined) lines.push(`const f${at} = rows[${at}].fn`)
    if (row.kind === 'process') lines.push(`const x${at} = rows[${at}].context`)
    if (row.kind === 'timestamps') lines.push(`const g${at} = rows[${at}].tracker, wake${at} = rows[${at}].wake, invalid${at} = rows[${at}].invalid`)
  })
  if (toSink) lines.push(`let writer, n = 0`)
  for (const site of sites) {
    lines.push(`const after${site} = (v, t) => {`, ...rowsText(rows, site + 1, 'return', last), `}`)
    lines.push(`class Collector${site} { timestamp = NO_TIMESTAMP; collect(value) { try { after${site}(value, this.timestamp) } catch (error) { throw fail(error, at) } at = ${site} } }`)
    lines.push(`const c${site} = new Collector${site}()`)
  }
  lines.push(`return (values, timestamps, size) => {`)
  if (toSink) lines.push(`writer = sink.writer; n = 0`)
  else if (local) lines.push(`let n = 0, outValues = out.values, outTimestamps = out.timestamps`, `const capacity = out.capacity`)
  lines.push(`try {`, `for (let i = 0; i < size; i++) {`, `let v = values[i], t = timestamps[i]`)
  lines.push(...rowsText(rows, 0, 'continue', last))
  lines.push(`}`, `} catch (error) { throw fail(error, at) }`)
  if (toSink) lines.push(`out.passed += n`)
  else if (local) lines.push(`out.size = n`)
  lines.push(`}`, `//# sourceURL=flink-ts-fused/${encodeURIComponent(JSON.stringify(label))}`)
  return lines.join('\n')
}

/** The rows from `from` up to the first site or the end; `skip` leaves the record, `last` is where it goes. */
function rowsText(rows: readonly RowShape[], from: number, skip: 'return' | 'continue', last: 'sink' | 'local' | 'output'): string[] {
  const lines: string[] = []
  for (let at = from; at < rows.length; at++) {
    const row = rows[at] as RowShape
    switch (row.kind) {
      case 'map':
        lines.push(`at = ${at}; v = f${at}(v)`)
        break
      case 'filter':
        lines.push(`at = ${at}; if (!f${at}(v)) ${skip}`)
        break
      case 'timestamps':
        lines.push(`at = ${at}`)
        if (row.fn !== undefined) lines.push(`t = f${at}(v, t); if (!Number.isSafeInteger(t) && t !== NO_TIMESTAMP) throw invalid${at}(t)`)
        lines.push(`g${at}.events++; if (t > g${at}.maximum) g${at}.maximum = t; if (g${at}.idle) wake${at}()`)
        break
      case 'flatMap':
        lines.push(
          `at = ${at}; c${at}.timestamp = t; const r${at} = f${at}(v, c${at})`,
          `if (r${at} === undefined || r${at} === null) ${skip}`,
          `if (Array.isArray(r${at})) for (let k = 0; k < r${at}.length; k++) { after${at}(r${at}[k], t); at = ${at} }`,
          `else for (const e of r${at}) { after${at}(e, t); at = ${at} }`,
          skip,
        )
        return lines
      case 'process':
        lines.push(`at = ${at}; c${at}.timestamp = t; x${at}.record = t; f${at}.process(v, x${at}, c${at})`, skip)
        return lines
    }
  }
  if (last === 'sink') {
    lines.push(`at = ${rows.length}; writer.write(v, t); n++`)
  } else if (last === 'local') {
    lines.push(`outValues[n] = v; outTimestamps[n] = t; n++`)
    lines.push(`if (n === capacity) { at = -1; out.size = n; n = 0; out.flush(); outValues = out.values; outTimestamps = out.timestamps }`)
  } else {
    lines.push(`at = -1; out.emit(v, t)`)
  }
  return lines
}
