import { transformSync } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sourceMapOf } from './source-maps.ts'

let directory: string
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'flink-ts-maps-')))
})
afterEach(() => rmSync(directory, { recursive: true }))

const source = `interface Order { readonly id: number }

class Shop {
  constructor(order?: Order) {
    if (order?.id === 13) throw new RangeError('thirteen')
  }
  sell(order: Order): string {
    return [order].map(each => price(each.id)).join()
  }
  static open = (): Shop => new Shop({ id: 13 })
}

function price(id: number): string {
  throw Object.assign(new TypeError('no price\\nfor ' + id), { code: 'MINE' })
}

async function later(): Promise<void> {
  await Promise.resolve()
  new Shop().sell({ id: 5 })
}

const attempts: (() => unknown)[] = [() => new Shop().sell({ id: 1 }), Shop.open, later, () => new URL('nowhere'), () => JSON.parse('{'), () => [3].forEach(() => { throw Object.create(null) }), () => { throw { stack: 'mine' } }]
for (const attempt of attempts) {
  try {
    await attempt()
  } catch (error) {
    console.log((error as Error)?.stack)
  }
}
class Traced { constructor() { Error.captureStackTrace(this, Traced) } }
console.log((new Traced() as Error).stack)
`

/** A module of `source` in another shape, with a map of some kind. */
function build(minify: boolean, sourcemap: 'inline' | 'external'): string {
  const { code, map } = transformSync(source, { loader: 'ts', minify, sourcemap, sourcefile: 'shop.ts', sourceRoot: pathToFileURL(`${directory}/src/`).href, target: 'node22' })
  const path = join(directory, 'shop.mjs')
  writeFileSync(path, sourcemap === 'inline' ? code : `${code}//# sourceMappingURL=shop.mjs.map\n`)
  if (sourcemap === 'external') writeFileSync(`${path}.map`, map)
  return path
}

function run(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--conditions=flink-ts-source', ...args], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return stdout.replaceAll(/\n    at (async )?(\S* \()?(node:|file:\/\/\/.*runner\.mjs).*/g, '')
}

test.for([[false, 'inline'], [true, 'inline'], [false, 'external']] as const)('stacks are those that Node shows (minified %s, map %s)', ([minify, sourcemap]) => {
  const path = build(minify, sourcemap)
  const runner = join(directory, 'runner.mjs')
  writeFileSync(runner, `import { showSources } from ${JSON.stringify(new URL('source-maps.ts', import.meta.url).href)}\nshowSources()\nawait import(${JSON.stringify(pathToFileURL(path).href)})\n`)
  const ours = run(runner)
  expect(ours).toBe(run('--enable-source-maps', path))
  expect(ours).toContain(`at Shop.sell (${join(directory, 'src', 'shop.ts')}:8:20)`)
})

describe('a map', () => {
  const write = (name: string, text: string) => {
    const path = join(directory, name)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, text)
    return pathToFileURL(path).href
  }
  const inline = (file: string) => transformSync('export const one: number = 1', { loader: 'ts', sourcemap: 'inline', sourcefile: file }).code
  const sourcesOf = (url: string) => sourceMapOf(url)?.payload.sources.map(each => each.replace(pathToFileURL(directory).href, ''))

  test('is the last that a module names', () => {
    expect(sourcesOf(write('a.mjs', `${inline('first.ts').trim()}\n${inline('second.ts')}`))).toEqual(['/second.ts'])
  })
  test('is not there, or cannot be read: then there is none', () => {
    for (const [name, text] of Object.entries({ 'b.mjs': 'export {}', 'c.mjs': '//# sourceMappingURL=nowhere.map', 'd.mjs': '//# sourceMappingURL=data:application/json;base64,bm8=', 'e.mjs': '//# sourceMappingURL=' })) {
      expect(sourceMapOf(write(name, text)), name).toBeUndefined()
    }
    expect(sourceMapOf('node:fs')).toBeUndefined()
    expect(sourceMapOf(pathToFileURL(join(directory, 'gone.mjs')).href)).toBeUndefined()
  })
  test('of a package, or of ours, is not looked at', () => {
    expect(sourceMapOf(write('node_modules/some/index.mjs', inline('some.ts')))).toBeUndefined()
    expect(sourceMapOf(new URL('supervisor.ts', import.meta.url).href)).toBeUndefined()
  })
})
