// Repair by decision: nothing is given up that intact bytes still prove, what is given up is listed,
// and the next open is clean. Another partition's records are never served.
import { readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { dumpJournal, type GivenUp, nodeDisk, verifyFolder } from '../../src/index.ts'
import {
  codeOf,
  createTopic,
  killed,
  numbered,
  open,
  readAll,
  store,
  temporaryFolder,
  valuesOf,
} from './support.ts'

const SEGMENTS = { 'segment.bytes': '4096' }
const valuesFor = (topic: string): string[] =>
  numbered(10).map(value => `${topic} ${value} `.padEnd(1000, topic))

/** Topics `t` (partition id 16) and `u` (17), ten records each in four segments. */
async function makeFolder(how: 'stopped' | 'killed'): Promise<string> {
  const folder = temporaryFolder()
  const engine = await open({ folder })
  for (const topic of ['t', 'u']) {
    await createTopic(engine, topic, SEGMENTS)
    for (const value of valuesFor(topic)) await store(engine, topic, [value])
  }
  await engine.close()
  if (how === 'stopped') return folder
  // A generation whose first checkpoint covers the segments; the journal holds one more record each.
  const again = await open({ folder })
  for (const topic of ['t', 'u']) await store(again, topic, [`${topic} last`])
  return killed(folder)
}

const segment = (id: number, base: number, type = 'log'): string =>
  `partitions/${id}/${String(base).padStart(20, '0')}.${type}`

function flip(folder: string, path: string, at: number, bit = 0): void {
  const bytes = readFileSync(join(folder, path))
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at)
  writeFileSync(join(folder, path), bytes)
}

function swap(folder: string, a: string, b: string): void {
  renameSync(join(folder, a), join(folder, 'swap'))
  renameSync(join(folder, b), join(folder, a))
  renameSync(join(folder, 'swap'), join(folder, b))
}

const damaged = (folder: string): string[] =>
  verifyFolder(nodeDisk(folder))
    .findings.filter(({ severity }) => severity === 'damage')
    .map(({ path }) => path)

/** Repairs, and opens once more: what was given up, and that nothing is wrong any more. */
async function repair(folder: string): Promise<readonly GivenUp[]> {
  let givenUp: readonly GivenUp[] = []
  const repaired = await open({
    folder,
    acceptLoss: true,
    onGivenUp: offsets => {
      givenUp = offsets
    },
  })
  await repaired.close()
  expect(damaged(folder)).toEqual([])
  const engine = await open({ folder: killed(folder) })
  expect(engine.health()).toMatchObject({ state: 'ready', partitions: [] })
  for (const { name } of engine.allTopics()) if (!name.startsWith('__')) await readAll(engine, name)
  expect(engine.health()).toMatchObject({ state: 'ready', partitions: [] })
  await engine.close()
  return givenUp
}

const expected = (topic: string, how: string): string[] =>
  how === 'stopped' ? valuesFor(topic) : [...valuesFor(topic), `${topic} last`]

describe.each(['stopped', 'killed'] as const)('in a %s folder', how => {
  test('one wrong bit of a leader epoch, an offset, a length or a checksum is healed', async () => {
    const whole = await makeFolder(how)
    const size = readFileSync(join(whole, segment(16, 3))).length / 3
    // In the first and the last segment, and in batches that are not the first of theirs.
    for (const path of [segment(16, 3), segment(16, 9)]) {
      for (const at of [
        0,
        1,
        7,
        10,
        12,
        15,
        16,
        18,
        ...(path === segment(16, 3) ? [size + 15] : []),
      ]) {
        const folder = killed(whole)
        flip(folder, path, at, 1)
        expect(damaged(folder), `byte ${at}`).toContain(path)
        expect(await repair(folder), `byte ${at}`).toEqual([])
        expect(await valuesOf(await open({ folder }), 't')).toEqual(expected('t', how))
      }
    }
  })

  test('a wrong byte of a record costs its batch, which is listed, and no other', async () => {
    const folder = await makeFolder(how)
    const size = readFileSync(join(folder, segment(16, 3))).length / 3
    flip(folder, segment(16, 3), size + 500)
    expect(damaged(folder)).toEqual([segment(16, 3)])
    expect(await repair(folder)).toEqual([{ topic: 't', partition: 0, from: 4, to: 4 }])
    const left = expected('t', how).filter((_, i) => i !== 4)
    expect(await valuesOf(await open({ folder }), 't')).toEqual(left)
  })

  test('a missing segment is listed with its offsets', async () => {
    const folder = await makeFolder(how)
    rmSync(join(folder, segment(16, 6)))
    expect(damaged(folder)).toEqual([segment(16, 6)])
    expect(await repair(folder)).toEqual([{ topic: 't', partition: 0, from: 6, to: 8 }])
  })

  test.each([
    ['files of two partitions', [segment(16, 3)], [segment(17, 3)]],
    [
      'files of two partitions and their indexes',
      [segment(16, 3), segment(16, 3, 'index')],
      [segment(17, 3), segment(17, 3, 'index')],
    ],
    ['last files of two partitions', [segment(16, 9)], [segment(17, 9)]],
    [
      'files of one partition and their indexes',
      [segment(16, 0), segment(16, 0, 'index')],
      [segment(16, 6), segment(16, 6, 'index')],
    ],
    ['whole folders of partitions', ['partitions/16'], ['partitions/17']],
  ])('%s that were swapped are told, never served, and found again', async (_, those, these) => {
    const folder = await makeFolder(how)
    for (const [i, path] of those.entries()) swap(folder, path, these[i] ?? '')
    expect(damaged(folder)).not.toEqual([])
    const engine = await open({ folder: killed(folder) })
    for (const topic of ['t', 'u']) {
      const got = await valuesOf(engine, topic).catch(() => [])
      expect(got.filter(value => !value.startsWith(topic))).toEqual([])
    }
    expect(engine.health().partitions).not.toEqual([])
    expect(await repair(folder)).toEqual([])
    const repaired = await open({ folder })
    for (const topic of ['t', 'u']) {
      expect(await valuesOf(repaired, topic)).toEqual(expected(topic, how))
    }
  })

  test('a file of another log is told, and given up', async () => {
    const folder = await makeFolder(how)
    const other = temporaryFolder()
    const engine = await open({ folder: other })
    await createTopic(engine, 't', SEGMENTS)
    for (const value of valuesFor('x')) await store(engine, 't', [value])
    await engine.close()
    for (const type of ['log', 'index']) {
      const foreign = readFileSync(join(other, segment(16, 3, type)))
      writeFileSync(join(folder, segment(16, 3, type)), foreign)
    }
    expect(damaged(folder)).toContain(segment(16, 3))
    const opened = await open({ folder: killed(folder) })
    expect(await codeOf(readAll(opened, 't'))).toBe('KAFKA_STORAGE_ERROR')
    expect(await repair(folder)).toEqual([{ topic: 't', partition: 0, from: 3, to: 5 }])
  })
})

describe('a damaged journal', () => {
  /** A killed folder in whose journal, and segments, everything is that was ever written. */
  async function inJournal(): Promise<string> {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't')
    for (const value of numbered(10)) await store(engine, 't', [value])
    const committed = { topic: 't', partition: 0, offset: 7, metadata: null, leaderEpoch: -1 }
    const member = { groupId: 'g', generationId: -1, memberId: '', groupInstanceId: null }
    await engine.groups.commit({ ...member, offsets: [committed] })
    return killed(folder)
  }

  test('that is gone costs nothing where the segments have what it held', async () => {
    const folder = await inJournal()
    for (const name of readdirSync(join(folder, 'journal'))) rmSync(join(folder, 'journal', name))
    expect(damaged(folder)).not.toEqual([])
    expect(await repair(folder)).toEqual([])
    const engine = await open({ folder })
    expect(await valuesOf(engine, 't')).toEqual(numbered(10))
    const [committed] = await engine.groups.fetchOffsets('g', [{ topic: 't', partition: 0 }])
    expect(committed).toMatchObject({ offset: 7 })
  })

  test('with a hole costs what lay in it, which is listed, and nothing behind it', async () => {
    const folder = await inJournal()
    const hole = [...dumpJournal(nodeDisk(folder))].find(({ entries }) =>
      entries.some(({ partitionId, batch }) => partitionId === 16 && batch.baseOffset === 4),
    )
    flip(folder, hole?.path ?? '', (hole?.position ?? 0) + 140)
    truncateSync(join(folder, segment(16, 0)), 0)
    expect(damaged(folder)).not.toEqual([])
    expect(await repair(folder)).toEqual([{ topic: 't', partition: 0, from: 4, to: 4 }])
    const engine = await open({ folder })
    const left = numbered(10).filter((_, i) => i !== 4)
    expect(await valuesOf(engine, 't')).toEqual(left)
    expect(engine.topic('t')?.partitions[0]?.leaderEpoch).toBe(1)
  })
})
