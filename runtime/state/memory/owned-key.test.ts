import { expect, test } from 'vitest'
import { canonicalKey, spreadKeyHash } from '../../core/key-group.ts'
import { ownedKey } from './owned-key.ts'

/** As a decoder gives it: cut from the text of its batch. */
const cut = (text: string) => `before${text}behind`.substring(6, 6 + text.length)

test.each([
  ['short text', 'word-1'],
  ['text that is cut from longer text', 'user-0f4c9d1e-7a55-4a7e'],
  ['text that is no ASCII', 'Grüße aus Köln, 東京 und 🦆'],
  ['two bytes a unit in UTF-8, beyond what is written at once', 'ö'.repeat(5_000)],
  ['half a pair of surrogates', 'half a pair \ud83e alone'],
  ['text that begins like the look-up key of a composite', '\u0001\u0002 and so on and on'],
  ['no text', ''],
])('%s is the same key', (_, text) => {
  const owned = ownedKey(cut(text))
  expect(owned).toBe(text)
  expect(canonicalKey(owned)).toBe(canonicalKey(text))
  expect(spreadKeyHash(owned)).toBe(spreadKeyHash(text))
})

test.each([[42], [-1.5], [10n ** 20n], [true]])('%s stands for itself', key => {
  expect(ownedKey(key)).toBe(key)
})

test('a composite key is a copy, with the text in it', () => {
  const key = { tenant: cut('a tenant with a long name'), part: [1, cut('another long text in it')], ['__proto__']: 'a field like any other' }
  const owned = ownedKey(key) as typeof key
  expect(owned).toEqual(key)
  expect(Object.keys(owned)).toEqual(Object.keys(key))
  key.part[0] = 2
  expect(owned.part[0]).toBe(1)
})
