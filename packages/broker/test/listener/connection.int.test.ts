/** Connections over real sockets: order, pipelining, splitting, what is refused and why. */

import { apiVersions, fetch, heartbeat, joinGroup, metadata, produce } from '@millrace/protocol'
import { afterEach, expect, test } from 'vitest'
import { batchOf } from '../support/batches.ts'
import { slices } from '../support/fake-engine.ts'
import { bytesOf, type Harness, startHarness } from '../support/harness.ts'
import { ManualTime } from '../support/manual-time.ts'

let harness: Harness

afterEach(async () => {
  await harness.stop()
  expect(slices.open).toBe(0)
  expect(harness.listener.metrics()['bytes_in_flight']).toBe(0)
  expect(harness.listener.metrics()['chunk_bytes_used']).toBe(0)
})

const produceOne = (topic: string, records: Buffer, acks = -1) => ({
  transactionalId: null,
  acks,
  timeoutMs: 1_000,
  topicData: [{ name: topic, partitionData: [{ index: 0, records }] }],
})

const fetchOne = (topic: string, fetchOffset: number, maxWaitMs = 0) => ({
  maxWaitMs,
  minBytes: 1,
  maxBytes: 200_000_000,
  isolationLevel: 0,
  topics: [{ topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 200_000_000 }] }],
})

test('requests enter the engine as they come, answers leave in the order of the requests', async () => {
  harness = await startHarness()
  harness.fake.addTopic('t')
  const started: number[] = []
  const finish: (() => void)[] = []
  const append = harness.fake.append
  harness.fake.append = async entries => {
    started.push(entries.length)
    await new Promise<void>(resolve => finish.push(resolve))
    return append(entries)
  }
  const peer = await harness.connect()
  const sent = [0, 1, 2, 3, 4].map(() => peer.send(produce, 9, produceOne('t', batchOf(10))))
  sent.push(peer.send(metadata, 9, { topics: [] }))
  await until(() => started.length === 5)
  // The last one is done first.
  for (const resolve of finish.reverse()) {
    resolve()
    await new Promise(resolve => setImmediate(resolve))
  }
  const received: number[] = []
  for (let index = 0; index < 5; index += 1) {
    received.push((await peer.receive(produce, 9)).correlationId)
  }
  received.push((await peer.receive(metadata, 9)).correlationId)
  expect(received).toEqual(sent)
})

test('a stream of requests split at every byte has the answers that it has unsplit', async () => {
  harness = await startHarness()
  harness.fake.addTopic('t')
  const stream = Buffer.concat([
    bytesOf(apiVersions, 3, 1, { clientSoftwareName: 'test', clientSoftwareVersion: '1' }),
    bytesOf(metadata, 9, 2, { topics: [{ name: 't' }] }),
    bytesOf(heartbeat, 3, 3, { groupId: 'g', generationId: 1, memberId: 'nobody' }),
    bytesOf(fetch, 12, 4, fetchOne('t', 0)),
  ])
  const answersTo = async (parts: readonly Buffer[]): Promise<string[]> => {
    const peer = await harness.connect()
    peer.socket.setNoDelay(true)
    for (const part of parts) {
      peer.socket.write(part)
      await new Promise(resolve => setImmediate(resolve))
    }
    const frames: string[] = []
    for (let index = 0; index < 4; index += 1) {
      frames.push((await peer.frame())?.toString('hex') ?? 'ended')
    }
    peer.socket.destroy()
    return frames
  }
  const whole = await answersTo([stream])
  for (let at = 1; at < stream.length; at += 1) {
    expect(await answersTo([stream.subarray(0, at), stream.subarray(at)])).toEqual(whole)
  }
  const bytes = Array.from(stream, (_, index) => stream.subarray(index, index + 1))
  expect(await answersTo(bytes)).toEqual(whole)
})

test.each([
  ['a size of two gigabytes', Buffer.from([0x7f, 0xff, 0xff, 0xff]), 'FRAME_TOO_LARGE'],
  ['a negative size', Buffer.from([0xff, 0xff, 0xff, 0xff]), 'FRAME_TOO_LARGE'],
  ['an empty request', Buffer.from([0, 0, 0, 0]), 'TRUNCATED'],
  ['a TLS hello', Buffer.from('16030100c5010000c1', 'hex'), 'TLS'],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'HTTP'],
  ['an unknown API', Buffer.from('0000000a03e700000000000100000000', 'hex'), 'UNKNOWN_API'],
  [
    'a version of the future',
    Buffer.from('0000000a0003006300000001ffff', 'hex'),
    'UNSUPPORTED_VERSION',
  ],
])(
  '%s closes the connection, with the reason in the log, and no other',
  async (_, bytes, reason) => {
    harness = await startHarness()
    const other = await harness.connect()
    const peer = await harness.connect()
    peer.listen()
    peer.socket.write(bytes)
    await peer.closed
    expect(harness.lines).toHaveLength(1)
    expect(harness.lines[0]?.fields['reason']).toContain(reason)
    expect(harness.lines[0]?.fields['peer']).toContain('127.0.0.1:')
    expect(harness.listener.metrics()).toMatchObject({
      requests_malformed_total: 1,
      connections_closed_for_cause_total: 1,
    })
    expect((await other.call(apiVersions, 0, {})).errorCode).toBe(0)
  },
)

test('a peer that ends in the middle of a request is told of in the log', async () => {
  harness = await startHarness()
  const peer = await harness.connect()
  peer.listen()
  peer.socket.end(Buffer.from('0000000a00120000', 'hex'))
  await peer.closed
  expect(harness.lines).toHaveLength(1)
  expect(harness.lines[0]?.fields['reason']).toContain('TRUNCATED')
  expect(harness.listener.metrics()).toMatchObject({ connections_closed_for_cause_total: 1 })
})

test('a frame of exactly the largest size is taken, one byte more is not', async () => {
  harness = await startHarness({ 'socket.request.max.bytes': 65_536 })
  harness.fake.addTopic('t')
  const overhead = bytesOf(produce, 9, 1, produceOne('t', batchOf(60_000))).length - 60_000
  const most = 65_536 + 4 - overhead
  const peer = await harness.connect()
  expect(bytesOf(produce, 9, 1, produceOne('t', batchOf(most))).length).toBe(65_536 + 4)
  const answer = await peer.call(produce, 9, produceOne('t', batchOf(most)))
  expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
  peer.send(produce, 9, produceOne('t', batchOf(most + 1)))
  expect(await peer.frame()).toBeUndefined()
})

test('an unknown version of ApiVersions is answered in version 0 with the range to use', async () => {
  harness = await startHarness()
  const peer = await harness.connect()
  // Version 99, and behind the header a body that nobody here can read.
  peer.socket.write(Buffer.from('0000000d00120063000000070000010203', 'hex').subarray(0, 17))
  const { correlationId, response } = await peer.receive(apiVersions, 0)
  expect(correlationId).toBe(7)
  expect(response.errorCode).toBe(35)
  expect(response.apiKeys).toEqual([{ apiKey: 18, minVersion: 0, maxVersion: 4 }])
  expect((await peer.call(apiVersions, 0, {})).apiKeys.length).toBeGreaterThan(20)
})

test('acks 0 has no answer, and an append that fails ends the connection', async () => {
  harness = await startHarness()
  harness.fake.addTopic('t')
  const peer = await harness.connect()
  peer.send(produce, 9, produceOne('t', batchOf(10), 0))
  const asked = peer.send(metadata, 9, { topics: [] })
  expect((await peer.receive(metadata, 9)).correlationId).toBe(asked)
  await until(() => harness.fake.topics.get('t')?.partitions[0]?.next === 1)
  peer.send(produce, 9, produceOne('absent', batchOf(10), 0))
  await peer.frame()
  await peer.closed
  expect(harness.lines[0]?.fields['reason']).toContain('no such topic')
})

test('what a handler throws unexpectedly is told to the client by its code and to the log in full', async () => {
  harness = await startHarness()
  harness.fake.addTopic('t')
  harness.fake.append = () => Promise.reject(new Error('a secret'))
  const peer = await harness.connect()
  const answer = await peer.call(produce, 9, produceOne('t', batchOf(10)))
  expect(answer.responses[0]?.partitionResponses[0]).toMatchObject({
    errorCode: -1,
    errorMessage: null,
  })
  expect(harness.lines[0]?.level).toBe('error')
  expect(harness.lines[0]?.fields['error']).toContain('a secret')
  expect((await peer.call(metadata, 9, { topics: [] })).topics).toEqual([])
})

test('a peer that ends its side after its requests still gets all answers', async () => {
  harness = await startHarness({ 'connections.in.flight.max': 2 })
  harness.fake.addTopic('t')
  const peer = await harness.connect()
  for (let index = 0; index < 10; index += 1) {
    peer.send(produce, 9, produceOne('t', batchOf(10)))
  }
  peer.socket.end()
  for (let index = 1; index <= 10; index += 1) {
    expect((await peer.receive(produce, 9)).correlationId).toBe(index)
  }
  expect(await peer.frame()).toBeUndefined()
})

test('a connection over connections.max is refused, and accepted again when one has ended', async () => {
  harness = await startHarness({ 'connections.max': 2 })
  const first = await harness.connect()
  await harness.connect()
  await until(() => harness.listener.connections === 2)
  const third = await harness.connect()
  expect(await third.frame()).toBeUndefined()
  expect(harness.listener.metrics()['connections_refused_total']).toBe(1)
  first.socket.destroy()
  await until(() => harness.listener.connections === 1)
  const fourth = await harness.connect()
  expect((await fourth.call(apiVersions, 0, {})).errorCode).toBe(0)
})

test('at connections.max the longest idle connection makes place for a new one', async () => {
  const outside = new ManualTime()
  harness = await startHarness(
    { 'connections.max': 2, 'connections.evict.idle.ms': 5_000 },
    outside,
  )
  const idle = await harness.connect()
  await idle.call(apiVersions, 0, {})
  outside.pass(4_000)
  const busy = await harness.connect()
  await busy.call(apiVersions, 0, {})
  outside.pass(3_000)
  const third = await harness.connect()
  expect((await third.call(apiVersions, 0, {})).errorCode).toBe(0)
  expect(await idle.frame()).toBeUndefined()
  expect((await busy.call(apiVersions, 0, {})).errorCode).toBe(0)
  expect(harness.listener.metrics()['connections_evicted_total']).toBe(1)
})

test('a connection over connections.max.per.ip is refused', async () => {
  harness = await startHarness({ 'connections.max.per.ip': 1 })
  await harness.connect()
  await until(() => harness.listener.connections === 1)
  const second = await harness.connect()
  expect(await second.frame()).toBeUndefined()
  expect(harness.lines[0]?.fields['limit']).toBe('connections.max.per.ip')
})

test('closing ends waiting reads, sends what is in flight, and takes nothing more', async () => {
  harness = await startHarness()
  harness.fake.addTopic('t')
  const peer = await harness.connect()
  let appended = (): void => undefined
  const append = harness.fake.append
  harness.fake.append = async entries => {
    await new Promise<void>(resolve => {
      appended = resolve
    })
    return append(entries)
  }
  peer.send(fetch, 12, fetchOne('t', 0, 60_000))
  peer.send(produce, 9, produceOne('t', batchOf(10)))
  await until(() => harness.listener.metrics()['requests_Produce_total'] === 1)
  const closed = harness.listener.close({ drainMs: 10_000 })
  const read = await peer.receive(fetch, 12)
  expect(read.response.responses[0]?.partitions[0]?.records?.length).toBe(0)
  appended()
  const { response } = await peer.receive(produce, 9)
  expect(response.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
  expect(await peer.frame()).toBeUndefined()
  await closed
})

test('closing does not wait for a group that is being joined', async () => {
  harness = await startHarness()
  const never = new Promise<never>(() => undefined)
  Object.assign(harness.fake.groups, { join: () => never })
  const peer = await harness.connect()
  peer.send(joinGroup, 5, {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    memberId: 'm',
    protocolType: 'consumer',
    protocols: [],
  })
  await until(() => harness.listener.metrics()['requests_JoinGroup_total'] === 1)
  const closed = harness.listener.close({ drainMs: 60_000 })
  expect((await peer.receive(joinGroup, 5)).response.errorCode).toBe(15)
  await closed
})

test('many waiting reads of one connection raise no warning', async () => {
  harness = await startHarness()
  harness.fake.addTopic('t')
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  const peer = await harness.connect()
  for (let index = 0; index < 50; index += 1) peer.send(fetch, 12, fetchOne('t', 0, 60_000))
  await until(() => harness.listener.metrics()['requests_Fetch_total'] === 50)
  peer.socket.destroy()
  await until(() => harness.listener.connections === 0)
  await new Promise(resolve => setImmediate(resolve)) // warnings are told in the next turn
  process.off('warning', note)
  expect(warnings).toEqual([])
})

test('what is not answered within drainMs is cut off', async () => {
  harness = await startHarness()
  harness.fake.addTopic('t')
  harness.fake.append = () => new Promise(() => undefined)
  const peer = await harness.connect()
  peer.send(produce, 9, produceOne('t', batchOf(10)))
  await until(() => harness.listener.metrics()['requests_Produce_total'] === 1)
  await harness.listener.close({ drainMs: 10 })
  expect(await peer.frame()).toBeUndefined()
  // The engine never lets go of it in this test: give it back by hand.
  harness = await startHarness()
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 1))
}
