/** A table as text: columns as wide as their widest cell, separated by two spaces, no lines. Cells are made safe here. */
import stringWidth from 'string-width'
import { pad } from './columns.ts'
import { sanitiseLine } from './sanitise.ts'
import type { Paint } from './colour.ts'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[], paint: Paint): string {
  const safe = rows.map(row => row.map(sanitiseLine))
  const widths = columns.map((column, i) => Math.max(stringWidth(column.title), ...safe.map(row => stringWidth(row[i] ?? ''))))
  const line = (cells: readonly string[]) => columns.map((column, i) => pad(cells[i] ?? '', widths[i]!, column.align)).join('  ').trimEnd()
  return [paint('bold', line(columns.map(column => column.title))), ...safe.map(line)].join('\n')
}
