import type { LogError } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import type { ProducerOptions } from '../../src/producer/options.ts'
import { createProducer } from '../../src/producer/producer.ts'
import { FakeLog } from '../support/fake-log.ts'
import { SimOutside } from '../support/sim-outside.ts'

async function setUp(options: ProducerOptions = {}, partitions = 1) {
  const outside = new SimOutside()
  const log = new FakeLog(outside)
  await log.createTopics([{ name: 't', partitions }])
  return { outside, log, producer: createProducer(log, { outside, ...options }) }
}

const values = (log: FakeLog, partition = 0) =>
  log.records('t', partition).map(record => String(record.value))
const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index))

describe('send', () => {
  test('answers with the place and the time of the record', async () => {
    const { outside, producer } = await setUp({}, 3)
    const first = await outside.until(producer.send('t', { key: 'a', value: '1', timestamp: 5 }))
    expect(first).toMatchObject({ topic: 't', offset: 0, timestamp: 5 })
    const second = await outside.until(producer.send('t', { key: 'a', value: '2', timestamp: 6 }))
    expect(second).toEqual({ ...first, offset: 1, timestamp: 6 })
  })

  test('keeps the order of the calls in a partition', async () => {
    const { outside, log, producer } = await setUp({ batchBytesMax: 300 })
    await outside.until(Promise.all(numbers(500).map(value => producer.send('t', { value }))))
    expect(values(log)).toEqual(numbers(500))
  })

  test('puts a record into the partition that it names', async () => {
    const { outside, producer } = await setUp({}, 4)
    const sent = outside.until(producer.send('t', { key: 'a', value: '1', partition: 3 }))
    expect(await sent).toMatchObject({ partition: 3 })
    const bad = outside.until(producer.send('t', { value: '1', partition: 4 }))
    await expect(bad).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
  })

  test('makes one batch of what comes in one turn', async () => {
    const { outside, log, producer } = await setUp()
    await outside.until(
      producer.sendBatch(
        't',
        numbers(100).map(value => ({ value })),
      ),
    )
    expect(log.batchCount('t')).toBe(1)
  })

  test('gathers records in larger batches while appends are in flight', async () => {
    const { outside, log, producer } = await setUp({ lingerMs: 50 })
    log.latencyMs = () => 20
    const sent: Promise<unknown>[] = []
    for (const value of numbers(40)) {
      sent.push(producer.send('t', { value }))
      await outside.pass(1)
    }
    await outside.until(Promise.all(sent))
    expect(log.batchCount('t')).toBeLessThanOrEqual(5)
  })

  test('refuses a record beyond its bound and takes one at it', async () => {
    const { outside, producer } = await setUp({ recordBytesMax: 100 })
    await outside.until(producer.send('t', { value: 'x'.repeat(100) }))
    const large = producer.send('t', { value: 'x'.repeat(101) })
    await expect(outside.until(large)).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
  })

  test('says that a topic does not exist after blockMsMax', async () => {
    const { outside, producer } = await setUp({ blockMsMax: 500 })
    const sent = producer.send('nowhere', { value: '1' })
    await expect(outside.until(sent, 2_000)).rejects.toMatchObject({
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
  })

  test('waits for a topic that comes to be', async () => {
    const { outside, log, producer } = await setUp()
    const sent = producer.send('later', { value: '1' })
    await outside.pass(300)
    await log.createTopics([{ name: 'later' }])
    expect(await outside.until(sent)).toMatchObject({ offset: 0 })
  })

  test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('stores with %s', async compression => {
    const { outside, log, producer } = await setUp({ compression })
    await outside.until(
      producer.sendBatch(
        't',
        numbers(50).map(value => ({ value })),
      ),
    )
    expect(values(log)).toEqual(numbers(50))
  })

  test('asks for no offset with acks 0', async () => {
    const { outside, log, producer } = await setUp({ acks: 0 })
    expect(await outside.until(producer.send('t', { value: '1' }))).toMatchObject({ offset: -1 })
    expect(values(log)).toEqual(['1'])
  })
})

describe('retries', () => {
  test('a lost answer makes no second copy', async () => {
    const { outside, log, producer } = await setUp()
    let lost = 0
    log.faultOf = () => (lost++ < 3 ? 'answerLost' : 'none')
    const sent = Promise.all(numbers(10).map(value => producer.send('t', { value })))
    const answers = await outside.until(sent)
    expect(values(log)).toEqual(numbers(10))
    expect(answers.map(({ offset }) => offset)).toEqual(numbers(10).map(Number))
  })

  test('an append that is never answered is tried again', async () => {
    const { outside, log, producer } = await setUp({ requestTimeoutMs: 1_000 })
    let lost = 0
    log.faultOf = () => (lost++ < 1 ? 'never' : 'none')
    await outside.until(producer.send('t', { value: '1' }))
    expect(values(log)).toEqual(['1'])
  })

  test('keep the order with five appends in flight', async () => {
    const { outside, log, producer } = await setUp({ batchBytesMax: 100, requestBytesMax: 100 })
    let call = 0
    log.faultOf = () => (call++ % 3 === 0 ? 'requestLost' : 'none')
    await outside.until(Promise.all(numbers(200).map(value => producer.send('t', { value }))))
    expect(values(log)).toEqual(numbers(200))
    expect(log.appendsInFlightPeak).toBeGreaterThan(1)
    expect(log.appendsInFlightPeak).toBeLessThanOrEqual(5)
  })

  test('keep the order without idempotence, with one append in flight', async () => {
    const { outside, log, producer } = await setUp({ idempotent: false, batchBytesMax: 100 })
    let call = 0
    log.faultOf = () => (call++ % 2 === 0 ? { code: 'NOT_LEADER_OR_FOLLOWER' } : 'none')
    await outside.until(Promise.all(numbers(100).map(value => producer.send('t', { value }))))
    expect(values(log)).toEqual(numbers(100))
    expect(log.appendsInFlightPeak).toBe(1)
  })

  test('end with the delivery time', async () => {
    const { outside, log, producer } = await setUp({ deliveryTimeoutMs: 2_000 })
    log.faultOf = () => 'requestLost'
    const sent = producer.send('t', { value: '1' })
    await expect(outside.until(sent, 4_000)).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' })
    log.faultOf = () => 'none'
    await outside.until(producer.send('t', { value: '2' }))
    expect(values(log)).toEqual(['2'])
  })

  test.each([
    ['NOT_LEADER_OR_FOLLOWER', 'NOT_LEADER_OR_FOLLOWER'],
    ['KAFKA_STORAGE_ERROR', 'REQUEST_TIMED_OUT'], // what has failed there may be stored all the same
  ] as const)('that never helped are told with their reason: %s', async (refusal, told) => {
    const { outside, log, producer } = await setUp({ deliveryTimeoutMs: 2_000 })
    log.codeOf = () => refusal
    const sent = producer.send('t', { value: '1' })
    await expect(outside.until(sent, 4_000)).rejects.toMatchObject({
      code: told,
      message: expect.stringMatching(/not delivered in 2000 ms, tried \d+ times, the last time: /),
      cause: { code: refusal },
    })
  })

  test('do not help a batch that is refused for good; those behind it are stored', async () => {
    const { outside, log, producer } = await setUp({ batchBytesMax: 80, requestBytesMax: 80 })
    let call = 0
    log.codeOf = () => (call++ === 0 ? 'MESSAGE_TOO_LARGE' : null)
    const sent = numbers(20).map(value => producer.send('t', { value: value.padEnd(60) }))
    const results = await outside.until(Promise.allSettled(sent))
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect(values(log).map(Number)).toEqual(numbers(20).map(Number).slice(1))
  })

  test('tell each record of a refused batch whether it is to blame', async () => {
    const { outside, log, producer } = await setUp()
    log.codeOf = () => 'INVALID_RECORD'
    log.recordErrors = [{ batchIndex: 4, message: 'it has no key' }]
    const sent = numbers(6).map(value => producer.send('t', { value }))
    const results = await outside.until(Promise.allSettled(sent))
    const reasons = results.map(each => (each.status === 'rejected' ? each.reason : null))
    expect(reasons.map(reason => (reason as LogError | null)?.code)).toEqual(
      results.map(() => 'INVALID_RECORD'),
    )
    const blamed = reasons.map(reason => /no key/.test((reason as LogError).message))
    expect(blamed).toEqual([false, false, false, false, true, false])
  })

  test('go on under a new epoch when the log has forgotten the producer', async () => {
    const { outside, log, producer } = await setUp()
    await outside.until(producer.send('t', { value: '1' }))
    let refused = 0
    log.codeOf = () => (refused++ < 1 ? 'UNKNOWN_PRODUCER_ID' : null)
    await outside.until(producer.send('t', { value: '2' }))
    await outside.until(producer.send('t', { value: '3' }))
    expect(values(log)).toEqual(['1', '2', '3'])
  })

  test('do not store twice what may be stored when the log has forgotten the producer', async () => {
    const { outside, log, producer } = await setUp()
    await outside.until(producer.send('t', { value: '1' }))
    let call = 0
    log.faultOf = () => (call++ < 1 ? 'answerLost' : 'none')
    log.codeOf = () => (call > 1 && call++ === 2 ? 'UNKNOWN_PRODUCER_ID' : null)
    const sent = producer.send('t', { value: '2' })
    await expect(outside.until(sent)).rejects.toMatchObject({ code: 'UNKNOWN_SERVER_ERROR' })
    await outside.until(producer.send('t', { value: '3' }))
    expect(values(log)).toEqual(['1', '2', '3'])
  })
})

describe('offer', () => {
  test('takes nothing before the topic is known, then takes without a promise', async () => {
    const { outside, log, producer } = await setUp()
    expect(producer.offer('t', { value: '0' })).toBe(false)
    await outside.until(producer.ready('t'))
    for (const value of numbers(100)) expect(producer.offer('t', { value })).toBe(true)
    await outside.until(producer.flush())
    expect(values(log)).toEqual(numbers(100))
  })

  test('refuses at the buffer bound, and never holds more', async () => {
    const { outside, log, producer } = await setUp({ bufferBytesMax: 2_000, batchBytesMax: 500 })
    await outside.until(producer.ready('t'))
    let taken = 0
    let refusals = 0
    while (taken < 500) {
      if (producer.offer('t', { value: Buffer.from(`${taken}`.padStart(50)) })) taken += 1
      else {
        refusals += 1
        await outside.until(producer.ready('t'))
      }
    }
    await outside.until(producer.flush())
    expect(values(log).map(Number)).toEqual(numbers(500).map(Number))
    expect(refusals).toBeGreaterThan(10)
  })

  test('does not overtake a send that waits for room', async () => {
    const { outside, log, producer } = await setUp({ bufferBytesMax: 1_024 })
    await outside.until(producer.ready('t'))
    const big = Buffer.alloc(900, 'b')
    const sent = [producer.send('t', { value: big }), producer.send('t', { value: big })]
    expect(producer.offer('t', { value: 'small' })).toBe(false)
    await outside.until(Promise.all(sent))
    expect(producer.offer('t', { value: 'small' })).toBe(true)
    await outside.until(producer.flush())
    expect(values(log).at(-1)).toBe('small')
  })

  test('failures without a callback come out of flush, once', async () => {
    const failures: LogError[] = []
    const { outside, log, producer } = await setUp({
      onFailure: ({ error }) => void failures.push(error),
    })
    await outside.until(producer.ready('t'))
    log.codeOf = () => 'INVALID_RECORD'
    producer.offer('t', { value: '1' })
    await expect(outside.until(producer.flush())).rejects.toMatchObject({ code: 'INVALID_RECORD' })
    await outside.until(producer.flush())
    expect(failures).toHaveLength(1)
  })
})

describe('bounds', () => {
  test('one send more than may wait is refused', async () => {
    const { outside, producer } = await setUp({ waitersMax: 2, blockMsMax: 100 })
    const waiting = [producer.send('no', { value: '' }), producer.send('no', { value: '' })]
    const refused = producer.send('no', { value: '' })
    await expect(refused).rejects.toMatchObject({ code: 'THROTTLING_QUOTA_EXCEEDED' })
    await outside.until(Promise.allSettled(waiting))
  })

  test('an idempotent producer wants acks "all"', () => {
    const log = new FakeLog(new SimOutside())
    expect(() => createProducer(log, { acks: 1, idempotent: true })).toThrow(RangeError)
    expect(() => createProducer(log, { batchBytesMax: 0 })).toThrow(/batchBytesMax/)
  })
})

describe('close', () => {
  test('sends what was taken, then refuses', async () => {
    const { outside, log, producer } = await setUp({ lingerMs: 10_000 })
    const sent = producer.send('t', { value: '1' })
    await outside.until(producer.close())
    await sent
    expect(values(log)).toEqual(['1'])
    await expect(producer.send('t', { value: '2' })).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    await outside.pass(0)
    expect(outside.pendingTimers).toBe(0)
  })
})
