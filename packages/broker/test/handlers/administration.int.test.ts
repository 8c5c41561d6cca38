// What administration tools ask about, answered as Apache Kafka 4.3 answers it on one node.
import { connect } from 'node:net'
import { encodeBatch } from '@millrace/log'
import {
  alterPartitionReassignments,
  createAcls,
  createTopics,
  type Decoded,
  type DescribeTopicPartitionsResponse,
  deleteAcls,
  deleteTopics,
  describeAcls,
  describeConfigs,
  describeGroups,
  describeProducers,
  describeQuorum,
  describeTopicPartitions,
  ERROR_CODES,
  electLeaders,
  fetch,
  incrementalAlterConfigs,
  listConfigResources,
  listOffsets,
  listPartitionReassignments,
  metadata,
  offsetCommit,
  offsetFetch,
  produce,
  ZERO_UUID,
} from '@millrace/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { batchOf } from '../support/batches.ts'
import { type EngineNode, startEngineNode } from '../support/engine-node.ts'
import { Peer } from '../support/harness.ts'

let node: EngineNode
let peer: Peer
let topicId: string

const UNKNOWN_ID = Buffer.alloc(16, 9).toString('base64url')

beforeAll(async () => {
  node = await startEngineNode()
  const [created] = await node.engine.createTopics([{ name: 't', partitions: 3 }])
  topicId = created?.topicId ?? ''
  await node.engine.append([{ topic: 't', partition: 0, batch: batchOf(10, 4) }])
  peer = new Peer(connect(node.listener.address.port, '127.0.0.1'))
  await peer.connected
})

afterAll(async () => {
  peer.socket.destroy()
  await node.stop()
})

test('no election is ever needed, and partitions that are not there are told apart', async () => {
  const answer = await peer.call(electLeaders, 2, {
    topicPartitions: [
      { topic: 't', partitions: [0, 9] },
      { topic: 'absent', partitions: [0] },
    ],
  })
  expect(answer.errorCode).toBe(0)
  expect(
    answer.replicaElectionResults.map(({ partitionResult }) =>
      partitionResult.map(({ errorCode }) => errorCode),
    ),
  ).toEqual([
    [ERROR_CODES.ELECTION_NOT_NEEDED, ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION],
    [ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION],
  ])
  const all = await peer.call(electLeaders, 2, { electionType: 1, topicPartitions: null })
  expect(all).toMatchObject({ errorCode: 0, replicaElectionResults: [] })
  const odd = await peer.call(electLeaders, 2, { electionType: 7, topicPartitions: null })
  expect(odd.errorCode).toBe(ERROR_CODES.INVALID_REQUEST)
})

test('nothing moves, what is so already may be asked for, and other nodes are refused', async () => {
  const listed = await peer.call(listPartitionReassignments, 0, { topics: null })
  expect(listed).toMatchObject({ errorCode: 0, topics: [] })
  const { responses } = await peer.call(alterPartitionReassignments, 1, {
    topics: [
      {
        name: 't',
        partitions: [
          { partitionIndex: 0, replicas: [1] },
          { partitionIndex: 1, replicas: [1, 2] },
          { partitionIndex: 2, replicas: null },
          { partitionIndex: 9, replicas: [1] },
        ],
      },
    ],
  })
  expect(responses[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([
    ERROR_CODES.NONE,
    ERROR_CODES.INVALID_REPLICA_ASSIGNMENT,
    ERROR_CODES.NO_REASSIGNMENT_IN_PROGRESS,
    ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION,
  ])
})

test('access rules are said to be switched off', async () => {
  const filter = {
    resourceTypeFilter: 1,
    resourceNameFilter: null,
    principalFilter: null,
    hostFilter: null,
    operation: 1,
    permissionType: 1,
  }
  const disabled = ERROR_CODES.SECURITY_DISABLED
  expect((await peer.call(describeAcls, 3, filter)).errorCode).toBe(disabled)
  const rule = {
    resourceType: 2,
    resourceName: 't',
    principal: 'User:a',
    host: '*',
    operation: 3,
    permissionType: 3,
  }
  const created = await peer.call(createAcls, 3, { creations: [rule, rule] })
  expect(created.results.map(({ errorCode }) => errorCode)).toEqual([disabled, disabled])
  const deleted = await peer.call(deleteAcls, 3, { filters: [filter] })
  expect(deleted.filterResults.map(({ errorCode }) => errorCode)).toEqual([disabled])
})

test('the node is the whole quorum of its metadata', async () => {
  const { topics, nodes } = await peer.call(describeQuorum, 2, {
    topics: [
      { topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] },
      { topicName: 't', partitions: [{ partitionIndex: 0 }] },
    ],
  })
  expect(topics[0]?.partitions[0]).toMatchObject({
    errorCode: 0,
    leaderId: 1,
    currentVoters: [{ replicaId: 1 }],
  })
  expect(topics[1]?.partitions[0]?.errorCode).toBe(ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION)
  expect(nodes[0]?.listeners[0]?.port).toBe(node.listener.address.port)
})

test('a partition tells which producers it remembers, and what they wrote last', async () => {
  const batch = encodeBatch({
    records: [{ value: 'a' }, { value: 'b' }],
    timestamp: 1_700_000_000_000,
    producer: { producerId: 7, producerEpoch: 2 },
    baseSequence: 5,
  })
  await node.engine.append([{ topic: 't', partition: 1, batch }])
  const { topics } = await peer.call(describeProducers, 0, {
    topics: [
      { name: 't', partitionIndexes: [0, 1, 9] },
      { name: 'absent', partitionIndexes: [0] },
    ],
  })
  const [none, some, absent] = topics[0]?.partitions ?? []
  expect(none).toMatchObject({ partitionIndex: 0, errorCode: 0, activeProducers: [] })
  expect(some?.activeProducers).toMatchObject([
    {
      producerId: 7,
      producerEpoch: 2,
      lastSequence: 6,
      lastTimestamp: 1_700_000_000_000,
      coordinatorEpoch: -1,
      currentTxnStartOffset: -1,
    },
  ])
  expect(absent?.errorCode).toBe(ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION)
  expect(topics[1]?.partitions[0]?.errorCode).toBe(ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION)
})

test('a topic that asks for more copies than there are takes records with acks=all', async () => {
  const configs = { 'min.insync.replicas': '2' }
  await node.engine.createTopics([{ name: 'copies', partitions: 1, configs }])
  const partition = { index: 0, records: batchOf(1, 1) }
  const { responses } = await peer.call(produce, 9, {
    ...{ transactionalId: null, acks: -1, timeoutMs: 10_000 },
    topicData: [{ name: 'copies', partitionData: [partition] }],
  })
  await node.engine.deleteTopics(['copies'])
  expect(responses[0]?.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 })
})

test('what has a configuration is listed by type', async () => {
  const listed = async (resourceTypes: readonly number[], version = 1) => {
    const answer = await peer.call(listConfigResources, version, { resourceTypes })
    const names = answer.configResources.map(each => `${each.resourceType} ${each.resourceName}`)
    return [answer.errorCode, ...names]
  }
  expect(await listed([2])).toEqual([0, '2 __catalogue', '2 __consumer_offsets', '2 t'])
  expect(await listed([4])).toEqual([0, '4 1'])
  expect(await listed([16, 32])).toEqual([0])
  expect(await listed([])).toContain('2 t')
  expect(await listed([], 0), 'version 0 lists client metrics alone').toEqual([0])
  expect(await listed([99])).toEqual([ERROR_CODES.UNSUPPORTED_VERSION])
})

test('partitions are described page by page, in order, each once', async () => {
  type Cursor = DescribeTopicPartitionsResponse['nextCursor']
  const page = (names: readonly string[], responsePartitionLimit: number, cursor: Cursor = null) =>
    peer.call(describeTopicPartitions, 0, {
      topics: names.map(name => ({ name })),
      responsePartitionLimit,
      cursor,
    })
  const walked: string[] = []
  let cursor: Cursor = null
  do {
    const answer: Decoded<DescribeTopicPartitionsResponse> = await page([], 2, cursor)
    expect(answer.topics.flatMap(({ partitions }) => partitions).length).toBeLessThanOrEqual(2)
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex } of partitions) walked.push(`${name}-${partitionIndex}`)
    }
    cursor = answer.nextCursor
  } while (cursor !== null)
  expect(walked).toEqual(['__catalogue-0', '__consumer_offsets-0', 't-0', 't-1', 't-2'])

  const some = await page(['t', 'absent', 'bad name', 't'], 2000)
  expect(some.topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
    ['absent', ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION],
    ['bad name', ERROR_CODES.INVALID_TOPIC_EXCEPTION],
    ['t', 0],
  ])
  expect(some.nextCursor).toBeNull()
  expect((await page(['t'], 0)).nextCursor).toEqual({ topicName: 't', partitionIndex: 1 })
  const odd = await page(['t'], 2000, { topicName: 't', partitionIndex: -1 })
  expect(odd.topics[0]?.errorCode).toBe(ERROR_CODES.INVALID_REQUEST)
})

test('places of tiered storage are nowhere, and known from their versions on', async () => {
  const offsets = async (version: number, places: readonly number[], name = 't') => {
    const found: (readonly number[])[] = []
    for (const timestamp of places) {
      const { topics } = await peer.call(listOffsets, version, {
        topics: [{ name, partitions: [{ partitionIndex: 0, timestamp }] }],
      })
      for (const each of topics[0]?.partitions ?? []) found.push([each.errorCode, each.offset])
    }
    return found
  }
  const unsupported = [ERROR_CODES.UNSUPPORTED_VERSION, -1]
  expect(await offsets(11, [-1, -2, -4, -5, -6, -7])).toEqual([
    [0, 4],
    [0, 0],
    [0, 0],
    [0, -1],
    [0, -1],
    unsupported,
  ])
  expect(await offsets(8, [-4, -5])).toEqual([[0, 0], unsupported])
  expect(await offsets(6, [-1, -3])).toEqual([[0, 4], unsupported])
  const absent = [ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION, -1]
  expect(await offsets(11, [-5, -4], 'absent')).toEqual([absent, absent])
})

test('metadata by id: the id decides, whatever name stands beside it', async () => {
  const ask = async (version: number, id: string, name: string | null) => {
    const { topics } = await peer.call(metadata, version, {
      topics: [{ topicId: id, name }],
      allowAutoTopicCreation: false,
    })
    return [topics[0]?.errorCode, topics[0]?.name]
  }
  for (const name of [null, '', 't', 'another'])
    expect(await ask(12, topicId, name)).toEqual([0, 't'])
  for (const name of [null, '', 't']) {
    expect(await ask(12, UNKNOWN_ID, name)).toEqual([ERROR_CODES.UNKNOWN_TOPIC_ID, null])
  }
  expect(await ask(12, ZERO_UUID, 't')).toEqual([0, 't'])
  expect(await ask(12, ZERO_UUID, '')).toEqual([ERROR_CODES.INVALID_TOPIC_EXCEPTION, ''])
  expect(await ask(11, topicId, '')).toEqual([ERROR_CODES.INVALID_REQUEST, ''])
})

test('a topic is deleted by its name or its id, never by the name beside a foreign id', async () => {
  await node.engine.createTopics([{ name: 'kept' }, { name: 'gone' }])
  const ids = new Map(node.engine.allTopics().map(({ name, topicId: id }) => [name, id]))
  const remove = async (name: string | null, id: string) => {
    const { responses } = await peer.call(deleteTopics, 6, {
      topics: [{ name, topicId: id }],
      timeoutMs: 1_000,
    })
    return responses.map(({ errorCode }) => errorCode)
  }
  const invalid = [ERROR_CODES.INVALID_REQUEST]
  expect(await remove('kept', UNKNOWN_ID)).toEqual(invalid)
  expect(await remove('kept', ids.get('gone') ?? '')).toEqual(invalid)
  expect(await remove('kept', ids.get('kept') ?? '')).toEqual(invalid)
  expect(await remove(null, ZERO_UUID)).toEqual(invalid)
  expect(await remove(null, UNKNOWN_ID)).toEqual([ERROR_CODES.UNKNOWN_TOPIC_ID])
  expect(node.engine.topic('kept')).toBeDefined()
  expect(await remove(null, ids.get('gone') ?? '')).toEqual([0])
  expect(node.engine.topic('gone')).toBeUndefined()
})

test('a topic that a deletion names twice is not deleted, however it is named', async () => {
  await node.engine.createTopics([{ name: 'kept' }, { name: 'gone' }])
  const topicId = node.engine.topic('kept')?.topicId ?? ''
  const byName = { name: 'kept', topicId: ZERO_UUID }
  const byId = { name: null, topicId }
  const other = { name: 'gone', topicId: ZERO_UUID }
  for (const twice of [
    [byName, byName],
    [byId, byId],
    [byName, byId],
    [byId, other, byName],
  ]) {
    const { responses } = await peer.call(deleteTopics, 6, { topics: twice, timeoutMs: 1_000 })
    const refused = responses.filter(({ errorCode }) => errorCode === ERROR_CODES.INVALID_REQUEST)
    expect(refused).toHaveLength(1)
    expect(node.engine.topic('kept')?.topicId).toBe(topicId)
  }
  expect(node.engine.topic('gone')).toBeUndefined()
  const old = await peer.call(deleteTopics, 5, { topicNames: ['kept', 'kept'], timeoutMs: 1_000 })
  expect(old.responses.map(({ errorCode }) => errorCode)).toEqual([ERROR_CODES.INVALID_REQUEST])
  expect(node.engine.topic('kept')).toBeDefined()
})

test('a creation tells the configuration in every case, also when it was only tried', async () => {
  const ask = async (name: string, validateOnly: boolean, value = '+5000') => {
    const { topics } = await peer.call(createTopics, 7, {
      topics: [
        {
          name,
          numPartitions: 2,
          replicationFactor: 1,
          assignments: [],
          configs: [{ name: 'retention.ms', value }],
        },
      ],
      validateOnly,
    })
    return topics[0]
  }
  for (const validateOnly of [true, false]) {
    const made = await ask('configured', validateOnly)
    expect(made).toMatchObject({ errorCode: 0, numPartitions: 2, replicationFactor: 1 })
    const retention = made?.configs?.find(({ name }) => name === 'retention.ms')
    expect(retention).toMatchObject({ value: '5000', configSource: 1 })
    expect(made?.configs?.length).toBeGreaterThan(30)
  }
  const refused = await ask('refused', false, 'soon')
  expect(refused).toMatchObject({ errorCode: ERROR_CODES.INVALID_CONFIG, configs: [] })
})

test('no keys ask for all keys; synonyms name the other places of a value', async () => {
  const describe = async (
    resourceType: number,
    resourceName: string,
    configurationKeys: readonly string[] | null,
  ) => {
    const { results } = await peer.call(describeConfigs, 4, {
      resources: [{ resourceType, resourceName, configurationKeys }],
      includeSynonyms: true,
    })
    return results[0]
  }
  const all = await describe(2, 't', null)
  expect((await describe(2, 't', []))?.configs).toEqual(all?.configs)
  expect((await describe(2, 't', ['max.message.bytes']))?.configs).toMatchObject([
    { synonyms: [{ name: 'message.max.bytes', value: '1048588', source: 5 }] },
  ])
  const broker = new Map((await describe(4, '1', []))?.configs.map(each => [each.name, each.value]))
  const address = `PLAINTEXT://${node.bootstrap}`
  expect(broker.get('listeners')).toBe(address)
  expect(broker.get('advertised.listeners')).toBe(address)
  expect(broker.get('log.dirs')).toBe(node.engine.storage().folder)
  expect(broker.get('log.flush.interval.messages')).toBe('1')
  expect(broker.get('group.max.session.timeout.ms'), 'of groups').toBe('1800000')
  expect(broker.has('log.remote.storage.enable'), 'of topics alone').toBe(false)
  for (const type of [8, 16, 32])
    expect(await describe(type, '1', null)).toMatchObject({ errorCode: 0 })
  expect((await describe(8, '9', null))?.errorCode).toBe(ERROR_CODES.INVALID_REQUEST)
  expect((await describe(2, 'bad name', null))?.errorCode).toBe(ERROR_CODES.INVALID_TOPIC_EXCEPTION)
})

test("durability is set by Kafka's own keys, and keys that nobody knows can be reset", async () => {
  const alter = async (
    configs: readonly { name: string; configOperation: number; value: string | null }[],
  ) => {
    const { responses } = await peer.call(incrementalAlterConfigs, 1, {
      resources: [{ resourceType: 2, resourceName: 't', configs }],
      validateOnly: false,
    })
    return responses[0]?.errorCode
  }
  const durability = async () =>
    (await node.engine.describeConfig('t')).find(({ name }) => name === 'durability')?.value
  expect(await alter([{ name: 'flush.ms', configOperation: 0, value: '60000' }])).toBe(0)
  expect(await durability()).toBe('os')
  expect(await alter([{ name: 'flush.messages', configOperation: 0, value: '1' }])).toBe(0)
  expect(await durability()).toBe('sync')
  expect(
    await alter([
      { name: 'flush.ms', configOperation: 1, value: null },
      { name: 'flush.messages', configOperation: 1, value: null },
      { name: 'some.future.key', configOperation: 1, value: null },
    ]),
  ).toBe(0)
  expect(await alter([{ name: 'some.future.key', configOperation: 0, value: 'x' }])).toBe(
    ERROR_CODES.INVALID_CONFIG,
  )
})

test('a group that is not there is dead, and from version 6 on not found', async () => {
  const state = async (version: number) => {
    const { groups } = await peer.call(describeGroups, version, { groups: ['absent'] })
    return [groups[0]?.errorCode, groups[0]?.groupState]
  }
  expect(await state(5)).toEqual([0, 'Dead'])
  expect(await state(6)).toEqual([ERROR_CODES.GROUP_ID_NOT_FOUND, 'Dead'])
})

test('records and offsets go by the id of a topic, and never to another of its name', async () => {
  const byId = (id: string) => ({ topicId: id })
  const produced = async (id: string, partitions: readonly number[] = [2]) => {
    const { responses } = await peer.call(produce, 13, {
      acks: -1,
      timeoutMs: 1_000,
      topicData: [
        {
          ...byId(id),
          partitionData: partitions.map(index => ({ index, records: batchOf(10, 3) })),
        },
      ],
    })
    return responses[0]?.partitionResponses.map(each => [each.errorCode, each.baseOffset])
  }
  const fetched = async (id: string) => {
    const { responses } = await peer.call(fetch, 18, {
      maxWaitMs: 0,
      minBytes: 1,
      isolationLevel: 0,
      topics: [
        { ...byId(id), partitions: [{ partition: 2, fetchOffset: 0, partitionMaxBytes: 1000 }] },
      ],
    })
    const [topic] = responses
    const [partition] = topic?.partitions ?? []
    return [topic?.topicId, partition?.errorCode, (partition?.records?.length ?? 0) > 0]
  }
  const committed = async (id: string) => {
    const { topics } = await peer.call(offsetCommit, 10, {
      groupId: 'by-id',
      memberId: '',
      topics: [
        {
          ...byId(id),
          partitions: [{ partitionIndex: 2, committedOffset: 3, committedMetadata: null }],
        },
      ],
    })
    return [topics[0]?.topicId, topics[0]?.partitions[0]?.errorCode]
  }
  const read = async (ids: readonly string[] | null) => {
    const topics = ids?.map(id => ({ ...byId(id), partitionIndexes: [2] })) ?? null
    const { groups } = await peer.call(offsetFetch, 10, { groups: [{ groupId: 'by-id', topics }] })
    return groups[0]?.topics.map(each => [
      each.topicId,
      each.partitions[0]?.committedOffset,
      each.partitions[0]?.errorCode,
    ])
  }
  const unknown = ERROR_CODES.UNKNOWN_TOPIC_ID
  expect(await produced(topicId)).toEqual([[0, 0]])
  expect(await produced(UNKNOWN_ID)).toEqual([[unknown, -1]])
  expect(await fetched(topicId)).toEqual([topicId, 0, true])
  expect(await fetched(UNKNOWN_ID)).toEqual([UNKNOWN_ID, unknown, false])
  expect(await committed(topicId)).toEqual([topicId, 0])
  expect(await committed(UNKNOWN_ID)).toEqual([UNKNOWN_ID, unknown])
  expect(await read([topicId, UNKNOWN_ID])).toEqual([
    [topicId, 3, 0],
    [UNKNOWN_ID, -1, unknown],
  ])
  expect(await read(null)).toEqual([[topicId, 3, 0]])
})

test('topics that are named by ids stay apart in requests of any size', async () => {
  await node.engine.createTopics([
    { name: 'many-a', partitions: 600 },
    { name: 'many-b', partitions: 600 },
  ])
  const ids = ['many-a', 'many-b'].map(name => node.engine.topic(name)?.topicId ?? '')
  const { topics } = await peer.call(offsetCommit, 10, {
    groupId: 'many',
    memberId: '',
    topics: ids.map((id, topic) => ({
      topicId: id,
      partitions: Array.from({ length: 600 }, (_, partitionIndex) => ({
        partitionIndex,
        committedOffset: topic,
        committedMetadata: null,
      })),
    })),
  })
  expect(topics.map(({ topicId: id, partitions }) => [id, partitions.length])).toEqual(
    ids.map(id => [id, 600]),
  )
  expect(
    await node.engine.groups.fetchOffsets('many', [
      { topic: 'many-a', partition: 599 },
      { topic: 'many-b', partition: 599 },
    ]),
  ).toMatchObject([{ offset: 0 }, { offset: 1 }])
})
