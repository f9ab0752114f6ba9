/**
 * Colour for one output stream. It follows NO_COLOR, FORCE_COLOR, TERM=dumb and whether that very stream is a terminal,
 * and is never the only signal: what is red also says `error`.
 */
import { styleText } from 'node:util'

export type Style = Parameters<typeof styleText>[0]
export type Paint = (style: Style, text: string) => string

export const plain: Paint = (_style, text) => text

/** Always with colour, for what is drawn on a terminal we own. */
export const coloured: Paint = (style, text) => styleText(style, text, { validateStream: false })

export function paintFor(stream: NodeJS.WriteStream): Paint {
  return wantsColour(stream) ? coloured : plain
}

function wantsColour(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '') return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  return stream.isTTY === true && TERM !== 'dumb'
}
