import { expect, test } from 'vitest'
import { didYouMean } from './did-you-mean.ts'

test('a mistyped name finds its neighbour, and only a near one', () => {
  const commands = ['run', 'new', 'list', 'savepoint', 'cancel', 'stop', 'explain']
  expect(['rnu', 'savepiont', 'cancle', 'lst', 'exlpain', 'deploy', 'x'].map(typed => didYouMean(typed, commands))).toEqual([
    'run', 'savepoint', 'cancel', 'list', 'explain', undefined, undefined,
  ])
})
