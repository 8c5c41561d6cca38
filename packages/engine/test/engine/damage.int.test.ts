// Damaged folders: found, named, never served, never cut by themselves; dumps of whole ones.
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { dumpJournal, dumpSegment, nodeDisk, verifyFolder } from '../../src/index.ts'
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
const VALUES = numbered(30).map(value => value.padEnd(1000, '.'))

/** A cleanly stopped folder: topic `t` with ten segments of three records, topic `u` with one. */
async function stoppedFolder(): Promise<string> {
  const folder = temporaryFolder()
  const engine = await open({ folder })
  await createTopic(engine, 't', SEGMENTS)
  await createTopic(engine, 'u')
  for (const value of VALUES) await store(engine, 't', [value])
  await store(engine, 'u', ['beside'])
  await engine.close()
  return folder
}

/** The n-th segment of the first client partition, as a path inside the folder. */
const segment = (n: number): string => `partitions/16/${String(n * 3).padStart(20, '0')}.log`

function flip(folder: string, path: string, at: number): void {
  const bytes = readFileSync(join(folder, path))
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(join(folder, path), bytes)
}

const findings = (folder: string): string[] =>
  verifyFolder(nodeDisk(folder)).findings.map(
    ({ severity, path, position }) => `${severity} ${path}:${position}`,
  )

describe('verify', () => {
  test('finds nothing in a whole folder, stopped or killed, and leaves no trace', async () => {
    const folder = await stoppedFolder()
    const before = readdirSync(folder)
    const report = verifyFolder(nodeDisk(folder))
    expect(report).toMatchObject({ cleanStop: true, topics: 2, findings: [] })
    expect(report.batches).toBeGreaterThanOrEqual(31)
    expect(readdirSync(folder)).toEqual(before)
    const engine = await open({ folder })
    await store(engine, 't', ['more'])
    const copy = verifyFolder(nodeDisk(killed(folder)))
    expect(copy).toMatchObject({ cleanStop: false, findings: [] })
    expect(copy.journalGroups).toBeGreaterThan(0)
  })

  test('says what a folder is that is no data folder', () => {
    const report = verifyFolder(nodeDisk(temporaryFolder()))
    expect(report).toMatchObject({ logId: null, partitions: 0 })
    expect(report.findings.map(({ severity }) => severity)).toEqual(['note'])
  })

  test('names file and batch of every flipped byte of a segment', async () => {
    const folder = await stoppedFolder()
    const size = readFileSync(join(folder, segment(1))).length
    const batch = size / 3
    for (const at of [0, 7, 8, 12, 15, 16, 17, 21, 60, 61, 500, batch, batch + 9, size - 1]) {
      flip(folder, segment(1), at)
      // The leader epoch lies outside of the batch's checksum: the block's one finds it.
      const position = at >= 12 && at < 16 ? 0 : Math.floor(at / batch) * batch
      expect(findings(folder), `byte ${at}`).toContain(`damage ${segment(1)}:${position}`)
      flip(folder, segment(1), at)
    }
    expect(findings(folder)).toEqual([])
  })

  test('names segments that are missing or too short', async () => {
    const folder = await stoppedFolder()
    rmSync(join(folder, segment(2)))
    truncateSync(join(folder, segment(4)), 100)
    expect(findings(folder)).toContain(`damage ${segment(2)}:0`)
    expect(findings(folder)).toContain(`damage ${segment(4)}:100`)
  })

  test('tells derived data from damage', async () => {
    const folder = await stoppedFolder()
    flip(folder, segment(1).replace('log', 'index'), 70)
    rmSync(join(folder, segment(2).replace('log', 'index')))
    expect(findings(folder)).toEqual([`derived ${segment(1).replace('log', 'index')}:0`])
    const engine = await open({ folder })
    expect(await valuesOf(engine, 't')).toEqual(VALUES)
  })

  test('names a hole in the journal that a later group vouches for', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't')
    for (const value of numbered(10)) await store(engine, 't', [value])
    const copy = killed(folder)
    const groups = [...dumpJournal(nodeDisk(copy))]
    const hole = groups[4]
    flip(copy, hole?.path ?? '', (hole?.position ?? 0) + 80)
    expect(findings(copy).filter(line => line.startsWith('damage journal/'))).toHaveLength(1)
    const opened = await open({ folder: copy })
    expect(opened.health()).toMatchObject({ state: 'fenced' })
    expect(await codeOf(store(opened, 't', ['x']))).toBe('KAFKA_STORAGE_ERROR')
    const before = readFileSync(join(copy, hole?.path ?? ''))
    await opened.close()
    expect(readFileSync(join(copy, hole?.path ?? ''))).toEqual(before)
  })

  test('a torn tail of the journal is no damage: it is cut, and what was whole is served', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't')
    for (const value of numbered(10)) await store(engine, 't', [value])
    const copy = killed(folder)
    const last = [...dumpJournal(nodeDisk(copy))].at(-1)
    flip(copy, last?.path ?? '', (last?.position ?? 0) + 80)
    expect(findings(copy)).toEqual([])
    const opened = await open({ folder: copy })
    expect(opened.health().state).toBe('ready')
    expect(await valuesOf(opened, 't')).toEqual(numbered(9))
    expect(await store(opened, 't', ['next'])).toBe(9)
  })
})

describe('a damaged segment', () => {
  test('quarantines its partition and no other, and is never served', async () => {
    const folder = await stoppedFolder()
    flip(folder, segment(3), 14) // the leader epoch, outside of the batch's own checksum
    const engine = await open({ folder })
    expect(await codeOf(readAll(engine, 't'))).toBe('KAFKA_STORAGE_ERROR')
    expect(engine.health()).toMatchObject({
      state: 'ready',
      partitions: [{ topic: 't', partition: 0, state: 'quarantined' }],
    })
    expect(await codeOf(store(engine, 't', ['x']))).toBe('KAFKA_STORAGE_ERROR')
    expect(await valuesOf(engine, 'u')).toEqual(['beside'])
    expect(await store(engine, 'u', ['goes on'])).toBe(1)
    await engine.close()
    const after = await open({ folder })
    expect(after.health().partitions).toHaveLength(1)
  })

  test('missing or too short, quarantines at start; restored from a copy all is well again', async () => {
    const folder = await stoppedFolder()
    const whole = readFileSync(join(folder, segment(5)))
    for (const harm of [
      () => rmSync(join(folder, segment(5))),
      () => truncateSync(join(folder, segment(5)), 1000),
    ]) {
      harm()
      const engine = await open({ folder: killed(folder) })
      expect(engine.health().partitions).toMatchObject([{ topic: 't', state: 'quarantined' }])
      writeFileSync(join(folder, segment(5)), whole)
    }
    expect(await valuesOf(await open({ folder }), 't')).toEqual(VALUES)
  })

  test('given up by the operator costs what is damaged and nothing else', async () => {
    const folder = await stoppedFolder()
    const size = readFileSync(join(folder, segment(3))).length
    flip(folder, segment(3), size / 3 + 500) // the second of the records 9, 10, 11
    rmSync(join(folder, segment(6))) // 18, 19, 20
    flip(folder, segment(9), size - 1) // 29, the last one
    const repaired = await open({ folder, acceptLoss: true })
    const lost = [10, 18, 19, 20, 29]
    const kept = VALUES.map((_, offset) => offset).filter(offset => !lost.includes(offset))
    const expected = kept.map(offset => ({ offset, value: VALUES[offset] }))
    expect(await readAll(repaired, 't')).toEqual(expected)
    expect(await valuesOf(repaired, 'u')).toEqual(['beside'])
    // The offsets of what was lost are not given out again, and the epoch tells readers.
    expect(await store(repaired, 't', ['after'])).toBe(30)
    expect(repaired.topic('t')?.partitions[0]?.leaderEpoch).toBe(1)
    const crashed = await open({ folder: killed(folder) })
    expect(await readAll(crashed, 't')).toEqual([...expected, { offset: 30, value: 'after' }])
    expect(crashed.health().partitions).toEqual([])
    await repaired.close()
    expect(findings(folder).filter(line => line.startsWith('damage'))).toEqual([])
    expect(await readAll(await open({ folder }), 't')).toHaveLength(26)
  })
})

describe('a dump', () => {
  test('of a segment shows every batch, with its records if asked', async () => {
    const folder = await stoppedFolder()
    const lines = [...dumpSegment(nodeDisk(folder), segment(2), { records: true })]
    expect(lines).toHaveLength(3)
    expect(lines.map(line => ('baseOffset' in line ? line.baseOffset : -1))).toEqual([6, 7, 8])
    expect(lines[0]).toMatchObject({ position: 0, records: 1, content: [{ value: VALUES[6] }] })
    const plain = [...dumpSegment(nodeDisk(folder), segment(2))]
    expect(plain[0]).not.toHaveProperty('content')
  })

  test('of a damaged segment ends where and why it cannot be read', async () => {
    const folder = await stoppedFolder()
    const size = readFileSync(join(folder, segment(2))).length
    flip(folder, segment(2), size / 3 + 100)
    const lines = [...dumpSegment(nodeDisk(folder), segment(2))]
    expect(lines).toHaveLength(2)
    expect(lines[1]).toMatchObject({
      position: size / 3,
      damage: expect.stringContaining('checksum'),
    })
  })

  test('of the journal shows the groups behind the checkpoint, in order', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't', {}, 3)
    await Promise.all([0, 1, 2].map(partition => store(engine, 't', ['x'], { partition })))
    const groups = [...dumpJournal(nodeDisk(killed(folder)), { records: true })]
    expect(groups.map(({ seq }) => seq)).toEqual(groups.map((_, i) => i + 1))
    const ids = groups.flatMap(({ entries }) => entries.map(({ partitionId }) => partitionId))
    expect(ids).toEqual(expect.arrayContaining([0, 16, 17, 18]))
    await engine.close()
    expect([...dumpJournal(nodeDisk(folder))]).toEqual([])
  })
})
