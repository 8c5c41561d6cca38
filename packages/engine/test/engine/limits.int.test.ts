// Appends at every bound, and the limits with names.
import { type AppendEntry, encodeBatch, type LogErrorCode } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { DiskError } from '../../src/disk/disk.ts'
import { type EngineSettings, nodeDisk } from '../../src/index.ts'
import { batchOfBytes, type Interference, WrappedDisk } from '../storage/support.ts'
import {
  append,
  batchWith,
  codeOf,
  createTopic,
  fetchAt,
  killed,
  numbered,
  open,
  readAll,
  store,
  temporaryFolder,
  until,
  valuesOf,
} from './support.ts'

const MIB = 1 << 20

async function withDisk(on: Interference, settings: Partial<EngineSettings> = {}) {
  const folder = temporaryFolder()
  const engine = await open({ folder, settings, disk: new WrappedDisk(nodeDisk(folder), on) })
  await createTopic(engine, 't')
  return { engine, folder }
}

const entry = (batch: Buffer, partition = 0): AppendEntry => ({ topic: 't', partition, batch })

const codes = (results: readonly { error?: { code: LogErrorCode } }[]): (string | undefined)[] =>
  results.map(({ error }) => error?.code)

describe('an append', () => {
  test('to a hundred partitions in one call is stored in each', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't', {}, 100)
    const entries = Array.from({ length: 100 }, (_, i) => entry(batchWith([`p${i}`]), i))
    const results = await engine.append(entries)
    expect(codes(results)).toEqual(results.map(() => undefined))
    for (let i = 0; i < 100; i += 1) expect(await valuesOf(engine, 't', i)).toEqual([`p${i}`])
    const copy = await open({ folder: killed(folder) })
    for (let i = 0; i < 100; i += 1) expect(await valuesOf(copy, 't', i)).toEqual([`p${i}`])
  })

  test('larger than a group, and than the journal, is stored whole and in order', async () => {
    const engine = await open({ settings: { 'journal.max.bytes': MIB } })
    await createTopic(engine, 't')
    const values = numbered(24).map(value => value.padEnd(300_000))
    const results = await engine.append(values.map(value => entry(batchWith([value]))))
    expect(results.map(({ baseOffset }) => baseOffset)).toEqual(values.map((_, i) => i))
    expect(await valuesOf(engine, 't')).toEqual(values)
  })

  test('of very many small entries that just exceed a group is stored as well', async () => {
    const engine = await open({ settings: { 'journal.file.bytes': 65_536 } })
    await createTopic(engine, 't')
    const batch = batchOfBytes(76)
    for (const count of [790, 800, 807, 900]) {
      const results = await engine.append(Array.from({ length: count }, () => entry(batch)))
      expect(results.every(({ error }) => error === undefined)).toBe(true)
    }
  })

  test('with a batch of exactly max.message.bytes is stored, and refused one byte past it', async () => {
    const engine = await open({ settings: { 'journal.file.bytes': 16 * MIB } })
    await createTopic(engine, 't', { 'max.message.bytes': '5000' })
    const [fits, exceeds] = await engine.append([
      entry(batchOfBytes(5000)),
      entry(batchOfBytes(5001)),
    ])
    expect([fits?.error?.code, exceeds?.error?.code]).toEqual([undefined, 'MESSAGE_TOO_LARGE'])
    await engine.alterConfig('t', [
      { name: 'max.message.bytes', operation: 'set', value: '15728640' },
    ])
    const [largest, tooLarge] = await engine.append([
      entry(batchOfBytes(15_728_640)),
      entry(batchOfBytes(15_728_641)),
    ])
    expect([largest?.error?.code, tooLarge?.error?.code]).toEqual([undefined, 'MESSAGE_TOO_LARGE'])
    expect((await fetchAt(engine, 't', 1)).records.length).toBe(15_728_640)
  })

  test('with a batch that no group can hold is refused, and does not stop what follows', async () => {
    const engine = await open({ settings: { 'journal.file.bytes': 65_536 } })
    await createTopic(engine, 't')
    const most = 65_536 - 4096
    for (const [bytes, code] of [
      [most, undefined],
      [most + 1, 'MESSAGE_TOO_LARGE'],
      [MIB, 'MESSAGE_TOO_LARGE'],
    ] as const) {
      expect(codes(await engine.append([entry(batchOfBytes(bytes))])), `${bytes}`).toEqual([code])
    }
    expect(await store(engine, 't', ['next'])).toBe(1)
  })

  test('of which one entry is refused stores the others', async () => {
    const engine = await open()
    await createTopic(engine, 't')
    const damaged = batchWith(['x'])
    damaged.writeUInt8(damaged.readUInt8(66) ^ 1, 66)
    const results = await engine.append([
      entry(batchWith(['a'])),
      entry(damaged),
      { topic: 'unknown', partition: 0, batch: batchWith(['x']) },
      entry(batchWith(['x']), 7),
      { topic: '__catalogue', partition: 0, batch: batchWith(['x']) },
      entry(batchWith(['b'])),
    ])
    expect(codes(results)).toEqual([
      undefined,
      'CORRUPT_MESSAGE',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'INVALID_TOPIC_EXCEPTION',
      undefined,
    ])
    expect(await valuesOf(engine, 't')).toEqual(['a', 'b'])
  })

  test('leaves the bytes of the caller alone', async () => {
    const engine = await open()
    await createTopic(engine, 't', { 'message.timestamp.type': 'LogAppendTime' })
    const batch = batchWith(['a'], 5)
    const before = Buffer.from(batch)
    await engine.append([entry(batch)])
    await engine.append([entry(batch)])
    expect(batch).toEqual(before)
    expect(await readAll(engine, 't')).toHaveLength(2)
  })

  test.each(['os', 'interval'])(
    'to a topic with durability %s is acknowledged without a sync',
    async durability => {
      const folder = temporaryFolder()
      const engine = await open({ folder })
      await createTopic(engine, 't', { durability })
      for (const value of numbered(20)) await store(engine, 't', [value])
      expect(await valuesOf(engine, 't')).toEqual(numbered(20))
      // A killed process loses nothing that was written; the new epoch tells that a power cut could.
      const copy = await open({ folder: killed(folder) })
      expect(await valuesOf(copy, 't')).toEqual(numbered(20))
      expect(copy.topic('t')?.partitions[0]?.leaderEpoch).toBe(1)
      expect(copy.endOfEpoch('t', 0, 0, -1)).toEqual({ leaderEpoch: 0, endOffset: 20 })
      await engine.close()
      const after = await open({ folder })
      expect(after.topic('t')?.partitions[0]?.leaderEpoch).toBe(0)
    },
  )
})

describe('the limit', () => {
  test('topics.max and partitions.max hold exactly', async () => {
    const engine = await open({ settings: { 'topics.max': 2, 'partitions.max': 6 } })
    const create = async (name: string, partitions: number) =>
      (await engine.createTopics([{ name, partitions }]))[0]?.error
    expect((await create('a', 7))?.code).toBe('INVALID_PARTITIONS')
    expect(await create('a', 3)).toBeUndefined()
    expect((await create('b', 4))?.message).toContain('partitions.max is 6')
    expect(await create('b', 2)).toBeUndefined()
    expect((await create('c', 1))?.message).toContain('topics.max is 2')
    const [more] = await engine.createPartitions([{ name: 'a', partitions: 5 }])
    expect(more?.error?.code).toBe('INVALID_PARTITIONS')
  })

  test('append.queue.max.bytes refuses, retriably, what finds no room to wait', async () => {
    let let_go = (): void => undefined
    const held = new Promise<void>(resolve => {
      let_go = resolve
    })
    const hold = { value: false }
    // With its segment syncs held, no checkpoint ends and the small journal fills.
    const { engine } = await withDisk(
      { onSync: path => (hold.value && path.startsWith('partitions') ? held : undefined) },
      {
        'journal.file.bytes': 65_536,
        'journal.max.bytes': 65_536,
        'append.queue.max.bytes': MIB,
      },
    )
    hold.value = true
    let refused = 0
    const sent = Array.from({ length: 80 }, (_, i) =>
      append(engine, 't', [String(i).padEnd(30_000)]).then(
        ({ error }) => error?.code ?? 'stored',
        (cause: { code: string; retriable: boolean }) => {
          refused += 1
          return `${cause.code} ${cause.retriable}`
        },
      ),
    )
    await until(() => refused > 0 && (engine.metrics()['append_waiting_bytes'] ?? 0) > 0)
    expect(engine.metrics()['append_waiting_bytes']).toBeLessThanOrEqual(MIB)
    let_go()
    const answers = await Promise.all(sent)
    const stored = answers.filter(answer => answer === 'stored').length
    expect(stored).toBeGreaterThan(30)
    expect(stored).toBeLessThan(80)
    expect(new Set(answers)).toEqual(new Set(['stored', 'KAFKA_STORAGE_ERROR true']))
    expect(await readAll(engine, 't')).toHaveLength(stored)
  })

  test('journal.max.bytes slows appends down and fails none, however small', async () => {
    const engine = await open({
      settings: { 'journal.file.bytes': 65_536, 'journal.max.bytes': 65_536 },
    })
    await createTopic(engine, 't')
    const values = numbered(200).map(value => value.padEnd(10_000))
    const results = await Promise.all(values.map(value => append(engine, 't', [value])))
    expect(results.every(({ error }) => error === undefined)).toBe(true)
    expect(await valuesOf(engine, 't')).toEqual(values)
    expect(engine.metrics()['journal_used_bytes']).toBeLessThanOrEqual(2 * 65_536)
  })

  test('fetch.waiting.max answers one fetch more at once instead of letting it wait', async () => {
    const engine = await open({ settings: { 'fetch.waiting.max': 2 } })
    await createTopic(engine, 't')
    const waiting = [0, 1].map(() => fetchAt(engine, 't', 0, 0, { maxWaitMs: 60_000 }))
    expect(engine.metrics()['fetch_waiting']).toBe(2)
    const third = await fetchAt(engine, 't', 0, 0, { maxWaitMs: 60_000 })
    expect(third.records.length).toBe(0)
    await store(engine, 't', ['wake'])
    for (const result of await Promise.all(waiting))
      expect(result.records.length).toBeGreaterThan(0)
    expect(engine.metrics()['fetch_waiting']).toBe(0)
  })

  test('fetch.max.bytes and fetch.max.wait.ms bound what is asked for', async () => {
    const engine = await open({ settings: { 'fetch.max.bytes': 1024, 'fetch.max.wait.ms': 50 } })
    await createTopic(engine, 't')
    for (const value of numbered(10)) await store(engine, 't', [value.padEnd(400)])
    const { records } = await fetchAt(engine, 't', 0, 0, { maxBytes: MIB })
    expect(records.length).toBeGreaterThan(0)
    expect(records.length).toBeLessThanOrEqual(1024)
    const before = performance.now()
    await fetchAt(engine, 't', 10, 0, { maxWaitMs: 600_000 })
    expect(performance.now() - before).toBeLessThan(10_000)
  })

  test('files.open.max bounds the open segments, however many are read', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder, settings: { 'files.open.max': 16 } })
    await createTopic(engine, 't', { 'segment.bytes': '4096' })
    for (const value of numbered(60)) await store(engine, 't', [value.padEnd(3000)])
    await engine.close()
    const after = await open({ folder, settings: { 'files.open.max': 16 } })
    expect(await readAll(after, 't')).toHaveLength(60)
    expect(after.metrics()['segment_files_open']).toBe(16)
  })

  test('partition.producers.max forgets the producer silent for longest', async () => {
    const engine = await open({ settings: { 'partition.producers.max': 2 } })
    await createTopic(engine, 't')
    const send = async (producerId: number, baseSequence: number) => {
      const producer = { producerId, producerEpoch: 0 }
      const batch = encodeBatch({ records: [{ value: 'v' }], producer, baseSequence })
      return (await engine.append([entry(batch)]))[0]
    }
    for (const id of [1, 2, 3]) {
      await send(id, 0)
      await new Promise(resolve => setTimeout(resolve, 3))
    }
    expect((await send(3, 5))?.error?.code).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect((await send(1, 5))?.error).toBeUndefined()
  })

  test('producers.max forgets, of a partition with several, the producer silent for longest', async () => {
    const engine = await open({ settings: { 'producers.max': 2 } })
    await createTopic(engine, 't')
    const send = async (producerId: number, baseSequence: number) => {
      const producer = { producerId, producerEpoch: 0 }
      const batch = encodeBatch({ records: [{ value: 'v' }], producer, baseSequence })
      return (await engine.append([entry(batch)]))[0]
    }
    for (const id of [1, 2]) await send(id, 0)
    expect(engine.metrics()['producers']).toBe(2)
    expect((await send(1, 5))?.error?.code).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    await send(3, 0)
    expect(engine.metrics()['producers']).toBe(2)
    expect((await send(3, 5))?.error?.code).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  test('num.partitions is what a topic has that does not say', async () => {
    const engine = await open({ settings: { 'num.partitions': 3 } })
    await engine.createTopics([{ name: 'silent' }, { name: 'said', partitions: 1 }])
    expect(engine.topic('silent')?.partitions).toHaveLength(3)
    expect(engine.topic('said')?.partitions).toHaveLength(1)
  })

  test('node.id is the leader of every partition, at its bounds as well', async () => {
    for (const id of [0, 2 ** 31 - 1]) {
      const engine = await open({ settings: { 'node.id': id } })
      await createTopic(engine, 't')
      expect(engine.topic('t')?.partitions[0]?.leader).toBe(id)
      await engine.close()
    }
  })

  test('disk.reserve.bytes refuses client appends and lets the rest go on', async () => {
    const on: Interference = {}
    const { engine } = await withDisk(on, { 'disk.reserve.bytes': 1000 })
    await store(engine, 't', ['before'])
    on.free = 999
    await until(async () => (await append(engine, 't', ['x'])).error !== undefined)
    expect(engine.health()).toMatchObject({
      diskFull: true,
      reason: expect.stringContaining('disk.reserve.bytes=1000'),
    })
    await createTopic(engine, 'other')
    expect((await engine.deleteTopics(['other']))[0]?.error).toBeUndefined()
    expect((await valuesOf(engine, 't'))[0]).toBe('before')
    on.free = 1000
    await until(async () => (await append(engine, 't', ['after'])).error === undefined)
    expect(engine.health().diskFull).toBe(false)
  })
})

describe('a failing disk', () => {
  test('without room for a segment refuses appends, keeps what it acknowledged, and resumes', async () => {
    const full = { value: false }
    const { engine, folder } = await withDisk({
      onWrite: path => {
        if (full.value && path.endsWith('.log')) throw new DiskError('ENOSPC', path, 'full')
      },
    })
    await store(engine, 't', ['a'])
    full.value = true
    await store(engine, 't', ['b'])
    expect((await append(engine, 't', ['c'])).error?.code).toBe('KAFKA_STORAGE_ERROR')
    expect(await valuesOf(engine, 't')).toEqual(['a', 'b'])
    expect(engine.health().diskFull).toBe(true)
    expect(await valuesOf(await open({ folder: killed(folder) }), 't')).toEqual(['a', 'b'])
    full.value = false
    await until(async () => (await append(engine, 't', ['d'])).error === undefined)
    expect(await valuesOf(engine, 't')).toEqual(['a', 'b', 'd'])
  })

  test('that fails to sync a segment fences that partition alone; a restart gives all back', async () => {
    const bad = { value: false }
    const { engine, folder } = await withDisk(
      {
        onSync: path => {
          if (bad.value && path.startsWith('partitions/16/')) {
            throw new DiskError('EIO', path, 'as the test asked')
          }
        },
      },
      { 'checkpoint.interval.ms': 100 },
    )
    await createTopic(engine, 'u')
    bad.value = true
    await store(engine, 't', ['a'])
    await until(() => engine.health().partitions.length > 0)
    expect(engine.health()).toMatchObject({
      state: 'ready',
      partitions: [{ topic: 't', partition: 0, state: 'fenced' }],
    })
    expect((await append(engine, 't', ['x'])).error?.code).toBe('KAFKA_STORAGE_ERROR')
    expect(await store(engine, 'u', ['goes on'])).toBe(0)
    expect(await valuesOf(engine, 't')).toEqual(['a'])
    await engine.close()
    const after = await open({ folder })
    expect(after.health().partitions).toEqual([])
    expect([await valuesOf(after, 't'), await valuesOf(after, 'u')]).toEqual([['a'], ['goes on']])
    expect(await store(after, 't', ['b'])).toBe(1)
  })

  test('that fails to sync the journal fences the engine; reads go on, a restart heals', async () => {
    const folder = temporaryFolder()
    const inner = nodeDisk(folder)
    const bad = { value: false }
    const disk = new WrappedDisk(inner, {})
    const writerOf = disk.openJournalWriter.bind(disk)
    disk.openJournalWriter = (count, bytes) => {
      const writer = writerOf(count, bytes)
      return {
        staging: writer.staging,
        write: async write => {
          if (bad.value) throw new DiskError('EIO', write.file.path, 'as the test asked')
          await writer.write(write)
        },
        isWriting: () => writer.isWriting(),
        close: () => writer.close(),
      }
    }
    const engine = await open({ folder, disk })
    await createTopic(engine, 't')
    await store(engine, 't', ['a'])
    bad.value = true
    const sent = await Promise.all(
      Array.from({ length: 200 }, (_, i) => codeOf(store(engine, 't', [`${i}`.padEnd(30_000)]))),
    )
    expect(new Set(sent)).toEqual(new Set(['KAFKA_STORAGE_ERROR']))
    expect(engine.health()).toMatchObject({ state: 'fenced' })
    // Also when the open group was full at that moment.
    for (let i = 0; i < 5; i += 1) {
      expect(await codeOf(store(engine, 't', ['x'.repeat(200_000)]))).toBe('KAFKA_STORAGE_ERROR')
    }
    expect((await engine.createTopics([{ name: 'u' }]))[0]?.error?.code).toBe('KAFKA_STORAGE_ERROR')
    expect(await valuesOf(engine, 't')).toEqual(['a'])
    await engine.close()
    const after = await open({ folder })
    expect(await valuesOf(after, 't')).toEqual(['a'])
    expect(await store(after, 't', ['b'])).toBe(1)
  })
})
