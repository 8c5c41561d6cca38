import { encodeBatch, LogError, setBatchPosition } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { createConsumer } from '../../src/consumer/consumer.ts'
import { bench, consumerOn, Loop, numbers, readSome, store, valuesOf } from '../support/clients.ts'

const T0 = { topic: 't', partition: 0 }
const T1 = { topic: 't', partition: 1 }

describe('assigned by hand', () => {
  test('hands out all records in order, and what comes later', async () => {
    const b = await bench()
    store(b.log, numbers(10))
    const consumer = consumerOn(b)
    consumer.assign([{ ...T0, offset: 'earliest' }])
    const read = readSome(consumer, 20)
    await b.outside.pass(2_000)
    store(b.log, numbers(10, 10))
    expect(await b.outside.until(read)).toEqual(numbers(20))
    await b.outside.until(consumer.close())
    expect(b.outside.pendingTimers).toBe(0)
  })

  test('says what a batch holds', async () => {
    const b = await bench()
    store(b.log, numbers(3))
    store(b.log, numbers(2, 3))
    const consumer = consumerOn(b)
    consumer.assign([{ ...T0, offset: 1 }])
    const step = await b.outside.until(consumer[Symbol.asyncIterator]().next())
    expect(step.value).toMatchObject({
      ...T0,
      firstOffset: 1,
      lastOffset: 4,
      recordCount: 4,
      highWatermark: 5,
    })
    expect(step.done ? [] : valuesOf(step.value)).toEqual(['1', '2', '3', '4'])
    expect(step.done ? [] : valuesOf(step.value), 'again').toEqual(['1', '2', '3', '4'])
    await b.outside.until(consumer.close())
  })

  test.each([
    ['latest' as const, ['new']],
    [2, ['2', 'new']],
    [{ timestamp: 1_000 }, ['0', '1', '2', 'new']],
    [{ timestamp: 5_000 }, ['new']],
  ])('starts at %j', async (offset, expected) => {
    const b = await bench()
    store(b.log, numbers(3))
    const consumer = consumerOn(b)
    consumer.assign([{ ...T0, offset }])
    const read = readSome(consumer, expected.length)
    await b.outside.pass(100)
    store(b.log, ['new'])
    expect(await b.outside.until(read)).toEqual(expected)
    await b.outside.until(consumer.close())
  })

  test('seeks back and forth, also while records wait to be handed out', async () => {
    const b = await bench()
    for (const value of numbers(10)) store(b.log, [value])
    const consumer = consumerOn(b, { partitionBytesMax: 1 })
    consumer.assign([{ ...T0, offset: 0 }])
    expect(await b.outside.until(readSome(consumer, 3))).toEqual(['0', '1', '2'])
    expect(consumer.position(T0)).toBe(3)
    consumer.seek(T0, 1)
    expect(await b.outside.until(readSome(consumer, 2))).toEqual(['1', '2'])
    consumer.seek(T0, 8)
    expect(await b.outside.until(readSome(consumer, 2))).toEqual(['8', '9'])
    expect(() => consumer.seek(T1, 0)).toThrow(/not assigned/)
    await b.outside.until(consumer.close())
  })

  test('hands out nothing of a paused partition, and all of it after', async () => {
    const b = await bench(2)
    store(b.log, numbers(5), 0)
    store(b.log, numbers(5, 100), 1)
    const consumer = consumerOn(b)
    consumer.assign([
      { ...T0, offset: 0 },
      { ...T1, offset: 0 },
    ])
    await b.outside.pass(100)
    consumer.pause([T0])
    expect(await b.outside.until(readSome(consumer, 5))).toEqual(numbers(5, 100))
    const read = readSome(consumer, 5)
    await b.outside.pass(5_000)
    consumer.resume([T0])
    expect(await b.outside.until(read)).toEqual(numbers(5))
    await b.outside.until(consumer.close())
  })

  test('fetches no more ahead than its bound and one answer', async () => {
    const b = await bench()
    for (const value of numbers(200)) store(b.log, [value.padEnd(1_000)])
    const consumer = consumerOn(b, { prefetchBytesMax: 10_000, partitionBytesMax: 3_000 })
    consumer.assign([{ ...T0, offset: 0 }])
    await b.outside.pass(60_000)
    const fetches = b.log.fetches
    expect(fetches).toBeLessThanOrEqual(7)
    await b.outside.pass(60_000)
    expect(b.log.fetches, 'nothing is asked for while nobody takes').toBe(fetches)
    expect(await b.outside.until(readSome(consumer, 200))).toHaveLength(200)
    await b.outside.until(consumer.close())
  })

  test('goes on after failures of the log', async () => {
    const b = await bench()
    store(b.log, numbers(5))
    let failing = 3
    b.log.fetchFault = () => (failing-- > 0 ? new LogError('NETWORK_EXCEPTION') : null)
    const heard: LogError[] = []
    const consumer = consumerOn(b, { onBackgroundError: error => void heard.push(error) })
    consumer.assign([{ ...T0, offset: 0 }])
    expect(await b.outside.until(readSome(consumer, 5))).toEqual(numbers(5))
    expect(heard).toHaveLength(3)
    await b.outside.until(consumer.close())
  })

  test('starts over where the policy says when its offset is gone', async () => {
    const b = await bench()
    store(b.log, numbers(5))
    store(b.log, numbers(5, 5))
    await b.log.deleteRecords([{ ...T0, offset: 5 }])
    const earliest = consumerOn(b)
    earliest.assign([{ ...T0, offset: 2 }])
    expect(await b.outside.until(readSome(earliest, 5))).toEqual(numbers(5, 5))
    const strict = consumerOn(b, { autoOffsetReset: 'error' })
    strict.assign([{ ...T0, offset: 2 }])
    const failed = b.outside.until(readSome(strict, 1))
    await expect(failed).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    strict.seek(T0, 5)
    expect(await b.outside.until(readSome(strict, 5)), 'after a seek').toEqual(numbers(5, 5))
    await b.outside.until(Promise.all([earliest.close(), strict.close()]))
  })

  test('throws when its topic has been missing for a while', async () => {
    const b = await bench()
    const consumer = consumerOn(b, { topicMissingMsMax: 5_000 })
    consumer.assign([{ ...T0, offset: 0 }])
    await b.outside.pass(100)
    await b.log.deleteTopics(['t'])
    const read = b.outside.until(readSome(consumer, 1), 10_000)
    await expect(read).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    await b.outside.until(consumer.close())
  })

  test('shows what stands before damage, then throws', async () => {
    const b = await bench()
    store(b.log, ['good'])
    store(b.log, ['bad'])
    const damaged = b.log.topics.get('t')?.[0]?.batches[1]?.bytes
    damaged?.writeUInt8(damaged.readUInt8(70) ^ 1, 70)
    const consumer = consumerOn(b)
    consumer.assign([{ ...T0, offset: 0 }])
    expect(await b.outside.until(readSome(consumer, 1))).toEqual(['good'])
    const read = b.outside.until(readSome(consumer, 1))
    await expect(read).rejects.toMatchObject({ code: 'CORRUPT_MESSAGE' })
    await b.outside.until(consumer.close())
  })

  test('passes over control batches, and under read_committed over aborted records', async () => {
    const b = await bench()
    const producer = { producerId: 7, producerEpoch: 0 }
    const put = (value: string, sequence: number) => {
      const records = [{ value }]
      const batch = encodeBatch({ records, producer, baseSequence: sequence, transactional: true })
      b.log.append([{ ...T0, batch }])
    }
    put('aborted', 0)
    const marker = encodeBatch({ records: [{ key: Buffer.from([0, 0, 0, 0]), value: '' }] })
    marker.writeUInt16BE(0x30, 21)
    marker.writeUInt32BE(7, 47)
    marker.writeInt32BE(0, 43)
    const stored = b.log.topics.get('t')?.[0]
    if (stored === undefined) throw new Error('no partition')
    setBatchPosition(marker, 0, stored.end, 0)
    stored.batches.push({ base: stored.end, last: stored.end, bytes: marker })
    stored.end += 1
    put('kept', 1)
    const fetch = b.log.fetch.bind(b.log)
    b.log.fetch = async request =>
      (await fetch(request)).map(result => ({
        ...result,
        abortedTransactions:
          request.isolation === 'read_committed' ? [{ producerId: 7, firstOffset: 0 }] : [],
      }))
    for (const [isolation, expected] of [
      ['read_uncommitted', ['aborted', 'kept']],
      ['read_committed', ['kept']],
    ] as const) {
      const consumer = consumerOn(b, { isolation, checkCrc: false })
      consumer.assign([{ ...T0, offset: 0 }])
      expect(await b.outside.until(readSome(consumer, expected.length))).toEqual(expected)
      await b.outside.until(consumer.close())
    }
  })

  test('is not iterated by two loops at a time', async () => {
    const b = await bench()
    const consumer = consumerOn(b)
    consumer.assign([{ ...T0, offset: 0 }])
    const waiting = consumer[Symbol.asyncIterator]().next()
    const second = consumer[Symbol.asyncIterator]().next()
    await expect(second).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    await b.outside.until(consumer.close())
    expect(await waiting).toMatchObject({ done: true })
  })
})

describe('commits', () => {
  test('by hand include the batch in hand', async () => {
    const b = await bench()
    store(b.log, numbers(5))
    const consumer = consumerOn(b, { groupId: 'g' })
    consumer.assign([T0])
    await b.outside.until(consumer[Symbol.asyncIterator]().next())
    await b.outside.until(consumer.commit())
    expect(b.log.groups.committed('g', 't', 0)).toBe(5)
    await b.outside.until(consumer.commit([{ ...T0, offset: 2, metadata: 'm' }]))
    expect(b.log.groups.committed('g', 't', 0)).toBe(2)
    await b.outside.until(consumer.close())
    const next = consumerOn(b, { groupId: 'g' })
    next.assign([T0])
    expect(await b.outside.until(readSome(next, 3)), 'goes on there').toEqual(['2', '3', '4'])
    await b.outside.until(next.close())
  })

  test('by interval include only what is finished', async () => {
    const b = await bench()
    store(b.log, numbers(5))
    store(b.log, numbers(5, 5))
    const consumer = consumerOn(b, { groupId: 'g', commitIntervalMs: 100, partitionBytesMax: 1 })
    consumer.assign([T0])
    const iterator = consumer[Symbol.asyncIterator]()
    await b.outside.until(iterator.next())
    await b.outside.pass(500)
    expect(b.log.groups.committed('g', 't', 0), 'the first is in hand').toBe(0)
    await b.outside.until(iterator.next())
    await b.outside.pass(500)
    expect(b.log.groups.committed('g', 't', 0)).toBe(5)
    const waiting = iterator.next()
    await b.outside.until(consumer.close())
    expect(b.log.groups.committed('g', 't', 0), 'close commits').toBe(10)
    expect(await waiting).toMatchObject({ done: true })
  })

  test('by hand for part of the batch in hand are not taken back by the interval or by close', async () => {
    const b = await bench()
    store(b.log, numbers(5))
    const consumer = consumerOn(b, { groupId: 'g', commitIntervalMs: 100 })
    consumer.assign([T0])
    await b.outside.until(consumer[Symbol.asyncIterator]().next())
    await b.outside.until(consumer.commit([{ ...T0, offset: 3 }]))
    await b.outside.pass(500)
    expect(b.log.groups.committed('g', 't', 0)).toBe(3)
    await b.outside.until(consumer.close())
    expect(b.log.groups.committed('g', 't', 0)).toBe(3)
  })

  test('of a batch left by break are not made by themselves', async () => {
    const b = await bench()
    store(b.log, numbers(5))
    const consumer = consumerOn(b, { groupId: 'g', commitIntervalMs: 100 })
    consumer.assign([T0])
    await b.outside.until(readSome(consumer, 5))
    await b.outside.until(consumer.close())
    expect(b.log.groups.committed('g', 't', 0)).toBe(0)
  })

  test('are tried again while the coordinator cannot answer, for a time', async () => {
    const b = await bench()
    store(b.log, numbers(5))
    const consumer = consumerOn(b, { groupId: 'g', commitTimeoutMs: 2_000 })
    consumer.assign([T0])
    await b.outside.until(consumer[Symbol.asyncIterator]().next())
    let failing = 3
    const failure = () => (failing-- > 0 ? new LogError('COORDINATOR_NOT_AVAILABLE') : null)
    b.log.groups.fault = call => (call === 'commit' ? failure() : null)
    await b.outside.until(consumer.commit())
    expect(b.log.groups.committed('g', 't', 0)).toBe(5)
    failing = 1_000
    const refused = b.outside.until(consumer.commit([{ ...T0, offset: 1 }]), 5_000)
    await expect(refused).rejects.toMatchObject({ code: 'COORDINATOR_NOT_AVAILABLE' })
    b.log.groups.fault = () => null
    await b.outside.until(consumer.close())
  })

  test('need a group', async () => {
    const b = await bench()
    await expect(consumerOn(b).commit()).rejects.toMatchObject({ code: 'INVALID_GROUP_ID' })
    expect(() => consumerOn(b).subscribe(['t'])).toThrow(LogError)
  })
})

describe('close', () => {
  test('waits for the batch in hand and ends the loop', async () => {
    const b = await bench()
    store(b.log, numbers(5))
    const consumer = consumerOn(b, { groupId: 'g', commitIntervalMs: 60_000 })
    consumer.assign([T0])
    const loop = new Loop(consumer, b.outside)
    loop.workMs = 1_000
    await b.outside.pass(500)
    expect(loop.working.size).toBe(1)
    await b.outside.until(consumer.close())
    await b.outside.until(loop.done)
    expect(loop.seen).toEqual(numbers(5))
    expect(b.log.groups.committed('g', 't', 0)).toBe(5)
    expect(b.outside.pendingTimers).toBe(0)
    expect(() => consumer.assign([T0])).toThrow(/closed/)
  })

  test('does not wait for ever', async () => {
    const b = await bench()
    store(b.log, numbers(5))
    const consumer = consumerOn(b, { closeTimeoutMs: 1_000 })
    consumer.assign([{ ...T0, offset: 0 }])
    await b.outside.until(consumer[Symbol.asyncIterator]().next())
    await b.outside.until(consumer.close(), 2_000)
  })
})

test('bad options are refused by name', async () => {
  const b = await bench()
  expect(() => createConsumer(b.log, { prefetchBytesMax: 0 })).toThrow(/prefetchBytesMax/)
  expect(() => createConsumer(b.log, { commitIntervalMs: 5 })).toThrow(/groupId/)
  expect(() =>
    createConsumer(b.log, { sessionTimeoutMs: 1_000, heartbeatIntervalMs: 1_000 }),
  ).toThrow(/heartbeatIntervalMs/)
})
