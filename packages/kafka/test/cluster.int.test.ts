// Several brokers: who leads and coordinates what, what happens when that changes, and what must
// not happen then: a batch out of its order, one stored twice, one call held up by another.
import { encodeBatch, LogError } from '@millrace/log'
import {
  describeLogDirs,
  fetch,
  findCoordinator,
  heartbeat,
  joinGroup,
  listOffsets,
  metadata,
  produce,
} from '@millrace/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ClientSettings, connectKafka } from '../src/index.ts'
import { FakeCluster, type Got } from './fake-broker.ts'

const NOT_LEADER = 6
const NOT_COORDINATOR = 16
const COORDINATOR_NOT_AVAILABLE = 15
const MEMBER = { groupId: 'group', generationId: 1, memberId: 'member', groupInstanceId: null }
const QUICK: Partial<ClientSettings> = { 'retry.backoff.ms': 1, 'retry.backoff.max.ms': 5 }

let cluster: FakeCluster
/** What the brokers have stored, by partition. */
let stored: Map<string, string[]>

beforeEach(async () => {
  cluster = await FakeCluster.start(3)
  stored = new Map()
  cluster.on(produce, ({ acks, topicData }, got) => {
    const responses = topicData.map(({ name, partitionData }) => ({
      name,
      partitionResponses: partitionData.map(({ index, records }) =>
        store(got, name, index, records),
      ),
    }))
    return acks === 0 ? undefined : { responses }
  })
})
afterEach(() => cluster.stop())

const open = (settings: Partial<ClientSettings> = {}) =>
  connectKafka({ bootstrap: cluster.bootstrap, settings: { ...QUICK, ...settings } })

/** A broker stores what it leads. */
function store({ broker }: Got, topic: string, index: number, records: Buffer | null) {
  if (cluster.leaders.get(topic)?.[index] !== broker.nodeId) {
    return { index, errorCode: NOT_LEADER, baseOffset: -1 }
  }
  const key = `${topic}-${index}`
  const values = stored.get(key) ?? []
  stored.set(key, values)
  values.push(
    (records ?? Buffer.alloc(0))
      .subarray(61)
      .toString('latin1')
      .replace(/[^a-z0-9-]/g, ''),
  )
  return { index, errorCode: 0, baseOffset: values.length - 1 }
}

const batch = (value: string): Buffer => encodeBatch({ timestamp: 0, records: [{ value }] })
const entry = (partition: number, value: string, topic = 't') => ({
  topic,
  partition,
  batch: batch(value),
})

describe('appends', () => {
  it('are split by leader and answered in the order of the entries', async () => {
    cluster.leaders.set('t', [0, 1, 2, 0])
    await using log = await open()
    const results = await log.append([0, 1, 2, 3, 9].map(p => entry(p, `v${p}`)))
    expect(results.map(({ error, baseOffset }) => error?.code ?? baseOffset)).toEqual([
      0,
      0,
      0,
      0,
      'UNKNOWN_TOPIC_OR_PARTITION',
    ])
    const sent = cluster
      .requests(produce)
      .map(({ broker, request: { topicData } }) => [
        broker.nodeId,
        topicData.flatMap(({ partitionData }) => partitionData.map(({ index }) => index)),
      ])
    expect(sent.sort()).toEqual([
      [0, [0, 3]],
      [1, [1]],
      [2, [2]],
    ])
  })

  it('follow a leader that has moved, once each and in their order', async () => {
    cluster.leaders.set('t', [0])
    await using log = await open()
    await log.append([entry(0, 'v0')])
    cluster.leaders.set('t', [1])
    const values = Array.from({ length: 30 }, (_, at) => `v${at + 1}`)
    const results = await Promise.all(values.map(value => log.append([entry(0, value)])))
    expect(results.flat().map(({ baseOffset }) => baseOffset)).toEqual(
      values.map((_, at) => at + 1),
    )
    expect(stored.get('t-0')).toEqual(['v0', ...values])
  })

  it('are given up with NOT_LEADER_OR_FOLLOWER after leader.retries.max', async () => {
    cluster.leaders.set('t', [0])
    cluster.on(produce, ({ topicData }) => ({
      responses: topicData.map(({ name }) => ({
        name,
        partitionResponses: [{ index: 0, errorCode: NOT_LEADER, baseOffset: -1 }],
      })),
    }))
    await using log = await open({ 'leader.retries.max': 3 })
    const [result] = await log.append([entry(0, 'v')])
    expect(result?.error?.code).toBe('NOT_LEADER_OR_FOLLOWER')
    expect(cluster.requests(produce)).toHaveLength(4)
  })

  it('that may have been stored are not sent again', async () => {
    cluster.leaders.set('t', [1])
    cluster.on(produce, (_, { broker }) => {
      broker.cut()
      return undefined
    })
    await using log = await open()
    const [result] = await log.append([entry(0, 'v')])
    expect(result?.error?.code).toBe('NETWORK_EXCEPTION')
    expect(cluster.requests(produce)).toHaveLength(1)
  })

  it('that were not sent go to the new leader of a broker that is gone', async () => {
    cluster.leaders.set('t', [1])
    await using log = await open()
    await log.append([entry(0, 'v0')])
    await cluster.broker(1).stop()
    cluster.leaders.set('t', [2])
    await expect
      .poll(async () => (await log.append([entry(0, 'v1')]))[0]?.error?.code)
      .toBeUndefined()
    expect(stored.get('t-0')).toEqual(['v0', 'v1'])
  })

  it('of several batches for one partition keep their order, a request for each', async () => {
    cluster.leaders.set('t', [0])
    await using log = await open()
    const results = await log.append(['a', 'b', 'c'].map(value => entry(0, value)))
    expect(results.map(({ baseOffset }) => baseOffset)).toEqual([0, 1, 2])
    expect(stored.get('t-0')).toEqual(['a', 'b', 'c'])
  })

  it('with acks 0 have no answer and need none', async () => {
    cluster.leaders.set('t', [0])
    await using log = await open()
    const [result] = await log.append([entry(0, 'quiet')], { acks: 0 })
    expect(result).toEqual({ baseOffset: -1, logAppendTime: -1, logStartOffset: -1 })
    await log.append([entry(0, 'loud')])
    expect(stored.get('t-0')).toEqual(['quiet', 'loud'])
  })

  it('beyond append.pending.max.bytes are refused, and one batch never is', async () => {
    cluster.leaders.set('t', [0])
    await using log = await open({ 'append.pending.max.bytes': 1024 * 1024 })
    const large = 'x'.repeat(700 * 1024)
    const [first, second] = await log.append([entry(0, large), entry(0, large)])
    expect(first?.error).toBeUndefined()
    expect(second?.error?.code).toBe('THROTTLING_QUOTA_EXCEEDED')
    expect(second?.error?.message).toContain('append.pending.max.bytes')
    const [third] = await log.append([entry(0, 'x'.repeat(2 * 1024 * 1024))])
    expect(third?.error).toBeUndefined()
  })

  it('are split by produce.request.max.bytes', async () => {
    cluster.leaders.set('t', [0, 0, 0])
    await using log = await open({ 'produce.request.max.bytes': 64 * 1024 })
    const value = 'x'.repeat(30 * 1024)
    await log.append([0, 1, 2].map(partition => entry(partition, value)))
    expect(cluster.requests(produce)).toHaveLength(2)
  })
})

describe('reads', () => {
  const answerFetch = (records: (partition: number) => Buffer) =>
    cluster.on(fetch, ({ topics }) => ({
      throttleTimeMs: 0,
      responses: topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition }) => ({
          partitionIndex: partition,
          errorCode: 0,
          highWatermark: 1,
          abortedTransactions: null,
          records: records(partition),
        })),
      })),
    }))
  const positions = (...partitions: readonly number[]) =>
    partitions.map(partition => ({ topic: 't', partition, offset: 0, maxBytes: 1_000_000 }))
  const request = { minBytes: 1, maxBytes: 1_000_000, maxWaitMs: 5_000 } as const
  const isolation = 'read_uncommitted' as const

  it('from several leaders come in the order of the positions', async () => {
    cluster.leaders.set('t', [2, 1, 0])
    answerFetch(partition => batch(`of ${partition}`))
    await using log = await open()
    const results = await log.fetch({ ...request, isolation, positions: positions(2, 0, 1, 7) })
    expect(results.map(({ partition, error }) => error?.code ?? partition)).toEqual([
      2,
      0,
      1,
      'UNKNOWN_TOPIC_OR_PARTITION',
    ])
    expect(results[0]?.records.equals(batch('of 2'))).toBe(true)
  })

  it('of one leader are not held up by the silence of another', async () => {
    cluster.leaders.set('t', [0, 1])
    let records = false
    cluster.on(fetch, async ({ topics, maxWaitMs }, { broker }) => {
      const has = broker.nodeId === 0 && records
      if (!has) await new Promise(resolve => setTimeout(resolve, maxWaitMs))
      return {
        throttleTimeMs: 0,
        responses: topics.map(({ topic, partitions }) => ({
          topic,
          partitions: partitions.map(({ partition }) => ({
            partitionIndex: partition,
            errorCode: 0,
            highWatermark: 1,
            abortedTransactions: null,
            records: has ? batch('there') : Buffer.alloc(0),
          })),
        })),
      }
    })
    await using log = await open({ 'fetch.turn.max.ms': 20 })
    const waiting = log.fetch({
      ...request,
      maxWaitMs: 30_000,
      isolation,
      positions: positions(0, 1),
    })
    await expect.poll(() => cluster.requests(fetch).length).toBeGreaterThan(2)
    records = true
    const [first, second] = await waiting
    expect([first?.records.length, second?.records.length]).toEqual([batch('there').length, 0])
  })

  it('leave out a batch that was cut short', async () => {
    cluster.leaders.set('t', [0])
    const whole = batch('whole')
    answerFetch(() => Buffer.concat([whole, whole.subarray(0, 30)]))
    await using log = await open()
    const [result] = await log.fetch({ ...request, isolation, positions: positions(0) })
    expect(result?.records.equals(whole)).toBe(true)
  })

  it('that wait do not hold up other calls', async () => {
    cluster.leaders.set('t', [0])
    cluster.on(fetch, () => undefined)
    cluster.on(heartbeat, () => ({ errorCode: 0 }))
    await using log = await open()
    const reads = [0, 1].map(() => log.fetch({ ...request, isolation, positions: positions(0) }))
    for (const read of reads) read.catch(() => undefined)
    await expect.poll(() => cluster.requests(fetch).length).toBe(2)
    expect(await log.groups.heartbeat(MEMBER)).toEqual({})
    expect((await log.append([entry(0, 'v')]))[0]?.error).toBeUndefined()
  })

  it('are asked again of the new leader', async () => {
    cluster.leaders.set('t', [0])
    cluster.on(listOffsets, ({ topics }, { broker }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) =>
          cluster.leaders.get(name)?.[partitionIndex] === broker.nodeId
            ? { partitionIndex, errorCode: 0, offset: 7, timestamp: -1 }
            : { partitionIndex, errorCode: NOT_LEADER },
        ),
      })),
    }))
    await using log = await open()
    const ask = async () =>
      (await log.listOffsets([{ topic: 't', partition: 0, place: 'latest' }]))[0]?.offset
    expect(await ask()).toBe(7)
    cluster.leaders.set('t', [2])
    expect(await ask()).toBe(7)
    expect(cluster.requests(listOffsets).map(({ broker }) => broker.nodeId)).toEqual([0, 0, 2])
  })

  it('ask one partition twice in two requests', async () => {
    cluster.leaders.set('t', [0])
    cluster.on(listOffsets, ({ topics }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => ({
          partitionIndex,
          errorCode: 0,
          offset: timestamp === -2 ? 3 : 9,
        })),
      })),
    }))
    await using log = await open()
    const answers = await log.listOffsets([
      { topic: 't', partition: 0, place: 'earliest' },
      { topic: 't', partition: 0, place: 'latest' },
    ])
    expect(answers.map(({ offset }) => offset)).toEqual([3, 9])
  })

  it('take the size of a partition from its leader', async () => {
    cluster.leaders.set('t', [0, 2])
    cluster.on(describeLogDirs, (_, { broker }) => ({
      throttleTimeMs: 0,
      results: [
        {
          errorCode: 0,
          logDir: '/data',
          topics: [
            {
              name: 't',
              partitions: [0, 1].map(partitionIndex => ({
                partitionIndex,
                partitionSize: 100 * broker.nodeId + partitionIndex,
                offsetLag: 0,
                isFutureKey: false,
              })),
            },
          ],
        },
      ],
    }))
    await using log = await open()
    expect((await log.describeSizes()).map(({ bytes }) => bytes)).toEqual([0, 201])
  })
})

describe('leaders', () => {
  it('are asked for once, however many calls want to know', async () => {
    cluster.leaders.set('t', [0, 1, 2])
    await using log = await open()
    const before = cluster.requests(metadata).length
    await Promise.all([0, 1, 2, 0, 1, 2].map(partition => log.append([entry(partition, 'v')])))
    expect(cluster.requests(metadata)).toHaveLength(before + 1)
  })

  it('are never asked for in a way that creates a topic', async () => {
    await using log = await open()
    await log.append([entry(0, 'v', 'unknown')])
    await log.describeTopics(['unknown'])
    const asked = cluster.requests(metadata).map(({ request }) => request.allowAutoTopicCreation)
    expect(new Set(asked)).toEqual(new Set([false]))
  })
})

describe('coordinators', () => {
  const answerHeartbeat = () =>
    cluster.on(heartbeat, (_, { broker }) => ({
      errorCode: broker.nodeId === cluster.coordinator ? 0 : NOT_COORDINATOR,
    }))

  it('are looked for again when they have moved', async () => {
    answerHeartbeat()
    await using log = await open()
    expect(await log.groups.heartbeat(MEMBER)).toEqual({})
    cluster.coordinator = 2
    expect(await log.groups.heartbeat(MEMBER)).toEqual({})
    expect(cluster.requests(heartbeat).map(({ broker }) => broker.nodeId)).toEqual([0, 0, 2])
  })

  it('that cannot be found are waited for, and given up after coordinator.retry.max.ms', async () => {
    answerHeartbeat()
    let tries = 0
    const { port } = cluster.broker(0)
    cluster.on(findCoordinator, ({ coordinatorKeys: [key = ''] }) => {
      tries += 1
      const errorCode = tries < 4 || tries > 4 ? COORDINATOR_NOT_AVAILABLE : 0
      const found = { nodeId: 0, host: '127.0.0.1', port, errorCode, errorMessage: null }
      return { coordinators: [{ key, ...found }] }
    })
    await using log = await open({ 'coordinator.retry.max.ms': 200 })
    expect(await log.groups.heartbeat(MEMBER)).toEqual({})
    expect(tries).toBe(4)
    const other = log.groups.heartbeat({ ...MEMBER, groupId: 'other' })
    await expect(other).rejects.toThrow(LogError)
    expect(tries).toBeGreaterThan(5)
  })

  it('of a broker that is gone are looked for elsewhere', async () => {
    cluster.coordinator = 1
    answerHeartbeat()
    await using log = await open()
    await log.groups.heartbeat(MEMBER)
    await cluster.broker(1).stop()
    cluster.coordinator = 2
    expect(await log.groups.heartbeat(MEMBER)).toEqual({})
  })

  it('hear heartbeats while members join', async () => {
    cluster.on(joinGroup, () => undefined)
    answerHeartbeat()
    await using log = await open()
    const joins = ['a', 'b', 'c'].map(clientId =>
      log.groups.join({
        ...MEMBER,
        memberId: '',
        clientId,
        clientHost: '',
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 10_000,
        protocolType: 'consumer',
        protocols: [],
        requireKnownMemberId: true,
        supportsSkippingAssignment: false,
      }),
    )
    for (const join of joins) join.catch(() => undefined)
    await expect.poll(() => cluster.requests(joinGroup).length).toBe(3)
    expect(
      cluster
        .requests(joinGroup)
        .map(({ clientId }) => clientId)
        .sort(),
    ).toEqual(['a', 'b', 'c'])
    expect(await log.groups.heartbeat(MEMBER)).toEqual({})
  })
})

describe('closing', () => {
  it('waits for appends, ends waiting reads, and refuses what comes later', async () => {
    cluster.leaders.set('t', [0])
    cluster.on(fetch, () => undefined)
    let release: (() => void) | undefined
    cluster.on(produce, async ({ topicData }, got) => {
      await new Promise<void>(resolve => {
        release = resolve
      })
      return {
        responses: topicData.map(({ name, partitionData }) => ({
          name,
          partitionResponses: partitionData.map(({ index, records }) =>
            store(got, name, index, records),
          ),
        })),
      }
    })
    const log = await open()
    const reading = log
      .fetch({
        positions: [{ topic: 't', partition: 0, offset: 0, maxBytes: 1 }],
        minBytes: 1,
        maxBytes: 1,
        maxWaitMs: 60_000,
        isolation: 'read_uncommitted',
      })
      .catch(error => error)
    const appending = log.append([entry(0, 'last')])
    await expect.poll(() => release).toBeDefined()
    await expect.poll(() => cluster.requests(fetch).length).toBe(1)
    const closing = log.close()
    expect(await reading).toMatchObject({ code: 'LOG_CLOSED' })
    release?.()
    expect((await appending)[0]?.error).toBeUndefined()
    await closing
    await expect(log.describeTopics()).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    await expect(log.groups.heartbeat(MEMBER)).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    await expect.poll(() => cluster.brokers.map(({ sockets }) => sockets.size)).toEqual([0, 0, 0])
  })

  it('does not wait longer than close.drain.max.ms', async () => {
    cluster.leaders.set('t', [0])
    cluster.on(produce, () => undefined)
    const log = await open({ 'close.drain.max.ms': 50 })
    const appending = log.append([entry(0, 'lost')])
    await expect.poll(() => cluster.requests(produce).length).toBe(1)
    await log.close()
    expect((await appending)[0]?.error?.code).toBe('LOG_CLOSED')
  })
})
