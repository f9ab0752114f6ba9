import { describe, expect, test, vi } from 'vitest'
import { keyGroupRangeOf } from '../../core/key-group.ts'
import { seededRandom } from '../../core/random.ts'
import type { SnapshotBlock, SnapshotFile, SubtaskRestore } from '../../protocol/slot.ts'
import { MemoryFiles } from '../../testing/memory-files.ts'
import { disposeSnapshot } from './dispose.ts'
import { manifestName, readSnapshot, writeManifest } from './manifest.ts'
import type { Manifest } from './manifest.ts'
import { encodeManifest } from './manifest.ts'
import { listShares } from './redistribute.ts'
import { openRestored } from './restored-state.ts'
import { SnapshotFileReader, SnapshotFileWriter, verifyFile, verifyInSlices } from './snapshot-file.ts'
import { sha256 } from './sha256.ts'

const directory = '/checkpoints/chk-7'
const text = (value: string) => new TextEncoder().encode(value)
const untext = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const keyed = (state: string, keyGroup: number, value: string): SnapshotBlock => ({ kind: 'keyed', operatorId: 'count', state, keyGroup, bytes: text(value) })
const list = (operatorId: string, state: string, items: readonly string[]): SnapshotBlock => ({ kind: 'list', operatorId, state, items: items.map(text) })

/** Two subtasks of max parallelism 4: each with its key groups and its part of a list. */
const blocksOf = [
  [keyed('v', 0, 'group 0'), keyed('v', 1, 'group 1'), keyed('v', 1, 'more of group 1'), keyed('w', 1, ''), list('source', 'splits', ['a', 'b', 'c'])],
  [keyed('v', 2, 'group 2'), keyed('v', 3, 'group 3'), list('source', 'splits', ['d', ''])],
]

function writeFiles(files: MemoryFiles): SnapshotFile[] {
  files.makeDirectory(directory)
  files.syncDirectory('/')
  return blocksOf.map((blocks, subtask) => {
    const writer = new SnapshotFileWriter(files, `${directory}/task-0-${subtask}`)
    for (const block of blocks) writer.add(block)
    return writer.finish()
  })
}

function manifestOf(written: readonly SnapshotFile[]): Manifest {
  const operator = { kind: 'process', parallelism: 2, maxParallelism: 4, subtasks: written.map(({ path, bytes, sha256: hash }) => ({ kind: 'file', name: path.slice(directory.length + 1), bytes, sha256: hash }) as const) }
  return {
    jobId: '0123456789abcdef0123456789abcdef',
    jobName: 'Zähler "für" alle',
    graphHash: 'cafe',
    checkpointId: 7,
    kind: 'savepoint',
    triggeredAt: 1_700_000_000_000,
    completedAt: 1_700_000_000_120,
    operators: [
      { id: 'count', name: 'count', uid: 'my-count', at: { file: 'src/job.ts', line: 12 }, states: [{ name: 'v', kind: 'keyed' }, { name: 'w', kind: 'keyed' }], ...operator },
      { id: 'source', name: 'words', states: [{ name: 'splits', kind: 'list' }], ...operator },
      { id: 'gone', name: 'bounded', kind: 'source', states: [], parallelism: 2, maxParallelism: 4, subtasks: [{ kind: 'finished' }, { kind: 'empty' }] },
    ],
    coordinators: [{ operatorId: 'source', state: new Uint8Array([0, 255, 10, 13]) }],
  }
}

function writeAll(files: MemoryFiles): Manifest {
  const manifest = manifestOf(writeFiles(files))
  writeManifest(files, directory, manifest)
  return manifest
}

function restoreOf(written: readonly (SnapshotFile | undefined)[]): SubtaskRestore {
  const files = written.map(file => (file === undefined ? [] : [file]))
  return { checkpointId: 7, operators: { count: { files }, source: { files } } }
}
const subtaskOf = (subtask: number, parallelism: number) => ({ subtask, parallelism, keyGroups: keyGroupRangeOf(subtask, parallelism, 4) })

describe('snapshot files', () => {
  test('what was written is read back, block by block', () => {
    const files = new MemoryFiles()
    const [first] = writeFiles(files) as [SnapshotFile]
    expect(files.list(directory)).toEqual(['task-0-0', 'task-0-1'])
    const reader = new SnapshotFileReader(files, first)
    expect(reader.index.map(({ operatorId, state, kind, keyGroup, items }) => `${operatorId} ${state} ${kind} ${keyGroup} ${items}`)).toEqual(['count v keyed 0 1', 'count v keyed 1 1', 'count v keyed 1 1', 'count w keyed 1 1', 'source splits list -1 3'])
    expect(Array.from(reader.blocks(entry => entry.kind === 'keyed'), ({ bytes }) => untext(bytes))).toEqual(['group 0', 'group 1', 'more of group 1', ''])
    expect(Array.from(reader.blocks(entry => entry.kind === 'list'), block => reader.itemsOf(block)).flat().map(untext)).toEqual(['a', 'b', 'c'])
    reader.close()
  })

  test('blocks of any size come back, by themselves and among others, and an aborted file leaves nothing', () => {
    const files = new MemoryFiles()
    files.makeDirectory(directory)
    const writer = new SnapshotFileWriter(files, `${directory}/f`)
    // Larger than what is written at once, and than what is read at once.
    const sizes = [700_000, 700_000, 700_000, 10, 3_000_000, 0, 10]
    const bytesOf = (size: number, keyGroup: number) => new Uint8Array(size).map((_, i) => i * 7 + keyGroup)
    sizes.forEach((size, keyGroup) => writer.add({ kind: 'keyed', operatorId: 'o', state: 's', keyGroup, bytes: bytesOf(size, keyGroup) }))
    const file = writer.finish()
    for (const wanted of [[0, 1, 2, 3, 4, 5, 6], [4], [3, 4, 5], [0, 2, 6], [1, 5], []]) {
      const reader = new SnapshotFileReader(files, file)
      const read = Array.from(reader.blocks(({ keyGroup }) => wanted.includes(keyGroup)), ({ entry: { keyGroup }, bytes }) => {
        expect(Buffer.compare(bytes, bytesOf(sizes[keyGroup] as number, keyGroup)), `block ${keyGroup}`).toBe(0)
        return keyGroup
      })
      expect(read).toEqual(wanted)
      reader.close()
    }
    const aborted = new SnapshotFileWriter(files, `${directory}/g`)
    aborted.add(keyed('v', 0, 'x'))
    aborted.abort()
    expect(files.list(directory)).toEqual(['f'])
  })
})

describe('restored state', () => {
  test.each([
    { parallelism: 1, groups: [['v0 v1 v1 w1 v2 v3']], lists: [['a b c d ']] },
    { parallelism: 2, groups: [['v0 v1 v1 w1'], ['v2 v3']], lists: [['a b c'], ['d ']] },
    { parallelism: 3, groups: [['v0 v1 v1 w1'], ['v2'], ['v3']], lists: [['a b'], ['c d'], ['']] },
    { parallelism: 4, groups: [['v0'], ['v1 v1 w1'], ['v2'], ['v3']], lists: [['a b'], ['c'], ['d'], ['']] },
  ])('at parallelism $parallelism', ({ parallelism, groups, lists }) => {
    const files = new MemoryFiles()
    const written = writeFiles(files)
    const restored = Array.from({ length: parallelism }, (_, subtask) => openRestored(files, restoreOf(written), subtaskOf(subtask, parallelism)))
    expect(restored.map(state => [[...state.keyed('count')].map(block => `${block.state}${block.keyGroup}`).join(' ')])).toEqual(groups)
    expect(restored.map(state => [state.list('source', 'splits').map(untext).join(' ')])).toEqual(lists)
    expect(restored[0]?.checkpointId).toBe(7)
    expect([...(restored[0]?.keyed('another') ?? [])]).toEqual([])
  })

  test('of a snapshot that goes on from others is the keyed state of all, in the order of time, and what is written whole of the last', () => {
    const files = new MemoryFiles()
    const write = (name: string, ...blocks: readonly SnapshotBlock[]) => {
      files.makeDirectory(`/checkpoints/${name}`)
      const writer = new SnapshotFileWriter(files, `/checkpoints/${name}/0-0`)
      for (const block of blocks) writer.add(block)
      return writer.finish()
    }
    const chain = [
      write('chk-1', keyed('v', 0, 'a'), keyed('v', 1, 'b'), keyed('_timers', 0, 'old'), list('source', 'splits', ['old'])),
      write('chk-2', keyed('v', 1, 'c'), keyed('_timers', 1, 'older')),
      write('chk-3', keyed('v', 0, 'd'), keyed('_timers', 3, 'now'), list('source', 'splits', ['now'])),
    ]
    const restored = openRestored(files, { checkpointId: 3, operators: { count: { files: [chain] }, source: { files: [chain] } } }, subtaskOf(0, 1))
    expect([...restored.keyed('count')].map(({ bytes, link }) => `${link} ${untext(bytes)}`)).toEqual(['0 a', '0 b', '1 c', '2 d', '2 now'])
    expect(restored.list('source', 'splits').map(untext)).toEqual(['now'])
  })

  test('a fresh start finds nothing; a finished subtask left nothing', () => {
    const files = new MemoryFiles()
    const [first] = writeFiles(files)
    const fresh = openRestored(files, undefined, subtaskOf(0, 1))
    expect([fresh.checkpointId, [...fresh.keyed('count')], fresh.list('source', 'splits')]).toEqual([undefined, [], []])
    const partly = openRestored(files, restoreOf([first, undefined]), subtaskOf(0, 1))
    expect(partly.list('source', 'splits').map(untext)).toEqual(['a', 'b', 'c'])
  })
})

describe('who gets what', () => {
  test('a list is dealt out in contiguous runs; unchanged parallelism moves nothing (S1t)', () => {
    const show = (counts: number[], parallelism: number) =>
      Array.from({ length: parallelism }, (_, subtask) => listShares(counts, subtask, parallelism).map(({ oldSubtask, from, to }) => `${oldSubtask}[${from},${to})`).join(' ') || '-').join(' | ')
    expect([show([5, 0, 1], 3), show([5, 0, 1], 2), show([2, 2], 3), show([1, 1], 4), show([0, 0], 1), show([3], 2)]).toMatchInlineSnapshot(`
      [
        "0[0,5) | - | 2[0,1)",
        "0[0,3) | 0[3,5) 2[0,1)",
        "0[0,2) | 1[0,1) | 1[1,2)",
        "0[0,1) | 1[0,1) | - | -",
        "-",
        "0[0,2) | 0[2,3)",
      ]
    `)
  })

  test('no item is lost or doubled, whatever the numbers', () => {
    const seed = 5
    const random = seededRandom(seed)
    for (let round = 0; round < 500; round++) {
      const counts = Array.from({ length: 1 + random.int(6) }, () => random.int(5))
      const parallelism = 1 + random.int(8)
      const dealt = Array.from({ length: parallelism }, (_, subtask) => listShares(counts, subtask, parallelism)).flat()
      const items = dealt.flatMap(({ oldSubtask, from, to }) => Array.from({ length: to - from }, (_, i) => `${oldSubtask}/${from + i}`))
      expect(items, `seed ${seed}, round ${round}`).toEqual(counts.flatMap((count, oldSubtask) => Array.from({ length: count }, (_, i) => `${oldSubtask}/${i}`)))
    }
  })
})

describe('the manifest', () => {
  test('is read back as it was written', () => {
    const files = new MemoryFiles()
    const manifest = writeAll(files)
    expect(readSnapshot(files, directory, true)).toEqual(manifest)
    expect(() => readSnapshot(files, '/elsewhere', false)).toThrow(expect.objectContaining({ code: 'SNAPSHOT_NOT_FOUND' }))
  })

  test('a directory that was moved is still whole', () => {
    const files = new MemoryFiles()
    writeAll(files)
    files.rename(directory, '/kept')
    expect(readSnapshot(files, '/kept', true).checkpointId).toBe(7)
  })

  test.each([
    ['an unknown version', (line: string) => line.replace('{"manifest":2', '{"manifest":3'), 'SNAPSHOT_VERSION', 'manifest version 3 is not known'],
    ['a name that leaves the directory', (line: string) => line.replaceAll('"task-0-0"', '"../task-0-0"'), 'SNAPSHOT_CORRUPT', '"../task-0-0" is not a name inside the snapshot'],
    ['an absolute name', (line: string) => line.replaceAll('"task-0-0"', '"/etc/passwd"'), 'SNAPSHOT_CORRUPT', 'is not a name inside'],
    ['a strange name', (line: string) => line.replaceAll('"task-0-0"', '"Task 0"'), 'SNAPSHOT_CORRUPT', 'is not a name inside'],
    ['an earlier file that lies nowhere', (line: string) => line.replaceAll('"bytes"', '"earlier":[{"name":"../../etc/passwd","bytes":1,"sha256":"' + '0'.repeat(64) + '"}],"bytes"'), 'SNAPSHOT_CORRUPT', 'is not a name inside the snapshot'],
    ['an earlier file that is no other', (line: string) => line.replaceAll('"bytes"', '"earlier":[{"name":"task-0-0","bytes":1,"sha256":"' + '0'.repeat(64) + '"}],"bytes"'), 'SNAPSHOT_CORRUPT', '"task-0-0" is not a name inside another checkpoint'],
    ['a missing line', (line: string) => line.split('\n').filter(part => !part.includes('bounded')).join('\n'), 'SNAPSHOT_CORRUPT', 'another number of lines'],
    ['a wrong type', (line: string) => line.replace('"checkpointId":7', '"checkpointId":"7"'), 'SNAPSHOT_CORRUPT', '"checkpointId" is not a number'],
    ['an unknown kind', (line: string) => line.replace('"kind":"savepoint"', '"kind":"party"'), 'SNAPSHOT_CORRUPT', '"kind" is "party"'],
  ])('%s is refused though its sha256 is right', (_, change, code, message) => {
    const files = new MemoryFiles()
    const manifest = writeAll(files)
    const body = change(untext(encodeManifest(manifest, sha256)).split('\n').slice(0, -2).join('\n') + '\n')
    const hash = sha256()
    hash.update(text(body))
    files.damage(`${directory}/${manifestName}`, () => text(`${body}{"sha256":"${hash.digest('hex')}"}\n`))
    expect(() => readSnapshot(files, directory, false)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }))
  })
})

describe('damage', () => {
  /** Every byte of the small files, so: first, middle and last of each kind of thing in them. */
  test('every byte that changes, every truncation, a longer file and a missing one are refused by name', () => {
    const clean = new MemoryFiles()
    writeAll(clean)
    for (const [path, content] of clean.contents()) {
      const name = path.slice(directory.length + 1)
      const files = new MemoryFiles()
      writeAll(files)
      const refused = (what: string, damaged: Uint8Array) => {
        files.damage(path, () => damaged)
        expect(() => readSnapshot(files, directory, true), `${name}: ${what}`).toThrow(expect.objectContaining({ code: 'SNAPSHOT_CORRUPT', message: expect.stringContaining(name) }))
      }
      for (let at = 0; at < content.length; at++) {
        const flipped = content.slice()
        flipped[at] = (flipped[at] as number) ^ (1 << at % 8)
        refused(`bit ${at % 8} of byte ${at}`, flipped)
        refused(`cut at ${at}`, content.slice(0, at))
        refused(`without byte ${at}`, Uint8Array.from([...content.subarray(0, at), ...content.subarray(at + 1)]))
      }
      refused('one byte more', Uint8Array.from([...content, 0]))
      files.damage(path, () => content)
      readSnapshot(files, directory, true)
      files.remove(path)
      expect(() => readSnapshot(files, directory, true), `${name} removed`).toThrow(expect.objectContaining({ code: name === manifestName ? 'SNAPSHOT_NOT_FOUND' : 'SNAPSHOT_CORRUPT' }))
    }
  })

  test('two data files that changed places are refused', () => {
    const files = new MemoryFiles()
    writeAll(files)
    files.rename(`${directory}/task-0-0`, `${directory}/x`)
    files.rename(`${directory}/task-0-1`, `${directory}/task-0-0`)
    files.rename(`${directory}/x`, `${directory}/task-0-1`)
    expect(() => readSnapshot(files, directory, true)).toThrow(expect.objectContaining({ code: 'SNAPSHOT_CORRUPT' }))
  })

  test.each([
    ['another file of the same length, right in itself', [keyed('v', 0, 'group 0'), keyed('v', 1, 'group 2')]],
    ['the same blocks in another order', [keyed('v', 1, 'group 1'), keyed('v', 0, 'group 0')]],
    ['the same bytes as of other key groups', [keyed('v', 1, 'group 0'), keyed('v', 0, 'group 1')]],
  ])('%s is refused', (_, others) => {
    const files = new MemoryFiles()
    files.makeDirectory(directory)
    const write = (name: string, blocks: readonly SnapshotBlock[]) => {
      const writer = new SnapshotFileWriter(files, `${directory}/${name}`)
      for (const block of blocks) writer.add(block)
      return writer.finish()
    }
    const file = write('f', [keyed('v', 0, 'group 0'), keyed('v', 1, 'group 1')])
    const other = write('g', others)
    verifyFile(files, file)
    expect(other.bytes).toBe(file.bytes)
    expect(() => verifyFile(files, { ...file, path: other.path })).toThrow(expect.objectContaining({ code: 'SNAPSHOT_CORRUPT', message: 'snapshot file chk-7/g: its sha256 does not match' }))
  })

  test('a block that is larger than what is read at a time is verified piece by piece', () => {
    const files = new MemoryFiles()
    files.makeDirectory(directory)
    const writer = new SnapshotFileWriter(files, `${directory}/f`)
    const megabyte = 1 << 20
    for (const block of [keyed('v', 0, 'small'), keyed('v', 1, 'x'.repeat(5 * megabyte)), keyed('v', 2, 'small, too')]) writer.add(block)
    const file = writer.finish()
    expect(Array.from(verifyInSlices(files, file), bytes => Math.round(bytes / megabyte))).toEqual([0, 2, 2, 1, 0])
    for (const at of [10, 30, 40, megabyte, 3 * megabyte, 5 * megabyte + 20, file.bytes - 30]) {
      files.damage(file.path, bytes => bytes.with(at, (bytes[at] as number) ^ 1))
      expect(() => verifyFile(files, file), `byte ${at}`).toThrow(expect.objectContaining({ code: 'SNAPSHOT_CORRUPT' }))
      files.damage(file.path, bytes => bytes.with(at, (bytes[at] as number) ^ 1))
    }
    verifyFile(files, file)
  })

  test('a restore refuses a damaged block before it hands it out', () => {
    const files = new MemoryFiles()
    const written = writeFiles(files)
    files.damage(`${directory}/task-0-0`, bytes => bytes.map((byte, i) => (i === 20 ? byte ^ 1 : byte)))
    const blocks = openRestored(files, restoreOf(written), subtaskOf(0, 1)).keyed('count')[Symbol.iterator]()
    expect(() => blocks.next()).toThrow('snapshot file chk-7/task-0-0: the checksum of the block at 16 does not match')
  })

  test('a subtask verifies what is its own; of another file the index is right, and somebody else needs it', () => {
    const files = new MemoryFiles()
    const written = writeFiles(files)
    files.damage(`${directory}/task-0-1`, bytes => bytes.map((byte, i) => (i === 20 ? byte ^ 1 : byte)))
    const read = (subtask: number) => {
      const restored = openRestored(files, restoreOf(written), subtaskOf(subtask, 2))
      return [...restored.keyed('count')].length + restored.list('source', 'splits').length
    }
    expect(read(0)).toBe(7)
    expect(() => read(1)).toThrow('snapshot file chk-7/task-0-1: the checksum of the block at 16 does not match')
  })

  test('whatever is damaged, some subtask of the job refuses it by name, at any parallelism', () => {
    const clean = new MemoryFiles()
    const written = writeFiles(clean)
    for (const { path } of written) {
      const content = clean.contents().get(path) as Uint8Array
      for (let at = 0; at < content.length; at++) {
        const files = new MemoryFiles()
        writeFiles(files)
        files.damage(path, bytes => bytes.map((byte, i) => (i === at ? byte ^ (1 << at % 8) : byte)))
        for (const parallelism of [1, 2, 3]) {
          const restoreAll = () => {
            for (let subtask = 0; subtask < parallelism; subtask++) {
              const restored = openRestored(files, restoreOf(written), subtaskOf(subtask, parallelism))
              for (const _ of restored.keyed('count'));
              restored.list('source', 'splits')
            }
          }
          expect(restoreAll, `byte ${at} of ${path}, parallelism ${parallelism}`).toThrow(expect.objectContaining({ code: 'SNAPSHOT_CORRUPT', message: expect.stringContaining(path.slice('/checkpoints/'.length)) }))
        }
      }
    }
  })

  test('what is wanted of a file is read once, and nothing else but its index', () => {
    const files = new MemoryFiles()
    const written = writeFiles(files)
    const read = new Map<string, Set<number>>()
    const openRead = files.openRead.bind(files)
    let index = false
    vi.spyOn(files, 'openRead').mockImplementation(path => {
      const handle = openRead(path)
      const positions = read.get(path) ?? new Set<number>()
      read.set(path, positions)
      return {
        read(into, position) {
          const n = handle.read(into, position)
          for (let i = position; i < position + n; i++) {
            if (!index) expect(positions.has(i), `byte ${i} of ${path} is read twice`).toBe(false)
            positions.add(i)
          }
          return n
        },
        close: () => handle.close(),
      }
    })
    const [own, other] = written as [SnapshotFile, SnapshotFile]
    index = true
    for (const file of written) new SnapshotFileReader(files, file).close()
    const sizes = [own, other].map(({ path }) => (read.get(path) as Set<number>).size)
    index = false
    read.clear()
    for (const _ of openRestored(files, restoreOf(written), subtaskOf(0, 2)).keyed('count'));
    const blocks = blocksOf[0]?.filter(block => block.kind === 'keyed').reduce((sum, { bytes }) => sum + 8 + bytes.length, 0) as number
    expect([own, other].map(({ path }) => (read.get(path) as Set<number>).size)).toEqual([(sizes[0] as number) + blocks, sizes[1]])
  })
})

describe('a disk with faults', () => {
  /** Complete, or not there; never a manifest over data that is not whole. */
  function isAllOrNothing(files: MemoryFiles): 'whole' | 'absent' {
    if (files.stat(`${directory}/${manifestName}`) === undefined) return 'absent'
    readSnapshot(files, directory, true)
    return 'whole'
  }

  function callsOfOneSnapshot(): number {
    const files = new MemoryFiles()
    writeAll(files)
    return files.calls
  }

  test('the n-th storage call fails, for every n: no manifest, and the error says what', () => {
    const total = callsOfOneSnapshot()
    for (let n = 1; n <= total; n++) {
      const files = new MemoryFiles()
      files.failCall(n)
      expect(() => writeAll(files), `call ${n} of ${total}`).toThrow(expect.objectContaining({ code: 'STORAGE_FAILED' }))
      files.failCall(undefined)
      // The directory sync after the manifest's rename is the last call: the manifest may be there, and if so it is whole.
      if (n < total) expect([n, isAllOrNothing(files)]).toEqual([n, 'absent'])
      else isAllOrNothing(files)
      const random = seededRandom(n)
      files.crash(random)
      expect(['whole', 'absent']).toContain(isAllOrNothing(files))
      // What is left over is in nobody's way.
      disposeSnapshot(files, directory)
      writeAll(files)
      expect(isAllOrNothing(files)).toBe('whole')
    }
  })

  test('the power goes before the n-th storage call, for every n, and what was unsynced is lost, kept or torn', () => {
    const total = callsOfOneSnapshot()
    const seen = new Set<string>()
    for (let n = 1; n <= total; n++) {
      for (let seed = 0; seed < 25; seed++) {
        const files = new MemoryFiles()
        files.failCall(n)
        expect(() => writeAll(files)).toThrow()
        files.crash(seededRandom(n * 1000 + seed))
        seen.add(isAllOrNothing(files))
      }
    }
    const files = new MemoryFiles()
    writeAll(files)
    files.crash(seededRandom(1))
    expect(isAllOrNothing(files)).toBe('whole')
    expect(seen).toEqual(new Set(['absent', 'whole']))
  })

  test('a full disk is DISK_FULL wherever it fills up, and the snapshot before is whole', () => {
    const files = new MemoryFiles()
    writeAll(files)
    const used = files.usedBytes
    files.rename(directory, '/checkpoints/chk-6')
    for (let room = 0; room < used; room += 13) {
      files.capacity = used + room
      expect(() => writeAll(files), `room for ${room} bytes`).toThrow(expect.objectContaining({ code: 'DISK_FULL' }))
      expect(isAllOrNothing(files)).toBe('absent')
      readSnapshot(files, '/checkpoints/chk-6', true)
      disposeSnapshot(files, directory)
    }
  })

  test('a checkpoint whose removal is cut off is no checkpoint any more', () => {
    for (let n = 1; n <= 30; n++) {
      const files = new MemoryFiles()
      writeAll(files)
      files.failCall(n)
      try {
        disposeSnapshot(files, directory)
      } catch {}
      files.crash(seededRandom(n))
      isAllOrNothing(files)
      disposeSnapshot(files, directory)
      expect(files.stat(directory)).toBeUndefined()
    }
  })
})
