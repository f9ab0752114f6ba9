/** The lines around a position in the user's source, as text with a marker. */
import { truncate } from './columns.ts'
import { sanitiseLine } from './sanitise.ts'
import { plain, type Paint } from './colour.ts'

/**
 * @param line 1-based
 * @param column 1-based; the caret stands under it
 * @returns the frame without indentation, or undefined when the source has no such line (it was edited since)
 */
export function codeFrame(source: string, line: number, column: number | undefined, paint: Paint = plain, columns = 120): string | undefined {
  const lines = source.split(/\r?\n/)
  if (line < 1 || line > lines.length) return undefined
  const first = Math.max(1, line - 1)
  const last = Math.min(lines.length, line + 1)
  const gutter = String(last).length
  const frame: string[] = []
  for (let number = first; number <= last; number++) {
    const text = truncate(sanitiseLine(lines[number - 1]!), columns - gutter - 5)
    if (number !== line && text.trim() === '') continue
    const marker = number === line ? '>' : ' '
    const row = `${marker} ${String(number).padStart(gutter)} | ${text}`.trimEnd()
    frame.push(number === line ? row : paint('dim', row))
    if (number === line && column !== undefined && column <= columns - gutter - 5) {
      frame.push(`  ${' '.repeat(gutter)} | ${' '.repeat(Math.max(0, column - 1))}${paint('red', '^')}`)
    }
  }
  return frame.join('\n')
}
