/**
 * The one sanitiser. Whatever comes from data, user code, paths or another process passes through here before it reaches
 * a terminal, so that no record can move the cursor, change the title, hide text or forge a line. What is taken out stays
 * visible as `\u{1b}`.
 */
// C0 without tab and newline, DEL, C1, bidi controls, zero-width characters, line separators, the byte order mark, tags.
// Lone surrogates are what `\p{Cs}` finds in a string with the `u` flag.
// oxlint-disable-next-line no-control-regex
const unsafe = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Cs}/gu

const visible = (character: string) => `\\u{${character.codePointAt(0)!.toString(16)}}`

/** Text of several lines: newlines and tabs stay. */
export function sanitiseText(text: string): string {
  return text.replace(unsafe, visible)
}

/** One line: newlines become visible too, tabs become a space. */
export function sanitiseLine(text: string): string {
  return sanitiseText(text).replaceAll('\n', '\\u{a}').replaceAll('\t', ' ')
}
