/** Flow control over real sockets: slow readers, the bytes in flight, what takes too long. */
import { apiVersions, fetch, metadata, produce, ZERO_UUID } from '@millrace/protocol'
import { afterEach, expect, test } from 'vitest'
import { READ_BYTES } from '../../src/listener/read-into.ts'
import { batchOf } from '../support/batches.ts'
import { type FakeEngine, fakeSlice, slices } from '../support/fake-engine.ts'
import { bytesOf, type Harness, startHarness } from '../support/harness.ts'
import { ManualTime } from '../support/manual-time.ts'

const MIB = 1024 * 1024
let harness: Harness

afterEach(async () => {
  await harness.stop()
  expect(slices.open).toBe(0)
  expect(harness.listener.metrics()['bytes_in_flight']).toBe(0)
  expect(harness.listener.metrics()['chunk_bytes_used']).toBe(0)
})

const produceOne = (topic: string, records: Buffer) => ({
  transactionalId: null,
  acks: -1,
  timeoutMs: 1_000,
  topicData: [{ name: topic, partitionData: [{ index: 0, records }] }],
})

const fetchOne = (topic: string) => ({
  maxWaitMs: 0,
  minBytes: 1,
  isolationLevel: 0,
  topics: [{ topic, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }] }],
})

/** A byte that says where it lies. */
const byteAt = (at: number): number => (at ^ (at >> 7) ^ (at >> 15)) & 0xff

/** Every fetch is answered with that many bytes. */
function serveLarge(fake: FakeEngine, bytes: number, fill = false): { read: number } {
  const seen = { read: 0 }
  fake.fetchSlices = async ({ positions }) =>
    positions.map(({ topic, partition }) => ({
      topic,
      partition,
      highWatermark: 1,
      lastStableOffset: 1,
      logStartOffset: 0,
      abortedTransactions: [],
      records: fakeSlice(bytes, (from, target) => {
        seen.read = Math.max(seen.read, from + target.length)
        if (!fill) return
        for (let at = 0; at < target.length; at += 1) target[at] = byteAt(from + at)
      }),
    }))
  return seen
}

test('a reader that reads nothing holds 4 MiB of 100, and gets the rest when it reads', async () => {
  harness = await startHarness()
  const seen = serveLarge(harness.fake, 100 * MIB)
  const peer = await harness.connect()
  peer.socket.pause()
  for (let index = 0; index < 5; index += 1) peer.send(fetch, 12, fetchOne('t'))
  await settled(() => seen.read)
  // What the kernel holds has left the process; beyond it there are at most 4 MiB.
  const before = seen.read
  expect(harness.listener.metrics()['chunk_bytes_used']).toBeLessThanOrEqual(4 * MIB)
  expect(before).toBeLessThan(40 * MIB)
  let received = 0
  peer.socket.on('data', chunk => {
    received += chunk.length
  })
  peer.socket.resume()
  await until(() => received >= 500 * MIB)
  expect(slices.open).toBe(0)
})

test('records arrive byte for byte, whatever the size of slice and chunk', async () => {
  harness = await startHarness({ 'chunks.max.bytes': MIB, 'connections.unsent.max.bytes': 65_536 })
  const peer = await harness.connect()
  for (const bytes of [4, 4_096, 65_532, 65_536, 65_540, MIB - 4, MIB, MIB + 4, 3 * MIB]) {
    serveLarge(harness.fake, bytes, true)
    const { responses } = await peer.call(fetch, 12, fetchOne('t'))
    const records = responses[0]?.partitions[0]?.records ?? Buffer.alloc(0)
    expect(records.length).toBe(bytes)
    for (let at = 0; at < bytes; at += 1) {
      if (records[at] !== byteAt(at)) throw new Error(`byte ${at} of ${bytes}`)
    }
  }
})

test('slow readers that use up the shared chunks do not stop another reader', async () => {
  harness = await startHarness({ 'chunks.max.bytes': 2 * MIB })
  serveLarge(harness.fake, 50 * MIB)
  for (let index = 0; index < 4; index += 1) {
    const slow = await harness.connect()
    slow.socket.pause()
    slow.send(fetch, 12, fetchOne('t'))
  }
  await settled(() => harness.listener.metrics()['bytes_sent_total'] ?? 0)
  expect(harness.listener.metrics()['chunk_bytes_used']).toBeLessThanOrEqual(2 * MIB + 5 * 65_536)
  const peer = await harness.connect()
  const { responses } = await peer.call(fetch, 12, fetchOne('t'))
  expect(responses[0]?.partitions[0]?.records?.length).toBe(50 * MIB)
})

test('a slice that fails in the middle ends its connection and is released', async () => {
  harness = await startHarness()
  harness.fake.fetchSlices = async ({ positions }) =>
    positions.map(({ topic, partition }) => ({
      topic,
      partition,
      highWatermark: 1,
      lastStableOffset: 1,
      logStartOffset: 0,
      abortedTransactions: [],
      records: fakeSlice(5 * MIB, from => {
        if (from > 2 * MIB) throw new Error('the disk is gone')
      }),
    }))
  const peer = await harness.connect()
  peer.send(fetch, 12, fetchOne('t'))
  expect(await peer.frame()).toBeUndefined()
  expect(harness.lines[0]?.level).toBe('error')
  expect(harness.lines[0]?.fields['error']).toContain('the disk is gone')
})

test('requests beyond connections.in.flight.max are not started, and go on as answers leave', async () => {
  harness = await startHarness({ 'connections.in.flight.max': 3 })
  harness.fake.addTopic('t')
  const waiting = holdAppends(harness.fake)
  const peer = await harness.connect()
  const stream = Array.from({ length: 10 }, (_, index) =>
    bytesOf(produce, 9, index, produceOne('t', batchOf(10))),
  )
  peer.socket.write(Buffer.concat(stream))
  await settled(() => waiting.length)
  expect(waiting.length).toBe(3)
  for (let index = 0; index < 10; index += 1) {
    await until(() => waiting.length > index)
    waiting[index]?.()
    expect((await peer.receive(produce, 9)).correlationId).toBe(index)
    await settled(() => waiting.length)
    expect(waiting.length).toBe(Math.min(10, index + 4))
  }
})

test('above the limit of bytes in flight sockets are not read, and are read again below it', async () => {
  const limit = 4 * MIB
  harness = await startHarness({
    'queued.max.request.bytes': limit,
    'socket.request.max.bytes': MIB,
  })
  harness.fake.addTopic('t')
  const waiting = holdAppends(harness.fake)
  const peers = await Promise.all([1, 2, 3, 4].map(() => harness.connect()))
  const request = produceOne('t', batchOf(500_000))
  for (const peer of peers)
    for (let index = 0; index < 20; index += 1) peer.send(produce, 9, request)
  const inFlight = (): number => harness.listener.metrics()['bytes_in_flight'] ?? 0
  await settled(inFlight)
  expect(inFlight()).toBeGreaterThanOrEqual(limit)
  // Beyond it: one read of each connection, one request, one frame that is read to its end.
  expect(inFlight()).toBeLessThan(limit + 2 * 500_200 + 4 * READ_BYTES)
  expect(waiting.length).toBeLessThan(20)
  const done = peers.map(async peer => {
    for (let index = 1; index <= 20; index += 1) {
      expect((await peer.receive(produce, 9)).correlationId).toBe(index)
    }
  })
  let released = 0
  while (released < 80) {
    await until(() => waiting.length > released)
    waiting[released]?.()
    released += 1
    expect(inFlight()).toBeLessThan(limit + 2 * 500_200 + 4 * READ_BYTES)
  }
  await Promise.all(done)
})

test('halves of requests that fill the memory cannot lock the node', async () => {
  harness = await startHarness({
    'queued.max.request.bytes': MIB,
    'socket.request.max.bytes': MIB,
  })
  harness.fake.addTopic('t')
  const request = bytesOf(produce, 9, 1, produceOne('t', batchOf(900_000)))
  const peers = await Promise.all([1, 2, 3, 4].map(() => harness.connect()))
  for (const peer of peers) peer.socket.write(request.subarray(0, 600_000))
  await settled(() => harness.listener.metrics()['bytes_in_flight'] ?? 0)
  expect(harness.listener.metrics()['connections_waiting_for_memory']).toBeGreaterThan(0)
  for (const peer of peers) peer.socket.write(request.subarray(600_000))
  for (const peer of peers) expect((await peer.receive(produce, 9)).correlationId).toBe(1)
})

test('while halves of requests fill the memory, small requests come through at once', async () => {
  harness = await startHarness({
    'queued.max.request.bytes': MIB,
    'socket.request.max.bytes': MIB,
  })
  const honest = await harness.connect()
  await fillWithHalves(10)
  expect((await honest.call(apiVersions, 0, {})).errorCode).toBe(0)
})

test('halves of requests that do not go on are closed while they fill the memory, no others', async () => {
  const outside = new ManualTime()
  harness = await startHarness(
    {
      'queued.max.request.bytes': MIB,
      'socket.request.max.bytes': MIB,
      'connections.frame.stall.max.ms': 3_000,
    },
    outside,
  )
  harness.fake.addTopic('t')
  await fillWithHalves(10)
  // This one goes on as soon as it is read.
  const honest = await harness.connect()
  honest.send(produce, 9, produceOne('t', batchOf(700_000)))
  let answered = false
  const answer = honest.receive(produce, 9).then(() => {
    answered = true
  })
  for (let seconds = 0; seconds < 30 && !answered; seconds += 1) {
    outside.pass(1_000)
    await settled(() => harness.listener.metrics()['bytes_received_total'] ?? 0)
  }
  await answer
  const reasons = new Set(harness.lines.map(({ fields }) => fields['reason']))
  expect(reasons).toEqual(new Set(['half a request did not go on while memory was used up']))
})

async function fillWithHalves(count: number): Promise<void> {
  const halves = await Promise.all(Array.from({ length: count }, () => harness.connect()))
  const half = Buffer.alloc(200_000)
  half.writeInt32BE(900_000)
  for (const peer of halves) peer.socket.write(half)
  await until(() => (harness.listener.metrics()['bytes_in_flight'] ?? 0) >= MIB)
  await settled(() => harness.listener.metrics()['bytes_in_flight'] ?? 0)
}

test('requests of one connection beyond its part of the memory wait, those of others do not', async () => {
  harness = await startHarness({ 'connections.queued.max.bytes': MIB })
  harness.fake.addTopic('t')
  const waiting = holdAppends(harness.fake)
  const greedy = await harness.connect()
  for (let index = 0; index < 10; index += 1) {
    greedy.send(produce, 9, produceOne('t', batchOf(400_000)))
  }
  await until(() => waiting.length === 3)
  const other = await harness.connect()
  expect((await other.call(apiVersions, 0, {})).errorCode).toBe(0)
  await settled(() => waiting.length)
  expect(waiting).toHaveLength(3)
  for (let index = 0; index < 10; index += 1) {
    await until(() => waiting.length > index)
    waiting[index]?.()
    expect((await greedy.receive(produce, 9)).correlationId).toBe(index + 1)
  }
})

test('memory is taken for bytes that have come, not for bytes that were announced', async () => {
  harness = await startHarness()
  const peers = await Promise.all(Array.from({ length: 50 }, () => harness.connect()))
  const head = Buffer.alloc(8)
  head.writeInt32BE(32 * MIB, 0)
  const before = process.memoryUsage().arrayBuffers
  for (const peer of peers) peer.socket.write(head)
  await until(() => harness.listener.metrics()['bytes_received_total'] === 50 * 8)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 * 2 * 65_536)
})

test('idle, stalled and dripping connections are closed in their time, busy ones are not', async () => {
  const outside = new ManualTime()
  harness = await startHarness(
    {
      'connections.first.request.max.ms': 30_000,
      'connections.max.idle.ms': 60_000,
      'connections.stalled.max.ms': 20_000,
      'connections.frame.max.ms': 10_000,
    },
    outside,
  )
  harness.fake.addTopic('t')
  const waiting = holdAppends(harness.fake)
  serveLarge(harness.fake, 50 * MIB)
  const idle = await harness.connect()
  await idle.call(apiVersions, 0, {})
  const silent = await harness.connect()
  const busy = await harness.connect()
  const stalled = await harness.connect()
  const dripping = await harness.connect()
  busy.send(produce, 9, produceOne('t', batchOf(10)))
  stalled.socket.pause()
  stalled.send(fetch, 12, fetchOne('t'))
  dripping.socket.write(Buffer.from([0, 0, 1, 0, 1]))
  await until(() => harness.listener.metrics()['bytes_received_total'] === bytesSent())
  await settled(() => harness.listener.metrics()['chunk_bytes_used'] ?? 0)
  const reasons = (): unknown[] =>
    harness.lines.map(({ fields, message }) => fields['reason'] ?? message)
  outside.pass(9_000)
  expect(reasons()).toEqual([])
  outside.pass(3_000)
  expect(reasons()).toEqual(['a request was begun and not finished'])
  outside.pass(10_000)
  expect(reasons()).toHaveLength(2)
  expect(reasons()[1]).toBe('the peer does not take its answers')
  outside.pass(10_000)
  expect(reasons()).toHaveLength(3)
  expect(reasons()[2]).toBe('no request came')
  outside.pass(60_000)
  expect(reasons()).toHaveLength(4)
  expect(reasons()[3]).toBe('connection closed: idle')
  expect(await silent.frame()).toBeUndefined()
  expect(await idle.frame()).toBeUndefined()
  expect(await dripping.frame()).toBeUndefined()
  waiting[0]?.()
  expect((await busy.receive(produce, 9)).correlationId).toBe(1)

  function bytesSent(): number {
    return (
      idle.socket.bytesWritten +
      busy.socket.bytesWritten +
      stalled.socket.bytesWritten +
      dripping.socket.bytesWritten
    )
  }
})

test('a request with request.elements.max elements is answered, one with one more ends its connection', async () => {
  harness = await startHarness({ 'request.elements.max': 1_000 })
  const named = (count: number) => ({
    topics: Array.from({ length: count }, (_, i) => ({ name: `t-${i}`, topicId: ZERO_UUID })),
  })
  const peer = await harness.connect()
  expect((await peer.call(metadata, 12, named(1_000))).topics).toHaveLength(1_000)
  peer.send(metadata, 12, named(1_001))
  expect(await peer.frame()).toBeUndefined()
  expect(harness.listener.metrics()['requests_malformed_total']).toBe(1)
})

test('answers larger than the limit of unsent bytes are cut, and later requests still answered', async () => {
  harness = await startHarness({ 'connections.unsent.max.bytes': 65_536 })
  for (let index = 0; index < 3_000; index += 1) harness.fake.addTopic(`topic-${index}`, 3)
  const peer = await harness.connect()
  const sent = [1, 2, 3].map(() => peer.send(metadata, 12, { topics: null }))
  sent.push(peer.send(apiVersions, 0, {}))
  for (const correlationId of sent.slice(0, 3)) {
    const answer = await peer.receive(metadata, 12)
    expect(answer.correlationId).toBe(correlationId)
    expect(answer.response.topics).toHaveLength(3_000)
  }
  expect((await peer.receive(apiVersions, 0)).correlationId).toBe(sent[3])
})

/** Appends that wait until the test lets each one go. */
function holdAppends(fake: FakeEngine): (() => void)[] {
  const waiting: (() => void)[] = []
  const append = fake.append
  fake.append = async entries => {
    await new Promise<void>(resolve => waiting.push(resolve))
    return append(entries)
  }
  return waiting
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 1))
}

/** Until a number has not moved for a while. */
async function settled(value: () => number): Promise<void> {
  for (let before = Number.NaN, same = 0; same < 5; before = value()) {
    same = value() === before ? same + 1 : 0
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
