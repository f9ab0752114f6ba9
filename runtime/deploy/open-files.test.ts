import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { checkOpenFiles, descriptorsNeeded } from './open-files.ts'

test('slots need descriptors with the square of their number', () => {
  expect([descriptorsNeeded(1, 1), descriptorsNeeded(2, 2), descriptorsNeeded(1, 64)]).toEqual([56, 84, 9_128])
  checkOpenFiles(2, 2, 84)
  expect(() => checkOpenFiles(2, 2, 83)).toThrow(expect.objectContaining({ code: 'NOT_ENOUGH_SLOTS', message: '4 slots need 84 open files in a TaskManager, but only 83 are allowed' }))
})

test.runIf(process.platform === 'linux')('the limit is the one of this process', () => {
  const script = `import { checkOpenFiles } from ${JSON.stringify(new URL('./open-files.ts', import.meta.url).href)}; for (const slots of [1, 8]) try { checkOpenFiles(1, slots); console.log('fits') } catch (error) { console.log(error.code) }`
  const output = execFileSync('sh', ['-c', 'ulimit -n 128; exec "$0" --input-type=module -e "$1"', process.execPath, script], { encoding: 'utf8' })
  expect(output).toBe('fits\nNOT_ENOUGH_SLOTS\n')
})
