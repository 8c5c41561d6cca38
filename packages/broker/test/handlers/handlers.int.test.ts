/** What single handlers promise, seen through a connection. */
import { LogError } from '@millrace/log'
import {
  alterConfigs,
  apiVersions,
  createTopics,
  deleteTopics,
  describeCluster,
  describeConfigs,
  describeLogDirs,
  ERROR_CODES,
  fetch,
  findCoordinator,
  incrementalAlterConfigs,
  initProducerId,
  joinGroup,
  leaveGroup,
  listGroups,
  listOffsets,
  metadata,
  NO_AUTHORIZED_OPERATIONS,
  offsetCommit,
  offsetFetch,
  produce,
  ZERO_UUID,
} from '@millrace/protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { batchOf } from '../support/batches.ts'
import { slices } from '../support/fake-engine.ts'
import { type Harness, type Peer, startHarness } from '../support/harness.ts'

let harness: Harness
let peer: Peer

beforeEach(async () => {
  harness = await startHarness()
  harness.fake.addTopic('t', 3)
  peer = await harness.connect()
})

afterEach(async () => {
  await harness.stop()
  expect(slices.open).toBe(0)
})

const ZSTD = 4

/** Produces to partitions of t, and the error code of each. */
async function produceTo(
  partitions: readonly (readonly [index: number, records: Buffer | null])[],
  version = 9,
  topic = 't',
): Promise<readonly number[]> {
  const { responses } = await peer.call(produce, version, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1_000,
    topicData: [
      { name: topic, partitionData: partitions.map(([index, records]) => ({ index, records })) },
    ],
  })
  return responses.flatMap(({ partitionResponses }) =>
    partitionResponses.map(({ errorCode }) => errorCode),
  )
}

test('a produced batch is fetched as it was sent, with its offset set', async () => {
  const batch = batchOf(10, 3)
  expect(await produceTo([[0, batchOf(5)]])).toEqual([0])
  expect(await produceTo([[0, batch]])).toEqual([0])
  const { responses } = await peer.call(fetch, 12, {
    maxWaitMs: 0,
    minBytes: 1,
    isolationLevel: 0,
    topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 2, partitionMaxBytes: 99 }] }],
  })
  const [partition] = responses[0]?.partitions ?? []
  expect(partition?.highWatermark).toBe(4)
  expect(partition?.records?.readBigInt64BE(0)).toBe(1n)
  expect(partition?.records?.subarray(16)).toEqual(batch.subarray(16))
})

test('one bad record of six names itself, and the message of its batch is there too', async () => {
  harness.fake.append = async entries =>
    entries.map(() => ({
      error: new LogError('INVALID_RECORD', 'record 4: it has no key'),
      recordErrors: [{ batchIndex: 4, message: 'it has no key' }],
      baseOffset: -1,
      logAppendTime: -1,
      logStartOffset: -1,
    }))
  for (const version of [7, 8, 9]) {
    const { responses } = await peer.call(produce, version, {
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ name: 't', partitionData: [{ index: 0, records: batchOf(10, 6) }] }],
    })
    const [partition] = responses[0]?.partitionResponses ?? []
    expect(partition?.errorCode).toBe(ERROR_CODES.INVALID_RECORD)
    // Older clients know no more than the code.
    const named = [{ batchIndex: 4, batchIndexErrorMessage: 'it has no key' }]
    expect(partition?.recordErrors).toEqual(version >= 8 ? named : [])
    if (version >= 8) expect(partition?.errorMessage).toMatch(/record 4/)
  }
})

test('each partition of a produce request is judged by itself', async () => {
  const long = batchOf(10)
  const codes = await produceTo([
    [0, batchOf(10)],
    [1, null],
    [2, Buffer.concat([long, long])],
    [9, batchOf(10)],
  ])
  expect(codes).toEqual([
    ERROR_CODES.NONE,
    ERROR_CODES.INVALID_RECORD,
    ERROR_CODES.INVALID_RECORD,
    ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION,
  ])
})

test('a batch that is cut, of an old version, or zstd for an old client is refused by its code', async () => {
  const cut = batchOf(10).subarray(0, 65)
  const old = batchOf(10)
  old[16] = 1
  expect(await produceTo([[0, cut]])).toEqual([ERROR_CODES.INVALID_RECORD])
  expect(await produceTo([[0, Buffer.alloc(30)]])).toEqual([ERROR_CODES.CORRUPT_MESSAGE])
  expect(await produceTo([[0, old]])).toEqual([ERROR_CODES.INVALID_RECORD])
  expect(await produceTo([[0, batchOf(10, 1, ZSTD)]], 6)).toEqual([
    ERROR_CODES.UNSUPPORTED_COMPRESSION_TYPE,
  ])
  expect(await produceTo([[0, batchOf(10, 1, ZSTD)]], 7)).toEqual([0])
  expect(await produceTo([[0, batchOf(10)]], 2)).toEqual([ERROR_CODES.UNSUPPORTED_VERSION])
})

test('a partition that occurs twice is appended once', async () => {
  const codes = await produceTo([
    [1, batchOf(10)],
    [0, batchOf(10)],
    [1, batchOf(10)],
  ])
  expect(codes).toEqual([0, 0, ERROR_CODES.INVALID_REQUEST])
  expect(harness.fake.topics.get('t')?.partitions.map(({ next }) => next)).toEqual([1, 1, 0])
})

test('acks that mean nothing are refused', async () => {
  const { responses } = await peer.call(produce, 9, {
    transactionalId: null,
    acks: 2,
    timeoutMs: 1,
    topicData: [{ name: 't', partitionData: [{ index: 0, records: batchOf(1) }] }],
  })
  expect(responses[0]?.partitionResponses[0]?.errorCode).toBe(ERROR_CODES.INVALID_REQUIRED_ACKS)
})

test('a fetch answers each partition apart, and refuses sessions', async () => {
  await produceTo([[1, batchOf(10)]])
  const request = {
    maxWaitMs: 0,
    minBytes: 1,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: 0,
    topics: [
      {
        topic: 't',
        partitions: [
          { partition: 1, fetchOffset: 0, partitionMaxBytes: 1 },
          { partition: 0, fetchOffset: 0, partitionMaxBytes: 1 },
          { partition: 2, fetchOffset: 7, partitionMaxBytes: 1 },
        ],
      },
      { topic: 'absent', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }] },
    ],
  }
  const answer = await peer.call(fetch, 12, request)
  expect(answer.sessionId).toBe(0)
  const partitions = answer.responses.flatMap(({ partitions: inner }) => inner)
  expect(partitions.map(({ errorCode }) => errorCode)).toEqual([
    0,
    0,
    ERROR_CODES.OFFSET_OUT_OF_RANGE,
    ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION,
  ])
  expect(partitions.map(({ records }) => records?.length)).toEqual([batchOf(10).length, 0, 0, 0])
  const again = await peer.call(fetch, 12, { ...request, sessionId: 5, sessionEpoch: 1 })
  expect(again.errorCode).toBe(ERROR_CODES.FETCH_SESSION_ID_NOT_FOUND)
  // One that begins a session or ends one names everything that it wants.
  for (const sessionEpoch of [0, -1]) {
    const whole = await peer.call(fetch, 12, { ...request, sessionId: 5, sessionEpoch })
    expect([whole.errorCode, whole.responses.length]).toEqual([0, 2])
  }
})

test('a waiting fetch is answered when records come, and later requests after it', async () => {
  const waiting = await harness.connect()
  const sent = waiting.send(fetch, 11, {
    maxWaitMs: 60_000,
    minBytes: 1,
    isolationLevel: 0,
    topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 99 }] }],
  })
  const later = waiting.send(apiVersions, 0, {})
  await produceTo([[0, batchOf(10)]])
  const { correlationId, response } = await waiting.receive(fetch, 11)
  expect(correlationId).toBe(sent)
  expect(response.responses[0]?.partitions[0]?.records?.length).toBe(batchOf(10).length)
  expect((await waiting.receive(apiVersions, 0)).correlationId).toBe(later)
})

test('a reader whose last epoch ended before its offset is told where to go on', async () => {
  const view = harness.fake.topics.get('t')?.view.partitions[0] as { leaderEpoch: number }
  view.leaderEpoch = 5
  harness.fake.endOfEpoch = () => ({ leaderEpoch: 3, endOffset: 40 })
  const { responses } = await peer.call(fetch, 12, {
    maxWaitMs: 60_000,
    minBytes: 1,
    isolationLevel: 0,
    topics: [
      {
        topic: 't',
        partitions: [
          { partition: 0, fetchOffset: 50, lastFetchedEpoch: 4, partitionMaxBytes: 99 },
          { partition: 1, fetchOffset: 0, partitionMaxBytes: 99 },
        ],
      },
    ],
  })
  const [parted, other] = responses[0]?.partitions ?? []
  expect(parted?.divergingEpoch).toMatchObject({ epoch: 3, endOffset: 40 })
  expect(other?.errorCode).toBe(0)
})

test('metadata describes all topics, none, or some; and creates what is missing where allowed', async () => {
  const all = await peer.call(metadata, 12, { topics: null })
  expect(all.topics.map(({ name }) => name)).toEqual(['t'])
  expect(all.brokers).toMatchObject([
    { nodeId: 1, host: '127.0.0.1', port: harness.listener.address.port },
  ])
  expect(all.clusterId).toBe('fake-log')
  expect((await peer.call(metadata, 0, { topics: [] })).topics).toHaveLength(1)
  expect((await peer.call(metadata, 1, { topics: [] })).topics).toHaveLength(0)

  const ask = (names: readonly string[], allowAutoTopicCreation: boolean) =>
    peer.call(metadata, 9, { topics: names.map(name => ({ name })), allowAutoTopicCreation })
  expect((await ask(['made'], false)).topics[0]?.errorCode).toBe(
    ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION,
  )
  const { topics } = await ask(['made', 't', 'no good', 'made'], true)
  // One that is asked for twice is answered once: answers are much larger than questions.
  expect(topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
    ['made', 0],
    ['t', 0],
    ['no good', ERROR_CODES.INVALID_TOPIC_EXCEPTION],
  ])
  expect(topics[0]?.partitions).toHaveLength(1)
})

test('auto.create.topics.enable switches creation off', async () => {
  const strict = await startHarness({ 'auto.create.topics.enable': false })
  const other = await strict.connect()
  const { topics } = await other.call(metadata, 4, { topics: [{ name: 'made' }] })
  expect(topics[0]?.errorCode).toBe(ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION)
  expect(strict.fake.topics.size).toBe(0)
  await strict.stop()
})

test('topics are found by their id, and deleted by it', async () => {
  const topicId = harness.fake.topic('t')?.topicId ?? ''
  const unknown = Buffer.alloc(16, 9).toString('base64url')
  const { topics } = await peer.call(metadata, 12, {
    topics: [
      { name: null, topicId },
      { name: null, topicId: unknown },
    ],
  })
  expect(topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
    ['t', 0],
    [null, ERROR_CODES.UNKNOWN_TOPIC_ID],
  ])
  const { responses } = await peer.call(deleteTopics, 6, {
    topics: [
      { name: null, topicId: unknown },
      { name: null, topicId },
      { name: 'absent', topicId: ZERO_UUID },
    ],
    timeoutMs: 1_000,
  })
  expect(responses.map(({ name, errorCode }) => [name, errorCode])).toEqual([
    [null, ERROR_CODES.UNKNOWN_TOPIC_ID],
    ['t', 0],
    ['absent', ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION],
  ])
})

test('authorized operations are told when they are asked for', async () => {
  const request = { topics: [{ name: 't' }] }
  const quiet = await peer.call(metadata, 8, request)
  expect(quiet.topics[0]?.topicAuthorizedOperations).toBe(NO_AUTHORIZED_OPERATIONS)
  expect(quiet.clusterAuthorizedOperations).toBe(NO_AUTHORIZED_OPERATIONS)
  const told = await peer.call(metadata, 8, {
    ...request,
    includeTopicAuthorizedOperations: true,
    includeClusterAuthorizedOperations: true,
  })
  expect(told.topics[0]?.topicAuthorizedOperations).toBe(0b1101_1111_1000)
  expect(told.clusterAuthorizedOperations).toBeGreaterThan(0)
  const cluster = await peer.call(describeCluster, 1, {
    includeClusterAuthorizedOperations: true,
    endpointType: 2,
  })
  expect(cluster.errorCode).toBe(ERROR_CODES.MISMATCHED_ENDPOINT_TYPE)
})

test('topics are created with the answer that each deserves', async () => {
  const plain = { numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] }
  const assigned = (brokerId: number) => [{ partitionIndex: 0, brokerIds: [brokerId] }]
  const { topics } = await peer.call(createTopics, 7, {
    topics: [
      { name: 'plain', ...plain },
      { name: 't', ...plain },
      { name: 'here', ...plain, assignments: assigned(1) },
      { name: 'elsewhere', ...plain, assignments: assigned(2) },
      { name: 'both', ...plain, numPartitions: 1, assignments: assigned(1) },
      { name: 'twice', ...plain },
      { name: 'twice', ...plain },
      { name: 'null', ...plain, configs: [{ name: 'retention.ms', value: null }] },
    ],
    validateOnly: false,
  })
  expect(Object.fromEntries(topics.map(({ name, errorCode }) => [name, errorCode]))).toEqual({
    plain: 0,
    t: ERROR_CODES.TOPIC_ALREADY_EXISTS,
    here: 0,
    elsewhere: ERROR_CODES.INVALID_REPLICA_ASSIGNMENT,
    both: ERROR_CODES.INVALID_REQUEST,
    twice: ERROR_CODES.INVALID_REQUEST,
    null: ERROR_CODES.INVALID_CONFIG,
  })
  const made = topics.find(({ name }) => name === 'plain')
  expect(made?.topicId).toBe(harness.fake.topic('plain')?.topicId)
  for (const { name, configs } of topics) expect(configs, name).not.toBeNull()
})

test('configurations are described with source, type and documentation, for topics and the node', async () => {
  const resources = [
    { resourceType: 2, resourceName: 't', configurationKeys: null },
    { resourceType: 2, resourceName: 't', configurationKeys: null },
    { resourceType: 2, resourceName: 'absent', configurationKeys: null },
    { resourceType: 4, resourceName: '1', configurationKeys: null },
    { resourceType: 4, resourceName: '2', configurationKeys: null },
    { resourceType: 8, resourceName: '1', configurationKeys: null },
  ]
  const { results } = await peer.call(describeConfigs, 4, {
    resources,
    includeSynonyms: true,
    includeDocumentation: true,
  })
  expect(results.map(({ errorCode }) => errorCode)).toEqual([
    0,
    ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION,
    0,
    ERROR_CODES.INVALID_REQUEST,
    0,
  ])
  expect(results.map(({ configs }) => configs.length > 0)).toEqual([
    true,
    false,
    true,
    false,
    false,
  ])
  const node = new Map(results[2]?.configs.map(({ name, value }) => [name, value]))
  expect(node.has('num.partitions'), 'of the engine').toBe(true)
  expect(node.get('auto.create.topics.enable'), 'of the listener').toBe('true')
  const none = await peer.call(describeConfigs, 4, {
    resources: [{ resourceType: 2, resourceName: 't', configurationKeys: ['absent'] }],
    includeSynonyms: false,
  })
  expect(none.results[0]?.configs).toEqual([])
  expect(results[0]?.configs[0]).toMatchObject({
    name: 'retention.ms',
    configSource: 5,
    configType: 5,
    documentation: 'How long records are kept.',
    synonyms: [{ name: 'retention.ms', value: '604800000', source: 5 }],
  })
})

test('a topic is altered key by key or as a whole; the node is not altered by clients', async () => {
  const change = (
    resourceType: number,
    resourceName: string,
    operation: number,
    value: string | null,
  ) =>
    peer.call(incrementalAlterConfigs, 1, {
      resources: [
        {
          resourceType,
          resourceName,
          configs: [{ name: 'retention.ms', configOperation: operation, value }],
        },
      ],
      validateOnly: false,
    })
  expect((await change(2, 't', 0, '5')).responses[0]?.errorCode).toBe(0)
  expect(harness.fake.topics.get('t')?.configs.get('retention.ms')).toBe('5')
  expect((await change(2, 't', 9, '5')).responses[0]?.errorCode).toBe(ERROR_CODES.INVALID_REQUEST)
  expect((await change(2, 't', 0, null)).responses[0]?.errorCode).toBe(ERROR_CODES.INVALID_REQUEST)
  const node = (await change(4, '1', 0, '5')).responses[0]
  expect(node?.errorCode).toBe(ERROR_CODES.INVALID_REQUEST)
  expect(node?.errorMessage).toContain('set where it is started')
  // As a whole: what is not named goes back to its default.
  const whole = await peer.call(alterConfigs, 2, {
    resources: [{ resourceType: 2, resourceName: 't', configs: [] }],
    validateOnly: false,
  })
  expect(whole.responses[0]?.errorCode).toBe(0)
  expect(harness.fake.topics.get('t')?.configs.size).toBe(0)
})

test('groups are coordinated here; transactions are refused at once, in words', async () => {
  const groups = await peer.call(findCoordinator, 4, { keyType: 0, coordinatorKeys: ['a', 'b'] })
  expect(groups.coordinators).toMatchObject([
    { key: 'a', nodeId: 1, host: '127.0.0.1', errorCode: 0 },
    { key: 'b', nodeId: 1, port: harness.listener.address.port, errorCode: 0 },
  ])
  const old = await peer.call(findCoordinator, 0, { key: 'a' })
  expect(old).toMatchObject({ nodeId: 1, errorCode: 0 })
  const refused = await peer.call(findCoordinator, 2, { key: 'tx', keyType: 1 })
  expect(refused.errorCode).toBe(ERROR_CODES.UNSUPPORTED_VERSION)
  expect(refused.errorMessage).toContain('transactions are not served')
  const init = await peer.call(initProducerId, 4, {
    transactionalId: 'tx',
    transactionTimeoutMs: 9,
  })
  expect(init.errorCode).toBe(ERROR_CODES.UNSUPPORTED_VERSION)
  const plain = await peer.call(initProducerId, 4, {
    transactionalId: null,
    transactionTimeoutMs: 9,
  })
  expect(plain).toMatchObject({ errorCode: 0, producerId: 7, producerEpoch: 0 })
})

test('a first join is told its member id from version 4 on, with the protocol as the version has it', async () => {
  const request = {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('m') }],
  }
  expect(await peer.call(joinGroup, 3, request)).toMatchObject({
    errorCode: 0,
    protocolName: 'range',
  })
  for (const [version, protocolName] of [
    [5, ''],
    [9, null],
  ] as const) {
    expect(await peer.call(joinGroup, version, request)).toMatchObject({
      errorCode: ERROR_CODES.MEMBER_ID_REQUIRED,
      memberId: 'member-1',
      protocolName,
    })
  }
  const leave = { groupId: 'g', memberId: 'nobody' }
  expect((await peer.call(leaveGroup, 1, leave)).errorCode).toBe(ERROR_CODES.UNKNOWN_MEMBER_ID)
})

test('offsets are committed and fetched, of one group and of several, with their metadata', async () => {
  const { topics } = await peer.call(offsetCommit, 8, {
    groupId: 'g',
    memberId: '',
    topics: [
      {
        name: 't',
        partitions: [
          { partitionIndex: 0, committedOffset: 5, committedMetadata: 'note' },
          { partitionIndex: 7, committedOffset: 5, committedMetadata: null },
        ],
      },
    ],
  })
  expect(topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([
    0,
    ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION,
  ])
  const one = await peer.call(offsetFetch, 5, {
    groupId: 'g',
    topics: [{ name: 't', partitionIndexes: [0, 1] }],
  })
  expect(one.topics[0]?.partitions).toMatchObject([
    { partitionIndex: 0, committedOffset: 5, metadata: 'note', errorCode: 0 },
    { partitionIndex: 1, committedOffset: -1, metadata: '', errorCode: 0 },
  ])
  const several = await peer.call(offsetFetch, 8, {
    groups: [
      { groupId: 'g', topics: null },
      { groupId: 'loading', topics: null },
      { groupId: 'none', topics: null },
    ],
  })
  expect(several.groups.map(({ groupId, errorCode }) => [groupId, errorCode])).toEqual([
    ['g', 0],
    ['loading', ERROR_CODES.COORDINATOR_LOAD_IN_PROGRESS],
    ['none', 0],
  ])
  expect(several.groups[0]?.topics[0]?.partitions).toHaveLength(1)
})

test('groups are listed with state and type, and by type', async () => {
  expect((await peer.call(listGroups, 5, {})).groups).toMatchObject([
    { groupId: 'g', groupState: 'Stable', groupType: 'classic' },
  ])
  expect((await peer.call(listGroups, 5, { typesFilter: ['consumer'] })).groups).toEqual([])
})

test('offsets are listed by place; a place that the version does not know is refused by itself', async () => {
  await produceTo([[0, batchOf(10, 4)]])
  const listed = async (timestamp: number): Promise<readonly number[]> => {
    const { topics } = await peer.call(listOffsets, 7, {
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp }] }],
    })
    return (topics[0]?.partitions ?? []).flatMap(({ errorCode, offset }) => [errorCode, offset])
  }
  expect(await listed(-1)).toEqual([0, 4])
  expect(await listed(-4)).toEqual([ERROR_CODES.UNSUPPORTED_VERSION, -1])
  expect(await listed(-2)).toEqual([0, 0])
  expect(await listed(1_000)).toEqual([0, 0])
})

test('offsets of a partition that is named twice are refused, of the others answered', async () => {
  const { topics } = await peer.call(listOffsets, 7, {
    topics: [
      {
        name: 't',
        partitions: [0, 1, 0].map(partitionIndex => ({ partitionIndex, timestamp: -1 })),
      },
    ],
  })
  const { INVALID_REQUEST } = ERROR_CODES
  expect(topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([
    INVALID_REQUEST,
    0,
    INVALID_REQUEST,
  ])
})

test('of a partition that is fetched twice the last position counts', async () => {
  await produceTo([[0, batchOf(10)]])
  await produceTo([[0, batchOf(10)]])
  const partitionMaxBytes = 1 << 20
  const { responses } = await peer.call(fetch, 12, {
    ...{ maxWaitMs: 0, minBytes: 1, isolationLevel: 0 },
    topics: [
      { topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes }] },
      { topic: 't', partitions: [{ partition: 0, fetchOffset: 1, partitionMaxBytes }] },
    ],
  })
  expect(responses).toHaveLength(1)
  expect(responses[0]?.partitions).toHaveLength(1)
  expect(responses[0]?.partitions[0]?.records?.readBigInt64BE(0)).toBe(1n)
})

test('a request that lists a great deal is answered as a whole, and in its place', async () => {
  const many = Array.from({ length: 3_000 }, (_, i) => ({ name: `nothing-${i}` }))
  peer.send(metadata, 9, { topics: many, allowAutoTopicCreation: false })
  peer.send(metadata, 9, { topics: [{ name: 't' }], allowAutoTopicCreation: false })
  const first = (await peer.receive(metadata, 9)).response
  const second = (await peer.receive(metadata, 9)).response
  expect(first.topics.map(({ name }) => name)).toEqual(many.map(({ name }) => name))
  expect(first.clusterId).not.toBeNull()
  expect(second.topics.map(({ name }) => name)).toEqual(['t'])
})

test('the data folder is described with its volume and the partitions asked for', async () => {
  await produceTo([[1, batchOf(10)]])
  const { results } = await peer.call(describeLogDirs, 4, {
    topics: [{ topic: 't', partitions: [1] }],
  })
  expect(results).toMatchObject([
    {
      logDir: '/data',
      totalBytes: 1000,
      usableBytes: 400,
      topics: [
        { name: 't', partitions: [{ partitionIndex: 1, partitionSize: batchOf(10).length }] },
      ],
    },
  ])
})

test('a log that has been closed sends producers to look for the leader, members for the coordinator', async () => {
  const closed = async (): Promise<never> => {
    throw new LogError('LOG_CLOSED')
  }
  harness.fake.append = closed
  expect(await produceTo([[0, batchOf(10)]])).toEqual([ERROR_CODES.NOT_LEADER_OR_FOLLOWER])
  Object.assign(harness.fake.groups, { fetchOffsets: closed })
  const { errorCode } = await peer.call(offsetFetch, 5, { groupId: 'g', topics: null })
  expect(errorCode).toBe(ERROR_CODES.COORDINATOR_NOT_AVAILABLE)
})
