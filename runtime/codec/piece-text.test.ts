import { expect, test } from 'vitest'
import { seededRandom } from '../core/random.ts'
import { PieceText } from './piece-text.ts'
import { decodeEntries, encodeEntries } from './value-codec.ts'

/** Among others, as blocks of a file lie. */
function among(parts: readonly Uint8Array[]): { readonly piece: PieceText; readonly parts: readonly Uint8Array[]; readonly all: Uint8Array } {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length + 5, 3))
  let at = 3
  const views = parts.map(part => {
    all.set(part, at)
    const view = all.subarray(at, at + part.length)
    at += part.length + 5
    return view
  })
  return { piece: new PieceText(all), parts: views, all }
}

test('entries read from a piece are those that were written, whatever their text, and stay when the piece has other bytes', () => {
  const seed = 3
  const random = seededRandom(seed)
  const alphabets = ['abc', 'a\u007f', 'aé', 'a漢', '😀b', '\ud800x']
  const pages = Array.from({ length: 40 }, () => {
    const alphabet = Array.from(alphabets[random.int(alphabets.length)] as string)
    const length = random.int(2) === 0 ? random.int(4) : random.int(400)
    const count = 1 + random.int(100)
    const textOf = () => Array.from({ length: random.int(length + 1) }, () => alphabet[random.int(alphabet.length)]).join('')
    return { keys: Array.from({ length: count }, (_, i) => `${i}${textOf()}`), values: Array.from({ length: count }, (_, i) => ({ i, text: textOf(), other: textOf() })) }
  })
  const { piece, parts, all } = among(pages.map(({ keys, values }) => encodeEntries(keys, values)))
  const read = parts.map(part => decodeEntries(part, piece))
  all.fill(1)
  expect(read, `seed ${seed}`).toEqual(pages)
})
