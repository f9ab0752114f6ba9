/**
 * Text in cells of a terminal. Apart from `sanitise.ts` because knowing how wide a character is takes tables and patterns
 * that cost 50 ms to load, and a run without a live view needs none of them.
 */
import stringWidth from 'string-width'

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** Cuts text without escape sequences to `columns` cells of a terminal, by grapheme; what was cut shows as `…`. */
export function truncate(text: string, columns: number): string {
  if (columns <= 0) return ''
  // A cell holds at least one UTF-16 unit of ASCII: the common case needs no measuring.
  if (text.length <= columns && /^[\x20-\x7e]*$/.test(text)) return text
  if (text.length <= columns * 16 && stringWidth(text) <= columns) return text
  let width = 0
  let kept = ''
  for (const { segment } of graphemes.segment(text.slice(0, columns * 16))) {
    const cells = stringWidth(segment)
    if (width + cells > columns - 1) break
    kept += segment
    width += cells
  }
  return `${kept}…`
}

/** Exactly `columns` cells wide. */
export function pad(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const cut = truncate(text, columns)
  const space = ' '.repeat(Math.max(0, columns - stringWidth(cut)))
  return align === 'left' ? cut + space : space + cut
}
