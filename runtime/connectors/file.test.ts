import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { ReaderContext, Source, WriterContext } from '../api/connector.ts'
import type { FlinkError } from '../core/errors.ts'
import { seededRandom } from '../core/random.ts'
import { nodeFiles } from '../deploy/node-files.ts'
import { MemoryFiles } from '../testing/memory-files.ts'
import { csv, fileSink, fileSource, json, text } from './file.ts'
import { resolvePath } from './paths.ts'

const directories: string[] = []
function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'flink-ts-files-'))
  directories.push(directory)
  return directory
}
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

/** Reads a source as `parallelism` readers do; every `snapshotEvery` polls all readers are thrown away and restored at another parallelism. */
function readAll<T, Split>(source: Source<T, Split, Split[]>, directory: string, parallelism: number, options: { seed?: number; restoreAt?: readonly number[] } = {}): T[] {
  const random = seededRandom(options.seed ?? 1)
  const out: T[] = []
  let restored: { enumerator: Split[]; readers: Split[][] } | undefined
  for (const width of [parallelism, ...(options.restoreAt ?? [])]) {
    const readers = Array.from({ length: width }, (_, subtask) => {
      const ctx: ReaderContext = { subtask, parallelism: width, projectDirectory: directory, files: nodeFiles, now: () => 0, requestSplit: () => enumerator.handleSplitRequest(subtask) }
      return source.createReader(ctx)
    })
    const enumerator = source.createEnumerator(
      {
        parallelism: width,
        projectDirectory: directory,
        files: nodeFiles,
        assignSplit: (subtask, split) => readers[subtask]?.addSplit(split),
        signalNoMoreSplits: subtask => readers[subtask]?.noMoreSplits(),
      },
      restored?.enumerator,
    )
    restored?.readers.flat().forEach((split, index) => readers[index % width]?.addSplit(split))
    enumerator.start()
    for (const reader of readers) reader.start()
    const last = width === (options.restoreAt?.at(-1) ?? parallelism)
    const running = new Set(readers)
    for (let polls = 0; running.size > 0 && (last || polls < 20); polls++) {
      const reader = random.pick([...running])
      const output = { beginSplit() {}, endSplit() {}, collect: (value: T) => void out.push(value), emitWatermark() {} }
      if (reader.poll(output, 1 + random.int(7)) === 'end') running.delete(reader)
    }
    restored = { enumerator: enumerator.snapshot(), readers: readers.map(reader => reader.snapshot()) }
    for (const reader of readers) reader.close?.()
  }
  return out
}

describe('file source', () => {
  test.for([1, 2, 3, 7])('reads every line of every file once at parallelism %i, however the files are cut', parallelism => {
    const directory = newDirectory()
    const expected: string[] = []
    const random = seededRandom(parallelism)
    for (let file = 0; file < 3; file++) {
      const lines = Array.from({ length: 200 }, (_, i) => `${file}-${i}-${'ä€x'.repeat(random.int(20))}`)
      expected.push(...lines)
      writeFileSync(join(directory, `f${file}.txt`), lines.join('\n') + (file === 1 ? '' : '\n'))
    }
    writeFileSync(join(directory, '.hidden.txt'), 'not read\n')
    const source = fileSource({ path: '*.txt', format: text(), minSplitBytes: 50 })
    expect(readAll(source, directory, parallelism).sort()).toEqual(expected.sort())
  })

  test('one file is cut into a range per reader, and goes on after a restore at another parallelism (20 seeds)', () => {
    const directory = newDirectory()
    const expected = Array.from({ length: 500 }, (_, i) => ({ i }))
    writeFileSync(join(directory, 'a.jsonl'), expected.map(row => JSON.stringify(row)).join('\n'))
    for (let seed = 0; seed < 20; seed++) {
      const read = readAll(fileSource({ path: 'a.jsonl', format: json<{ i: number }>(), minSplitBytes: 10 }), directory, 4, { seed, restoreAt: [2, 5] })
      expect(read.sort((a, b) => a.i - b.i), `seed ${seed}`).toEqual(expected)
    }
  })

  test('a line longer than a chunk is read whole', () => {
    const directory = newDirectory()
    const lines = ['short', 'x'.repeat(200_000), 'last']
    writeFileSync(join(directory, 'long.txt'), lines.join('\r\n'))
    expect(readAll(fileSource({ path: directory, format: text() }), directory, 1)).toEqual(lines)
  })

  test('a malformed line is named by file and line', () => {
    const directory = newDirectory()
    writeFileSync(join(directory, 'a.jsonl'), '{"a":1}\n\n{"a":\n{"a":4}\n')
    const read = () => readAll(fileSource({ path: 'a.jsonl', format: json() }), directory, 1)
    expect(read).toThrowError(expect.objectContaining({ code: 'MALFORMED_RECORD', at: { file: join(directory, 'a.jsonl'), line: 3 } }) as FlinkError)
  })

  test('a pattern that matches nothing is an error', () => {
    const directory = newDirectory()
    expect(() => readAll(fileSource({ path: 'no/*.csv', format: text() }), directory, 1)).toThrowError(/no file matches "no\/\*\.csv"/)
  })
})

describe('formats', () => {
  const format = csv<{ name: string; n: number; ok: boolean; at: number }>({ name: 'string', n: 'number', ok: 'boolean', at: 'timestamp' })
  const parse = (lines: string[]) => {
    const parser = format.parser(lines[0] as string)
    return lines.map((line, index) => parser(line, index === 0)).filter(record => record !== undefined)
  }

  test('csv finds columns by a header in any order, or takes them in the order declared', () => {
    const record = { name: 'a, "b"', n: 1.5, ok: true, at: Date.UTC(2001, 0, 1, 0, 10) }
    expect(parse(['ok,extra,at,name,n', 'true,x,2001-01-01 00:10,"a, ""b""",1.5'])).toEqual([record])
    expect(parse(['"a, ""b""",1.5,true,2001-01-01T00:10:00Z'])).toEqual([record])
    expect(parse([format.format(record)])).toEqual([record])
  })

  test.for([
    ['a,1', '2 fields where there should be 4'],
    ['a,1,true,0,b', '5 fields where there should be 4'],
    ['"a",1,true,0,b', '5 fields where there should be 4'],
    ['a,-,true,0', 'column n: "-" is not a number'],
    ['a,1,true,1.5e300', 'column at: "1.5e300" is not a time'],
    ['a,x,true,0', 'column n: "x" is not a number'],
    ['a,,true,0', 'column n: "" is not a number'],
    ['a,1,yes,0', 'column ok: "yes" is not true or false'],
    ['a,1,true,soon', 'column at: "soon" is not a time'],
    ['"a,1,true,0', 'a quoted field does not end on its line'],
  ] as const)('csv refuses %j: %s', ([line, message]) => {
    expect(() => parse([line])).toThrowError(message)
  })

  test.for(['0', '-0', '7', '-12', '007', '+3', ' 4 ', '1.25', '-1e3', '0x10', '999999999999999', '9007199254740993', '-12345678901234567890', 'Infinity'])('csv reads the number %j as JavaScript does', text => {
    expect(parse([`a,${text},true,0`, `"a",${text},true,0`]).map(({ n }) => n)).toEqual([Number(text), Number(text)])
  })

  test('csv reads times as numbers and as dates', () => {
    expect(parse(['a,1,true,978307440000', 'a,1,true,-5', 'a,1,true,2001-01-01', 'a,1,true,2001-01-01 01:00:00+01:00']).map(({ at }) => at)).toEqual([978307440000, -5, 978307200000, 978307200000])
  })

  test.for([
    [{ a: NaN }, 'record.a'],
    [{ a: { b: [1, new Map()] } }, 'record.a.b[1]'],
    [{ a: 1n }, 'record.a'],
  ] as const)('json refuses what it would change without a word: %o', ([value, path]) => {
    expect(() => json().format(value)).toThrowError(expect.objectContaining({ code: 'UNSUPPORTED_VALUE', detail: `Found at ${path}.` }) as FlinkError)
  })
})

describe('file sink', () => {
  const context = (directory: string, attempt: number): WriterContext => ({
    subtask: 0,
    parallelism: 1,
    operatorId: 'abcdef0123456789abcdef0123456789',
    jobId: '0123456789abcdef0123456789abcdef',
    attempt,
    restoredCheckpointId: undefined,
    projectDirectory: directory,
    files: nodeFiles,
    now: () => 0,
    print() {},
    collect() {},
  })
  const visible = (directory: string) => readdirSync(join(directory, 'out')).filter(name => !name.startsWith('.'))

  test('nothing is visible before its checkpoint is complete; commit is idempotent; leftovers of an older attempt go', () => {
    const directory = newDirectory()
    const sink = fileSink<{ n: number }>({ path: 'out', format: json() })
    const writer = sink.createWriter(context(directory, 1))
    const committer = sink.createCommitter?.(context(directory, 1))
    writer.write({ n: 1 }, 0)
    writer.flush?.(false)
    const first = writer.prepareCommit?.(7) ?? []
    writer.write({ n: 2 }, 0)
    writer.flush?.(false)
    expect(visible(directory)).toEqual([])
    committer?.commit(first)
    committer?.commit(first)
    expect(visible(directory)).toEqual(['part-01234567-abcdef01-0-7.jsonl'])
    expect(readFileSync(join(directory, 'out/part-01234567-abcdef01-0-7.jsonl'), 'utf8')).toBe('{"n":1}\n')

    sink.createCommitter?.(context(directory, 2)).cleanUp?.()
    expect(readdirSync(join(directory, 'out'))).toEqual(['part-01234567-abcdef01-0-7.jsonl'])
  })

  test('what was committed is there after a power failure, its directory included (20 seeds)', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const files = new MemoryFiles()
      files.makeDirectory('/project')
      files.syncDirectory('/')
      const ctx = { ...context('/project', 1), files }
      const sink = fileSink<{ n: number }>({ path: 'out/numbers', format: json() })
      const writer = sink.createWriter(ctx)
      writer.write({ n: 1 }, 0)
      writer.flush?.(false)
      sink.createCommitter?.(ctx).commit(writer.prepareCommit?.(7) ?? [])
      files.crash(seededRandom(seed))
      expect([...files.contents().keys()], `seed ${seed}`).toEqual(['/project/out/numbers/part-01234567-abcdef01-0-7.jsonl'])
    }
  })

  test('a pending file that is gone fails the commit instead of losing it', () => {
    const directory = newDirectory()
    const committer = fileSink<number>({ path: '.', format: json() }).createCommitter?.(context(directory, 1))
    expect(() => committer?.commit([{ pending: '.part-x.inprogress', final: 'part-x.jsonl' }])).toThrowError(/is gone/)
  })
})

test('paths are resolved against the project', () => {
  expect(resolvePath('/p/q', 'in/./a.csv')).toBe('/p/q/in/a.csv')
  expect(resolvePath('/p/q', '../x')).toBe('/p/x')
  expect(resolvePath('/p/q', '/abs/y')).toBe('/abs/y')
})
